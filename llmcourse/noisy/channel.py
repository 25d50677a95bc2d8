"""The toy ear: which letters it takes for which, and what that says of each word."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from jaxtyping import Float

LETTERS = "abcdefghijklmnopqrstuvwxyz"
# Letters whose sounds are taken for each other most.
ALIKE = ("aeiouy", "bpdtgk", "fvszcx", "mnl", "rwhjq")
SILENT = "·"  # what is heard of a mark


def spoken(token: str) -> bool:
    """Whether a token makes a sound: it holds a letter or a digit."""
    return any(c.isalnum() for c in token)


@dataclass(frozen=True, kw_only=True)
class Channel:
    """An ear that takes letters for others, each independently, with known probabilities.

    A letter is heard wrong with probability `noise`: as another of its own group in `ALIKE`, all
    equally likely, or, in a share `stray` of these cases, as any letter outside the group. Other
    characters of a word are heard right. A mark is heard as a pause, `SILENT`.

    Raises:
        ValueError: `noise` or `stray` is no probability.
    """

    noise: float = 0.3
    stray: float = 0.2

    def __post_init__(self) -> None:
        for name in ("noise", "stray"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in [0, 1], got {getattr(self, name)}")

    @cached_property
    def confusion(self) -> Float[np.ndarray, "26 26"]:
        """Row: the letter said. Column: the letter heard. Rows sum to one."""
        table = np.zeros((26, 26))
        for group in ALIKE:
            mates = [LETTERS.index(c) for c in group]
            for i in mates:
                table[i] = self.noise * self.stray / (26 - len(mates))
                table[i, mates] = self.noise * (1 - self.stray) / (len(mates) - 1)
                table[i, i] = 1 - self.noise
        return table

    def hear(self, tokens: Sequence[str], *, seed: int) -> list[str]:
        """What the ear hears of each token; capitals are not heard."""
        rng = random.Random(f"ear {seed}")
        return [self._hear(token.lower(), rng) if spoken(token) else SILENT for token in tokens]

    def _hear(self, word: str, rng: random.Random) -> str:
        return "".join(
            rng.choices(LETTERS, self.confusion[LETTERS.index(c)])[0] if c in LETTERS else c
            for c in word
        )

    def evidence(self, heard: Sequence[str], words: Sequence[str]) -> Float[np.ndarray, "T V"]:
        """log p(heard | word) of each word of a vocabulary, in nats; −inf where it cannot be."""
        lexicon = _lexicon(tuple(words))
        with np.errstate(divide="ignore"):
            logs = np.log(self.confusion)
        return np.stack([_match(h, lexicon, logs) for h in heard]) if len(heard) else np.empty(
            (0, len(words))
        )  # fmt: skip


@lru_cache(maxsize=8)
def _lexicon(words: tuple[str, ...]) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """By length: which words (W), and their characters' codes (W, length); marks under 0."""
    groups: dict[int, list[int]] = {}
    for i, word in enumerate(words):
        groups.setdefault(len(word) if spoken(word) else 0, []).append(i)
    return {
        length: (
            np.array(members),
            np.array([[ord(c) for c in words[i].lower()] for i in members if length]),
        )
        for length, members in groups.items()
    }


def _match(heard: str, lexicon: dict, logs: np.ndarray) -> np.ndarray:
    out = np.full(sum(len(members) for members, _ in lexicon.values()), -np.inf)
    if heard == SILENT:
        members, _ = lexicon.get(0, ((), None))
        out[list(members)] = 0.0
        return out
    members, codes = lexicon.get(len(heard), (np.empty(0, int), np.empty((0, len(heard)), int)))
    total = np.zeros(len(members))
    for j, char in enumerate(heard):
        said = codes[:, j] - ord("a")
        letter = (said >= 0) & (said < 26)
        if char in LETTERS:
            column = logs[:, LETTERS.index(char)]
            total += np.where(letter, column[np.where(letter, said, 0)], -np.inf)
        else:
            total += np.where(codes[:, j] == ord(char), 0.0, -np.inf)
    out[members] = total
    return out


def word_errors(said: Sequence[str], written: Sequence[str]) -> int:
    """Fewest words to replace, leave out or put in, to turn one text into the other.

    Divided by the number of words said it is the word error rate. Levenshtein (1966).
    """
    row = list(range(len(written) + 1))  # from no word at all to each beginning of `written`
    for i, a in enumerate(said, start=1):
        above, row = row, [i]
        for j, b in enumerate(written, start=1):
            row.append(min(above[j - 1] + (a != b), above[j] + 1, row[-1] + 1))
    return row[-1]
