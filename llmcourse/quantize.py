"""Weights in few bits: rounding to whole numbers with shared scales, packed, and used in a GPT.

A number w is kept as a whole number q with w ≈ s (q − z). The scale s, and the zero point z where
there is one, are shared by a whole matrix, a row (one output), or a group of neighbours in a row.
`checkpoint.quantize_rows` is the case that checkpoints use: 8 bits, one scale a row, no zero point.

Example:
    >>> weight = torch.tensor([[0.7, -0.3, 0.1, 0.2]])
    >>> kept = quantize(weight, Rounding(bits=4))
    >>> kept.integers, kept.dequantize()
    (tensor([[ 7, -3,  1,  2]], dtype=torch.int8), tensor([[ 0.7000, -0.3000,  0.1000,  0.2000]]))
"""

from collections.abc import Collection
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, Int8, UInt8
from torch import Tensor, nn

__all__ = [
    "Quantized",
    "QuantizedLinear",
    "Rounding",
    "gptq",
    "pack_int4",
    "quantize",
    "quantize_model",
    "round_activations",
    "smoothing",
    "unpack_int4",
    "weight_bytes",
]

TARGETS = ("qkv", "o", "gate", "up", "down")
TINY = torch.finfo(torch.float32).tiny


@dataclass(frozen=True, kw_only=True)
class Rounding:
    """How many bits a number has, and which numbers share a scale."""

    bits: int = 8
    per: str = "row"  # or "tensor", "group"
    group: int = 32  # neighbours in a row that share a scale, where per is "group"
    symmetric: bool = True  # no zero point: the range is −max|w| to max|w|

    def __post_init__(self) -> None:
        if not 2 <= self.bits <= 8:
            raise ValueError(f"bits must lie in 2..8, got {self.bits}")
        if self.per not in ("tensor", "row", "group"):
            raise ValueError(f"per must be 'tensor', 'row' or 'group', got {self.per!r}")
        if self.group < 1:
            raise ValueError(f"group must be at least 1, got {self.group}")

    @property
    def limits(self) -> tuple[int, int]:
        """The lowest and the highest whole number."""
        top = 2 ** (self.bits - 1) - 1
        return (-top, top) if self.symmetric else (0, 2**self.bits - 1)


@dataclass(frozen=True, kw_only=True)
class Quantized:
    """A matrix as whole numbers, with its scales and zero points: w ≈ scale · (integer − zero)."""

    integers: Int8[Tensor, "R C"] | UInt8[Tensor, "R C"]
    scale: Float[Tensor, "r g"]  # r is R or 1, g the groups of a row
    zero: Float[Tensor, "r g"] | None
    rounding: Rounding

    def dequantize(self) -> Float[Tensor, "R C"]:
        """The float32 matrix that is used in its place."""
        r, g = self.scale.shape
        parts = self.integers.float().reshape(r, g, -1)
        if self.zero is not None:
            parts = parts - self.zero[..., None]
        return (parts * self.scale[..., None]).reshape(self.integers.shape)

    def bits_per_weight(self) -> float:
        """Storage, scales in 16 bits and zero points in the integers' own bits included."""
        b = self.rounding.bits
        shared = self.scale.numel() * (16 + (0 if self.zero is None else b))
        return b + shared / self.integers.numel()


