"""Adapt a model to one task, given as a file of the reader's own.

A task is a file of records: a prompt and its answer, or a text. It is read strictly, split so that
nothing asked in training is asked in the test, trained on the answers alone, and scored on what was
held out, before and after.

Example:
    >>> parts = split(read("mine.jsonl"), seed=0)               # doctest: +SKIP
    >>> base = open_base("gpt2-mini")                           # doctest: +SKIP
    >>> run(base, parts, AdaptConfig(rank=8), out="runs/mine")  # doctest: +SKIP
"""

from llmcourse.adapt.keep import card, load
from llmcourse.adapt.run import AdaptConfig, Score, adapt, compare, reply, run, score
from llmcourse.adapt.task import (
    Base,
    Parts,
    Record,
    Template,
    open_base,
    read,
    split,
)

__all__ = [
    "AdaptConfig",
    "Base",
    "Parts",
    "Record",
    "Score",
    "Template",
    "adapt",
    "card",
    "compare",
    "load",
    "open_base",
    "read",
    "reply",
    "run",
    "score",
    "split",
]
