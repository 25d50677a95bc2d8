"""Attention written by hand, the online softmax behind FlashAttention, and torch's fused kernel.

`attend` is the definition; `online_attend` gives the same numbers without ever holding the T × S
scores; `fused_attend` is torch's kernel, which the models use. Tests hold the three equal.

Example:
    >>> import torch
    >>> q = k = v = torch.eye(2).expand(1, 1, 2, 2)
    >>> attend(q, k, v)[0, 0, 0]  # the first position can see only itself
    tensor([1., 0.])
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

__all__ = [
    "attend",
    "attention_weights",
    "causal_mask",
    "fused_attend",
    "merge_heads",
    "multi_head",
    "online_attend",
    "repeat_heads",
    "split_heads",
]


def causal_mask(
    T: int,
    S: int | None = None,
    *,
    window: int | None = None,
    device: torch.device | str | None = None,
) -> Bool[Tensor, "T S"]:
    """True where a query may look. The T queries are the last T of the S positions.

    `window` limits each query to the nearest `window` keys, itself included.

    Raises:
        ValueError: there are more queries than keys, or a window below 1.
    """
    S = T if S is None else S
    if T > S:
        raise ValueError(f"queries are the last of the keys, so T <= S, got T={T} and S={S}")
    if window is not None and window < 1:
        raise ValueError(f"window must be at least 1, got {window}")
    mask = torch.ones(T, S, dtype=torch.bool, device=device).tril(S - T)
    return mask if window is None else mask.triu(S - T - window + 1)


def repeat_heads(x: Float[Tensor, "B G S K"], heads: int) -> Float[Tensor, "B H S K"]:
    """Each of the G key or value heads, copied for the H / G query heads that share it.

    Raises:
        ValueError: `heads` is no multiple of G.
    """
    B, G, S, K = x.shape
    if heads % G:
        raise ValueError(f"query heads must be a multiple of key heads, got {heads} and {G}")
    if heads == G:
        return x
    return x[:, :, None].expand(B, G, heads // G, S, K).reshape(B, heads, S, K)


def attention_weights(
    q: Float[Tensor, "B H T K"],
    k: Float[Tensor, "B G S K"],
    causal: bool = True,
    mask: Bool[Tensor, "*#b #T #S"] | None = None,
    bias: Float[Tensor, "*#c #T #S"] | None = None,
) -> Float[Tensor, "B H T S"]:
    """How much each query takes from each key: rows sum to 1, or to 0 where nothing may be seen.

    `mask` is True where a query may look; `bias` is added to the scaled scores.
    """
    scores = q @ repeat_heads(k, q.shape[1]).mT / math.sqrt(q.shape[-1])
    if bias is not None:
        scores = scores + bias
    if causal:
        seen = causal_mask(*scores.shape[-2:], device=q.device)
        mask = seen if mask is None else mask & seen
    if mask is None:
        return scores.softmax(dim=-1)
    # The lowest finite number, not -inf: a row without any key must not become 0 / 0.
    weights = scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(dim=-1)
    return weights.masked_fill(~mask, 0.0)


def attend(
    q: Float[Tensor, "B H T K"],
    k: Float[Tensor, "B G S K"],
    v: Float[Tensor, "B G S V"],
    causal: bool = True,
    mask: Bool[Tensor, "*#b #T #S"] | None = None,
    bias: Float[Tensor, "*#c #T #S"] | None = None,
) -> Float[Tensor, "B H T V"]:
    """softmax(q kᵀ / √K) v, the definition. Vaswani et al. (2017), equation 1.

    G < H key and value heads are shared by groups of query heads (Ainslie et al., 2023). A query
    that may see nothing returns zeros.
    """
    return attention_weights(q, k, causal, mask, bias) @ repeat_heads(v, q.shape[1])


def online_attend(
    q: Float[Tensor, "B H T K"],
    k: Float[Tensor, "B H S K"],
    v: Float[Tensor, "B H S V"],
    causal: bool = True,
    block: int = 64,
) -> Float[Tensor, "B H T V"]:
    """`attend`, reading the keys a block at a time and holding no more than T × block scores.

    The running maximum and sum of Milakov and Gimelshein (2018), as in Dao et al. (2022).

    Raises:
        ValueError: `block` is below 1.
    """
    if block < 1:
        raise ValueError(f"block must be at least 1, got {block}")
    T, S = q.shape[-2], k.shape[-2]
    peak = q.new_full((*q.shape[:-1], 1), torch.finfo(q.dtype).min)
    total, out = torch.zeros_like(peak), q.new_zeros(*q.shape[:-1], v.shape[-1])
    query = torch.arange(S - T, S, device=q.device)[:, None]
    for start in range(0, S, block):
        keys, values = k[..., start : start + block, :], v[..., start : start + block, :]
        scores = q @ keys.mT / math.sqrt(q.shape[-1])
        if causal:
            later = start + torch.arange(keys.shape[-2], device=q.device) > query
            scores = scores.masked_fill(later, -torch.inf)
        new_peak = torch.maximum(peak, scores.amax(-1, keepdim=True))
        old, new = (peak - new_peak).exp(), (scores - new_peak).exp()
        total = total * old + new.sum(-1, keepdim=True)
        out = out * old + new @ values
        peak = new_peak
    return out / total


def fused_attend(
    q: Float[Tensor, "B H T K"],
    k: Float[Tensor, "B G S K"],
    v: Float[Tensor, "B G S V"],
    causal: bool = True,
    mask: Bool[Tensor, "*#b #T #S"] | None = None,
    bias: Float[Tensor, "*#c #T #S"] | None = None,
) -> Float[Tensor, "B H T V"]:
    """`attend` by torch's fused kernel; on a CPU in float32 even where autocast asks for 16 bits.

    At small head widths the CPU's bfloat16 backward is three times slower than float32's.
    """
    (B, H, T, K), G, S = q.shape, k.shape[1], k.shape[2]
    if T == 1 and mask is None and bias is None:
        # One query sees every key: the heads of a group become rows, and nothing is copied.
        out = _kernel(q.reshape(B, G, H // G, K), k, v, None, False)
        return out.reshape(B, H, 1, v.shape[-1])
    k, v = repeat_heads(k, H), repeat_heads(v, H)
    if causal and (T != S or mask is not None or bias is not None):
        seen = causal_mask(T, S, device=q.device)
        mask, causal = (seen if mask is None else mask & seen), False
    if bias is not None:
        low = torch.finfo(bias.dtype).min
        bias = bias if mask is None else bias.masked_fill(~mask, low)
        out = _kernel(q, k, v, bias, False)
    else:
        out = _kernel(q, k, v, mask, causal)
    if mask is None:
        return out
    return out.masked_fill(~mask.any(-1, keepdim=True), 0.0)


def _kernel(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
    if q.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
        with torch.autocast("cpu", enabled=False):
            return _kernel(q.float(), k.float(), v.float(), mask, causal)
    if mask is not None and mask.dtype != torch.bool:
        mask = mask.to(q.dtype)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)


def split_heads(x: Float[Tensor, "B T D"], heads: int) -> Float[Tensor, "B H T K"]:
    """Cut the D channels into `heads` runs of K = D / heads, heads before time.

    Raises:
        ValueError: D is no multiple of `heads`.
    """
    if x.shape[-1] % heads:
        raise ValueError(f"width must divide by heads, got {x.shape[-1]} and {heads}")
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def merge_heads(x: Float[Tensor, "B H T K"]) -> Float[Tensor, "B T D"]:
    """The inverse of `split_heads`."""
    return x.transpose(1, 2).flatten(-2)


def multi_head(
    x: Float[Tensor, "B T D"],
    q: Float[Tensor, "E D"],
    k: Float[Tensor, "F D"],
    v: Float[Tensor, "F D"],
    o: Float[Tensor, "D E"],
    *,
    heads: int,
    kv_heads: int | None = None,
    causal: bool = True,
    rotate: Callable[[Tensor], Tensor] | None = None,
) -> Float[Tensor, "B T D"]:
    """Self-attention with `heads` query heads and separate weights of shape (out, in).

    `rotate` is applied to queries and keys of shape (B, H, T, K): where RoPE goes.
    """
    kv_heads = heads if kv_heads is None else kv_heads
    queries, keys = split_heads(x @ q.mT, heads), split_heads(x @ k.mT, kv_heads)
    if rotate is not None:
        queries, keys = rotate(queries), rotate(keys)
    values = split_heads(x @ v.mT, kv_heads)
    return merge_heads(attend(queries, keys, values, causal)) @ o.mT
