"""How the shipped model `tales` was made; running this module makes it again.

    python -m llmcourse.models.tales        about an hour and a half of one core
    python -m llmcourse.models.tales --scale 0.01 --stories 400 --runs runs/try --out runs/try/out

The modern form, trained on stories in both languages: first at a steady learning rate, then with
the rate falling to zero (where most of the excess goes), then once more from a lower peak, and at
last on fresh stories of which two in three are Chinese, the harder language. Killed, it goes on
from its last checkpoint. At the end the weights are rounded to int8, and what is written
into the checkpoint is measured on the rounded weights: bits a story above the true entropy.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import nn

from llmcourse import checkpoint, evaluate, tales
from llmcourse.gpt import GPT, GPTConfig
from llmcourse.metrics import bits
from llmcourse.tokenizers import TalesTokenizer
from llmcourse.train import StoryBatches, TrainConfig, train

HOME = Path(__file__).parent / "tales"
FORM = dict(context=256, width=192, layers=3, heads=4)  # 1.56 M parameters
STORIES = 60_000  # for training, in each language
BATCH = 32
COMMON = dict(optimizer="muon", weight_decay=0.05, log_every=50)
# Each phase begins with a fresh optimiser, and reads on where the one before it stopped; `settle`
# reads other stories, `SETTLE_ZH` times as many in Chinese.
PHASES = {
    "steady": dict(steps=4000, lr=4e-3, schedule="constant", warmup=100),
    "decay": dict(steps=4000, lr=4e-3, schedule="cosine", warmup=0),
    "again": dict(steps=3000, lr=1.5e-3, schedule="cosine", warmup=50),
    "settle": dict(steps=4500, lr=2e-3, schedule="cosine", warmup=50),
}
SETTLE_ZH = 2


def reader(tokenizer: TalesTokenizer, *, seed: int, n: int, zh: int = 1) -> StoryBatches:
    """Batches of `n` English and `zh * n` Chinese training stories, different ones in each."""
    counts = {"en": n, "zh": zh * n}
    rows = [
        tokenizer.encode_story(story)
        for k, language in enumerate(tales.LANGUAGES)
        for story in tales.generate(seed=2 * seed + k, n=counts[language], language=language)
    ]
    return StoryBatches(rows, batch=BATCH, seed=seed, pad=0)


def excess(model: nn.Module, language: str, *, split: str = "test", n: int = 1000) -> np.ndarray:
    """Bits of each story above the truth, log p − log q; the mean estimates the KL divergence."""
    stories = tales.generate(seed=0, n=n, language=language, split=split)
    tokenizer = TalesTokenizer()
    scored = evaluate.token_nats(model, [tokenizer.encode_story(s) for s in stories], batch=64)
    return np.array(
        [bits(nats.sum() - s.token_nats.sum()) for nats, s in zip(scored, stories, strict=True)]
    )


def measured(model: nn.Module, n: int = 1000) -> dict[str, dict[str, float]]:
    """By language: mean excess in bits a story with its 95 % interval, and as a share."""
    found = {}
    for language in tales.LANGUAGES:
        interval = evaluate.bootstrap(excess(model, language, n=n), seed=0)
        found[language] = {
            "excess_bits": interval.estimate,
            "low": interval.low,
            "high": interval.high,
            "share": interval.estimate / tales.entropy(language),
        }
    return found


def phase(
    model: nn.Module, batches: StoryBatches, name: str, *, first: int, scale: float, runs: Path
) -> int:
    """Train through one phase, from batch number `first` on; returns its number of steps."""
    settings = COMMON | PHASES[name]
    steps = max(1, round(settings["steps"] * scale))
    settings |= {"steps": steps, "warmup": min(settings["warmup"], steps)}
    train(
        model,
        lambda step: batches(first + step),
        TrainConfig(**settings, checkpoint_every=100),
        out=runs / name,
        on_log=lambda history: print(history.records[-1], flush=True),
    )
    return steps


def ship(model: nn.Module, out: Path, about: dict) -> dict:
    """Round the weights, measure them as they will be read, and write both to `out`."""
    checkpoint.save(model, out, dtype="int8")
    about |= {"measured": measured(checkpoint.load(out)), "entropy": tales.entropy()}
    checkpoint.save(model, out, dtype="int8", extra=about)
    return about


def make(*, scale: float, stories: int, runs: Path, out: Path) -> dict:
    """The whole recipe; returns what was measured."""
    tokenizer = TalesTokenizer()
    batches = reader(tokenizer, seed=0, n=stories)
    model = GPT(GPTConfig.modern(vocab_size=tokenizer.vocab_size, **FORM), seed=0)
    done = 0
    for name in PHASES:
        if name == "settle":
            batches = reader(tokenizer, seed=1, n=stories, zh=SETTLE_ZH)
        done += phase(model, batches, name, first=done, scale=scale, runs=runs)
    return ship(model, out, {"stories": stories, "steps": done, "batch": BATCH, "phases": PHASES})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0, help="of every phase's steps")
    parser.add_argument("--stories", type=int, default=STORIES, help="in each language")
    parser.add_argument("--runs", type=Path, default=Path("runs") / "tales")
    parser.add_argument("--out", type=Path, default=HOME)
    parser.add_argument("--threads", type=int, default=1)
    given = vars(parser.parse_args())
    torch.set_num_threads(given.pop("threads"))
    print(make(**given))


if __name__ == "__main__":
    main()
