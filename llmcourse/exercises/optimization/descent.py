"""How fast descent can be, and where noise holds it: exercises of `math/optimization`."""

import math

import torch

from llmcourse.exercises.core import Exercise, Wrong, close, expect

__all__ = ["EXERCISES"]

# ---- the best heavy ball ----------------------------------------------------------------------


def heavy_ball_stub(low, high):
    raise NotImplementedError


def heavy_ball(low, high):
    a, b = math.sqrt(low), math.sqrt(high)
    rate = (b - a) / (b + a)
    return 4 / (a + b) ** 2, rate**2, rate


def _radius(eta, mu, lam):
    """The factor by which the error along one eigenvalue shrinks a step, in the long run."""
    roots = torch.linalg.eigvals(
        torch.tensor([[1 + mu - eta * lam, -mu], [1.0, 0.0]], dtype=torch.float64)
    )
    return float(roots.abs().max())


def check_heavy_ball(answer):
    for low, high in ((0.5, 50.0), (3.0, 12.0), (2.0, 2.0)):
        got = answer(low, high)
        expect(
            isinstance(got, tuple | list) and len(got) == 3,
            "return three numbers: the learning rate, the momentum and the rate",
            got=got,
        )
        eta, mu, rate = map(float, got)
        best_eta, best_mu, best = heavy_ball(low, high)
        where = f"for eigenvalues from {low:g} to {high:g}"
        kappa = high / low
        expect(0 <= mu < 1, f"a momentum lies in [0, 1) {where}", expected=best_mu, got=mu)
        close(
            mu,
            best_mu,
            f"the momentum is not the best {where}",
            suspects={
                "that is the rate itself: the momentum is its square, since the two roots of each "
                "eigenvalue multiply to μ": best,
                "that is the learning rate; the order is learning rate, momentum, rate": best_eta,
                "κ stands without its root: this is plain gradient descent's rate": (kappa - 1)
                / (kappa + 1),
                "κ stands without its root: this is the square of plain descent's rate": (
                    (kappa - 1) / (kappa + 1)
                )
                ** 2,
            },
        )
        close(
            eta,
            best_eta,
            f"the learning rate is not the best {where}",
            suspects={
                "2/(λ_min + λ_max) is plain gradient descent's best; momentum allows more": 2
                / (low + high),
                "the square is missing: 4/(√λ_min + √λ_max)²": 4 / (low**0.5 + high**0.5),
                "(√λ_min + √λ_max)² is more than λ_min + λ_max: it has a mixed term": (
                    4 / (low + high)
                ),
                "that is the limit of stability at λ_max; a step so long is not the best": (
                    2 * (1 + best_mu) / high
                ),
                "1/λ_max is safe, not best": 1 / high,
            },
        )
        close(
            rate,
            best,
            f"the rate is not what these settings give {where}",
            suspects={
                "the square of the rate is how the loss shrinks; the error shrinks by its root": (
                    best_mu
                ),
                "a rate is the size of a root, so it is not negative: κ is λ_max over λ_min": -best,
            },
        )
        if kappa > 1:
            slow = max(_radius(eta, mu, lam) for lam in torch.linspace(low, high, 9).tolist())
            close(slow, rate, f"measured on the matrix of one step {where}", atol=1e-3)


def _ball_plain(low, high):
    rate = (high - low) / (high + low)
    return 2 / (low + high), rate, rate


def _ball_mu_is_rate(low, high):
    eta, _, rate = heavy_ball(low, high)
    return eta, rate, rate


def _ball_plain_eta(low, high):
    _, mu, rate = heavy_ball(low, high)
    return 2 / (low + high), mu, rate


def _ball_loss_rate(low, high):
    eta, mu, _ = heavy_ball(low, high)
    return eta, mu, mu


# ---- the noise floor --------------------------------------------------------------------------


def noise_floor_stub(eta, lam, sigma):
    raise NotImplementedError


def noise_floor(eta, lam, sigma):
    if eta * lam >= 2:
        return math.inf
    variance = eta * sigma**2 / (lam * (2 - eta * lam))
    return 0.5 * lam * variance


