"""Exercises of the chapter `practice/finetuning`."""

import torch

from llmcourse.exercises.core import Exercise, Wrong, close, expect

# Pad rows and mark what is not to be learned.


def collate_stub(rows, pad):
    raise NotImplementedError


def collate(rows, pad):
    longest = max(len(row) for row in rows)
    ids = [list(row) + [pad] * (longest - len(row)) for row in rows]
    labels = [list(row) + [-100] * (longest - len(row)) for row in rows]
    return ids, labels


def check_collate(answer):
    def case(rows, pad, message):
        want = collate(rows, pad)
        got = answer([list(row) for row in rows], pad)
        expect(isinstance(got, tuple | list) and len(got) == 2, "return (ids, labels)")
        ids, labels = ([list(row) for row in part] for part in got)
        suspects = {
            "a pad token inside a row is a token of the text (the end of a text, as a rule): "
            "mark by position, not by value": _by_value(rows, pad)[1],
            "the filling must not be learned: its labels are −100": _all_learned(rows, pad)[1],
            "pad at the right: at the left a causal model would read the filling": (
                _left(rows, pad)[1]
            ),
            "labels are not shifted here: the model compares position t with label t + 1": (
                _shifted(rows, pad)[1]
            ),
        }
        for diagnosis, value in suspects.items():
            expect(labels != value or value == want[1], diagnosis, expected=want[1], got=labels)
        expect(ids == want[0], "fill each row to the longest with the pad id", got=ids)
        expect(labels == want[1], message, expected=want[1], got=labels)

    case([[5, 6, 7, 9], [8, 9]], 9, "labels are the ids themselves, and −100 where filled")
    case([[4], [1, 2, 3], [9, 9, 1]], 9, "labels are the ids themselves, and −100 where filled")
    case([[1, 2], [3, 4]], 0, "rows of equal length need no filling")


def _by_value(rows, pad):
    ids, _ = collate(rows, pad)
    return ids, [[-100 if token == pad else token for token in row] for row in ids]


def _all_learned(rows, pad):
    ids, _ = collate(rows, pad)
    return ids, ids


def _left(rows, pad):
    longest = max(map(len, rows))
    return tuple([[fill] * (longest - len(r)) + list(r) for r in rows] for fill in (pad, -100))


def _shifted(rows, pad):
    ids, labels = collate(rows, pad)
    return ids, [[*row[1:], -100] for row in labels]


# The forward pass of a layer with an adapter.


def lora_forward_stub(x, W, A, B, alpha):
    raise NotImplementedError


def lora_forward(x, W, A, B, alpha):
    scale = alpha / A.shape[0]
    return x @ W.T + scale * (x @ A.T @ B.T)


def check_lora_forward(answer):
    generator = torch.Generator().manual_seed(0)
    for T, width, out, rank, alpha in ((4, 6, 5, 2, 3.0), (3, 8, 8, 4, 16.0)):
        x, W, A, B = (
            torch.randn(shape, generator=generator, dtype=torch.float64)
            for shape in ((T, width), (out, width), (rank, width), (out, rank))
        )
        plain, low = x @ W.T, x @ A.T @ B.T
        close(
            answer(x, W, A, B, alpha), plain + alpha / rank * low,
            "W x + (alpha / rank) B A x, for each row x",
            suspects={
                "the scale alpha / rank is missing": plain + low,
                "alpha is divided by the rank": plain + alpha * low,
                "the scale is alpha / rank, not rank / alpha": plain + rank / alpha * low,
                "the frozen layer's own output is missing": alpha / rank * low,
                "the scale belongs to the correction alone": alpha / rank * (plain + low),
            },
        )  # fmt: skip
    zero = torch.zeros_like(B)
    close(answer(x, W, A, zero, 5.0), x @ W.T, "with B at zero the layer is the frozen one")


def _no_scale(x, W, A, B, alpha):
    return x @ W.T + x @ A.T @ B.T


def _alpha_alone(x, W, A, B, alpha):
    return x @ W.T + alpha * (x @ A.T @ B.T)


