"""What a model gives away of its training text, and training that bounds it.

Exposure says how far above chance a planted secret (a canary) ranks among all secrets it might
have been: Carlini et al. (2019). Differentially private SGD clips each example's gradient and adds
Gaussian noise (Abadi et al., 2016); the accountant says what that promises, by Rényi divergences
of the subsampled Gaussian (Mironov, Talwar and Zhang, 2019) turned to (epsilon, delta) as in
Canonne, Kamath and Steinke (2020).

Example:
    >>> exposure([3.0, 1.0, 2.0, 4.0], 1)  # the least surprising of four
    2.0
    >>> round(epsilon(noise=1.0, share=0.01, steps=1000, delta=1e-5), 2)
    2.11
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["epsilon", "exposure", "poisson_batch", "private_gradient", "renyi"]

ORDERS = (*range(2, 65), 80, 96, 128, 192, 256, 512)


def exposure(surprise: Sequence[float] | np.ndarray, secret: int) -> float:
    """Exposure in bits: log2 of the number of candidates less log2 of the secret's rank.

    `surprise` holds a model's -log p of every candidate. Rank 1 is the least surprising; a tie
    counts against the secret, so a model that knows nothing exposes nothing.

    Raises:
        ValueError: no candidates, a secret that is none of them, or a NaN.
    """
    values = np.asarray(surprise, dtype=float)
    if values.ndim != 1 or not 0 <= secret < len(values):
        raise ValueError(f"secret must be one of the {values.size} candidates, got {secret}")
    if np.isnan(values).any():
        raise ValueError("surprise must hold numbers, got NaN")
    rank = int((values <= values[secret]).sum())
    return math.log2(len(values)) - math.log2(rank)


def renyi(order: int, noise: float, share: float) -> float:
    """Rényi divergence, in nats, of one step with Poisson-sampled examples.

    Args:
        order: alpha, a whole number of at least 2.
        noise: standard deviation of the noise in units of the clipping norm, sigma.
        share: probability with which an example is in the batch, q.
    """
    if order < 2 or order != int(order):
        raise ValueError(f"order must be a whole number of at least 2, got {order}")
    if not noise > 0:
        raise ValueError(f"noise must be above 0, got {noise}")
    if not 0 <= share <= 1:
        raise ValueError(f"share must lie in 0..1, got {share}")
    if share == 0:
        return 0.0
    if share == 1:
        return order / (2 * noise**2)
    terms = [
        math.lgamma(order + 1)
        - math.lgamma(k + 1)
        - math.lgamma(order - k + 1)
        + k * math.log(share)
        + (order - k) * math.log1p(-share)
        + (k * k - k) / (2 * noise**2)
        for k in range(order + 1)
    ]
    return float(np.logaddexp.reduce(terms)) / (order - 1)


def epsilon(
    *, noise: float, share: float, steps: int, delta: float, orders: Sequence[int] = ORDERS
) -> float:
    """The least epsilon at `delta` over the orders, after `steps` steps."""
    if not 0 < delta < 1:
        raise ValueError(f"delta must lie between 0 and 1, got {delta}")
    if steps < 0:
        raise ValueError(f"steps must be at least 0, got {steps}")
    if steps == 0 or share == 0:
        return 0.0
    best = math.inf
    for a in orders:
        spent = steps * renyi(a, noise, share)
        best = min(best, spent + math.log1p(-1 / a) - math.log(delta * a) / (a - 1))
    return max(0.0, best)


def poisson_batch(n: int, share: float, generator: torch.Generator) -> list[int]:
    """Which of `n` examples are in this step's batch: each by its own coin, perhaps none."""
    return (torch.rand(n, generator=generator) < share).nonzero().flatten().tolist()


def private_gradient(
    model: nn.Module,
    examples: Sequence[tuple[Tensor, Tensor]],
    *,
    clip: float,
    noise: float,
    expected: float,
    generator: torch.Generator,
) -> list[float]:
    """Leaves in each parameter's `.grad` the clipped, noised mean of the examples' gradients.

    Args:
        examples: inputs and targets, both (1, T); an example is what one person gave.
        clip: largest norm one example's gradient may have.
        noise: standard deviation in units of `clip`.
        expected: the batch size on average. Dividing by the true one would tell who is in it.

    Returns:
        Each example's norm before clipping.
    """
    if not clip > 0 or not expected > 0 or noise < 0:
        raise ValueError(
            f"clip, expected must be above 0, noise at least 0: got {clip}, {expected}, {noise}"
        )
    weights = [p for p in model.parameters() if p.requires_grad]
    total = [torch.zeros_like(p) for p in weights]
    norms = []
    for x, y in examples:
        loss = model(x, y)[1]
        parts = torch.autograd.grad(loss, weights)
        norm = float(torch.stack([g.norm() for g in parts]).norm())
        norms.append(norm)
        for t, g in zip(total, parts, strict=True):
            t.add_(g, alpha=min(1.0, clip / max(norm, 1e-12)))
    for p, t in zip(weights, total, strict=True):
        shock = torch.randn(p.shape, generator=generator, dtype=p.dtype)
        p.grad = (t + noise * clip * shock) / expected
    return norms
