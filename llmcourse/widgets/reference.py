"""The chance of live figures, in Python: the same numbers for the same seed, and so the same text.

A figure's generator can be entered anywhere: the number of a place depends on the seed and the
place alone, so another token at one place leaves the luck of every other place as it was.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from llmcourse.filters import Sampling

__all__ = ["draw", "generate", "uniform"]

_WORD = 2**32


def _mix(x: int) -> int:
    """The finaliser of MurmurHash3: each bit of x changes half of the bits."""
    x = (x ^ (x >> 16)) * 0x85EBCA6B % _WORD
    x = (x ^ (x >> 13)) * 0xC2B2AE35 % _WORD
    return x ^ (x >> 16)


def uniform(seed: int, place: int) -> float:
    """A number from 0 to 1, below 1: SplitMix32 of `seed`, at its output number `place`.

    Steele, Lea and Flood (2014), in 32 bits.
    """
    return _mix((_mix(seed % _WORD) + (place + 1) * 0x9E3779B9) % _WORD) / _WORD


def draw(probabilities: Float[Tensor, " V"], u: float) -> int:
    """The id at height u when all are stacked, the most probable lowest; of equals the lower id."""
    order = probabilities.sort(descending=True, stable=True).indices
    height = probabilities[order].cumsum(0)
    possible = int((probabilities > 0).sum())
    at = int(torch.searchsorted(height, torch.tensor(u, dtype=height.dtype), right=True))
    return int(order[min(at, possible - 1)])


@torch.no_grad()
def generate(
    model: nn.Module,
    start: int,
    ids: list[int],
    *,
    seed: int,
    most: int,
    stop: int,
    sampling: Sampling | None = None,
) -> list[int]:
    """The ids that a figure draws after `ids`; place 0 is the first token after `start`."""
    sampling, out = sampling or Sampling(), list(ids)
    while len(out) < len(ids) + most and (not out or out[-1] != stop):
        logits = model(torch.tensor([[start, *out]]))[0][0, -1].double()
        out.append(draw(sampling.probabilities(logits), uniform(seed, len(out))))
    return out[len(ids) :]
