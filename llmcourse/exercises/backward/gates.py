"""SwiGLU, backwards."""

import torch
import torch.nn.functional as F

from llmcourse.exercises.backward.judge import drawn, judge, truth
from llmcourse.exercises.core import Exercise, Wrong


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
            "a product has two slopes: the gate's is a, and up's is silu(z)": _bare(*given),
            "each factor is the other's slope: the gate's gradient has a, up's has silu(z)": (
                _crossed(*given)[0],
                None,
                None,
                None,
            ),
            "silu'(z) = σ + z σ(1 − σ) has the sigmoid σ in both places, not silu": _gated(
                *given, lambda z, s: s * (1 + z * (1 - z * s))
            ),
            "up's slope is silu(z) = z σ(z), with both factors": _half(*given),
            "down multiplies the gated product silu(z) ⊙ a, not silu(z) alone": (
                None,
                None,
                None,
                _gated(*given, _right, swap=True)[3],
            ),
        }
        judge(answer(*given), want, ("x", "gate", "up", "down"), suspects)


def _parts(grad, x, gate, up, down):
    z, a = x @ gate.T, x @ up.T
    return z, a, z.sigmoid(), grad @ down


def _from(z_grad, a_grad, grad, x, gate, up, hidden):
    return z_grad @ gate + a_grad @ up, z_grad.T @ x, a_grad.T @ x, grad.T @ hidden


def _bare(grad, x, gate, up, down):
    z, a, s, h_grad = _parts(grad, x, gate, up, down)
    return _from(h_grad * _right(z, s), h_grad, grad, x, gate, up, z * s * a)


def _crossed(grad, x, gate, up, down):
    z, a, s, h_grad = _parts(grad, x, gate, up, down)
    return _from(h_grad * z * s, h_grad * a * _right(z, s), grad, x, gate, up, z * s * a)


def _half(grad, x, gate, up, down):
    z, a, s, h_grad = _parts(grad, x, gate, up, down)
    return _from(h_grad * a * _right(z, s), h_grad * s, grad, x, gate, up, z * s * a)


def _swiglu_silu_in_slope(grad, x, gate, up, down):
    return _gated(grad, x, gate, up, down, lambda z, s: s * (1 + z * (1 - z * s)))


def _swiglu_mean(grad, x, gate, up, down):
    x_grad, *weights = swiglu(grad, x, gate, up, down)
    return x_grad, *(w / len(x) for w in weights)


def _swiglu_up_first(grad, x, gate, up, down):
    x_grad, gate_grad, up_grad, down_grad = swiglu(grad, x, gate, up, down)
    return x_grad, up_grad, gate_grad, down_grad


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
            Wrong(_bare, "two slopes"),
            Wrong(_crossed, "the other's slope"),
            Wrong(_half, "with both factors"),
            Wrong(_swiglu_silu_in_slope, "in both places"),
            Wrong(_swiglu_mean, "mean in place of a sum"),
            Wrong(_swiglu_up_first, "in the order x, gate, up, down"),
        ),
    ),
)
