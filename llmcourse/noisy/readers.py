"""Language models as partners of the ear: each reads many texts at once, word by word."""

import math
from collections.abc import Sequence
from copy import copy
from functools import lru_cache
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int

from llmcourse.tales import END
from llmcourse.tales.language import Cursor, Language


@runtime_checkable
class Reader(Protocol):
    """A language model that reads many texts at once, one word at a time.

    Words are numbers into the decoder's vocabulary. The last column is the end of the text.
    """

    def start(self, rows: int) -> None: ...

    def next(self) -> Float[np.ndarray, "N V1"]: ...

    def advance(self, parents: Int[np.ndarray, " N"], words: Int[np.ndarray, " N"]) -> None:
        """Row i goes on from row parents[i] with words[i]; −1 is a row that nobody needs."""


class FlatReader:
    """No language model: each word is as likely as any other."""

    def __init__(self, words: Sequence[str]) -> None:
        self.size, self.rows = len(words) + 1, 1

    def start(self, rows: int) -> None:
        self.rows = rows

    def next(self) -> Float[np.ndarray, "N V1"]:
        return np.full((self.rows, self.size), -math.log(self.size))

    def advance(self, parents: Int[np.ndarray, " N"], words: Int[np.ndarray, " N"]) -> None:
        self.rows = len(parents)


class NGramReader:
    """An `NGram` over the decoder's words, whose last id is the end of a text."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self._log = lru_cache(maxsize=4096)(self._compute)

    def _compute(self, context: tuple[int, ...]) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return np.log(self.model.next_probs(list(context)))

    def start(self, rows: int) -> None:
        self.contexts: list[tuple[int, ...]] = [()] * rows

    def next(self) -> Float[np.ndarray, "N V1"]:
        return np.stack([self._log(context) for context in self.contexts])

    def advance(self, parents: Int[np.ndarray, " N"], words: Int[np.ndarray, " N"]) -> None:
        keep = self.model.order - 1
        grown = [(*self.contexts[p], int(w)) if w >= 0 else () for p, w in zip(parents, words)]  # noqa: B905
        self.contexts = [c[max(0, len(c) - keep) :] for c in grown]


class TruthReader:
    """The grammar of tales itself: exact probabilities of what may follow."""

    def __init__(self, words: Sequence[str], language: str = "en") -> None:
        self.words, self.language = list(words), language
        self.index = {w: i for i, w in enumerate([*words, END])}

    def start(self, rows: int) -> None:
        first = Cursor(Language(name=self.language))
        self.cursors: list[Cursor | None] = [_fork(first) for _ in range(rows)]

    def next(self) -> Float[np.ndarray, "N V1"]:
        out = np.full((len(self.cursors), len(self.index)), -np.inf)
        for row, cursor in zip(out, self.cursors, strict=True):
            mass = cursor.mass() if cursor else {}
            total = math.fsum(mass.values())
            for token, weight in mass.items():
                row[self.index[token]] = math.log(weight / total)
        return out

    def advance(self, parents: Int[np.ndarray, " N"], words: Int[np.ndarray, " N"]) -> None:
        grown: list[Cursor | None] = []
        for parent, word in zip(parents, words, strict=True):
            before = self.cursors[parent]
            after = _fork(before) if before is not None and word >= 0 else None
            if after is not None:
                after.read(self.words[word])
            grown.append(after)
        self.cursors = grown


def _fork(cursor: Cursor) -> Cursor:
    """A copy that reads on alone: readings change as they are read, all else does not."""
    other = copy(cursor)
    other.sentences = list(cursor.sentences)
    other.readings = [copy(r) for r in cursor.readings]
    for r in other.readings:
        r.fills = dict(r.fills)
    return other


class GPTReader:
    """A Transformer with its own tokenizer; each word of the decoder is one of its ids."""

    def __init__(self, model: Any, *, start: int, ids: Sequence[int], end: int) -> None:
        self.model, self.first = model, start
        self.ids = torch.tensor([*ids, end])

    @torch.inference_mode()
    def _read(self, ids: torch.Tensor) -> None:
        logits = self.model(ids, cache=self.cache)[0][:, -1]
        self.logs = logits.log_softmax(-1)[:, self.ids].numpy().astype(np.float64)

    def start(self, rows: int) -> None:
        self.cache = self.model.cache(rows)
        self._read(torch.full((rows, 1), self.first))

    def next(self) -> Float[np.ndarray, "N V1"]:
        return self.logs

    def advance(self, parents: Int[np.ndarray, " N"], words: Int[np.ndarray, " N"]) -> None:
        n, cache = len(parents), self.cache
        moved = np.flatnonzero(parents != np.arange(n))
        for kept in (cache.keys, cache.values):  # only what has been read, only rows that moved
            kept[:, moved, :, : cache.used] = kept[:, parents[moved], :, : cache.used]
        cache.keys, cache.values = cache.keys[:, :n], cache.values[:, :n]
        self._read(self.ids[torch.from_numpy(np.maximum(words, 0))][:, None])
