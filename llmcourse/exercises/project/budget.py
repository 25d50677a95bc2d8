"""The machine of the mathematics part's project: it trains what a plan describes, and counts.

Only the plan is the reader's. The stories, their order and the seed are the machine's, and every
matrix product of a step is counted while it runs: forward, backward, and the optimiser's own.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from llmcourse.batches import IGNORED, StoryBatches

__all__ = ["FLOPS", "LONGEST", "Model", "Plan", "Run", "spend"]

FLOPS = 3e11  # what a plan may spend
LONGEST = 128  # places that the model can tell apart; no story is longer


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How to spend the budget: a shape, a rate and four functions.

    Args:
        width: D, channels of the residual stream.
        heads: H; D must divide by it.
        layers: blocks of attention and MLP.
        batch: B, stories a step.
        rate: peak learning rate.
        std: from a matrix's fan-in to the standard deviation of its first weights.
        schedule: from the share of the budget that is spent, 0 to 1, to a share of the rate.
        gradient: from logits (n, V) and targets (n) to the mean loss's gradient, (n, V).
        update: from a parameter, its gradient, a dict that is the parameter's own and empty at
            first, and the learning rate, to the new parameter.

    Raises:
        ValueError: a size is not a whole number above 0, or the width does not divide by heads.
        TypeError: one of the four functions cannot be called.
    """

    width: int
    heads: int
    layers: int
    batch: int
    rate: float
    std: Callable[[int], float]
    schedule: Callable[[float], float]
    gradient: Callable[[Tensor, Tensor], Tensor]
    update: Callable[[Tensor, Tensor, dict, float], Tensor]

    def __post_init__(self) -> None:
        for name in ("width", "heads", "layers", "batch"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a whole number, at least 1, got {value!r}")
        if self.width % self.heads:
            raise ValueError(f"width must divide by heads, got {self.width} and {self.heads}")
        if not 0 < self.rate < math.inf:
            raise ValueError(f"rate must be positive and finite, got {self.rate}")
        for name in ("std", "schedule", "gradient", "update"):
            if not callable(getattr(self, name)):
                raise TypeError(f"{name} must be a function, got {getattr(self, name)!r}")


def _normed(h: Tensor) -> Tensor:
    return h * (h.square().mean(-1, keepdim=True) + 1e-6).rsqrt()


class Model:
    """A Transformer of matrices only: RMSNorm without gains, ReLU², tied embedding, no biases.

    From ids (B, T) to logits (B, T, V).
    """

    def __init__(self, plan: Plan, vocab: int, *, seed: int) -> None:
        chance, D = torch.Generator().manual_seed(seed), plan.width
        self.heads, self.layers = plan.heads, plan.layers

        def drawn(rows: int, columns: int) -> Tensor:
            return torch.randn(rows, columns, generator=chance) * plan.std(columns)

        # A row of either table is met by a dot product of D terms: its fan-in is D.
        self.matrices = [drawn(vocab, D), drawn(LONGEST, D)]
        for _ in range(plan.layers):
            self.matrices += [drawn(3 * D, D), drawn(D, D), drawn(4 * D, D), drawn(D, 4 * D)]

    def __call__(self, ids: Tensor) -> Tensor:
        words, places, *blocks = self.matrices
        (B, T), D = ids.shape, words.shape[1]
        h = words[ids] + places[:T]
        later = torch.ones(T, T, dtype=torch.bool).triu(1)
        for layer in range(self.layers):
            qkv, out, up, down = blocks[4 * layer : 4 * layer + 4]
            split = (_normed(h) @ qkv.T).view(B, T, 3, self.heads, D // self.heads)
            q, k, v = split.permute(2, 0, 3, 1, 4)  # each (B, H, T, K)
            scores = q @ k.mT / math.sqrt(D // self.heads)
            read = scores.masked_fill(later, -torch.inf).softmax(-1) @ v
            h = h + read.transpose(1, 2).reshape(B, T, D) @ out.T
            h = h + torch.relu(_normed(h) @ up.T).square() @ down.T
        return _normed(h) @ words.T

    def parameter_count(self) -> int:
        return sum(w.numel() for w in self.matrices)


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a plan came to: the trained model, and per step the FLOPs spent so far and the loss."""

    model: Model
    spent: list[float]
    losses: list[float]  # nats a token, before the step
    tokens: int  # read in training, padding included


def spend(
    plan: Plan, rows: Sequence[Sequence[int]], vocab: int, *, flops: float = FLOPS, seed: int = 0
) -> Run:
    """Train until the next step would not be paid for.

    Raises:
        ValueError: the budget does not pay for a single step, the loss stops being finite, or a
            function of the plan returns something of another shape.
    """
    model = Model(plan, vocab, seed=seed)
    batches = StoryBatches(rows, batch=plan.batch, seed=seed)
    memory: list[dict] = [{} for _ in model.matrices]
    spent, losses, tokens = [0.0], [], 0
    while True:
        x, y = batches(len(losses))
        with FlopCounterMode(display=False) as meter:
            leaves = [w.detach().requires_grad_() for w in model.matrices]
            model.matrices = leaves
            logits, kept = model(x).flatten(0, 1), y.flatten() != IGNORED
            told, targets = logits[kept], y.flatten()[kept]
            with torch.no_grad():
                loss = torch.nn.functional.cross_entropy(told, targets).item()
            if not math.isfinite(loss):
                raise ValueError(f"the loss is {loss} at step {len(losses)}: lower the rate")
            upstream = plan.gradient(told.detach(), targets)
            told.backward(upstream)
            with torch.no_grad():
                rate = plan.rate * plan.schedule(spent[-1] / flops)
                model.matrices = [
                    _moved(plan, w, own, rate) for w, own in zip(leaves, memory, strict=True)
                ]
        cost = spent[-1] + meter.get_total_flops()
        if cost > flops:  # this step is not paid for: it is taken back
            model.matrices = [w.detach() for w in leaves]
            if not losses:
                raise ValueError(f"one step costs {cost:.3g} FLOPs, the budget is {flops:.3g}")
            return Run(model=model, spent=spent[1:], losses=losses, tokens=tokens)
        spent.append(cost)
        losses.append(loss)
        tokens += x.numel()


def _moved(plan: Plan, w: Tensor, memory: dict, rate: float) -> Tensor:
    new = plan.update(w.detach(), w.grad, memory, rate)
    if not isinstance(new, Tensor) or new.shape != w.shape:
        got = tuple(new.shape) if isinstance(new, Tensor) else type(new).__name__
        raise ValueError(f"update must return the new parameter, {tuple(w.shape)}, got {got}")
    return new
