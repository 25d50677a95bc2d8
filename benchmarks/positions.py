"""Positions beyond the training length: what each kind still recalls, and what it loses.

Small models with each kind of positions are trained at length L and tested at 1, 2, 4 and 8 L:

- recall: facts strewn in filler, each asked for at the end (`llmcourse.lengths.RecallBatches`);
- docs: the bytes of Python's documentation, loss by place in a window of 8 L.

Models with RoPE are tested again with their rotations scaled, before and after a short training
at 8 L, and with a sliding window of L as a control. Every kind is tested with sharper attention
too, which is one half of YaRN.

    python -m benchmarks.positions                  everything not yet done, then the result
    python -m benchmarks.positions --task recall    one task only
    python -m benchmarks.positions --table          the result of what there is

One thread. Each run leaves its file in `runs/positions/`; a run that stands there is not repeated.
"""

import argparse
import json
import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

import llmcourse
from llmcourse import data
from llmcourse.gpt import GPT, GPTConfig
from llmcourse.lengths import RecallBatches, answered, nats_at, stretch
from llmcourse.train import TrainConfig, WindowBatches, train

RESULT = Path(llmcourse.__file__).parent / "results" / "positions.json"
FOLDER = Path("runs") / "positions"
KINDS = ("learned", "sinusoidal", "rope", "alibi", "none")
SCALINGS = ("linear", "ntk", "yarn")
MULTIPLES = (1, 2, 4, 8)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What every run is made with."""

    length: int = 32  # L, of training
    width: int = 32
    heads: int = 2
    facts: int = 4
    docs_length: int = 64  # L there, in bytes
    docs_width: int = 64
    docs_heads: int = 4
    layers: int = 2
    batch: int = 16
    lr: float = 1e-2
    recall_steps: int = 600
    docs_steps: int = 200
    tuning_steps: int = 20  # at 8 L, in batches of 4
    tests: int = 40  # sequences of recall at each length, four questions each
    windows: int = 32  # of docs
    seeds: int = 3  # of recall
    docs_seeds: int = 3


def build(s: Settings, kind: str, vocab: int, seed: int, *, docs: bool = False) -> GPT:
    """A model of one kind; all else is equal, but for the scale of words beside sinusoids."""
    length, width, heads = s.length, s.width, s.heads
    if docs:
        length, width, heads = s.docs_length, s.docs_width, s.docs_heads
    model = GPT(
        GPTConfig.modern(
            vocab_size=vocab, context=length, width=width, heads=heads, layers=s.layers,
            positions=kind, mlp="relu2", tied=kind != "sinusoidal",
        ),
        seed=seed,
    )  # fmt: skip
    if kind == "sinusoidal":
        # Sinusoids are of size 1. Words drawn at 0.02 drown in them and nothing is learned.
        with torch.no_grad():
            model.embed.weight.mul_(1 / 0.02)
    return model


def fit(model: GPT, batches, steps: int, lr: float) -> list[float]:
    config = TrainConfig(
        steps=steps, lr=lr, optimizer="muon", weight_decay=0.0, precision="fp32",
        log_every=max(1, steps // 10),
    )  # fmt: skip
    return [round(r["loss"], 3) for r in train(model, batches, config).records if "loss" in r]


def scaled(model: GPT, scaling: str, times: int) -> GPT:
    trained = model.config.context
    fields = {"rope_scaling": scaling, "rope_trained": trained}
    return stretch(model, trained * times, rope_scale=float(times), **fields)


def sharpened(model: GPT, times: int, sign: int = 1) -> GPT:
    """YaRN's other half alone: queries and keys longer by 0.1 log(times) + 1, or shorter."""
    with torch.no_grad():
        for block in model.blocks:
            block.attention.gain.mul_((0.1 * math.log(times) + 1) ** sign)
    return model


