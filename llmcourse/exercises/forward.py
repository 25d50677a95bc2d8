"""Exercises of the chapter `math/forward`."""

import math
from itertools import pairwise

import numpy as np
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


def _pair(got):
    expect(
        isinstance(got, tuple | list) and len(got) == 2,
        "return two tensors, the matrix W and the bias b",
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


def _fold_transposed(layers):
    W, b = fold(layers)
    return W.T, b


# ---- the gain of any activation --------------------------------------------------------------


def gain_stub(phi):
    raise NotImplementedError


def gain(phi):
    u = torch.linspace(-10, 10, 8001, dtype=torch.float64)
    density = torch.exp(-u * u / 2)
    kept = (density * phi(u) ** 2).sum() / density.sum()
    return float(1 / kept.sqrt())


def _mean(f):
    """E f(u) of a standard normal u, by the trapezoid rule with another grid than `gain`'s."""
    u = torch.linspace(-12, 12, 24_001, dtype=torch.float64)
    density = torch.exp(-u * u / 2) / math.sqrt(2 * math.pi)
    return float((density * f(u)).sum() * (u[1] - u[0]))


def _slope(phi, u):
    u = u.clone().requires_grad_()
    return torch.autograd.grad(phi(u).sum(), u)[0]


def _bump(u):
    return torch.exp(-u) * torch.sin(u) + 0.3


def check_gain(answer):
    cases = (("relu", F.relu), ("tanh", torch.tanh), ("gelu", F.gelu), ("a made-up one", _bump))
    for name, phi in cases:
        second, mean = _mean(lambda u: phi(u) ** 2), _mean(phi)  # noqa: B023
        slope = _mean(lambda u: _slope(phi, u) ** 2)  # noqa: B023
        expect(name != "relu" or abs(second - 0.5) < 1e-6, "the check's own quadrature is wrong")
        close(
            answer(phi),
            second**-0.5,
            f"wrong for {name}",
            rtol=2e-3,
            suspects={
                "this is σ², the variance of the weights: take the root": 1 / second,
                "the next layer sees E[φ²], the mean square; do not take the mean of φ away": (
                    second - mean**2
                )
                ** -0.5,
                "this keeps the gradient, E[φ′²]; the forward pass keeps E[φ²]": slope**-0.5,
                "it is the wrong way up: the gain makes good what φ loses": second**0.5,
            },
        )


def _gain_squared(phi):
    return gain(phi) ** 2


def _gain_variance(phi):
    return (_mean(lambda u: phi(u) ** 2) - _mean(phi) ** 2) ** -0.5


def _gain_backward(phi):
    return _mean(lambda u: _slope(phi, u) ** 2) ** -0.5


def _gain_inverse(phi):
    return 1 / gain(phi)


def _gain_he_for_all(phi):
    return math.sqrt(2)


# ---- the cosine of two inputs through a ReLU layer -------------------------------------------


def cosine_map_stub(c):
    raise NotImplementedError


def cosine_map(c):
    angle = math.acos(max(-1.0, min(1.0, c)))
    return (math.sin(angle) + (math.pi - angle) * math.cos(angle)) / math.pi


def _by_quadrature(c):
    """E[relu(u) relu(v)] / E[relu(u)²] for normal u, v of correlation c, in polar form."""
    turn = (np.arange(200_000) + 0.5) / 200_000 * 2 * math.pi
    u, v = np.cos(turn), np.cos(turn - math.acos(c))
    return float((np.maximum(u, 0) * np.maximum(v, 0)).mean() / (np.maximum(u, 0) ** 2).mean())


def check_cosine_map(answer):
    for c in (0.3, -0.4, 0.9, 0.0):
        angle = math.acos(c)
        sine, rest = math.sin(angle) / math.pi, (1 - angle / math.pi) * c
        close(
            answer(c),
            _by_quadrature(c),
            f"two inputs of cosine {c} should leave the layer with the cosine that E[φ(u)φ(v)] "
            "gives",
            atol=1e-6,
            suspects={
                "this is E[φ(u)φ(v)] itself: divide by the mean square, which is 1/2": (sine + rest)
                / 2,
                "the sine term is missing": rest,
                "the cosine term is missing": sine,
                "the factor is π − θ, not θ: equal inputs (θ = 0) must stay equal": sine
                + angle / math.pi * c,
                "the term (π − θ) cos θ lost its cos θ": sine + 1 - angle / math.pi,
                "this is the share of units that are on for both, without their values": 1
                - angle / math.pi,
                "a layer without activation keeps the cosine; ReLU does not": c,
            },
        )
    close(answer(1.0), 1.0, "equal inputs must stay equal", atol=1e-12)
    close(answer(-1.0), 0.0, "opposite inputs share no active unit", atol=1e-12)
    for c, want in ((1 + 2**-52, 1.0), (-1 - 2**-52, 0.0)):
        try:
            got = answer(c)
        except ValueError:
            got = math.nan
        close(got, want, "rounding can put a cosine a hair outside [−1, 1]: clip it", atol=1e-6)


def _cosine_unnormalised(c):
    return cosine_map(c) / 2


def _cosine_no_sine(c):
    return (1 - math.acos(c) / math.pi) * c


def _cosine_angle(c):
    angle = math.acos(c)
    return (math.sin(angle) + angle * c) / math.pi


def _cosine_order_zero(c):
    return 1 - math.acos(c) / math.pi


def _cosine_unclipped(c):
    angle = math.acos(c)
    return (math.sin(angle) + (math.pi - angle) * math.cos(angle)) / math.pi


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
    value, gradient = _pair(answer(plain.clone()))
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
    spread = torch.tensor([[[0.0, 900.0, 899.0], [-900.0, 0.0, -1.0]]], dtype=torch.float64)
    value, gradient = _pair(answer(spread.repeat(2, 1, 1)))
    close(
        value,
        torch.logsumexp(spread, -1).repeat(2, 1),
        "wrong where entries of a row lie 900 apart, or where there are more than two axes: the "
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
            Wrong(_fold_transposed, "transpose"),
        ),
    ),
    Exercise(
        id="forward.gain",
        title="The gain of any activation",
        stub=gain_stub,
        solution=gain,
        check=check_gain,
        hints=(
            "The next pre-activation has variance σ² E[φ(u)²] with u standard normal. Set it to 1. "
            "The mean over u is an integral, and a fine grid is enough for it.",
            """
            u = a fine grid from −10 to 10
            density = exp(−u²/2)
            kept = mean of φ(u)², weighted by the density
            σ² · kept = 1
            """,
            """
            u = torch.linspace(-10, 10, 8001, dtype=torch.float64)
            density = torch.exp(-u * u / 2)
            kept = (density * phi(u) ** 2).sum() / ...
            return float(...)
            """,
        ),
        wrong=(
            Wrong(_gain_squared, "take the root"),
            Wrong(_gain_variance, "mean square"),
            Wrong(_gain_backward, "keeps the gradient"),
            Wrong(_gain_inverse, "wrong way up"),
            Wrong(_gain_he_for_all, "wrong for tanh"),
        ),
        equivalent_mutants={
            f"u = torch.linspace(-10, 10, 8001, dtype=torch.float64) → {change}": (
                "another grid, as fine and as wide as the integral needs"
            )
            for change in (
                "u = torch.linspace(-10, 11, 8001, dtype=torch.float64)",
                "u = torch.linspace(-10, 9, 8001, dtype=torch.float64)",
                "u = torch.linspace(-10, 10, 8002, dtype=torch.float64)",
                "u = torch.linspace(-10, 10, 8000, dtype=torch.float64)",
                "u = torch.linspace(-11, 10, 8001, dtype=torch.float64)",
                "u = torch.linspace(-9, 10, 8001, dtype=torch.float64)",
            )
        },
    ),
    Exercise(
        id="forward.cosine_map",
        title="The cosine of two inputs after a ReLU layer",
        stub=cosine_map_stub,
        solution=cosine_map,
        check=check_cosine_map,
        hints=(
            "Only two directions of the weight vector matter, those of the two inputs. In polar "
            "coordinates the radius cancels, and the angle runs over where both units are on.",
            """
            θ = the angle between the inputs
            E[relu(u) relu(v)] ∝ ∫ cos(t) cos(t − θ) dt, over t from θ − π/2 to π/2
            use 2 cos(t) cos(t − θ) = cos θ + cos(2t − θ)
            divide by the same integral at θ = 0
            """,
            """
            angle = math.acos(max(-1.0, min(1.0, c)))
            return (math.sin(angle) + (...) * math.cos(angle)) / math.pi
            """,
        ),
        wrong=(
            Wrong(_cosine_unnormalised, "which is 1/2"),
            Wrong(_cosine_no_sine, "sine term is missing"),
            Wrong(_cosine_angle, "π − θ, not θ"),
            Wrong(_cosine_order_zero, "without their values"),
            Wrong(_cosine_unclipped, "clip it"),
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
        ),
    ),
)
