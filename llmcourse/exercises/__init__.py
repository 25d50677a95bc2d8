"""Exercises that diagnose: `check`, `hint`, `solution`, `progress`.

    from llmcourse.exercises import check
    check("attention.sdpa", sdpa)

Each chapter's exercises live in the module of its name here, imported when first asked for.
"""

from datetime import UTC, datetime
from typing import Any

__all__ = ["check", "hint", "progress", "solution"]


def check(id: str, answer: Any) -> Any:
    """Judge an answer: pass, not attempted, or the failing case with a diagnosis.

    Never raises, so a wrong answer never ends a run. What comes back shows itself in a notebook
    and prints in a terminal; `.passed` tells a script.
    """
    from llmcourse.exercises import engine, registry, show, store

    try:
        exercise = registry.find(id)
    except registry.UnknownExercise as error:
        return show.Result(id=str(id), title="", status="fail", message=str(error))
    outcome = engine.run(exercise, answer)
    notes: list[str] = []
    if outcome.status != "not attempted":
        now = datetime.now(UTC).isoformat(timespec="seconds")

        def attempt(entry: dict[str, Any]) -> dict[str, Any]:
            entry["attempts"] = entry.get("attempts", 0) + 1
            if outcome.status == "pass":
                entry.setdefault("passed", now)
            return entry

        notes = store.update(exercise.id, attempt)
    return show.Result(id=exercise.id, title=exercise.title, notes=tuple(notes), **vars(outcome))


def hint(id: str) -> Any:
    """Reveal one more hint: the idea, then pseudocode, then nearly the code.

    How many have been revealed is remembered with the progress.

    Raises:
        ValueError: no exercise has this id; the message names the nearest.
    """
    from llmcourse.exercises import registry, show, store

    exercise = registry.find(id)
    revealed = 1

    def reveal(entry: dict[str, Any]) -> dict[str, Any]:
        nonlocal revealed
        revealed = min(len(exercise.hints), entry.get("hints", 0) + 1)
        entry["hints"] = revealed
        return entry

    store.update(exercise.id, reveal)
    return show.Hint(id=exercise.id, shown=exercise.hints[:revealed], total=len(exercise.hints))


def solution(id: str) -> Any:
    """The reference's source, from the one place it is written.

    Raises:
        ValueError: no exercise has this id; the message names the nearest.
    """
    from llmcourse.exercises import registry, show

    exercise = registry.find(id)
    return show.Solution(id=exercise.id, source=registry.source(exercise))


def progress() -> Any:
    """Exercises passed and tried, chapter by chapter."""
    from llmcourse.exercises import registry, show, store

    entries, notes = store.read()
    rows = []
    for chapter in registry.chapters():
        ids = [exercise.id for exercise in registry.exercises(chapter)]
        passed = sum("passed" in entries.get(id, {}) for id in ids)
        tried = sum(bool(entries.get(id, {}).get("attempts")) for id in ids)
        rows.append((chapter, passed, tried, len(ids)))
    return show.Progress(rows=tuple(rows), notes=tuple(notes))
