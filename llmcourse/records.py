"""Files of records: one JSON object a line, read strictly.

A file that is nearly right is the dangerous one: a row that is dropped in silence is missed by
nobody. So every fault is an error that names the line and the field, and nothing is returned.
"""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

__all__ = ["check_lengths", "read_jsonl"]


def read_jsonl(
    path: str | Path, *, fields: Sequence[str] = ("text",), most: int | None = None
) -> list[dict[str, Any]]:
    """The records of a file, one JSON object a line; each has the `fields`, as texts not blank.

    Further fields are kept as they are. A line with nothing on it is allowed at the end alone.
    `most` reads no more records than that.

    Raises:
        ValueError: the file is empty, is not UTF-8, or a line is no object, lacks a field, has
            one twice, or holds NaN or an infinite number; the message names the line and the field.
    """
    path = Path(path)
    lines = path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise ValueError(f"{path.name} is empty: there is nothing to learn from")
    numbered = enumerate(lines[:most], start=1)
    return [_record(raw, f"{path.name}, line {i}", fields) for i, raw in numbered]


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose names are its own: JSON lets the last of two alike win, in silence.

    Its numbers are finite: Python's reader also takes NaN, Infinity and 1e999.
    """
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"field {twice!r} stands twice")
    for name, value in pairs:
        for number in _numbers(value):
            if not math.isfinite(number):
                raise ValueError(f"field {name!r} holds {number}, where a number must be finite")
    return made


def _numbers(value: Any) -> Iterator[float]:
    """The floating-point numbers in a value: itself, or in lists; objects look after their own."""
    if isinstance(value, float):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _numbers(item)


def _record(raw: bytes, where: str, fields: Sequence[str]) -> dict[str, Any]:
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise ValueError(
            f"{where}: not UTF-8: byte {error.start + 1} of the line is 0x{byte:02x}; "
            "find out its encoding, do not guess"
        ) from None
    if not text.strip():
        raise ValueError(f"{where}: blank, between two records")
    try:
        record = json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        raise ValueError(f"{where}: not JSON: {error.msg} at column {error.colno}") from None
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    except RecursionError:
        raise ValueError(f"{where}: nested too deeply to be a record") from None
    if not isinstance(record, dict):
        raise ValueError(f"{where}: must be an object with fields, got {type(record).__name__}")
    for field in fields:
        if field not in record:
            have = ", ".join(map(repr, record)) or "none"
            raise ValueError(f"{where}: field {field!r} is missing; it has {have}")
        value = record[field]
        if not isinstance(value, str):
            raise ValueError(f"{where}: field {field!r} must be text, got {type(value).__name__}")
        if not value.strip():
            raise ValueError(f"{where}: field {field!r} is blank")
    return record


def check_lengths(
    records: Sequence[dict[str, Any]],
    encode: Callable[[str], Sequence[int]],
    *,
    context: int,
    field: str = "text",
) -> list[list[int]]:
    """The ids of each record's field, none longer than the model's context.

    Raises:
        ValueError: a record has more tokens than `context`; the message names the first such
            line, both lengths, and how many there are.
    """
    rows = [list(encode(record[field])) for record in records]
    long = [i for i, row in enumerate(rows) if len(row) > context]
    if long:
        raise ValueError(
            f"line {long[0] + 1}: field {field!r} has {len(rows[long[0]])} tokens, the context is "
            f"{context} ({len(long)} of {len(rows)} records are too long); split them or pack them"
        )
    return rows
