"""Byte-level byte-pair encoding with GPT-2's pre-split pattern.

Gage (1994) compressed files by replacing the most frequent pair of bytes; Sennrich, Haddow and
Birch (2016) made subword vocabularies so; Radford et al. (2019) began from bytes, so that every
text can be encoded.
"""

import os
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import chain, pairwise
from typing import Any

import regex

from llmcourse.tokenizers import formats
from llmcourse.tokenizers.base import (
    Tokenizer,
    _any_of,
    _check_text,
    number_special,
    write_atomically,
)
from llmcourse.tokenizers.formats import from_printable, printable

# GPT-2's: English contractions; a word, a number, or a run of anything else, each with the one
# space before it; other white space. No token crosses a border of this pattern.
GPT2_PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_split_any = regex.compile(GPT2_PATTERN).findall
# The same for ASCII alone, by the standard library's engine, which is twice as fast.
_split_ascii = re.compile(
    r" ?[A-Za-z]+|'(?:[stmd]|re|ve|ll)| ?[0-9]+| ?[^\t-\r A-Za-z0-9]+"
    r"|[\t-\r ]+(?![^\t-\r ])|[\t-\r ]+"  # `re` counts four control characters as white space
).findall
_foreign = re.compile(r"[^\x00-\x7f]").search
# No token goes on from a visible character to white space: there a text may be cut in two.
_cut_before = regex.compile(r"(?r)(?<=[!-~])[ \n]").search
_cut_after = re.compile(r"(?<=[!-~])\n").search
# A border that no later text can remove. Searched from the end; the match is the character after.
_last_border = regex.compile(r"(?r)(?<=\p{L})\P{L}|(?<=\p{N})\P{N}|(?<=\S)\s").search

_MOST = 0x110000  # training writes ids as characters, and Python has this many
_LONG = 48  # bytes from which the heap beats rescanning the word
_KEPT = 1 << 15  # words whose ids `encode` remembers
_KEPT_STREAMING = 1 << 11  # and `encode_iter`, which promises little memory


