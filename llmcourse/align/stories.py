"""Talks about stories of the tales: the questions that can be put, and the exact replies."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from llmcourse import chat, tales
from llmcourse.tokenizers import Tokenizer

__all__ = ["UNKNOWN", "Item", "items", "talks"]

UNKNOWN = {"en": "The story does not say.", "zh": "故事里没有说。"}


@dataclass(frozen=True, kw_only=True)
class Item:
    """A question on a story as a model is asked it, and the one right reply."""

    story: int  # its number
    about: str  # which fact is asked for
    question: str
    wanted: str
    turns: tuple[chat.Turn, ...]  # up to the question
    prompt: tuple[int, ...]  # the same as ids

    @property
    def answerable(self) -> bool:
        """Whether the story says it."""
        return self.wanted not in UNKNOWN.values()


def _asked(story: tales.Story) -> list[tuple[str, str, str]]:
    """What is asked for, question and reply, in the order of `tales.questions`."""
    asked = tales.questions(story)
    talk = tales.dialogue(story, turns=len(asked))
    pairs = zip(talk[::2], talk[1::2], strict=True)
    replies = {question: reply for (_, question), (_, reply) in pairs}
    return [(qa.about, qa.question, replies[qa.question]) for qa in asked]


def items(tokenizer: Tokenizer, stories: Sequence[tales.Story], context: int = 256) -> list[Item]:
    """Every question on every story, each in a talk of its own that begins with the story."""
    found = []
    for number, story in enumerate(stories):
        for about, question, reply in _asked(story):
            turns = (("user", f"{story.text}\n{question}"),)
            ids = chat.prompt(tokenizer, turns, language=story.language, context=context)
            found.append(
                Item(
                    story=number, about=about, question=question, wanted=reply, turns=turns,
                    prompt=tuple(ids),
                )
            )  # fmt: skip
    return found


def talks(
    tokenizer: Tokenizer, stories: Sequence[tales.Story], *, seed: int = 0, context: int = 256
) -> list[tuple[list[int], list[bool]]]:
    """Demonstrations: each story's questions in random order, over as many talks as needed.

    A talk begins with the story and goes on from question to question until the next one would
    pass the context. Ids and marks as `chat.encode` gives them.
    """
    rows = []
    for number, story in enumerate(stories):
        asked = _asked(story)
        random.Random(f"talks {seed} {number}").shuffle(asked)
        rest = [(question, reply) for _, question, reply in asked]
        while rest:
            turns: list[chat.Turn] = []
            best = None
            while rest:
                question, reply = rest[0]
                first = f"{story.text}\n{question}" if not turns else question
                turns += [("user", first), ("assistant", reply)]
                row = chat.encode(tokenizer, turns, language=story.language)
                if len(row[0]) > context:
                    break
                best = row
                rest.pop(0)
            if best is None:
                chat.encode(tokenizer, turns, language=story.language, context=context)
            rows.append(best)
    return rows
