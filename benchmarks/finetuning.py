"""Fine-tuning measured: what is gained on the new text, and what is lost on the old.

    python -m benchmarks.finetuning          about fifteen minutes of one core; goes on if killed

Full fine-tuning, a smaller rate, a mixture with old data, and LoRA at several ranks, three seeds
each. Real text: `gpt2-mini` (Python's documentation) learns Python's own source code. Tales: the
shipped `tales` model learns English stories of one plot. Writes
`llmcourse/results/finetuning.json`; the chapter `practice/finetuning` reads it.
"""

import argparse
import importlib
import inspect
import itertools
import json
import math
from pathlib import Path

import numpy as np
import torch

from llmcourse import checkpoint, data, evaluate, lora, models, tales
from llmcourse.metrics import bits
from llmcourse.train import StoryBatches, TrainConfig, WindowBatches, train

OUT = Path(__file__).parents[1] / "llmcourse" / "results" / "finetuning.json"
TRAINING = """abc argparse ast base64 bisect calendar cmd code codeop collections colorsys
    configparser contextlib copy csv dataclasses difflib dis enum filecmp fnmatch fractions
    ftplib functools getopt getpass gettext glob graphlib heapq hmac imaplib json.encoder
    keyword mailbox netrc operator optparse""".split()
HELD_OUT = """plistlib poplib pprint queue quopri random reprlib sched selectors shlex shutil
    socketserver statistics string tempfile textwrap timeit tokenize trace uuid""".split()
STEPS, SEEDS = 60, (0, 1, 2)
PLOT, OLD_SEED = "lost", 90
WAYS = {
    "full": dict(lr=2e-3),
    "full, half old": dict(lr=2e-3, old=0.5),
    "full, rate / 10": dict(lr=2e-4),
    "LoRA 16": dict(lr=1e-2, rank=16),
    "LoRA 4": dict(lr=1e-2, rank=4),
    "LoRA 1": dict(lr=1e-2, rank=1),
    "full, rate / 3": dict(lr=7e-4),
    "LoRA 16, rate / 5": dict(lr=2e-3, rank=16),
}


def source(name: str) -> str:
    return inspect.getsource(importlib.import_module(name))


def mixed(new, old, share: float):
    """Batches of which the first rows are new and `share` of all are old."""

    def batches(step):
        rows = new(step)
        if not share:
            return rows
        kept = len(rows[0]) - round(share * len(rows[0]))
        other = old(step)
        long = max(rows[0].shape[1], other[0].shape[1])
        cut = [(a[:kept], b[: len(a) - kept]) for a, b in zip(rows, other, strict=True)]
        pads = (0, -100)
        return tuple(
            torch.cat([torch.nn.functional.pad(p, (0, long - p.shape[1]), value=v) for p in pair])
            for pair, v in zip(cut, pads, strict=True)
        )

    return batches


def settings(lr: float) -> TrainConfig:
    return TrainConfig(steps=STEPS, lr=lr, weight_decay=0.0, betas=(0.9, 0.999), precision="fp32")


def adapt(model, new, old, *, lr, old_share=0.0, rank=0, seed=0):
    if rank:
        lora.add(model, lora.LoRAConfig(rank=rank, alpha=float(rank)), seed=seed)
    train(model, mixed(new, old, old_share), settings(lr))
    return model.eval()


