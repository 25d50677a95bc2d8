"""Numbers in prose come from the run: `record` prints one and glues it for the text to quote."""

import re
import warnings
from typing import Any

__all__ = ["record"]

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

# Libraries that look for a notebook's progress bar warn where there is none; a page is no place.
warnings.filterwarnings("ignore", message="IProgress not found")


def _typeset(text: str) -> str:
    """Numbers as prose prints them: a minus for a hyphen, and 1e-07 as 1·10⁻⁷."""
    text = re.sub(r"(?<![\w.])-(?=[\d.])", "−", text)
    found = re.fullmatch(r"(−?[\d.]+)e([+-]\d+)", text)
    return f"{found[1]}·10{str(int(found[2])).translate(_RAISED)}" if found else text


def record(name: str, value: Any, fmt: str = "", what: str = "") -> None:
    """Print `what: value`, and keep the value as `name` for the prose.

    The prose quotes it as {glue:text}`name`. Without `fmt`, whole numbers get thousands commas,
    other numbers two decimals, and text stays as it is. Where the book's tools are not installed,
    the number is printed all the same.

        record("ngram-best", 3, what="best order")   # best order: 3
    """
    if not name:
        raise ValueError("a recorded number needs a name")
    value = value.item() if hasattr(value, "item") else value
    if not fmt and isinstance(value, int) and not isinstance(value, bool):
        fmt = ","
    elif not fmt and isinstance(value, float):
        fmt = ".2f"
    text = format(value, fmt)
    if not isinstance(value, str):  # a number, or an interval of them
        text = _typeset(text)
    print(f"{what or name}: {text}")
    try:
        from myst_nb import glue
    except ImportError:
        return
    # A string: anything else the book reads as Python, and "64,267" would become "(64, 267)".
    glue(name, text, display=False)
