"""The session: what is said, what the model reads of it, and the answer as events."""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from llmcourse import chat, sample
from llmcourse.dialogue.memory import Said, exchanges, fit, visible
from llmcourse.tokenizers import StreamDecoder, Tokenizer
from llmcourse.toolbox import Tool, run

__all__ = ["Called", "Ended", "Event", "Forgot", "Piece", "Result", "Session"]


@dataclass(frozen=True)
class Piece:
    """Text of the answer, as it is written."""

    text: str


@dataclass(frozen=True)
class Called:
    """The model called a tool."""

    call: str


@dataclass(frozen=True)
class Result:
    """What the tool gave: what the model reads, and what a person may see beside it."""

    text: str
    shown: str
    failed: bool


@dataclass(frozen=True)
class Forgot:
    """So many more of the oldest exchanges no longer fit; `total` of them since the beginning."""

    exchanges: int
    total: int


@dataclass(frozen=True)
class Ended:
    """The answer is over. Why: "end", "length" (no room for more), or "steps" (too many calls)."""

    why: str


Event = Piece | Called | Result | Forgot | Ended


class Session:
    """A talk that goes on. `said` holds every turn, those that no longer fit too.

    Args:
        system: a first turn that is always kept.
        steps: calls of tools in one answer at most; then it must answer.
        max_new: tokens of one turn at most; so many are kept free in the context.
        choices: as for `sample.stream`: temperature (0 by default), top_p and the like.

    Raises:
        ValueError: the tokenizer has no marks for a talk, the language is none of "en" and "zh",
            or a number is below 1.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Tokenizer,
        *,
        language: str = "en",
        system: str | None = None,
        tools: Mapping[str, Tool] | None = None,
        steps: int = 3,
        max_new: int = 64,
        seed: int = 0,
        **choices: Any,
    ) -> None:
        if steps < 1 or max_new < 1:
            raise ValueError(f"steps and max_new must be at least 1, got {steps} and {max_new}")
        self.model, self.tokenizer, self.tools = model, tokenizer, dict(tools or {})
        self.marks = chat.marks(tokenizer)
        self.system, self.steps = system, steps
        self.max_new = min(max_new, model.config.context // 3)
        self.choices = {"temperature": 0.0, **choices}
        sample.Sampling(**self.choices)  # nonsense is refused before the first word
        self.seed = seed
        self.language = language
        special = set(tokenizer.special_tokens.values())
        ordinary = [i for i in range(tokenizer.vocab_size) if i not in special]
        self._inside = [*ordinary, self.marks["end"]]
        self.reset()

    @property
    def language(self) -> str:
        """Of the mark that opens the talk."""
        return self._language

    @language.setter
    def language(self, language: str) -> None:
        if language not in chat.LANGUAGES:
            raise ValueError(f"language must be one of {chat.LANGUAGES}, got {language!r}")
        self._language = language

    def reset(self) -> None:
        """Forget all but the system's turn, and draw from the seed anew."""
        self.said = [] if self.system is None else [Said(role="system", text=self.system)]
        self.forgotten = 0  # exchanges
        self.generator = torch.Generator().manual_seed(self.seed)

    def unpin(self) -> None:
        """Let what was pinned be forgotten in its turn."""
        self.said = [replace(turn, pinned=False) for turn in self.said]

    def prompt(self) -> tuple[list[int], int]:
        """The ids that the model reads next, and how many exchanges are left out of them.

        Raises:
            ValueError: the newest exchange does not fit, whatever is left out.
        """
        head, *groups = exchanges(self.said)
        encoded = [self._ids(group) for group in groups]
        start = [self.marks[self._language], *self._ids(head)]
        room = self.model.config.context - self.max_new - len(start) - 1
        pinned = [any(turn.pinned for turn in group) for group in groups]
        kept = fit([len(ids) for ids in encoded], pinned, room)
        ids = [*start, *(i for n in kept for i in encoded[n]), self.marks["assistant"]]
        return ids, len(groups) - len(kept)

    def _ids(self, group: Sequence[Said]) -> list[int]:
        turns = [(turn.role, turn.text) for turn in group]
        return chat.encode(self.tokenizer, turns)[0] if turns else []

    def say(self, text: str, *, pin: bool = False) -> Iterator[Event]:
        """Say something, and get the answer as events while it is written.

        Closing the iterator, or an interrupt, stops the answer; what was written so far stays in
        the talk. A message that is refused does not.

        Raises:
            ValueError: nothing in `text` can be read, or it does not fit; before the first event.
        """
        if not visible(text).strip():
            raise ValueError("the message is empty: there is nothing to answer")
        if not any(unicodedata.category(c)[0] in "LNPS" for c in text):
            raise ValueError("the message holds control characters only: nothing to answer")
        self.said.append(Said(role="user", text=text, pinned=pin))
        try:
            ids, left_out = self.prompt()
        except ValueError:
            self.said.pop()
            raise
        return self._answer(ids, left_out)

    def _answer(self, ids: list[int], left_out: int) -> Iterator[Event]:
        for step in range(self.steps + 1):
            if left_out > self.forgotten:
                yield Forgot(left_out - self.forgotten, left_out)
                self.forgotten = left_out
            call = yield from self._write(ids, may_call=bool(self.tools) and step < self.steps)
            if call is None:
                return
            found = run(call, self.tools)
            self.said.append(Said(role="tool", text=found.text))
            yield Result(found.text, found.shown, found.failed)
            try:
                ids, left_out = self.prompt()
            except ValueError:
                break  # this exchange alone has filled the context
        self.said.append(Said(role="assistant", text="", stopped=True))
        yield Ended("steps")

    def _write(self, ids: list[int], *, may_call: bool) -> Iterator[Event]:
        """One turn of the assistant, as events; returns the call that it is, or None."""
        end, tool = self.marks["end"], self.marks["tool"]
        first = [*self._inside, tool] if may_call else self._inside
        new: list[int] = []
        stream, text = StreamDecoder(self.tokenizer), ""
        drawn = sample.stream(
            self.model, ids, max_new=self.max_new, generator=self.generator, stop=[end],
            allowed=lambda so_far: self._inside if so_far else first, **self.choices,
        )  # fmt: skip
        whole = False
        try:
            for token in drawn:
                new.append(token)
                if token == end:
                    break
                if new[0] == tool:  # a call is shown when it is whole
                    continue
                if piece := stream.push(token):
                    text += piece
                    yield Piece(piece)
            if new[0] != tool and (piece := stream.finish()):
                text += piece
                yield Piece(piece)
            whole = new[-1] == end
        finally:
            call = chat.called(self.tokenizer, new)
            if call is None:
                self.said.append(Said(role="assistant", text=text, stopped=not whole))
            else:
                self.said.append(Said(role=chat.CALL, text=call))
        if call is not None:
            yield Called(call)
            return call
        yield Ended("end" if whole else "length")
        return None
