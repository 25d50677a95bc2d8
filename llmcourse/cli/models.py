"""`llmcourse train|sample`: a small GPT on any text, and what it writes.

A run's folder holds `run.json` (what it was trained on), `tokenizer.json`, the log and the
checkpoints; `sample` needs nothing else.
"""

import argparse
import json
import math
import secrets
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmcourse import checkpoint, data, evaluate, metrics, tokenizers
from llmcourse import sample as sampling
from llmcourse.cli import UserError
from llmcourse.gpt import GPT
from llmcourse.gptconfig import GPTConfig
from llmcourse.train import StoryBatches, TrainConfig, WindowBatches
from llmcourse.train import train as run_training

__all__ = ["sample", "train"]


@dataclass(frozen=True, kw_only=True)
class Size:
    """A preset: the model's shape, its vocabulary, and how many steps suit it."""

    width: int
    layers: int
    heads: int
    context: int
    vocab_size: int
    steps: int


SIZES = {
    "tiny": Size(width=64, layers=2, heads=2, context=64, vocab_size=512, steps=300),
    "small": Size(width=128, layers=4, heads=4, context=128, vocab_size=1024, steps=1500),
    "medium": Size(width=256, layers=6, heads=8, context=256, vocab_size=2048, steps=5000),
}
TALE_TOKENS = 128  # no tale is longer
DEV_BATCHES = 8


