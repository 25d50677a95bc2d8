"""One token through a GPT with as few operations as it can be said in.

`GPT.forward` is written to be read and to do everything: any batch, any length, any form. At batch
1 and one new token its arithmetic is tiny, and the time goes into starting operations: a module's
call, a shape, a mask that masks nothing. `Decoder` does the same sums on the same weights and the
same cache without them. It knows the common forms; for all else the model itself is called.

Example:
    >>> from llmcourse.gpt import GPT, GPTConfig
    >>> config = GPTConfig.modern(vocab_size=100, context=32, width=16, heads=2, layers=1)
    >>> model = GPT(config, seed=0)
    >>> fast = Decoder(model, model.cache())
    >>> with torch.inference_mode():
    ...     fast(7).shape
    torch.Size([1, 1, 100])
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from llmcourse import layers
from llmcourse.gpt import GPT, MLP, Attention, Block, KVCache, Norm

__all__ = ["Decoder", "understood"]

KNOWN = {GPT, MLP, Attention, Block, Norm, layers.Linear, layers.Embedding, nn.ModuleList}


def understood(model: nn.Module) -> bool:
    """Whether `Decoder` computes what this model computes.

    Not where a module was put in (an adapter, a rounded matrix), where a hook looks on, where
    the weights are not float32 on a CPU, or where the form has no window-free, pre-norm block.
    """
    if type(model) is not GPT:
        return False
    c = model.config
    if c.window is not None or c.norm_place != "pre" or c.positions not in ("learned", "rope"):
        return False
    return all(
        type(m) in KNOWN and not (m._forward_hooks or m._forward_pre_hooks or "forward" in vars(m))
        for m in model.modules()
    ) and all(p.dtype == torch.float32 and p.device.type == "cpu" for p in model.parameters())


class _Layer:
    """The weights of a block, and its rows of the cache, under short names."""

    def __init__(self, block: Block, keys: Tensor, values: Tensor) -> None:
        attention, mlp = block.attention, block.mlp
        self.norm1, self.norm2 = _norm(block.norm1), _norm(block.norm2)
        self.qkv, self.o = _pair(attention.qkv), _pair(attention.o)
        self.gain = None if attention.gain is None else attention.gain
        self.gate = None if mlp.gate is None else _pair(mlp.gate)
        self.up, self.down, self.kind = _pair(mlp.up), _pair(mlp.down), mlp.kind
        self.keys, self.values = keys, values  # (G, length, K)


def _pair(linear: nn.Linear) -> tuple[Tensor, Tensor | None]:
    return linear.weight, linear.bias


def _norm(norm: Norm) -> tuple:
    """What to call and with what: shape, gain, bias if there is one, ε."""
    shape = norm.weight.shape
    if norm.centred:
        return torch.layer_norm, (shape, norm.weight, norm.bias, norm.eps)
    return torch.rms_norm, (shape, norm.weight, norm.eps)


class Decoder:
    """Reads one token after another into a cache of batch 1; call it with gradients off.

    Raises:
        ValueError: the model is none that `understood` accepts, or the cache holds a batch.
    """

    def __init__(self, model: GPT, cache: KVCache) -> None:
        if not understood(model):
            raise ValueError("this model has parts that only its own forward pass knows")
        if cache.keys.shape[1] != 1:
            raise ValueError(f"the cache must be of batch 1, got {cache.keys.shape[1]}")
        self.model, self.cache, self.config = model, cache, model.config
        self.room = min(model.config.context, cache.length)
        c = model.config
        self.table = None if model.positions is None else model.positions.weight
        if c.positions == "rope":
            settings = c.rope_settings()
            self.cos, self.sin = layers.rope_tables(c.context, c.head_width, **settings)
        self.final = _norm(model.norm)
        self.unembedding = (model.embed if model.head is None else model.head).weight
        self._bind()

    def _bind(self) -> None:
        # A beam's `reorder` gives the cache new tensors: then the views are made anew.
        self.bound = self.cache.keys
        self.layers = [
            _Layer(block, self.cache.keys[i, 0], self.cache.values[i, 0])
            for i, block in enumerate(self.model.blocks)
        ]

    def __call__(self, token: int) -> Float[Tensor, "1 1 V"]:
        """Logits after one more token, which joins the cache."""
        c, t = self.config, self.cache.used
        if t >= self.room or not 0 <= token < c.vocab_size:
            return self.model(torch.tensor([[token]]), cache=self.cache)[
                0
            ]  # which says what is wrong
        if self.cache.keys is not self.bound:
            self._bind()
        H, G, K = c.heads, c.kv_heads, c.head_width
        x = self.model.embed.weight[token : token + 1]
        if self.table is not None:
            x = x + self.table[t : t + 1]
        for layer in self.layers:
            norm, rest = layer.norm1
            heads = F.linear(norm(x, *rest), *layer.qkv).view(H + 2 * G, 1, K)
            qk = heads[: H + G]
            if layer.gain is not None:
                qk = F.rms_norm(qk, (K,), eps=c.eps) * layer.gain
            if self.table is None:
                qk = layers.rope(qk, self.cos[t : t + 1], self.sin[t : t + 1], c.rope_layout)
            layer.keys.narrow(1, t, 1).copy_(qk[H:])
            layer.values.narrow(1, t, 1).copy_(heads[H + G :])
            out = F.scaled_dot_product_attention(
                qk[:H].view(1, G, H // G, K),  # the heads of a group as rows: nothing is copied
                layer.keys.narrow(1, 0, t + 1)[None],
                layer.values.narrow(1, 0, t + 1)[None],
            )
            x = x + F.linear(out.view(1, H * K), *layer.o)
            norm, rest = layer.norm2
            h = norm(x, *rest)
            up = F.linear(h, *layer.up)
            if layer.gate is not None:
                up = F.silu(F.linear(h, *layer.gate)) * up
            elif layer.kind == "relu2":
                up = F.relu(up).square()
            else:
                up = F.gelu(up, approximate="tanh")
            x = x + F.linear(up, *layer.down)
        self.cache.used = t + 1
        norm, rest = self.final
        return F.linear(norm(x, *rest), self.unembedding)[None]
