"""Runs one check against one answer, and turns whatever happens into a `Result`.

The check runs in a thread of its own, so that an answer that never ends can be stopped on every
system, in a notebook as in a script: the waiting thread raises `TimeUp` inside it. An answer stuck
inside one call of C code cannot be stopped that way; it is left behind, and the result says so.
"""

import contextlib
import contextvars
import ctypes
import dis
import functools
import io
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import CodeType, TracebackType
from typing import Any, Literal

from llmcourse.exercises.core import MISSING, Exercise, Failure
from llmcourse.exercises.show import shorten, signature
from llmcourse.exercises.watch import Watched, where

__all__ = ["Outcome", "run"]

STACK_BYTES = 64 << 20  # deep recursion must end in RecursionError, not in a crash
GRACE_SECONDS = 2.0  # how long an answer that catches everything is asked to stop
PRINTED_CHARACTERS = 2000

Status = Literal["pass", "not attempted", "fail"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What happened: the diagnosis in `message`, and the failing case where there is one."""

    status: Status
    message: str
    expected: str = ""
    got: str = ""
    call: str = ""
    where: str = ""
    printed: str = ""


class TimeUp(SystemExit):
    """Raised inside the answer's thread; as a SystemExit it ends a thread without a traceback."""


class _Printed(io.TextIOBase):
    """Keeps the first characters that an answer prints, and forgets the rest."""

    def __init__(self) -> None:
        self.text, self.lost = "", 0

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        room = PRINTED_CHARACTERS - len(self.text)
        self.text += text[:room]
        self.lost += max(0, len(text) - room)
        return len(text)

    def __str__(self) -> str:
        return self.text + (f"\n… and {self.lost} more characters" if self.lost else "")


def run(exercise: Exercise, answer: Any, *, seconds: float | None = None) -> Outcome:
    """Judge `answer`. Never raises.

    `seconds` replaces the exercise's own limit; so does LLMCOURSE_CHECK_SECONDS, for slow machines.
    """
    if not callable(answer):
        kind = type(answer).__name__
        return Outcome(
            status="fail",
            message=f"hand over the function itself, `{exercise.name}`, without calling it; "
            f"this is a value of type {kind}",
            got=shorten(answer),
        )
    limit = seconds or _seconds_from_environment() or exercise.seconds
    watched = Watched(answer, may_mutate=exercise.may_mutate)
    printed, box = _Printed(), []

    def work() -> None:
        try:
            box.append(_judge(exercise, answer, watched))
        except TimeUp:
            pass

    with contextlib.redirect_stdout(printed):
        ended = _in_thread(work, limit)
    if box and ended == "done":
        return replace(box[0], printed=str(printed))
    messages = {
        "stopped": f"stopped after {limit:g} s: a loop or recursion that does not end? "
        "(LLMCOURSE_CHECK_SECONDS sets the limit)",
        "stuck": f"still running after {limit:g} s and cannot be stopped: it catches every "
        "exception, or waits inside one long call. Restart Python (in a notebook, the kernel)",
        "interrupted": "interrupted before it ended",
    }
    return Outcome(
        status="fail", message=messages[ended], call=watched.call(), printed=str(printed)
    )


def _judge(exercise: Exercise, answer: Callable, watched: Watched) -> Outcome:
    outcome = functools.partial(Outcome, status="fail")
    if _is_empty(answer):
        return Outcome(status="not attempted", message="the function has no body yet")
    try:
        exercise.check(watched.face)
    except TimeUp:
        raise
    except Failure as failure:
        return outcome(
            message=failure.message,
            expected="" if failure.expected is MISSING else shorten(failure.expected),
            got="" if failure.got is MISSING else shorten(failure.got),
            call=watched.call(),
        )
    except NotImplementedError as error:
        if _raised_by_hand(error):
            return Outcome(
                status="not attempted", message="the answer still raises NotImplementedError"
            )
        return outcome(**_diagnose(exercise, answer, watched, error))
    except RecursionError as error:
        diagnosis = _diagnose(exercise, answer, watched, error)
        diagnosis["message"] = "it calls itself without end: what stops the recursion?"
        return outcome(**diagnosis)
    except (SystemExit, GeneratorExit, KeyboardInterrupt) as error:
        return outcome(
            message=f"it raised {type(error).__name__}, which would end the program; "
            "return a value, or raise an ordinary exception",
            call=watched.call(),
        )
    except BaseException as error:
        return outcome(**_diagnose(exercise, answer, watched, error))
    return Outcome(status="pass", message="every case agrees")


def _diagnose(
    exercise: Exercise, answer: Callable, watched: Watched, error: BaseException
) -> dict[str, str]:
    """Words for an exception: from the answer, from a wrong signature, or from its value's use."""
    said = f"{type(error).__name__}: {error}".strip().rstrip(":")
    case = {"call": watched.call(), "where": where(answer, error)}
    if not watched.has_raised(error):
        kind = type(watched.returned).__name__
        return {
            **case,
            "message": f"what it returned cannot be used as the exercise asks ({said}); "
            f"the last value was of type {kind}",
            "got": shorten(watched.returned),
        }
    wanted, given = signature(exercise.solution), signature(answer)
    if isinstance(error, TypeError) and not case["where"] and wanted != given:
        return {
            **case,
            "message": f"it cannot be called as the exercise does: the signature should be "
            f"{exercise.name}{wanted}, got {exercise.name}{given}",
        }
    return {**case, "message": f"it raised {said}"}


def _is_empty(answer: Callable) -> bool:
    """Whether a function's body is only a docstring, `pass` or `...`."""
    code = getattr(answer, "__code__", None)
    if not isinstance(code, CodeType):
        return False
    steps = [i for i in dis.get_instructions(code) if i.opname not in {"RESUME", "NOP"}]
    if [i.opname for i in steps] not in (["LOAD_CONST", "RETURN_VALUE"], ["RETURN_CONST"]):
        return False
    return steps[0].argval is None or steps[0].argval is Ellipsis


def _raised_by_hand(error: BaseException) -> bool:
    """Whether a `raise` statement raised `error`, and not a library that lacks an operation."""
    last: TracebackType | None = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    if last is None or last.tb_lasti < 0:
        return False
    return last.tb_frame.f_code.co_code[last.tb_lasti] == dis.opmap["RAISE_VARARGS"]


def _seconds_from_environment() -> float | None:
    try:
        seconds = float(os.environ.get("LLMCOURSE_CHECK_SECONDS", ""))
    except ValueError:
        return None
    return seconds if seconds > 0 else None


def _in_thread(work: Callable[[], None], seconds: float) -> str:
    """Run `work` in a thread: 'done', 'stopped' at the limit, 'stuck', or 'interrupted'."""
    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(work,), daemon=True, name="check")
    old_size = threading.stack_size()
    try:
        threading.stack_size(STACK_BYTES)
    except (ValueError, RuntimeError):
        pass
    try:
        thread.start()
    except RuntimeError:  # a Python without threads, as in a browser: no limit, but an answer
        work()
        return "done"
    finally:
        threading.stack_size(old_size)
    reason = "stopped"
    try:
        thread.join(seconds)
        if not thread.is_alive():
            return "done"
    except KeyboardInterrupt:
        reason = "interrupted"
    # An answer may swallow the exception with a bare `except`, so it is raised again and again.
    deadline = time.monotonic() + GRACE_SECONDS
    while thread.is_alive() and time.monotonic() < deadline:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread.ident or 0), ctypes.py_object(TimeUp)
        )
        thread.join(0.02)
    return "stuck" if thread.is_alive() else reason
