"""How the shipped model `tales` was made; running this module makes it again.

    python -m llmcourse.models.tales                  some 50 minutes of one core
    python -m llmcourse.models.tales --steady 20 --decay 10 --stories 400 --out runs/try

The modern form, trained on stories in both languages: first at a steady learning rate, then with
the rate falling to zero (the falling part is where most of the last per cent is won). Killed, it
goes on from its last checkpoint. At the end the weights are rounded to int8, and what is written
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
FORM = dict(context=256, width=192, layers=3, heads=4)  # with 1,209 words: 1.56 M parameters
STORIES = 60_000  # for training, in each language
BATCH = 32
STEADY = dict(steps=4000, lr=4e-3, schedule="constant")
DECAY = dict(steps=4000, lr=4e-3, schedule="cosine", warmup=0)
COMMON = dict(optimizer="muon", weight_decay=0.05, log_every=50)


def rows(tokenizer: TalesTokenizer, *, seed: int, n: int, split: str) -> list[list[int]]:
    """`n` stories in each language, as ids; the two languages tell different stories."""
    return [
        tokenizer.encode_story(story)
        for k, language in enumerate(tales.LANGUAGES)
        for story in tales.generate(seed=2 * seed + k, n=n, language=language, split=split)
    ]


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


def make(
    *, steady: int, decay: int, stories: int, runs: Path, out: Path, start: int | None = None
) -> dict:
    """Train, round, measure, and write to `out`; `start` takes a steady run on disk from there."""
    tokenizer = TalesTokenizer()
    batches = StoryBatches(
        rows(tokenizer, seed=0, n=stories, split="train"), batch=BATCH, seed=0, pad=0
    )
    model = GPT(GPTConfig.modern(vocab_size=tokenizer.vocab_size, **FORM), seed=0)
    first = steady if start is None else start
    if start is None:
        settings = STEADY | COMMON | {"steps": steady, "warmup": min(100, steady)}
        config = TrainConfig(**settings, checkpoint_every=100, keep=100)
        train(model, batches, config, out=runs / "steady", on_log=_say)
    else:
        checkpoint.load_into(model, runs / "steady" / f"step-{start:06d}")
    config = TrainConfig(**(DECAY | COMMON | {"steps": decay}), checkpoint_every=100)
    # The falling part reads on where the steady part stopped, with a fresh optimiser.
    train(
        model,
        lambda step: batches(first + step),
        config,
        out=runs / f"decay-{first}-{decay}",
        on_log=_say,
    )
    about = {"stories": stories, "steady": first, "decay": decay, "batch": BATCH, "seed": 0}
    checkpoint.save(model, out, dtype="int8", extra=about)
    shipped = checkpoint.load(out)
    about |= {"measured": measured(shipped), "entropy": tales.entropy()}
    checkpoint.save(model, out, dtype="int8", extra=about)
    return about


def _say(history) -> None:
    print(history.records[-1], flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steady", type=int, default=STEADY["steps"])
    parser.add_argument("--decay", type=int, default=DECAY["steps"])
    parser.add_argument("--stories", type=int, default=STORIES)
    parser.add_argument("--start", type=int, help="decay from this step of a steady run on disk")
    parser.add_argument("--runs", type=Path, default=Path("runs") / "tales")
    parser.add_argument("--out", type=Path, default=HOME)
    parser.add_argument("--threads", type=int, default=2)
    given = vars(parser.parse_args())
    torch.set_num_threads(given.pop("threads"))
    print(make(**given))


if __name__ == "__main__":
    main()
