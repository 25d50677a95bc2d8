"""n-gram language models: counts, and six ways to smooth them.

Counting is sorting: an n-gram is coded as (index of its first n − 1 tokens, last token), so that
a million tokens are counted by `np.unique` and scored by `np.searchsorted`, one call an order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int

from llmcourse import metrics

__all__ = ["SMOOTHINGS", "NGram"]

SMOOTHINGS = (
    "mle",
    "add-k",
    "interpolated",
    "absolute",
    "kneser-ney",
    "modified-kneser-ney",
)
DISCOUNTED = ("absolute", "kneser-ney", "modified-kneser-ney")
MOST_TRUST = 1 - 1e-4  # a fitted weight stays below 1, or an unseen word would be impossible


@dataclass(frozen=True, kw_only=True)
class _Level:
    """The n-grams of one length n, sorted by code, with what scoring needs."""

    codes: Int[np.ndarray, " G"]  # context index · base + last token
    raw: Int[np.ndarray, " G"]  # how often the n-gram was seen, 0 if it ends in padding
    counts: Int[np.ndarray, " G"]  # what smoothing uses: the same, or Kneser-Ney's left contexts
    taken: Float[np.ndarray, " G"]  # discount taken from each count
    total: Int[np.ndarray, " C"]  # counts summed over a context's continuations
    freed: Float[np.ndarray, " C"]  # discounts summed over a context's continuations

    def find(self, codes: Int[np.ndarray, " N"]) -> Int[np.ndarray, " N"]:
        """Index of each code, −1 where it was never seen (negative codes never are)."""
        at = np.searchsorted(self.codes, codes).clip(max=len(self.codes) - 1)
        return np.where(self.codes[at] == codes, at, -1)


class NGram:
    """A model of the next token given the `order` − 1 before it.

    Each sequence is read from its start: a context that reaches before it is padded with a
    symbol that is never predicted. An end is not added: give sequences an end token to model it.

    With c the counts, V the vocabulary, h a context and h′ the same without its first token:

    - `mle`: c(hw) / c(h), and uniform where h is unseen: the limit of add-k as k → 0.
    - `add-k`: (c(hw) + k) / (c(h) + kV).
    - `interpolated`: λₙ c(hw)/c(h) + (1 − λₙ) p(w|h′), down to uniform; the weights are fitted
      on `dev` by expectation-maximisation. Jelinek and Mercer (1980).
    - `absolute`: (max(c(hw) − D, 0) + D · N(h·) p(w|h′)) / c(h), where N(h·) counts the distinct
      words seen after h, and D = n₁/(n₁ + 2n₂) from the numbers of n-grams seen once and twice.
      Ney, Essen and Kneser (1994).
    - `kneser-ney`: the same with lower orders counting distinct left contexts in place of
      occurrences. Kneser and Ney (1995), interpolated as by Chen and Goodman (1999).
    - `modified-kneser-ney`: three discounts, for counts of one, two, and more. Chen and Goodman.

    `vocab` is the number of ids, by default one more than the largest in training. `discount`,
    `weights` (λ of orders 1 to n) and `k` replace what would be estimated.

    Raises:
        ValueError: an argument is out of range, or belongs to another smoothing.

    >>> model = NGram(order=2, smoothing="mle").fit([[0, 1, 0, 2]])
    >>> model.next_probs([0]).tolist()
    [0.0, 0.5, 0.5]
    """

    def __init__(
        self,
        *,
        order: int = 3,
        smoothing: str = "kneser-ney",
        vocab: int | None = None,
        k: float = 1.0,
        discount: float | None = None,
        weights: Sequence[float] | None = None,
    ) -> None:
        if order < 1:
            raise ValueError(f"order must be at least 1, got {order}")
        if smoothing not in SMOOTHINGS:
            raise ValueError(f"smoothing must be one of {SMOOTHINGS}, got {smoothing!r}")
        if vocab is not None and vocab < 1:
            raise ValueError(f"vocab must be at least 1, got {vocab}")
        if not 0 < k < np.inf:
            raise ValueError(f"k must be positive and finite, got {k}: use 'mle' for no smoothing")
        if discount is not None and not 0 < discount <= 1:
            raise ValueError(f"discount must lie in (0, 1], got {discount}")
        if discount is not None and smoothing not in ("absolute", "kneser-ney"):
            raise ValueError(f"discount belongs to absolute and kneser-ney, not to {smoothing}")
        if weights is not None:
            if smoothing != "interpolated":
                raise ValueError(f"weights belong to interpolated, not to {smoothing}")
            if len(weights) != order or not all(0 <= w < 1 for w in weights):
                raise ValueError(f"need {order} weights in [0, 1), got {list(weights)}")
        self.order, self.smoothing, self.vocab = order, smoothing, vocab
        self.k, self.discount = k, discount
        self.weights = None if weights is None else np.array(weights, dtype=np.float64)
        self._levels: list[_Level] = []

    def fit(self, data: Any, dev: Any = None) -> "NGram":
        """Count one sequence of ids, or many; fit the weights of `interpolated` on `dev`.

        Raises:
            ValueError: no tokens; ids out of range; `interpolated` without `dev` or weights.
        """
        sequences = _sequences(data)
        if not sum(len(s) for s in sequences):
            raise ValueError("nothing to count: the training data has no tokens")
        if self.smoothing == "interpolated" and self.weights is None and dev is None:
            raise ValueError("interpolated fits its weights on held-out text: give dev= or weights")
        if self.vocab is None:
            self.vocab = 1 + max(int(s.max()) for s in sequences if len(s))
        x, inside = self._pad(sequences)
        self._count(x, inside)
        if self.smoothing == "interpolated" and dev is not None:
            self._fit_weights(dev)
        return self

    def token_nats(self, data: Any) -> Float[np.ndarray, " N"]:
        """Surprise of every token of a sequence, or of many joined, in nats; may be infinite."""
        self._require_fit()
        x, inside = self._pad(_sequences(data))
        real = inside >= self.order - 1
        p = np.full(int(real.sum()), 1 / self.vocab)
        before = np.zeros(len(x), dtype=np.int64)  # index of the context, −1 if unseen
        for n, level in enumerate(self._levels, start=1):
            gram = self._find(level, before, x, inside, n)
            if n == self.order or self.smoothing not in ("mle", "add-k"):
                p = self._mix(n, level, before[real], gram[real], p)
            before = np.concatenate([[-1], gram[:-1]])  # one token on, this is the next context
        with np.errstate(divide="ignore"):
            return -np.log(p)

    def logprob(self, data: Any) -> float:
        """Log-probability of a sequence (or the sum over many), in nats."""
        return -float(self.token_nats(data).sum())

    def nats_per_token(self, data: Any) -> float:
        """Mean surprise, in nats.

        Raises:
            ValueError: there are no tokens, so a mean has no meaning.
        """
        nats = self.token_nats(data)
        if not len(nats):
            raise ValueError("nothing to score: the data has no tokens")
        return float(nats.mean())

    def perplexity(self, data: Any) -> float:
        """exp of the mean surprise; infinite where one token has probability zero."""
        return metrics.perplexity(self.nats_per_token(data))

    def next_probs(self, context: Any = ()) -> Float[np.ndarray, " V"]:
        """The distribution of the token after `context`, which is read from a sequence's start.

        It sums to one whatever the context: one unseen falls back on a shorter one.
        """
        self._require_fit()
        x, _ = self._pad(_sequences(context))
        p = np.full(self.vocab, 1 / self.vocab)
        words = np.arange(self.vocab)
        for n, level in enumerate(self._levels, start=1):
            if n < self.order and self.smoothing in ("mle", "add-k"):
                continue
            at = self._index(x[len(x) - n + 1 :])
            gram = level.find(at * (self.vocab + 1) + words) if at >= 0 else words * 0 - 1
            p = self._mix(n, level, np.full(self.vocab, at), gram, p)
        return p

    def sample(
        self,
        length: int,
        *,
        context: Any = (),
        generator: torch.Generator,
        stop: int | None = None,
    ) -> list[int]:
        """At most `length` tokens drawn one after another, after `context`; ends at `stop`."""
        if length < 0:
            raise ValueError(f"length must be at least 0, got {length}")
        (start,) = _sequences(context)
        ids = start.tolist()
        for _ in range(length):
            # Whole beginnings matter only as far as the order reaches.
            probs = torch.from_numpy(self.next_probs(ids[-self.order :]))
            ids.append(int(torch.multinomial(probs, 1, generator=generator)))
            if ids[-1] == stop:
                break
        return ids[len(start) :]

    def count(self, gram: Any) -> int:
        """How often an n-gram of 1 to `order` tokens was seen."""
        self._require_fit()
        (ids,) = _sequences(gram)
        if not 1 <= len(ids) <= self.order:
            raise ValueError(f"an n-gram here has 1 to {self.order} tokens, got {len(ids)}")
        at = self._index(ids)
        return int(self._levels[len(ids) - 1].raw[at]) if at >= 0 else 0

    def sizes(self) -> list[int]:
        """The number of distinct n-grams of each order: what the model has to store."""
        self._require_fit()
        return [int((level.raw > 0).sum()) for level in self._levels]

    # ---- how ------------------------------------------------------------------------------

    def _require_fit(self) -> None:
        if not self._levels:
            raise ValueError("fit the model before asking it: it has no counts yet")

    def _pad(
        self, sequences: list[Int[np.ndarray, " _"]]
    ) -> tuple[Int[np.ndarray, " N"], Int[np.ndarray, " N"]]:
        """All sequences behind order − 1 marks of padding each, and positions in them."""
        for s in sequences:
            if len(s) and (s.min() < 0 or s.max() >= self.vocab):
                worst = int(s.min() if s.min() < 0 else s.max())
                raise ValueError(f"ids must lie in 0..{self.vocab - 1}, got {worst}")
        padding = np.full(self.order - 1, self.vocab, dtype=np.int64)
        x = np.concatenate([part for s in sequences for part in (padding, s)])
        lengths = [len(s) + self.order - 1 for s in sequences]
        inside = np.arange(len(x)) - np.repeat(np.cumsum([0, *lengths[:-1]]), lengths)
        return x, inside

    def _find(self, level: _Level, before, x, inside, n: int) -> Int[np.ndarray, " N"]:
        """Index of the n-gram that ends at each position, −1 if unseen or across sequences."""
        valid = (before >= 0) & (inside >= n - 1)
        return level.find(np.where(valid, before * (self.vocab + 1) + x, -1))

    def _index(self, gram: Int[np.ndarray, " _"]) -> int:
        """Index of one n-gram among those of its length, −1 if unseen; the empty one is 0."""
        at = 0
        for level, token in zip(self._levels, gram, strict=False):
            at = int(level.find(np.array([at * (self.vocab + 1) + token]))[0])
            if at < 0:
                break
        return at

    def _mix(self, n: int, level: _Level, context, gram, lower) -> Float[np.ndarray, " M"]:
        """p(w|h) of order n from p(w|h′): one step of the smoothing's recursion."""
        total = np.where(context >= 0, level.total[context], 0)
        count = np.where(gram >= 0, level.counts[gram], 0)
        if self.smoothing == "add-k":
            return (count + self.k) / (total + self.k * self.vocab)
        seen, safe = total > 0, np.maximum(total, 1)
        if self.smoothing == "mle":
            return np.where(seen, count / safe, lower)
        if self.smoothing == "interpolated":
            trust = self.weights[n - 1]
            return np.where(seen, trust * count / safe + (1 - trust) * lower, lower)
        kept = count - np.where(gram >= 0, level.taken[gram], 0.0)
        return np.where(seen, (kept + level.freed[context] * lower) / safe, lower)

    def _count(self, x: Int[np.ndarray, " N"], inside: Int[np.ndarray, " N"]) -> None:
        real = inside >= self.order - 1
        before, contexts = np.zeros(len(x), dtype=np.int64), 1
        grams: list[dict[str, Any]] = []
        for n in range(1, self.order + 1):
            valid = inside >= n - 1
            codes, first, index = np.unique(
                before[valid] * (self.vocab + 1) + x[valid], return_index=True, return_inverse=True
            )
            ending = np.full(len(x), -1)  # which n-gram ends at each position
            ending[valid] = index
            first = np.flatnonzero(valid)[first]
            grams.append(
                {
                    "codes": codes,
                    "raw": np.bincount(ending[real], minlength=len(codes)),
                    "context": codes // (self.vocab + 1),
                    "contexts": contexts,
                    "ending": ending,
                    "first": first,
                    "start": x[first - n + 1] == self.vocab,
                    "padding": (x[first - n + min(2, n)] == self.vocab) & (n > 1),
                }
            )
            before, contexts = np.concatenate([[-1], ending[:-1]]), len(codes)
        self._levels = [self._level(n, grams) for n in range(1, self.order + 1)]

    def _level(self, n: int, grams: list[dict[str, Any]]) -> _Level:
        own = grams[n - 1]
        counts = own["raw"]
        if "kneser" in self.smoothing and n < self.order:
            # Distinct left contexts: each longer n-gram, wherever first seen, votes for its
            # suffix once. Nothing stands before a beginning, so that one keeps its occurrences.
            longer = grams[n]
            votes = own["ending"][longer["first"][longer["raw"] > 0]]
            distinct = np.bincount(votes, minlength=len(counts))
            counts = np.where(own["start"], counts, distinct)
        if self.smoothing not in ("mle", "add-k"):
            # A second mark of padding says nothing that the first did not: shorter orders do.
            counts = np.where(own["padding"], 0, counts)
        taken = self._discounts(counts)[np.minimum(counts, 3)]
        total = np.bincount(own["context"], counts, own["contexts"]).astype(np.int64)
        freed = np.bincount(own["context"], taken, own["contexts"])
        return _Level(
            codes=own["codes"], raw=own["raw"], counts=counts, taken=taken, total=total, freed=freed
        )

    def _discounts(self, counts: Int[np.ndarray, " G"]) -> Float[np.ndarray, "4"]:
        """What to take from counts of 0, 1, 2 and more."""
        if self.smoothing not in DISCOUNTED:
            return np.zeros(4)
        n1, n2, n3, n4 = (int((counts == c).sum()) for c in (1, 2, 3, 4))
        # Where no n-gram is seen once, or none twice, the estimate is 0 or 1: too few to tell.
        d = self.discount or (n1 / (n1 + 2 * n2) if n1 and n2 else 0.5)
        if self.smoothing != "modified-kneser-ney" or not (n1 and n2 and n3):
            return np.array([0, d, d, d])
        three = [1 - 2 * d * n2 / n1, 2 - 3 * d * n3 / n2, 3 - 4 * d * n4 / n3]
        return np.array([0, *np.clip(three, [1e-3] * 3, [1, 2, 3])])

    def _fit_weights(self, dev: Any) -> None:
        """Expectation-maximisation: which order explains each held-out token?"""
        x, inside = self._pad(_sequences(dev))
        real = inside >= self.order - 1
        if not real.any():
            raise ValueError("nothing to fit weights on: dev has no tokens")
        before, seen, mle = np.zeros(len(x), dtype=np.int64), [], []
        for n, level in enumerate(self._levels, start=1):
            gram = self._find(level, before, x, inside, n)
            total = np.where(before >= 0, level.total[before], 0)[real]
            count = np.where(gram >= 0, level.counts[gram], 0)[real]
            seen.append(total > 0)
            mle.append(count / np.maximum(total, 1))
            before = np.concatenate([[-1], gram[:-1]])
        self.weights, best = np.full(self.order, 0.5), np.inf
        for _ in range(500):
            mixed = [np.full(int(real.sum()), 1 / self.vocab)]
            for s, p, w in zip(seen, mle, self.weights, strict=True):
                mixed.append(np.where(s, w * p + (1 - w) * mixed[-1], mixed[-1]))
            nats = -np.log(mixed[-1]).mean()
            if nats > best - 1e-7:
                break
            reached, best = np.ones(int(real.sum())), nats
            for n in reversed(range(self.order)):  # reached: P(no higher order explained it)
                here = np.where(seen[n], self.weights[n] * mle[n] / mixed[n + 1], 0.0)
                arrived = reached[seen[n]].sum()
                if arrived > 0:
                    self.weights[n] = min((reached * here).sum() / arrived, MOST_TRUST)
                reached = reached * (1 - here)


def _sequences(data: Any) -> list[Int[np.ndarray, " _"]]:
    """Ids as a list of arrays: one for a flat sequence, one each for many."""
    if isinstance(data, str):
        raise TypeError("need token ids, got a string: encode it first")
    if isinstance(data, torch.Tensor):
        data = data.numpy(force=True)
    many = len(data) > 0 and np.ndim(data[0]) == 1
    arrays = [np.asarray(s) for s in data] if many else [np.asarray(data)]
    for a in arrays:
        if a.ndim != 1 or (len(a) and a.dtype.kind not in "iu"):
            raise TypeError(f"ids must be integers in one or many flat lists, got {a.dtype}")
    return [a.astype(np.int64) for a in arrays]
