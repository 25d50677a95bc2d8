"""Tensor parallelism: one block of a GPT computed by several processes, each with part of each
matrix.

Shoeybi et al. (2019). The matrices that read the residual stream are cut by rows of their (out,
in) shape, so each process has some heads and some hidden channels; those that write to it are cut
by columns, so each process has a summand of the result. A block then needs two sums forward and
two backward, and no other word between the processes.
"""

from types import SimpleNamespace
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

__all__ = ["copy_in", "split_block", "sum_out"]


class _CopyIn(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        grad = grad.contiguous().clone()
        dist.all_reduce(grad)
        return grad


class _SumOut(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        x = x.contiguous().clone()
        dist.all_reduce(x)
        return x

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad


def copy_in(x: Tensor) -> Tensor:
    """The same x for every process; backward, the sum of their gradients (Megatron's f)."""
    return _CopyIn.apply(x)


def sum_out(x: Tensor) -> Tensor:
    """The sum of the processes' summands; backward, the same gradient for each (Megatron's g)."""
    return _SumOut.apply(x)


def _keep(layer: nn.Linear, weight: Tensor, bias: Tensor | None) -> None:
    layer.weight = nn.Parameter(weight.detach().clone())
    layer.bias = None if bias is None else nn.Parameter(bias.detach().clone())
    layer.out_features, layer.in_features = weight.shape


def _summand(layer: nn.Linear, rank: int, world: int) -> None:
    """Keep some columns. The bias is added once, so only one process keeps it."""
    bias = layer.bias
    if bias is not None and rank:
        bias = torch.zeros_like(bias)
    _keep(layer, layer.weight.chunk(world, dim=1)[rank], bias)


@torch.no_grad()
def split_block(block: nn.Module, rank: int, world: int) -> nn.Module:
    """Cut a block of the course's GPT in place to process `rank`'s part, with the sums built in.

    Norms stay whole on every process: they see the whole stream, and their gradients agree.

    Raises:
        ValueError: heads, key heads or hidden channels do not divide by the number of processes.
    """
    attention, mlp, c = block.attention, block.mlp, block.attention.config
    for name in ("heads", "kv_heads", "hidden"):
        if getattr(c, name) % world:
            raise ValueError(f"{name} must divide by {world} processes, got {getattr(c, name)}")
    heads, kv_heads = c.heads // world, c.kv_heads // world
    parts = [w.chunk(world)[rank] for w in map(attention.parts().get, "qkv")]
    bias = attention.qkv.bias
    if bias is not None:
        kv = c.kv_heads * c.head_width
        bias = torch.cat([b.chunk(world)[rank] for b in bias.split((c.width, kv, kv))])
    _keep(attention.qkv, torch.cat(parts), bias)
    _summand(attention.o, rank, world)
    if attention.gain is not None:
        gains = [g.chunk(world)[rank] for g in attention.gain.split((c.heads, c.kv_heads))]
        attention.gain = nn.Parameter(torch.cat(gains).clone())
    # What the attention reads of its configuration, for the heads that are left here.
    attention.config = SimpleNamespace(
        heads=heads, kv_heads=kv_heads, head_width=c.head_width, positions=c.positions,
        context=c.context, eps=c.eps, rope_layout=c.rope_layout, window=c.window,
    )  # fmt: skip
    for layer in (mlp.gate, mlp.up):
        if layer is not None:
            bias = None if layer.bias is None else layer.bias.chunk(world)[rank]
            _keep(layer, layer.weight.chunk(world)[rank], bias)
    _summand(mlp.down, rank, world)
    for part in (attention, mlp):
        part.register_forward_pre_hook(lambda _, args: (copy_in(args[0]), *args[1:]))
        part.register_forward_hook(lambda _, args, out: sum_out(out))
    return block
