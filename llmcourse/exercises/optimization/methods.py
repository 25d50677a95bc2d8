"""Adam's and Muon's own steps: exercises of `math/optimization`."""

import math

import torch

from llmcourse.exercises.core import Exercise, Wrong, close

__all__ = ["EXERCISES"]

# ---- Adam's bias correction -------------------------------------------------------------------


def correction_stub(betas):
    raise NotImplementedError


def correction(betas):
    return 1 - math.prod(betas)


def check_correction(answer):
    for betas in ([0.9], [0.9] * 5, [0.5, 0.8, 0.95], [0.99, 0.9]):
        m = 0.0
        for beta in betas:  # a gradient that is always 1: its mean is known
            m = beta * m + (1 - beta) * 1.0
        t, last = len(betas), betas[-1]
        close(
            answer(list(betas)),
            m,
            f"with β = {betas} and a gradient that is always 1, m is {m:.4f}: that is the divisor",
            suspects={
                "that is what is left of the start m₀ = 0: take it from 1": math.prod(betas),
                "that is the factor to multiply by; asked is what m is divided by": 1 / m,
                "one step too few: after the first step m already holds 1 − β₁ of a gradient": (
                    1 - math.prod(betas[:-1])
                ),
                "β changes here: the last one to the power t is not the product of all": (
                    1 - last**t
                ),
                "that is the weight of the last gradient alone; earlier ones count too": 1 - last,
                "β changes here: the first one to the power t is not the product of all": (
                    1 - betas[0] ** t
                ),
                "β changes here: a mean β to the power t is not the product of all": (
                    1 - (sum(betas) / t) ** t
                ),
                "what is left of the start shrinks by a factor β a step: multiply the β": (
                    1 - sum(betas)
                ),
                "take the product of the β from 1, not the product of the 1 − β": math.prod(
                    1 - beta for beta in betas
                ),
            },
        )


def _correction_product(betas):
    return math.prod(betas)


def _correction_power(betas):
    return 1 - betas[-1] ** len(betas)


def _correction_late(betas):
    return 1 - math.prod(betas[:-1])


def _correction_last(betas):
    return 1 - betas[-1]


# ---- orthogonalise ----------------------------------------------------------------------------


def orthogonalise_stub(G, steps):
    raise NotImplementedError


def orthogonalise(G, steps):
    X = G / G.norm()
    for _ in range(steps):
        X = 1.5 * X - 0.5 * X @ X.mT @ X
    return X


def check_orthogonalise(answer):
    g = torch.Generator().manual_seed(0)
    G = 5 * torch.randn(4, 6, generator=g, dtype=torch.float64)
    unit = G / G.norm()
    close(
        answer(G.clone(), 0),
        unit,
        "with 0 steps only the start is left: G divided by its Frobenius norm",
        suspects={
            "G is not divided by its norm: from singular values above √3 the iteration no longer "
            "leads to 1": G,
            "divided by its largest element, G may still have a singular value above √3": G
            / G.abs().max(),
            "that start would do, but it needs singular values: the Frobenius norm is cheaper, and "
            "never smaller": G / torch.linalg.matrix_norm(G, 2),
        },
    )
    one = 1.5 * unit - 0.5 * unit @ unit.mT @ unit
    close(
        answer(G.clone(), 1),
        one,
        "wrong after one step",
        suspects={
            "the cube is taken element by element; it must be the matrix product X Xᵀ X": 1.5 * unit
            - 0.5 * unit**3,
            "the sign of the cubic term is wrong: large singular values must come down": 1.5 * unit
            + 0.5 * unit @ unit.mT @ unit,
            "the ½ of the cubic term is missing, so 1 is no fixed point": 1.5 * unit
            - unit @ unit.mT @ unit,
            "these are Muon's coefficients, which end about 1; asked are 3/2 and −1/2": _muon(unit),
        },
    )
    for shape in ((4, 6), (6, 4), (3, 3)):
        G = torch.randn(shape, generator=g, dtype=torch.float64)
        U, _, Vh = torch.linalg.svd(G, full_matrices=False)
        close(
            answer(G.clone(), 60),
            U @ Vh,
            f"after 60 steps on a {shape[0]} × {shape[1]} matrix it should be UVᵀ",
            atol=1e-6,
        )


def _muon(X):
    A = X @ X.mT
    return 3.4445 * X + (-4.7750 * A + 2.0315 * A @ A) @ X


def _ortho_raw(G, steps):
    X = G
    for _ in range(steps):
        X = 1.5 * X - 0.5 * X @ X.mT @ X
    return X


def _ortho_elementwise(G, steps):
    X = G / G.norm()
    for _ in range(steps):
        X = 1.5 * X - 0.5 * X**3
    return X


def _ortho_sign(G, steps):
    X = G / G.norm()
    for _ in range(steps):
        X = 1.5 * X + 0.5 * X @ X.mT @ X
    return X


EXERCISES = (
    Exercise(
        id="optimization.correction",
        title="Adam's bias correction when β changes",
        stub=correction_stub,
        solution=correction,
        check=check_correction,
        hints=(
            "Give the mean a gradient that is always 1. Whatever it then holds is the divisor.",
            """
            1 − mₜ = βₜ (1 − mₜ₋₁): the gap to 1 shrinks by βₜ at each step
            before the first step the gap is 1
            """,
            "return 1 - math.prod(...)",
        ),
        wrong=(
            Wrong(_correction_product, "what is left of the start"),
            Wrong(_correction_power, "not the product of all"),
            Wrong(_correction_late, "one step too few"),
            Wrong(_correction_last, "earlier ones count too"),
        ),
    ),
    Exercise(
        id="optimization.orthogonalise",
        title="Orthogonalise by matrix products",
        stub=orthogonalise_stub,
        solution=orthogonalise,
        check=check_orthogonalise,
        hints=(
            "An odd polynomial of a matrix, X Xᵀ X and its like, keeps the singular vectors and "
            "acts on each singular value as on a number.",
            """
            X = G / its Frobenius norm, so that no singular value is above 1
            repeat: each singular value s becomes 1.5 s − 0.5 s³
            """,
            """
            X = G / G.norm()
            for _ in range(steps):
                X = 1.5 * X - ...
            return X
            """,
        ),
        wrong=(
            Wrong(_ortho_raw, "not divided by its norm"),
            Wrong(_ortho_elementwise, "element by element"),
            Wrong(_ortho_sign, "sign of the cubic term"),
        ),
    ),
)
