"""How results, hints, solutions and progress look: plain in a terminal, rich in a notebook.

Whatever comes from an answer is text: it is escaped, never interpreted as HTML.
"""

import html
import inspect
import reprlib
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

__all__ = ["Hint", "Progress", "Result", "Solution", "shorten", "signature"]

MARKS = {"pass": "✓", "not attempted": "○", "fail": "✗"}
WORDS = {"pass": "pass", "not attempted": "not attempted", "fail": "not yet"}
# Mid-tones that keep 4.5:1 against white and against the dark theme's #121212 do not exist for
# small text, so the words keep the page's own colour and only the bar at the side is coloured.
BARS = {"pass": "#009e73", "not attempted": "#888888", "fail": "#d55e00"}
STAGES = ("the idea", "pseudocode", "nearly the code")

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 160
_short.maxlist = _short.maxtuple = _short.maxset = _short.maxdict = 12
_short.maxlevel = 4


def shorten(value: Any) -> str:
    """A readable, bounded `repr` of anything; a broken `__repr__` does not matter."""
    try:
        if isinstance(value, torch.Tensor):
            value = value.detach().cpu()
            data = value.float().numpy() if value.dtype == torch.bfloat16 else value.numpy()
            name = f"tensor{tuple(value.shape)}"
            return f"{name} {_array(data)}" if value.ndim else f"tensor({value.item():.6g})"
        if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
            return f"array{value.shape} {_array(value)}"
        return _short.repr(value)
    except Exception:
        return f"<{type(value).__name__}>"


def _array(data: np.ndarray) -> str:
    text = np.array2string(data, precision=4, threshold=40, edgeitems=2, separator=", ")
    return " ".join(text.split())


def signature(function: Callable) -> str:
    """`(q, k, v)`: names only, as the reader wrote them."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return "(…)"
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    return "(" + ", ".join(stars.get(p.kind, "") + p.name for p in parameters) + ")"


def _block(status: str, title: str, body: str) -> str:
    """One framed block of HTML, in the page's own colours, light or dark."""
    return (
        f'<div class="llmcourse-result" style="border-left: 4px solid {BARS[status]}; '
        f'padding: 0.4em 0.9em; margin: 0.5em 0; color: inherit; background: transparent">'
        f"<div><strong>{title}</strong></div>{body}</div>"
    )


def _text(value: str) -> str:
    return html.escape(value, quote=True)


def _row(name: str, value: str) -> str:
    return (
        f'<div style="display: flex; flex-wrap: wrap; gap: 0 1em"><span style="min-width: 5.5em">'
        f'{name}</span><code style="white-space: pre-wrap; overflow-wrap: anywhere; '
        f'background: transparent; color: inherit; border: 0">{_text(value)}</code></div>'
    )


@dataclass(frozen=True, kw_only=True)
class Result:
    """What `check` shows: pass, not attempted, or the failing case with its diagnosis."""

    id: str
    title: str
    status: str
    message: str
    expected: str = ""
    got: str = ""
    call: str = ""
    where: str = ""
    printed: str = ""
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return self.status == "pass"

    def _rows(self) -> list[tuple[str, str]]:
        rows = [("call", self.call), ("expected", self.expected), ("got", self.got)]
        rows += [("where", self.where), ("printed", self.printed)]
        return [(name, value) for name, value in rows if value]

    def _next(self) -> str:
        if self.passed or not self.title:
            return ""
        return f'hint("{self.id}") helps; solution("{self.id}") shows one way.'

    def __repr__(self) -> str:
        head = f"{MARKS[self.status]} {self.id}: {WORDS[self.status]}"
        lines = [head, textwrap.indent(self.message, "  ")]
        for name, value in self._rows():
            first, *rest = value.splitlines() or [""]
            lines += [f"  {name:<9} {first}", *(f"{'':12}{line}" for line in rest)]
        lines += [f"  {line}" for line in (*self.notes, self._next()) if line]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        title = f"{MARKS[self.status]} {_text(self.id)}: {WORDS[self.status]}"
        body = f'<div style="white-space: pre-wrap">{_text(self.message)}</div>'
        body += "".join(_row(name, value) for name, value in self._rows())
        body += "".join(f"<div>{_text(line)}</div>" for line in (*self.notes, self._next()) if line)
        return _block(self.status, title, body)


@dataclass(frozen=True, kw_only=True)
class Hint:
    """The hints revealed so far, the newest last."""

    id: str
    shown: tuple[str, ...]
    total: int

    def _more(self) -> str:
        left = self.total - len(self.shown)
        if not left:
            return f'That was the last one; solution("{self.id}") shows one way.'
        return f'{left} more: hint("{self.id}") again.'

    def __repr__(self) -> str:
        parts = [
            f"{i} ({stage}):\n{textwrap.indent(textwrap.dedent(text).strip(), '  ')}"
            for i, (stage, text) in enumerate(zip(STAGES, self.shown, strict=False), 1)
        ]
        return "\n".join([f"Hints for {self.id}", *parts, self._more()])

    def _repr_html_(self) -> str:
        parts = [
            f"<div><em>{i}. {stage}</em></div><pre style='white-space: pre-wrap; color: inherit; "
            f"background: transparent'>{_text(textwrap.dedent(text).strip())}</pre>"
            for i, (stage, text) in enumerate(zip(STAGES, self.shown, strict=False), 1)
        ]
        body = "".join(parts) + f"<div>{_text(self._more())}</div>"
        return _block("not attempted", f"Hints for {_text(self.id)}", body)


@dataclass(frozen=True, kw_only=True)
class Solution:
    """The reference's source, the same text that the check compares with."""

    id: str
    source: str

    def __repr__(self) -> str:
        return self.source

    def _repr_html_(self) -> str:
        body = (
            "<pre style='color: inherit; background: transparent; overflow-x: auto'>"
            f"<code style='color: inherit; background: transparent'>{_text(self.source)}"
            "</code></pre>"
        )
        return _block("pass", f"One solution of {_text(self.id)}", body)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Exercises passed, by chapter: rows of (chapter, passed, tried, all)."""

    rows: tuple[tuple[str, int, int, int], ...]
    notes: tuple[str, ...] = ()

    def _total(self) -> tuple[str, int, int, int]:
        sums = [sum(row[i] for row in self.rows) for i in (1, 2, 3)]
        return ("all", sums[0], sums[1], sums[2])

    def __repr__(self) -> str:
        rows = [*self.rows, self._total()]
        wide = max(len(row[0]) for row in rows)
        lines = [
            f"{name:<{wide}}  {_meter(done, count)}  {done:>2} of {count} passed"
            + (f", {tried - done} tried" if tried > done else "")
            for name, done, tried, count in rows
        ]
        return "\n".join([*lines, *self.notes])

    def _repr_html_(self) -> str:
        head = "".join(f"<th scope='col'>{n}</th>" for n in ("chapter", "passed", "tried", "of"))
        rows = "".join(
            f"<tr><th scope='row'>{_text(name)}</th><td>{done}</td><td>{tried}</td>"
            f"<td>{count}</td></tr>"
            for name, done, tried, count in [*self.rows, self._total()]
        )
        notes = "".join(f"<div>{_text(note)}</div>" for note in self.notes)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{notes}"


def _meter(done: int, count: int) -> str:
    full = round(10 * done / count) if count else 0
    return "█" * full + "░" * (10 - full)
