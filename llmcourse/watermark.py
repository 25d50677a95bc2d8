"""A watermark in text: a key divides the words anew at each place, and the writer prefers one part.

The word before and a key choose the green list, a share of all words; the writer raises the green
logits by `strength`. Who holds the key counts green words: far more than their share is no chance.
Kirchenbauer et al. (2023). Here the writer may be the language of the tales itself, so what the
mark costs is known exactly, in bits.

Example:
    >>> mark = Watermark(key=7)
    >>> mark.is_green("the", "flute") == mark.is_green("the", "flute")
    True
    >>> tilted, cost = tilt({"a": 0.5, "b": 0.5}, {"a"}, strength=2.0)
    >>> round(tilted["a"], 3), round(cost, 3)
    (0.881, 0.328)
"""

import hashlib
import math
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from llmcourse import tales

__all__ = ["Count", "Watermark", "count", "detect", "paraphrase", "threshold", "tilt", "write"]

_START = ""  # what stands before the first word


@dataclass(frozen=True, kw_only=True)
class Watermark:
    """The key, the share of words that is green, and how strongly green is preferred."""

    key: int
    share: float = 0.5  # gamma
    strength: float = 2.0  # delta, in nats added to a green word's logit

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise ValueError(f"share must lie between 0 and 1, got {self.share}")
        if not 0 <= self.strength < math.inf:
            raise ValueError(f"strength must be at least 0 and finite, got {self.strength}")

    def is_green(self, before: str, word: str) -> bool:
        """Whether `word` is green after `before`: a keyed hash below the share."""
        digest = hashlib.blake2b(
            f"{before}\0{word}".encode(), key=str(self.key).encode(), digest_size=8
        ).digest()
        return int.from_bytes(digest, "big") < self.share * 2**64


@dataclass(frozen=True)
class Count:
    """What the detector saw: `green` words of `scored`, and the share expected by chance."""

    green: int
    scored: int
    share: float

    @property
    def z(self) -> float:
        """Standard deviations above chance, were each word green independently; 0 for no word."""
        if not self.scored:
            return 0.0
        spread = math.sqrt(self.scored * self.share * (1 - self.share))
        return (self.green - self.scored * self.share) / spread


def tilt(
    p: Mapping[str, float], green: Collection[str], strength: float
) -> tuple[dict[str, float], float]:
    """The distribution q a watermarking writer draws from, and its cost KL(q ‖ p) in nats.

    Raises:
        ValueError: `p` is empty or its weights do not sum to 1.
    """
    if not p or abs(math.fsum(p.values()) - 1) > 1e-6:
        raise ValueError(f"p must sum to 1, got {math.fsum(p.values())} over {len(p)} words")
    boosted = {w: v * math.exp(strength) if w in green else v for w, v in p.items()}
    total = math.fsum(boosted.values())
    q = {w: v / total for w, v in boosted.items()}
    return q, math.fsum(v * math.log(v / p[w]) for w, v in q.items() if v > 0)


def write(
    mark: Watermark | None, rng: random.Random, language: str = "en"
) -> tuple[list[str], float, float]:
    """A story drawn from the true language, watermarked (None: not).

    Returns its tokens, the mark's cost (the sum of KL(q ‖ p) over its places, in nats) and the
    story's true surprise, -log p, in nats; both include the end.
    """
    tokens: list[str] = []
    cost = surprise = 0.0
    cursor = tales.language.Cursor(tales.language.Language(name=language))
    while not cursor.done:
        mass, total = cursor.mass(), cursor.total()
        p = q = {word: weight / total for word, weight in mass.items()}
        if mark is not None:
            before = tokens[-1] if tokens else _START
            # The end of a story is no word: the mark leaves it alone.
            green = {w for w in p if w != tales.END and mark.is_green(before, w)}
            q, here = tilt(p, green, mark.strength)
            cost += here
        word = rng.choices(list(q), list(q.values()))[0]
        surprise -= math.log(p[word])
        cursor.read(word)
        if word != tales.END:
            tokens.append(word)
    return tokens, cost, surprise


def count(
    mark: Watermark,
    tokens: Sequence[str],
    *,
    weight: Callable[[int], bool] | None = None,
    seen: set[tuple[str, str]] | None = None,
) -> Count:
    """Green words among the distinct pairs (word before, word).

    A pair that recurs has the same colour each time and is evidence once. `weight(i)` says whether
    place `i` is scored at all (None: all are); `seen` carries the pairs from text to text.
    """
    seen = set() if seen is None else seen
    green = scored = 0
    for i, word in enumerate(tokens):
        pair = (tokens[i - 1] if i else _START, word)
        if pair in seen or (weight is not None and not weight(i)):
            continue
        seen.add(pair)
        scored += 1
        green += mark.is_green(*pair)
    return Count(green, scored, mark.share)


def detect(mark: Watermark, texts: Sequence[Sequence[str]], *, free: bool = False) -> float:
    """The z of several stories together. `free`: score only places where the language had a choice.

    The second detector must know the language: it leaves out the words that could not be otherwise,
    which carry no mark (Lee et al., 2024).
    """
    seen: set[tuple[str, str]] = set()
    green = scored = 0
    for tokens in texts:
        weight = None
        if free:
            open_places = _open(tokens)
            weight = open_places.__contains__
        got = count(mark, tokens, weight=weight, seen=seen)
        green, scored = green + got.green, scored + got.scored
    return Count(green, scored, mark.share).z


def _open(tokens: Sequence[str], language: str = "en") -> set[int]:
    """The places where more than one word could follow."""
    cursor = tales.language.Cursor(tales.language.Language(name=language))
    out = set()
    for i, token in enumerate(tokens):
        if len(cursor.mass()) > 1:
            out.add(i)
        cursor.read(token)
    return out


def threshold(unmarked: Sequence[float], rate: float) -> float:
    """The least z that at most `rate` of unmarked texts exceed: measured, not assumed normal.

    Raises:
        ValueError: too few texts to say anything of that rate.
    """
    if not 0 < rate < 1 or len(unmarked) * rate < 1:
        raise ValueError(
            f"a rate of {rate} needs at least {1 / rate:.0f} texts, got {len(unmarked)}"
        )
    return sorted(unmarked)[len(unmarked) - 1 - math.floor(len(unmarked) * rate)]


def paraphrase(tokens: Sequence[str], rng: random.Random) -> list[str]:
    """The same facts in other words: each free choice drawn anew where the facts stay the same.

    Only words of kind `free` are changed, one at a time, and only to one that leaves a story of the
    language with every fact unchanged.
    """
    now = list(tokens)
    story = tales.parse(tales.text.detokenize(now, "en"))
    facts = story.facts
    for i, kind in enumerate(story.kinds[: len(now)]):
        if kind != "free":
            continue
        others = [w for w in tales.next_distribution(now[:i]) if w not in (now[i], tales.END)]
        rng.shuffle(others)
        for word in others:
            changed = [*now[:i], word, *now[i + 1 :]]
            try:
                if tales.parse(tales.text.detokenize(changed, "en")).facts == facts:
                    now = changed
                    break
            except tales.NotATale:
                continue
    return now
