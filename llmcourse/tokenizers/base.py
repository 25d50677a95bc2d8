"""The face every tokenizer of the course shares: text to ids, ids to text, one JSON file."""

import codecs
import json
import os
import re
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from operator import index
from pathlib import Path
from typing import Any, ClassVar, Literal, SupportsIndex

FORMAT = "llmcourse.tokenizer"
VERSION = 1

Allowed = Collection[str] | Literal["all"]
Ids = Iterable[SupportsIndex]  # integers of Python, numpy or torch


class Tokenizer:
    """Tokens numbered from 0, each a string of bytes, and some of them special.

    A subclass says how ordinary text becomes ids (`_encode_text`), where a text that will go on
    may be cut without changing its ids (`_settled`), and what its file holds (`_state`).

    Raises:
        ValueError: a special token is empty, is named twice, or has the bytes of an ordinary token.
    """

    kind: ClassVar[str]

    def __init__(self, tokens: Sequence[bytes], special_tokens: Mapping[str, int]) -> None:
        self._tokens = tuple(tokens)
        self.special_tokens = dict(special_tokens)
        ordinary = set(self._tokens[: self.vocab_size]) - {
            self._tokens[i] for i in self.special_tokens.values()
        }
        ordinary |= {bytes([b]) for b in range(256)}
        for name, i in self.special_tokens.items():
            if not name or name.encode() in ordinary:
                raise ValueError(
                    f"a special token must not be empty or equal an ordinary token, got {name!r}"
                )
            if self._tokens[i] != name.encode():
                raise ValueError(f"special token {name!r} is not the token with id {i}")

    @property
    def vocab_size(self) -> int:
        """How many ids there are, special tokens included."""
        return len(self._tokens)

    def __repr__(self) -> str:
        special = f", {len(self.special_tokens)} special" if self.special_tokens else ""
        return f"{type(self).__name__}({self.vocab_size} tokens{special})"

    # Text to ids.

    def encode(self, text: str, allowed_special: Allowed = ()) -> list[int]:
        """Ids of a text.

        The name of a special token inside `text` is ordinary text, unless `allowed_special` lists
        it (or is `"all"`): otherwise a user could forge the end of a turn. Among allowed names
        the leftmost wins, and of those that begin together the longest.

        Raises:
            ValueError: `text` holds a lone surrogate, which UTF-8 cannot encode, or
                `allowed_special` names no special token.
        """
        _check_text(text)
        allowed = self._allowed(allowed_special)
        if not allowed:
            return self._encode_text(text)
        ids: list[int] = []
        for n, piece in enumerate(_any_of(allowed).split(text)):
            if n % 2:
                ids.append(self.special_tokens[piece])
            elif piece:
                ids.extend(self._encode_text(piece))
        return ids

    def encode_iter(self, chunks: Iterable[str], allowed_special: Allowed = ()) -> Iterator[int]:
        """Ids of a text that arrives in chunks, equal to `encode` of the chunks joined.

        Holds back only the part that the next chunk could still change, so memory stays bounded
        over a stream of lines.
        """
        encode = self._streaming_encoder()
        allowed = self._allowed(allowed_special)
        special = _any_of(allowed) if allowed else None
        longest = max(map(len, allowed), default=1)
        pieces: list[str] = []
        size, enough = 0, 1
        for chunk in chunks:
            _check_text(chunk)
            pieces.append(chunk)
            size += len(chunk)
            if size < enough:
                continue
            text = "".join(pieces)
            start = 0
            for match in special.finditer(text) if special else ():
                if match.start() + longest > len(text):
                    break  # the next chunk could complete a longer special token
                yield from encode(text[start : match.start()])
                yield self.special_tokens[match[0]]
                start = match.end()
            visible = text[start : max(start, len(text) - longest + 1)]
            cut = self._settled(visible)
            yield from encode(visible[:cut])
            held = text[start + cut :]
            # Doubling the wait keeps a word that never ends linear: it is looked at log n times.
            pieces, size, enough = [held], len(held), 2 * len(held)
        yield from self.encode("".join(pieces), allowed_special)

    def _allowed(self, allowed_special: Allowed) -> list[str]:
        if allowed_special == "all":
            return list(self.special_tokens)
        if isinstance(allowed_special, str):
            raise ValueError(
                f"allowed_special must be 'all' or a collection of names, got {allowed_special!r}"
            )
        for name in allowed_special:
            if name not in self.special_tokens:
                raise ValueError(
                    f"allowed_special must name special tokens of this tokenizer "
                    f"({', '.join(self.special_tokens) or 'it has none'}), got {name!r}"
                )
        return list(allowed_special)

    def _encode_text(self, text: str) -> list[int]:
        raise NotImplementedError

    def _streaming_encoder(self) -> Callable[[str], list[int]]:
        return self._encode_text

    def _settled(self, text: str) -> int:
        """The largest known n such that `text[:n]` has the same ids whatever follows `text`."""
        return len(text)

    # Ids to text.

    def token_bytes(self, id: SupportsIndex) -> bytes:
        """The bytes of one token.

        Raises:
            ValueError: there is no such id.
        """
        return self._look_up([id])[0]

    def decode_bytes(self, ids: Ids) -> bytes:
        """The bytes of a sequence of ids, which need not be whole UTF-8 characters.

        Raises:
            ValueError: an id lies outside the vocabulary; the message gives its position.
        """
        return b"".join(self._look_up(ids))

    def decode(self, ids: Ids) -> str:
        """The text of a sequence of ids; bytes that are no UTF-8 become U+FFFD, and never raise.

        Raises:
            ValueError: an id lies outside the vocabulary.
        """
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    def decode_iter(self, ids: Ids) -> Iterator[str]:
        """Pieces of text as ids arrive, never half a character; joined they equal `decode`."""
        stream = StreamDecoder(self)
        for i in ids:
            if piece := stream.push(i):
                yield piece
        if piece := stream.finish():
            yield piece

    def _look_up(self, ids: Ids) -> list[bytes]:
        table, size = self._tokens, len(self._tokens)
        found = []
        for position, i in enumerate(ids):
            i = index(i)
            if not 0 <= i < size:
                raise ValueError(f"ids must be in [0, {size}), got {i} at position {position}")
            found.append(table[i])
        return found

    def _byte_stream(self) -> Callable[[SupportsIndex], bytes]:
        """A function that takes ids one at a time and gives the bytes each adds."""
        return self.token_bytes

    # One JSON file.

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the tokenizer as one JSON file, whole or not at all."""
        head = {"format": FORMAT, "version": VERSION, "kind": self.kind}
        write_atomically(path, json.dumps(head | self._state(), ensure_ascii=False, indent=0))

    def _state(self) -> dict[str, Any]:
        raise NotImplementedError

    @classmethod
    def _from_state(cls, state: Mapping[str, Any]) -> "Tokenizer":
        raise NotImplementedError


class StreamDecoder:
    """Text as ids arrive one by one, holding back the bytes of an unfinished character.

    >>> stream = StreamDecoder(ByteTokenizer())
    >>> [stream.push(i) for i in "é!".encode()]
    ['', 'é', '!']
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._bytes = tokenizer._byte_stream()
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, id: SupportsIndex) -> str:
        """The text that this id completes, perhaps empty."""
        return self._decoder.decode(self._bytes(id))

    def finish(self) -> str:
        """What is left: U+FFFD when the ids ended inside a character, else nothing."""
        return self._decoder.decode(b"", final=True)


def write_atomically(path: str | os.PathLike[str], text: str) -> None:
    """Write a file beside its final place, sync it and rename it: readers see old or new, whole."""
    path = Path(path)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def number_special(special_tokens: Sequence[str], first: int) -> dict[str, int]:
    """Ids for special tokens, from `first` on.

    Raises:
        ValueError: a name comes twice.
    """
    if isinstance(special_tokens, str):
        raise ValueError(f"special_tokens must be a sequence of names, got {special_tokens!r}")
    names = list(special_tokens)
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"special tokens must differ, got {twice[0]!r} more than once")
    return {name: first + n for n, name in enumerate(names)}


def _any_of(names: Collection[str]) -> re.Pattern[str]:
    # Longest first: an alternation takes the first branch that matches.
    longest_first = sorted(names, key=len, reverse=True)
    return re.compile("(" + "|".join(map(re.escape, longest_first)) + ")")


def _check_text(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"text must be encodable as UTF-8, got the lone surrogate "
            f"U+{ord(text[error.start]):04X} at character {error.start}; "
            f"text.encode('utf-16', 'surrogatepass').decode('utf-16', 'replace') mends it"
        ) from None