def train(options: argparse.Namespace) -> int:
    """Train, or go on training, and say what came of it."""
    size = SIZES[options.size]
    for name in ("batch", "stories"):
        if getattr(options, name) < 1:
            raise UserError(f"--{name} must be at least 1, got {getattr(options, name)}")
    steps = size.steps if options.steps is None else options.steps
    config = TrainConfig(
        steps=steps,
        lr=options.lr,
        optimizer="muon",
        seed=options.seed,
        eval_every=max(1, steps // 5),
        checkpoint_every=max(1, steps // 5),
    )
    named = Path(options.data).stem if Path(options.data).is_file() else options.data
    out = Path(options.out or Path("runs") / f"{named}-{options.size}")
    if options.data == "tales":
        return _train_tales(options, size, config, out)
    corpus = _corpus(options.data)
    print(corpus)
    try:
        parts = data.split(corpus, seed=0)
    except ValueError as error:
        raise UserError(f"{corpus.name} is too short to train on: {error}") from None
    about = {"data": corpus.name, "sha256": corpus.sha256, "size": options.size}
    known = _known(out, about, options.anew)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a short text has fewer tokens to learn; they are printed
        tokenizer = known or tokenizers.BPE.train(parts.train, vocab_size=size.vocab_size)
    streams = {}
    for part, text in parts._asdict().items():
        streams[part] = tokenizer.encode(text)
        if len(streams[part]) <= size.context:
            raise UserError(
                f"{corpus.name} is too short: its {part} part has {len(streams[part])} tokens, "
                f"and a model of size {options.size} reads {size.context} at a time; give more "
                "text" + ("" if options.size == "tiny" else ", or --size tiny")
            )
    model = _model(tokenizer, size, options.seed, size.context)
    batches = WindowBatches(
        streams["train"], batch=options.batch, context=size.context, seed=options.seed
    )
    dev = WindowBatches(streams["dev"], batch=options.batch, context=size.context, seed=1)
    _run(model, batches, config, dev, out, options, tokenizer, about)
    nats = evaluate.sequence_nats(model, streams["test"]).sum()
    measured = metrics.bits_per_byte(float(nats), len(tokenizer.decode_bytes(streams["test"][1:])))
    print(f"bits per byte on text it never saw: {measured:.3f} (8 would be no model at all)")
    _done(out)
    return 0


def _train_tales(options: Any, size: Size, config: TrainConfig, out: Path) -> int:
    from llmcourse import tales

    tokenizer = tokenizers.TalesTokenizer()
    about = {"data": "tales", "language": options.language, "size": options.size}
    about |= {"stories": options.stories}
    _known(out, about, options.anew)
    made = {
        split: tales.generate(seed=seed, n=n, language=options.language, split=split)
        for split, n, seed in (("train", options.stories, options.seed), ("test", 200, 0))
    }
    ids = {split: [tokenizer.encode_story(s) for s in stories] for split, stories in made.items()}
    pad = tokenizer.special_tokens["<|pad|>"]
    batches = StoryBatches(ids["train"], batch=options.batch, seed=options.seed, pad=pad)
    dev = StoryBatches(ids["test"], batch=options.batch, seed=0, pad=pad)
    model = _model(tokenizer, size, options.seed, TALE_TOKENS)
    _run(model, batches, config, dev, out, options, tokenizer, about)
    nats = evaluate.story_nats(model, tokenizer, made["test"])
    pairs = zip(nats, made["test"], strict=True)
    excess = [float(n.sum()) + story.logprob for n, story in pairs]
    above = evaluate.bootstrap([value / math.log(2) for value in excess], seed=0)
    truth = tales.entropy(options.language)
    print(f"bits above the truth on new stories: {above} a story (the truth is {truth:.1f})")
    _done(out)
    return 0


def _corpus(name: str) -> data.Corpus:
    """A corpus by name, or the user's own file."""
    path = Path(name)
    if path.is_file():
        return data.read(path)
    if name in data.NAMES:
        return data.load(name)
    raise UserError(
        f"there is no file {name!r} and no corpus of that name; corpora are {', '.join(data.NAMES)}"
    )


def _known(out: Path, about: dict[str, Any], anew: bool) -> tokenizers.Tokenizer | None:
    """The tokenizer of the run in `out`, where it is a run on the same data that may go on."""
    if anew or not (out / "run.json").is_file():
        return None
    try:
        was = json.loads((out / "run.json").read_text(encoding="utf-8"))
    except ValueError:
        raise UserError(f"{out / 'run.json'} is damaged; --anew begins again") from None
    if was != about:
        differ = [key for key in about if was.get(key) != about[key]]
        raise UserError(
            f"the run in {out} has another {' and '.join(differ) or 'description'}: "
            "name another folder with --out, or begin again with --anew"
        )
    return tokenizers.load(out / "tokenizer.json")


def _model(tokenizer: tokenizers.Tokenizer, size: Size, seed: int, context: int) -> GPT:
    config = GPTConfig.modern(
        vocab_size=tokenizer.vocab_size,
        context=context,
        width=size.width,
        layers=size.layers,
        heads=size.heads,
        mlp="relu2",
    )
    print(f"{config.parameter_count():,} parameters, {tokenizer}")
    return GPT(config, seed=seed)


def _run(model, batches, config, dev, out, options, tokenizer, about) -> None:
    out.mkdir(parents=True, exist_ok=True)
    tokenizer.save(out / "tokenizer.json")
    checkpoint.write_file(out / "run.json", json.dumps(about, indent=1).encode())

    def log(history: Any) -> None:
        record = history.records[-1]
        if "dev_loss" in record:
            print(
                f"step {record['step']} of {config.steps}: {record['dev_loss']:.3f} nats a token "
                f"on unseen text, {record['tokens'] / record['seconds']:,.0f} tokens/s",
                flush=True,
            )

    try:
        history = run_training(
            model, batches, config, dev=dev, out=out, resume=not options.anew,
            on_log=log,
        )  # fmt: skip
    except ValueError as error:
        raise UserError(str(error).replace("resume=False", "--anew")) from None
    if history.started_at:
        print(f"went on from step {history.started_at}")


def _done(out: Path) -> None:
    print(f"The model is in {out}. It writes with: llmcourse sample {out}")


def sample(options: argparse.Namespace) -> int:
    """Write texts, token by token."""
    if options.n < 1:
        raise UserError(f"-n must be at least 1, got {options.n}")
    if options.adapter:
        return _answer(options)
    model, tokenizer = _open(options.model)
    special = tokenizer.special_tokens
    stop = [i for i in (special.get("<|end|>"), special.get("<|endoftext|>")) if i is not None]
    start = [special[f"<|{options.language}|>"]] if tokenizer.kind == "tales" else []
    prompt = [*start, *tokenizer.encode(options.prompt or ("" if start else "\n"))]
    names = ("temperature", "top_k", "top_p", "min_p", "repetition")
    given = {n: getattr(options, n) for n in names if getattr(options, n) is not None}
    given.setdefault("temperature", 1.0)
    seed = secrets.randbelow(2**31) if options.seed is None else options.seed
    for number in range(options.n):
        stream = tokenizers.StreamDecoder(tokenizer)
        shown = "".join(stream.push(i) for i in prompt[len(start) :])
        print(shown.lstrip("\n") if not options.prompt else shown, end="", flush=True)
        new = sampling.stream(
            model, prompt, max_new=options.max_new, generator=seed + number, stop=stop,
            window=True, **given,
        )  # fmt: skip
        for token in new:
            if token not in stop:
                print(stream.push(token), end="", flush=True)
        print(stream.finish(), end="\n" if number + 1 == options.n else "\n\n")
    if options.seed is None and sys.stderr.isatty():
        print(f"(--seed {seed} writes this again)", file=sys.stderr)
    return 0


def _answer(options: argparse.Namespace) -> int:
    """The answers of an adapted model, its prompt framed as in its training."""
    from llmcourse import adapt

    base, _ = adapt.load(options.adapter)
    template = base.template
    prompt = template.prompt(options.prompt)
    if len(prompt) >= base.model.config.context:
        raise UserError(
            f"the prompt has {len(prompt)} tokens, and the model reads {base.model.config.context}"
        )
    names = ("top_k", "top_p", "min_p", "repetition")
    given = {n: getattr(options, n) for n in names if getattr(options, n) is not None}
    seed = secrets.randbelow(2**31) if options.seed is None else options.seed
    room = min(options.max_new, base.model.config.context - len(prompt))
    # An answer is the likeliest one unless asked otherwise; a text is drawn.
    heat = options.temperature if options.temperature is not None else float(not options.prompt)
    for number in range(options.n):
        new = sampling.generate(
            base.model, prompt, max_new=room, generator=seed + number, stop=[template.stop],
            temperature=heat, **given,
        )  # fmt: skip
        print(base.tokenizer.decode([i for i in new if i != template.stop]))
    return 0


def _open(name: str) -> tuple[Any, tokenizers.Tokenizer]:
    """A run's newest model, or one that ships with the course."""
    folder = Path(name)
    if not folder.exists():
        if name != "tales":
            raise UserError(f"there is no folder {name}; `llmcourse train --out {name}` makes one")
        try:
            from llmcourse import models
        except ImportError:
            raise UserError(
                "the shipped model is not in this installation; `llmcourse train --data tales` "
                "trains one"
            ) from None
        return models.load(name)
    model = checkpoint.load(folder)
    homes = [folder, *folder.resolve().parents[:1]]
    home = next((h for h in homes if (h / "tokenizer.json").is_file()), None)
    if home is None:
        raise UserError(f"{folder} has no tokenizer.json beside its checkpoint")
    tokenizer = tokenizers.load(home / "tokenizer.json")
    if tokenizer.vocab_size != model.config.vocab_size:
        raise UserError(
            f"the tokenizer in {home} has {tokenizer.vocab_size} tokens and the model "
            f"{model.config.vocab_size}: they do not belong together"
        )
    return model, tokenizer
