"""The puzzles: answers equal to brute force, a marker not to be talked round, honest splits."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcourse import puzzles
from llmcourse.batches import IGNORED

# Drawn as arguments: the types that `generate` promises are checked at random places, and a
# strategy may use no chance but its own.
asked = st.tuples(
    st.sampled_from(puzzles.TASKS), st.integers(1, 11), st.integers(0, 999), st.booleans()
)


def made(task, steps, seed, held):
    held = held and steps > 1
    return puzzles.generate(task, steps=steps, n=1, seed=seed, held_out=held)[0]


@settings(max_examples=60, deadline=None)
@given(asked)
def test_the_answer_is_what_the_words_of_the_question_say(drawn):
    """Read the question as a person would, by its words alone."""
    puzzle = made(*drawn)
    start, _, *words = puzzle.question.split()[:-1]
    if puzzle.task == "sum":
        assert puzzle.answer == str(int(start) + sum(int(w) for w in words[1::2]))
        return
    has = {name: name == start for name in puzzles.NAMES}
    for a, b in zip(words[1::3], words[2::3], strict=True):
        has[a], has[b] = has[b], has[a]
    assert [name for name in has if has[name]] == [puzzle.answer]


@settings(max_examples=60, deadline=None)
@given(asked, st.sampled_from(puzzles.FORMS))
def test_every_reference_reply_is_right_and_survives_the_tokenizer(drawn, form):
    puzzle = made(*drawn)
    text = puzzle.reply(form)
    assert puzzles.decode(puzzles.encode(text)) == text
    mark = puzzles.mark(puzzle, text.split())
    assert mark.answer_right and mark.valid == (form == "chain")
    assert mark.steps_right == (len(puzzle.steps) if form == "chain" else 0)
    length = {"chain": 2 * len(puzzle.steps) + 3, "direct": 3}.get(form)
    assert len(text.split()) == (length or 2 * len(puzzle.steps) + 3)


@settings(max_examples=40, deadline=None)
@given(asked, st.data())
def test_no_other_name_and_no_second_answer_is_taken(drawn, data):
    puzzle = made(*drawn)
    good = puzzle.reply("chain").split()
    other = data.draw(st.sampled_from([n for n in puzzles.NAMES if n != puzzle.answer]))
    for bad in (
        [*good[:-2], other, "."],  # a wrong answer after a right chain
        [*good[:-3], "=", other, "=", puzzle.answer, "."],  # two answers
        [*good, "=", puzzle.answer, "."],  # once more after the end
        good[:-1],  # it never ends
        good[:-3],  # it never answers
    ):
        assert not puzzles.mark(puzzle, bad).answer_right
    cut = good[2:] if len(puzzle.steps) > 1 else good[:-3] + good[-3:]
    if len(puzzle.steps) > 1:
        assert not puzzles.mark(puzzle, cut).valid and puzzles.mark(puzzle, cut).answer_right
    at = data.draw(st.integers(0, len(puzzle.steps) - 1))
    wrong = list(good)
    wrong[2 * at + 1] = next(n for n in puzzles.NAMES if n != wrong[2 * at + 1])
    mark = puzzles.mark(puzzle, wrong)
    assert mark.steps_right == at and not mark.valid and mark.answer_right


@pytest.mark.parametrize("task", puzzles.TASKS)
def test_held_out_neighbours_never_meet_in_training(task):
    train = puzzles.generate(task, steps=8, n=2000, seed=0)
    test = puzzles.generate(task, steps=8, n=500, seed=0, held_out=True)
    seen = {pair for p in train for pair in pairwise(p.steps)}
    assert all(not seen.issuperset(pairwise(p.steps)) for p in test)
    assert {s for p in train for s in p.steps} == {s for p in test for s in p.steps}
    batches = puzzles.PuzzleBatches(task, form="chain", longest=8, batch=8)
    assert not any(puzzles.is_held_out(p) for step in range(50) for p in batches.puzzles(step))


def test_answers_are_nearly_uniform():
    answers = [p.answer for p in puzzles.generate(steps=8, n=4000, seed=5, held_out=True)]
    for name in puzzles.NAMES:
        assert 0.17 < answers.count(name) / 4000 < 0.23


def test_only_the_reply_is_learned():
    chosen = [puzzles.generate(steps=k, n=1, seed=k)[0] for k in (2, 5)]
    x, y = puzzles.rows(chosen, [p.reply("chain") for p in chosen])
    for row, targets, puzzle in zip(x, y, chosen, strict=True):
        learned = targets != IGNORED
        assert puzzles.decode(targets[learned].tolist()) == puzzle.reply("chain")
        assert learned.nonzero()[0].item() == len(puzzle.question.split()) - 1
        # A target is the input one place on.
        places = learned.nonzero()[:-1, 0]
        assert torch.equal(targets[places], row[places + 1])


def test_batches_are_functions_of_the_step():
    one, two = (
        puzzles.PuzzleBatches(form="direct", longest=4, batch=3, seed=7)(11) for _ in range(2)
    )
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_nonsense_is_named():
    with pytest.raises(ValueError, match="zebra"):
        puzzles.encode("Ann : zebra")
    with pytest.raises(ValueError, match="1 to 26 steps, got 27"):
        puzzles.generate(steps=27, n=1, seed=0)
    with pytest.raises(ValueError, match="1 to 11 steps, got 12"):
        puzzles.generate("sum", steps=12, n=1, seed=0)
    with pytest.raises(ValueError, match="task must be one of"):
        puzzles.generate("riddle", steps=2, n=1, seed=0)
    with pytest.raises(ValueError, match="2 steps at least"):
        puzzles.generate(steps=1, n=1, seed=0, held_out=True)
    with pytest.raises(ValueError, match="form must be one of"):
        puzzles.generate(steps=2, n=1, seed=0)[0].reply("prose")
    with pytest.raises(ValueError, match="batch must be at least 1"):
        puzzles.PuzzleBatches(form="chain", longest=2, batch=0)
