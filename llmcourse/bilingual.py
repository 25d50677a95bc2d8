"""Real English and Chinese side by side, from packages that the book's own tools install.

| name | what | where it comes from |
| --- | --- | --- |
| `messages` | what Sphinx says while it builds a book | Sphinx's catalogue `zh_CN` (BSD licence) |
| `names` | languages, scripts, countries, currencies | the CLDR data in Babel (Unicode licence) |

Both were written by people who translate. They change with their packages, so `Pairs.about` gives
version, count and hash, to be printed beside any number that depends on them.
"""

import hashlib
import importlib.metadata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from llmcourse.data import Unavailable

__all__ = ["NAMES", "Pairs", "load", "nearest", "words"]

NAMES = ("messages", "names")
LONGEST = 120  # characters of an English message
_TEST = 0.35  # of the pairs, by a hash of the English side
_INSTALL = "it comes with the book's tools: pip install 'llmcourse[book]'"


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Pairs (English, Chinese) in two parts that share no English text."""

    name: str
    train: tuple[tuple[str, str], ...]
    test: tuple[tuple[str, str], ...]
    source: str  # package and version
    licence: str

    @property
    def about(self) -> str:
        """One line: what, how many, from where, and a hash of all of it."""
        text = repr(sorted([*self.train, *self.test]))
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        counts = f"{len(self.train):,} + {len(self.test):,} pairs"
        return f"{self.name}: {counts}, {self.source}, {self.licence}, sha256 {digest}…"


def _messages() -> Iterator[tuple[str, str]]:
    from babel.messages.pofile import read_po

    place = files("sphinx").joinpath("locale/zh_CN/LC_MESSAGES/sphinx.po")
    with place.open("rb") as file:
        for message in read_po(file, locale="zh_CN"):
            if isinstance(message.id, str) and isinstance(message.string, str):
                if not message.fuzzy:
                    yield message.id, message.string


def _names() -> Iterator[tuple[str, str]]:
    from babel import Locale

    english, chinese = Locale("en"), Locale("zh")
    for kind in ("languages", "scripts", "territories", "currencies"):
        here, there = getattr(english, kind), getattr(chinese, kind)
        for code in sorted(set(here) & set(there)):
            yield here[code], there[code]


def _in_test(text: str) -> bool:
    digest = hashlib.blake2b(text.encode(), digest_size=2).digest()
    return int.from_bytes(digest) < _TEST * 2**16


@cache
def load(name: str) -> Pairs:
    """One of `NAMES`.

    Long messages, those of several lines and those that stay English are left out.

    Raises:
        ValueError: no corpus of that name.
        Unavailable: its package is not installed.
    """
    if name not in NAMES:
        raise ValueError(f"name must be one of {NAMES}, got {name!r}")
    package = "sphinx" if name == "messages" else "babel"
    try:
        pairs = dict(_messages() if name == "messages" else _names())
        version = importlib.metadata.version(package)
    except (ImportError, FileNotFoundError) as error:
        raise Unavailable(
            f"the pairs {name!r} need {package}, which is not here; {_INSTALL}"
        ) from error
    kept = [
        (en, zh)
        for en, zh in pairs.items()
        if 0 < len(en) <= LONGEST and "\n" not in en and zh and zh != en
    ]
    return Pairs(
        name=name,
        train=tuple(p for p in kept if not _in_test(p[0])),
        test=tuple(p for p in kept if _in_test(p[0])),
        source=f"{package} {version}",
        licence="BSD" if name == "messages" else "Unicode licence",
    )


def words(text: str) -> list[str]:
    """Words, numbers, single marks, and each Chinese character by itself, in order.

    >>> words("see %s: 见图 1")
    ['see', '%s', ':', '见', '图', '1']
    """
    out: list[str] = []
    glued = False
    for previous, c in zip(" " + text, text, strict=False):
        latin = (c.isalnum() or c in "_'") and ord(c) < 0x2E80
        if c.isspace():
            glued = False
            continue
        if (latin and glued) or (c in "srd" and previous == "%"):
            out[-1] += c
        else:
            out.append(c)
        glued = latin
    return out


def nearest(text: str, memory: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """The pair of a translation memory whose English shares most character trigrams with a text.

    The share is the Dice coefficient; of equals the first.

    Raises:
        ValueError: the memory is empty.
    """
    if not memory:
        raise ValueError("a translation memory needs at least one pair, got none")
    wanted = _trigrams(text)

    def alike(pair: tuple[str, str]) -> float:
        there = _trigrams(pair[0])
        return 2 * len(wanted & there) / (len(wanted) + len(there))

    return max(memory, key=alike)


@cache
def _trigrams(text: str) -> frozenset[str]:
    padded = f"  {text.lower()} "
    return frozenset(padded[i : i + 3] for i in range(len(padded) - 2))
