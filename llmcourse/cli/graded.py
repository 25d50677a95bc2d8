"""`llmcourse check|hint|solution|progress`: the exercises from the shell."""

import argparse
import runpy
from pathlib import Path
from typing import Any

from llmcourse import exercises
from llmcourse.cli import UserError
from llmcourse.exercises import registry, store

__all__ = ["check", "hint", "progress", "solution"]


def check(options: argparse.Namespace) -> int:
    """Check the function of the exercise's name in a file: 0 when it passes."""
    exercise = registry.find(options.id)
    names = _definitions(Path(options.file))
    if exercise.name not in names:
        own = sorted(name for name, value in names.items() if _is_own(name, value))
        raise UserError(
            f"{options.file} defines no {exercise.name}; "
            + (f"it defines {', '.join(own)}" if own else "it defines no function")
        )
    result = exercises.check(options.id, names[exercise.name])
    print(result)
    return 0 if result.passed else 1


def _definitions(path: Path) -> dict[str, Any]:
    """What a file defines when it is run, with mishaps as one line."""
    if not path.is_file():
        raise UserError(f"there is no file {path}")
    if path.suffix == ".ipynb":
        raise UserError(f"{path} is a notebook: run its `check` cell there, or save a .py file")
    try:
        return runpy.run_path(str(path), run_name="__answer__")
    except SystemExit:
        raise UserError(f"{path} ends the program (SystemExit) before it can be checked") from None
    except SyntaxError as error:
        raise UserError(f"{path}, line {error.lineno}: {error.msg}") from None
    except Exception as error:
        trace, line = error.__traceback__, 0
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == str(path):
                line = trace.tb_lineno
            trace = trace.tb_next
        said = f"{type(error).__name__}: {error}".rstrip(": ")
        raise UserError(f"{path}, line {line}: {said}") from None


def _is_own(name: str, value: Any) -> bool:
    module = getattr(value, "__module__", None)
    return callable(value) and not name.startswith("_") and module == "__answer__"


def hint(options: argparse.Namespace) -> None:
    """Reveal one more hint."""
    print(exercises.hint(options.id))


def solution(options: argparse.Namespace) -> None:
    """Print the reference's source."""
    print(exercises.solution(options.id))


def progress(options: argparse.Namespace) -> None:
    """Print the table, or every exercise; the results of quizzes, first taken from a file."""
    if options.quiz:
        file = Path(options.quiz)
        if not file.is_file():
            raise UserError(f"there is no file {file}")
        taken = store.merge_quizzes(file)
        print(f"{file}: {taken} {'result' if taken == 1 else 'results'} of quizzes taken\n")
    print(exercises.progress())
    quizzes = store.read_quizzes()
    if quizzes:
        right, answered = (sum(q[key] for q in quizzes.values()) for key in ("right", "answered"))
        print(f"quizzes: {right} of {answered} right at first choice, in {len(quizzes)}")
    if options.all:
        entries, _ = store.read()
        for chapter in registry.chapters():
            print(f"\n{chapter}")
            for exercise in registry.exercises(chapter):
                entry = entries.get(exercise.id, {})
                mark = "✓" if "passed" in entry else "✗" if entry.get("attempts") else "○"
                print(f"  {mark} {exercise.id:<28} {exercise.title}")
        for name, q in sorted(quizzes.items()):
            done = "✓" if q["answered"] == q["questions"] else "○"
            print(f"{done} quiz {name:<40} {q['right']} of {q['answered']} answered")
