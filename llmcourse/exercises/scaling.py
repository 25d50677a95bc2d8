"""Exercises of the chapter `math/scaling`."""

import math

import numpy as np

from llmcourse.exercises.core import Exercise, Wrong, close, expect
from llmcourse.gptconfig import GPTConfig

__all__ = ["EXERCISES"]

# ---- parameters of a GPT-2-like model --------------------------------------------------------


def parameters_stub(layers, width, vocab, context):
    raise NotImplementedError


def parameters(layers, width, vocab, context):
    matrices = 12 * width**2  # 3 + 1 in attention, 4 + 4 in the MLP
    biases = 9 * width  # 3 + 1 and 4 + 1
    norms = 4 * width  # two norms, each with a gain and a bias
    return layers * (matrices + biases + norms) + 2 * width + (vocab + context) * width


def check_parameters(answer):
    for layers, width, vocab, context in ((3, 20, 101, 7), (12, 768, 50_257, 1024)):
        form = GPTConfig.gpt2_form(
            layers=layers, width=width, heads=4, vocab_size=vocab, context=context
        )
        want = form.parameter_count()
        got = answer(layers, width, vocab, context)
        where = f"with {layers} layers of width {width}, {vocab} tokens and {context} places"
        close(
            got,
            want,
            f"not the module's own count {where}",
            suspects={
                f"the biases and norms are missing {where}": want - layers * 13 * width - 2 * width,
                f"the final norm, 2 · width, is missing {where}": want - 2 * width,
                f"the table of positions is missing {where}": want - context * width,
                f"embedding and unembedding are one matrix in GPT-2: count it once {where}": want
                + vocab * width,
            },
            rtol=0,
            atol=0.5,
        )


def _parameters_matrices(layers, width, vocab, context):
    return layers * 12 * width**2 + (vocab + context) * width


def _parameters_no_final(layers, width, vocab, context):
    return parameters(layers, width, vocab, context) - 2 * width


def _parameters_no_places(layers, width, vocab, context):
    return parameters(layers, width, vocab, 0)


def _parameters_untied(layers, width, vocab, context):
    return parameters(layers, width, 2 * vocab, context)


# ---- bytes of a KV cache ---------------------------------------------------------------------


def cache_stub(layers, heads, kv_heads, width, length, bytes_each):
    raise NotImplementedError


def cache(layers, heads, kv_heads, width, length, bytes_each):
    head_width = width // heads
    return 2 * layers * kv_heads * head_width * length * bytes_each


def check_cache(answer):
    for case in ((5, 6, 2, 48, 10, 4), (96, 96, 96, 12288, 2048, 2)):
        layers, heads, kv_heads, width, length, size = case
        want = 2 * layers * (width // heads) * kv_heads * length * size
        close(
            answer(*case),
            want,
            f"wrong for (layers, heads, kv_heads, width, length, bytes_each) = {case}",
            suspects={
                "keys and values are two tensors; only one is counted": want // 2,
                "every query head has keys of its own here; count the kv_heads": 2
                * layers * width * length * size,
                "numbers are counted, not bytes": want // size,
                "one layer only": want // layers,
            },
            rtol=0,
            atol=0.5,
        )  # fmt: skip


def _cache_keys(layers, heads, kv_heads, width, length, bytes_each):
    return cache(layers, heads, kv_heads, width, length, bytes_each) // 2


def _cache_all_heads(layers, heads, kv_heads, width, length, bytes_each):
    return cache(layers, heads, heads, width, length, bytes_each)


def _cache_numbers(layers, heads, kv_heads, width, length, bytes_each):
    return cache(layers, heads, kv_heads, width, length, 1)


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
        close(got, E, "the floor of L = E + A / n^alpha is not found", rtol=1e-3)


def _floor_zero(n, loss):
    return 0.0


def _floor_lowest(n, loss):
    return float(np.min(loss))


def _floor_share(n, loss):
    return 0.9 * float(np.min(loss))


EXERCISES = (
    Exercise(
        id="scaling.parameters",
        title="Every parameter of a GPT-2",
        stub=parameters_stub,
        solution=parameters,
        check=check_parameters,
        hints=(
            "Walk through one block: four matrices of attention, two of the MLP, their biases, "
            "two norms.",
            "A block has 12 width² in matrices, 9 width in biases, 4 width in norms. Outside: the "
            "tokens, the positions, a last norm.",
            "layers * (12 * width**2 + 13 * width) + 2 * width + (vocab + context) * width",
        ),
        wrong=(
            Wrong(_parameters_matrices, "biases and norms are missing"),
            Wrong(_parameters_no_final, "final norm"),
            Wrong(_parameters_no_places, "table of positions"),
            Wrong(_parameters_untied, "one matrix in GPT-2"),
        ),
    ),
    Exercise(
        id="scaling.cache",
        title="Bytes of a KV cache",
        stub=cache_stub,
        solution=cache,
        check=check_cache,
        hints=(
            "Each layer keeps a key and a value for each of its kv_heads at each position.",
            "A head's key has width / heads numbers.",
            "2 * layers * kv_heads * (width // heads) * length * bytes_each",
        ),
        wrong=(
            Wrong(_cache_keys, "only one is counted"),
            Wrong(_cache_all_heads, "count the kv_heads"),
            Wrong(_cache_numbers, "not bytes"),
        ),
    ),
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
            Wrong(_floor_share, "is not found"),
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
