"""Two tokenizers with nothing to learn: bytes, and characters."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from llmcourse.tokenizers.base import Tokenizer, _any_of, _check_text, number_special

_BYTES = tuple(bytes([b]) for b in range(256))


class ByteTokenizer(Tokenizer):
    """Each byte of the UTF-8 text is a token, and its value is its id.

    >>> ByteTokenizer().encode("né")
    [110, 195, 169]
    """

    kind = "byte"

    def __init__(self, special_tokens: Sequence[str] = ()) -> None:
        special = number_special(special_tokens, first=256)
        super().__init__([*_BYTES, *(name.encode() for name in special)], special)

    def _encode_text(self, text: str) -> list[int]:
        return list(text.encode())

    def _state(self) -> dict[str, Any]:
        return {"special_tokens": list(self.special_tokens)}

    @classmethod
    def _from_state(cls, state: Mapping[str, Any]) -> "ByteTokenizer":
        return cls(state["special_tokens"])


class CharTokenizer(Tokenizer):
    """Each character is a token.

    With `fallback` ids 0 to 255 are the bytes, and a character that training never saw costs one
    id a byte; ASCII characters are bytes already. Without it the vocabulary is only the
    characters of the training text, in code point order.
    """

    kind = "char"

    def __init__(
        self, characters: str, special_tokens: Sequence[str] = (), *, fallback: bool = True
    ) -> None:
        self.fallback = fallback
        self.characters = "".join(sorted(set(characters)))
        _check_text(self.characters)
        own = [c for c in self.characters if not (fallback and c.isascii())]
        base = _BYTES if fallback else ()
        self._id_of = {c: len(base) + n for n, c in enumerate(own)}
        if fallback:
            self._id_of |= {chr(b): b for b in range(128)}
        tokens = [*base, *(c.encode() for c in own)]
        special = number_special(special_tokens, first=len(tokens))
        super().__init__([*tokens, *(name.encode() for name in special)], special)

    @classmethod
    def train(
        cls,
        text: str | Iterable[str],
        special_tokens: Sequence[str] = (),
        *,
        fallback: bool = True,
    ) -> "CharTokenizer":
        """Collect the characters of a text, or of an iterator of texts.

        Raises:
            ValueError: there is no character at all and no fallback, so no token.
        """
        names = number_special(special_tokens, first=0)
        seen: set[str] = set()
        for document in [text] if isinstance(text, str) else text:
            for piece in _any_of(names).split(document)[::2] if names else [document]:
                seen |= set(piece)
        if not seen and not fallback:
            raise ValueError("a character vocabulary without fallback needs a text, got none")
        return cls("".join(seen), special_tokens, fallback=fallback)

    def _encode_text(self, text: str) -> list[int]:
        id_of = self._id_of
        try:
            return [id_of[c] for c in text]
        except KeyError as error:
            if not self.fallback:
                unknown = error.args[0]
                raise ValueError(
                    f"every character must be one that training saw, got {unknown!r} at "
                    f"character {text.index(unknown)}; fallback=True would spell it in bytes"
                ) from None
        ids: list[int] = []
        for c in text:
            ids.extend([id_of[c]] if c in id_of else c.encode())
        return ids

    def _state(self) -> dict[str, Any]:
        return {
            "characters": self.characters,
            "fallback": self.fallback,
            "special_tokens": list(self.special_tokens),
        }

    @classmethod
    def _from_state(cls, state: Mapping[str, Any]) -> "CharTokenizer":
        return cls(state["characters"], state["special_tokens"], fallback=state["fallback"])
