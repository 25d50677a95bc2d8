"""Five optimisers race at equal time: SGD, momentum, Adam, AdamW, Muon.

Each optimiser has the same budget of computing time, which its own cost of a step turns into a
number of steps, so a dearer step must pay for itself. Costs are CPU seconds, taken interleaved:
other work on the machine slows all of them alike. Each has its own learning rate, the best of a
grid on development text with a seed that does not race; the grid grows where its end is best.

    python -m benchmarks.race            everything not yet done, then the result
    python -m benchmarks.race --table    the result of what there is

One thread. Each run leaves its file in `runs/race/`; a run that stands there is not repeated.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

import llmcourse
from llmcourse import checkpoint, data, optim, tales
from llmcourse.batches import StoryBatches, WindowBatches
from llmcourse.gpt import GPT, GPTConfig
from llmcourse.metrics import bits
from llmcourse.tokenizers import TalesTokenizer

RESULT = Path(llmcourse.__file__).parent / "results" / "race.json"
FOLDER = Path("runs") / "race"
TASKS = ("tales", "docs")
GRID = {  # half-decades, from low to high
    "SGD": (0.3, 1.0, 3.0),
    "momentum": (0.03, 0.1, 0.3),
    "Adam": (3e-3, 1e-2, 3e-2),
    "AdamW": (3e-3, 1e-2, 3e-2),
    "Muon": (3e-3, 1e-2, 3e-2),
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What every run is made with."""

    width: int = 64
    heads: int = 4
    layers: int = 2
    context: int = 64  # of docs, in bytes
    batch: int = 8  # windows of docs
    stories: int = 6  # of tales, in a batch
    train_stories: int = 4000
    test_stories: int = 200
    test_windows: int = 256
    sgd_steps: int = 500  # the budget, in steps of plain SGD
    warmup: float = 0.1  # of a run's steps; then half a cosine down to 0
    clip: float = 1.0
    weight_decay: float = 0.1  # of AdamW, and of Muon and the AdamW beside it
    seeds: int = 3
    tuning_seed: int = 100
    points: int = 6  # of a curve


def build(s: Settings, vocab: int, context: int, seed: int) -> GPT:
    form = dict(vocab_size=vocab, context=context, width=s.width, heads=s.heads, layers=s.layers)
    return GPT(GPTConfig.modern(mlp="relu2", **form), seed=seed)


def optimizers(s: Settings, name: str, model: GPT, lr: float) -> list[torch.optim.Optimizer]:
    """What moves all of a model under one name of the race."""
    if name in ("SGD", "momentum"):
        return [optim.SGD(model.parameters(), lr=lr, momentum=0.9 * (name == "momentum"))]
    kind = "muon" if name == "Muon" else "adamw"
    decay = 0.0 if name == "Adam" else s.weight_decay
    return optim.optimizers(model, kind, lr=lr, weight_decay=decay)


@dataclass(frozen=True)
class Task:
    """One kind of text: a model, batches by seed, and a score of held-out text."""

    build: Callable[[int], GPT]
    batches: Callable[[int], Callable]
    score: Callable[[GPT, str], float]


def tales_task(s: Settings) -> Task:
    """Score: excess bits a story over the true entropy, on the same stories."""
    tokenizer = TalesTokenizer()
    training = tales.generate(seed=0, n=s.train_stories, split="train")
    ids = [tokenizer.encode_story(story) for story in training]
    held = {p: tales.generate(seed=1, n=s.test_stories, split=p) for p in ("dev", "test")}

    def score(model: GPT, part: str) -> float:
        sequences = [tokenizer.encode_story(story) for story in held[part]]
        total = sum(story.logprob for story in held[part])
        source = StoryBatches(sequences, batch=15)
        for i in range(source.steps_per_epoch):
            x, y = source(i)
            total += float(model(x, y)[1]) * int((y >= 0).sum())
        return bits(total / len(sequences))

    return Task(
        lambda seed: build(s, tokenizer.vocab_size, max(map(len, ids)) + 8, seed),
        lambda seed: StoryBatches(ids, batch=s.stories, seed=seed),
        score,
    )


def docs_task(s: Settings) -> Task:
    """Score: bits a byte of Python's documentation, in windows of the training length."""
    parts = dict(zip(("train", "dev", "test"), data.split(data.load("python-docs")), strict=True))
    ids = {part: np.frombuffer(text.encode(), dtype=np.uint8) for part, text in parts.items()}
    windows = {
        part: WindowBatches(ids[part], batch=s.test_windows, context=s.context, seed=7)(0)
        for part in ("dev", "test")
    }
    return Task(
        lambda seed: build(s, 256, s.context, seed),
        lambda seed: WindowBatches(ids["train"], batch=s.batch, context=s.context, seed=seed),
        lambda model, part: bits(float(model(*windows[part])[1])),
    )


def one_step(s: Settings, model: GPT, made: list, batch: tuple, fraction: float, lr: float) -> None:
    loss = model(*batch)[1]
    for optimizer in made:
        optimizer.zero_grad()
    loss.backward()
    optim.clip_gradients(model.parameters(), s.clip)
    for optimizer in made:
        for group in optimizer.param_groups:
            group["lr"] = lr * fraction
        optimizer.step()


