"""A stack of affine layers folded; a sum of exponentials that does not overflow."""

from itertools import pairwise

import torch
import torch.nn.functional as F

from llmcourse.exercises.core import Exercise, Wrong, close, expect

__all__ = ["EXERCISES"]

# ---- a stack of affine layers is one ---------------------------------------------------------


def fold_stub(layers):
    raise NotImplementedError


def fold(layers):
    W, b = layers[0]
    for next_W, next_b in layers[1:]:
        W, b = next_W @ W, next_W @ b + next_b
    return W, b


def _stack(*sizes):
    chance = torch.Generator().manual_seed(3)

    def draw(*shape):
        return torch.randn(*shape, generator=chance, dtype=torch.float64)

    return [(draw(o, i), draw(o)) for i, o in pairwise(sizes)]


def _pair(got, names="the matrix W and the bias b"):
    expect(
        isinstance(got, tuple | list) and len(got) == 2,
        f"return two tensors, {names}",
        got=type(got).__name__,
    )
    return got


def check_fold(answer):
    square = _stack(4, 4, 4, 4)
    (A, a), (B, b), (C, c) = square
    W, bias = _pair(answer(square))
    close(
        W,
        C @ B @ A,
        "the matrix of three layers is wrong",
        suspects={
            "the matrices are in the wrong order: the first layer acts first, so its matrix "
            "stands rightmost": A @ B @ C,
            "this is the transpose: W has shape (out, in)": (C @ B @ A).T,
            "* multiplies entry by entry: a matrix after a matrix is @": C * B * A,
        },
    )
    close(
        bias,
        C @ (B @ a + b) + c,
        "the bias of three layers is wrong",
        suspects={
            "the biases are only added up: a later matrix also acts on an earlier bias": a + b + c,
            "only the last bias is left: the earlier ones pass through the later matrices": c,
            "the last layer's own bias is missing": C @ (B @ a + b),
            "each bias met its own layer's matrix: it must meet only those of later layers": A @ a
            + B @ b
            + C @ c,
            "the bias met the whole product W: a layer adds only its own matrix to what came "
            "before, so make the bias before W is overwritten": C @ B @ A @ (B @ A @ a + b) + c,
        },
    )
    layers = _stack(3, 5, 2)
    x = torch.linspace(-1, 1, 3, dtype=torch.float64)
    W, bias = _pair(answer(layers))
    want = layers[1][0] @ (layers[0][0] @ x + layers[0][1]) + layers[1][1]
    close(W @ x + bias, want, "the folded layer gives another output than the two layers")
    W, bias = _pair(answer(square[:1]))
    close(W, A, "one layer is folded already: its matrix should come back")
    close(bias, a, "one layer is folded already: its bias should come back")


def _fold_reversed(layers):
    W, b = layers[0]
    for next_W, next_b in layers[1:]:
        W, b = W @ next_W, next_W @ b + next_b
    return W, b


def _fold_adds_biases(layers):
    return fold(layers)[0], sum(b for _, b in layers)


def _fold_last_bias(layers):
    return fold(layers)[0], layers[-1][1]


def _fold_own_matrix(layers):
    return fold(layers)[0], sum(W @ b for W, b in layers)


def _fold_matrix_first(layers):
    W, b = layers[0]
    for next_W, next_b in layers[1:]:
        W = next_W @ W
        b = W @ b + next_b
    return W, b


def _fold_transposed(layers):
    W, b = fold(layers)
    return W.T, b


# ---- log-sum-exp and its gradient ------------------------------------------------------------


def logsumexp_stub(z):
    raise NotImplementedError


def logsumexp(z):
    top = z.max(dim=-1, keepdim=True).values
    weights = torch.exp(z - top)
    total = weights.sum(dim=-1, keepdim=True)
    return (top + torch.log(total)).squeeze(-1), weights / total


