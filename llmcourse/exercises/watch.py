"""The answer as its check sees it: remembers its last call, and notices changed arguments."""

import functools
import inspect
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from llmcourse.exercises.core import Failure
from llmcourse.exercises.show import shorten

__all__ = ["Watched", "where"]


class Watched:
    """The answer as the check sees it: remembers its last call and notices changed arguments."""

    def __init__(self, answer: Callable, *, may_mutate: bool) -> None:
        self.answer, self.may_mutate = answer, may_mutate
        self.last: tuple[tuple, dict] | None = None
        self.returned: Any = None
        self.error: BaseException | None = None
        # A class stays itself, so that `isinstance` and class attributes work.
        self.face = answer if isinstance(answer, type) else self._wrap()

    def _wrap(self) -> Callable:
        @functools.wraps(self.answer)
        def watched(*args: Any, **kwargs: Any) -> Any:
            before = _copy((args, kwargs))
            self.last = before
            try:
                returned = self.answer(*args, **kwargs)
                if inspect.isgenerator(returned):
                    return self._follow(returned, before, (args, kwargs))
            except BaseException as error:
                self.error = error
                raise
            self.returned = returned
            self._compare(before, (args, kwargs))
            return returned

        return watched

    def _follow(self, generator: Iterator, before: tuple, after: tuple) -> Iterator:
        try:
            for item in generator:
                self.returned = item
                yield item
        except BaseException as error:
            self.error = error
            raise
        self._compare(before, after)

    def _compare(self, before: tuple, after: tuple) -> None:
        if self.may_mutate or _same(before, after):
            return
        names = _names(self.answer, len(after[0]))
        pairs = [*zip(names, before[0], after[0], strict=True)]
        pairs += [(name, before[1][name], after[1][name]) for name in after[1]]
        changed = next((pair for pair in pairs if not _same(pair[1], pair[2])), None)
        if changed is None:
            return
        name, old, new = changed
        raise Failure(
            f"it changes its argument `{name}`, which belongs to the caller: work on a copy",
            expected=old,
            got=_copy(new),
        )

    def has_raised(self, error: BaseException) -> bool:
        """Whether `error` came from inside the answer rather than from the check."""
        if isinstance(self.answer, type):
            return bool(_frames(self.answer, error))
        return self.error is error

    def call(self) -> str:
        if self.last is None:
            return ""
        args, kwargs = self.last
        given = [f"{name}={shorten(value)}" for name, value in self._named(args)]
        given += [f"{name}={shorten(value)}" for name, value in kwargs.items()]
        return f"{getattr(self.answer, '__name__', 'answer')}({', '.join(given)})"

    def _named(self, args: tuple) -> list[tuple[str, Any]]:
        return list(zip(_names(self.answer, len(args)), args, strict=True))


def _names(function: Callable, count: int) -> list[str]:
    """Names of the first `count` positional parameters."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return (names + [f"argument {i + 1}" for i in range(len(names), count)])[:count]


def _copy(value: Any) -> Any:
    """A snapshot of data; anything else (a model, a generator) is kept as it is."""
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, np.ndarray | bytearray):
        return value.copy()
    if type(value) in (list, tuple, set):
        return type(value)(_copy(item) for item in value)
    if isinstance(value, dict):
        copied = {key: _copy(item) for key, item in value.items()}
        return copied if type(value) is dict else _like(value, copied)
    return value


def _like(value: dict, copied: dict) -> dict:
    """`copied` as the same kind of mapping (Counter, defaultdict), for display and comparison."""
    same = value.copy()
    same.update(copied) if not hasattr(same, "subtract") else dict.update(same, copied)
    return same


def _same(a: Any, b: Any) -> bool:
    if a is b:
        return True
    if type(a) is not type(b) and not isinstance(a, torch.Tensor):
        return False
    if isinstance(a, torch.Tensor):
        if a.shape != b.shape or a.dtype != b.dtype:
            return False
        return bool(((a == b) | ((a != a) & (b != b))).all())
    if isinstance(a, np.ndarray):
        return a.shape == b.shape and a.dtype == b.dtype and bool(np.all((a == b) | (a != a)))
    if isinstance(a, dict):
        return list(a) == list(b) and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    try:
        return bool(a == b)
    except Exception:
        return False


def _frames(answer: Callable, error: BaseException) -> list[traceback.FrameSummary]:
    """The frames of `error` that lie in the reader's code, outermost first.

    The check may stand in the same file, so only frames inside the answer's call count.
    """
    inner = inspect.unwrap(answer)
    members = vars(inner).values() if isinstance(inner, type) else [inner]
    codes = [code for code in (getattr(m, "__code__", None) for m in members) if code is not None]
    walked = list(traceback.walk_tb(error.__traceback__))
    entered = next((i for i, (frame, _) in enumerate(walked) if frame.f_code in codes), None)
    if entered is None:
        return []
    files = {code.co_filename for code in codes}
    return [f for f in traceback.extract_tb(error.__traceback__)[entered:] if f.filename in files]


def where(answer: Callable, error: BaseException) -> str:
    """The innermost line of the reader's own code that `error` passed through."""
    frames = _frames(answer, error)
    if not frames:
        return ""
    return f"line {frames[-1].lineno}: {(frames[-1].line or '').strip()}"
