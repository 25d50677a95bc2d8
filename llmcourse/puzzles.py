"""Questions that take several steps: exact answers, exact chains of thought, a strict marker.

Two tasks. In `exchange`, five people stand in a row, one of them has the ball, and pairs change
places, ball and all: who has it in the end? In `sum`, digits are added. Each step is labelled by
a letter; labels run on from a random one, and after "z" comes "a".

    Ann : k Bob Dan l Ann Cat ?        the question: Ann has it; k: Bob and Dan change; ...
    k Ann l Cat = Cat .                the reply with its chain: after each step, who has it
    = Cat .                            the reply without

Exchanges do not commute, and five people are the least number for which following them is as
hard as any task of a finite memory; sums do commute. The chapter `practice/reasoning` needs both.

Some steps never follow each other in training: `generate(..., held_out=True)` makes questions
in which such a pair of neighbours occurs.

Example:
    >>> puzzle = generate("exchange", steps=2, n=1, seed=3)[0]
    >>> reply = puzzle.reply("chain")
    >>> mark(puzzle, reply.split()).answer_right
    True
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch

from llmcourse.batches import IGNORED, Batch

__all__ = [
    "FORMS",
    "LABELS",
    "NAMES",
    "TASKS",
    "VOCABULARY",
    "Mark",
    "Puzzle",
    "PuzzleBatches",
    "decode",
    "encode",
    "generate",
    "is_held_out",
    "mark",
    "rows",
]

NAMES = ("Ann", "Bob", "Cat", "Dan", "Eve")
LABELS = tuple("abcdefghijklmnopqrstuvwxyz")
TASKS = ("exchange", "sum")
FORMS = ("chain", "direct", "filler")
END, ASK, SO, START, FILLER, RIGHT, WRONG = ".", "?", "=", ":", "…", "right", "wrong"
VOCABULARY = (
    END, ASK, SO, START, FILLER, RIGHT, WRONG, *NAMES, *LABELS, *(str(n) for n in range(100)),
)  # fmt: skip
_ID = {word: i for i, word in enumerate(VOCABULARY)}
# What one step may be, by task: a pair that changes places, or a digit that is added.
_STEPS = {"exchange": tuple(combinations(range(len(NAMES)), 2)), "sum": tuple(range(1, 10))}
_SHARE_HELD_OUT = 0.1
_HELD_OUT = {
    task: np.random.default_rng(2024).random((len(steps), len(steps))) < _SHARE_HELD_OUT
    for task, steps in _STEPS.items()
}


def encode(text: str) -> list[int]:
    """The ids of words parted by spaces.

    Raises:
        ValueError: a word is not in the vocabulary.
    """
    unknown = [word for word in text.split() if word not in _ID]
    if unknown:
        raise ValueError(f"the puzzles' vocabulary has no {unknown[0]!r}")
    return [_ID[word] for word in text.split()]


def decode(ids: Sequence[int]) -> str:
    """The words of ids, parted by spaces."""
    return " ".join(VOCABULARY[i] for i in ids)


@dataclass(frozen=True)
class Puzzle:
    """A question. `start` is a name's number, or 0 for a sum; `steps` are numbers into the task's
    list of steps; `first` is the number of the first label."""

    task: str
    start: int
    steps: tuple[int, ...]
    first: int

    def word(self, state: int) -> str:
        """How a state is written."""
        return NAMES[state] if self.task == "exchange" else str(state)

    def after(self, state: int, step: int) -> int:
        """The state after one step."""
        change = _STEPS[self.task][step]
        if self.task == "sum":
            return state + change
        a, b = change
        return b if state == a else a if state == b else state

    @property
    def states(self) -> tuple[str, ...]:
        """The true chain: the state after each step, in words."""
        state, found = self.start, []
        for step in self.steps:
            state = self.after(state, step)
            found.append(self.word(state))
        return tuple(found)

    @property
    def answer(self) -> str:
        return self.states[-1]

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(LABELS[(self.first + i) % len(LABELS)] for i in range(len(self.steps)))

    @property
    def question(self) -> str:
        """The prompt."""
        words = [self.word(self.start), START]
        for label, step in zip(self.labels, self.steps, strict=True):
            change = _STEPS[self.task][step]
            named = [str(change)] if self.task == "sum" else [NAMES[i] for i in change]
            words += [label, *named]
        return " ".join([*words, ASK])

    def reply(self, form: str = "chain", chain: Sequence[str] | None = None) -> str:
        """The right answer: after its chain (or another one), at once, or after filler.

        Filler has as many tokens as the chain.

        Raises:
            ValueError: `form` is none of `FORMS`.
        """
        if form not in FORMS:
            raise ValueError(f"form must be one of {FORMS}, got {form!r}")
        states = self.states if chain is None else chain
        pairs = [w for pair in zip(self.labels, states, strict=True) for w in pair]
        before = {"chain": pairs, "direct": [], "filler": [FILLER] * len(pairs)}[form]
        return " ".join([*before, SO, self.answer, END])


def is_held_out(puzzle: Puzzle) -> bool:
    """Whether two neighbouring steps are a pair that training never shows."""
    table = _HELD_OUT[puzzle.task]
    return any(table[a, b] for a, b in zip(puzzle.steps, puzzle.steps[1:], strict=False))


def _draw(task: str, steps: int, n: int, chance: np.random.Generator) -> np.ndarray:
    """(n, steps) of steps without a held-out neighbour, each uniform among those allowed."""
    allowed = ~_HELD_OUT[task]
    cumulative = (allowed / allowed.sum(1, keepdims=True)).cumsum(1)
    out = np.empty((n, steps), dtype=np.int64)
    out[:, 0] = chance.integers(0, len(allowed), n)
    for k in range(1, steps):
        out[:, k] = (cumulative[out[:, k - 1]] <= chance.random((n, 1))).sum(1)
    return np.minimum(out, len(allowed) - 1)


def _checked(task: str, steps: int) -> None:
    if task not in TASKS:
        raise ValueError(f"task must be one of {TASKS}, got {task!r}")
    most = len(LABELS) if task == "exchange" else 11  # numbers end at 99
    if not 1 <= steps <= most:
        raise ValueError(f"a puzzle of {task} has 1 to {most} steps, got {steps}")


def generate(
    task: str = "exchange", *, steps: int, n: int, seed: int, held_out: bool = False
) -> list[Puzzle]:
    """`n` questions of `steps` steps.

    Without `held_out` no question holds a held-out pair of neighbours; with it, each does, and
    its steps are otherwise uniform.

    Raises:
        ValueError: an unknown task, a number of steps out of range, or one step held out.
    """
    _checked(task, steps)
    if held_out and steps < 2:
        raise ValueError("a held-out pair of neighbours needs 2 steps at least, got 1")
    chance = np.random.default_rng((seed, steps, held_out, TASKS.index(task)))
    starts = len(NAMES) if task == "exchange" else 1
    out: list[Puzzle] = []
    while len(out) < n:
        if held_out:
            drawn = chance.integers(0, len(_STEPS[task]), (n, steps))
        else:
            drawn = _draw(task, steps, n, chance)
        begin, first = chance.integers(0, starts, n), chance.integers(0, len(LABELS), n)
        made = (
            Puzzle(task, int(b), tuple(map(int, row)), int(f))
            for b, row, f in zip(begin, drawn, first, strict=True)
        )
        out += [p for p in made if is_held_out(p) == held_out]
    return out[:n]


@dataclass(frozen=True)
class Mark:
    """What a strict reader finds in a reply.

    `answer` is None where the reply does not end as it should ("= Cat ."); `steps_right` counts
    the steps of the chain that are right before the first wrong or missing one; `valid` says that
    the whole chain is right, complete and in order.
    """

    answer: str | None
    answer_right: bool
    steps_right: int
    valid: bool


def mark(puzzle: Puzzle, words: Sequence[str]) -> Mark:
    """Read a reply. Only its last three words can be its answer: "=", a state, "."."""
    words = list(words)
    ends = len(words) >= 3 and words[-3] == SO and words[-1] == END and words.count(SO) == 1
    ends = ends and words.count(END) == 1
    answer = words[-2] if ends else None
    chain = words[: words.index(SO)] if SO in words else words
    true = [w for pair in zip(puzzle.labels, puzzle.states, strict=True) for w in pair]
    right = 0
    while 2 * right + 1 < min(len(chain), len(true)) and (
        chain[2 * right : 2 * right + 2] == true[2 * right : 2 * right + 2]
    ):
        right += 1
    return Mark(answer, answer == puzzle.answer, right, chain == true)


def rows(puzzles: Sequence[Puzzle], replies: Sequence[str]) -> Batch:
    """Inputs and targets: the reply is learned, the question is not (−100), nor the filling."""
    questions = [encode(p.question) for p in puzzles]
    whole = [q + encode(r) for q, r in zip(questions, replies, strict=True)]
    longest = max(map(len, whole)) - 1
    x = torch.full((len(whole), longest), _ID[END])
    y = torch.full((len(whole), longest), IGNORED)
    for i, (question, ids) in enumerate(zip(questions, whole, strict=True)):
        row = torch.tensor(ids)
        x[i, : len(ids) - 1] = row[:-1]
        y[i, len(question) - 1 : len(ids) - 1] = row[len(question) :]
    return x, y


class PuzzleBatches:
    """Fresh questions at each step of training, of 1 to `longest` steps, with their replies.

    All questions of a batch have one number of steps, so nothing is filled.
    """

    def __init__(
        self, task: str = "exchange", *, form: str, longest: int, batch: int, seed: int = 0
    ) -> None:
        _checked(task, longest)
        if form not in FORMS:
            raise ValueError(f"form must be one of {FORMS}, got {form!r}")
        if batch < 1:
            raise ValueError(f"batch must be at least 1, got {batch}")
        self.task, self.form, self.longest = task, form, longest
        self.batch, self.seed = batch, seed

    def puzzles(self, step: int) -> list[Puzzle]:
        """The questions of a step."""
        chance = np.random.default_rng((self.seed, step))
        steps = int(chance.integers(1, self.longest + 1))
        seed = int(chance.integers(2**31))
        return generate(self.task, steps=steps, n=self.batch, seed=seed)

    def __call__(self, step: int) -> Batch:
        chosen = self.puzzles(step)
        return rows(chosen, [p.reply(self.form) for p in chosen])
