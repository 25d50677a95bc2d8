"""Surprise, entropy, cross-entropy, divergence, perplexity: the course's units.

Everything is in nats (natural logarithm) until `bits` converts it for display.
"""

import math
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

__all__ = ["bits", "bits_per_byte", "cross_entropy", "entropy", "kl", "perplexity"]

Array = np.ndarray | Tensor
Nats = TypeVar("Nats", float, int, np.ndarray, Tensor, np.floating)


def bits(nats: Nats) -> Nats:
    """Nats to bits: one bit is log 2 = 0.693 nats.

    >>> bits(math.log(8))
    3.0
    """
    return nats / math.log(2)


def _distributions(*arrays: Array | list[float]) -> list[Tensor]:
    """The arguments as float tensors of at least double's care, checked to be distributions."""
    out = []
    for name, array in zip("pq", arrays, strict=False):
        t = array if isinstance(array, Tensor) else torch.as_tensor(np.asarray(array))
        # A bfloat16 logarithm is good to two digits: count in double.
        t = t.double()
        if t.ndim == 0 or t.shape[-1] == 0:
            raise ValueError(f"{name} needs at least one outcome, got shape {tuple(t.shape)}")
        if not bool((t >= 0).all()):  # also catches NaN
            raise ValueError(f"{name} must be non-negative, got a minimum of {float(t.min())}")
        total = t.sum(-1)
        if not bool(((total - 1).abs() < 1e-2).all()):
            worst = float(total.flatten()[(total - 1).abs().argmax()])
            raise ValueError(f"{name} must sum to 1 over its last axis, got a sum of {worst}")
        out.append(t)
    if len(out) == 2 and out[0].shape[-1] != out[1].shape[-1]:
        sizes = [t.shape[-1] for t in out]
        raise ValueError(f"p and q must have the same outcomes, got {sizes[0]} and {sizes[1]}")
    return out


def _like(result: Tensor, source: object) -> Array | float:
    """A tensor for tensors, an array for arrays, a float for one number of either's lists."""
    if isinstance(source, Tensor):
        return result
    return float(result) if result.ndim == 0 else result.numpy()


def entropy(p: Array | list[float]) -> Array | float:
    """Mean surprise of a distribution under itself, in nats, over the last axis.

    H(p) = −Σ p log p, with 0 log 0 = 0. Shannon (1948), section 6.

    Raises:
        ValueError: `p` is empty, negative somewhere, or does not sum to 1.

    >>> bits(entropy([0.5, 0.25, 0.25]))
    1.5
    """
    (t,) = _distributions(p)
    return _like(-torch.special.xlogy(t, t).sum(-1), p)


def cross_entropy(p: Array | list[float], q: Array | list[float]) -> Array | float:
    """Mean surprise of draws from `p` to a reader who believes `q`, in nats, over the last axis.

    H(p, q) = −Σ p log q; infinite where `q` forbids what `p` allows.

    Raises:
        ValueError: as for `entropy`, or the two have different numbers of outcomes.

    >>> bits(cross_entropy([0.5, 0.5], [0.25, 0.75])) > 1
    True
    """
    a, b = _distributions(p, q)
    return _like(-torch.special.xlogy(a, b).sum(-1), p)


def kl(p: Array | list[float], q: Array | list[float]) -> Array | float:
    """What believing `q` costs when `p` is true: H(p, q) − H(p), in nats, never negative.

    Kullback and Leibler (1951). Not symmetric.

    >>> kl([1.0, 0.0], [0.5, 0.5]) == math.log(2)
    True
    """
    a, b = _distributions(p, q)
    # Term by term, so that equal distributions give exactly 0.
    terms = torch.special.xlogy(a, a) - torch.special.xlogy(a, b)
    return _like(terms.sum(-1).clamp(min=0), p)


def perplexity(nats_per_token: float) -> float:
    """The number of equally likely tokens that would surprise as much: exp of nats per token.

    Infinite where the mean surprise is, or where the exponential overflows.

    >>> round(perplexity(math.log(50)))
    50
    """
    nats = float(nats_per_token)
    # Rounding may leave a certain event at −1e-16; anything lower is a mistake.
    if math.isnan(nats) or nats < -1e-9:
        raise ValueError(f"mean surprise must be a number ≥ 0, got {nats}")
    try:
        return math.exp(nats)
    except OverflowError:
        return math.inf


def bits_per_byte(total_nats: float, n_bytes: int) -> float:
    """Bits a byte of UTF-8 text costs: comparable across tokenizers, unlike perplexity.

    Raises:
        ValueError: no bytes, so a mean has no meaning; or a negative total.

    >>> bits_per_byte(8 * math.log(2), n_bytes=4)
    2.0
    """
    if n_bytes <= 0:
        raise ValueError(f"bits per byte needs at least one byte of text, got {n_bytes}")
    if math.isnan(total_nats) or total_nats < 0:
        raise ValueError(f"total surprise must be a number ≥ 0, got {total_nats}")
    return bits(float(total_nats)) / n_bytes
