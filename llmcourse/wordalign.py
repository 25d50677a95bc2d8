"""Which word translates which: IBM model 1, and the error of an alignment held against the truth.

Model 1 (Brown et al., 1993) writes each target word by picking a source word, all equally likely
and one of them empty, and drawing from that word's row of a table t(target | source). The table is
found by expectation maximisation from sentence pairs alone.

Example:
    >>> model = IBM1([("the house", "das Haus"), ("the book", "das Buch")], iterations=20)
    Traceback (most recent call last):
    ValueError: a pair holds two sequences of words, got the text 'the house' in pair 0
    >>> pairs = [(["the", "house"], ["das", "Haus"]), (["the", "book"], ["das", "Buch"])]
    >>> IBM1(pairs, iterations=20).best("the")
    'das'
"""

from collections.abc import Collection, Iterable, Sequence

import numpy as np
from jaxtyping import Float

__all__ = ["IBM1", "Link", "alignment_error", "link_counts"]

Link = tuple[int, int]  # position in the source, position in the target
Pair = tuple[Sequence[str], Sequence[str]]


class IBM1:
    """A table of translation probabilities, learned by EM from pairs of sentences.

    `table[e, f]` is t(target word f | source word e); row 0 is the empty word, which stands for
    target words that translate nothing. `nats` holds the surprise of a target word before each
    iteration, given its sentence's source: it never rises.

    Raises:
        ValueError: there are no pairs, a side of one is empty or a text, or `iterations` < 1.
    """

    def __init__(self, pairs: Iterable[Pair], iterations: int = 10) -> None:
        pairs = list(pairs)
        if iterations < 1:
            raise ValueError(f"iterations must be at least 1, got {iterations}")
        if not pairs:
            raise ValueError("IBM model 1 learns from pairs of sentences, got none")
        for number, pair in enumerate(pairs):
            for side in pair:
                if isinstance(side, str):
                    raise ValueError(
                        f"a pair holds two sequences of words, got the text {side!r} in pair "
                        f"{number}"
                    )
                if not len(side):
                    raise ValueError(f"both sides of a pair need a word, got {pair} in {number}")
        self.source = {
            w: i + 1 for i, w in enumerate(dict.fromkeys(w for s, _ in pairs for w in s))
        }
        self.target = {w: i for i, w in enumerate(dict.fromkeys(w for _, t in pairs for w in t))}
        self._words = list(self.target)
        self.table: Float[np.ndarray, "E F"] = np.full(
            (len(self.source) + 1, len(self.target)), 1 / len(self.target)
        )
        # One entry for each source word (or none) that might have written a target word.
        e, f, owner, choices, n = [], [], [], [], 0
        for source, target in pairs:
            sources = [0, *(self.source[w] for w in source)]
            for word in target:
                e += sources
                f += [self.target[word]] * len(sources)
                owner += [n] * len(sources)
                choices.append(len(sources))
                n += 1
        self._links = tuple(np.array(part, dtype=np.int32) for part in (e, f, owner))
        self._choices = np.array(choices)
        self.nats: list[float] = []
        for _ in range(iterations):
            self._step()
        del self._links, self._choices

    def _step(self) -> None:
        e, f, owner = self._links
        p = self.table[e, f]
        total = np.bincount(owner, p, len(self._choices))
        self.nats.append(float(-np.log(total / self._choices).mean()))
        share = p / total[owner]  # the posterior: who wrote this word?
        flat = np.bincount(e.astype(np.int64) * self.table.shape[1] + f, share, self.table.size)
        counts = flat.reshape(self.table.shape)
        sums = counts.sum(1, keepdims=True)
        self.table = np.divide(counts, sums, out=counts, where=sums > 0)

    def probability(self, target: str, source: str | None) -> float:
        """t(target | source); 0 for words that were never seen. None is the empty word."""
        if target not in self.target or (source is not None and source not in self.source):
            return 0.0
        return float(self.table[0 if source is None else self.source[source], self.target[target]])

    def best(self, source: str) -> str | None:
        """The most probable translation of one word; None for a word that was never seen."""
        if source not in self.source:
            return None
        return self._words[int(self.table[self.source[source]].argmax())]

    def translate(self, source: Sequence[str]) -> list[str]:
        """Word by word, in the source's order; words that were never seen are left out."""
        return [word for word in map(self.best, source) if word is not None]

    def align(self, source: Sequence[str], target: Sequence[str]) -> set[Link]:
        """Each target word's most probable source word; no link where the empty word wins."""
        rows = [0, *(self.source.get(w, -1) for w in source)]
        links = set()
        for j, word in enumerate(target):
            if word not in self.target:
                continue
            p = [self.table[r, self.target[word]] if r >= 0 else 0.0 for r in rows]
            if (best := int(np.argmax(p))) > 0:
                links.add((best - 1, j))
        return links


def link_counts(
    found: Collection[Link], sure: Collection[Link], possible: Collection[Link]
) -> tuple[int, int, int, int]:
    """Found links that are sure, found links that are possible, links found, sure links.

    `possible` holds the sure links, too. These sum over texts, before `alignment_error`.
    """
    found, sure = set(found), set(sure)
    return len(found & sure), len(found & (set(possible) | sure)), len(found), len(sure)


def alignment_error(
    found: Collection[Link], sure: Collection[Link], possible: Collection[Link]
) -> float:
    """1 − (|A ∩ S| + |A ∩ P|) / (|A| + |S|). Och and Ney (2003).

    Raises:
        ValueError: nothing was found and nothing is sure, so an error has no meaning.
    """
    in_sure, in_possible, n, wanted = link_counts(found, sure, possible)
    if not n + wanted:
        raise ValueError("an alignment error needs a link that is found or sure, got none")
    return 1 - (in_sure + in_possible) / (n + wanted)
