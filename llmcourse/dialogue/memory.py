"""What was said, what of it still fits, and how it is shown safely."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Said", "exchanges", "fit", "language_of", "visible"]


@dataclass(frozen=True, kw_only=True)
class Said:
    """A turn as the session keeps it."""

    role: str
    text: str
    pinned: bool = False  # never forgotten
    stopped: bool = False  # the answer was cut short


def visible(text: str) -> str:
    """Text that is safe to show: what would steer a terminal, or turn it around, is spelt out.

    >>> visible("a\\x1b[2Jb")
    'a\\\\x1b[2Jb'
    """
    return "".join(
        c
        if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
        else c.encode("unicode_escape").decode("ascii")
        for c in text
    )


def exchanges(said: Sequence[Said]) -> list[list[Said]]:
    """Turns in groups: what stands before the first user's turn, then a group for each of these."""
    groups: list[list[Said]] = [[]]
    for turn in said:
        if turn.role == "user":
            groups.append([])
        groups[-1].append(turn)
    return groups


def fit(lengths: Sequence[int], pinned: Sequence[bool], room: int) -> list[int]:
    """Which exchanges to show, as numbers in order: all pinned ones, the last, and as many of the
    newest others as fit in `room` tokens without a gap.

    Raises:
        ValueError: the pinned ones and the last are longer than `room` alone.
    """
    last = len(lengths) - 1
    must = [i for i in range(last + 1) if pinned[i] or i == last]
    used = sum(lengths[i] for i in must)
    if used > room:
        raise ValueError(
            f"the newest message and what is kept for good have {used} tokens, and only {room} "
            "fit: shorten the message, or begin anew"
        )
    kept = set(must)
    for i in reversed(range(last)):
        if i in kept:
            continue
        if used + lengths[i] > room:
            break  # an older, shorter one may fit: but a talk with a hole misleads
        used += lengths[i]
        kept.add(i)
    return sorted(kept)


def language_of(text: str) -> str | None:
    """Which language a message looks like by its letters: "en", "zh" or "another language".

    None where it has hardly any letters, as a sum has.

    >>> language_of("铃铛在哪里？"), language_of("Где колокол?"), language_of("1 + 2 = ?")
    ('zh', 'another language', None)
    """
    han = sum("\u4e00" <= c <= "\u9fff" for c in text)
    latin = sum(c.isascii() and c.isalpha() for c in text)
    other = sum(c.isalpha() for c in text) - han - latin
    # A Chinese character stands for a word, and names in Latin letters stand in any text.
    weights = {"zh": 3 * han, "en": latin, "another language": 2 * other}
    best = max(weights, key=weights.__getitem__)
    return best if weights[best] > 2 else None
