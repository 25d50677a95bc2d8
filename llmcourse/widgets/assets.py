"""The files that live figures load on first use: weights, words and grammar, a vocabulary.

Each is made from the package's own data when it is asked for, so that a page and the package
cannot drift apart.
"""

import json
import zlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from llmcourse import models, tales
from llmcourse.tales import grammar
from llmcourse.tales.text import CLOSING, SENTENCE_END
from llmcourse.tokenizers import words

__all__ = ["NAMES", "STATIC", "asset", "figures", "module"]

STATIC = Path(__file__).parent / "static"
NAMES = ("model.safetensors", "tales.json", "bpe.json", "stories.txt", "timemachine.json")
STORIES = 150  # tales, for what is trained in the page


def figures() -> tuple[str, ...]:
    """The figures that are built; `runtime` is no figure."""
    return tuple(sorted(p.stem for p in STATIC.glob("*.mjs") if p.stem != "runtime"))


def module(figure: str) -> str:
    """The ES module of a figure, in the form that anywidget takes.

    Raises:
        ValueError: there is no such figure; the message names those that are.
    """
    if figure not in figures():
        raise ValueError(f"a live figure is one of {figures()}, got {figure!r}")
    return (STATIC / f"{figure}.mjs").read_text(encoding="utf-8")


@cache
def asset(name: str) -> tuple[bytes, int]:
    """A file and its CRC-32, by which the page knows that all of it came.

    Raises:
        ValueError: no file has that name.
    """
    if name not in NAMES:
        raise ValueError(f"a live figure's file is one of {NAMES}, got {name!r}")
    if name == "model.safetensors":
        data = (models.path("tales") / name).read_bytes()
    elif name == "timemachine.json":  # by `python -m benchmarks.timemachine`
        data = (STATIC.parents[1] / "results" / name).read_bytes()
    elif name == "stories.txt":
        told = tales.generate(seed=0, n=STORIES, language="en", split="train")
        data = "\n".join(story.text for story in told).encode()
    else:
        made = _tales() if name == "tales.json" else _bpe()
        data = json.dumps(made, ensure_ascii=False, separators=(",", ":")).encode()
    return data, zlib.crc32(data)


def _tales() -> dict[str, Any]:
    rules = grammar.load()
    return {
        "special": words.SPECIAL,
        "words": {language: tales.terminals(language) for language in tales.LANGUAGES},
        "closing": "".join(sorted(CLOSING)),
        "stops": "".join(sorted(SENTENCE_END)),
        "pronouns": grammar.PRONOUNS,
        "grammar": {
            "start": rules.start,
            "end": grammar.END,
            "stages": {
                stage: [_frame(frame) for frame in frames] for stage, frames in rules.stages.items()
            },
            "classes": {
                name: {
                    "weights": group.weights,
                    "uniform": group.uniform,
                    "rows": [_row(row, rules.tags) for row in group.rows],
                }
                for name, group in rules.classes.items()
            },
            "holdout": rules.holdout,
            "values": rules.values,
            "vowels": sorted(rules.vowels),
        },
    }


def _row(row: Any, tags: Any) -> dict[str, Any]:
    """Fields that are spoken become elements; gender and measure word stay as they are."""
    return {
        field: text
        if field in ("g", "m")
        else [_element(e) for e in grammar.parse_template(text, tags)]
        for field, text in row.items()
    }


def _frame(frame: grammar.Frame) -> dict[str, Any]:
    return {
        "w": frame.weight,
        "factors": frame.factors,
        "when": frame.when,
        "sets": frame.sets,
        "next": frame.next,
        "t": {name: _elements(elements) for name, elements in frame.templates.items()},
        "draws": frame.draws,
    }


def _elements(elements: Sequence[grammar.Element]) -> list[Any]:
    return [_element(e) for e in elements]


def _element(e: grammar.Element) -> str | dict[str, Any]:
    if e.form == "literal":
        return e.word
    short = {"f": e.form, "k": e.key, "o": e.of, "d": e.field, "a": int(e.article), "b": e.also}
    return {key: value for key, value in short.items() if value}


def _bpe() -> dict[str, Any]:
    """The vocabulary of the shipped GPT-2: bytes are written as the characters U+0000 to U+00FF."""
    _, bpe = models.load("gpt2-mini")
    return {
        "tokens": [bpe.token_bytes(i).decode("latin-1") for i in range(bpe.vocab_size)],
        "merges": bpe.merges,
    }
