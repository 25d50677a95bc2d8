"""The separation table: what each class of model can and cannot learn of the tales.

For each kind of choice: its true bits a story, and the bits above the truth (excess) of a
unigram, a Kneser-Ney trigram, a hidden Markov model, a feed-forward network, an LSTM and a
Transformer, all given the same stories. The excess of a token is
log p(token | before) − log q(token | before), with p the language itself; summed over a story,
end included, and averaged over held-out stories, it estimates the Kullback-Leibler divergence
from p to q, and it splits by kind exactly.

    python -m benchmarks.separation                          everything not yet done, then the table
    python -m benchmarks.separation --model lstm --seed 0    one cell, resumed where it stopped
    python -m benchmarks.separation --table                  the table of what there is
    python -m benchmarks.separation --quick                  the same in a minute, to see it work

One process, one thread. A seed draws its own training stories and weights; test stories are the
same for all.
"""

import argparse
import itertools
import json
import math
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

import llmcourse
from llmcourse import evaluate, tales
from llmcourse.feedforward import FeedForward, FeedForwardConfig
from llmcourse.gpt import GPT, GPTConfig
from llmcourse.hmm import HMM
from llmcourse.metrics import bits
from llmcourse.ngram import NGram
from llmcourse.rnn import LSTM, RNNConfig
from llmcourse.train import StoryBatches, TrainConfig, train

