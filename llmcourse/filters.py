"""What turns next-token logits into the distribution that is drawn from.

Each filter is a pure function on the last axis; a token it forbids gets −inf. `Sampling` names a
choice of filters and applies them in Hugging Face's order: repetition, temperature, top-k, top-p,
min-p. Among equal logits the lower id comes first, everywhere.

Example:
    >>> top_k(torch.tensor([1.0, 3.0, 2.0]), 2)
    tensor([-inf, 3., 2.])
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = [
    "Sampling",
    "draw",
    "greedy",
    "min_p",
    "repetition_penalty",
    "temperature",
    "top_k",
    "top_p",
]


def greedy(logits: Float[Tensor, "*batch V"]) -> Int[Tensor, "*batch"]:
    """The most probable id; the lowest of equals."""
    # argmax promises nothing about ties: the first place that equals the maximum is asked for.
    top = logits == logits.amax(-1, keepdim=True)
    return top.int().argmax(-1)


def temperature(logits: Float[Tensor, "*batch V"], t: float) -> Float[Tensor, "*batch V"]:
    """Logits divided by t: below 1 sharper, above 1 flatter, at 0 only the greedy token is left.

    Raises:
        ValueError: t is negative or not finite.
    """
    if not (math.isfinite(t) and t >= 0):
        raise ValueError(f"temperature must be finite and at least 0, got {t}")
    if t == 0:
        keep = torch.zeros_like(logits, dtype=torch.bool)
        keep.scatter_(-1, greedy(logits).unsqueeze(-1), True)
        return torch.zeros_like(logits).masked_fill(~keep, -torch.inf)
    # The peak is moved to 0 first: at tiny t the quotient would overflow to inf − inf.
    return logits if t == 1 else (logits - logits.amax(-1, keepdim=True)) / t


def top_k(logits: Float[Tensor, "*batch V"], k: int) -> Float[Tensor, "*batch V"]:
    """Keep the k most probable tokens, exactly k where some are equal. Fan et al. (2018).

    Raises:
        ValueError: k is not a whole number of at least 1.
    """
    if isinstance(k, bool) or k != int(k) or k < 1:
        raise ValueError(f"top_k must be a whole number of at least 1, got {k}")
    if k >= logits.shape[-1]:
        return logits
    floor = logits.topk(int(k)).values[..., -1:]
    above, level = logits > floor, logits == floor
    room = k - above.sum(-1, keepdim=True)
    return logits.masked_fill(~(above | (level & (level.cumsum(-1) <= room))), -torch.inf)


def top_p(logits: Float[Tensor, "*batch V"], p: float) -> Float[Tensor, "*batch V"]:
    """Keep the fewest most probable tokens whose probabilities sum to p or more.

    The nucleus of Holtzman et al. (2020). The most probable token always stays.

    Raises:
        ValueError: p is not above 0 and at most 1.
    """
    if not 0 < p <= 1:
        raise ValueError(f"top_p must be above 0 and at most 1, got {p}")
    if p == 1:
        return logits
    sorted_logits, order = logits.sort(dim=-1, descending=True, stable=True)
    probs = sorted_logits.softmax(-1)
    drop = probs.cumsum(-1) - probs >= p  # those before it reach p already
    drop[..., 0] = False
    return logits.masked_fill(drop.gather(-1, order.argsort(-1)), -torch.inf)


def min_p(logits: Float[Tensor, "*batch V"], p: float) -> Float[Tensor, "*batch V"]:
    """Keep tokens at least p times as probable as the most probable one. Nguyen et al. (2025).

    Raises:
        ValueError: p is not between 0 and 1.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"min_p must be between 0 and 1, got {p}")
    if p == 0:
        return logits
    return logits.masked_fill(logits < logits.amax(-1, keepdim=True) + math.log(p), -torch.inf)


def repetition_penalty(
    logits: Float[Tensor, " V"], ids: Sequence[int], penalty: float
) -> Float[Tensor, " V"]:
    """Make each id that has occurred less likely: positive logits / penalty, negative × penalty.

    Keskar et al. (2019). It is no function of the distribution: adding a constant to all logits
    changes what it does.

    Raises:
        ValueError: `penalty` is not finite and above 0.
    """
    if not (math.isfinite(penalty) and penalty > 0):
        raise ValueError(f"repetition must be finite and above 0, got {penalty}")
    if penalty == 1 or not len(ids):
        return logits
    seen = torch.tensor(sorted(set(ids)), device=logits.device)
    score = logits[seen]
    out = logits.clone()
    out[seen] = torch.where(score > 0, score / penalty, score * penalty)
    return out


def draw(
    logits: Float[Tensor, "*batch V"], generator: torch.Generator | None
) -> Int[Tensor, "*batch"]:
    """One id from softmax(logits) for each row.

    Raises:
        ValueError: every token of a row is forbidden.
    """
    if not bool(logits.isfinite().any(-1).all()):
        raise ValueError("no token is left to draw: every logit is -inf or not a number")
    flat = logits.float().softmax(-1).reshape(-1, logits.shape[-1])
    return torch.multinomial(flat, 1, generator=generator).reshape(logits.shape[:-1])


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Which filters shape the next-token distribution.

    Raises:
        ValueError: a value breaks its rule; the message gives both.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition: float = 1.0

    def __post_init__(self) -> None:
        self.filter(torch.zeros(2), (0,))  # each filter states its own rule

    def filter(
        self, logits: Float[Tensor, "*batch V"], ids: Sequence[int] = ()
    ) -> Float[Tensor, "*batch V"]:
        """Filtered logits; `ids` are the tokens so far, which only the penalty reads."""
        if self.repetition != 1:
            logits = repetition_penalty(logits, ids, self.repetition)
        logits = temperature(logits, self.temperature)
        if self.top_k is not None:
            logits = top_k(logits, self.top_k)
        if self.top_p is not None:
            logits = top_p(logits, self.top_p)
        if self.min_p is not None:
            logits = min_p(logits, self.min_p)
        return logits

    def probabilities(
        self, logits: Float[Tensor, "*batch V"], ids: Sequence[int] = ()
    ) -> Float[Tensor, "*batch V"]:
        """The distribution that is drawn from."""
        return self.filter(logits, ids).softmax(-1)
