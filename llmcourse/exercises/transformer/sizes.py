"""How many parameters, and how wide a gated MLP."""

from llmcourse.exercises.core import Exercise, Wrong, close, expect

__all__ = ["EXERCISES"]

# ---- counting parameters ---------------------------------------------------------------------


def parameters_stub(V, T, D, layers):
    raise NotImplementedError


def parameters(V, T, D, layers):
    attention = 4 * D * D + 4 * D
    mlp = 2 * 4 * D * D + 4 * D + D
    norms = 2 * 2 * D
    return V * D + T * D + layers * (attention + mlp + norms) + 2 * D


def check_parameters(answer):
    for V, T, D, layers in ((11, 6, 5, 2), (7, 3, 6, 1), (50_257, 1024, 768, 12), (13, 8, 1, 3)):
        right = parameters(V, T, D, layers)
        close(
            answer(V, T, D, layers),
            right,
            f"wrong for V = {V}, T = {T}, D = {D} and {layers} layers",
            suspects={
                "the biases of the matrices are missing: 4 D in attention, 5 D in the MLP": (
                    right - 9 * D * layers
                ),
                "the final LayerNorm is missing: a gain and a bias": right - 2 * D,
                "the unembedding has been counted again: it is the embedding, used twice": (
                    right + V * D
                ),
                "the learned positions are missing: T rows of D": right - T * D,
                "a block has two LayerNorms, each with a gain and a bias": right - 4 * D * layers,
                "a LayerNorm has a bias as well as a gain": right - 2 * D * layers - D,
                "the MLP has two matrices, each D by 4 D": right - 4 * D * D * layers,
                "attention has four matrices, q, k, v and o": right - D * D * layers,
            },
        )


def _no_biases(V, T, D, layers):
    return parameters(V, T, D, layers) - 9 * D * layers


def _no_final(V, T, D, layers):
    return parameters(V, T, D, layers) - 2 * D


def _untied(V, T, D, layers):
    return parameters(V, T, D, layers) + V * D


def _no_positions(V, T, D, layers):
    return parameters(V, T, D, layers) - T * D


def _three_matrices(V, T, D, layers):
    return parameters(V, T, D, layers) - D * D * layers


# ---- the width of a gated MLP ----------------------------------------------------------------


def gated_width_stub(D, multiple):
    raise NotImplementedError


def gated_width(D, multiple):
    step = 3 * multiple
    return multiple * ((8 * D + step - 1) // step)


def check_gated_width(answer):
    for D, multiple in ((4096, 256), (96, 8), (192, 8), (5, 1), (64, 32), (100, 7), (1, 4)):
        right = gated_width(D, multiple)
        low = 8 * D // 3 // multiple * multiple
        # In the first case the nearest multiple is right, so what is too low was rounded down.
        rounded = (
            "rounded down: the next multiple *above* 8 D / 3 is asked"
            if D == 4096
            else "rounded to the nearest multiple: the next one *above* 8 D / 3 is asked"
        )
        close(
            answer(D, multiple),
            right,
            f"wrong for D = {D} and multiples of {multiple}",
            suspects={
                "4 D is the width of a plain MLP; with three matrices in place of two the same "
                "parameters allow two thirds of it": 4 * D,
                rounded: low,
                "one multiple too many: where 8 D / 3 is itself a multiple, it stays": (
                    _one_more(D, multiple)
                ),
                "this is the width, not yet rounded to a multiple": 8 * D / 3,
            },
        )
        expect(isinstance(answer(D, multiple), int), "a width is a whole number: return an int")


def _four(D, multiple):
    return 4 * D


def _down(D, multiple):
    return 8 * D // 3 // multiple * multiple


def _nearest(D, multiple):
    return round(8 * D / 3 / multiple) * multiple


def _one_more(D, multiple):
    return (8 * D // (3 * multiple) + 1) * multiple


EXERCISES = (
    Exercise(
        id="transformer.parameters",
        title="Counting GPT-2",
        stub=parameters_stub,
        solution=parameters,
        check=check_parameters,
        hints=(
            "List what is learned: embedding, positions, per block four matrices of attention, two "
            "of the MLP, every matrix's bias, two LayerNorms; one LayerNorm at the end.",
            "attention 4 D² + 4 D; MLP 8 D² + 5 D; two LayerNorms 4 D; the layers times their sum; "
            "then V D + T D + 2 D. The unembedding is the embedding: count it once.",
            "V * D + T * D + layers * (12 * D**2 + 13 * D) + 2 * D",
        ),
        wrong=(
            Wrong(_no_biases, "biases of the matrices"),
            Wrong(_no_final, "final LayerNorm"),
            Wrong(_untied, "counted again"),
            Wrong(_no_positions, "positions are missing"),
            Wrong(_three_matrices, "four matrices"),
        ),
    ),
    Exercise(
        id="transformer.gated_width",
        title="How wide a gated MLP",
        stub=gated_width_stub,
        solution=gated_width,
        check=check_gated_width,
        hints=(
            "A plain MLP has 2 · D · 4D weights; a gated one has 3 · D · M. Set them equal.",
            "M = 8 D / 3; round up to the next multiple, in whole numbers: the ceiling of a / b is "
            "(a + b − 1) // b.",
            "a, b = 8 * D, 3 * multiple; the answer is multiple times the ceiling of a / b",
        ),
        wrong=(
            Wrong(_four, "two thirds"),
            Wrong(_down, "rounded down"),
            Wrong(_nearest, "nearest multiple"),
            Wrong(_one_more, "one multiple too many"),
        ),
    ),
)