MODELS = ("unigram", "trigram", "hmm", "feedforward", "lstm", "transformer")
NETWORKS = MODELS[3:]
RESULT = Path(llmcourse.__file__).parent / "results" / "separation.json"
END = "end"  # the kind of the end of a story, where the language names none


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What one table is made with."""

    language: str = "en"
    stories: int = 40_000  # for training, the same for every model
    test: int = 2_000
    seeds: int = 3
    hmm_states: int = 256
    hmm_iterations: int = 15
    hmm_steps: int = 10  # parameter updates an iteration
    lstm_width: int = 256
    steps: int = 2_500  # of training, for the two older networks
    batch: int = 32
    # The Transformer alone is given the time and the settings that its last skill asks for: to
    # recall a trade told at the story's start, which it learns between steps 3,000 and 8,000.
    width: int = 192
    layers: int = 3
    transformer_steps: int = 8_000
    transformer_lr: float = 4e-3
    transformer_decay: float = 0.05  # of its weights
    # Five words of context, the most that Bengio et al. (2003) report: enough for what is near,
    # too few to reach the sentence before. The sizes give it about the LSTM's parameters.
    ff_order: int = 6
    ff_width: int = 128
    ff_hidden: int = 512

    @classmethod
    def quick(cls, language: str) -> "Settings":
        return cls(
            language=language, stories=400, test=100, hmm_states=16, hmm_iterations=4, hmm_steps=2,
            lstm_width=64, width=64, layers=2, steps=60, transformer_steps=60, batch=16,
            ff_width=32, ff_hidden=64,
        )  # fmt: skip


def stories_of(settings: Settings, split: str, n: int, seed: int) -> list:
    return tales.generate(seed=seed, n=n, language=settings.language, split=split)


def rows_of(stories: list, language: str) -> tuple[int, list[list[int]]]:
    """Vocabulary size, and each story as ids: a start, its words and marks, an end."""
    index = {word: i for i, word in enumerate(tales.terminals(language), start=2)}
    return len(index) + 2, [[0, *(index[word] for word in s.tokens), 1] for s in stories]


def training_rows(settings: Settings, seed: int, folder: Path) -> list[list[int]]:
    """The stories of one seed as ids, kept in `folder`: every model reads the same ones."""
    kept = folder / f"train-{seed}.npz"
    if not kept.exists():
        drawn = stories_of(settings, "train", settings.stories, seed=seed)
        _, rows = rows_of(drawn, settings.language)
        lengths = np.array([len(row) for row in rows])
        save(kept, ids=np.concatenate(rows), lengths=lengths)
    with np.load(kept, allow_pickle=False) as found:
        return [part.tolist() for part in np.split(found["ids"], found["lengths"].cumsum()[:-1])]


def fits(noted: dict, settings: Settings) -> bool:
    """Whether cells made with the noted settings belong in this table.

    A setting that the note lacks is younger than its cells: none of them can have used it.
    """
    now = asdict(settings)
    return all(key in now and now[key] == value for key, value in noted.items())


def save(path: Path, **arrays) -> None:
    """Write arrays as a whole or not at all."""
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    with open(draft, "wb") as file:
        np.savez(file, **arrays)
    os.replace(draft, path)


def kinds_of(story) -> tuple[str, ...]:
    """The kind of each token, the end of the story included."""
    kinds = tuple(story.kinds)
    return kinds if len(kinds) > len(story.tokens) else (*kinds, END)


def true_nats(story) -> np.ndarray:
    """Exact surprise of each token of a story, the end included."""
    nats = np.asarray(story.token_nats, dtype=np.float64)
    if len(nats) != len(story.tokens) + 1:
        raise ValueError(f"{len(nats)} surprises for {len(story.tokens)} tokens and an end")
    return nats


def split_rows(joined: np.ndarray, rows: list[list[int]]) -> list[np.ndarray]:
    """One array a story from one for all, without the start that begins each."""
    parts = np.split(joined, np.cumsum([len(row) for row in rows])[:-1])
    return [part[1:] for part in parts]


def counted(name: str, settings: Settings, seed: int, vocab: int, rows, test_rows, folder):
    """Train one model and score the test stories: nats of each token of each."""
    del folder
    if name == "hmm":
        model = HMM(states=settings.hmm_states, vocab=vocab, seed=seed, dtype=torch.float32)
        for i in range(settings.hmm_iterations):
            (nats,) = model.fit(rows, iterations=1, steps=settings.hmm_steps)
            print(f"  iteration {i + 1}: {nats:.4f} nats a token", flush=True)
    else:
        model = NGram(order=1 if name == "unigram" else 3, vocab=vocab).fit(rows)
    return split_rows(model.token_nats(test_rows), test_rows)


def learned(name: str, settings: Settings, seed: int, vocab: int, rows, test_rows, folder):
    """The same for a network: trained by gradient, resumed from its checkpoints."""
    if name == "lstm":
        model = LSTM(RNNConfig(vocab_size=vocab, width=settings.lstm_width), seed=seed)
    elif name == "feedforward":
        form = FeedForwardConfig(
            vocab_size=vocab,
            order=settings.ff_order,
            width=settings.ff_width,
            hidden=settings.ff_hidden,
        )
        model = FeedForward(form, seed=seed)
    else:
        longest = max(len(row) for row in rows + test_rows)
        config = GPTConfig.modern(
            vocab_size=vocab, context=longest, width=settings.width, layers=settings.layers
        )
        model = GPT(config, seed=seed)
    print(f"  {model.parameter_count():,} parameters", flush=True)
    recipe = dict(steps=settings.steps, optimizer="adamw")
    if name == "transformer":
        recipe = dict(
            steps=settings.transformer_steps,
            optimizer="muon",
            lr=settings.transformer_lr,
            weight_decay=settings.transformer_decay,
        )
    every = max(1, recipe["steps"] // 20)
    train(
        model,
        StoryBatches(rows, batch=settings.batch, seed=seed),
        TrainConfig(**recipe, log_every=every, checkpoint_every=every, seed=seed),
        out=folder,
        on_log=lambda history: print(f"  {history.records[-1]}", flush=True),
    )
    return evaluate.token_nats(model, test_rows, batch=64)


def run(name: str, seed: int, settings: Settings, folder: Path) -> None:
    """One cell of the table: excess of each test story by kind, kept in `folder`."""
    done = folder / f"{name}-{seed}.npz"
    if done.exists():
        print(f"{name}, seed {seed}: done before")
        return
    print(f"{name}, seed {seed}:", flush=True)
    began = time.perf_counter()
    test = stories_of(settings, "test", settings.test, seed=0)
    vocab, test_rows = rows_of(test, settings.language)
    rows = training_rows(settings, seed, folder)
    method = learned if name in NETWORKS else counted
    scored = method(name, settings, seed, vocab, rows, test_rows, folder / f"{name}-{seed}")
    kinds = sorted({kind for story in test for kind in kinds_of(story)})
    excess = np.zeros((len(test), len(kinds)))
    truth = np.zeros_like(excess)
    for i, (story, nats) in enumerate(zip(test, scored, strict=True)):
        columns = [kinds.index(kind) for kind in kinds_of(story)]
        known = true_nats(story)
        np.add.at(truth[i], columns, bits(known))
        np.add.at(excess[i], columns, bits(nats - known))
    seconds = time.perf_counter() - began
    save(done, excess=excess, truth=truth, kinds=kinds, seconds=seconds)
    total, true = excess.sum(1).mean(), truth.sum(1).mean()
    print(f"  {total:.3f} bits a story above {true:.3f}, {seconds:.0f} s", flush=True)


def over_seeds(values: np.ndarray) -> dict[str, float]:
    """Mean over seeds with its 95 % interval by Student's t."""
    n = len(values)
    quantile = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}.get(n)
    half = quantile * values.std(ddof=1) / math.sqrt(n) if quantile else math.nan
    mean = float(values.mean())
    return {"mean": mean, "low": mean - half, "high": mean + half} if quantile else {"mean": mean}


def summary(excess: np.ndarray, kinds: list[str]) -> dict[str, dict[str, dict[str, float]]]:
    """By kind and in total, from (seeds, stories, kinds): intervals over seeds, over stories."""
    out = {}
    for column, kind in enumerate([*kinds, "total"]):
        by_story = excess.sum(2) if kind == "total" else excess[:, :, column]
        drawn = evaluate.bootstrap(by_story.mean(0))
        out[kind] = {"seeds": over_seeds(by_story.mean(1)), "stories": asdict(drawn)}
    return out


