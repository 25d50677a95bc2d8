"""Progress on disk: one JSON file, written atomically and merged under a lock.

The file lies in the user's data folder; LLMCOURSE_PROGRESS names another. A file that cannot be
read is moved aside, never deleted, and a new one begun.
"""

import contextlib
import json
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import platformdirs

__all__ = ["merge_quizzes", "path", "read", "read_quizzes", "update"]

Entries = dict[str, dict[str, Any]]
COUNTS = ("right", "answered", "questions")


def path() -> Path:
    """Where progress is kept."""
    named = os.environ.get("LLMCOURSE_PROGRESS")
    if named:
        return Path(named).expanduser()
    return Path(platformdirs.user_data_dir("llmcourse", appauthor=False)) / "progress.json"


def read() -> tuple[Entries, list[str]]:
    """Entries by exercise, and notes for the reader (a corrupt file moved aside). Never raises."""
    state, notes = _state()
    return state["exercises"], notes


def read_quizzes() -> Entries:
    """Results by quiz: `right`, `answered`, `questions`, `when`. Never raises."""
    return _state()[0]["quizzes"]


def _state() -> tuple[dict[str, Entries], list[str]]:
    file = path()
    try:
        return _read(file)
    except OSError as error:
        said = f"progress could not be read from {file}: {error.strerror or error}"
        return {"exercises": {}, "quizzes": {}}, [said]


def _read(file: Path) -> tuple[dict[str, Entries], list[str]]:
    empty: dict[str, Entries] = {"exercises": {}, "quizzes": {}}
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return empty, []
    except UnicodeDecodeError:
        text = ""
    try:
        state = json.loads(text)
        entries, quizzes = state["exercises"], state.get("quizzes", {})
        counts = [entry.get(key, 0) for entry in entries.values() for key in ("attempts", "hints")]
        if not all(isinstance(count, int) for count in counts):
            raise ValueError("attempts and hints are whole numbers")
        for name, result in quizzes.items():
            _check_quiz(name, result)
    except (ValueError, KeyError, TypeError, AttributeError):
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
        aside = file.with_name(f"{file.name}.corrupt-{stamp}")
        os.replace(file, aside)
        return empty, [f"the progress file could not be read; it now lies at {aside}"]
    return {"exercises": entries, "quizzes": quizzes}, []


def _check_quiz(name: Any, result: Any) -> None:
    """A quiz's result, as a page saves it, or a ValueError that says what is wrong."""
    if not (isinstance(name, str) and re.fullmatch(r"[\w./-]{1,200}:[a-z0-9-]{1,80}", name)):
        raise ValueError(f"a quiz is named PAGE:NAME, got {name!r:.80}")
    counts = [result.get(key) for key in COUNTS] if isinstance(result, dict) else []
    if not counts or not all(type(count) is int for count in counts):
        raise ValueError(f"{name}: {', '.join(COUNTS)} must be whole numbers")
    if not 0 <= counts[0] <= counts[1] <= counts[2] <= 1000:
        raise ValueError(f"{name}: {counts[0]} right of {counts[1]} answered of {counts[2]}")
    try:
        when = datetime.fromisoformat(result["when"])
    except (KeyError, TypeError, ValueError):
        when = None
    if when is None or when.tzinfo is None:
        raise ValueError(f"{name}: `when` must be a time with its zone")


def merge_quizzes(results: Path) -> int:
    """Take over what a page's button "Save all results" wrote; how many quizzes are new or newer.

    Of two results of one quiz the later counts.

    Raises:
        ValueError: the file is no such file; the message says why, and nothing is changed.
        OSError: the file cannot be read, or the progress not be written.
    """
    if results.stat().st_size > 1_000_000:
        raise ValueError(f"{results} holds no quiz results: it has more than 1 MB")
    try:
        found = json.loads(results.read_text(encoding="utf-8"))
        if not isinstance(found, dict) or found.get("format") != "llmcourse-quizzes":
            raise ValueError("its format is not llmcourse-quizzes")
        if found.get("version") != 1 or not isinstance(found.get("quizzes"), dict):
            raise ValueError(f"its version is {found.get('version')!r:.40}, and 1 is known")
        for name, result in found["quizzes"].items():
            _check_quiz(name, result)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{results} holds no quiz results: {error}") from None
    file = path()
    file.parent.mkdir(parents=True, exist_ok=True)
    with _lock(file.with_name(file.name + ".lock")):
        state, _ = _read(file)
        known, taken = state["quizzes"], 0
        for name, result in found["quizzes"].items():
            if name not in known or _later(result, known[name]):
                known[name] = {key: result[key] for key in (*COUNTS, "when")}
                taken += 1
        _write(file, {"version": 1, **state})
    return taken


def _later(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return datetime.fromisoformat(one["when"]) > datetime.fromisoformat(other["when"])


def update(id: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> list[str]:
    """Replace one exercise's entry by `change(entry)`, and return notes for the reader.

    Never raises: a folder that cannot be written to becomes a note.
    """
    file = path()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with _lock(file.with_name(file.name + ".lock")):
            state, notes = _read(file)
            entries = state["exercises"]
            entries[id] = change(dict(entries.get(id, {})))
            _write(file, {"version": 1, **state})
        return notes
    except OSError as error:
        return [f"progress could not be saved in {file}: {error.strerror or error}"]


def _write(file: Path, value: dict[str, Any]) -> None:
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=file.name, suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(value, stream, indent=1, sort_keys=True, ensure_ascii=False)
            stream.write("\n")
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(name, file)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


@contextlib.contextmanager
def _lock(file: Path) -> Iterator[None]:
    """Hold an exclusive lock; after 10 s, or where there are no locks, go on without one."""
    with open(file, "a+b") as stream:
        deadline = time.monotonic() + 10
        held = False
        while not held and time.monotonic() < deadline:
            held = _try_lock(stream)
            if not held:
                time.sleep(0.01)
        try:
            yield
        finally:
            if held:
                _unlock(stream)


try:
    import fcntl

    def _try_lock(stream: Any) -> bool:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _unlock(stream: Any) -> None:
        fcntl.flock(stream, fcntl.LOCK_UN)

except ImportError:  # Windows
    import msvcrt

    def _try_lock(stream: Any) -> bool:
        stream.seek(0)
        try:
            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(stream: Any) -> None:
        stream.seek(0)
        msvcrt.locking(stream.fileno(), msvcrt.LK_UNLCK, 1)
