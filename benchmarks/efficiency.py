"""Quality against cost: mixtures of experts, and students of a larger model.

    python -m benchmarks.efficiency              forty minutes of one core; goes on if killed
    python -m benchmarks.efficiency --compile    two minutes, and a C++ compiler

Small models are trained for equal steps on equal batches, three seeds each: dense, a mixture of
eight experts with and without its balance loss, and a student of the shipped model; on tales and
on Python's documentation. Dense and mixture learn tales again with four times the steps. Writes
`llmcourse/results/efficiency.json`, and the student of seed 0 to `llmcourse/models/student`; the
chapter `practice/efficiency` reads both.
"""

import argparse
import dataclasses
import json
import platform
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from llmcourse import checkpoint, data, evaluate, models, tales
from llmcourse.gpt import GPT, GPTConfig
from llmcourse.metrics import bits
from llmcourse.moe import MoEConfig, MoEGPT
from llmcourse.train import StoryBatches, TrainConfig, WindowBatches, train

PACKAGE = Path(__file__).parents[1] / "llmcourse"
OUT, STUDENT = PACKAGE / "results" / "efficiency.json", PACKAGE / "models" / "student"
FORM = dict(context=256, width=64, heads=4, layers=2, hidden=176)
SEEDS = (0, 1, 2)
SETTINGS = {
    "tales": TrainConfig(steps=600, lr=4e-3, log_every=10, eval_every=50, precision="fp32"),
    "tales, longer": TrainConfig(
        steps=2400, lr=4e-3, log_every=10, eval_every=200, precision="fp32"
    ),
    "real": TrainConfig(steps=300, lr=4e-3, log_every=10, eval_every=50, precision="fp32"),
}
MIXTURES = {
    "mixture": MoEConfig(experts=8, active=2, balance=0.01),
    "mixture, no balance": MoEConfig(experts=8, active=2, balance=0.0),
}
WAYS = {
    "tales": ("dense", "mixture", "distilled", "mixture, no balance"),
    "tales, longer": ("dense", "mixture"),
    "real": ("dense", "mixture", "distilled"),
}


class Taught(nn.Module):
    """A student whose loss is KL(teacher, student), the mean over the targets that count."""

    def __init__(self, student: nn.Module, teacher: nn.Module) -> None:
        super().__init__()
        self.student, self.config = student, student.config
        self.teacher = (teacher,)  # in a tuple: no part of what is trained

    def forward(self, x, y=None):
        logits, _ = self.student(x)
        if y is None:
            return logits, None
        counts = y != -100
        with torch.no_grad():
            p = self.teacher[0](x)[0][counts].log_softmax(-1)
        q = logits[counts].log_softmax(-1)
        return logits, (p.exp() * (p - q)).sum(-1).mean()


class World:
    """What is learned from, and how a model is scored: one row a document, (bits, units)."""

    def train_one(self, way: str, seed: int) -> tuple[nn.Module, dict]:
        config = GPTConfig.modern(vocab_size=self.vocab_size, **FORM)
        if way.startswith("mixture"):
            model = MoEGPT(config, MIXTURES[way], seed=seed)
        else:
            model = GPT(config, seed=seed)
        learner = Taught(model, self.teacher) if way == "distilled" else model
        curve = []

        def look(step, _):
            rows = self.rows(model, self.dev)
            curve.append([step, round(float(rows[:, 0].sum() / rows[:, 1].sum()), 3)])

        start = time.process_time()
        train(learner, self.batches(seed), SETTINGS[self.name], dev=None, on_eval=look)
        rows = self.rows(model.eval(), self.test)
        found = evaluate.bootstrap(rows, lambda r: r[:, 0].sum() / r[:, 1].sum(), seed=0)
        about = {
            "curve": curve,
            "test": [found.low, found.estimate, found.high],
            "rows": rows.round(1).tolist(),
            "cpu seconds": round(time.process_time() - start, 1),
            "parameters": model.parameter_count(),
            "flops": model.flops_per_token(64),
        }
        if isinstance(model, MoEGPT):
            about["active"] = model.active_parameters()
            about["load"] = np.round(self.load(model).tolist(), 4).tolist()
        return model, about

    @torch.no_grad()
    def load(self, model: MoEGPT) -> torch.Tensor:
        """Share of each expert over real tokens only: one document at a time, unfilled."""
        shares, total = 0.0, 0
        for ids in self.sequences()[:100]:
            model(torch.tensor([ids[:-1]]))
            shares, total = shares + model.load() * (len(ids) - 1), total + len(ids) - 1
        return shares / total


class Tales(World):
    def __init__(self, name="tales"):
        self.name = name
        self.teacher, self.words = models.load("tales")
        self.vocab_size = self.words.vocab_size
        n = 16 * SETTINGS[name].steps  # each story once
        self.learned = [self.words.encode_story(s) for s in tales.generate(seed=31, n=n)]
        self.test = tales.generate(seed=32, n=400, split="test")
        self.dev = tales.generate(seed=33, n=80, split="dev")

    def batches(self, seed):
        return StoryBatches(self.learned, batch=16, seed=seed, pad=0)

    def rows(self, model, stories):
        """Bits above the truth, and 1 a story."""
        scored = evaluate.story_nats(model, self.words, stories)
        pairs = zip(scored, stories, strict=True)
        return np.array([[bits(n.sum() - s.token_nats.sum()), 1.0] for n, s in pairs])

    def sequences(self):
        return [self.words.encode_story(s) for s in self.test]