def better(difference: dict[str, dict[str, float]]) -> int:
    """1 where a difference is above zero beyond both of its intervals, −1 where below, else 0."""
    stories, seeds = difference["stories"], difference["seeds"]
    low = min(stories["low"], seeds.get("low", seeds["mean"]))
    high = max(stories["high"], seeds.get("high", seeds["mean"]))
    return int(low > 0) - int(high < 0)


def table(settings: Settings, folder: Path) -> dict:
    """Everything that is done, as one result."""
    cells = {}
    for name in MODELS:
        found = [folder / f"{name}-{seed}.npz" for seed in range(settings.seeds)]
        loaded = [dict(np.load(path, allow_pickle=False)) for path in found if path.exists()]
        if loaded:
            cells[name] = loaded
    if not cells:
        raise SystemExit(f"nothing is done in {folder} yet: run without --table first")
    first = next(iter(cells.values()))[0]
    kinds = [str(kind) for kind in first["kinds"]]
    truth = first["truth"]
    stacked = {
        name: np.stack([cell["excess"] for cell in loaded]) for name, loaded in cells.items()
    }
    pairs = {}
    for first_name, second_name in itertools.pairwise(MODELS):
        if first_name in stacked and second_name in stacked:
            n = min(len(stacked[first_name]), len(stacked[second_name]))
            difference = summary(stacked[first_name][:n] - stacked[second_name][:n], kinds)
            wins = {k: better(difference[k]) for k in kinds}
            pairs[f"{first_name} − {second_name}"] = {
                "difference": difference,
                f"{second_name} is better at": [k for k in kinds if wins[k] > 0],
                f"{first_name} is better at": [k for k in kinds if wins[k] < 0],
            }
    exact = {"total": tales.entropy(language=settings.language)}
    exact |= dict(tales.entropy_by_kind(settings.language))
    return {
        "what": "bits a story above the truth on held-out stories, by kind of choice",
        "command": "python -m benchmarks.separation",
        "settings": asdict(settings),
        "kinds": kinds,
        "true bits, exact": exact,
        "true bits, of the test stories": summary(truth[None], kinds),
        "seeds done": {name: len(loaded) for name, loaded in cells.items()},
        "seconds": {name: [float(c["seconds"]) for c in loaded] for name, loaded in cells.items()},
        "excess": {name: summary(values, kinds) for name, values in stacked.items()},
        "pairs": pairs,
    }


def show(result: dict) -> None:
    """Print the table and the conditions that a language worth teaching with must meet."""
    kinds, models = result["kinds"], list(result["excess"])
    true = result["true bits, of the test stories"]
    print(f"\n{'bits a story':18}{'true':>9}" + "".join(f"{name:>20}" for name in models))
    for kind in [*sorted(kinds, key=lambda k: -true[k]["stories"]["estimate"]), "total"]:
        line = f"{kind:18}{true[kind]['stories']['estimate']:9.3f}"
        for name in models:
            cell = result["excess"][name][kind]
            over = cell["seeds"]
            half = over["high"] - over["mean"] if "high" in over else math.nan
            line += f"{over['mean']:12.3f} ± {half:5.3f}"
        print(line)
    entropy = true["total"]["stories"]["estimate"]
    print(f"exact entropy {result['true bits, exact']['total']:.3f} bits a story")
    for name in models:
        share = result["excess"][name]["total"]["seeds"]["mean"] / entropy
        print(f"{name:12} {share:7.1%} above the truth")
    for found in result["pairs"].values():
        for verdict, at in found.items():
            if verdict != "difference":
                print(f"{verdict}: {', '.join(at) or 'nothing'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", choices=MODELS, action="append")
    parser.add_argument("--seed", type=int, action="append")
    parser.add_argument("--language", choices=("en", "zh"), default="en")
    parser.add_argument("--quick", action="store_true", help="tiny settings, to see it work")
    parser.add_argument("--table", action="store_true", help="only summarise what is done")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=N", help="a setting")
    parser.add_argument("--out", type=Path, help="where the result goes")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    changed = {
        name: float(value) if "." in value or "e" in value else int(value)
        for name, value in (item.split("=") for item in arguments.set)
    }
    base = Settings.quick(arguments.language) if arguments.quick else Settings()
    settings = Settings(**(asdict(base) | {"language": arguments.language} | changed))
    size = "quick" if arguments.quick else "full"
    folder = Path("runs") / "separation" / f"{settings.language}-{size}"
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / "settings.json"
    if note.exists() and not fits(json.loads(note.read_text()), settings):
        raise SystemExit(f"{folder} was made with other settings: move it away, or use them")
    note.write_text(json.dumps(asdict(settings), indent=1))
    if not arguments.table:
        for name in arguments.model or MODELS:
            for seed in range(settings.seeds) if arguments.seed is None else arguments.seed:
                run(name, seed, settings, folder)
    result = table(settings, folder)
    default = (
        RESULT if settings.language == "en" else RESULT.with_stem(f"separation-{settings.language}")
    )
    out = arguments.out or (folder / "separation.json" if arguments.quick else default)
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = out.with_suffix(f".{os.getpid()}.tmp")
    draft.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(draft, out)
    show(result)
    print(f"\nwritten to {out}")


if __name__ == "__main__":
    main()