class Real:
    name = "real"

    def __init__(self):
        _, self.tokenizer = models.load("gpt2-mini")
        end = self.tokenizer.special_tokens["<|endoftext|>"]
        corpus = data.load("python-docs")
        docs, dev, _ = data.split(corpus, (0.8, 0.1, 0.1))
        encode = self.tokenizer.encode

        def pack(texts):
            return np.array([t for text in texts for t in (*encode(text), end)], dtype=np.int32)

        self.new_ids = pack(source(m) for m in TRAINING)
        self.old_ids = pack(docs.split(corpus.separator))
        texts = {
            "new": [source(m)[2000:5000] for m in HELD_OUT],
            "old": [d[:3000] for d in dev.split(corpus.separator)],
        }
        self.rows = {k: [([end, *encode(t)], len(t.encode())) for t in v] for k, v in texts.items()}

    def run(self, way, seed):
        model, _ = models.load("gpt2-mini")
        new, old = (
            WindowBatches(ids, batch=8, context=128, seed=seed)
            for ids in (self.new_ids, self.old_ids)
        )
        if way is not None:
            adapt(model, new, old, lr=way["lr"], old_share=way.get("old", 0.0),
                  rank=way.get("rank", 0), seed=seed)  # fmt: skip
        return {k: self.score(model, rows) for k, rows in self.rows.items()}

    def score(self, model, rows):
        total = sum(bits(evaluate.sequence_nats(model, ids).sum()) for ids, _ in rows)
        return float(total / sum(n for _, n in rows))


def plot_share(plot: str) -> float:
    """The probability of a plot, exact."""
    story = next(s for s in tales.generate(seed=0, n=500) if s.facts["plot"] == plot)
    state = next(state for state, frame, _ in story.sentences if frame.stage == "plot")
    frames = story._tongue.frames("plot", state.decided)
    return math.fsum(p for p, frame in frames if frame.sets.get("plot") == plot)


class Tales:
    name = "tales"

    def __init__(self):
        _, self.words = models.load("tales")
        self.log_share = math.log(plot_share(PLOT))
        many = {s: tales.generate(seed=7, n=4000, split=s) for s in ("train", "test")}
        one = {k: [s for s in v if s.facts["plot"] == PLOT] for k, v in many.items()}
        self.new = one["train"]
        self.old = [
            story
            for language in tales.LANGUAGES
            for story in tales.generate(seed=OLD_SEED, n=600, language=language)
        ]
        self.judged = {
            "new": one["test"][:200],
            "en": [s for s in many["test"] if s.facts["plot"] != PLOT][:200],
            "zh": tales.generate(seed=7, n=200, language="zh", split="test"),
        }

    def run(self, way, seed):
        model, _ = models.load("tales")
        new, old = (
            StoryBatches([self.words.encode_story(s) for s in stories], batch=16, seed=seed, pad=0)
            for stories in (self.new, self.old)
        )
        if way is not None:
            adapt(model, new, old, lr=way["lr"], old_share=way.get("old", 0.0),
                  rank=way.get("rank", 0), seed=seed)  # fmt: skip
        found = {}
        for name, stories in self.judged.items():
            scored = evaluate.story_nats(model, self.words, stories)
            over = [n - s.token_nats for n, s in zip(scored, stories, strict=True)]
            shift = bits(self.log_share) if name == "new" else 0.0
            found[name] = float(bits(sum(o.sum() for o in over)) / len(stories) - shift)
            found[f"{name} by kind"] = by_kind(over, stories)
        return found


def by_kind(over, stories):
    total = dict.fromkeys(tales.KINDS, 0.0)
    for o, story in zip(over, stories, strict=True):
        for kind, x in zip(story.kinds, o, strict=True):
            total[kind] += float(bits(x)) / len(stories)
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=OUT)
    out = parser.parse_args().out
    torch.set_num_threads(1)
    found = json.loads(out.read_text()) if out.is_file() else {}
    worlds = (Real(), Tales())
    for seed, world, (way, given) in itertools.product(
        SEEDS, worlds, {"before": None, **WAYS}.items()
    ):
        key = f"{world.name} | {way} | {seed}"
        if key in found or (given is None and seed):
            continue
        found[key] = world.run(given, seed)
        print(key, {k: v for k, v in found[key].items() if "kind" not in k}, flush=True)
        checkpoint.write_file(out, json.dumps(found, indent=1).encode() + b"\n")


if __name__ == "__main__":
    main()
