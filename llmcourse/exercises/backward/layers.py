"""A dense layer for a batch, and LayerNorm."""

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
            "tanh's slope is 1 − a²: the square is missing": _dense_with(a_grad * (1 - a), x, W),
            "the slope is 1 − a² with a = tanh(z), not with z itself": _dense_with(
                a_grad * (1 - (x @ W.T + b) ** 2), x, W
            ),
            "the bias is missing from z, so the slope is taken at another place": _dense_with(
                a_grad * (1 - torch.tanh(x @ W.T) ** 2), x, W
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


def _dense_with(delta, x, W):
    return delta.T @ x, delta.sum(0), delta @ W


def _dense_no_square(a_grad, x, W, b):
    return _dense_with(a_grad * (1 - torch.tanh(x @ W.T + b)), x, W)


def _dense_slope_of_z(a_grad, x, W, b):
    return _dense_with(a_grad * (1 - (x @ W.T + b) ** 2), x, W)


def _dense_no_bias(a_grad, x, W, b):
    return _dense_with(a_grad * (1 - torch.tanh(x @ W.T) ** 2), x, W)


def _dense_x_first(a_grad, x, W, b):
    W_grad, b_grad, x_grad = dense(a_grad, x, W, b)
    return x_grad, W_grad, b_grad


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
            "ε stands under the root, added to the variance": _norm_eps_outside(*given),
            "the mean of x is not taken out: this is RMSNorm's gradient": _as_rms_norm(*given),
            "a sum over the channels stands where a mean belongs: divide by D": _norm_with(
                *given, torch.sum, -1
            ),
            "the means run along the D channels of one row, not down the rows": _norm_with(
                *given, torch.mean, 0
            ),
            "the part along x̂ is taken out, not put in: minus": _norm_along_added(*given),
            "the gain's gradient is grad ⊙ x̂: the gain itself is no factor of it": (
                None,
                (gain * grad * _unit(x, eps)).sum(0),
            ),
            "the gain multiplies x̂, so x̂, not x, is in its gradient": (None, (grad * x).sum(0)),
            "one gain serves every row: sum over the rows": (
                None,
                unit if rows == 1 else grad * _unit(x, eps),
            ),
        }
        judge(answer(*given), want, ("x", "the gain"), suspects)


def _unit(x, eps):
    centred = x - x.mean(-1, keepdim=True)
    return centred / ((centred**2).mean(-1, keepdim=True) + eps).sqrt()


def _norm_eps_outside(grad, x, gain, eps):
    s = x.std(-1, keepdim=True, correction=0)
    return _norm(grad, x, gain, (2 * s + eps) * eps)


def _as_rms_norm(grad, x, gain, eps):
    r = (x.square().mean(-1, keepdim=True) + eps).sqrt()
    u, unit = grad * gain, x / r
    return (u - unit * (u * unit).mean(-1, keepdim=True)) / r, (grad * unit).sum(0)


def _norm_with(grad, x, gain, eps, gather, axis):
    u, unit = grad * gain, _unit(x, eps)
    s = ((x - x.mean(-1, keepdim=True)).square().mean(-1, keepdim=True) + eps).sqrt()
    taken = gather(u, axis, keepdim=True) + unit * gather(u * unit, axis, keepdim=True)
    return (u - taken) / s, (grad * unit).sum(0)


def _norm_sums(grad, x, gain, eps):
    return _norm_with(grad, x, gain, eps, torch.sum, -1)


def _norm_down(grad, x, gain, eps):
    return _norm_with(grad, x, gain, eps, torch.mean, 0)


def _norm_along_added(grad, x, gain, eps):
    right, without = _norm(grad, x, gain, eps), _norm(grad, x, gain, eps, along=False)
    return 2 * without[0] - right[0], right[1]


def _norm_gain_twice(grad, x, gain, eps):
    return layer_norm(grad, x, gain, eps)[0], (gain * grad * _unit(x, eps)).sum(0)


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
            Wrong(_dense_no_square, "the square is missing"),
            Wrong(_dense_slope_of_z, "not with z itself"),
            Wrong(_dense_no_bias, "the bias is missing from z"),
            Wrong(_dense_x_first, "in the order W, b, x"),
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
            Wrong(_norm_eps_outside, "ε stands under the root"),
            Wrong(_as_rms_norm, "RMSNorm"),
            Wrong(_norm_sums, "divide by D"),
            Wrong(_norm_down, "not down the rows"),
            Wrong(_norm_along_added, "not put in"),
            Wrong(_norm_gain_twice, "no factor of it"),
        ),
    ),
)
