"""The engine's laws: a check never raises, diagnoses what went wrong, and loses no progress."""

import json
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch

from llmcourse import cli, exercises
from llmcourse.exercises import core, engine, mutants, registry, show, store
from llmcourse.exercises.core import Exercise, Failure, Wrong, close, expect, raises


@pytest.fixture(autouse=True)
def progress_file(tmp_path, monkeypatch):
    file = tmp_path / "progress.json"
    monkeypatch.setenv("LLMCOURSE_PROGRESS", str(file))
    return file


def double(values):
    return [2 * value for value in values]


def check_double(answer):
    expect(answer([1, 2]) == [2, 4], "each value should be doubled")
    expect(answer([]) == [], "an empty list stays empty")


def stub(values):
    raise NotImplementedError


DOUBLE = Exercise(
    id="demo.double",
    title="Double",
    stub=stub,
    solution=double,
    check=check_double,
    hints=("idea", "pseudocode", "code"),
    wrong=(Wrong(lambda values: values, "doubled"),),
    seconds=5,
)


def run(answer, **changes):
    from dataclasses import replace

    return engine.run(replace(DOUBLE, **changes), answer)


def test_reference_passes_and_wrong_answer_shows_its_case():
    assert run(double).status == "pass"
    outcome = run(lambda values: [value * 3 for value in values])
    assert outcome.status == "fail" and outcome.message == "each value should be doubled"
    assert "[1, 2]" in outcome.call


def test_what_is_not_attempted():
    def nothing(values):
        """A docstring."""

    def dots(values): ...

    for answer in (stub, nothing, dots):
        assert run(answer).status == "not attempted"


def test_a_constant_answer_is_an_attempt():
    assert run(lambda values: 0).status == "fail"


def test_a_library_that_lacks_an_operation_is_not_a_stub():
    def answer(values):
        return torch.ones(2, 2, dtype=torch.float8_e4m3fn) @ torch.ones(2, 2)

    def unsupported(values):
        return torch.linalg.cholesky(torch.eye(2, dtype=torch.float16))

    assert run(answer).status == "fail"
    assert run(unsupported).status == "fail"


def _exits(values):
    sys.exit(3)


def _interrupts(values):
    raise KeyboardInterrupt


def _recurses(values):
    return _recurses(values)


def _divides(values):
    return 1 / 0


def _mutates(values):
    for i, value in enumerate(values):
        values[i] = 2 * value
    return values


def _forgets(values):
    [2 * value for value in values]


def _two_arguments(values, factor):
    return [factor * value for value in values]


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (_exits, "SystemExit"),
        (_interrupts, "KeyboardInterrupt"),
        (_recurses, "calls itself without end"),
        (_divides, "ZeroDivisionError"),
        (_mutates, "changes its argument `values`"),
        (_two_arguments, "double(values), got double(values, factor)"),
        ([2, 4], "without calling it"),
    ],
)
def test_each_mishap_has_its_diagnosis(answer, text):
    outcome = run(answer)
    assert outcome.status == "fail"
    assert text in outcome.message


def test_an_exception_names_its_line():
    assert "return 1 / 0" in run(_divides).where


def test_wrong_type_is_diagnosed():
    def check(answer):
        close(answer([1]), torch.tensor([2.0]), "values")

    assert "it returned None" in run(_forgets, check=check).message
    assert "should return a torch.Tensor, got list" in run(double, check=check).message

    def uses(answer):
        expect(answer([1]).shape == (1,), "shape")

    outcome = run(double, check=uses)
    assert "cannot be used" in outcome.message and "list" in outcome.message


def test_endless_answers_are_stopped():
    def loops(values):
        while True:
            pass

    def swallows(values):
        while True:
            try:
                values = list(values)
            except:  # noqa: E722
                pass

    for answer in (loops, swallows):
        start = time.monotonic()
        outcome = run(answer, seconds=0.2)
        assert outcome.status == "fail"
        assert "0.2 s" in outcome.message
        assert time.monotonic() - start < 10  # it ended at all; how fast is not judged


