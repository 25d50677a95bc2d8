"""A dense layer for a batch, LayerNorm, and SwiGLU."""

import torch
import torch.nn.functional as F

from llmcourse.exercises.backward.judge import drawn, judge, truth
from llmcourse.exercises.core import Exercise, Wrong

# A dense layer.


def dense_stub(a_grad, x, W, b):
    raise NotImplementedError


def dense(a_grad, x, W, b):
    a = torch.tanh(x @ W.T + b)
    delta = a_grad * (1 - a * a)
    return delta.T @ x, delta.sum(dim=0), delta @ W


def check_dense(answer):
    for batch, m, n, seed in ((3, 4, 4, 0), (5, 2, 3, 1), (1, 3, 2, 2)):
        x, W, b, a_grad = drawn((batch, n), (m, n), (m,), (batch, m), seed=seed, scale=0.7)

        def layer(W, b, x):
            return torch.tanh(x @ W.T + b)

        want = truth(layer, a_grad, W, b, x)
        a = layer(W, b, x)
        delta, late = a_grad * (1 - a * a), a_grad * (1 - torch.tanh(a) ** 2)
        suspects = {
            "φ′ is missing: δ is the upstream gradient times 1 − a²": (
                a_grad.T @ x,
                a_grad.sum(0),
                a_grad @ W,
            ),
            "φ′ is taken at a; it belongs at z, and 1 − tanh(z)² is 1 − a²": (
                late.T @ x,
                late.sum(0),
                late @ W,
            ),
            "one W serves every row of the batch: add the rows' gradients, do not average them": (
                delta.T @ x / batch,
                delta.mean(0),
                None,
            ),
            "the gradient of W has the shape of W: δ outside, x inside": (x.T @ delta, None, None),
            "the bias serves every row of the batch: sum over the rows": (None, delta, None),
            "going back, the row of δ meets W as it stands: δ W for rows, Wᵀδ for columns": (
                None,
                None,
                delta @ W.T if m == n else None,
            ),
        }
        judge(answer(a_grad, x, W, b), want, ("W", "b", "x"), suspects)


def _dense_no_slope(a_grad, x, W, b):
    return a_grad.T @ x, a_grad.sum(0), a_grad @ W


def _dense_slope_at_a(a_grad, x, W, b):
    late = a_grad * (1 - torch.tanh(torch.tanh(x @ W.T + b)) ** 2)
    return late.T @ x, late.sum(0), late @ W


def _dense_mean(a_grad, x, W, b):
    W_grad, b_grad, x_grad = dense(a_grad, x, W, b)
    return W_grad / len(x), b_grad / len(x), x_grad


def _dense_transposed(a_grad, x, W, b):
    W_grad, b_grad, x_grad = dense(a_grad, x, W, b)
    return W_grad.T, b_grad, x_grad


def _dense_bias_rows(a_grad, x, W, b):
    a = torch.tanh(x @ W.T + b)
    return dense(a_grad, x, W, b)[0], a_grad * (1 - a * a), dense(a_grad, x, W, b)[2]


def _dense_wrong_way(a_grad, x, W, b):
    a = torch.tanh(x @ W.T + b)
    W_grad, b_grad, _ = dense(a_grad, x, W, b)
    return W_grad, b_grad, (a_grad * (1 - a * a)) @ W.T


# LayerNorm.


def layer_norm_stub(grad, x, gain, eps):
    raise NotImplementedError


def layer_norm(grad, x, gain, eps):
    centred = x - x.mean(dim=1, keepdim=True)
    s = torch.sqrt((centred**2).mean(dim=1, keepdim=True) + eps)
    unit = centred / s
    u = grad * gain
    along = unit * (u * unit).mean(dim=1, keepdim=True)
    x_grad = (u - u.mean(dim=1, keepdim=True) - along) / s
    return x_grad, (grad * unit).sum(dim=0)


def _norm(grad, x, gain, eps, *, gained=True, mean=True, along=True, scale=True, ddof=0):
    centred = x - x.mean(-1, keepdim=True)
    s = ((centred**2).sum(-1, keepdim=True) / (x.shape[-1] - ddof) + eps).sqrt()
    unit = centred / s
    u = grad * gain if gained else grad
    out = u
    if mean:
        out = out - u.mean(-1, keepdim=True)
    if along:
        out = out - unit * (u * unit).mean(-1, keepdim=True)
    return (out / s if scale else out), (grad * unit).sum(0)


