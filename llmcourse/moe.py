"""A mixture of experts: many MLPs, of which each token meets a few.

A router gives every expert a score for every token; the best `active` of them run, and their
outputs are added with the scores as weights. Parameters grow with the number of experts, the
operations per token do not. Shazeer et al. (2017); the balance loss is that of Fedus et al. (2022).

Example:
    >>> form = dict(vocab_size=50, context=16, width=16, heads=2, layers=1)
    >>> model = MoEGPT(GPTConfig.modern(**form), MoEConfig(experts=4, active=2), seed=0)
    >>> ids = torch.tensor([[1, 2, 3]])
    >>> model(ids)[0].shape, model.load()[0].sum()
    (torch.Size([1, 3, 50]), tensor(1.))
"""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from llmcourse import layers
from llmcourse.gpt import GPT, MLP
from llmcourse.gptconfig import GPTConfig

__all__ = ["MoE", "MoEConfig", "MoEGPT", "balance_loss", "route"]


@dataclass(frozen=True, kw_only=True)
class MoEConfig:
    """How many experts there are, how many a token meets, and how they are kept busy."""

    experts: int = 8  # E
    active: int = 2  # experts a token meets, k
    hidden: int | None = None  # channels of one expert; None: those of the dense MLP / active
    balance: float = 0.01  # weight of the balance loss in the training loss; 0: none
    capacity: float | None = None  # places of an expert, in units of its fair share; None: no limit

    def __post_init__(self) -> None:
        if self.experts < 1 or not 1 <= self.active <= self.experts:
            raise ValueError(
                f"active must lie in 1..experts, got {self.active} of {self.experts} experts"
            )
        if self.hidden is not None and self.hidden < 1:
            raise ValueError(f"hidden must be at least 1 or None, got {self.hidden}")
        if not 0 <= self.balance < math.inf:
            raise ValueError(f"balance must be at least 0 and finite, got {self.balance}")
        if self.capacity is not None and not 0 < self.capacity < math.inf:
            raise ValueError(f"capacity must be above 0, or None for no limit, got {self.capacity}")


def route(
    logits: Float[Tensor, "N E"], active: int
) -> tuple[Float[Tensor, "N k"], Int[Tensor, "N k"], Float[Tensor, "N E"]]:
    """Weights and names of the experts each token meets, and the probabilities of all.

    The softmax is over all experts; the weights of the chosen ones are scaled to sum to 1.
    """
    probabilities = logits.float().softmax(-1)
    weights, chosen = probabilities.topk(active, dim=-1)
    return weights / weights.sum(-1, keepdim=True), chosen, probabilities


def balance_loss(
    probabilities: Float[Tensor, "N E"], chosen: Int[Tensor, "N k"]
) -> Float[Tensor, ""]:
    """E · Σ_e f_e P_e, at its least 1 when all experts are equally busy.

    f_e is expert e's share of the choices and P_e its mean probability over the tokens. Only P
    has a gradient: the count f says which expert is too busy, and P is pushed down there.
    """
    experts = probabilities.shape[-1]
    share = chosen.flatten().bincount(minlength=experts) / chosen.numel()
    return experts * (share * probabilities.mean(0)).sum()


class MoE(nn.Module):
    """Stands where a block's MLP stood. Keeps, after each call, its `balance` loss and `share`.

    With a capacity, tokens that come when an expert is full skip it; what a token gets then
    depends on the company it is in.
    """

    def __init__(self, config: GPTConfig, moe: MoEConfig) -> None:
        super().__init__()
        self.moe = moe
        hidden = max(1, config.hidden // moe.active) if moe.hidden is None else moe.hidden
        self.router = layers.Linear(config.width, moe.experts, bias=False)
        form = replace(config, hidden=hidden)
        self.experts = nn.ModuleList(MLP(form) for _ in range(moe.experts))
        self.balance: Tensor | None = None
        self.share: Tensor | None = None  # of the choices, by expert
        self.dropped = 0.0  # of the choices, for want of room

    def forward(self, x: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch D"]:
        flat = x.reshape(-1, x.shape[-1])
        E, k = self.moe.experts, self.moe.active
        # A router in 16 bits flips choices that are nearly even; it is small, so float32 is cheap.
        with torch.autocast(x.device.type, enabled=False):
            weights, chosen, probabilities = route(self.router(flat.float()), k)
        self.balance = balance_loss(probabilities, chosen)
        self.share = chosen.flatten().bincount(minlength=E).detach() / chosen.numel()
        limit = None
        if self.moe.capacity is not None:
            limit = math.ceil(self.moe.capacity * chosen.numel() / E)
        out, kept = torch.zeros_like(flat), 0
        for e, expert in enumerate(self.experts):
            token, place = (chosen == e).nonzero(as_tuple=True)
            token, place = token[:limit], place[:limit]  # first come, first served
            kept += len(token)
            if len(token):
                said = expert(flat[token]) * weights[token, place, None]
                out = out.index_add(0, token, said.to(out.dtype))
        self.dropped = 1 - kept / chosen.numel()
        return out.view_as(x)


class MoEGPT(GPT):
    """A GPT whose MLPs are mixtures. In training its loss includes the balance loss."""

    def __init__(self, config: GPTConfig, moe: MoEConfig, seed: int = 0) -> None:
        super().__init__(config, seed)
        self.moe = moe
        generator = torch.Generator().manual_seed(seed)
        for block in self.blocks:
            block.mlp = MoE(config, moe)
            self._draw(block.mlp, generator)

    @torch.no_grad()
    def _draw(self, mixture: MoE, generator: torch.Generator) -> None:
        """As `GPT.initialise` draws an MLP."""
        c = self.config
        for name, p in mixture.named_parameters():
            if p.ndim < 2:
                p.zero_()
                continue
            std = p.shape[1] ** -0.5 if c.init_std is None else c.init_std
            if name.endswith("down.weight"):
                std *= 0.0 if c.zero_outputs else (2 * c.layers) ** -0.5
            p.normal_(0, std, generator=generator) if std else p.zero_()

    def forward(self, ids, targets=None, cache=None, *, mask=None):
        """As `GPT.forward`; in training mode with `moe.balance` times the mean balance loss."""
        logits, loss = super().forward(ids, targets, cache, mask=mask)
        if loss is not None and self.training and self.moe.balance:
            loss = loss + self.moe.balance * self.balance()
        return logits, loss

    def mixtures(self) -> list[MoE]:
        """One a block."""
        return [block.mlp for block in self.blocks]

    def balance(self) -> Float[Tensor, ""]:
        """The balance loss of the last call, mean over blocks."""
        return torch.stack([m.balance for m in self.mixtures()]).mean()

    def load(self) -> Float[Tensor, "L E"]:
        """Each expert's share of the choices in the last call, by block."""
        return torch.stack([m.share for m in self.mixtures()])

    def active_parameters(self) -> int:
        """Weights that one token meets: all but the experts it is not sent to."""
        idle = sum(
            (self.moe.experts - self.moe.active) * sum(p.numel() for p in m.experts[0].parameters())
            for m in self.mixtures()
        )
        return self.parameter_count() - idle

    def flops_per_token(self, length: int | None = None) -> int:
        """As `GPTConfig.flops_per_token`, with the chosen experts and the router."""
        c = self.config
        one = self.mixtures()[0].experts[0].up.out_features
        dense = replace(c, hidden=one * self.moe.active).flops_per_token(length)
        return dense + c.layers * 2 * c.width * self.moe.experts