def test_a_blocking_answer_does_not_block_the_check():
    release = threading.Event()
    outcome = run(lambda values: release.wait(30), seconds=0.2)
    release.set()
    assert outcome.status == "fail" and "still running" in outcome.message


def test_an_endless_answer_is_stopped_from_another_thread():
    box = []

    def loops(values):
        while True:
            pass

    thread = threading.Thread(target=lambda: box.append(run(loops, seconds=0.2)))
    thread.start()
    thread.join(20)
    assert "stopped after" in box[0].message


def test_prints_are_kept_bounded_and_apart(capsys):
    def talks(values):
        print("<b>hello</b>" * 1000)
        return double(values)

    outcome = run(talks)
    assert outcome.status == "pass"
    assert outcome.printed.startswith("<b>hello</b>") and "more characters" in outcome.printed
    assert capsys.readouterr().out == ""


def test_an_answer_may_be_asked_to_mutate():
    def check(answer):
        box = [1]
        answer(box)
        expect(box == [2], "doubled in place")

    assert run(_mutates, check=check, may_mutate=True).status == "pass"


@pytest.mark.parametrize(
    "value",
    [torch.zeros(3), np.zeros(3), {"a": [0.0, 0.0]}, bytearray(b"\0\0"), [torch.zeros(2)]],
    ids=lambda v: type(v).__name__,
)
def test_changed_arguments_are_noticed(value):
    def touches(x):
        inner = x["a"] if isinstance(x, dict) else x
        inner = inner[0] if isinstance(inner, list) and torch.is_tensor(inner[0]) else inner
        inner[1] = 7

    def check(answer):
        answer(value)

    assert "changes its argument `x`" in run(touches, check=check).message


def test_nan_arguments_are_not_changed_by_looking():
    def check(answer):
        answer(torch.tensor([float("nan"), 1.0]))
        answer(np.array([float("nan"), 1.0]))

    assert run(lambda x: x, check=check).status == "pass"


def test_generators_are_watched_while_they_run():
    def changes(values):
        for i in range(len(values)):
            values[i] *= 2
            yield values[i]

    def check(answer):
        expect(list(answer([1, 2])) == [2, 4], "doubled")

    assert "changes its argument" in run(changes, check=check).message


def test_a_class_is_an_answer():
    class Doubler:
        def __init__(self, values):
            self.values = values

        def run(self):
            raise ValueError("inside")

    def check(answer):
        expect(isinstance(answer([1]), answer), "an instance")
        answer([1]).run()

    outcome = run(Doubler, check=check)
    assert "ValueError: inside" in outcome.message and "line" in outcome.where


# close and raises


def failure(call):
    with pytest.raises(Failure) as caught:
        call()
    return caught.value.message


def test_close_accepts_what_is_equal():
    close(1.0, 1.0 + 1e-12, "numbers")
    close(torch.tensor(2.0), 2.0, "a scalar tensor for a number")
    close(torch.ones(2, dtype=torch.bfloat16), torch.ones(2, dtype=torch.bfloat16), "bfloat16")
    close([1.0, float("nan")], [1.0, float("nan")], "nan")
    close(torch.tensor([-torch.inf]), torch.tensor([-torch.inf]), "infinity")
    close([[1, 2], [3, 4]], [[1, 2], [3, 4]], "nested")
    close(1.1, 1.0, "atol", atol=0.2)


@pytest.mark.parametrize(
    ("got", "expected", "text"),
    [
        (torch.zeros(2, 3), torch.zeros(3, 2), "shape should be (3, 2), got (2, 3)"),
        (torch.tensor([0.0, 1.0]), torch.tensor([0.0, 2.0]), "[1]: expected 2, got 1"),
        (torch.zeros(2, dtype=torch.int64), torch.zeros(2), "type should be floating, got integer"),
        (None, 1.0, "is a `return` missing"),
        (..., 1.0, "Ellipsis"),
        ([1.0], torch.ones(1), "torch.Tensor, got list"),
        ("1.0", 1.0, "got str"),
        (1.0 + 1e-4, 1.0, "expected 1, got 1.0001"),
        ([[1.0], [1.0, 2.0]], torch.ones(2).tolist(), "not read as an array"),
        (float("nan"), 1.0, "got nan"),
    ],
)
def test_close_says_what_differs(got, expected, text):
    message = failure(lambda: close(got, expected, "values differ"))
    assert message.startswith("values differ") and text in message


