"""Gradients by hand: what autograd computes for each layer of a GPT, written out.

Each function takes `grad`, the derivative of the loss by a layer's output, and what the layer was
given. It returns the derivatives of the loss by what it was given, in the same order. Nothing is
differentiated here by torch; in float64 the results equal autograd's to rounding.

Example:
    >>> import torch
    >>> x, weight = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0]])
    >>> linear_backward(torch.tensor([[10.0]]), x, weight)[:2]
    (tensor([[30., 40.]]), tensor([[10., 20.]]))
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from llmcourse import layers
from llmcourse.attention import attention_weights, repeat_heads
from llmcourse.gpt import GPT, MLP, Attention, Block, Norm

__all__ = [
    "attention_backward",
    "block_backward",
    "cross_entropy_backward",
    "embedding_backward",
    "layer_norm_backward",
    "linear_backward",
    "model_backward",
    "rms_norm_backward",
    "rope_backward",
    "softmax_backward",
    "swiglu_backward",
]

Gradients = dict[str, Tensor]


def linear_backward(
    grad: Float[Tensor, "*batch O"], x: Float[Tensor, "*batch I"], weight: Float[Tensor, "O I"]
) -> tuple[Float[Tensor, "*batch I"], Float[Tensor, "O I"], Float[Tensor, " O"]]:
    """By x, weight and bias of W x + b. Weight and bias serve every row, so their rows add up."""
    rows, inputs = grad.reshape(-1, grad.shape[-1]), x.reshape(-1, x.shape[-1])
    return grad @ weight, rows.mT @ inputs, rows.sum(0)


def softmax_backward(
    grad: Float[Tensor, "*batch V"], p: Float[Tensor, "*batch V"]
) -> Float[Tensor, "*batch V"]:
    """By the scores, given p = softmax(scores): (diag(p) - p pᵀ) grad, without the matrix."""
    return p * (grad - (grad * p).sum(-1, keepdim=True))


def cross_entropy_backward(
    logits: Float[Tensor, "*batch V"], targets: Int[Tensor, "*batch"]
) -> Float[Tensor, "*batch V"]:
    """By the logits, of the mean surprise over the targets that count (-100 does not).

    Raises:
        ValueError: no target counts.
    """
    counts = targets != -100
    if not bool(counts.any()):
        raise ValueError("no target counts: all are -100, so a mean loss has no gradient")
    rest = F.one_hot(targets.clamp(min=0), logits.shape[-1]).to(logits.dtype)
    return (logits.softmax(-1) - rest) * counts[..., None] / counts.sum()


def rms_norm_backward(
    grad: Float[Tensor, "*batch D"],
    x: Float[Tensor, "*batch D"],
    weight: Float[Tensor, " D"] | None = None,
    eps: float = 1e-5,
) -> tuple[Float[Tensor, "*batch D"], Float[Tensor, " D"]]:
    """By x and by the gain: what points along x is taken out, for the length of x is forgotten."""
    r = (x.square().mean(-1, keepdim=True) + eps).sqrt()
    unit = x / r
    u = grad if weight is None else grad * weight
    x_grad = (u - unit * (u * unit).mean(-1, keepdim=True)) / r
    return x_grad, (grad * unit).reshape(-1, x.shape[-1]).sum(0)


def layer_norm_backward(
    grad: Float[Tensor, "*batch D"],
    x: Float[Tensor, "*batch D"],
    weight: Float[Tensor, " D"],
    eps: float = 1e-5,
) -> tuple[Float[Tensor, "*batch D"], Float[Tensor, " D"], Float[Tensor, " D"]]:
    """By x, gain and bias: RMSNorm's, with the mean taken out of x before and of grad after."""
    centred = x - x.mean(-1, keepdim=True)
    x_grad, weight_grad = rms_norm_backward(grad, centred, weight, eps)
    bias_grad = grad.reshape(-1, x.shape[-1]).sum(0)
    return x_grad - x_grad.mean(-1, keepdim=True), weight_grad, bias_grad


def _silu_product(grad: Tensor, z: Tensor, up: Tensor) -> tuple[Tensor, Tensor]:
    """By z and up, of silu(z) ⊙ up."""
    s = z.sigmoid()
    return grad * up * s * (1 + z * (1 - s)), grad * z * s


def _gelu_slope(z: Tensor) -> Tensor:
    c = math.sqrt(2 / math.pi)
    t = (c * (z + 0.044715 * z**3)).tanh()
    return (1 + t) / 2 + z * (1 - t * t) / 2 * c * (1 + 3 * 0.044715 * z * z)


