"""Scaling laws: a loss fitted to sizes and amounts of data, and the best split of a budget.

    L(N, D) = E + A / N^α + B / D^β

N counts parameters, D tokens; E is what no size and no data remove. Hoffmann et al. (2022),
approach 3; the fit, as theirs, makes the Huber loss of log-residuals small from several starts.

Example:
    >>> law = Law(E=1.69, A=406.4, B=410.7, alpha=0.34, beta=0.28)
    >>> round(law.loss(70e9, 1.4e12), 3)
    1.937
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Law", "fit", "intervals", "kv_cache_bytes", "training_bytes"]

Numbers = Sequence[float] | np.ndarray


@dataclass(frozen=True, kw_only=True)
class Law:
    """L(N, D) = E + A / N^alpha + B / D^beta, in the unit of the losses it was fitted to."""

    E: float
    A: float
    B: float
    alpha: float
    beta: float

    def loss(self, N, D):
        """The loss at N parameters and D tokens: numbers, or arrays that broadcast."""
        return self.E + self.A / N**self.alpha + self.B / D**self.beta

    def optimal(self, C, flops: float = 6.0):
        """The N and D of lowest loss whose training costs C = flops · N · D operations."""
        if not flops > 0:
            raise ValueError(f"flops must be above 0, got {flops}")
        total = self.alpha + self.beta
        G = (self.alpha * self.A / (self.beta * self.B)) ** (1 / total)
        return G * (C / flops) ** (self.beta / total), (C / flops) ** (self.alpha / total) / G


def _terms(theta: np.ndarray, n: np.ndarray, d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log of the law (P, points), and each term's share of it (P, 3, points)."""
    e, a, b, alpha, beta = (theta[:, i, None] for i in range(5))
    logs = np.stack([e + 0 * n, a - alpha * n, b - beta * d], axis=1)
    top = logs.max(1, keepdims=True)
    parts = np.exp(logs - top)
    total = parts.sum(1, keepdims=True)
    return (top + np.log(total))[:, 0], parts / total


def _huber(r: np.ndarray, delta: float) -> np.ndarray:
    size = np.abs(r)
    return np.where(size <= delta, r**2 / 2, delta * (size - delta / 2))


def _descend(theta, n, d, y, weight, delta: float, iterations: int):
    """Levenberg-Marquardt on Huber's loss, many fits at once: theta (P, 5), weight (P, points)."""

    def objective(theta):
        return (weight * _huber(y - _terms(theta, n, d)[0], delta)).sum(1)

    damp = np.full(len(theta), 1e-2)
    cost = objective(theta)
    for _ in range(iterations):
        log_loss, share = _terms(theta, n, d)
        r = y - log_loss
        J = np.stack([share[:, 0], share[:, 1], share[:, 2], -share[:, 1] * n, -share[:, 2] * d], 2)
        w = weight * np.minimum(1.0, delta / np.maximum(np.abs(r), 1e-300))
        H = np.einsum("pki,pk,pkj->pij", J, w, J)
        scale = np.einsum("pii->pi", H) + 1e-12
        H = H + (damp[:, None] * scale)[:, :, None] * np.eye(5)
        step = np.linalg.solve(H, np.einsum("pki,pk,pk->pi", J, w, r)[..., None])[..., 0]
        tried = theta + np.clip(step, -2, 2)
        tried[:, 3:] = np.clip(tried[:, 3:], 1e-3, 5)  # a power that falls, and no cliff
        new = objective(tried)
        better = new < cost
        theta = np.where(better[:, None], tried, theta)
        cost = np.where(better, new, cost)
        damp = np.clip(np.where(better, damp / 3, damp * 4), 1e-9, 1e6)
    return theta, cost


def _starts(n, d, y) -> np.ndarray:
    """Guesses: how much of the lowest loss is the floor, and how steep the two powers are."""
    out = []
    for share, alpha, beta in itertools.product((0.3, 0.7, 0.95), (0.3, 0.9), (0.3, 0.9)):
        floor = share * np.exp(y.min())
        rest = np.log((np.exp(y) - floor).mean() / 2)
        out.append((np.log(floor), rest, rest, alpha, beta))
    return np.array(out)