def test_close_knows_suspects():
    want, unscaled = torch.tensor([1.0]), torch.tensor([2.0])
    suspects = {"divide by √d": unscaled}
    assert failure(lambda: close(unscaled, want, "x", suspects=suspects)) == "divide by √d"
    close(want, want, "x", suspects={"never": want})


def test_raises():
    raises(ValueError, lambda: int("x"), "a bad number is a ValueError")
    assert failure(lambda: raises(ValueError, lambda: 1, "must refuse")) == "must refuse"
    assert failure(lambda: raises(ValueError, lambda: {}[0], "must refuse")) == "must refuse"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"id": "double"}, "chapter.name"),
        ({"id": "demo.triple"}, "must be called 'triple'"),
        ({"hints": ("one",)}, "three hints"),
        ({"seconds": 0}, "positive"),
    ],
)
def test_an_exercise_validates_itself(change, text):
    from dataclasses import replace

    with pytest.raises(ValueError, match=text):
        replace(DOUBLE, **change)


# The faces: check, hint, solution, progress


@pytest.fixture
def demo(monkeypatch):
    monkeypatch.setattr(registry, "chapters", lambda: ["demo"])
    monkeypatch.setattr(registry, "exercises", lambda chapter: (DOUBLE,))


def test_check_remembers_passes_and_not_stubs(demo, progress_file):
    assert exercises.check("demo.double", stub).status == "not attempted"
    assert not progress_file.exists()
    assert exercises.check("demo.double", double).passed
    assert not exercises.check("demo.double", abs).passed
    entry = json.loads(progress_file.read_text())["exercises"]["demo.double"]
    assert entry["attempts"] == 2 and entry["passed"]
    assert "1 of 1 passed" in repr(exercises.progress())


def test_unknown_ids_name_the_nearest(demo):
    result = exercises.check("demo.dubble", double)
    assert not result.passed and "demo.double" in result.message
    with pytest.raises(ValueError, match=r"nearest are demo\.double"):
        exercises.hint("demo.duble")
    with pytest.raises(ValueError, match="is text"):
        exercises.solution(3)


def test_hints_come_stage_by_stage(demo):
    shown = [exercises.hint("demo.double").shown for _ in range(4)]
    assert [len(s) for s in shown] == [1, 2, 3, 3]
    assert "that was the last one" in repr(exercises.hint("demo.double")).lower()


def test_solution_is_the_source(demo):
    assert repr(exercises.solution("demo.double")).startswith("def double(values):")


def test_a_duplicated_or_misplaced_id_is_an_error(monkeypatch):
    import types

    module = types.ModuleType("llmcourse.exercises.demo")
    monkeypatch.setitem(sys.modules, "llmcourse.exercises.demo", module)
    module.EXERCISES = (DOUBLE, DOUBLE)
    with pytest.raises(ValueError, match="two exercises have the id"):
        registry.exercises("demo")
    monkeypatch.setitem(sys.modules, "llmcourse.exercises.other", module)
    with pytest.raises(ValueError, match="stands in the module of chapter 'other'"):
        registry.exercises("other")


def test_text_from_an_answer_is_text():
    result = show.Result(
        id="demo.double",
        title="Double",
        status="fail",
        message="<script>alert(1)</script>",
        got="<img src=x onerror=alert(1)>",
        printed="</code><b>x</b>",
        notes=("<i>",),
    )
    html = result._repr_html_()
    for tag in ("<script", "<img", "<b>", "<i>"):
        assert tag not in html
    assert "<script>alert(1)</script>" in repr(result)


