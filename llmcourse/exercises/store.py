"""Progress on disk: one JSON file, written atomically and merged under a lock.

The file lies in the user's data folder; LLMCOURSE_PROGRESS names another. A file that cannot be
read is moved aside, never deleted, and a new one begun.
"""

import contextlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import platformdirs

__all__ = ["path", "read", "update"]

Entries = dict[str, dict[str, Any]]


def path() -> Path:
    """Where progress is kept."""
    named = os.environ.get("LLMCOURSE_PROGRESS")
    if named:
        return Path(named).expanduser()
    return Path(platformdirs.user_data_dir("llmcourse", appauthor=False)) / "progress.json"


def read() -> tuple[Entries, list[str]]:
    """Entries by exercise, and notes for the reader (a corrupt file moved aside). Never raises."""
    file = path()
    try:
        return _read(file)
    except OSError as error:
        return {}, [f"progress could not be read from {file}: {error.strerror or error}"]


def _read(file: Path) -> tuple[Entries, list[str]]:
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}, []
    except UnicodeDecodeError:
        text = ""
    try:
        entries = json.loads(text)["exercises"]
        counts = [entry.get(key, 0) for entry in entries.values() for key in ("attempts", "hints")]
        if not all(isinstance(count, int) for count in counts):
            raise ValueError("attempts and hints are whole numbers")
    except (ValueError, KeyError, TypeError, AttributeError):
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
        aside = file.with_name(f"{file.name}.corrupt-{stamp}")
        os.replace(file, aside)
        return {}, [f"the progress file could not be read; it now lies at {aside}"]
    return entries, []


def update(id: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> list[str]:
    """Replace one exercise's entry by `change(entry)`, and return notes for the reader.

    Never raises: a folder that cannot be written to becomes a note.
    """
    file = path()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with _lock(file.with_name(file.name + ".lock")):
            entries, notes = _read(file)
            entries[id] = change(dict(entries.get(id, {})))
            _write(file, {"version": 1, "exercises": entries})
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
