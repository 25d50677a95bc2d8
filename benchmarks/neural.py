"""What a feed-forward network, a simple recurrent network and an LSTM remember, by distance.

Two tables for the chapter `concepts/neural`, in `llmcourse/results/neural.json`:

- `tales`: bits above the truth on recalled names, by words back to the name's last mention. The
  feed-forward network and the LSTM are those of the separation table (`python -m
  benchmarks.separation --model feedforward --model lstm` makes them); the simple network is
  trained here on the same stories, for as many steps, with about as many parameters.
- `copy`: a toy without any language. One of eight symbols, a gap of noise, a question: which
  symbol was it? Accuracy by gap and seed, at equal steps and about equal parameters.

    python -m benchmarks.neural            what is not yet done, then the tables
    python -m benchmarks.neural --quick    the same in seconds, to see it work

Killed, it goes on from its last checkpoint and its last finished gap.
"""

import argparse
import json
import os
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

import llmcourse
from benchmarks import separation
from llmcourse import checkpoint, evaluate
from llmcourse.feedforward import FeedForward, FeedForwardConfig
from llmcourse.metrics import bits
from llmcourse.rnn import LSTM, RNN, RNNConfig
from llmcourse.train import StoryBatches, TrainConfig, train

RESULT = Path(llmcourse.__file__).parent / "results" / "neural.json"
EDGES = (1, 5, 10, 20, 40, 1000)  # words back: 1 to 4, 5 to 9, ...
SYMBOLS, NOISE = 8, 8  # what is to be kept, and what only fills the gap
ASK = SYMBOLS + NOISE
COPIERS = ("feedforward", "rnn", "lstm-0", "lstm-1", "lstm-4")


