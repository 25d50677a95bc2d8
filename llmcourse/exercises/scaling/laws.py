"""Exercises of `math/scaling` on the fitted law: its slope, its best split, its floor."""

import math

import numpy as np

from llmcourse.exercises.core import Exercise, Wrong, close, expect

__all__ = ["LAWS"]

# ---- derivation: the slope along a budget ----------------------------------------------------


def slope_stub(A, B, alpha, beta, C, N):
    raise NotImplementedError


def slope(A, B, alpha, beta, C, N):
    D = C / (6 * N)
    return -alpha * A / N**alpha + beta * B / D**beta


def check_slope(answer):
    A, B, alpha, beta, C = 400.0, 900.0, 0.4, 0.3, 6e9
    for N in (1e3, 3e4, 1e6):

        def along(u, N=N):
            M = N * math.exp(u)
            return A / M**alpha + B / (C / (6 * M)) ** beta

        h = 1e-4
        want = (along(h) - along(-h)) / (2 * h)  # the finite difference
        D = C / (6 * N)
        model, data = -alpha * A / N**alpha, beta * B / D**beta
        close(
            answer(A, B, alpha, beta, C, N),
            want,
            f"not the finite difference of the loss in log N at N = {N:g}",
            rtol=1e-5,
            suspects={
                "the data term is missing: D falls as N rises, and costs": model,
                "the model term is missing": data,
                "the data term has the wrong sign: D falls as N rises": model - data,
                "this is dL/dN; the exercise asks for dL/d log N, which is N times that": want / N,
                "the exponents were not brought down": -A / N**alpha + B / D**beta,
                "the sign is turned round: the model term falls as N rises": -want,
                "a budget costs 6 N D: the 6 is missing": model + data / 6**beta,
                "each term was derived by its own N or D: by log N a power keeps its exponent": (
                    model / N + data / D
                ),
            },
        )


def _slope_no_data(A, B, alpha, beta, C, N):
    return -alpha * A / N**alpha


def _slope_sign(A, B, alpha, beta, C, N):
    return -alpha * A / N**alpha - beta * B / (C / (6 * N)) ** beta


def _slope_by_n(A, B, alpha, beta, C, N):
    return slope(A, B, alpha, beta, C, N) / N


def _slope_no_exponent(A, B, alpha, beta, C, N):
    return -A / N**alpha + B / (C / (6 * N)) ** beta


# ---- derivation: the best split of a budget --------------------------------------------------


def optimal_stub(A, B, alpha, beta, C):
    raise NotImplementedError


def optimal(A, B, alpha, beta, C):
    G = (alpha * A / (beta * B)) ** (1 / (alpha + beta))
    N = G * (C / 6) ** (beta / (alpha + beta))
    return N, C / (6 * N)


def check_optimal(answer):
    for A, B, alpha, beta, C in ((400.0, 900.0, 0.4, 0.3, 6e9), (50.0, 20.0, 0.2, 0.7, 6e14)):
        got = answer(A, B, alpha, beta, C)
        expect(isinstance(got, tuple | list) and len(got) == 2, "give a pair, N and D", got=got)
        N, D = (float(v) for v in got)
        expect(N > 0 and D > 0, "N and D are counts, above 0", got=got)
        close(6 * N * D, C, "the budget is not met: 6 N D should be C", rtol=1e-9)

        def along(u, A=A, B=B, alpha=alpha, beta=beta, N=N, D=D):
            return A / (N * math.exp(u)) ** alpha + B / (D * math.exp(-u)) ** beta

        h = 1e-4
        found = (along(h) - along(-h)) / (2 * h) / along(0)
        turned = beta / (alpha + beta) * math.log(C / 6)
        flipped = alpha / (alpha + beta) * math.log(C / 6)
        G = (alpha * A / (beta * B)) ** (1 / (alpha + beta))
        if abs(found) > 1e-5:
            right = math.log(G) + turned
            expect(abs(math.log(D) - right) > 1e-6, "the order is (N, D), size first")
            plain = math.log(A / B) / (alpha + beta) + turned
            expect(abs(math.log(N) - plain) > 1e-6, "G holds α and β too: the slopes are equal, "
                   "α A / N^α = β B / D^β, not the terms")  # fmt: skip
            root = (alpha + beta) * math.log(G) + turned
            expect(abs(math.log(N) - root) > 1e-6, "G is to the power 1/(α+β)")
            expect(abs(math.log(N / D)) > 1e-6, "N = D is best by chance only: the law decides")
            expect(abs(math.log(N) - turned) > 1e-6, "the constant G is missing: A, B count too")
            expect(
                abs(math.log(N / G) - flipped) > 1e-6,
                "the exponents are swapped: N grows as C to the power β/(α+β)",
            )
            expect(
                abs(math.log(N * G) - turned) > 1e-6, "G is upside down: a large A asks for more N"
            )
        expect(
            abs(found) < 1e-5,
            "the loss still changes along the budget, so this is not its lowest point: "
            f"d log L / d log N is {found:.3g} here",
        )


def _optimal_no_constant(A, B, alpha, beta, C):
    N = (C / 6) ** (beta / (alpha + beta))
    return N, C / (6 * N)


def _optimal_swapped(A, B, alpha, beta, C):
    G = (alpha * A / (beta * B)) ** (1 / (alpha + beta))
    N = G * (C / 6) ** (alpha / (alpha + beta))
    return N, C / (6 * N)


