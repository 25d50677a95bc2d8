"""Laws of every exercise in the book, read off the registry: nothing here names one of them."""

import pytest

from llmcourse.exercises import engine, mutants, registry, show
from llmcourse.exercises.core import Exercise

EXERCISES = [e for chapter in registry.chapters() for e in registry.exercises(chapter)]
if not EXERCISES:
    pytest.skip("no chapter has exercises yet", allow_module_level=True)

every = pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.id)
wrongs = pytest.mark.parametrize(
    ("exercise", "wrong"),
    [(e, w) for e in EXERCISES for w in e.wrong],
    ids=lambda x: x.id if isinstance(x, Exercise) else getattr(x.answer, "__name__", x.diagnosis),
)


@every
def test_stub_is_not_attempted(exercise):
    assert engine.run(exercise, exercise.stub).status == "not attempted"


@every
def test_reference_passes(exercise):
    outcome = engine.run(exercise, exercise.solution)
    assert outcome.status == "pass", outcome


@wrongs
def test_wrong_answer_gets_its_own_diagnosis(exercise, wrong):
    outcome = engine.run(exercise, wrong.answer)
    assert outcome.status == "fail", f"{wrong.diagnosis!r} passes"
    assert wrong.diagnosis in outcome.message, outcome.message
    assert not outcome.message.startswith("stopped after"), "a wrong answer should end by itself"


@every
def test_diagnoses_tell_the_mistakes_apart(exercise):
    assert len(exercise.wrong) >= 3, "three plausible wrong answers at least"
    messages = [engine.run(exercise, wrong.answer).message for wrong in exercise.wrong]
    assert len(set(messages)) == len(messages), messages


@every
def test_stub_and_solution_have_one_signature(exercise):
    assert show.signature(exercise.stub) == show.signature(exercise.solution)


@every
def test_hints_come_in_three_stages(exercise):
    assert len(exercise.hints) == 3
    assert all(hint.strip() for hint in exercise.hints)
    assert len(set(exercise.hints)) == 3


@every
def test_solution_can_be_shown(exercise):
    source = registry.source(exercise)
    assert f"{exercise.name}(" in source
    compile(source, exercise.id, "exec")


# A faulty copy may well divide by zero on its way to being caught.
@pytest.mark.filterwarnings("ignore")
@every
def test_no_mutant_of_the_reference_passes(exercise):
    if exercise.scored:
        pytest.skip("judged by a score: a copy that learns a little less is no fault")
    assert mutants.survivors(exercise) == []


@every
def test_equivalent_mutants_exist_and_are_explained(exercise):
    if not exercise.equivalent_mutants:
        return
    changes = {mutant.change: mutant for mutant in mutants.mutants(exercise)}
    for change, reason in exercise.equivalent_mutants.items():
        assert change in changes, f"no such mutant: {change}"
        assert len(reason) > 10, f"say why {change!r} is equivalent"
        outcome = engine.run(exercise, changes[change].answer, seconds=1.0)
        assert outcome.status == "pass", f"{change!r} is killed: take it off the list"


def test_ids_are_unique():
    ids = [exercise.id for exercise in EXERCISES]
    assert len(ids) == len(set(ids))