def check_layer_norm(answer):
    for rows, D, eps, seed in ((3, 5, 1e-5, 0), (2, 4, 0.5, 1), (1, 6, 0.1, 2)):
        x, gain, grad = drawn((rows, D), (D,), (rows, D), seed=seed)
        x = 1.5 + 2 * x  # mean and scale must matter
        zero = torch.zeros_like(gain)
        want = truth(lambda x, g, z=zero, e=eps: F.layer_norm(x, g.shape, g, z, e), grad, x, gain)
        given = (grad, x, gain, eps)
        unit = _norm(*given)[1]
        suspects = {
            "the way through the mean μ is missing: take the mean of u out": _norm(
                *given, mean=False
            ),
            "the way through the deviation s is missing: take out what points along x̂": _norm(
                *given, along=False
            ),
            "s is treated as a constant, and μ too: two terms are missing": _norm(
                *given, mean=False, along=False
            ),
            "the gain is missing: what reaches x̂ is grad ⊙ gain": _norm(*given, gained=False),
            "the factor 1/s is missing: a larger x moves x̂ less": _norm(*given, scale=False),
            "the variance divides by D, not by D − 1": _norm(*given, ddof=1),
            "ε is missing under the root": _norm(grad, x, gain, 0.0),
            "one gain serves every row: sum over the rows": (
                None,
                unit if rows == 1 else grad * _unit(x, eps),
            ),
        }
        judge(answer(*given), want, ("x", "the gain"), suspects)


def _unit(x, eps):
    centred = x - x.mean(-1, keepdim=True)
    return centred / ((centred**2).mean(-1, keepdim=True) + eps).sqrt()


def _norm_no_mean(grad, x, gain, eps):
    return _norm(grad, x, gain, eps, mean=False)


def _norm_no_along(grad, x, gain, eps):
    return _norm(grad, x, gain, eps, along=False)


def _norm_constants(grad, x, gain, eps):
    return _norm(grad, x, gain, eps, mean=False, along=False)


def _norm_no_gain(grad, x, gain, eps):
    return _norm(grad, x, gain, eps, gained=False)


def _norm_no_scale(grad, x, gain, eps):
    return _norm(grad, x, gain, eps, scale=False)


def _norm_unbiased(grad, x, gain, eps):
    return _norm(grad, x, gain, eps, ddof=1)


def _norm_no_eps(grad, x, gain, eps):
    return _norm(grad, x, gain, 0.0)


def _norm_rows(grad, x, gain, eps):
    return layer_norm(grad, x, gain, eps)[0], grad * _unit(x, eps)


# SwiGLU.


def swiglu_stub(grad, x, gate, up, down):
    raise NotImplementedError


def swiglu(grad, x, gate, up, down):
    z, a = x @ gate.T, x @ up.T
    s = torch.sigmoid(z)
    h_grad = grad @ down
    z_grad = h_grad * a * (s + z * s * (1 - s))
    a_grad = h_grad * z * s
    x_grad = z_grad @ gate + a_grad @ up
    return x_grad, z_grad.T @ x, a_grad.T @ x, grad.T @ (z * s * a)


def _gated(grad, x, gate, up, down, slope, by=("gate", "up"), swap=False):
    z, a = x @ gate.T, x @ up.T
    s = z.sigmoid()
    h_grad = grad @ down
    z_grad, a_grad = h_grad * a * slope(z, s), h_grad * z * s
    x_grad = sum(g @ w for n, g, w in (("gate", z_grad, gate), ("up", a_grad, up)) if n in by)
    hidden = z * s if swap else z * s * a
    return x_grad, z_grad.T @ x, a_grad.T @ x, grad.T @ hidden


def _right(z, s):
    return s + z * s * (1 - s)


def _sigmoid_slope(z, s):
    return s * (1 - s)


def _gate_constant(z, s):
    return s


def check_swiglu(answer):
    for rows, D, M, seed in ((3, 4, 5, 0), (2, 3, 3, 1), (1, 2, 6, 2)):
        given = drawn((rows, D), (rows, D), (M, D), (M, D), (D, M), seed=seed, scale=0.8)
        grad, *inputs = given

        def layer(x, gate, up, down):
            return (F.silu(x @ gate.T) * (x @ up.T)) @ down.T

        want = truth(layer, grad, *inputs)
        by_gate = _gated(*given, _right, by=("gate",))
        by_up = _gated(*given, _right, by=("up",))
        suspects = {
            "x is used twice, and this is the way through the gate only: add the one through up": (
                by_gate[0],
                None,
                None,
                None,
            ),
            "x is used twice, and this is the way through up only: add the one through the gate": (
                by_up[0],
                None,
                None,
                None,
            ),
            "silu(z) = z σ(z) is a product: its slope is σ + z σ(1 − σ), not σ(1 − σ)": _gated(
                *given, _sigmoid_slope
            ),
            "σ(z) is treated as a constant: the term z σ(1 − σ) of silu's slope is missing": _gated(
                *given, _gate_constant
            ),
            "down multiplies the gated product silu(z) ⊙ a, not silu(z) alone": (
                None,
                None,
                None,
                _gated(*given, _right, swap=True)[3],
            ),
        }
        judge(answer(*given), want, ("x", "gate", "up", "down"), suspects)