def costs(s: Settings, task: Task, rounds: int = 24) -> dict[str, float]:
    """CPU seconds of a whole step, by optimiser: the median of interleaved steps."""
    batches = task.batches(s.tuning_seed)
    runners = {}
    for name in GRID:
        model = task.build(s.tuning_seed)
        runners[name] = (model, optimizers(s, name, model, 1e-3))
    seconds: dict[str, list[float]] = {name: [] for name in GRID}
    for i in range(rounds):
        batch = batches(i)
        for name, (model, made) in runners.items():
            start = time.process_time()
            one_step(s, model, made, batch, 1.0, 1e-3)
            seconds[name].append(time.process_time() - start)
    return {name: statistics.median(values[3:]) for name, values in seconds.items()}


def run(
    s: Settings, task: Task, name: str, lr: float, steps: int, seed: int, part: str, points: int
) -> list[tuple[int, float]]:
    """Train once; the score after some numbers of steps, the last at the end."""
    model, batches = task.build(seed), task.batches(seed)
    made = optimizers(s, name, model, lr)
    marks = {round(steps * k / points) for k in range(1, points + 1)}
    curve = []
    for step in range(steps):
        fraction = optim.warmup_cosine(step, steps=steps, warmup=int(s.warmup * steps), floor=0.0)
        one_step(s, model, made, batches(step), fraction, lr)
        if step + 1 in marks:
            with torch.inference_mode():
                value = task.score(model, part)
            curve.append((step + 1, round(value, 4)))
    return curve


def once(name: str, make: Callable):
    """What `make` returns, from its file where it was made before; the file appears whole."""
    path = FOLDER / f"{name}.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".part").write_text(json.dumps(make()))
        os.replace(path.with_suffix(".part"), path)
        print(name, "done", flush=True)
    return json.loads(path.read_text())


def tune(start: tuple[float, ...], score: Callable[[float], float], grow: int = 6) -> dict:
    """Score a grid, and let it grow where its end is best: {rate: score}, from low to high."""
    tried = {lr: score(lr) for lr in start}
    for _ in range(grow):
        # A run that blew up scores NaN, which no comparison may call best.
        best = min(tried, key=lambda lr: tried[lr] if tried[lr] == tried[lr] else float("inf"))
        if best not in (min(tried), max(tried)):
            break
        lr = float(f"{best * (10**0.5 if best == max(tried) else 10**-0.5):.1g}")
        tried[lr] = score(lr)
    return dict(sorted(tried.items()))


def best_of(tried: dict[float, float]) -> float:
    """The rate with the lowest score; one that blew up does not count."""
    return min((lr for lr in tried if tried[lr] == tried[lr]), key=tried.__getitem__)


def race(s: Settings, task_name: str) -> dict:
    task = {"tales": tales_task, "docs": docs_task}[task_name](s)
    cost = once(f"{task_name}-costs", lambda: costs(s, task))
    out = {"cost": cost, "steps": {}, "grid": {}, "lr": {}, "curves": {}}
    for name in GRID:
        steps = round(s.sgd_steps * cost["SGD"] / cost[name])

        def score(lr: float, name: str = name, steps: int = steps) -> float:
            made = lambda: run(s, task, name, lr, steps, s.tuning_seed, "dev", 1)  # noqa: E731
            return once(f"{task_name}-{name}-grid-{lr:g}", made)[-1][1]

        grid = tune(GRID[name], score)
        lr = best_of(grid)
        curves = [
            once(
                f"{task_name}-{name}-{seed}",
                lambda seed=seed, name=name, lr=lr, steps=steps: run(
                    s, task, name, lr, steps, seed, "test", s.points
                ),
            )
            for seed in range(s.seeds)
        ]
        out["steps"][name], out["lr"][name], out["curves"][name] = steps, lr, curves
        out["grid"][name] = list(grid.items())
    return out


def table(result: dict) -> str:
    lines = []
    for task, out in result["tasks"].items():
        for name, curves in out["curves"].items():
            ends = [curve[-1][1] for curve in curves]
            lines.append(
                f"{task:6} {name:9} lr {out['lr'][name]:<6g} {out['steps'][name]:4} steps "
                f"{1e3 * out['cost'][name]:6.1f} ms  {statistics.mean(ends):8.3f}  {ends}"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", action="store_true", help="print the result that is there")
    if parser.parse_args().table:
        print(table(json.loads(RESULT.read_text())))
        return
    torch.set_num_threads(1)
    s = Settings()
    result = {
        "what": "loss against computing time of five optimisers, on tales and on documentation",
        "command": "python -m benchmarks.race",
        "settings": asdict(s),
        "python-docs": data.load("python-docs").sha256[:12],
        "entropy": tales.entropy(),
        "tasks": {},
    }
    for task in TASKS:
        result["tasks"][task] = race(s, task)
        checkpoint.write_file(RESULT, json.dumps(result).encode() + b"\n")
    print(table(result))


if __name__ == "__main__":
    main()
