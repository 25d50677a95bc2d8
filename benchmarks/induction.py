"""Induction heads seen to form: small attention-only models, followed through training.

Two-layer models, and one-layer ones as a control, read sequences of a random language in which
the last token or the one before it chooses the next, and in which one stretch comes twice. At
many steps each is scored on *repeated random tokens*, which it never saw: how much cheaper is the
second copy, and how much weight does each head give to the token after the last occurrence of
the present one? The one-layer models get twice the steps.

    python -m benchmarks.induction            every model not yet trained, then the result
    python -m benchmarks.induction --seed 0   only this seed

Curves of all go to `llmcourse/results/induction.json`; stages of seed 0, in 8 bits, to
`llmcourse/models/induction/`, so that the chapter recomputes the scores. One thread; less than a
minute a model on a free core.
"""

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

import llmcourse
from llmcourse import checkpoint, interpret, optim
from llmcourse.gpt import GPT, GPTConfig

RESULT = Path(llmcourse.__file__).parent / "results" / "induction.json"
PERIOD = 24  # of the repeated random tokens that score
STAGES = (0, 100, 160, 200, 220, 240, 260, 280, 300, 340, 400, 600, 800)  # of those scored


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the runs are made with; one language serves every seed."""

    vocab: int = 64
    context: int = 48
    width: int = 64
    heads: int = 4
    successors: float = 0.3  # Dirichlet parameter of each row of a table: low is peaked
    shortest: int = 16  # of a stretch that comes twice
    longest: int = 22
    steps: int = 800  # of two layers; one layer gets twice as many
    batch: int = 32
    lr: float = 1e-2
    warmup: int = 50
    every: int = 20  # steps between scores
    seeds: int = 3


def tables(settings: Settings) -> np.ndarray:
    """Cumulative p(next | last) and p(next | last but one): the language all models learn."""
    chance = np.random.default_rng(0)
    V = settings.vocab
    return chance.dirichlet(np.full(V, settings.successors), size=(2, V)).cumsum(-1)


def batch(settings: Settings, seed: int, step: int, language: np.ndarray) -> np.ndarray:
    """(B, T + 1) tokens of the language, in each row a stretch that is repeated further on.

    A fair coin says whether the last token or the one before it chooses the next.
    """
    s, chance = settings, np.random.default_rng((seed, step))
    T = s.context + 1
    ids = chance.integers(s.vocab, size=(s.batch, T))
    drawn, back = chance.random((s.batch, T)), chance.integers(2, size=(s.batch, T))
    for t in range(2, T):
        present = ids[np.arange(s.batch), t - 1 - back[:, t]]
        rows = language[back[:, t], present]
        ids[:, t] = np.minimum((rows < drawn[:, t, None]).sum(1), s.vocab - 1)
    for row in ids:
        length = int(chance.integers(s.shortest, s.longest + 1))
        start = int(chance.integers(0, T - 2 * length + 1))
        to = int(chance.integers(start + length, T - length + 1))
        row[to : to + length] = row[start : start + length]
    return ids


def build(settings: Settings, layers: int, seed: int) -> GPT:
    s = settings
    config = GPTConfig(
        vocab_size=s.vocab, context=s.context, width=s.width, heads=s.heads, layers=layers,
        positions="rope", qk_norm=True, tied=False, init_std=None,
    )  # fmt: skip
    return interpret.without(GPT(config, seed=seed), "mlp")


def scores(model: GPT, settings: Settings, step: int, loss: float) -> dict:
    ids = interpret.repeated_random(vocab_size=settings.vocab, period=PERIOD, n=64, seed=1)
    found = interpret.induction(model.eval(), ids, period=PERIOD)
    model.train()
    return {
        "step": step,
        "loss": round(loss, 4),
        "first": round(found.first, 4),
        "second": round(found.second, 4),
        "prefix": [[round(float(x), 4) for x in row] for row in found.prefix],
        "previous": [[round(float(x), 4) for x in row] for row in found.previous],
    }


def train(settings: Settings, layers: int, seed: int, keep: Path) -> list[dict]:
    """One model's curve; the model at each scored step is kept under `keep`."""
    s = settings
    model = build(s, layers, seed)
    optimizers = optim.optimizers(model, "muon", lr=s.lr, weight_decay=0.0)
    language = tables(s)
    curve, losses = [], []
    keep.mkdir(parents=True, exist_ok=True)
    steps = s.steps * (2 if layers == 1 else 1)
    for step in range(steps + 1):
        ids = torch.from_numpy(batch(s, seed, step, language))
        _, loss = model(ids[:, :-1], ids[:, 1:])
        losses.append(loss.item())
        if step % s.every == 0:
            curve.append(scores(model, s, step, float(np.mean(losses[-s.every :]))))
            checkpoint.write_file(keep / f"{step:05d}.safetensors", interpret.pack({step: model}))
            last = curve[-1]
            best = max(max(row) for row in last["prefix"])
            print(
                f"  step {step}: loss {last['loss']:.3f}, copies {last['first']:.2f} and "
                f"{last['second']:.2f}, best head {best:.2f}",
                flush=True,
            )
        model.zero_grad()
        loss.backward()
        optim.clip_gradients(model.parameters(), 1.0)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = s.lr * min(1.0, (step + 1) / s.warmup)
            optimizer.step()
    return curve


