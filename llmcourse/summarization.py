"""Summaries: sentences chosen by TextRank, and what a summary claims, held against the story.

>>> story = tales.generate(seed=1, n=1)[0]
>>> verdict(story, tales.summary(story))
'faithful'
"""

import importlib
import inspect
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from llmcourse import tales
from llmcourse.adapt.examples import MODULES

__all__ = [
    "VERDICTS",
    "Docstring",
    "docstrings",
    "extract",
    "likeness",
    "sentences",
    "textrank",
    "verdict",
]

# What may be wrong with a summary of a tale, in the order in which it is looked for.
VERDICTS = ("no summary", "plot", "hero", "friend", "thing", "ending", "faithful")
_MORE = """asyncio.base_events asyncio.events asyncio.locks asyncio.queues asyncio.streams
    asyncio.subprocess asyncio.tasks bdb bz2 cgi chunk codecs compileall concurrent.futures
    concurrent.futures._base ctypes.util datetime doctest email._policybase email.charset
    email.generator email.header email.headerregistry email.message email.parser http.cookiejar
    http.cookies http.server importlib._abc importlib.abc importlib.metadata importlib.util
    json.decoder json.encoder logging.config logging.handlers lzma modulefinder
    multiprocessing.managers multiprocessing.pool multiprocessing.shared_memory ntpath pdb pstats
    pyclbr shelve socket ssl stat sysconfig telnetlib threading tracemalloc unittest.loader
    unittest.mock unittest.result unittest.runner unittest.suite urllib.response
    urllib.robotparser webbrowser wsgiref.handlers wsgiref.headers wsgiref.util
    xml.etree.ElementTree
    xml.sax.handler xml.sax.saxutils xml.sax.xmlreader zipapp zoneinfo""".split()


def verdict(story: tales.Story, text: str) -> str:
    """What is wrong with a summary of a story, or `"faithful"`: one of `VERDICTS`.

    A text that does not have the form of a summary is `"no summary"`: what it claims is unknown.
    """
    claimed = tales.claims(text, story.language)
    if claimed is None:
        return "no summary"
    facts = dict(story.facts)
    if facts["plot"] == claimed["plot"] == "quarrel" and claimed["A"] == facts["B"]:
        facts["A"], facts["B"] = facts["B"], facts["A"]  # who makes up with whom is the same
    names = {"plot": "plot", "A": "hero", "B": "friend", "O": "thing", "outcome": "ending"}
    wrong = [name for key, name in names.items() if claimed.get(key, facts[key]) != facts[key]]
    return wrong[0] if wrong else "faithful"


def sentences(text: str) -> list[str]:
    """A text cut after a full stop, question or exclamation mark that a capital follows."""
    flat = " ".join(text.split())
    return [s for s in re.split(r"(?<=[.!?”])\s+(?=[A-Z“\"'(*])", flat) if s]


def likeness(rows: Sequence[str]) -> Float[np.ndarray, "N N"]:
    """How much sentences share: common words over the sum of the logarithms of their lengths.

    No sentence is like itself. Mihalcea and Tarau (2004), section 4.1.
    """
    bags = [re.findall(r"\w+", row.lower()) for row in rows]
    out = np.zeros((len(rows), len(rows)))
    for i, a in enumerate(bags):
        for j, b in enumerate(bags):
            room = np.log(max(len(a), 1)) + np.log(max(len(b), 1))
            if i != j and room > 0:
                out[i, j] = len(set(a) & set(b)) / room
    return out


def textrank(
    weights: Float[np.ndarray, "N N"], *, damping: float = 0.85, tolerance: float = 1e-12
) -> Float[np.ndarray, " N"]:
    """The share of time that a walker spends on each sentence.

    From a sentence he goes on in proportion to `weights`, and with probability 1 − `damping`, or
    where nothing leads on, to any one. Brin and Page (1998), weighted.

    Raises:
        ValueError: no sentence, a negative or infinite weight, or a damping outside [0, 1).
    """
    weights = np.asarray(weights, dtype=float)
    n = len(weights)
    if n == 0 or weights.shape != (n, n):
        raise ValueError(f"weights must be a square table of at least 1, got {weights.shape}")
    if not np.isfinite(weights).all() or weights.min() < 0:
        raise ValueError("weights must be finite and at least 0")
    if not 0 <= damping < 1:
        raise ValueError(f"damping must lie in [0, 1), got {damping}")
    out = weights.sum(axis=1, keepdims=True)
    step = np.where(out > 0, weights / np.where(out > 0, out, 1), 1 / n)
    rank = np.full(n, 1 / n)
    while True:
        new = (1 - damping) / n + damping * rank @ step
        if np.abs(new - rank).sum() < tolerance:
            return new
        rank = new


def extract(text: str, n: int = 1) -> str:
    """The `n` sentences that TextRank puts first, in the order of the text.

    Raises:
        ValueError: `n` is below 1, or the text is empty.
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    rows = sentences(text)
    if not rows:
        raise ValueError("there is no sentence to choose: the text is empty")
    best = np.argsort(-textrank(likeness(rows)), kind="stable")[:n]
    return " ".join(rows[i] for i in sorted(best))


@dataclass(frozen=True, kw_only=True)
class Docstring:
    """A piece of Python's library: the text that describes it, and its author's own summary.

    The first line of a docstring is a summary by convention (PEP 257).
    """

    name: str
    module: str
    text: str
    summary: str


def docstrings(modules: Iterable[str] = (*MODULES, *_MORE), most: int = 700) -> list[Docstring]:
    """Docstrings of the library that have a summary and at least two sentences of prose below it.

    Code and tables are left out of the text; a text longer than `most` characters is passed over.
    What is found depends on the release of Python.
    """
    found: dict[str, Docstring] = {}
    with warnings.catch_warnings():  # modules on their way out say so when they are imported
        warnings.simplefilter("ignore", DeprecationWarning)
        for name, module, doc in _described(sorted(set(modules))):
            head, _, body = inspect.cleandoc(doc).partition("\n\n")
            prose = [p for p in body.split("\n\n") if not re.search(r">>>|^\s{2,}\S", p, re.M)]
            text, summary = " ".join(" ".join(prose).split()), " ".join(head.split())
            fits = 15 < len(summary) < 100 and summary[-1] == "." and 120 <= len(text) <= most
            if fits and len(sentences(text)) >= 2:
                found.setdefault(
                    text, Docstring(name=name, module=module, text=text, summary=summary)
                )
    return list(found.values())


def _described(modules: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Name, module and docstring of the public functions, classes and methods."""
    for module in modules:
        try:
            members = dict(vars(importlib.import_module(module)))
        except ImportError:
            continue
        for name, value in members.items():
            if getattr(value, "__module__", None) != module or name.startswith("_"):
                continue
            if inspect.isclass(value) or inspect.isfunction(value):
                if isinstance(value.__doc__, str):
                    yield f"{module}.{name}", module, value.__doc__
            if inspect.isclass(value):
                for inner, method in vars(value).items():
                    own = inspect.isfunction(method) and isinstance(method.__doc__, str)
                    if own and not inner.startswith("_"):
                        yield f"{module}.{name}.{inner}", module, method.__doc__
