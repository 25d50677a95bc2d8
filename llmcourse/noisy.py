"""Speech recognition with a toy ear: acoustic evidence times a language model.

A speaker says words; the ear hears letters, some wrong, with known probabilities, and hears where
each word ends. Marks are silent. The decoder looks for the words x that make

    log p(heard | x) + weight · log p(x)

largest: Bayes' rule, with the language model as the prior. Shannon's noisy channel (1948), used
for speech by Bahl, Jelinek and Mercer (1983) and for spelling by Kernighan, Church and Gale (1990).

    channel = Channel(noise=0.3)
    heard = channel.hear(story.tokens, seed=0)
    found = decode([heard], channel, words, TruthReader(words))[0]
    found.best, found.vote()
"""

import math
import random
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int

from llmcourse.tales import END
from llmcourse.tales.language import Cursor, Language

__all__ = [
    "ALIKE",
    "SILENT",
    "Channel",
    "FlatReader",
    "Found",
    "GPTReader",
    "NGramReader",
    "Reader",
    "TruthReader",
    "decode",
    "spoken",
    "word_errors",
]

LETTERS = "abcdefghijklmnopqrstuvwxyz"
# Letters whose sounds are taken for each other most.
ALIKE = ("aeiouy", "bpdtgk", "fvszcx", "mnl", "rwhjq")
SILENT = "·"  # what is heard of a mark
WIDEST = 2048  # a beam that finds nothing at this width gives up


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


# ---- language models, read word by word ----------------------------------------------------------


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


# ---- the decoder ---------------------------------------------------------------------------------


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
