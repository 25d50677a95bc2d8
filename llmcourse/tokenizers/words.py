"""The words of the tales as tokens, with bytes for everything else.

The tales' own tokens carry no spaces and no capitals: those follow from what stands before. Here
that rule is a small machine that reads ids from left to right, so that any mixture of words and
bytes has exactly one text, and a text is encoded by asking which word would be written so.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from llmcourse import tales
from llmcourse.tales.text import CLOSING, SENTENCE_END
from llmcourse.tokenizers.base import Ids, SupportsIndex, Tokenizer, number_special

SPECIAL = (
    "<|pad|>",
    "<|end|>",
    "<|en|>",
    "<|zh|>",
    "<|user|>",
    "<|assistant|>",
    "<|system|>",
    "<|tool|>",
)
_FIRST_BYTE = len(SPECIAL)
_FIRST_WORD = _FIRST_BYTE + 256

# What stands before decides how a word is written: at a beginning with a capital, inside a
# sentence after a space, after a full stop with both, and after bytes or Chinese with neither.
_BEGINNING, _INSIDE, _STOP, _BESIDE = range(4)


class TalesTokenizer(Tokenizer):
    """Special tokens, 256 bytes, then the words and marks of the tales in both languages.

    A story costs one id a token of the grammar. Other text falls back to bytes where no word
    fits, so `decode(encode(text)) == text` for every text. A line break begins anew, as does a
    special token.

    >>> tokenizer = TalesTokenizer()
    >>> len(tokenizer.encode("She ran."))
    3
    """

    kind = "tales"

    def __init__(self, words: Mapping[str, Sequence[str]] | None = None) -> None:
        if words is None:
            words = {language: tales.terminals(language) for language in tales.LANGUAGES}
        self.words = {language: tuple(group) for language, group in words.items()}
        # A mark that both languages use is one token.
        surfaces = list(dict.fromkeys(word for group in self.words.values() for word in group))
        special = number_special(SPECIAL, first=0)
        super().__init__(
            [
                *(name.encode() for name in SPECIAL),
                *(bytes([b]) for b in range(256)),
                *(word.encode() for word in surfaces),
            ],
            special,
        )
        self._id_of = {word: _FIRST_WORD + n for n, word in enumerate(surfaces)}
        spaced = set(self.words.get("en", ()))
        self._written: list[list[str]] = [[] for _ in range(4)]
        for word in surfaces:
            capital = word[:1].upper() + word[1:] if word in spaced else word
            space = " " if word in spaced and word not in CLOSING else ""
            for state, text in enumerate((capital, space + word, space + capital, word)):
                self._written[state].append(text)
        self._after = [
            _STOP
            if word in SENTENCE_END
            else _BEGINNING
            if word == "“"
            else _INSIDE
            if word in spaced
            else _BESIDE
            for word in surfaces
        ]
        # Reversed, so that of words written alike the first one stays.
        self._read = [
            {text: n for n, text in reversed(list(enumerate(texts)))} for texts in self._written
        ]
        # Which lengths are worth a try, longest first, by the first character.
        self._sizes: list[dict[str, list[int]]] = []
        for texts in self._written:
            sizes: dict[str, set[int]] = {}
            for text in texts:
                sizes.setdefault(text[0], set()).add(len(text))
            self._sizes.append({c: sorted(group, reverse=True) for c, group in sizes.items()})

    def encode_tokens(self, tokens: Iterable[str]) -> list[int]:
        """Ids of tokens of the tales, as `Story.tokens` holds them.

        Raises:
            ValueError: a token is no word of the tales; the message gives its position.
        """
        ids = []
        for position, token in enumerate(tokens):
            if token not in self._id_of:
                raise ValueError(f"token {position} must be a word of the tales, got {token!r}")
            ids.append(self._id_of[token])
        return ids

    def encode_story(self, story: tales.Story) -> list[int]:
        """A story as a model sees it: the mark of its language, its tokens, the end."""
        mark = self.special_tokens[f"<|{story.language}|>"]
        return [mark, *self.encode_tokens(story.tokens), self.special_tokens["<|end|>"]]

    def _encode_text(self, text: str) -> list[int]:
        ids: list[int] = []
        state, at = _BEGINNING, 0
        while at < len(text):
            size, n = self._longest_word(text, at, state)
            if size:
                ids.append(_FIRST_WORD + n)
                state = self._after[n]
            else:
                size = 1
                ids.extend(_FIRST_BYTE + b for b in text[at].encode())
                state = _BEGINNING if text[at] == "\n" else _BESIDE
            at += size
        return ids

    def _longest_word(self, text: str, at: int, state: int) -> tuple[int, int]:
        """Length and number of the longest word written at a place, or (0, −1)."""
        sizes = self._sizes[state].get(text[at])
        if sizes is None or _joined(text, at):
            return 0, -1
        read = self._read[state]
        for size in sizes:
            n = read.get(text[at : at + size])
            # A word that is part of a longer one is left to the bytes.
            if n is not None and not _joined(text, at + size):
                return size, n
        return 0, -1

    def _settled(self, text: str) -> int:
        return text.rfind("\n") + 1

    def decode_bytes(self, ids: Ids) -> bytes:
        """The bytes of a sequence of ids, spaces and capitals written where the rule asks for them.

        Raises:
            ValueError: an id lies outside the vocabulary; the message gives its position.
        """
        ids = list(ids)
        self._look_up(ids)
        push = self._byte_stream()
        return b"".join(push(i) for i in ids)

    def _byte_stream(self) -> Callable[[SupportsIndex], bytes]:
        state = _BEGINNING

        def push(id: SupportsIndex) -> bytes:
            nonlocal state
            token, id = self.token_bytes(id), id.__index__()
            if id < _FIRST_WORD:
                state = _BEGINNING if id < _FIRST_BYTE or token == b"\n" else _BESIDE
                return token
            written = self._written[state][id - _FIRST_WORD]
            state = self._after[id - _FIRST_WORD]
            return written.encode()

        return push

    def _state(self) -> dict[str, Any]:
        return {"words": {language: list(group) for language, group in self.words.items()}}

    @classmethod
    def _from_state(cls, state: Mapping[str, Any]) -> "TalesTokenizer":
        return cls(state["words"])


def _joined(text: str, at: int) -> bool:
    """Whether a place lies between two letters of Latin script."""
    return text[at - 1 : at].isalpha() and text[at : at + 1].isalpha() and text[at] < "\u0250"