def swiglu_backward(
    grad: Float[Tensor, "*batch D"],
    x: Float[Tensor, "*batch D"],
    gate: Float[Tensor, "M D"],
    up: Float[Tensor, "M D"],
    down: Float[Tensor, "D M"],
) -> tuple[
    Float[Tensor, "*batch D"], Float[Tensor, "M D"], Float[Tensor, "M D"], Float[Tensor, "D M"]
]:
    """By x, gate, up and down, of down · (silu(gate · x) ⊙ up · x). x is used twice: two terms."""
    z, a = x @ gate.mT, x @ up.mT
    hidden_grad, down_grad, _ = linear_backward(grad, F.silu(z) * a, down)
    z_grad, a_grad = _silu_product(hidden_grad, z, a)
    by_gate, gate_grad, _ = linear_backward(z_grad, x, gate)
    by_up, up_grad, _ = linear_backward(a_grad, x, up)
    return by_gate + by_up, gate_grad, up_grad, down_grad


def rope_backward(
    grad: Float[Tensor, "*batch T K"],
    cos: Float[Tensor, "T K"],
    sin: Float[Tensor, "T K"],
    layout: str = "half",
) -> Float[Tensor, "*batch T K"]:
    """By x: a rotation's transpose is the rotation back."""
    return layers.rope(grad, cos, -sin, layout)


