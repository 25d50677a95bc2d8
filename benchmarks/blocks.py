"""What each part of a Transformer block buys: small models trained with and without it.

Three tables. On tales, in bits a story above the truth on held-out stories, `parts` takes the
residual, the norms, attention or the MLP away, and trades width for depth at equal parameters, at
equal steps; `depth` trains deep models with the norm before or after each part, with and without
warm-up. `docs` takes the same parts away on Python's documentation, in bits a byte.

    python -m benchmarks.blocks            every run not yet done, then the result
    python -m benchmarks.blocks --seed 0   only this seed

The result goes to `llmcourse/results/blocks.json`. One thread; ten minutes on a free core.
"""

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

import llmcourse
from llmcourse import checkpoint, data, evaluate, interpret, tales
from llmcourse.gpt import GPT, GPTConfig
from llmcourse.metrics import bits
from llmcourse.tokenizers import BPE
from llmcourse.train import StoryBatches, TrainConfig, TrainingDiverged, WindowBatches, train

RESULT = Path(llmcourse.__file__).parent / "results" / "blocks.json"
# (layers, width) of about as many parameters as the whole model of three layers.
SHAPES = {"1 layer": (1, 76), "2 layers": (2, 56), "6 layers": (6, 36), "9 layers": (9, 28)}
WIDER = "mlp, wider"  # without its MLPs, and as wide as their parameters allow
PARTS = ("whole", *interpret.PARTS, WIDER)
DEPTH = ("pre, warm-up", "pre, none", "post, warm-up", "post, none")
SLOW = ("post, warm-up, slow", "post, none, slow")  # a third of the rate, more steps


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the runs are made with."""

    stories: int = 1500  # for training, the same for every run
    test: int = 60
    width: int = 48
    layers: int = 3
    heads: int = 2
    steps: int = 150
    batch: int = 8
    lr: float = 1e-2  # of Muon
    deep: int = 12  # layers of the runs on depth
    deep_steps: int = 100
    deep_lr: float = 3e-3  # of AdamW
    slow_steps: int = 160
    warmup: int = 50
    docs_vocab: int = 512
    docs_context: int = 64
    seeds: int = 3


def rows_of(stories: list) -> tuple[int, list[list[int]]]:
    """Vocabulary size, and each story as ids: a start, its words and marks, an end."""
    index = {word: i for i, word in enumerate(tales.terminals("en"), start=2)}
    return len(index) + 2, [[0, *(index[word] for word in s.tokens), 1] for s in stories]


def excess(model: GPT, test: list, rows: list[list[int]]) -> dict[str, float]:
    """Bits a story above the truth: in all, and on the names that must be recalled."""
    scored = evaluate.token_nats(model, rows, batch=50)
    gap = [nats - story.token_nats for nats, story in zip(scored, test, strict=True)]
    recall = [
        g[: len(s.kinds)][np.array(s.kinds) == "recall"].sum()
        for g, s in zip(gap, test, strict=True)
    ]
    return {
        "total": bits(float(np.mean([g.sum() for g in gap]))),
        "recall": bits(float(np.mean(recall))),
    }


def part(name: str, settings: Settings, seed: int, vocab: int, context: int) -> GPT:
    s = settings
    layers, width = (SHAPES | {WIDER: (3, 76)}).get(name, (s.layers, s.width))
    config = GPTConfig.modern(
        vocab_size=vocab, context=context, width=width, heads=s.heads,
        layers=layers, zero_outputs=False,
    )  # fmt: skip
    model = GPT(config, seed=seed)
    return model if name in ("whole", *SHAPES) else interpret.without(model, name.split(",")[0])


def deep(name: str, settings: Settings, seed: int, vocab: int, context: int) -> GPT:
    s = settings
    config = GPTConfig.gpt2_form(
        vocab_size=vocab, context=context, width=s.width, heads=s.heads, layers=s.deep,
        norm_place=name.split(",")[0], init_std=None,
    )  # fmt: skip
    model = GPT(config, seed=seed)
    for block in model.blocks:  # as in 2017: outputs do not start smaller than other matrices
        block.attention.o.weight.data *= (2 * s.deep) ** 0.5
        block.mlp.down.weight.data *= (2 * s.deep) ** 0.5
    return model


def run_docs(name: str, settings: Settings, seed: int, texts: tuple[str, str]) -> dict:
    """One run on real text: bits a byte of the development text's beginning."""
    s = settings
    tokenizer = BPE.train(texts[0], vocab_size=s.docs_vocab)
    model = part(name, s, seed, s.docs_vocab, s.docs_context)
    ids = tokenizer.encode(texts[0])
    batches = WindowBatches(ids, batch=s.batch, context=s.docs_context, seed=seed)
    how = TrainConfig(
        steps=s.steps, lr=s.lr, optimizer="muon", precision="fp32", log_every=10, seed=seed
    )
    train(model, batches, how)
    bpb = evaluate.bits_per_byte(model.eval(), tokenizer, texts[1][:12_000])
    return {"seed": seed, "total": float(bpb)}


