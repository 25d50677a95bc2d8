"""The pieces of policy gradient: advantages in a group, the clipped ratio, estimates of the KL."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

__all__ = ["clipped_loss", "group_advantages", "kl_estimate", "over_tokens"]


def group_advantages(
    rewards: Float[Tensor, "P G"], *, scale: str = "std", eps: float = 1e-4
) -> Float[Tensor, "P G"]:
    """How much better each of a prompt's G answers is than their mean.

    With `scale="std"` divided by the group's standard deviation (G − 1 in the denominator) plus
    `eps`, as in Shao et al. (2024); with `"none"` not, as in Liu et al. (2025). A group whose
    rewards are all equal teaches nothing: its advantages are exactly 0.

    Raises:
        ValueError: fewer than 2 answers a prompt, a reward that is not finite, another scale.
    """
    if scale not in ("std", "none"):
        raise ValueError(f"scale must be 'std' or 'none', got {scale!r}")
    if rewards.shape[1] < 2:
        raise ValueError(f"a group needs at least 2 answers to compare, got {rewards.shape[1]}")
    if not torch.isfinite(rewards).all():
        prompt, answer = (~torch.isfinite(rewards)).nonzero()[0].tolist()
        raise ValueError(
            f"rewards must be finite, got {float(rewards[prompt, answer])} for answer {answer} of "
            f"prompt {prompt}"
        )
    centred = rewards - rewards.mean(dim=1, keepdim=True)
    # A mean of equal numbers may miss them by a rounding error, which a tiny std would magnify.
    equal = (rewards == rewards[:, :1]).all(dim=1, keepdim=True)
    centred = centred.masked_fill(equal, 0.0)
    return centred if scale == "none" else centred / (rewards.std(dim=1, keepdim=True) + eps)


def clipped_loss(
    logprobs: Float[Tensor, "N T"],
    old: Float[Tensor, "N T"],
    advantages: Float[Tensor, " N"],
    *,
    clip: float = 0.2,
) -> Float[Tensor, "N T"]:
    """PPO's loss at each token: −min(ρ A, clip(ρ, 1 − ε, 1 + ε) A), with ρ = π / π_old.

    The minimum makes it a lower bound: a step may undo what went too far, never profit from
    going further. Schulman et al. (2017), equation 7.
    """
    if not 0 < clip < 1:
        raise ValueError(f"clip must lie between 0 and 1, got {clip}")
    ratio = (logprobs - old).exp()
    gain = advantages[:, None]
    return -torch.minimum(ratio * gain, ratio.clamp(1 - clip, 1 + clip) * gain)


def kl_estimate(
    logprobs: Float[Tensor, "*batch"], reference: Float[Tensor, "*batch"], kind: str = "k3"
) -> Float[Tensor, "*batch"]:
    """Estimates of KL(π ‖ π_ref) in nats, one for each token drawn from π.

    With r = π_ref / π: `"k1"` is −log r, unbiased and of either sign; `"k2"` is (log r)² / 2,
    biased; `"k3"` is r − 1 − log r, unbiased and never negative. Schulman (2020). As a *loss*
    their gradients differ from their values: k2's expected gradient is that of KL(π ‖ π_ref),
    k3's that of KL(π_ref ‖ π), k1's is zero.
    """
    log_ratio = reference - logprobs
    if kind == "k1":
        return -log_ratio
    if kind == "k2":
        return log_ratio.square() / 2
    if kind == "k3":
        return log_ratio.expm1() - log_ratio
    raise ValueError(f"kind must be 'k1', 'k2' or 'k3', got {kind!r}")


def over_tokens(
    values: Float[Tensor, "N T"],
    answer: Bool[Tensor, "N T"],
    *,
    length: str = "mean",
    weights: Float[Tensor, " N"] | None = None,
) -> Float[Tensor, ""]:
    """One number from values at the marked tokens of N answers.

    `length="mean"` averages over each answer's tokens first, as GRPO does, so that a token of a
    long answer weighs less; `"sum"` adds them up, as the policy gradient has it. Then the mean
    over answers, with `weights` where an answer stands for several.

    Raises:
        ValueError: another `length`.
    """
    if length not in ("mean", "sum"):
        raise ValueError(f"length must be 'mean' or 'sum', got {length!r}")
    rows = (values * answer).sum(dim=1)
    if length == "mean":
        rows = rows / answer.sum(dim=1).clamp(min=1)
    if weights is None:
        return rows.mean()
    return (rows * weights).sum() / weights.sum()