def check_noise_floor(answer):
    for eta, lam, sigma in ((0.3, 2.0, 0.7), (0.01, 5.0, 3.0), (1.5, 1.0, 1.0)):
        variance = 0.0
        for _ in range(3000):  # the variance's own recursion, to its fixed point
            variance = (1 - eta * lam) ** 2 * variance + (eta * sigma) ** 2
        want = 0.5 * lam * variance
        close(
            answer(eta, lam, sigma),
            want,
            f"the recursion for the variance settles elsewhere (η = {eta}, λ = {lam}, σ = {sigma})",
            suspects={
                "that is the variance of w; asked is the mean loss, ½λ times it": variance,
                "the ½ of the loss is missing": 2 * want,
                "right for small ηλ only: (1 − ηλ)² was opened without its square term": (
                    eta * sigma**2 / 4
                ),
                "the noise enters with its variance σ², not with σ": want / sigma,
                "the noise is multiplied by η before it is added: its variance has η²": want / eta,
                "(1 − ηλ) multiplies w, so it stands squared in the variance": (eta * sigma**2 / 2),
                "up to ηλ = 2 it settles: from 1 on w jumps from side to side, and shrinks": (
                    math.inf
                ),
            },
        )
    for eta, lam in ((2.0, 1.0), (0.5, 5.0)):
        expect(
            answer(eta, lam, 1.0) == math.inf,
            "at ηλ = 2 and beyond, nothing holds the variance: the floor is infinite",
            expected=math.inf,
        )


def _floor_small(eta, lam, sigma):
    return eta * sigma**2 / 4 if eta * lam < 2 else math.inf


def _floor_variance(eta, lam, sigma):
    return noise_floor(eta, lam, sigma) * 2 / lam


def _floor_half(eta, lam, sigma):
    return noise_floor(eta, lam, sigma) * 2


def _floor_no_limit(eta, lam, sigma):
    gap = 2 - eta * lam
    return 0.5 * eta * sigma**2 / gap if gap else 1e300


# ---- a Hessian times a vector -----------------------------------------------------------------


def hessian_vector_stub(loss, w, v):
    raise NotImplementedError


def hessian_vector(loss, w, v):
    w = w.detach().requires_grad_()
    (g,) = torch.autograd.grad(loss(w), w, create_graph=True)
    (Hv,) = torch.autograd.grad(g @ v, w)
    return Hv


def check_hessian_vector(answer):
    g = torch.Generator().manual_seed(0)
    A = torch.randn(5, 5, generator=g, dtype=torch.float64)

    def loss(w):
        return torch.tanh(A @ w).square().sum() + (w[0] * w[1]).exp()

    w = torch.randn(5, generator=g, dtype=torch.float64)
    v = torch.randn(5, generator=g, dtype=torch.float64)
    H = torch.autograd.functional.hessian(loss, w)
    (gradient,) = torch.autograd.grad(loss(w.requires_grad_()), w)
    w = w.detach()
    try:
        got = answer(loss, w.clone(), v.clone())
    except RuntimeError as error:
        expect(
            "does not require grad" not in str(error),
            "the gradient was cut off from w, so it cannot be differentiated again: "
            "keep its graph with create_graph=True",
        )
        raise
    close(
        got,
        H @ v,
        "it is not Hv",
        suspects={
            "that is the gradient times v, element by element": gradient * v,
            "that is (g · v) g: the outer product of the gradient is not the Hessian": gradient
            @ v
            * gradient,
            "only H's diagonal was used: other parameters bend the gradient too": H.diagonal() * v,
            "that is the gradient; v has not entered": gradient,
            "the sign is wrong": -H @ v,
            "that is vᵀHv, one number: the last product with v is too many": v @ H @ v,
            "v has not entered: this is 2Hg, the gradient of g · g": 2 * H @ gradient,
            "the gradient was summed before v entered: multiply by v first": H.sum(0) * v,
            "the gradient itself is still in it: .grad adds up, so take the second one alone": (
                gradient + H @ v
            ),
        },
        rtol=0.05,
    )
    close(
        got,
        H @ v,
        "a difference of two gradients, not exact: differentiate the gradient itself",
        atol=1e-11,
    )


