"""The calculator: equal to Python where Python would be safe, bounded, and nothing but sums."""

import ast
import time
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcourse import calculator
from llmcourse.calculator import CalculatorError, calculate, evaluate

numbers = st.integers(0, 999).map(str)
sums = st.recursive(
    numbers,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/"]), inner).map(" ".join),
        inner.map(lambda s: f"({s})"),
        inner.map(lambda s: f"-({s})"),
        st.tuples(st.integers(0, 9).map(str), st.integers(0, 5).map(str)).map(" ** ".join),
    ),
    max_leaves=6,
)


def exactly(text: str) -> Fraction:
    """What Python's own grammar says, in fractions, by walking the tree of the expression."""

    def value(node):
        match node:
            case ast.Expression(body):
                return value(body)
            case ast.Constant(number):
                return Fraction(number)
            case ast.UnaryOp(ast.USub(), inner):
                return -value(inner)
            case ast.BinOp(left, ast.Add(), right):
                return value(left) + value(right)
            case ast.BinOp(left, ast.Sub(), right):
                return value(left) - value(right)
            case ast.BinOp(left, ast.Mult(), right):
                return value(left) * value(right)
            case ast.BinOp(left, ast.Div(), right):
                return value(left) / value(right)
            case ast.BinOp(left, ast.Pow(), right):
                return value(left) ** value(right)
        raise AssertionError(node)

    # Python refuses numbers such as 007, which here are seven: no such number is drawn.
    return value(ast.parse(text, mode="eval"))


@given(sums.filter(lambda s: len(s) <= calculator.LENGTH))
@settings(max_examples=200, deadline=None)
def test_it_reads_sums_as_python_does(text):
    try:
        want = exactly(text)
    except ZeroDivisionError:
        with pytest.raises(CalculatorError, match="division by zero"):
            evaluate(text)
        return
    assert evaluate(text) == want


@given(st.text(max_size=130))
@settings(max_examples=300, deadline=None)
def test_every_text_has_an_answer_or_a_short_printable_error(text):
    try:
        said = calculate(text)
    except CalculatorError as error:
        said = str(error)
    assert said.isprintable() and 0 < len(said) <= 50


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 / 3", "0.333333..."), ("7 / 8", "0.875"), ("-1 / 3", "-0.333333..."), ("-2 ** 2", "-4"),
        ("2 ** 3 ** 2", "512"), ("2 ** -1", "0.5"), ("8 / 2 / 2", "2"), ("1.5 * 4", "6"),
        ("(-1) ** 999999999999999999", "-1"), ("0 ** 0", "1"), (" 1+1 ", "2"),
        ("1 / 10000000", "0.000000..."),
    ],
)  # fmt: skip
def test_values(text, value):
    assert calculate(text) == value


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("9 ** 9 ** 9", "9 \\*\\* 387420489 is too large"),
        ("9 ** 9999", "9 \\*\\* 9999 is too large"),
        ("9" * 40, "too large"),
        ("2 ** 0.5", "a power must be whole"),
        ("1 / (2 - 2)", "division by zero"),
        ("0 ** -1", "division by zero"),
        ("(1 + 2", "a \\) is missing"),
        ("1 + 2)", "a \\) too many"),
        ("1 2", "no operator before 2"),
        ("12 x 7", "x is no operator"),
        ("12 × 7", "× is no operator"),
        ("1 +", "a number is missing"),
        ("* 2", "a number is missing before \\*"),
        ("", "no sum"),
        ("x + 1", "x is no number"),
        ("__import__('os')", "is no number"),
        ("abs(1)", "abs is no number"),
        ("1 .real", "is no operator"),
        ("１ + １", "is no number"),
        ("\x1b[2J", "U\\+001B is no number"),
        ("(" * 30 + "1" + ")" * 30, "deeper than"),
        ("-" * 30 + "1", "deeper than"),
        ("1+" * 80 + "1", "longer than"),
    ],
)
def test_what_it_refuses_and_by_which_name(text, says):
    began = time.perf_counter()
    with pytest.raises(CalculatorError, match=says):
        calculate(text)
    assert time.perf_counter() - began < 1


def test_its_source_has_no_way_to_run_code():
    tree = ast.parse(Path(calculator.__file__).read_text("utf-8"))
    used = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    assert not used & {"eval", "exec", "compile", "__import__", "getattr", "globals", "open"}