def _no_base(x, W, A, B, alpha):
    return alpha / A.shape[0] * (x @ A.T @ B.T)


def _scales_all(x, W, A, B, alpha):
    return alpha / A.shape[0] * (x @ W.T + x @ A.T @ B.T)


# How many parameters are trained.


def trained_parameters_stub(shapes, rank):
    raise NotImplementedError


def trained_parameters(shapes, rank):
    return sum(rank * (out + width) for out, width in shapes)


def check_trained_parameters(answer):
    def case(shapes, rank):
        want = sum(rank * (o + w) for o, w in shapes)
        suspects = {
            "this counts the frozen matrices": sum(o * w for o, w in shapes),
            "A and B are two matrices: (rank, in) and (out, rank)": (
                sum(rank * w for _, w in shapes)
            ),
            "the rank is missing": sum(o + w for o, w in shapes),
            "this is a product: A and B have rank · in and rank · out numbers, which add": (
                sum(rank * o * w for o, w in shapes)
            ),
            "this counts the first matrix only": rank * sum(shapes[0]),
        }
        got = answer([tuple(s) for s in shapes], rank)
        for diagnosis, value in suspects.items():
            expect(got != value or value == want, diagnosis, expected=want, got=got)
        expect(got == want, "rank · (out + in) for each matrix", expected=want, got=got)

    case([(384, 128), (128, 128), (512, 128), (128, 512)], 8)
    case([(7, 5), (3, 11)], 2)


def _frozen(shapes, rank):
    return sum(out * width for out, width in shapes)


def _only_a(shapes, rank):
    return sum(rank * width for _, width in shapes)


def _no_rank(shapes, rank):
    return sum(out + width for out, width in shapes)


def _product(shapes, rank):
    return sum(rank * out * width for out, width in shapes)


EXERCISES = (
    Exercise(
        id="finetuning.collate",
        title="Pad rows and mark the filling",
        stub=collate_stub,
        solution=collate,
        check=check_collate,
        hints=(
            "Rows must have one length to be a tensor. What was filled in must not be learned.",
            "Find the longest row. Fill the ids with `pad` at the right; fill the labels with "
            "-100, at the same places.",
            "`list(row) + [pad] * (longest - len(row))` are the ids of a row; for the labels put "
            "-100 where the pad stands.",
        ),
        wrong=(
            Wrong(_by_value, "by position, not by value"),
            Wrong(_all_learned, "must not be learned"),
            Wrong(_left, "pad at the right"),
            Wrong(_shifted, "not shifted"),
        ),
    ),
    Exercise(
        id="finetuning.lora_forward",
        title="A layer with an adapter",
        stub=lora_forward_stub,
        solution=lora_forward,
        check=check_lora_forward,
        hints=(
            "Two paths from the same input, added: the frozen matrix, and the correction.",
            "The rank is the number of A's rows. Rows of x are inputs, so a matrix is applied as "
            "x @ W.T; A comes first, then B, then the scale.",
            "`x @ W.T` plus `alpha / A.shape[0]` times `x @ A.T @ B.T`.",
        ),
        wrong=(
            Wrong(_no_scale, "missing"),
            Wrong(_alpha_alone, "divided by the rank"),
            Wrong(_no_base, "own output is missing"),
            Wrong(_scales_all, "correction alone"),
        ),
    ),
    Exercise(
        id="finetuning.trained_parameters",
        title="Count what is trained",
        stub=trained_parameters_stub,
        solution=trained_parameters,
        check=check_trained_parameters,
        hints=(
            "Each adapted matrix gets two thin ones. How many numbers has each?",
            "A is (rank, in), B is (out, rank). Add up over all matrices.",
            "For each `(out, width)` add `rank * (out + width)`.",
        ),
        wrong=(
            Wrong(_frozen, "frozen matrices"),
            Wrong(_only_a, "two matrices"),
            Wrong(_no_rank, "rank is missing"),
            Wrong(_product, "which add"),
        ),
    ),
)
