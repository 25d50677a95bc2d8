"""Sums from text, worked out by a parser of its own: what it reads can do nothing but be a number.

    sum     = product (("+" | "-") product)*
    product = signed (("*" | "/") signed)*
    signed  = ("+" | "-") signed | power
    power   = atom ("**" signed)?
    atom    = number | "(" sum ")"

No name, no call, no attribute is in this grammar, so none can be written in it. Arithmetic is
exact, in fractions; length, depth and size are bounded, so every text has an answer or an error at
once.

>>> calculate("2 * (3 + 4) ** 2")
'98'
"""

import re
from fractions import Fraction

__all__ = ["CalculatorError", "calculate", "evaluate"]

LENGTH = 100  # characters of an expression
DEPTH = 20  # brackets, signs and powers inside one another
DIGITS = 30  # of numerator and denominator
PLACES = 6  # after the decimal point
_TOKEN = re.compile(r" *(\*\*|[-+*/()]|[0-9]+(?:\.[0-9]+)?|[^\W\d_]+|\S)")
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")


class CalculatorError(ValueError):
    """Why a text has no value, in few words: a model is to read them."""


def calculate(text: str) -> str:
    """The value of a sum as text: whole, as a decimal number, or with dots where it goes on.

    Raises:
        CalculatorError: the text is no sum, divides by zero, or is too long, deep or large.
    """
    value = evaluate(text)
    if value.denominator == 1:
        return str(value.numerator)
    scaled = value * 10**PLACES
    whole, exact = int(scaled), scaled.denominator == 1
    sign, digits = "-" if value < 0 else "", f"{abs(whole):0{PLACES + 1}d}"
    shown = f"{sign}{digits[:-PLACES]}.{digits[-PLACES:]}"
    return shown.rstrip("0") if exact else shown + "..."


def evaluate(text: str) -> Fraction:
    """The exact value of a sum.

    Raises:
        CalculatorError: as `calculate`.
    """
    if len(text) > LENGTH:
        raise CalculatorError(f"longer than {LENGTH} characters")
    tokens = [match[1] for match in _TOKEN.finditer(text)]
    if not tokens:
        raise CalculatorError("no sum")
    value, rest = _sum(tokens, 0, 0)
    if rest < len(tokens):
        raise _unexpected(tokens[rest])
    return value


def _unexpected(token: str) -> CalculatorError:
    if token in "()":
        return CalculatorError(f"a {token} too many")
    # A control character would reach a terminal, or a model, raw.
    shown = token[:12] if token.isprintable() else f"U+{ord(token[0]):04X}"
    if _NUMBER.fullmatch(token):
        return CalculatorError(f"no operator before {shown}")
    return CalculatorError(f"{shown} is no operator")


def _sum(tokens: list[str], at: int, depth: int) -> tuple[Fraction, int]:
    value, at = _product(tokens, at, depth)
    while at < len(tokens) and tokens[at] in ("+", "-"):
        other, after = _product(tokens, at + 1, depth)
        value = _bounded(value + other if tokens[at] == "+" else value - other)
        at = after
    return value, at


def _product(tokens: list[str], at: int, depth: int) -> tuple[Fraction, int]:
    value, at = _signed(tokens, at, depth)
    while at < len(tokens) and tokens[at] in ("*", "/"):
        other, after = _signed(tokens, at + 1, depth)
        if tokens[at] == "/":
            if other == 0:
                raise CalculatorError("division by zero")
            other = 1 / other
        value, at = _bounded(value * other), after
    return value, at


def _signed(tokens: list[str], at: int, depth: int) -> tuple[Fraction, int]:
    if depth > DEPTH:
        raise CalculatorError(f"deeper than {DEPTH}")
    if at < len(tokens) and tokens[at] in ("+", "-"):
        value, after = _signed(tokens, at + 1, depth + 1)
        return (value if tokens[at] == "+" else -value), after
    value, at = _atom(tokens, at, depth)
    if at < len(tokens) and tokens[at] == "**":  # to the right: 2 ** 3 ** 2 is 2 ** 9
        exponent, at = _signed(tokens, at + 1, depth + 1)
        value = _power(value, exponent)
    return value, at


def _atom(tokens: list[str], at: int, depth: int) -> tuple[Fraction, int]:
    if at == len(tokens):
        raise CalculatorError("a number is missing")
    token = tokens[at]
    if token == "(":
        value, at = _sum(tokens, at + 1, depth + 1)
        if at == len(tokens):
            raise CalculatorError("a ) is missing")
        if tokens[at] != ")":
            raise _unexpected(tokens[at])
        return value, at + 1
    if _NUMBER.fullmatch(token):
        return _bounded(Fraction(token)), at + 1
    if token in ("*", "/", "**", ")"):
        raise CalculatorError(f"a number is missing before {token}")
    raise CalculatorError(f"{_unexpected(token)}".replace("operator", "number"))


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator != 1:
        raise CalculatorError("a power must be whole")
    if base == 0 and exponent < 0:
        raise CalculatorError("division by zero")
    # The size is known before the work: 9 ** 9 ** 9 has 370 million digits.
    size = max(base.numerator.bit_length(), base.denominator.bit_length())
    if size > 1 and abs(exponent) * (size - 1) > DIGITS * 4:
        shown = f"{base} ** {exponent}"
        raise CalculatorError(f"{shown if len(shown) <= DIGITS else 'a power'} is too large")
    return _bounded(base ** (int(exponent) % 2 if size <= 1 and base < 0 else int(exponent)))


def _bounded(value: Fraction) -> Fraction:
    if max(abs(value.numerator), value.denominator) >= 10**DIGITS:
        raise CalculatorError("the result is too large")
    return value