def test_shorten_survives_anything():
    class Broken:
        def __repr__(self):
            raise RuntimeError

    assert show.shorten(Broken()).startswith("<Broken")
    assert len(show.shorten(torch.zeros(1000, 1000))) < 300
    assert len(show.shorten("x" * 10_000)) < 300
    assert show.shorten(torch.tensor(0.5)) == "tensor(0.5)"


# Progress on disk


def test_a_corrupt_file_is_moved_aside(demo, progress_file):
    for text in (
        "{not json",
        "[]",
        '{"exercises": {"a": 3}}',
        '{"exercises": {"a":{"hints":"x"}}}',
    ):
        progress_file.write_text(text)
        result = exercises.check("demo.double", double)
        assert result.passed and "could not be read" in result.notes[0]
        aside = list(progress_file.parent.glob("progress.json.corrupt-*"))
        assert text in [file.read_text() for file in aside]
        assert "demo.double" in json.loads(progress_file.read_text())["exercises"]


def test_an_unwritable_place_is_a_note(demo, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LLMCOURSE_PROGRESS", str(tmp_path / "file" / "progress.json"))
    result = exercises.check("demo.double", double)
    assert result.passed and "could not be saved" in result.notes[0]
    assert "could not be read" in repr(exercises.progress())


def test_a_failed_write_keeps_the_old_file(progress_file, monkeypatch):
    store.update("a.b", lambda entry: {"attempts": 1})
    before = progress_file.read_text()
    monkeypatch.setattr(store.os, "fsync", lambda handle: (_ for _ in ()).throw(OSError("full")))
    assert "could not be saved" in store.update("a.c", lambda entry: {"attempts": 1})[0]
    assert progress_file.read_text() == before
    assert not list(progress_file.parent.glob("*.tmp"))


def test_two_processes_lose_nothing(progress_file):
    script = (
        "import sys\nfrom llmcourse.exercises import store\n"
        "for i in range(30):\n"
        "    store.update(f'p{sys.argv[1]}.e{i}', lambda entry: {'attempts': 1})\n"
        "    store.update('shared.count', lambda e: {'attempts': e.get('attempts', 0) + 1})\n"
    )
    workers = [subprocess.Popen([sys.executable, "-c", script, str(i)]) for i in range(2)]
    assert [worker.wait(60) for worker in workers] == [0, 0]
    entries, notes = store.read()
    assert len(entries) == 61 and not notes
    assert entries["shared.count"]["attempts"] == 60


def test_importing_the_package_imports_no_chapter():
    script = (
        "import sys, llmcourse.exercises\n"
        "print([m for m in sys.modules if m.startswith('llmcourse.exercises.')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_core_says_what_is_public():
    assert set(core.__all__) == {"Exercise", "Failure", "Wrong", "close", "expect", "raises"}


# Mutants


def mean_gap(values, start=0):
    """The mean of -(a - b) over neighbours."""
    if len(values) < 2:
        raise ValueError(f"two values at least, got {len(values)}")
    total = 0.0
    for i in range(start + 1, len(values)):
        total += -(values[i - 1] - values[i])
    return total / (len(values) - 1)


def _gap(check):
    from dataclasses import replace

    return replace(DOUBLE, id="demo.mean_gap", solution=mean_gap, check=check)


def test_mutants_cover_each_kind_of_fault():
    changes = [m.change for m in mutants.mutants(_gap(check_double))]
    for change in (
        "if len(values) < 2: → if len(values) <= 2:",
        "if len(values) < 2: → if len(values) < 3:",
        "total = 0.0 → (dropped)",
        "total += -(values[i - 1] - values[i]) → total += values[i - 1] - values[i]",
        "total += -(values[i - 1] - values[i]) → total += -(values[i - 1] + values[i])",
        "return total / (len(values) - 1) → return total * (len(values) - 1)",
        "for i in range(start + 1, len(values)): → for i in range(start + 2, len(values)):",
        "def mean_gap(values, start=0): → def mean_gap(values, start=1):",
    ):
        assert change in changes, changes
    # Messages of errors are left alone; the whole statement may be dropped.
    assert [c.endswith("(dropped)") for c in changes if c.startswith("raise")] == [True]


def test_a_weak_check_is_found_out_and_a_strong_one_is_not():
    def weak(answer):
        expect(answer([1.0, 1.0]) == 0, "no gap")

    def strong(answer):
        close(answer([1.0, 4.0, 5.0]), 2.0, "mean gap")
        close(answer([1.0, 4.0]), 3.0, "one gap")
        close(answer([1.0, 4.0, 9.0], start=1), 2.5, "start")
        raises(ValueError, lambda: answer([1.0]), "too short")

    assert mutants.survivors(_gap(weak))
    assert mutants.survivors(_gap(strong)) == []


# Quizzes


QUIZ = {"right": 3, "answered": 4, "questions": 5, "when": "2026-01-02T10:00:00.000Z"}


def saved(file, quizzes, **changed):
    head = {"format": "llmcourse-quizzes", "version": 1, "quizzes": quizzes}
    file.write_text(json.dumps(head | changed), "utf-8")
    return file


def test_quiz_results_are_merged_and_the_later_counts(tmp_path, monkeypatch):
    monkeypatch.setenv("LLMCOURSE_PROGRESS", str(tmp_path / "progress.json"))
    store.update("a.b", lambda entry: {"attempts": 1})
    later = QUIZ | {"right": 4, "when": "2026-01-02T12:00:00+01:00"}
    assert store.merge_quizzes(saved(tmp_path / "q.json", {"a/b:b": QUIZ, "c:d": QUIZ})) == 2
    assert store.merge_quizzes(saved(tmp_path / "q.json", {"a/b:b": later, "c:d": QUIZ})) == 1
    assert store.merge_quizzes(saved(tmp_path / "q.json", {"a/b:b": QUIZ | {"right": 0}})) == 0
    assert store.read_quizzes() == {"a/b:b": later, "c:d": QUIZ}
    store.update("a.c", lambda entry: {"attempts": 2})  # an exercise keeps them, and is kept
    assert store.read_quizzes()["c:d"] == QUIZ
    assert store.read()[0] == {"a.b": {"attempts": 1}, "a.c": {"attempts": 2}}


@pytest.mark.parametrize(
    ("quizzes", "changed", "said"),
    [
        ({"a:b": QUIZ}, {"format": "other"}, "its format is not"),
        ({"a:b": QUIZ}, {"version": 2}, "its version is 2"),
        ([QUIZ], {}, "its version is 1"),
        ({"<b>": QUIZ}, {}, "a quiz is named PAGE:NAME, got '<b>'"),
        ({"a:b": [1]}, {}, "must be whole numbers"),
        ({"a:b": QUIZ | {"right": True}}, {}, "must be whole numbers"),
        ({"a:b": QUIZ | {"right": 5}}, {}, "5 right of 4 answered of 5"),
        ({"a:b": QUIZ | {"when": "yesterday"}}, {}, "must be a time with its zone"),
        ({"a:b": QUIZ | {"when": "2026-01-02"}}, {}, "must be a time with its zone"),
    ],
)
def test_a_file_that_holds_no_quiz_results_is_named(tmp_path, monkeypatch, quizzes, changed, said):
    monkeypatch.setenv("LLMCOURSE_PROGRESS", str(tmp_path / "progress.json"))
    file = saved(tmp_path / "q.json", quizzes, **changed)
    with pytest.raises(ValueError, match=f"q.json holds no quiz results: .*{said}"):
        store.merge_quizzes(file)
    assert not (tmp_path / "progress.json").exists()


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b" " * 1_100_000])
def test_a_file_that_is_no_json_is_named(tmp_path, monkeypatch, text, capsys):
    monkeypatch.setenv("LLMCOURSE_PROGRESS", str(tmp_path / "progress.json"))
    (tmp_path / "q.json").write_bytes(text)
    assert cli.main(["progress", "--quiz", str(tmp_path / "q.json")]) == 1
    assert "q.json holds no quiz results" in capsys.readouterr().err
    assert cli.main(["progress", "--quiz", str(tmp_path / "none.json")]) == 1
    assert "there is no file" in capsys.readouterr().err