def run(table: str, name: str, settings: Settings, seed: int, given: tuple) -> dict:
    s, (vocab, rows, test, test_rows) = settings, given
    context = max(map(len, rows + test_rows))
    if table == "parts":
        model = part(name, s, seed, vocab, context)
        how = TrainConfig(
            steps=s.steps, lr=s.lr, optimizer="muon", precision="fp32", log_every=10, seed=seed
        )
    else:
        model = deep(name, s, seed, vocab, context)
        slow = name in SLOW
        how = TrainConfig(
            steps=s.slow_steps if slow else s.deep_steps, lr=s.deep_lr / (3 if slow else 1),
            warmup=0 if "none" in name else s.warmup,
            schedule="constant", weight_decay=0.0, precision="fp32", log_every=5, seed=seed,
        )  # fmt: skip
    batches = StoryBatches(rows, batch=s.batch, seed=seed)
    result = {"parameters": model.parameter_count(), "seed": seed}
    try:
        history = train(model, batches, how)
    except TrainingDiverged as error:
        return result | {"diverged": error.step}
    result["losses"] = [round(float(r["loss"]), 3) for r in history.records if "loss" in r]
    return result | excess(model.eval(), test, test_rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, action="append")
    parser.add_argument("--runs", type=Path, default=Path("runs") / "blocks")
    parser.add_argument("--result", type=Path, default=RESULT)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    s = Settings()
    note = arguments.runs / "settings.json"
    if note.exists() and json.loads(note.read_text()) != asdict(s):
        raise SystemExit(f"{arguments.runs} was made with other settings: move it away first")
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps(asdict(s)))
    test = tales.generate(seed=0, n=s.test, split="test")
    vocab, rows = rows_of(tales.generate(seed=0, n=s.stories))
    given = vocab, rows, test, rows_of(test)[1]
    docs = data.load("python-docs")
    texts = data.split(docs.text)[:2]
    names = [("parts", n) for n in PARTS] + [("depth", n) for n in (*DEPTH, *SLOW)]
    names += [("docs", n) for n in PARTS] + [("parts", n) for n in SHAPES]
    for seed in range(s.seeds) if arguments.seed is None else arguments.seed:
        for table, name in names:
            kept = place(arguments.runs, table, name, seed)
            if kept.exists():
                continue
            if table == "docs":
                found = run_docs(name, s, seed, texts)
            else:
                found = run(table, name, s, seed, given)
            checkpoint.write_file(kept, json.dumps(found).encode())
            print(table, name, seed, found.get("total", "diverged"), flush=True)
            write(arguments, s, names, docs.sha256)
    print(f"written to {arguments.result}")


def place(runs: Path, table: str, name: str, seed: int) -> Path:
    return runs / f"{table}-{name}-{seed}.json".replace(", ", "-").replace(" ", "-")


def write(arguments: argparse.Namespace, settings: Settings, names: list, sha256: str) -> None:
    """Everything that is done so far, as one result."""
    done: dict[str, dict[str, list]] = {"parts": {}, "depth": {}, "docs": {}}
    for table, name in names:
        kept = [place(arguments.runs, table, name, seed) for seed in range(settings.seeds)]
        done[table][name] = [json.loads(path.read_text()) for path in kept if path.exists()]
    result = {
        "what": "bits a story above the truth on held-out tales, with and without parts of a block",
        "command": "python -m benchmarks.blocks",
        "settings": asdict(settings),
        "docs sha256": sha256,
        **done,
    }
    checkpoint.write_file(arguments.result, (json.dumps(result) + "\n").encode())


if __name__ == "__main__":
    main()