def recalled(s: Settings, model: GPT, times: int) -> dict:
    """Accuracy and nats at one length; accuracy also by distance, in eighths of the length."""
    n = s.length * times
    batches = RecallBatches(length=n, batch=20, seed=10_000, facts=s.facts)
    right, nats, back = answered(model.eval(), batches, steps=s.tests // 20)
    eighth = ((back - 1) * 8 // n).clamp(max=7)
    by = [float(right[eighth == i].float().mean()) for i in range(8)]
    return {"accuracy": float(right.float().mean()), "nats": float(nats.mean()), "by eighth": by}


def recall(s: Settings, kind: str, seed: int) -> dict:
    model = build(s, kind, RecallBatches.vocab_size, seed)
    losses = fit(
        model,
        RecallBatches(length=s.length, batch=s.batch, seed=seed, facts=s.facts),
        s.recall_steps,
        s.lr,
    )
    longest = MULTIPLES[-1]
    found = {"plain": [recalled(s, stretch(model, s.length * m), m) for m in MULTIPLES]}
    sharp = [sharpened(stretch(model, s.length * m), m) for m in MULTIPLES]
    found["sharper"] = [recalled(s, x, m) for x, m in zip(sharp, MULTIPLES, strict=True)]
    if kind == "rope":
        blunt = [sharpened(scaled(model, "yarn", m), m, sign=-1) for m in MULTIPLES]
        found["yarn, not sharper"] = [
            recalled(s, x, m) for x, m in zip(blunt, MULTIPLES, strict=True)
        ]
        window = [stretch(model, s.length * m, window=s.length) for m in MULTIPLES]
        found["window"] = [recalled(s, w, m) for w, m in zip(window, MULTIPLES, strict=True)]
        for scaling in SCALINGS:
            found[scaling] = [recalled(s, scaled(model, scaling, m), m) for m in MULTIPLES]
        far = RecallBatches(length=s.length * longest, batch=4, seed=seed + 500, facts=s.facts)
        for scaling in ("plain", *SCALINGS):
            if scaling == "plain":
                tuned = stretch(model, s.length * longest)
            else:
                tuned = scaled(model, scaling, longest)
            fit(tuned, far, s.tuning_steps, s.lr / 10)
            found[f"{scaling}, tuned"] = [recalled(s, tuned, m) for m in MULTIPLES]
    return {"losses": losses, "found": found}


def docs_ids() -> tuple[np.ndarray, np.ndarray, dict]:
    corpus = data.load("python-docs")
    parts = data.split(corpus.text)
    as_bytes = [np.frombuffer(part.encode("utf-8"), dtype=np.uint8) for part in parts[:2]]
    note = {"sha256": corpus.sha256, "characters": len(corpus.text)}
    return as_bytes[0].astype(np.int32), as_bytes[1].astype(np.int64), note


def docs(s: Settings, kind: str, seed: int) -> dict:
    """Nats of each place in windows of 8 L, averaged over windows; windows apart for intervals."""
    train_ids, dev_ids, note = docs_ids()
    model = build(s, kind, 256, seed, docs=True)
    batches = WindowBatches(train_ids, batch=s.batch, context=s.docs_length, seed=seed)
    losses = fit(model, batches, s.docs_steps, s.lr)
    longest = MULTIPLES[-1]
    n = s.docs_length * longest
    starts = np.linspace(0, len(dev_ids) - n - 1, s.windows).astype(int)
    rows = torch.from_numpy(dev_ids[starts[:, None] + np.arange(n + 1)])
    variants = {"plain": stretch(model, n)}
    if kind == "rope":
        variants |= {"window": stretch(model, n, window=s.docs_length)}
        variants |= {scaling: scaled(model, scaling, longest) for scaling in SCALINGS}
    found = {}
    for name, variant in variants.items():
        nats = nats_at(variant.eval(), rows).view(s.windows, -1, s.docs_length // 2).mean(-1)
        found[name] = nats.tolist()  # (windows, bins of L / 2 places)
    return {"losses": losses, "found": found, "corpus": note}


def seeds_of(s: Settings, task: str) -> int:
    return s.seeds if task == "recall" else s.docs_seeds


def write(path: Path, result: dict) -> None:
    """As a whole or not at all."""
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    draft.write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    os.replace(draft, path)


def over_seeds(values: list[float]) -> dict[str, float]:
    """Mean of the seeds, the lowest and the highest."""
    return {
        "mean": round(float(np.mean(values)), 4),
        "low": round(min(values), 4),
        "high": round(max(values), 4),
    }


def table(s: Settings) -> dict:
    """Everything that is done, as one result."""
    out = {
        "what": "models trained at length L, tested up to 8 L; mean, lowest and highest of seeds",
        "command": "python -m benchmarks.positions",
        "settings": asdict(s),
        "multiples": MULTIPLES,
        "recall": {},
        "docs": {},
    }
    for kind in KINDS:
        for task in ("recall", "docs"):
            files = [FOLDER / f"{task}-{kind}-{seed}.json" for seed in range(seeds_of(s, task))]
            runs = [json.loads(f.read_text("utf-8")) for f in files if f.exists()]
            if not runs:
                continue
            for name in runs[0]["found"]:
                key = kind if name == "plain" else f"{kind}, {name}"
                parts = [run["found"][name] for run in runs]
                if task == "recall":
                    out[task][key] = {
                        what: [
                            over_seeds([p[i][what] for p in parts]) for i in range(len(parts[0]))
                        ]
                        for what in ("accuracy", "nats")
                    }
                    eighths = np.nanmean([p[-1]["by eighth"] for p in parts], 0)
                    out[task][key]["accuracy by eighth at 8 L"] = eighths.round(4).tolist()
                else:
                    bits = np.array(parts).mean(1) / math.log(2)  # (seeds, bins)
                    out[task][key] = [over_seeds(list(column)) for column in bits.T]
                    out["corpus"] = runs[0]["corpus"]
            out.setdefault("seeds done", {})[f"{task}, {kind}"] = len(runs)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--task", choices=("recall", "docs"), action="append")
    parser.add_argument("--table", action="store_true", help="only gather what is done")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    s = Settings()
    FOLDER.mkdir(parents=True, exist_ok=True)
    if not arguments.table:
        for seed in range(s.seeds):  # seeds outermost: a table of few seeds is whole, too
            for task in arguments.task or ("recall", "docs"):
                for kind in KINDS if seed < seeds_of(s, task) else ():
                    path = FOLDER / f"{task}-{kind}-{seed}.json"
                    if not path.exists():
                        result = {"recall": recall, "docs": docs}[task](s, kind, seed)
                        write(path, {"settings": asdict(s), **result})
                        print(f"{task}, {kind}, seed {seed}: loss {result['losses']}", flush=True)
    write(RESULT, table(s))
    print(f"written to {RESULT}")


if __name__ == "__main__":
    main()
