"""The gradients of the two divergences, judged by finite differences."""

import numpy as np

from llmcourse.exercises.core import Exercise, Wrong, close

__all__ = ["GRADIENTS"]


def _softmax(z):
    q = np.exp(z - np.max(z))
    return q / q.sum()


def _slope(height, z, step=1e-5):
    """The gradient of `height` at z by central differences, (V,)."""
    return np.array([(height(z + n) - height(z - n)) / (2 * step) for n in step * np.eye(len(z))])


def cover_gradient_stub(z, p, tau):
    raise NotImplementedError


def cover_gradient(z, p, tau):
    q = np.exp((z - np.max(z)) / tau)
    return (q / q.sum() - p) / tau


Z = np.array([1.2, -0.4, 0.3, -1.5])
P = np.array([0.1, 0.55, 0.15, 0.2])


def check_cover_gradient(answer):
    tau = 1.7
    want = _slope(lambda z: float((P * np.log(P / _softmax(z / tau))).sum()), Z)
    q = _softmax(Z / tau)
    close(
        answer(Z, P, tau),
        want,
        f"differs from finite differences at z = {Z.tolist()}, p = {P.tolist()}, τ = {tau}",
        atol=1e-7,
        suspects={
            "the factor 1 / τ is missing: z stands inside z / τ, so the chain rule gives one "
            "more": q - P,
            "the sign is wrong: a step along this would raise the divergence": (P - q) / tau,
            "τ is missing inside the softmax: q belongs to z / τ": (_softmax(Z) - P) / tau,
            "τ is left out altogether": _softmax(Z) - P,
            "only the diagonal of the softmax's Jacobian is used: raising one logit lowers all "
            "the other probabilities": -P * (1 - q) / tau,
            "τ multiplies where it must divide: the derivative of z / τ is 1 / τ": (q - P) * tau,
            "τ multiplies z where it must divide": (_softmax(Z * tau) - P) / tau,
            "this is the derivative by q; the softmax's Jacobian is still to come": -P / q / tau,
            "the softmax's factor q has been used up: p / q times q is p": q * (q - P) / tau,
            "this is in bits; the exercise asks for nats": (q - P) / tau / np.log(2),
            "it is divided by V: a divergence is a sum over the outcomes, not a mean": (
                (q - P) / tau / len(P)
            ),
            "the chain rule gives 1 / τ once, not twice": (q - P) / tau**2,
        },
    )
    zero = np.array([0.0, 1.0, 0.0, 0.0])
    close(
        answer(Z, zero, tau),
        (q - zero) / tau,
        "wrong where p is 0 for some outcomes: 0 log 0 counts as 0, and the gradient is finite",
    )
    close(
        answer(Z + 2000.0, P, tau),
        want,
        "a constant added to all logits changes nothing, and must not overflow",
        atol=1e-7,
    )
    q = np.array([1.0, 0.0, 0.0, 0.0])
    far = answer(1500.0 * q, P, tau)
    close(far, (q - P) / tau, "logits that lie far apart overflow: take away the largest")


def _cover_no_factor(z, p, tau):
    return _softmax(z / tau) - p


def _cover_sign(z, p, tau):
    return -cover_gradient(z, p, tau)


def _cover_cold(z, p, tau):
    return (_softmax(z) - p) / tau


def _cover_diagonal(z, p, tau):
    return -p * (1 - _softmax(z / tau)) / tau


def _cover_overflows(z, p, tau):
    with np.errstate(over="ignore", invalid="ignore"):
        q = np.exp(z / tau)
        return (q / q.sum() - p) / tau


def seek_gradient_stub(z, p):
    raise NotImplementedError


def seek_gradient(z, p):
    q = np.exp(z - np.max(z))
    q = q / q.sum()
    ratio = np.log(q / p)
    return q * (ratio - (q * ratio).sum())


