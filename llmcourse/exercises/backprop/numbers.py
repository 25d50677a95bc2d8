"""Exercises of the chapter `concepts/backprop`: a gradient check, and a fused node."""

import math
import sys

from llmcourse.exercises.core import Exercise, Wrong, close, expect

__all__ = ["EXERCISES"]

# ---- checking a gradient -----------------------------------------------------------------------


def numerical_gradient_stub(f, x):
    raise NotImplementedError


def numerical_gradient(f, x):
    x, gradient = list(x), []
    for i, value in enumerate(x):
        s = sys.float_info.epsilon ** (1 / 3) * max(1.0, abs(value))
        x[i] = value + s
        up = f(x)
        x[i] = value - s
        down = f(x)
        x[i] = value
        gradient.append((up - down) / (2 * s))
    return gradient


def _with_step(step, scaled=True):
    def answer(f, x):
        out = []
        for i, value in enumerate(x):
            s = step * (max(1.0, abs(value)) if scaled else 1.0)
            up, down = ([*x[:i], value + e, *x[i + 1 :]] for e in (s, -s))
            out.append((f(up) - f(down)) / (2 * s))
        return out

    return answer


def _forward_difference(f, x):
    s = sys.float_info.epsilon**0.5
    return [(f([*x[:i], v + s, *x[i + 1 :]]) - f(x)) / s for i, v in enumerate(x)]


def _not_halved(f, x):
    return [2 * d for d in numerical_gradient(f, x)]


def _left_moved(f, x):
    x, out = list(x), []
    for i, value in enumerate(x):
        s = sys.float_info.epsilon ** (1 / 3) * max(1.0, abs(value))
        x[i] = value + s
        up = f(x)
        x[i] = value - s
        out.append((up - f(x)) / (2 * s))
    return out


def check_numerical_gradient(answer):
    for f, at, want in (
        (lambda x: x[0] ** 2 + 3 * x[1], [2.0, -1.0], [4.0, 3.0]),
        (lambda x: x[0] * x[1] * x[1], [3.0, 1.0], [1.0, 6.0]),
    ):
        asked = []
        got = answer(lambda x, f=f, asked=asked: asked.append(list(x)) or f(x), list(at))
        close(
            got,
            want,
            f"wrong at {at}: is each parameter back at its place before the next is moved?",
            atol=3e-6,
            suspects={
                "divide by 2s: the two points lie two steps apart": [2 * d for d in want],
                "the sign is lost: up minus down": [-d for d in want],
            },
        )
        below = any(x[0] < at[0] for x in asked)
        above = any(x[0] > at[0] for x in asked)
        expect(below and above, "this is a one-sided difference: look a step up and a step down, "
               "and half of the digits come back")  # fmt: skip

    def wave(x):
        return math.sin(5 * x[0]) + math.exp(2 * x[1])

    for at in ([0.3, 0.2], (0.11, -0.4), [-0.7, 0.05]):
        asked = []
        got = answer(lambda x, asked=asked: asked.append(list(x)) or wave(x), at)
        want = [5 * math.cos(5 * at[0]), 2 * math.exp(2 * at[1])]
        off = max(abs(g - w) for g, w in zip(got, want, strict=True))
        step = max(abs(x[0] - at[0]) for x in asked)
        why = (
            "the curve bends within the step, so take a smaller one"
            if step > sys.float_info.epsilon ** (1 / 3)
            else "rounding is divided by the step, so a smaller step is not better"
        )
        expect(off < 5e-9, f"the error with steps of {step:.0e} is {off:.0e}, and could be below "
               f"1e-9: {why}", got=got, expected=want)  # fmt: skip
    got = answer(lambda x: x[0] ** 2 * x[1], [1e6, 0.5])
    off = max(abs(got[0] / 1e6 - 1), abs(got[1] / 1e12 - 1))
    expect(off < 1e-7, f"at x = 10⁶ the relative error is {off:.0e}: let the step grow with |x|")


# ---- one node for softmax and cross-entropy ----------------------------------------------------


def cross_entropy_stub(logits, target):
    raise NotImplementedError


def cross_entropy(logits, target):
    peak = max(logits)
    powers = [math.exp(z - peak) for z in logits]
    total = sum(powers)
    partials = [p / total for p in powers]
    partials[target] -= 1
    return math.log(total) + peak - logits[target], partials


def _cross_entropy_but(change):
    def answer(logits, target):
        loss, partials = cross_entropy(logits, target)
        return change(loss, partials, target)

    return answer