def check_logsumexp(answer):
    chance = torch.Generator().manual_seed(1)
    z = torch.randn(2, 5, generator=chance, dtype=torch.float64, requires_grad=True)
    want = torch.logsumexp(z, -1)
    (slope,) = torch.autograd.grad(want.sum(), z)
    plain = z.detach()
    top = plain.max(-1).values
    value, gradient = _pair(answer(plain.clone()), "the value and its gradient")
    close(
        value,
        want.detach(),
        "the value is wrong for two rows of five numbers",
        suspects={
            "the largest entry was taken out and not put back: add it": want.detach() - top,
            "this sums over the wrong axis: each row has its own value": torch.logsumexp(plain, 0),
            "this is the largest entry: log-sum-exp lies above it": top,
        },
    )
    close(
        gradient,
        slope,
        "the gradient is wrong for two rows of five numbers",
        suspects={
            "the gradient is not divided by the sum: its entries must add to 1": torch.exp(
                plain - top[:, None]
            ),
            "these are exponentials over no sum: divide by the row's own": torch.exp(plain),
            "this is the gradient of log-sum-exp less its largest entry, so its entries add to 0: "
            "the shift cancels in the value, and must cancel here": slope
            - F.one_hot(plain.argmax(-1), 5),
            "this is log-softmax; the gradient is softmax": plain.log_softmax(-1),
            "this divides by the sum over all rows: each row has its own": torch.exp(plain)
            / torch.exp(plain).sum(),
            "the sum runs over all rows, and each row has its own": torch.exp(plain - top[:, None])
            / torch.exp(plain - top[:, None]).sum(),
        },
    )
    for shift in (2000.0, -2000.0):
        value, gradient = _pair(answer(plain + shift))
        expect(
            bool(torch.isfinite(value).all()),
            f"numbers near {shift:,.0f} give no finite value: take the largest entry out first",
            got=value,
        )
        close(value, want.detach() + shift, "adding a constant to all entries adds it to the value")
        close(gradient, slope, f"near {shift:,.0f} the gradient should be the same")
    apart = torch.tensor([[2000.0, 1999.0], [0.0, 1.0]], dtype=torch.float64)
    value, gradient = _pair(answer(apart.clone()))
    expect(
        bool(torch.isfinite(value).all() and torch.isfinite(gradient).all()),
        "with one row near 2,000 and one near 0 an entry is not finite: each row has its own "
        "largest entry to take out",
        got=value,
    )
    spread = torch.tensor([[[-2000.0, 2000.0, 1999.0], [-2000.0, 0.0, -1.0]]], dtype=torch.float64)
    value, gradient = _pair(answer(spread.repeat(2, 1, 1)))
    expect(
        bool(torch.isfinite(value).all() and torch.isfinite(gradient).all()),
        "entries of one row that lie 4,000 apart overflow: take out the largest of the row, so "
        "that no exponent is above 0",
        got=value,
    )
    close(
        value,
        torch.logsumexp(spread, -1).repeat(2, 1),
        "wrong where entries of a row lie 4,000 apart, or where there are more than two axes: the "
        "sum runs along the last",
    )
    close(gradient, spread.softmax(-1).repeat(2, 1, 1), "its gradient is wrong there")


def _lse_naive(z):
    e = torch.exp(z)
    return torch.log(e.sum(-1)), e / e.sum(-1, keepdim=True)


def _lse_forgets_top(z):
    value, gradient = logsumexp(z)
    return value - z.max(-1).values, gradient


def _lse_unnormalised(z):
    return logsumexp(z)[0], torch.exp(z - z.max(-1, keepdim=True).values)


def _lse_through_top(z):
    value, gradient = logsumexp(z)
    return value, gradient - F.one_hot(z.argmax(-1), z.shape[-1])


def _lse_one_top_for_all(z):
    e = torch.exp(z - z.max())
    return z.max() + e.sum(-1).log(), e / e.sum(-1, keepdim=True)


def _lse_mean_for_top(z):
    middle = z.mean(-1, keepdim=True)
    e = torch.exp(z - middle)
    return middle.squeeze(-1) + e.sum(-1).log(), e / e.sum(-1, keepdim=True)


def _lse_one_sum(z):
    return logsumexp(z)[0], torch.exp(z - z.max()) / torch.exp(z - z.max()).sum()


def _lse_wrong_axis(z):
    return torch.logsumexp(z, 0), z.softmax(0)


EXERCISES = (
    Exercise(
        id="forward.fold",
        title="Fold a stack of affine layers into one",
        stub=fold_stub,
        solution=fold,
        check=check_fold,
        hints=(
            "Put the first layer's output into the second: C(Ax + a) + c. Multiply out, and read "
            "off what stands before x and what is left.",
            """
            W, b = the first layer's
            for each later layer with matrix C and bias c:
                C(Wx + b) + c = (C W) x + (C b + c)
            """,
            """
            W, b = layers[0]
            for next_W, next_b in layers[1:]:
                W, b = next_W @ W, ...
            return W, b
            """,
        ),
        wrong=(
            Wrong(_fold_reversed, "wrong order"),
            Wrong(_fold_adds_biases, "only added up"),
            Wrong(_fold_last_bias, "only the last bias"),
            Wrong(_fold_own_matrix, "only those of later layers"),
            Wrong(_fold_matrix_first, "before W is overwritten"),
            Wrong(_fold_transposed, "transpose"),
        ),
    ),
    Exercise(
        id="forward.logsumexp",
        title="Log-sum-exp and its gradient, without overflow",
        stub=logsumexp_stub,
        solution=logsumexp,
        check=check_logsumexp,
        hints=(
            "Differentiate log Σ exp(z_j) by z_i: the chain rule gives a quotient you know. Both "
            "the value and the quotient can be had from exp(z − max z).",
            """
            top = largest entry of each row
            weights = exp(z − top), total = their sum
            value = top + log(total)
            gradient = weights / total
            """,
            """
            top = z.max(dim=-1, keepdim=True).values
            weights = torch.exp(z - top)
            total = weights.sum(dim=-1, keepdim=True)
            return (...).squeeze(-1), weights / total
            """,
        ),
        wrong=(
            Wrong(_lse_naive, "take the largest entry out"),
            Wrong(_lse_forgets_top, "not put back"),
            Wrong(_lse_unnormalised, "must add to 1"),
            Wrong(_lse_through_top, "add to 0"),
            Wrong(_lse_wrong_axis, "wrong axis"),
            Wrong(_lse_one_top_for_all, "each row has its own largest"),
            Wrong(_lse_mean_for_top, "4,000 apart overflow"),
            Wrong(_lse_one_sum, "over all rows"),
        ),
    ),
)
