"""Finds exercises: one module a chapter, imported when one of its exercises is asked for."""

import difflib
import importlib
import inspect
import pkgutil
import textwrap

import llmcourse.exercises as package
from llmcourse.exercises.core import Exercise

__all__ = ["UnknownExercise", "chapters", "exercises", "find", "source"]

ENGINE = {"core", "engine", "mutants", "registry", "show", "store", "watch"}


class UnknownExercise(ValueError):
    """No exercise has this id; the message names the nearest."""


def chapters() -> list[str]:
    """Chapters that have exercises, by name, without importing them."""
    names = (module.name for module in pkgutil.iter_modules(package.__path__))
    return sorted(name for name in names if name not in ENGINE)


def exercises(chapter: str) -> tuple[Exercise, ...]:
    """A chapter's exercises in its own order.

    Raises:
        ValueError: an id is used twice or does not begin with the chapter's name.
    """
    module = importlib.import_module(f"llmcourse.exercises.{chapter}")
    listed = tuple(module.EXERCISES)
    seen: set[str] = set()
    for exercise in listed:
        if exercise.chapter != chapter:
            raise ValueError(f"{exercise.id!r} stands in the module of chapter {chapter!r}")
        if exercise.id in seen:
            raise ValueError(f"two exercises have the id {exercise.id!r}")
        seen.add(exercise.id)
    return listed


def find(id: str) -> Exercise:
    """The exercise of that id.

    Raises:
        UnknownExercise: there is none; the message names the nearest ids.
    """
    if not isinstance(id, str):
        raise UnknownExercise(f"an exercise's id is text such as 'attention.sdpa', got {id!r}")
    chapter = id.partition(".")[0]
    listed = exercises(chapter) if chapter in chapters() else ()
    for exercise in listed:
        if exercise.id == id:
            return exercise
    known = [exercise.id for name in chapters() for exercise in exercises(name)]
    near = difflib.get_close_matches(id, known, n=3, cutoff=0.4) or [e.id for e in listed]
    hint = f"; the nearest are {', '.join(near)}" if near else ""
    raise UnknownExercise(f"no exercise is called {id!r}{hint}")


def source(exercise: Exercise) -> str:
    """The reference's source, its helpers first: the only place it is written."""
    parts = (*exercise.helpers, exercise.solution)
    return "\n\n".join(textwrap.dedent(inspect.getsource(part)).strip() for part in parts)
