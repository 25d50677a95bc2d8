"""Talks to learn from: exchanges in a row, as ids and marks of what is learned."""

import random
from collections.abc import Sequence

from llmcourse import chat, tales
from llmcourse.assistant.exchanges import NO_TOOLS, State, exchange
from llmcourse.tokenizers import Tokenizer

__all__ = ["demonstrations", "opening"]


def opening(state: State) -> list[chat.Turn]:
    """The system's turn, where there is one: it says that there are no tools."""
    return [] if state.tools else [("system", NO_TOOLS[state.language])]


def demonstrations(
    tokenizer: Tokenizer, *, seed: int, n: int, context: int, remember: float = 0.0
) -> list[tuple[list[int], list[bool]]]:
    """`n` talks to learn from, as `chat.encode` gives them, none longer than `context`.

    Half are in Chinese, one in six has no tools, more than half tell a story. With probability
    `remember` an exchange asks for what was told before, or tells something where nothing was: left
    to chance, most such questions come before the telling, and a model learns to say that it does
    not know.
    """
    rng = random.Random(f"assistant {seed}")
    rows = []
    for _ in range(n):
        state = State(language=rng.choice(tales.LANGUAGES), tools=rng.random() > 1 / 6)
        mark = chat.marks(tokenizer)[state.language]
        ids, marks = [mark], [False]
        talk = [(turn, False) for turn in opening(state)]
        with_story, exchanges = rng.random() < 0.55, rng.randint(4, 10)
        when = rng.randrange(3)
        for number in range(exchanges):
            weights = _weights(state)
            skill = rng.choices(list(weights), list(weights.values()))[0]
            if with_story and number == when:
                skill = "story"
            how = {}
            if remember and rng.random() < remember and skill != "story":
                skill = "recall" if state.told else "tell"
                how = {"about": rng.choice(sorted(state.told))} if state.told else {}
            made = exchange(rng, state, skill, **how)
            talk += list(zip(made.turns, made.learn, strict=True))
            some, learned = _encoded(tokenizer, talk)
            if len(ids) + len(some) > context:
                break
            ids, marks, talk = ids + some, marks + learned, []
        rows.append((ids, marks))
    return rows


def _weights(state: State) -> dict[str, float]:
    return {
        "small talk": 0.5, "tell": 1.0, "recall": 1.2, "ask": 4.0 if state.story else 0.4,
        "sum": 2.5, "docs": 1.5, "unknowable": 1.0,
    }  # fmt: skip


def _encoded(
    tokenizer: Tokenizer, talk: Sequence[tuple[chat.Turn, bool]]
) -> tuple[list[int], list[bool]]:
    ids: list[int] = []
    marks: list[bool] = []
    for turn, learn in talk:  # turn by turn is the same as at once: each begins anew
        some, mark = chat.encode(tokenizer, [turn])
        ids += some
        marks += [m and learn for m in mark]
    return ids, marks
