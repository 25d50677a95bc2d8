"""What every project learns from, and how it is judged."""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from llmcourse import tales
from llmcourse.evaluate import Interval, bootstrap
from llmcourse.exercises.core import expect
from llmcourse.metrics import bits

START, END = 0, 1
Rows = list[list[int]]
Predict = Callable[[list[int]], np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Stories to learn from and to be judged on; every row is `[START, words and marks, END]`."""

    train: Rows
    dev: Rows
    test: Rows
    stories: list[tales.Story]  # those of `test`, for their true probabilities
    vocab: int


@functools.cache
def corpus() -> Corpus:
    """4,000 English tales to train on, 150 to tune with, 60 to be judged on; always the same."""
    words = {word: i for i, word in enumerate(tales.terminals("en"), start=2)}

    def drawn(split: str, n: int) -> tuple[Rows, list[tales.Story]]:
        stories = tales.generate(seed=40, n=n, split=split)
        return [[START, *(words[w] for w in s.tokens), END] for s in stories], stories

    test, stories = drawn("test", 60)
    return Corpus(
        train=drawn("train", 4000)[0],
        dev=drawn("dev", 150)[0],
        test=test,
        stories=stories,
        vocab=len(words) + 2,
    )


def surprise(predict: Predict, rows: Rows) -> list[np.ndarray]:
    """Nats of each token of each row after its start; `predict` sees only what came before."""
    return [
        np.array([-math.log(max(predict(row[:t])[row[t]], 1e-300)) for t in range(1, len(row))])
        for row in rows
    ]


def above(nats: Sequence[np.ndarray], which: slice = slice(None)) -> Interval:
    """Bits a story above the truth on the corpus's test stories, with a 95 % interval."""
    pairs = zip(nats, corpus().stories[which], strict=True)
    return bootstrap(np.array([bits(n.sum() - s.token_nats.sum()) for n, s in pairs]), seed=0)


def judge(nats: Sequence[np.ndarray], bar: float, which: slice = slice(None)) -> None:
    """Print the score; fail unless the whole interval is below the bar."""
    score = above(nats, which)
    said = f"{score.estimate:.1f} bits a story above the truth, 95 % {score.low:.1f} to "
    said += f"{score.high:.1f}"
    expect(
        score.estimate > 1.0,
        f"{said}: this is the language itself, which a model cannot learn so well from "
        f"{len(corpus().train):,} stories; learn from the stories, do not ask the grammar",
    )
    expect(score.high < bar, f"{said}: the interval is not below the bar of {bar:g}")
    if bar < math.inf:
        print(f"{said}; the bar is {bar:g}")
