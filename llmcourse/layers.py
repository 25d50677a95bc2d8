"""The layers of a GPT as plain functions: linear, embedding, norms, RoPE and gated MLPs.

Every function takes its weights as arguments, matrices in the shape (out, in), so that each can
be tried alone. `Linear` and `Embedding` are torch's own modules without their random start: a
model of this course draws its weights from one explicit generator.
"""

import functools
import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

__all__ = [
    "LAYOUTS",
    "SCALINGS",
    "Embedding",
    "Linear",
    "alibi_slopes",
    "embedding",
    "gelu_mlp",
    "layer_norm",
    "linear",
    "relu2_mlp",
    "rms_norm",
    "rope",
    "rope_frequencies",
    "rope_tables",
    "sinusoids",
    "swiglu",
]

LAYOUTS = ("half", "interleaved")
SCALINGS = ("linear", "ntk", "yarn")
# Pairs that turn more often than FAST in the trained length are left alone by YaRN, those that
# turn less than SLOW are slowed; these are its authors' values.
FAST, SLOW = 32.0, 1.0


class Linear(nn.Linear):
    """torch's linear layer, born zero: its owner draws the weights from a generator."""

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class Embedding(nn.Embedding):
    """torch's embedding table, born zero: its owner draws the weights from a generator."""

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.weight)


def linear(
    x: Float[Tensor, "*batch I"],
    weight: Float[Tensor, "O I"],
    bias: Float[Tensor, " O"] | None = None,
) -> Float[Tensor, "*batch O"]:
    """W x + b for every vector of the batch."""
    return F.linear(x, weight, bias)


def embedding(
    ids: Int[Tensor, "*batch"], weight: Float[Tensor, "V D"]
) -> Float[Tensor, "*batch D"]:
    """The row of `weight` that each id names.

    Raises:
        ValueError: an id is negative or not below the vocabulary size.
    """
    check_ids(ids, len(weight))
    return weight[ids]


def check_ids(ids: Tensor, vocab_size: int) -> None:
    """Raise a ValueError that names the first id outside 0..vocab_size - 1."""
    if ids.numel() == 0 or torch.compiler.is_compiling():
        return
    low, high = torch.aminmax(ids)
    if (high := int(high)) >= vocab_size or (low := int(low)) < 0:
        worst = high if high >= vocab_size else low
        raise ValueError(
            f"ids must be in 0..{vocab_size - 1} (vocabulary {vocab_size}), got {worst}"
        )


def _wide(x: Tensor) -> Tensor:
    # A mean of squares in 16 bits loses three digits: statistics are taken in 32 bits or more.
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def rms_norm(
    x: Float[Tensor, "*batch D"], weight: Float[Tensor, " D"] | None = None, eps: float = 1e-5
) -> Float[Tensor, "*batch D"]:
    """x divided by its root mean square, times `weight`; statistics in float32.

    Zhang and Sennrich (2019).
    """
    wide = _wide(x)
    out = F.rms_norm(wide, (x.shape[-1],), eps=eps)
    return (out if weight is None else out * weight).to(x.dtype)


def layer_norm(
    x: Float[Tensor, "*batch D"],
    weight: Float[Tensor, " D"],
    bias: Float[Tensor, " D"] | None = None,
    eps: float = 1e-5,
) -> Float[Tensor, "*batch D"]:
    """x shifted to mean 0 and scaled to variance 1, times `weight`, plus `bias`; float32 inside.

    Ba, Kiros and Hinton (2016).
    """
    wide = _wide(x)
    weight = weight.to(wide.dtype)
    bias = None if bias is None else bias.to(wide.dtype)
    return F.layer_norm(wide, (x.shape[-1],), weight, bias, eps).to(x.dtype)


def gelu_mlp(
    x: Float[Tensor, "*batch D"],
    up: Float[Tensor, "M D"],
    down: Float[Tensor, "D M"],
    up_bias: Float[Tensor, " M"] | None = None,
    down_bias: Float[Tensor, " D"] | None = None,
) -> Float[Tensor, "*batch D"]:
    """GPT-2's MLP: down · gelu(up · x), with the tanh form of GELU."""
    return F.linear(F.gelu(F.linear(x, up, up_bias), approximate="tanh"), down, down_bias)


def relu2_mlp(
    x: Float[Tensor, "*batch D"], up: Float[Tensor, "M D"], down: Float[Tensor, "D M"]
) -> Float[Tensor, "*batch D"]:
    """down · relu(up · x)², the squared ReLU of Primer (So et al., 2021)."""
    return F.linear(F.relu(F.linear(x, up)).square(), down)


def swiglu(
    x: Float[Tensor, "*batch D"],
    gate: Float[Tensor, "M D"],
    up: Float[Tensor, "M D"],
    down: Float[Tensor, "D M"],
) -> Float[Tensor, "*batch D"]:
    """down · (silu(gate · x) ⊙ up · x). Shazeer (2020)."""
    return F.linear(F.silu(F.linear(x, gate)) * F.linear(x, up), down)


