"""How a signal fares: the gain of an activation, the cosine of two inputs."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from llmcourse.exercises.core import Exercise, Wrong, close, expect

__all__ = ["EXERCISES"]

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
    # ReLU is not first: so many of its means are 1/2 that two mistakes would look alike.
    cases = (("gelu", F.gelu), ("tanh", torch.tanh), ("relu", F.relu), ("a made-up one", _bump))
    for name, phi in cases:
        second, mean = _mean(lambda u: phi(u) ** 2), _mean(phi)  # noqa: B023
        size = _mean(lambda u: phi(u).abs())  # noqa: B023
        narrow = _mean(lambda u: phi(u / math.sqrt(2)) ** 2)  # noqa: B023
        slope = _mean(lambda u: _slope(phi, u) ** 2)  # noqa: B023
        expect(name != "relu" or abs(second - 0.5) < 1e-6, "the check's own quadrature is wrong")
        got = answer(phi)
        kept = float(got) ** 2 * second if isinstance(got, float | int) else math.nan
        close(
            got,
            second**-0.5,
            f"wrong for {name}: with this σ, σ² E[φ(u)²] is {kept:.3g}, not 1",
            rtol=2e-3,
            suspects={
                "this is σ², the variance of the weights: take the root": 1 / second,
                "the next layer sees E[φ²], the mean square; do not take the mean of φ away": (
                    second - mean**2
                )
                ** -0.5,
                "this keeps the gradient, E[φ′²]; the forward pass keeps E[φ²]": slope**-0.5,
                "it is the wrong way up: the gain makes good what φ loses": second**0.5,
                "√2 is ReLU's gain; each activation has its own": math.sqrt(2),
                "the mean of |φ| is not asked for: variances need the mean of φ²": 1 / size,
                "the density e^(−u²/2) is not divided by its own sum, √(2π)": (
                    second * math.sqrt(2 * math.pi)
                )
                ** -0.5,
                "the density of a standard normal is e^(−u²/2): e^(−u²) has variance 1/2": narrow
                ** -0.5,
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


def _gain_unnormalised(phi):
    return gain(phi) / (2 * math.pi) ** 0.25


def _gain_narrow(phi):
    return gain(lambda u: phi(u / math.sqrt(2)))


def _gain_of_size(phi):
    return 1 / _mean(lambda u: phi(u).abs())


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
        got, want = answer(c), _by_quadrature(c)
        gap = abs(float(got) - want) if isinstance(got, float | int) else math.nan
        expect(
            not 1e-6 < gap < 0.01,
            f"near, and not exact, for c = {c}: a sample or a coarse grid? The integral over the "
            "angle can be done by hand",
            expected=want,
            got=got,
        )
        close(
            got,
            want,
            f"two inputs of cosine {c} should leave the layer with the cosine that E[φ(u)φ(v)] "
            "gives",
            atol=1e-6,
            suspects={
                "this is E[φ(u)φ(v)] itself: divide by the mean square, which is 1/2": (sine + rest)
                / 2,
                "the factor 1/π is missing: at c = 1 the cosine must be 1": (sine + rest) * math.pi,
                "both terms are positive: (π − θ) cos θ is added to the sine": sine - rest,
                "the mean of ReLU was taken away: that is a correlation, and a cosine is asked "
                "for": (sine + rest - 1 / math.pi) / (1 - 1 / math.pi),
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


def _cosine_no_pi(c):
    return cosine_map(c) * math.pi


def _cosine_minus(c):
    return (1 - math.acos(max(-1.0, min(1.0, c))) / math.pi) * -2 * c + cosine_map(c)


def _cosine_correlation(c):
    return (cosine_map(c) - 1 / math.pi) / (1 - 1 / math.pi)


def _cosine_sampled(c):
    u, w = torch.randn(2, 200_000, generator=torch.Generator().manual_seed(0))
    v = c * u + math.sqrt(max(0.0, 1 - c * c)) * w
    return float((u.relu() * v.relu()).mean() * 2)


def _cosine_unclipped(c):
    angle = math.acos(c)
    return (math.sin(angle) + (math.pi - angle) * math.cos(angle)) / math.pi


EXERCISES = (
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
            Wrong(_gain_he_for_all, "each activation has its own"),
            Wrong(_gain_unnormalised, "own sum"),
            Wrong(_gain_narrow, "variance 1/2"),
            Wrong(_gain_of_size, "mean of |φ|"),
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
            Wrong(_cosine_no_pi, "1/π is missing"),
            Wrong(_cosine_minus, "both terms are positive"),
            Wrong(_cosine_correlation, "a correlation"),
            Wrong(_cosine_sampled, "by hand"),
        ),
    ),
)