def ship(settings: Settings, layers: int, folder: Path, out: Path) -> None:
    """Some stages of one run as one file: closer together where the two-layer model changes."""
    steps = [step * (2 if layers == 1 else 1) for step in STAGES]
    models = {}
    for step in steps[:: 2 if layers == 1 else 1]:
        tensors, _ = checkpoint.read(folder / f"{step:05d}.safetensors")
        model = build(settings, layers, 0)
        state = {}
        for name in model.state_dict():
            kept = tensors[f"{step}/{name}"]
            scale = tensors.get(f"{step}/{name}{checkpoint.SCALE}")
            state[name] = kept if scale is None else checkpoint.dequantize_rows(kept, scale)
        model.load_state_dict(state)
        models[step] = model
    checkpoint.write_file(out / f"layers-{layers}.safetensors", interpret.pack(models))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, action="append")
    parser.add_argument("--runs", type=Path, default=Path("runs") / "induction")
    parser.add_argument("--result", type=Path, default=RESULT)
    parser.add_argument("--models", type=Path, default=interpret.SHIPPED)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    settings, curves = Settings(), {}
    note = arguments.runs / "settings.json"
    if note.exists() and json.loads(note.read_text()) != asdict(settings):
        raise SystemExit(f"{arguments.runs} was made with other settings: move it away first")
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps(asdict(settings)))
    for seed in range(settings.seeds) if arguments.seed is None else arguments.seed:
        for layers in (2, 1):
            folder = arguments.runs / f"layers-{layers}-seed-{seed}"
            done = folder / "curve.json"
            if not done.exists():
                print(f"{layers} layers, seed {seed}:", flush=True)
                curve = train(settings, layers, seed, folder)
                checkpoint.write_file(done, json.dumps(curve).encode())
            curves[f"layers-{layers}-seed-{seed}"] = json.loads(done.read_text())
            if seed == 0:
                ship(settings, layers, folder, arguments.models)
    result = {
        "what": "scores of attention-only models on repeated random tokens, through training; nats",
        "command": "python -m benchmarks.induction",
        "settings": asdict(settings) | {"period": PERIOD},
        "curves": {name: _columns(curve) for name, curve in curves.items()},
    }
    text = json.dumps(result, separators=(",", ":")) + "\n"
    checkpoint.write_file(arguments.result, text.encode())
    print(f"written to {arguments.result} and {arguments.models}")


def _columns(curve: list[dict]) -> dict[str, list]:
    """From one record a step to one list a quantity."""
    return {key: [record[key] for record in curve] for key in curve[0]}


if __name__ == "__main__":
    main()