def simple(settings: separation.Settings, seed: int, vocab: int, rows, folder: Path):
    """A simple recurrent network with the LSTM's number of parameters, near enough."""
    lstm = LSTM(RNNConfig(vocab_size=vocab, width=settings.lstm_width)).parameter_count()
    width = next(w for w in range(1, 10_000) if vocab * w + 2 * w * w + 2 * w >= lstm)
    model = RNN(RNNConfig(vocab_size=vocab, width=width), seed=seed)
    print(f"rnn, seed {seed}: width {width}, {model.parameter_count():,} parameters", flush=True)
    every = max(1, settings.steps // 25)
    train(
        model,
        StoryBatches(rows, batch=settings.batch, seed=seed),
        TrainConfig(
            steps=settings.steps,
            optimizer="adamw",
            log_every=every,
            checkpoint_every=every,
            seed=seed,
        ),
        out=folder,
        on_log=lambda history: print(f"  {history.records[-1]}", flush=True),
    )
    return model


def recall_by_distance(model, stories: list, rows: list[list[int]]) -> list[list[float]]:
    """For each distance, each recalled name's (story, bits above the truth)."""
    found: list[list[tuple[int, float]]] = [[] for _ in EDGES[1:]]
    for n, (story, nats) in enumerate(
        zip(stories, evaluate.token_nats(model, rows, batch=64), strict=True)
    ):
        excess = bits(nats - separation.true_nats(story))
        last: dict[str, int] = {}
        for t, (word, kind) in enumerate(zip(story.tokens, story.kinds, strict=False)):
            if kind == "recall" and word in last:
                bin_ = int(np.searchsorted(EDGES, t - last[word], side="right")) - 1
                found[bin_].append((n, float(excess[t])))
            last[word] = t
    return found


def interval(pairs: list[tuple[int, float]]) -> dict[str, float]:
    """Mean over tokens, its 95 % interval by resampling stories."""
    story, value = map(np.asarray, zip(*pairs, strict=True))
    of_story = np.stack([np.bincount(story, value), np.bincount(story)], axis=1)
    of_story = of_story[of_story[:, 1] > 0]
    draws = np.random.default_rng(0).integers(0, len(of_story), (1000, len(of_story)))
    sums = of_story[draws].sum(1)
    low, high = np.quantile(sums[:, 0] / sums[:, 1], [0.025, 0.975])
    return {"mean": float(value.mean()), "low": float(low), "high": float(high), "n": len(value)}


def tales_table(settings: separation.Settings, size: str, seed: int = 0) -> dict:
    folder = Path("runs") / "separation" / f"{settings.language}-{size}"
    stories = separation.stories_of(settings, "test", settings.test, seed=0)
    vocab, test_rows = separation.rows_of(stories, settings.language)
    rows = separation.training_rows(settings, seed, folder)
    models = {"rnn": simple(settings, seed, vocab, rows, Path("runs") / "neural" / f"rnn-{size}")}
    for name in ("feedforward", "lstm"):
        if (folder / f"{name}-{seed}.npz").exists():  # finished, not half way
            models[name] = checkpoint.load(folder / f"{name}-{seed}")
    return {
        "edges": EDGES,
        "settings": asdict(settings),
        "seed": seed,
        "parameters": {name: model.parameter_count() for name, model in models.items()},
        "excess": {
            name: [interval(pairs) for pairs in recall_by_distance(model, stories, test_rows)]
            for name, model in models.items()
        },
    }


def question(gap: int, batch: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """A symbol, `gap` words of noise, the question; only the answer is a target."""
    x = torch.randint(SYMBOLS, ASK, (batch, gap + 2), generator=generator)
    x[:, 0] = torch.randint(SYMBOLS, (batch,), generator=generator)
    x[:, -1] = ASK
    y = torch.full_like(x, -100)
    y[:, -1] = x[:, 0]
    return x, y


def copy_model(name: str, seed: int):
    """A model of some 9,000 parameters; "lstm-4" is an LSTM whose forget bias starts at 4."""
    if name == "feedforward":
        form = FeedForwardConfig(vocab_size=ASK + 1, order=8, width=16, hidden=64)
        return FeedForward(form, seed=seed)
    if name == "rnn":
        return RNN(RNNConfig(vocab_size=ASK + 1, width=64), seed=seed)
    model = LSTM(RNNConfig(vocab_size=ASK + 1, width=32), seed=seed)
    with torch.no_grad():
        model.lstm.bias_ih_l0[32:64] = float(name.removeprefix("lstm-"))
    return model


def copy_accuracy(name: str, gap: int, seed: int, steps: int) -> float:
    """Train one model at one gap, and ask it 1,000 fresh questions."""
    model = copy_model(name, seed)
    g = torch.Generator().manual_seed(seed)
    train(
        model,
        [question(gap, 32, g) for _ in range(steps)].__getitem__,
        TrainConfig(steps=steps, lr=3e-3, weight_decay=0.0, log_every=steps, precision="fp32"),
        on_log=lambda history: None,
    )
    x, y = question(gap, 1000, torch.Generator().manual_seed(10_000 + seed))
    with torch.no_grad():
        guess = model(x)[0][:, -1, :SYMBOLS].argmax(-1)
    return float((guess == y[:, -1]).float().mean())


def write(path: Path, result: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    draft.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    os.replace(draft, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="tiny settings, to see it work")
    parser.add_argument("--only", choices=("tales", "copy"))
    parser.add_argument("--out", type=Path, help="where the result goes")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    quick = arguments.quick
    out = arguments.out or (Path("runs") / "neural" / "quick.json" if quick else RESULT)
    result = json.loads(out.read_text("utf-8")) if out.exists() else {}
    result |= {"command": "python -m benchmarks.neural"}
    if arguments.only != "tales":
        gaps, seeds, steps = ((2, 8), 1, 20) if quick else ((2, 4, 8, 16, 32), 3, 300)
        form = {"gaps": list(gaps), "seeds": seeds, "steps": steps, "batch": 32}
        done = result.get("copy", {})
        if {key: done.get(key) for key in form} != form:
            done = form | {"accuracy": {}}
        done["parameters"] = {name: copy_model(name, 0).parameter_count() for name in COPIERS}
        for gap in gaps:
            for name in done["parameters"]:
                row = done["accuracy"].setdefault(name, {})
                if str(gap) not in row:
                    row[str(gap)] = [copy_accuracy(name, gap, s, steps) for s in range(seeds)]
                    print(f"gap {gap:3} {name:12} {row[str(gap)]}", flush=True)
                    write(out, result | {"copy": done})
        result["copy"] = done
    if arguments.only != "copy":
        base = separation.Settings.quick("en") if quick else separation.Settings()
        result["tales"] = tales_table(base, "quick" if quick else "full")
        for name, row in result["tales"]["excess"].items():
            print(f"{name:12}", " ".join(f"{cell['mean']:7.3f} ({cell['n']})" for cell in row))
    write(out, result)
    print(f"written to {out}")


if __name__ == "__main__":
    main()
