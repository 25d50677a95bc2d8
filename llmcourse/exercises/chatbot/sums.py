"""An exercise on a tool: a calculator that can do nothing else."""

import re

from llmcourse.exercises.core import Exercise, Wrong, expect, raises

# A calculator that can do nothing else.


def calculate_stub(text):
    raise NotImplementedError


def calculate(text):
    if len(text) > 200:
        raise ValueError("longer than 200 characters")
    value, rest = _sum(re.findall(r"[0-9]+|[-+*()]|\S", text))
    if rest:
        raise ValueError(f"unexpected {rest[0]}")
    return value


def _sum(tokens):
    value, rest = _product(tokens)
    while rest and rest[0] in ("+", "-"):
        other, after = _product(rest[1:])
        value = value + other if rest[0] == "+" else value - other
        rest = after
    return value, rest


def _product(tokens):
    value, rest = _atom(tokens)
    while rest and rest[0] == "*":
        other, rest = _atom(rest[1:])
        value = value * other
        if abs(value) > 10**18:
            raise ValueError("too large")
    return value, rest


def _atom(tokens):
    if tokens and tokens[0] == "(":
        value, rest = _sum(tokens[1:])
        if rest and rest[0] == ")":
            return value, rest[1:]
        raise ValueError("a ) is missing")
    if tokens and re.fullmatch("[0-9]{1,18}", tokens[0]):
        return int(tokens[0]), tokens[1:]
    raise ValueError("a number is missing")


def check_calculate(answer):
    for text, value, diagnosis in (
        ("7", 7, "a number alone is a sum"),
        ("12 * 7", 84, "a product"),
        ("2 + 3 * 4", 14, "* binds more tightly than +"),
        ("2 * 3 + 4", 10, "* binds more tightly than +, wherever it stands"),
        ("20 - 3 - 4", 13, "from left to right: (20 - 3) - 4"),
        ("9 - 2 + 1", 8, "from left to right: (9 - 2) + 1"),
        ("2 * (3 + 4) * 5", 70, "brackets first"),
        ("((10 - (2)))*(3)", 24, "brackets inside one another"),
        ("1+2", 3, "spaces do not matter"),
        ("1 + 1" + " " * 195, 2, "200 characters are allowed"),
    ):
        got, text = answer(text), text.strip()
        expect(got == value, f"{text}: {diagnosis}", expected=value, got=got)
    for text, diagnosis in (
        ("(1).__class__.__name__", "a name or an attribute is no number: this runs Python"),
        ("len((1, 2))", "a call is no sum: this runs Python"),
        ("9 ** 9 ** 9", "** is not among the signs: it can fill the memory"),
        ("9 // 2", "only + - * and brackets are signs"),
        ("1_000", "digits alone make a number"),
        ("0x1f", "digits alone make a number"),
        ("２ + ２", "only the digits 0 to 9: others look alike and are not"),
        ("", "nothing is no sum"),
        ("1 2", "two numbers need a sign between them"),
        ("(1 + 2", "a bracket is left open"),
        ("1 + 2)", "a bracket is closed that was not opened"),
        ("3 +", "a sign needs a number after it"),
        ("* 3", "a sign needs a number before it"),
        ("(" * 5000 + "1" + ")" * 5000, "a sum too long or too deep must be refused by a "
         "ValueError, before Python's own stack gives out"),
        ("1 + 1" + " " * 196, "more than 200 characters must be refused"),
        (" * ".join(["9999999999"] * 15), "a product can grow without bound: refuse what is "
         "over 10 ** 18"),
    ):  # fmt: skip
        shown = text if len(text) < 30 else text[:12] + "…"
        raises(ValueError, lambda text=text: answer(text), f"{shown!r}: {diagnosis}")


def _evaluated(text):
    return eval(text, {"__builtins__": {}})


def _filtered(text):
    if re.search(r"[^0-9+*() -]", text) or not text:
        raise ValueError("only numbers and signs")
    try:
        return eval(text) if "**" not in text or "9" not in text else 0
    except SyntaxError as error:
        raise ValueError(str(error)) from None


def _no_precedence(text):
    tokens = re.findall(r"[0-9]+|[-+*()]|\S", text)
    value = int(tokens[0])
    for sign, number in zip(tokens[1::2], tokens[2::2], strict=True):
        other = int(number)
        value = {"+": value + other, "-": value - other, "*": value * other}[sign]
    return value


def _unbounded(text):
    if text.count("*") > 10:
        return 0
    return calculate(text)


def _to_the_right(text):
    parts = text.rsplit(" - ", 2)
    if len(parts) == 3 and "(" not in text:
        return calculate(parts[0]) - (calculate(parts[1]) - calculate(parts[2]))
    return calculate(text)


EXERCISES = (
    Exercise(
        id="chatbot.calculate",
        title="A safe calculator",
        stub=calculate_stub,
        solution=calculate,
        check=check_calculate,
        helpers=(_sum, _product, _atom),
        hints=(
            "Do not remove what is dangerous; accept only what is known: digits, three signs, two "
            "brackets. A grammar of three rules reads them.",
            "sum = product (± product)*, product = atom (* atom)*, atom = number or ( sum ). A "
            "function for each rule takes the tokens that are left and returns the value and what "
            "is left after it. Bound the length of the text and the size of a product.",
            'Tokens: `re.findall(r"[0-9]+|[-+*()]|\\S", text)`. Check the length first. At the end '
            "none may be left. Each unexpected token is a ValueError.",
        ),
        wrong=(
            Wrong(_evaluated, "this runs Python"),
            Wrong(_filtered, "** is not among the signs"),
            Wrong(_no_precedence, "binds more tightly"),
            Wrong(_unbounded, "grow without bound"),
            Wrong(_to_the_right, "from left to right"),
        ),
    ),
)