def _parts(matrix: Tensor, rounding: Rounding) -> Float[Tensor, "r g n"]:
    """The numbers that share a scale, in the last axis."""
    R, C = matrix.shape
    if rounding.per == "tensor":
        return matrix.reshape(1, 1, -1)
    if rounding.per == "row":
        return matrix.reshape(R, 1, C)
    if C % rounding.group:
        raise ValueError(f"group must divide the row's length, got {rounding.group} and {C}")
    return matrix.reshape(R, C // rounding.group, rounding.group)


def _scales(parts: Tensor, rounding: Rounding) -> tuple[Tensor, Tensor | None]:
    low, top = rounding.limits
    if rounding.symmetric:
        return parts.abs().amax(-1) / top, None
    least, most = parts.amin(-1).clamp(max=0), parts.amax(-1).clamp(min=0)  # 0 must be exact
    scale = (most - least) / top
    return scale, (-least / scale.clamp(min=TINY)).round().clamp(low, top)


def quantize(matrix: Float[Tensor, "R C"], rounding: Rounding) -> Quantized:
    """Round to the nearest level. The error of an entry is at most half its scale.

    Raises:
        ValueError: the group does not divide the rows, or an entry is not finite.
    """
    matrix = matrix.detach().float()
    if not matrix.isfinite().all():
        raise ValueError("only finite numbers can be rounded: one NaN or inf spoils its scale")
    parts = _parts(matrix, rounding)
    scale, zero = _scales(parts, rounding)
    levels = (parts / scale.clamp(min=TINY)[..., None]).round()
    if zero is not None:
        levels = levels + zero[..., None]
    kind = torch.int8 if rounding.symmetric else torch.uint8
    integers = levels.clamp(*rounding.limits).to(kind).reshape(matrix.shape)
    return Quantized(integers=integers, scale=scale, zero=zero, rounding=rounding)


def pack_int4(integers: Int[Tensor, "R C"]) -> UInt8[Tensor, "R C2"]:
    """Two numbers from 0..15 in a byte, the first in the low half; C must be even.

    Raises:
        ValueError: C is odd, or a number does not fit four bits.
    """
    if integers.shape[1] % 2:
        raise ValueError(f"rows must have an even length to be packed, got {integers.shape[1]}")
    if integers.numel() and not 0 <= int(integers.min()) <= int(integers.max()) <= 15:
        low, high = int(integers.min()), int(integers.max())
        raise ValueError(f"four bits hold 0..15, got {low} to {high}")
    whole = integers.to(torch.uint8)
    return whole[:, 0::2] | (whole[:, 1::2] << 4)


def unpack_int4(packed: UInt8[Tensor, "R C2"]) -> UInt8[Tensor, "R C"]:
    """The inverse of `pack_int4`."""
    return torch.stack((packed & 15, packed >> 4), dim=-1).flatten(1)


class QuantizedLinear(nn.Module):
    """A linear layer whose matrix is kept rounded; it is spread out again for each product.

    That saves memory and, where a kernel spreads it on the fly, traffic; in plain torch it saves
    no time. Four bits are packed two in a byte.
    """

    def __init__(self, kept: Quantized, bias: Tensor | None = None) -> None:
        super().__init__()
        self.rounding = kept.rounding
        self.out_features, self.in_features = kept.integers.shape
        self.packed = kept.rounding.bits <= 4 and self.in_features % 2 == 0
        self.shift = -kept.rounding.limits[0] if self.packed else 0  # packed ones are from 0 on
        stored = kept.integers
        if self.packed:
            stored = pack_int4(stored.to(torch.int16) + self.shift)
        self.register_buffer("stored", stored)
        self.register_buffer("scale", kept.scale)
        self.register_buffer("zero", kept.zero)
        self.register_buffer("bias", None if bias is None else bias.detach().clone())

    @property
    def weight(self) -> Float[Tensor, "O I"]:
        """The matrix spread out, float32."""
        integers = self.stored
        if self.packed:
            integers = unpack_int4(integers).to(torch.int16) - self.shift
            integers = integers.to(torch.int8 if self.rounding.symmetric else torch.uint8)
        return Quantized(
            integers=integers, scale=self.scale, zero=self.zero, rounding=self.rounding
        ).dequantize()

    def forward(self, x: Float[Tensor, "*batch I"]) -> Float[Tensor, "*batch O"]:
        return F.linear(x, self.weight.to(x.dtype), self.bias)

    def bytes(self) -> float:
        """Storage of matrix and scales (the bias is not counted)."""
        kept = self.out_features * self.in_features * self.rounding.bits
        shared = 16 + (0 if self.zero is None else self.rounding.bits)
        return (kept + self.scale.numel() * shared) / 8


def quantize_model(
    model: nn.Module, rounding: Rounding, *, targets: Collection[str] = TARGETS
) -> nn.Module:
    """Replace the linear layers named in `targets` in place; returns the model.

    Embeddings and norms stay: they are looked up or small, and rounding them costs most.

    Raises:
        ValueError: no layer has such a name.
    """
    found = [
        (name, layer)
        for name, layer in model.named_modules()
        if isinstance(layer, nn.Linear) and name.rpartition(".")[2] in targets
    ]
    if not found:
        raise ValueError(f"no linear layer is named any of {sorted(targets)}")
    for name, layer in found:
        parent, _, last = name.rpartition(".")
        kept = quantize(layer.weight, rounding)
        setattr(model.get_submodule(parent), last, QuantizedLinear(kept, layer.bias))
    return model


def weight_bytes(model: nn.Module, bits: int = 16) -> float:
    """Bytes to read all weights once: rounded layers as stored, all else at `bits` bits."""
    rounded = [m for m in model.modules() if isinstance(m, QuantizedLinear)]
    return sum(m.bytes() for m in rounded) + sum(p.numel() for p in model.parameters()) * bits / 8


def round_activations(x: Float[Tensor, "*batch D"], bits: int = 8) -> Float[Tensor, "*batch D"]:
    """Each vector rounded with one scale of its own, and spread out again."""
    top = Rounding(bits=bits).limits[1]
    scale = x.abs().amax(-1, keepdim=True).clamp(min=TINY) / top
    return (x / scale).round() * scale


def smoothing(
    inputs: Float[Tensor, " D"], weights: Float[Tensor, " D"], strength: float = 0.5
) -> Float[Tensor, " D"]:
    """SmoothQuant's factor of each input channel: max|x|^a / max|w|^(1 − a).

    Inputs are divided by it and the matrix's columns multiplied, which changes no product but moves
    range from what is hard to round to what is easy. Xiao et al. (2023), equation 4.

    Raises:
        ValueError: `strength` is outside [0, 1].
    """
    if not 0 <= strength <= 1:
        raise ValueError(f"strength must lie in [0, 1], got {strength}")
    return inputs.clamp(min=1e-5) ** strength / weights.clamp(min=1e-5) ** (1 - strength)


def gptq(
    matrix: Float[Tensor, "R C"],
    inputs: Float[Tensor, "N C"],
    rounding: Rounding,
    *,
    damp: float = 0.01,
) -> Float[Tensor, "R C"]:
    """Round column by column; what each rounding breaks, the columns still free make good.

    It lowers the error of the product W x over `inputs`, not that of W. Scales are those of plain
    rounding. Returns the matrix spread out. Frantar et al. (2023), without blocks.
    """
    parts = _parts(matrix, rounding)
    scale, zero = _scales(parts.float(), rounding)
    R, C = matrix.shape
    n = parts.shape[-1] if rounding.per != "tensor" else C
    scale = scale.expand(R, -1).repeat_interleave(n, 1).double().clamp(min=TINY)
    shift = 0.0 if zero is None else zero.expand(R, -1).repeat_interleave(n, 1).double()
    shift = torch.zeros_like(scale) + shift
    x = inputs.double()
    hessian = x.T @ x
    hessian += damp * hessian.diagonal().mean() * torch.eye(C, dtype=torch.float64)
    # Row j of this factor of H⁻¹ says how columns after j undo an error in column j.
    upper = torch.linalg.cholesky(torch.linalg.inv(hessian), upper=True)
    w, low_high = matrix.detach().double().clone(), rounding.limits
    for j in range(C):
        level = ((w[:, j] / scale[:, j]).round() + shift[:, j]).clamp(*low_high)
        rounded = (level - shift[:, j]) * scale[:, j]
        error = (w[:, j] - rounded) / upper[j, j]
        w[:, j] = rounded
        w[:, j + 1 :] -= error[:, None] * upper[j, j + 1 :]
    return w.to(matrix.dtype)
