"""What an exercise is, and the three assertions its check is written with.

A chapter's module (`llmcourse/exercises/<chapter>.py`) lists its exercises in `EXERCISES`. A check
is a plain function of the reader's answer; it reports through `expect`, `close` and `raises`, and
anything else that goes wrong (an exception, an endless loop, a changed argument) is diagnosed by
the engine. `python -m llmcourse.exercises.mutants <chapter>` lists faults that a check lets pass.
"""

import math
import numbers
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

__all__ = ["Exercise", "Failure", "Wrong", "close", "expect", "raises"]

MISSING = object()

# (relative, absolute) by the coarser of the two element types.
TOLERANCES = {16: (1e-2, 1e-3), 32: (1e-5, 1e-6), 64: (1e-7, 1e-9)}


class Failure(Exception):
    """A case that the answer fails; `message` is the diagnosis."""

    def __init__(self, message: str, *, expected: Any = MISSING, got: Any = MISSING) -> None:
        super().__init__(message)
        self.message, self.expected, self.got = message, expected, got


@dataclass(frozen=True)
class Wrong:
    """A plausible wrong answer, and a piece of text that its diagnosis must contain."""

    answer: Callable
    diagnosis: str


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """One exercise: everything that `check`, `hint`, `solution` and the tests need.

    `id` is `<chapter>.<name>`, and `<name>` is the solution's own. `helpers` are shown before the
    solution. `equivalent_mutants` maps a mutant that no check could kill (as the test names it,
    `old → new`) to the reason. `may_mutate` says that changing an argument is what is asked.
    `scored` says that the check trains the answer and measures it against a bar: a change that
    learns a little less well is no fault, so its mutants are not tried.
    """

    id: str
    title: str
    stub: Callable
    solution: Callable
    check: Callable[[Callable], None]
    hints: tuple[str, ...]
    wrong: tuple[Wrong, ...] = ()
    helpers: tuple[Callable, ...] = ()
    may_mutate: bool = False
    scored: bool = False
    seconds: float = 10.0
    equivalent_mutants: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        chapter, dot, name = self.id.partition(".")
        if not (dot and chapter.isidentifier() and name.isidentifier()):
            raise ValueError(f"an exercise's id is `chapter.name`, got {self.id!r}")
        if self.solution.__name__ != name:
            raise ValueError(
                f"the solution of {self.id!r} must be called {name!r}, "
                f"got {self.solution.__name__!r}"
            )
        if len(self.hints) != 3:
            raise ValueError(
                f"{self.id!r} needs three hints (idea, pseudocode, nearly the code), "
                f"got {len(self.hints)}"
            )
        if not self.seconds > 0:
            raise ValueError(f"the time limit must be positive, got {self.seconds}")

    @property
    def chapter(self) -> str:
        return self.id.partition(".")[0]

    @property
    def name(self) -> str:
        return self.id.partition(".")[2]


def expect(condition: Any, message: str, *, expected: Any = MISSING, got: Any = MISSING) -> None:
    """Fail with `message` unless `condition` holds."""
    if not bool(condition):
        raise Failure(message, expected=expected, got=got)


def raises(error: type[Exception], call: Callable[[], Any], message: str) -> None:
    """Fail unless `call()` raises `error`: `raises(ValueError, lambda: f([]), "…")`."""
    try:
        got = call()
    except NotImplementedError:
        raise
    except error:
        return
    except Exception as other:
        raise Failure(message, expected=error.__name__, got=repr(other)) from None
    raise Failure(message, expected=error.__name__, got=got)


def close(
    got: Any,
    expected: Any,
    message: str,
    *,
    atol: float | None = None,
    rtol: float | None = None,
    suspects: Mapping[str, Any] | None = None,
) -> None:
    """Fail with `message` unless two numbers, arrays or tensors agree.

    Kind, shape and element type are compared before values, and the first index that differs is
    named. Without `atol` and `rtol` the tolerance follows from the coarser element type.
    `suspects` maps a diagnosis to what a known mistake would return: where `got` is that, the
    diagnosis replaces `message`:

        close(got, want, "scores differ", suspects={"the scores are not divided by √d": unscaled})
    """
    for diagnosis, value in (suspects or {}).items():
        if _difference(got, value, atol, rtol) is None and _difference(value, expected, atol, rtol):
            raise Failure(diagnosis, expected=expected, got=got)
    difference = _difference(got, expected, atol, rtol)
    if difference is not None:
        raise Failure(f"{message} ({difference})", expected=expected, got=got)


def _difference(got: Any, expected: Any, atol: float | None, rtol: float | None) -> str | None:
    """How `got` differs from `expected`, or nothing."""
    if got is None:
        return "it returned None: is a `return` missing?"
    if got is Ellipsis or got is NotImplemented:
        return f"it returned {got!r}"
    scalar = isinstance(expected, numbers.Number) or np.ndim(_plain(expected)) == 0
    for kind, name in ((torch.Tensor, "torch.Tensor"), (np.ndarray, "numpy array")):
        if isinstance(expected, kind) and not isinstance(got, kind) and not scalar:
            return f"it should return a {name}, got {type(got).__name__}"
    try:
        a, b = np.asarray(_plain(got)), np.asarray(_plain(expected))
    except (TypeError, ValueError, RuntimeError):
        return f"it returned {type(got).__name__}, which does not read as an array of numbers"
    if not all(x.dtype.kind in "biufc" for x in (a, b)):
        if a.dtype.kind in "biufc" or b.dtype.kind in "biufc" or a.dtype.kind == "O":
            return f"it should hold numbers, got {type(got).__name__}"
        raise TypeError("close compares numbers; use expect for anything else")
    if a.shape != b.shape:
        return f"shape should be {b.shape}, got {a.shape}"
    if not scalar and _kind(a) != _kind(b):
        return f"element type should be {_kind(b)}, got {_kind(a)} ({_dtype(got)})"
    default_rtol, default_atol = TOLERANCES[min(_width(got), _width(expected))]
    same = np.isclose(
        a,
        b,
        rtol=default_rtol if rtol is None and atol is None else (rtol or 0.0),
        atol=default_atol if atol is None else atol,
        equal_nan=True,
    )
    if same.all():
        return None
    if a.ndim == 0:
        return f"expected {_number(b)}, got {_number(a)}"
    where = np.unravel_index(int(np.argmin(same)), same.shape)
    index = ", ".join(str(int(i)) for i in where)
    wrong = int(same.size - same.sum())
    return (
        f"{wrong} of {same.size} values differ; first at [{index}]: "
        f"expected {_number(b[where])}, got {_number(a[where])}"
    )


def _plain(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        return value.float().numpy() if value.dtype == torch.bfloat16 else value.numpy()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _kind(array: np.ndarray) -> str:
    kinds = {"b": "bool", "i": "integer", "u": "integer", "f": "floating", "c": "complex"}
    return kinds[array.dtype.kind]


def _dtype(value: Any) -> str:
    return str(value.dtype) if hasattr(value, "dtype") else type(value).__name__


def _width(value: Any) -> int:
    """Bits of the coarsest floating type in `value`; 64 for Python's own numbers."""
    if isinstance(value, list | tuple):
        return min((_width(item) for item in value), default=64)
    if isinstance(value, torch.Tensor):
        return torch.finfo(value.dtype).bits if value.dtype.is_floating_point else 64
    if isinstance(value, np.ndarray | np.floating) and value.dtype.kind == "f":
        return max(16, min(64, value.dtype.itemsize * 8))
    return 64


def _number(value: Any) -> str:
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:.6g}"
    return str(value)