def _unshifted(logits, target):
    total = sum(math.exp(z) for z in logits)
    partials = [math.exp(z) / total - (i == target) for i, z in enumerate(logits)]
    return math.log(total) - logits[target], partials


def _by_probability(loss, partials, target):
    return loss, [-math.exp(loss) * (i == target) for i in range(len(partials))]


def check_cross_entropy(answer):
    for logits, target in (([2.0, -1.0, 0.5], 0), ([0.1, 0.2], 1), ([1.0, 1.5, -2.0, 0.0], 2)):
        loss, want = cross_entropy(logits, target)
        got = answer(list(logits), target)
        expect(isinstance(got, tuple) and len(got) == 2, "return the loss and the list", got=got)
        close(
            got[0],
            loss,
            f"wrong loss for logits {logits}, target {target}",
            suspects={
                "the loss is in bits; nats need the natural logarithm": loss / math.log(2),
                "the sign of the loss is wrong: −log of a probability is positive": -loss,
            },
        )
        softmax = [w + (i == target) for i, w in enumerate(want)]
        close(
            list(got[1]),
            want,
            f"wrong derivatives for logits {logits}, target {target}",
            suspects={
                "the sign is wrong: softmax minus one-hot, not one-hot minus softmax": [
                    -w for w in want
                ],
                "this is the softmax; the target's own logit also enters, with −1": softmax,
                "this is the derivative by the probability; go on through the softmax to the "
                "logits": _by_probability(loss, want, target)[1],
            },
        )
    try:
        loss, derivatives = answer([1000.0, 0.0], 1)
    except OverflowError:
        loss, derivatives = math.inf, [math.nan, math.nan]
    expect(loss == 1000.0, "logits near 1000 overflow: take the largest away from all of them "
           "first, which changes nothing", got=loss, expected=1000.0)  # fmt: skip
    close(list(derivatives), [1.0, -1.0], "wrong derivatives for logits 1000 and 0, target 1")


EXERCISES = (
    Exercise(
        id="backprop.numerical_gradient",
        title="A gradient check that picks its step",
        stub=numerical_gradient_stub,
        solution=numerical_gradient,
        check=check_numerical_gradient,
        hints=(
            "For each parameter, look a step up and a step down. Choose the step so that "
            "truncation and rounding are of one size.",
            "s = ε^(1/3) · max(1, |xᵢ|) with ε = sys.float_info.epsilon. Move xᵢ up by s, call f, "
            "down by s, call f, put xᵢ back; the difference over 2s.",
            "`s = sys.float_info.epsilon ** (1 / 3) * max(1.0, abs(value))`, and "
            "`(up - down) / (2 * s)`; work on `list(x)`.",
        ),
        wrong=(
            Wrong(_forward_difference, "one-sided"),
            Wrong(_with_step(1e-10), "not better"),
            Wrong(_with_step(1e-2), "curve bends"),
            Wrong(_with_step(6e-6, scaled=False), "grow with |x|"),
            Wrong(_not_halved, "two steps apart"),
            Wrong(_left_moved, "back at its place"),
        ),
        equivalent_mutants={
            "s = sys.float_info.epsilon ** (1 / 3) * max(1.0, abs(value)) → "
            "s = sys.float_info.epsilon ** (1 / 3) * max(2.0, abs(value))": (
                "twice the step is as good: the curve of errors is flat around its least value"
            ),
        },
    ),
    Exercise(
        id="backprop.cross_entropy",
        title="Softmax and cross-entropy in one node",
        stub=cross_entropy_stub,
        solution=cross_entropy,
        check=check_cross_entropy,
        hints=(
            "The loss is log Σ exp(zⱼ) − z_target. Differentiate that by each z.",
            "Take the peak away before exp and add it after log. The derivative of the first term "
            "by zᵢ is the softmax; the second adds −1 at the target.",
            "`peak = max(logits)`, `powers = [math.exp(z - peak) for z in logits]`, "
            "`partials = [p / sum(powers) for p in powers]`, then `partials[target] -= 1`.",
        ),
        wrong=(
            Wrong(_unshifted, "overflow"),
            Wrong(
                _cross_entropy_but(lambda loss, d, t: (loss, [-x for x in d])), "not one-hot minus"
            ),
            Wrong(
                _cross_entropy_but(
                    lambda loss, d, t: (loss, [x + (i == t) for i, x in enumerate(d)])
                ),
                "this is the softmax",
            ),
            Wrong(_cross_entropy_but(_by_probability), "by the probability"),
            Wrong(_cross_entropy_but(lambda loss, d, t: (loss / math.log(2), d)), "in bits"),
        ),
    ),
)