def _optimal_upside_down(A, B, alpha, beta, C):
    G = (alpha * A / (beta * B)) ** (1 / (alpha + beta))
    N = (C / 6) ** (beta / (alpha + beta)) / G
    return N, C / (6 * N)


def _optimal_terms(A, B, alpha, beta, C):
    N = (A / B) ** (1 / (alpha + beta)) * (C / 6) ** (beta / (alpha + beta))
    return N, C / (6 * N)


def _optimal_order(A, B, alpha, beta, C):
    return optimal(A, B, alpha, beta, C)[::-1]


def _optimal_no_six(A, B, alpha, beta, C):
    G = (alpha * A / (beta * B)) ** (1 / (alpha + beta))
    N = G * C ** (beta / (alpha + beta))
    return N, C / N


# ---- a power law with a floor ----------------------------------------------------------------


def floor_stub(n, loss):
    raise NotImplementedError


def floor(n, loss):
    n, loss = np.asarray(n, dtype=float), np.asarray(loss, dtype=float)
    low, high = 0.0, loss.min()

    def bend(E):  # curvature of log(L − E) against log n: zero where the line is straight
        return np.polyfit(np.log(n), np.log(loss - E), 2)[0]

    for _ in range(200):
        middle = (low + high) / 2
        if bend(middle) > 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def check_floor(answer):
    n = np.geomspace(1e3, 1e6, 9)
    for E, A, alpha in ((2.0, 30.0, 0.3), (75.0, 9000.0, 0.6), (0.5, 4.0, 0.15)):
        loss = E + A * n**-alpha
        got = float(answer(n.tolist(), loss.tolist()))
        expect(got < loss.min(), "the floor is not below every loss", got=got)
        expect(
            abs(got) > 1e-9 or E == 0,
            "a floor of zero is a pure power law: these points bend on log-log paper",
        )
        expect(got > 0, "these losses cannot fall below 0: the power α is to be found too", got=got)
        side = ("too high: log(L − E) bends down at the right end" if got > E
                else "too low: log(L − E) still flattens towards the right")  # fmt: skip
        close(
            got, E, f"the floor of L = E + A / n^alpha is not found, this one is {side}", rtol=1e-3
        )


def _floor_zero(n, loss):
    return 0.0


def _floor_lowest(n, loss):
    return float(np.min(loss))


def _floor_share(n, loss):
    return 0.99 * float(np.min(loss))


def _floor_half(n, loss):
    return 0.2 * float(np.min(loss))


def _floor_log(n, loss):
    return float(np.polyfit(1 / np.log(n), loss, 1)[1])


LAWS = (
    Exercise(
        id="scaling.slope",
        title="The slope along a budget",
        stub=slope_stub,
        solution=slope,
        check=check_slope,
        hints=(
            "Put D = C / (6N) into the law, so that the loss depends on N alone.",
            "A power N^−α has the derivative −α N^−α in log N; the data term is "
            "B (6N/C)^β, which rises with N.",
            "D = C / (6 * N); return -alpha * A / N**alpha + beta * B / D**beta",
        ),
        wrong=(
            Wrong(_slope_no_data, "data term is missing"),
            Wrong(_slope_sign, "wrong sign"),
            Wrong(_slope_by_n, "dL/d log N"),
            Wrong(_slope_no_exponent, "not brought down"),
        ),
    ),
    Exercise(
        id="scaling.optimal",
        title="The best split of a budget",
        stub=optimal_stub,
        solution=optimal,
        check=check_optimal,
        hints=(
            "At the best point the slope of the last exercise is zero.",
            "Solve α A / N^α = β B / D^β together with 6 N D = C.",
            "G = (alpha * A / (beta * B)) ** (1 / (alpha + beta)); "
            "N = G * (C / 6) ** (beta / (alpha + beta)); D = C / (6 * N)",
        ),
        wrong=(
            Wrong(_optimal_no_constant, "constant G is missing"),
            Wrong(_optimal_swapped, "exponents are swapped"),
            Wrong(_optimal_upside_down, "upside down"),
            Wrong(_optimal_no_six, "budget is not met"),
            Wrong(_optimal_terms, "not the terms"),
            Wrong(_optimal_order, "size first"),
        ),
    ),
    Exercise(
        id="scaling.floor",
        title="The floor of a power law",
        stub=floor_stub,
        solution=floor,
        check=check_floor,
        hints=(
            "With the right floor E, log(L − E) against log n is a straight line.",
            "Search E between 0 and the lowest loss until the line neither bends up nor down.",
            "np.polyfit(np.log(n), np.log(loss - E), 2)[0] is the bend; halve the range of E "
            "until it is 0: a bend above 0 asks for a higher E.",
        ),
        wrong=(
            Wrong(_floor_zero, "pure power law"),
            Wrong(_floor_lowest, "not below every loss"),
            Wrong(_floor_share, "is not found, this one is too high"),
            Wrong(_floor_half, "too low"),
            Wrong(_floor_log, "is to be found too"),
        ),
        equivalent_mutants={
            "for _ in range(200): → for _ in range(201):": "the range is at rounding long before",
            "for _ in range(200): → for _ in range(199):": "the range is at rounding long before",
            "if bend(middle) > 0: → if bend(middle) >= 0:": "a bend of exactly 0 is the answer",
            "low, high = (0.0, loss.min()) → low, high = (0.0, loss.max())": "a logarithm of what "
            "is below 0 is no number, and no number is not above 0: the search comes down",
        },
    ),
)