def check_seek_gradient(answer):
    def height(z):
        q = _softmax(z)
        return float((q * np.log(q / P)).sum())

    want, q = _slope(height, Z), _softmax(Z)
    ratio = np.log(q / P)
    got = answer(Z, P)
    close(
        got,
        want,
        f"differs from finite differences at z = {Z.tolist()}, p = {P.tolist()}",
        atol=1e-7,
        suspects={
            "the term − q D(q ‖ p) is missing: raising one logit takes from all the others, which "
            "the softmax's row of the Jacobian says": q * ratio,
            "this is the derivative by q, not by z: the softmax's Jacobian is still to come": ratio
            + 1,
            "the + 1 of the derivative of q log q is left over: under the softmax's Jacobian a "
            "constant cancels": q * (ratio + 1 - (q * ratio).sum()),
            "this is the gradient of D(p ‖ q), the other direction": q - P,
            "the factor q is missing: outcome j moves in proportion to q_j": ratio
            - (q * ratio).sum(),
            "the mean of the ratios is taken under q, not under p": q * (ratio - (P * ratio).sum()),
            "the mean of the ratios has the weights q; this one counts all alike": q
            * (ratio - ratio.mean()),
            "the mean of the ratios must be taken away, not added": q * (ratio + (q * ratio).sum()),
            "only the diagonal of the softmax's Jacobian is used: raising one logit lowers all "
            "the other probabilities": q * (1 - q) * (ratio + 1),
            "the rest of the Jacobian is missing, − q_i q_j: raising one logit lowers all the "
            "others": q * (ratio + 1),
            "this is in bits; the exercise asks for nats": want / np.log(2),
            "the sign is wrong: a step along this would raise the divergence": -want,
            "only log q is there: log p must be taken away (this is minus the entropy's "
            "gradient)": q * (np.log(q) - (q * np.log(q)).sum()),
        },
    )
    close(float(np.sum(got)), 0.0, "the entries must sum to 0: a constant in z changes nothing")
    close(answer(np.log(P), P), np.zeros(4), "at q = p the gradient is 0", atol=1e-9)
    close(answer(Z + 2000.0, P), want, "large logits overflow: take away the largest", atol=1e-7)
    far = answer(np.array([720.0, 0.0, 0.0, 0.0]), P)
    close(far, np.zeros(4), "logits that lie far apart overflow: take away the largest")


def _seek_no_mean(z, p):
    q = _softmax(z)
    return q * np.log(q / p)


def _seek_by_q(z, p):
    return np.log(_softmax(z) / p) + 1


def _seek_left_over(z, p):
    return seek_gradient(z, p) + _softmax(z)


def _seek_other_direction(z, p):
    return _softmax(z) - p


def _seek_entropy(z, p):
    return seek_gradient(z, np.full(len(z), 1 / len(z)))


GRADIENTS = (
    Exercise(
        id="information.cover_gradient",
        title="The gradient of D(p ‖ softmax(z / τ))",
        stub=cover_gradient_stub,
        solution=cover_gradient,
        check=check_cover_gradient,
        hints=(
            "The entropy of p does not depend on z, so only −Σ p log q is left, and log q is "
            "z / τ minus the logarithm of a sum of exponentials. What is the derivative of each?",
            """
            log q_i = z_i / τ − log Σ_j exp(z_j / τ)
            its derivative by z_j is ([i = j] − q_j) / τ
            take minus the mean of that under p; the p_i sum to 1
            """,
            """
            q = np.exp((z - np.max(z)) / tau)
            return (q / q.sum() - ...) / ...
            """,
        ),
        wrong=(
            Wrong(_cover_no_factor, "factor 1 / τ"),
            Wrong(_cover_sign, "raise the divergence"),
            Wrong(_cover_cold, "inside the softmax"),
            Wrong(_cover_diagonal, "only the diagonal"),
            Wrong(_cover_overflows, "must not overflow"),
        ),
    ),
    Exercise(
        id="information.seek_gradient",
        title="The gradient of D(softmax(z) ‖ p)",
        stub=seek_gradient_stub,
        solution=seek_gradient,
        check=check_seek_gradient,
        hints=(
            "First the derivative of Σ q log(q / p) by q_i, two terms by the product rule. Then "
            "the softmax's Jacobian. One of the two terms is a constant: what does the Jacobian "
            "do to a constant?",
            """
            derivative by q_i: log(q_i / p_i) + 1
            by z_j: Σ_i (log(q_i / p_i) + 1) q_i ([i = j] − q_j)
            the 1 cancels; the rest is q_j times (own ratio − mean ratio under q)
            """,
            """
            q = softmax of z
            ratio = np.log(q / p)
            return q * (ratio - ...)
            """,
        ),
        wrong=(
            Wrong(_seek_no_mean, "− q D(q ‖ p) is missing"),
            Wrong(_seek_by_q, "by q, not by z"),
            Wrong(_seek_left_over, "left over"),
            Wrong(_seek_other_direction, "the other direction"),
            Wrong(_seek_entropy, "only log q"),
        ),
    ),
)