def _swiglu_by_gate(grad, x, gate, up, down):
    return _gated(grad, x, gate, up, down, _right, by=("gate",))


def _swiglu_by_up(grad, x, gate, up, down):
    return _gated(grad, x, gate, up, down, _right, by=("up",))


def _swiglu_sigmoid(grad, x, gate, up, down):
    return _gated(grad, x, gate, up, down, _sigmoid_slope)


def _swiglu_constant(grad, x, gate, up, down):
    return _gated(grad, x, gate, up, down, _gate_constant)


def _swiglu_ungated(grad, x, gate, up, down):
    return _gated(grad, x, gate, up, down, _right, swap=True)


EXERCISES = (
    Exercise(
        id="backward.dense",
        title="A dense layer, for a batch",
        stub=dense_stub,
        solution=dense,
        check=check_dense,
        hints=(
            "First δ, the gradient at z. Then each of the three follows from z = W x + b for one "
            "row, and W and b, which all rows share, collect from all of them.",
            "δ = a_grad ⊙ (1 − a²), shape (B, m). W_grad = Σ over rows of δ xᵀ, shape (m, n); "
            "b_grad = Σ over rows of δ; x_grad has one row δ W for each row.",
            "delta = a_grad * (1 - a * a); return delta.T @ x, delta.sum(0), delta @ W",
        ),
        wrong=(
            Wrong(_dense_no_slope, "φ′ is missing"),
            Wrong(_dense_slope_at_a, "it belongs at z"),
            Wrong(_dense_mean, "do not average them"),
            Wrong(_dense_transposed, "δ outside, x inside"),
            Wrong(_dense_bias_rows, "sum over the rows"),
            Wrong(_dense_wrong_way, "δ W for rows"),
        ),
    ),
    Exercise(
        id="backward.layer_norm",
        title="LayerNorm",
        stub=layer_norm_stub,
        solution=layer_norm,
        check=check_layer_norm,
        hints=(
            "x reaches x̂ in three ways: directly, through the mean μ and through the deviation s. "
            "The first gives u / s with u = grad ⊙ gain; the others each take something out of it.",
            "x_grad = (u − mean(u) − x̂ · mean(u ⊙ x̂)) / s, each mean over the D channels of a "
            "row. The gain's gradient is Σ over rows of grad ⊙ x̂.",
            "u = grad * gain; along = unit * (u * unit).mean(-1, keepdim=True); "
            "(u - u.mean(-1, keepdim=True) - along) / s",
        ),
        wrong=(
            Wrong(_norm_no_mean, "through the mean μ is missing"),
            Wrong(_norm_no_along, "through the deviation s is missing"),
            Wrong(_norm_constants, "two terms are missing"),
            Wrong(_norm_no_gain, "the gain is missing"),
            Wrong(_norm_no_scale, "1/s is missing"),
            Wrong(_norm_unbiased, "not by D − 1"),
            Wrong(_norm_no_eps, "ε is missing"),
            Wrong(_norm_rows, "one gain serves every row"),
        ),
    ),
    Exercise(
        id="backward.swiglu",
        title="SwiGLU",
        stub=swiglu_stub,
        solution=swiglu,
        check=check_swiglu,
        hints=(
            "The hidden vector is a product of two things that both come from x. Go back through "
            "down, then through the product, then through the two matrices; what meets is added.",
            "h_grad = grad · down. z_grad = h_grad ⊙ a ⊙ silu′(z), a_grad = h_grad ⊙ silu(z). "
            "x_grad = z_grad · gate + a_grad · up. Each matrix: its gradientᵀ times its input.",
            "s = z.sigmoid(); z_grad = h_grad * a * (s + z * s * (1 - s)); "
            "a_grad = h_grad * z * s; z_grad @ gate + a_grad @ up",
        ),
        wrong=(
            Wrong(_swiglu_by_gate, "add the one through up"),
            Wrong(_swiglu_by_up, "add the one through the gate"),
            Wrong(_swiglu_sigmoid, "not σ(1 − σ)"),
            Wrong(_swiglu_constant, "treated as a constant"),
            Wrong(_swiglu_ungated, "not silu(z) alone"),
        ),
    ),
)
