"""Beam search for the text that ear and language model together find likeliest."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from llmcourse.noisy.channel import Channel
from llmcourse.noisy.readers import Reader

WIDEST = 2048  # a beam that finds nothing at this width gives up


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a beam found for one text: its hypotheses, best first."""

    words: tuple[str, ...]
    paths: Int[np.ndarray, "N T"]  # each row a text, as indices into `words`
    scores: Float[np.ndarray, " N"]  # log p(heard | x) + weight · log p(x), in nats

    @property
    def best(self) -> list[str]:
        """The text with the highest score."""
        return [self.words[i] for i in self.paths[0]]

    @cached_property
    def posterior(self) -> Float[np.ndarray, " N"]:
        """Probability of each hypothesis given what was heard, among those found."""
        odds = np.exp(self.scores - self.scores.max())
        return odds / odds.sum()

    @cached_property
    def _voted(self) -> tuple[list[str], np.ndarray]:
        chosen, sure = [], []
        for column in self.paths.T:
            mass = np.bincount(column, weights=self.posterior)
            chosen.append(self.words[int(mass.argmax())])
            sure.append(mass.max())
        return chosen, np.array(sure)

    def vote(self) -> list[str]:
        """At each place the likeliest word over all hypotheses: the fewest wrong words expected."""
        return self._voted[0]

    @property
    def confidence(self) -> Float[np.ndarray, " T"]:
        """The posterior probability of each voted word."""
        return self._voted[1]


def decode(
    heard: Sequence[Sequence[str]],
    channel: Channel,
    words: Sequence[str],
    reader: Reader,
    *,
    weight: float = 1.0,
    beam: int = 12,
) -> list[Found]:
    """The likeliest texts behind each row of heard words, by beam search over all rows at once.

    A row whose hypotheses all turn out impossible is searched again with a wider beam.

    Raises:
        ValueError: a beam below one, a negative weight, nothing heard in a row, a word heard that
            none of `words` sounds like, or a row that no text of these words explains.

    >>> words = ["pat", "bat"]
    >>> decode([["bat"]], Channel(), words, FlatReader(words))[0].best
    ['bat']
    """
    if beam < 1:
        raise ValueError(f"beam must be at least 1, got {beam}")
    if not weight >= 0:
        raise ValueError(f"weight must be at least 0, got {weight}")
    if not all(len(row) for row in heard):
        raise ValueError("a row must hold at least one heard word, got an empty one")
    order = sorted(range(len(heard)), key=lambda i: -len(heard[i]))  # longest first
    lengths = [len(heard[i]) for i in order]
    evidence = [channel.evidence(heard[i], words) for i in order]
    for i, table in zip(order, evidence, strict=True):
        deaf = np.flatnonzero(~np.isfinite(table).any(axis=1))
        if len(deaf):
            raise ValueError(f"no word sounds like {heard[i][deaf[0]]!r} (row {i}, word {deaf[0]})")
    out: list[Found | None] = [None] * len(heard)
    alive = len(order)
    scores = np.full((alive, beam), -np.inf)
    scores[:, 0] = 0.0  # one beginning, not `beam` copies of it
    paths = [np.empty((beam, 0), dtype=np.int64) for _ in order]
    reader.start(alive * beam)
    for t in range(max(lengths, default=0) + 1):
        logs = _weighted(reader.next(), weight)
        ended = sum(n == t for n in lengths[:alive])
        for s in range(alive - ended, alive):
            rows = slice(s * beam, (s + 1) * beam)
            out[order[s]] = _close(words, paths[s], scores[s] + logs[rows, -1])
        alive -= ended
        if not alive:
            break
        parents, chosen = np.empty((2, alive, beam), dtype=np.int64)
        for s in range(alive):
            heard_as = np.flatnonzero(np.isfinite(evidence[s][t]))  # words that can sound like this
            said = logs[s * beam : (s + 1) * beam, heard_as] + evidence[s][t, heard_as]
            flat = (scores[s][:, None] + said).ravel()
            top = _in_place(_largest(flat, beam), len(heard_as), beam)
            filled = top >= 0
            scores[s] = np.where(filled, flat[top], -np.inf) if len(flat) else -np.inf
            parents[s] = np.where(filled, top // max(len(heard_as), 1), 0)
            chosen[s, ~filled] = -1
            chosen[s, filled] = heard_as[top[filled] % max(len(heard_as), 1)]
            paths[s] = np.concatenate([paths[s][parents[s]], chosen[s][:, None]], axis=1)
            parents[s] += s * beam
        scores = scores[:alive]
        reader.advance(parents.ravel(), chosen.ravel())
    lost = [i for i, found in enumerate(out) if found is None]
    if lost and beam >= WIDEST:
        raise ValueError(f"no text of these words was found for row {lost[0]}, at beam {beam}")
    if lost:
        again = [heard[i] for i in lost]
        wider = decode(again, channel, words, reader, weight=weight, beam=4 * beam)
        for i, found in zip(lost, wider, strict=True):
            out[i] = found
    return [found for found in out if found is not None]


def _largest(scores: np.ndarray, n: int) -> np.ndarray:
    """Where the n largest finite scores stand, the largest first."""
    top = np.argpartition(-scores, n - 1)[:n] if len(scores) > n else np.arange(len(scores))
    top = top[np.isfinite(scores[top])]
    return top[np.argsort(-scores[top], kind="stable")]


def _in_place(top: np.ndarray, vocab: int, beam: int) -> np.ndarray:
    """The choices spread over the beam's rows, each parent's first child in the parent's own row.

    Then most rows need not be moved. −1 is an empty row.
    """
    rows = np.full(beam, -1, dtype=np.int64)
    _, first = np.unique(top // vocab, return_index=True)
    rows[top[first] // vocab] = top[first]
    rows[np.flatnonzero(rows < 0)[: len(top) - len(first)]] = np.delete(top, first)
    return rows


def _weighted(logs: np.ndarray, weight: float) -> np.ndarray:
    return logs if weight == 1 else np.where(np.isneginf(logs), -np.inf, weight * logs)


def _close(words: Sequence[str], paths: np.ndarray, scores: np.ndarray) -> Found | None:
    keep = np.flatnonzero(np.isfinite(scores))
    keep = keep[np.argsort(-scores[keep], kind="stable")]
    return Found(words=tuple(words), paths=paths[keep], scores=scores[keep]) if len(keep) else None