def attention_backward(
    grad: Float[Tensor, "B H T V"],
    q: Float[Tensor, "B H T K"],
    k: Float[Tensor, "B G S K"],
    v: Float[Tensor, "B G S V"],
    causal: bool = True,
) -> tuple[Float[Tensor, "B H T K"], Float[Tensor, "B G S K"], Float[Tensor, "B G S V"]]:
    """By q, k and v of `attend`. A key that several query heads share collects from all of them."""
    H, G = q.shape[1], k.shape[1]
    p = attention_weights(q, k, causal)
    p_grad = grad @ repeat_heads(v, H).mT
    s_grad = softmax_backward(p_grad, p) / math.sqrt(q.shape[-1])
    k_grad, v_grad = (
        each.unflatten(1, (G, H // G)).sum(2) for each in (s_grad.mT @ q, p.mT @ grad)
    )
    return s_grad @ repeat_heads(k, H), k_grad, v_grad


def embedding_backward(
    grad: Float[Tensor, "*batch D"], ids: Int[Tensor, "*batch"], rows: int
) -> Float[Tensor, "V D"]:
    """By the table: each position's gradient is added to the row that was looked up."""
    table = grad.new_zeros(rows, grad.shape[-1])
    return table.index_add_(0, ids.reshape(-1), grad.reshape(-1, grad.shape[-1]))


def _norm_backward(grad: Tensor, x: Tensor, norm: Norm) -> tuple[Tensor, Gradients]:
    if not norm.centred:
        x_grad, weight = rms_norm_backward(grad, x, norm.weight, norm.eps)
        return x_grad, {"weight": weight}
    x_grad, weight, bias = layer_norm_backward(grad, x, norm.weight, norm.eps)
    return x_grad, {"weight": weight} | ({} if norm.bias is None else {"bias": bias})


def _linear_module(grad: Tensor, x: Tensor, module: layers.Linear) -> tuple[Tensor, Gradients]:
    x_grad, weight, bias = linear_backward(grad, x, module.weight)
    return x_grad, {"weight": weight} | ({} if module.bias is None else {"bias": bias})


def _mlp_backward(grad: Tensor, x: Tensor, mlp: MLP) -> tuple[Tensor, Gradients]:
    up = mlp.up(x)
    if mlp.gate is not None:
        hidden = F.silu(z := mlp.gate(x)) * up
    elif mlp.kind == "relu2":
        hidden = up.relu().square()
    else:
        hidden = F.gelu(up, approximate="tanh")
    hidden_grad, down = _linear_module(grad, hidden, mlp.down)
    found = _under("down", down)
    if mlp.gate is not None:
        z_grad, up_grad = _silu_product(hidden_grad, z, up)
        by_gate, gate = _linear_module(z_grad, x, mlp.gate)
        found |= _under("gate", gate)
    else:
        slope = 2 * up.relu() if mlp.kind == "relu2" else _gelu_slope(up)
        up_grad, by_gate = hidden_grad * slope, 0.0
    by_up, ups = _linear_module(up_grad, x, mlp.up)
    return by_gate + by_up, found | _under("up", ups)


def _attention_module(grad: Tensor, x: Tensor, part: Attention) -> tuple[Tensor, Gradients]:
    """The projections, QK-norm and RoPE around `attention_backward`, last step first."""
    c = part.config
    H, G, T = c.heads, c.kv_heads, x.shape[1]
    q, k, v = part.project(x)
    heads = repeat_heads(v, H)
    out = (attention_weights(q, k) @ heads).transpose(1, 2).flatten(-2)
    out_grad, o = _linear_module(grad, out, part.o)
    found = _under("o", o)
    out_grad = out_grad.unflatten(-1, (H, c.head_width)).transpose(1, 2)
    q_grad, k_grad, v_grad = attention_backward(out_grad, q, k, v)
    qk_grad = torch.cat((q_grad, k_grad), 1)
    if c.positions == "rope":
        cos, sin = layers.rope_tables(c.context, c.head_width, **part.rope_settings)
        qk_grad = rope_backward(qk_grad, cos[:T], sin[:T], c.rope_layout)
    if part.gain is not None:
        raw = part.qkv(x).unflatten(-1, (H + 2 * G, c.head_width)).transpose(1, 2)[:, : H + G]
        unit = layers.rms_norm(raw, eps=c.eps)
        found["gain"] = (qk_grad * unit).sum((0, 2)).unsqueeze(1)
        qk_grad, _ = rms_norm_backward(qk_grad * part.gain, raw, None, c.eps)
    all_grad = torch.cat((qk_grad, v_grad), 1).transpose(1, 2).flatten(-2)
    x_grad, qkv = _linear_module(all_grad, x, part.qkv)
    return x_grad, found | _under("qkv", qkv)


@torch.no_grad()
def block_backward(
    grad: Float[Tensor, "B T D"], x: Float[Tensor, "B T D"], block: Block
) -> tuple[Float[Tensor, "B T D"], Gradients]:
    """By the input of a pre-norm block, and by its parameters under their own names.

    A residual adds, so `grad` passes through unchanged beside what comes back from the branch.

    Raises:
        ValueError: the block is post-norm, or its attention has a window or ALiBi.
    """
    c = block.attention.config
    if not block.pre or c.window is not None or c.positions == "alibi":
        raise ValueError(
            "written for pre-norm blocks without window or alibi, got "
            f"norm_place={c.norm_place!r}, window={c.window}, positions={c.positions!r}"
        )
    normed = block.norm1(x)
    middle = x + block.attention(normed)
    branch, mlp = _mlp_backward(grad, block.norm2(middle), block.mlp)
    branch, norm2 = _norm_backward(branch, middle, block.norm2)
    grad = grad + branch
    branch, attention = _attention_module(grad, normed, block.attention)
    branch, norm1 = _norm_backward(branch, x, block.norm1)
    parts = {"mlp": mlp, "norm2": norm2, "attention": attention, "norm1": norm1}
    found: Gradients = {}
    for name, part in parts.items():
        found |= _under(name, part)
    return grad + branch, found


@torch.no_grad()
def model_backward(
    model: GPT, ids: Int[Tensor, "B T"], targets: Int[Tensor, "B T"]
) -> tuple[Float[Tensor, ""], Gradients]:
    """The loss of a whole GPT, and its derivatives by every parameter, under their own names.

    Only the inputs of the blocks are kept; each block computes the rest again when its turn comes
    (Chen et al., 2016). A tied matrix is used at both ends, so its gradient is a sum of two.

    Raises:
        ValueError: see `block_backward`; or no target counts.
    """
    inputs = [model.embed_ids(ids)]
    for block in model.blocks:
        inputs.append(block(inputs[-1]))
    last = inputs.pop()
    normed = last if model.norm is None else model.norm(last)
    matrix = model.embed if model.head is None else model.head
    logits = normed @ matrix.weight.mT
    counts = targets != -100
    grad, head, _ = linear_backward(cross_entropy_backward(logits, targets), normed, matrix.weight)
    surprise = -logits.log_softmax(-1).gather(-1, targets.clamp(min=0)[..., None])[..., 0]
    found: Gradients = {}
    if model.norm is not None:
        grad, norm = _norm_backward(grad, last, model.norm)
        found |= _under("norm", norm)
    for i, (block, x) in reversed(list(enumerate(zip(model.blocks, inputs, strict=True)))):
        grad, part = block_backward(grad, x, block)
        found |= _under(f"blocks.{i}", part)
    if model.positions is not None:
        table = torch.zeros_like(model.positions.weight)
        table[: ids.shape[1]] = grad.sum(0)
        found["positions.weight"] = table
    found["embed.weight"] = embedding_backward(grad, ids, len(model.embed.weight))
    if model.head is None:
        found["embed.weight"] += head
    else:
        found["head.weight"] = head
    return surprise[counts].mean(), found


def _under(name: str, part: Gradients) -> Gradients:
    return {f"{name}.{key}": value for key, value in part.items()}