def _solve(N, D, L, weight: np.ndarray, delta: float, iterations: int) -> list[Law]:
    """One law for each row of weights: the best of several starts."""
    n, d, y = np.log(N), np.log(D), np.log(L)
    n0, d0 = n.mean(), d.mean()  # centred, or amplitude and exponent can hardly be told apart
    starts = _starts(n, d, y)
    rows, many = len(weight), len(starts)
    theta = np.tile(starts, (rows, 1))
    theta, cost = _descend(
        theta, n - n0, d - d0, y, np.repeat(weight, many, axis=0), delta, iterations
    )
    best = cost.reshape(rows, many).argmin(1) + many * np.arange(rows)
    e, a, b, alpha, beta = theta[best].T
    fitted = np.exp([e, a + alpha * n0, b + beta * d0])
    return [
        Law(E=float(E), A=float(A), B=float(B), alpha=float(p), beta=float(q))
        for E, A, B, p, q in zip(*fitted, alpha, beta, strict=True)
    ]


def _checked(N, D, L) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    N, D, L = (np.asarray(v, dtype=np.float64) for v in (N, D, L))
    if not N.shape == D.shape == L.shape or N.ndim != 1 or len(N) < 5:
        raise ValueError(
            f"five constants need at least 5 points, one N, D and L each, "
            f"got shapes {N.shape}, {D.shape} and {L.shape}"
        )
    if not (N > 0).all() or not (D > 0).all() or not (L > 0).all():
        raise ValueError("N, D and L must be above 0: the fit takes their logarithms")
    return N, D, L


def fit(
    N: Numbers, D: Numbers, L: Numbers,
    *, delta: float = 1e-3, iterations: int = 400,
) -> Law:  # fmt: skip
    """The law nearest to the points, by Huber's loss of log L with threshold `delta`.

    Raises:
        ValueError: fewer than five points, sequences of unlike length, or a value not above 0.
    """
    N, D, L = _checked(N, D, L)
    return _solve(N, D, L, np.ones((1, len(N))), delta, iterations)[0]


def intervals(
    N: Numbers, D: Numbers, L: Numbers,
    *, groups: Sequence | np.ndarray | None = None, draws: int = 200, level: float = 0.95,
    seed: int = 0, delta: float = 1e-3, iterations: int = 150,
) -> dict[str, tuple[float, float]]:  # fmt: skip
    """Bootstrap interval of each constant: the points drawn again with replacement.

    With `groups` (a label a point) whole groups are drawn: points that share a run err together.
    The interval speaks of the noise about this form, not of whether the form is true.
    """
    N, D, L = _checked(N, D, L)
    chance = np.random.default_rng(seed)
    labels = np.arange(len(N)) if groups is None else np.unique(groups, return_inverse=True)[1]
    kinds = labels.max() + 1
    drawn = chance.multinomial(kinds, np.full(kinds, 1 / kinds), size=draws)
    # Two groups cannot place a curve with a floor: such a draw says nothing of the constants.
    drawn = drawn[(drawn > 0).sum(1) >= 3]
    laws = _solve(N, D, L, drawn[:, labels].astype(float), delta, iterations)
    ends = ((1 - level) / 2, (1 + level) / 2)
    return {
        name: tuple(float(q) for q in np.quantile([getattr(law, name) for law in laws], ends))
        for name in ("E", "A", "B", "alpha", "beta")
    }


def kv_cache_bytes(
    *, layers: int, kv_heads: int, head_width: int, length: int, batch: int = 1, size: int = 2
) -> int:
    """Bytes of the keys and values of `length` positions; `size` bytes a number."""
    return 2 * layers * kv_heads * head_width * length * batch * size


def training_bytes(parameters: int, *, master: bool = True) -> dict[str, int]:
    """Bytes that mixed-precision Adam keeps beside activations: 16 a parameter (ZeRO's count).

    Two for the 16-bit weight, two for its gradient, and in 32 bits the two means of Adam and,
    with `master`, the weight that is updated. Rajbhandari et al. (2020), section 3.1.
    """
    parts = {"weights": 2, "gradients": 2, "first moment": 4, "second moment": 4}
    if master:
        parts["master weights"] = 4
    return {name: size * parameters for name, size in parts.items()}