def rope_frequencies(
    width: int,
    *,
    theta: float = 10_000.0,
    scale: float = 1.0,
    scaling: str = "linear",
    trained: int | None = None,
) -> Float[Tensor, " P"]:
    """Radians by which each of the width / 2 pairs turns from one position to the next.

    Unscaled, pair i turns by theta^(-2i / width). `scale` > 1 fits a text that many times as long
    as those trained on into angles that training has seen:

    - "linear" slows every pair by `scale` (position interpolation, Chen et al., 2023);
    - "ntk" raises theta so that the slowest pair slows by `scale` and the fastest not at all;
    - "yarn" slows the pairs that turn less than once in the `trained` length, leaves those that
      turn often, and blends between (Peng et al., 2023; the ramp of their code, linear in i).

    Raises:
        ValueError: `width` is odd, or 2 where "ntk" would divide by zero; `scaling` is unknown;
            "yarn" is not told the trained length.
    """
    if width % 2:
        raise ValueError(f"rope pairs dimensions, so width must be even, got {width}")
    if scaling not in SCALINGS:
        raise ValueError(f"scaling must be one of {SCALINGS}, got {scaling!r}")
    pair = torch.arange(width // 2, dtype=torch.float32)
    if scaling == "ntk":
        if width == 2:
            raise ValueError("ntk scaling needs a width above 2: one pair cannot both slow and not")
        theta = theta * scale ** (width / (width - 2))
    plain = theta ** (-2 * pair / width)
    if scaling == "linear":
        return plain / scale
    if scaling == "ntk":
        return plain
    if trained is None:
        raise ValueError("yarn scaling needs the trained length, got None")

    def turning(times: float) -> float:  # the pair that turns so often, as a real number
        return width * math.log(trained / (times * 2 * math.pi)) / (2 * math.log(theta))

    low = max(math.floor(turning(FAST)), 0)
    high = min(math.ceil(turning(SLOW)), width - 1)
    slowed = ((pair - low) / max(high - low, 1e-3)).clamp(0, 1)
    return plain * (1 - slowed) + plain / scale * slowed


@functools.lru_cache(maxsize=32)
def rope_tables(
    length: int,
    width: int,
    *,
    theta: float = 10_000.0,
    scale: float = 1.0,
    scaling: str = "linear",
    trained: int | None = None,
    layout: str = "half",
    device: torch.device | str = "cpu",
) -> tuple[Float[Tensor, "T K"], Float[Tensor, "T K"]]:
    """The cosines and signed sines by which `rope` turns position t, in float32.

    Pair i turns by t times its frequency (`rope_frequencies`). "yarn" also lengthens queries and
    keys by 0.1 log(scale) + 1 each, which sharpens a softmax over more keys.

    Raises:
        ValueError: `layout` is neither half nor interleaved, or the frequencies' rules.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"layout must be one of {LAYOUTS}, got {layout!r}")
    # A table first made under inference_mode would be of no use to a later training step.
    with torch.inference_mode(False), torch.no_grad():
        frequency = rope_frequencies(
            width, theta=theta, scale=scale, scaling=scaling, trained=trained
        )
        position = torch.arange(length, dtype=torch.float32, device=device)
        angle = torch.outer(position, frequency.to(device))
        cos, sin = angle.cos(), angle.sin()
        if scaling == "yarn" and scale > 1:
            cos, sin = (table * (0.1 * math.log(scale) + 1) for table in (cos, sin))
        if layout == "half":
            return torch.cat((cos, cos), -1), torch.cat((-sin, sin), -1)
        return cos.repeat_interleave(2, -1), torch.stack((-sin, sin), -1).flatten(-2)


def rope(
    x: Float[Tensor, "*batch T K"],
    cos: Float[Tensor, "T K"],
    sin: Float[Tensor, "T K"],
    layout: str = "half",
) -> Float[Tensor, "*batch T K"]:
    """Turn each pair of dimensions of x by the angle of its position.

    Pairs are (i, i + K/2) in the half layout of Llama's Hugging Face port and (2i, 2i + 1) in the
    interleaved layout of the paper; `cos` and `sin` come from `rope_tables` of the same layout.
    Su et al. (2021).
    """
    if layout == "half":
        partner = x.roll(x.shape[-1] // 2, -1)
    else:
        partner = x.unflatten(-1, (-1, 2)).flip(-1).flatten(-2)
    return torch.addcmul(x * cos, partner, sin).to(x.dtype)


def sinusoids(
    length: int, width: int, *, device: torch.device | str = "cpu"
) -> Float[Tensor, "T D"]:
    """The fixed positions of Vaswani et al. (2017): sin in even, cos in odd dimensions."""
    if width % 2:
        raise ValueError(f"sinusoids pair dimensions, so width must be even, got {width}")
    pair = torch.arange(width // 2, dtype=torch.float32, device=device)
    position = torch.arange(length, dtype=torch.float32, device=device)
    angle = torch.outer(position, 10_000.0 ** (-2 * pair / width))
    return torch.stack((angle.sin(), angle.cos()), -1).flatten(-2)


def alibi_slopes(heads: int) -> Float[Tensor, " H"]:
    """The slope of each head's penalty on distance: 2^(-8/H), 2^(-16/H), ..., 2^-8.

    Press, Smith and Lewis (2022), whose rule for head counts that are powers of two is used for
    every count.
    """
    return 2.0 ** (-8.0 * torch.arange(1, heads + 1, dtype=torch.float32) / heads)
