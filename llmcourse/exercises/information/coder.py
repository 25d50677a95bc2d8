"""One step of an arithmetic coder."""

import numpy as np

from llmcourse.exercises.core import Exercise, Wrong, expect

__all__ = ["NARROW"]


def narrow_stub(low, high, starts, symbol):
    raise NotImplementedError


def narrow(low, high, starts, symbol):
    width, total = high - low, starts[-1]
    new_low = low + width * starts[symbol] // total
    new_high = low + width * starts[symbol + 1] // total
    return new_low, new_high


def check_narrow(answer):
    starts = [0, 5, 6, 9, 10]
    got = answer(0, 1000, starts, 0)
    expect(
        all(isinstance(x, int | np.integer) for x in got),
        "ends of a range must be whole numbers, or encoder and decoder drift apart: use //",
        got=got,
    )
    for symbol in range(4):
        want = (100 * starts[symbol], 100 * starts[symbol + 1])
        got = tuple(answer(0, 1000, starts, symbol))
        expect(
            got != (want[0], want[1] - 1),
            "the upper end is one short: ranges are half open, high itself is outside",
            expected=want,
            got=got,
        )
        expect(
            got != (250 * starts[symbol], 250 * starts[symbol + 1]),
            "the parts are counted out of the last entry of starts, not out of its length",
            expected=want,
            got=got,
        )
        expect(
            got == want or got != (1001 * starts[symbol] // 10, 1001 * starts[symbol + 1] // 10),
            "high is outside the range, so its width is high − low, with no 1 to add",
            expected=want,
            got=got,
        )
        expect(
            got[1] != 100 * starts[symbol] or got == want,
            "symbol s owns the parts from starts[s] to starts[s + 1], not those before it",
            expected=want,
            got=got,
        )
        expect(
            got == want,
            f"wrong for symbol {symbol} of {starts} in the range 0 to 1000",
            expected=want,
            got=got,
        )
    moved = tuple(answer(7000, 8000, starts, 2))
    expect(
        moved != (600, 900),
        "the new range must lie inside the old one: add low",
        expected=(7600, 7900),
        got=moved,
    )
    expect(
        moved != (7000 + 8000 * 6 // 10, 7000 + 8000 * 9 // 10),
        "the width is high − low, not high",
        expected=(7600, 7900),
        got=moved,
    )
    expect(
        moved != ((7000 + 6000) // 10, (7000 + 9000) // 10),
        "low stands under the division: only what is added to it is divided",
        expected=(7600, 7900),
        got=moved,
    )
    expect(moved == (7600, 7900), "wrong where low is not 0", expected=(7600, 7900), got=moved)
    ends = [tuple(answer(11, 11 + 997, starts, symbol)) for symbol in range(4)]
    expect(
        [low for low, _ in ends] != [11, 509, 609, 908] or ends[-1] != (908, 1007),
        "a rounded length added to a rounded start leaves gaps: each end is low plus its own "
        "rounded part",
        expected=(908, 1008),
        got=ends[-1],
    )
    joined = [11, *(high for _, high in ends)]
    expect(
        [low for low, _ in ends] == joined[:-1] and joined[-1] == 1008,
        "the symbols' ranges must tile the old one with no gap and no overlap, also where the "
        "division leaves a remainder: multiply first, divide last, and round both ends down",
        expected=[(11, 509), (509, 609), (609, 908), (908, 1008)],
        got=ends,
    )
    big = 2**62
    expect(
        tuple(answer(0, big, [0, 1, 3], 1)) == (big // 3, big),
        "a wide range loses its last digits: floats hold 53 bits, whole numbers all of them",
    )


def _narrow_floats(low, high, starts, symbol):
    width, total = high - low, starts[-1]
    return low + width * starts[symbol] / total, low + width * starts[symbol + 1] / total


def _narrow_closed(low, high, starts, symbol):
    new_low, new_high = narrow(low, high, starts, symbol)
    return new_low, new_high - 1


def _narrow_from_zero(low, high, starts, symbol):
    return narrow(0, high - low, starts, symbol)


def _narrow_divides_first(low, high, starts, symbol):
    unit = (high - low) // starts[-1]
    return low + unit * starts[symbol], low + unit * starts[symbol + 1]


def _narrow_rounds_through_floats(low, high, starts, symbol):
    shares = [starts[symbol + i] / starts[-1] for i in (0, 1)]
    return tuple(low + int((high - low) * share + 1e-9) for share in shares)


NARROW = Exercise(
    id="information.narrow",
    title="One step of an arithmetic coder",
    stub=narrow_stub,
    solution=narrow,
    check=check_narrow,
    hints=(
        "The old range is a ruler of `high - low` marks. Symbol `s` owns the part of it from "
        "`starts[s]` to `starts[s + 1]`, counted in `starts[-1]` parts.",
        """
        width = high - low, total = the last entry of starts
        lower end = low + width · starts[symbol] / total, rounded down
        upper end = the same with starts[symbol + 1]
        """,
        """
        width, total = high - low, starts[-1]
        new_low = low + width * starts[symbol] // total
        new_high = ...
        return new_low, new_high
        """,
    ),
    wrong=(
        Wrong(_narrow_floats, "whole numbers"),
        Wrong(_narrow_closed, "one short"),
        Wrong(_narrow_from_zero, "add low"),
        Wrong(_narrow_divides_first, "tile the old one"),
        Wrong(_narrow_rounds_through_floats, "53 bits"),
    ),
)