class BPE(Tokenizer):
    """Byte-level BPE: `tokens[id]` is a token's bytes, `merges` pairs of ids, most urgent first.

    >>> tokenizer = BPE.train("low lower lowest " * 9, vocab_size=260)
    >>> [tokenizer.token_bytes(i) for i in tokenizer.encode("lower slow")]
    [b'low', b'e', b'r', b' ', b's', b'low']

    Raises:
        ValueError: a byte has no token, or a merge joins ids whose bytes joined are no token.
    """

    kind = "bpe"

    def __init__(
        self,
        tokens: Sequence[bytes],
        merges: Sequence[tuple[int, int]],
        special_tokens: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(tokens, special_tokens or {})
        special_ids = set(self.special_tokens.values())
        id_of = {t: i for i, t in enumerate(self._tokens) if i not in special_ids}
        if len(id_of) + len(special_ids) != self.vocab_size:
            raise ValueError("tokens must differ: two ids have the same bytes")
        if missing := [b for b in range(256) if bytes([b]) not in id_of]:
            raise ValueError(f"every byte needs a token, got none for 0x{missing[0]:02X}")
        self.merges = tuple(merges)
        self._rank: dict[tuple[int, int], int] = {}
        self._merged: list[int] = []
        for rank, (a, b) in enumerate(self.merges):
            joined = b"".join(self._look_up((a, b)))
            if joined not in id_of:
                raise ValueError(f"merge {rank} makes {joined!r}, which is no token")
            self._rank.setdefault((a, b), rank)
            self._merged.append(id_of[joined])
        self._byte_id = [id_of[bytes([b])] for b in range(256)]
        self._words = _Words(self._merge, _KEPT)

    @classmethod
    def train(
        cls, text: str | Iterable[str], vocab_size: int, special_tokens: Sequence[str] = ()
    ) -> "BPE":
        """Learn merges from a text, or from an iterator of texts that no token may span.

        Ids 0 to 255 are the bytes, then come the merges in order, then the special tokens, which
        are no part of the statistics: they cut the text. Each merge joins the pair of tokens that
        stands side by side most often; of equal counts the greatest pair of byte strings wins.
        Warns and stops early when no pair is left.

        Raises:
            ValueError: `vocab_size` is smaller than 256 plus the special tokens.
        """
        special = number_special(special_tokens, first=0)
        if not 256 + len(special) <= vocab_size <= _MOST:
            raise ValueError(
                f"vocab_size must be from 256 + {len(special)} special tokens = "
                f"{256 + len(special)} to {_MOST}, got {vocab_size}"
            )
        counts: Counter[str] = Counter()
        for document in [text] if isinstance(text, str) else text:
            _check_text(document)
            for piece in _any_of(special).split(document)[::2] if special else [document]:
                counts.update(_split(piece))
        tokens, merges = _learn(counts, vocab_size - len(special))
        if len(tokens) + len(special) < vocab_size:
            warnings.warn(
                f"training stopped at {len(tokens) + len(special)} of {vocab_size} tokens: "
                f"every word of the text is one token, no pair is left to merge",
                stacklevel=2,
            )
        special = number_special(special_tokens, first=len(tokens))
        return cls(tokens + [name.encode() for name in special], merges, special)

    def _encode_text(self, text: str) -> list[int]:
        return list(chain.from_iterable(map(self._words.__getitem__, _split(text))))

    def _streaming_encoder(self) -> Callable[[str], list[int]]:
        words = _Words(self._merge, _KEPT_STREAMING)
        return lambda text: list(chain.from_iterable(map(words.__getitem__, _split(text))))

    def _settled(self, text: str) -> int:
        border = _last_border(text)
        return border.start() if border else 0

    def _merge(self, word: str) -> list[int]:
        """Join the pair of lowest rank, the leftmost of equals, until none is left."""
        ids = [self._byte_id[b] for b in word.encode()]
        if len(ids) > _LONG:
            return self._merge_long(ids)
        rank, never = self._rank, len(self.merges)
        while len(ids) > 1:
            ranks = [rank.get(pair, never) for pair in pairwise(ids)]
            best = min(ranks)
            if best == never:
                break
            at = ranks.index(best)
            ids[at : at + 2] = [self._merged[best]]
        return ids

    def _merge_long(self, ids: list[int]) -> list[int]:
        """The same with a heap and a linked list: n log n, where rescanning takes n² steps."""
        rank, gone, end = self._rank, -1, len(ids)
        left, right = list(range(-1, end - 1)), list(range(1, end + 1))
        heap = [(rank[p], i) for i, p in enumerate(pairwise(ids)) if p in rank]
        heapify(heap)
        while heap:
            best, i = heappop(heap)
            j = right[i]
            if ids[i] == gone or j == end or rank.get((ids[i], ids[j])) != best:
                continue  # a neighbour has changed since this was pushed
            ids[i], ids[j], right[i] = self._merged[best], gone, right[j]
            if right[i] < end:
                left[right[i]] = i
                if (r := rank.get((ids[i], ids[right[i]]))) is not None:
                    heappush(heap, (r, i))
            if left[i] >= 0 and (r := rank.get((ids[left[i]], ids[i]))) is not None:
                heappush(heap, (r, left[i]))
        return [i for i in ids if i != gone]

    # Files: our own, GPT-2's pair of files, Hugging Face's tokenizer.json.

    def _state(self) -> dict[str, Any]:
        return {
            "tokens": [printable(t) for t in self._tokens],
            "merges": [list(pair) for pair in self.merges],
            "special_tokens": self.special_tokens,
        }

    @classmethod
    def _from_state(cls, state: Mapping[str, Any]) -> "BPE":
        tokens = [from_printable(t) for t in state["tokens"]]
        return cls(tokens, [(a, b) for a, b in state["merges"]], state["special_tokens"])

    @classmethod
    def from_gpt2(
        cls, vocab_json: str | os.PathLike[str], merges_txt: str | os.PathLike[str]
    ) -> "BPE":
        """Read GPT-2's own two files; entries that no merge makes are special tokens.

        Raises:
            ValueError: the ids are not 0 to n - 1, or a merge names no token.
        """
        return cls(*formats.read_gpt2(vocab_json, merges_txt))

    def to_gpt2(
        self, vocab_json: str | os.PathLike[str], merges_txt: str | os.PathLike[str]
    ) -> None:
        """Write the two files that `from_gpt2` and Hugging Face's GPT-2 tokenizer read."""
        vocab, merges = formats.gpt2_files(self._tokens, self.merges, self.special_tokens)
        write_atomically(vocab_json, vocab)
        write_atomically(merges_txt, merges)

    @classmethod
    def from_hf(cls, path: str | os.PathLike[str]) -> "BPE":
        """Read a `tokenizer.json` of byte-level BPE with GPT-2's pre-split pattern.

        Raises:
            ValueError: the file holds another kind of tokenizer; the message names the part.
        """
        return cls(*formats.read_tokenizer_json(path))

    def to_hf(self, path: str | os.PathLike[str]) -> None:
        """Write a `tokenizer.json` that `tokenizers.Tokenizer.from_file` opens.

        Its ids equal ours with `allowed_special="all"`: that library always honours them.
        """
        text = formats.tokenizer_json(self._tokens, self.merges, self.special_tokens)
        write_atomically(path, text)


def _split(text: str) -> list[str]:
    """The words that merges stay inside: `GPT2_PATTERN`, with a faster engine where that agrees."""
    words: list[str] = []
    at = 0
    while found := _foreign(text, at):
        before = _cut_before(text, at, found.start())
        after = _cut_after(text, found.end())
        start = before.start() if before else at
        end = after.start() if after else len(text)
        words += _split_ascii(text[at:start])
        words += _split_any(text[start:end])
        at = end
    words += _split_ascii(text[at:])
    return words


class _Words(dict[str, list[int]]):
    """The ids of words met before; forgets all when full, so memory is bounded."""

    def __init__(self, merge: Callable[[str], list[int]], limit: int) -> None:
        self._merge, self._limit = merge, limit

    def __missing__(self, word: str) -> list[int]:
        ids = self._merge(word)
        if len(word) <= _LONG:  # long ones are rare and large
            if len(self) >= self._limit:
                self.clear()
            self[word] = ids
        return ids


def _learn(counts: Mapping[str, int], size: int) -> tuple[list[bytes], list[tuple[int, int]]]:
    """Grow the 256 bytes to `size` tokens by merges.

    A word is a Python string whose characters are token ids: `chr(id)`. A pair is then a string of
    two characters, and splitting a word at a pair, left to right, is `str.split`.
    """
    tokens = [bytes([b]) for b in range(256)]
    id_of = {t: i for i, t in enumerate(tokens)}
    words = [word.encode().decode("latin-1") for word in counts]
    times = list(counts.values())
    pairs: dict[str, int] = defaultdict(int)  # how often each pair stands in the text
    where: dict[str, set[int]] = defaultdict(set)  # in which words it stands, or once stood
    for n, word in enumerate(words):
        for pair in map("".join, pairwise(word)):
            pairs[pair] += times[n]
            where[pair].add(n)

    descending = [_descending(t) for t in tokens]

    def entry(pair: str) -> tuple[int, str, str, str]:
        a, b = pair
        return -pairs[pair], descending[ord(a)], descending[ord(b)], pair

    heap = [entry(pair) for pair in pairs]
    heapify(heap)
    merges: list[tuple[int, int]] = []
    while len(tokens) < size and heap:
        count, *_, pair = heappop(heap)
        if -count != pairs[pair]:  # the count has changed since the entry was made
            if 0 < pairs[pair] < -count:
                heappush(heap, entry(pair))
            continue
        a, b = pair
        joined = tokens[ord(a)] + tokens[ord(b)]
        if joined not in id_of:  # two merges may make one token: (ab)c and a(bc)
            id_of[joined] = len(tokens)
            tokens.append(joined)
            descending.append(_descending(joined))
        new = chr(id_of[joined])
        merges.append((ord(a), ord(b)))
        risen = set()
        for n in where.pop(pair):
            parts = words[n].split(pair)
            if len(parts) == 1:
                continue  # an earlier merge took this pair away
            words[n] = new.join(parts)
            last = len(parts) - 1
            pairs[pair] -= times[n] * last
            for k, part in enumerate(parts):
                # Beside `part` stood b on its left and a on its right; both are now `new`.
                for old, now in _borders(part, a, b, new, first=k == 0, last=k == last):
                    pairs[old] -= times[n]
                    pairs[now] += times[n]
                    where[now].add(n)
                    risen.add(now)
        for now in risen:
            heappush(heap, entry(now))
    return tokens, merges


def _borders(
    part: str, a: str, b: str, new: str, *, first: bool, last: bool
) -> Iterable[tuple[str, str]]:
    """The pairs at the two ends of a part between merged pairs: what stood there, what does now."""
    if not part:
        if not first and not last:
            yield b + a, new + new
        return
    if not first:
        yield b + part[0], new + part[0]
    if not last:
        yield part[-1] + a, part[-1] + new


def _descending(token: bytes) -> str:
    """A key that sorts byte strings from greatest to smallest, longer before its own prefix."""
    return token.translate(_COMPLEMENT).decode("latin-1") + "\u0100"


_COMPLEMENT = bytes(range(255, -1, -1))