class Real(World):
    name = "real"

    def __init__(self):
        self.teacher, self.bpe = models.load("gpt2-mini")
        self.vocab_size = self.bpe.vocab_size
        self.end = self.bpe.special_tokens["<|endoftext|>"]
        corpus = data.load("python-docs")
        parts = [p.split(corpus.separator) for p in data.split(corpus, (0.8, 0.1, 0.1))]
        self.ids = np.array([t for d in parts[0] for t in (*self.bpe.encode(d), self.end)])
        self.dev = [d[:1500] for d in parts[1]][:12]
        self.test = [d[:3000] for d in parts[2]]

    def batches(self, seed):
        return WindowBatches(self.ids, batch=8, context=128, seed=seed)

    def rows(self, model, documents):
        """Bits and bytes of each document."""
        return np.array(
            [
                [bits(evaluate.sequence_nats(model, ids).sum()), len(text.encode())]
                for ids, text in zip(self.sequences(documents), documents, strict=True)
            ]
        )

    def sequences(self, documents=None):
        documents = self.test if documents is None else documents
        return [[self.end, *self.bpe.encode(d)] for d in documents]

    @torch.no_grad()
    def load(self, model):
        shares = []
        for ids in self.sequences():
            model(torch.tensor([ids[:256]]))
            shares.append(model.load())
        return torch.stack(shares).mean(0)


def ship(model: nn.Module, world: World, folder: Path) -> None:
    """Write the student in int8, and beside it what the rounded weights score."""
    about = {"command": "python -m benchmarks.efficiency", "parameters": model.parameter_count()}
    checkpoint.save(model, folder, dtype="int8", extra=about)
    rows = world.rows(checkpoint.load(folder), world.test)
    found = evaluate.bootstrap(rows[:, 0], seed=0)
    about["excess bits"] = [found.low, found.estimate, found.high]
    checkpoint.save(model, folder, dtype="int8", extra=about)


def seconds(run, rounds: int = 15) -> float:
    """Median of our own computing time: what else runs does not count."""
    took = []
    for _ in range(rounds):
        start = time.process_time()
        run()
        took.append(time.process_time() - start)
    return sorted(took)[rounds // 2]


def compiled() -> dict:
    """What `torch.compile` gains here: a chain of pointwise operations, a GPT's training step."""

    def chain(x, g):
        return torch.rms_norm(nn.functional.silu(g) * x, (x.shape[-1],)) + x

    x, g = torch.randn(2, 512, 1024)
    model = GPT(GPTConfig.modern(vocab_size=1209, **FORM), seed=0)
    ids = torch.randint(1209, (16, 80))

    def step(forward):
        forward(ids, ids)[1].backward()
        model.zero_grad()

    found = {"machine": platform.processor() or platform.machine(), "torch": torch.__version__}
    for name, eager, run in (
        ("chain", chain, lambda f: f(x, g)),
        ("training step", model, step),
    ):
        fast, start = torch.compile(eager), time.perf_counter()
        run(fast)
        waited = time.perf_counter() - start
        found[name] = {
            "first call": round(waited, 1),
            "eager": seconds(lambda run=run, f=eager: run(f)),
            "compiled": seconds(lambda run=run, f=fast: run(f)),
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--student", type=Path, default=STUDENT)
    parser.add_argument("--compile", action="store_true", help="time torch.compile, and end")
    given = parser.parse_args()
    torch.set_num_threads(1)
    found = json.loads(given.out.read_text()) if given.out.is_file() else {}

    def keep(key, value):
        found[key] = value
        shown = {k: v for k, v in value.items() if k not in ("curve", "load", "rows")}
        print(time.strftime("%H:%M:%S"), key, shown, flush=True)
        lines = (f"{json.dumps(k)}: {json.dumps(v)}" for k, v in found.items())  # a line a run
        checkpoint.write_file(given.out, ("{\n" + ",\n".join(lines) + "\n}\n").encode())

    if given.compile:
        return keep("compile", compiled())
    settings = {
        "form": FORM, "seeds": SEEDS,
        **{name: dataclasses.asdict(config) for name, config in SETTINGS.items()},
        "mixture": dataclasses.asdict(MIXTURES["mixture"]),
    }  # fmt: skip
    worlds = (Tales(), Real(), Tales("tales, longer"))
    if found.get("settings") != json.loads(json.dumps(settings)):
        keep("settings", settings)
    for seed in SEEDS:
        for world in worlds:
            for way in WAYS[world.name]:
                key = f"{world.name} | {way} | {seed}"
                if key in found:
                    continue
                model, about = world.train_one(way, seed)
                if (world.name, way, seed) == ("tales", "distilled", 0):
                    ship(model, world, given.student)
                keep(key, about)


if __name__ == "__main__":
    main()