def _gradient(loss, w):
    w = w.detach().requires_grad_()
    return torch.autograd.grad(loss(w), w)[0]


def _difference(loss, w, v, step):
    return (_gradient(loss, w + step * v) - _gradient(loss, w)) / step


def _hvp_difference(loss, w, v):
    return _difference(loss, w, v, 1e-3)


def _hvp_outer(loss, w, v):
    g = _gradient(loss, w)
    return g @ v * g


def _hvp_diagonal(loss, w, v):
    return torch.autograd.functional.hessian(loss, w).diagonal() * v


def _hvp_cut(loss, w, v):
    w = w.detach().requires_grad_()
    return torch.autograd.grad(_gradient(loss, w) @ v, w)[0]


def _hvp_central(loss, w, v, step=1e-4):
    return (_gradient(loss, w + step * v) - _gradient(loss, w - step * v)) / (2 * step)


def _hvp_elementwise(loss, w, v):
    return _gradient(loss, w) * v


EXERCISES = (
    Exercise(
        id="optimization.heavy_ball",
        title="The best momentum for a range of curvatures",
        stub=heavy_ball_stub,
        solution=heavy_ball,
        check=check_heavy_ball,
        hints=(
            "With complex roots both have the same size, √μ, whatever the eigenvalue. So make μ "
            "as small as it can be while the roots at λ_min and at λ_max are still complex.",
            """
            the roots are complex where (1 − √μ)² ≤ ηλ ≤ (1 + √μ)²
            put λ_min at the lower end and λ_max at the upper one: two equations
            take square roots of both, then add and divide
            """,
            """
            a, b = math.sqrt(low), math.sqrt(high)
            rate = ...                      # √μ, from (1 − √μ) / (1 + √μ) = a / b
            return 4 / (a + b) ** 2, rate**2, rate
            """,
        ),
        wrong=(
            Wrong(_ball_plain, "plain gradient descent's rate"),
            Wrong(_ball_mu_is_rate, "the momentum is its square"),
            Wrong(_ball_plain_eta, "momentum allows more"),
            Wrong(_ball_loss_rate, "how the loss shrinks"),
        ),
    ),
    Exercise(
        id="optimization.noise_floor",
        title="The noise floor of SGD",
        stub=noise_floor_stub,
        solution=noise_floor,
        check=check_noise_floor,
        hints=(
            "In the steady state the variance of w is the same before and after a step.",
            """
            w ← (1 − ηλ) w − ησ·(noise of variance 1), and the noise is independent of w
            variance = (1 − ηλ)² · variance + η²σ²: solve it
            the mean loss is ½ λ · variance; from ηλ = 2 on there is no steady state
            """,
            """
            if eta * lam >= 2:
                return math.inf
            variance = ... / (lam * (2 - eta * lam))
            return 0.5 * lam * variance
            """,
        ),
        wrong=(
            Wrong(_floor_small, "right for small"),
            Wrong(_floor_variance, "variance of w"),
            Wrong(_floor_half, "½ of the loss"),
            Wrong(_floor_no_limit, "infinite"),
        ),
    ),
    Exercise(
        id="optimization.hessian_vector",
        title="A Hessian times a vector, without the Hessian",
        stub=hessian_vector_stub,
        solution=hessian_vector,
        check=check_hessian_vector,
        hints=(
            "g · v is a number. Its gradient by w is Hv, if v is held still.",
            """
            g = gradient of the loss, itself kept differentiable
            Hv = gradient of the number g · v
            """,
            """
            w = w.detach().requires_grad_()
            (g,) = torch.autograd.grad(loss(w), w, create_graph=...)
            (Hv,) = torch.autograd.grad(..., w)
            return Hv
            """,
        ),
        wrong=(
            Wrong(_hvp_difference, "not exact"),
            Wrong(_hvp_central, "not exact"),
            Wrong(_hvp_cut, "create_graph"),
            Wrong(_hvp_outer, "outer product"),
            Wrong(_hvp_diagonal, "diagonal"),
            Wrong(_hvp_elementwise, "element by element"),
        ),
    ),
)
