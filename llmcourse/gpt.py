"""One GPT that is GPT-2 or a modern decoder, as its configuration says.

Example:
    >>> config = GPTConfig.modern(vocab_size=100, context=32, width=16, heads=2, layers=1)
    >>> model = GPT(config, seed=0)
    >>> logits, loss = model(torch.tensor([[1, 2, 3]]), targets=torch.tensor([[2, 3, 4]]))
    >>> logits.shape
    torch.Size([1, 3, 100])
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from llmcourse import layers
from llmcourse.attention import attention_weights, causal_mask, fused_attend
from llmcourse.gptconfig import GPTConfig

__all__ = ["GPT", "MLP", "Attention", "Block", "GPTConfig", "KVCache", "Norm", "Trace"]


class KVCache:
    """Keys and values of the positions read so far, in memory reserved once.

    `keys` and `values` have shape (layers, B, kv_heads, length, K); `used` counts the positions
    that are filled. Grouped keys (`kv_heads` < `heads`) make it smaller in proportion.
    """

    def __init__(
        self,
        config: GPTConfig,
        batch: int = 1,
        *,
        length: int | None = None,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        length = config.context if length is None else length
        if batch < 1 or length < 1:
            raise ValueError(f"batch and length must be at least 1, got {batch} and {length}")
        shape = (config.layers, batch, config.kv_heads, length, config.head_width)
        self.keys = torch.zeros(shape, dtype=dtype, device=device)
        self.values = torch.zeros(shape, dtype=dtype, device=device)
        self.used = 0

    @property
    def length(self) -> int:
        """Positions that fit."""
        return self.keys.shape[3]

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Write the new keys and values of one layer; return all that the layer may see."""
        end = self.used + k.shape[2]
        keys, values = self.keys[layer], self.values[layer]
        keys[:, :, self.used : end] = k
        values[:, :, self.used : end] = v
        return keys[:, :, :end], values[:, :, :end]

    def truncate(self, used: int) -> None:
        """Forget every position from `used` on (a rejected draft, for one)."""
        if not 0 <= used <= self.used:
            raise ValueError(f"can only shorten a cache of {self.used} positions, got {used}")
        self.used = used

    def reorder(self, rows: Int[Tensor, " B"]) -> None:
        """Let row i continue what row rows[i] has read (a beam that split)."""
        self.keys = self.keys.index_select(1, rows)
        self.values = self.values.index_select(1, rows)


class Norm(nn.Module):
    """RMSNorm or LayerNorm with its learned gain (and bias, if the configuration has biases)."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.eps = config.eps
        self.weight = nn.Parameter(torch.ones(config.width))
        centred = config.norm == "layer"
        self.centred = centred
        self.bias = nn.Parameter(torch.zeros(config.width)) if centred and config.bias else None

    def forward(self, x: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch D"]:
        if self.centred:
            return layers.layer_norm(x, self.weight, self.bias, self.eps)
        return layers.rms_norm(x, self.weight, self.eps)


class Attention(nn.Module):
    """Causal self-attention. q, k and v are one matrix for speed; `parts` shows them apart."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = config
        self.rope_settings = config.rope_settings()
        D, H, G, K = config.width, config.heads, config.kv_heads, config.head_width
        self.qkv = layers.Linear(D, (H + 2 * G) * K, bias=config.bias)
        self.o = layers.Linear(H * K, D, bias=config.bias)
        # A gain for each query and key head: normalised scores could not exceed √K without it.
        self.gain = nn.Parameter(torch.ones(H + G, 1, K)) if config.qk_norm else None

    def parts(self) -> dict[str, Float[Tensor, "O I"]]:
        """Views of the weights q, k, v and o, each of shape (out, in): writing to one writes."""
        c = self.config
        kv = c.kv_heads * c.head_width
        q, k, v = self.qkv.weight.split((c.heads * c.head_width, kv, kv))
        return {"q": q, "k": k, "v": v, "o": self.o.weight}

    @torch.no_grad()
    def load_parts(self, q: Tensor, k: Tensor, v: Tensor, o: Tensor) -> None:
        """Copy separate weights of shape (out, in) into place."""
        for name, weight in (("q", q), ("k", k), ("v", v), ("o", o)):
            into = self.parts()[name]
            if weight.shape != into.shape:
                raise ValueError(f"{name} must be {tuple(into.shape)}, got {tuple(weight.shape)}")
            into.copy_(weight)

    def project(
        self, x: Float[Tensor, "B T D"], start: int = 0
    ) -> tuple[Float[Tensor, "B H T K"], Float[Tensor, "B G T K"], Float[Tensor, "B G T K"]]:
        """Queries, keys and values, normalised and turned; `start` is the first position."""
        c, H, G = self.config, self.config.heads, self.config.kv_heads
        x = self.qkv(x).unflatten(-1, (H + 2 * G, c.head_width)).transpose(1, 2)
        if self.gain is None and c.positions != "rope":
            return x[:, :H], x[:, H : H + G], x[:, H + G :]
        qk, v = x[:, : H + G], x[:, H + G :]
        if self.gain is not None:
            qk = layers.rms_norm(qk, eps=c.eps) * self.gain
        if c.positions == "rope":
            cos, sin = layers.rope_tables(
                c.context, c.head_width, **self.rope_settings, device=x.device
            )
            end = start + x.shape[2]
            qk = layers.rope(qk, cos[start:end], sin[start:end], c.rope_layout)
        qk = qk.to(v.dtype)
        return qk[:, :H], qk[:, H:], v

    def forward(
        self,
        x: Float[Tensor, "B T D"],
        mask: Bool[Tensor, "*#b #T #S"] | None = None,
        cache: KVCache | None = None,
        layer: int = 0,
    ) -> Float[Tensor, "B T D"]:
        q, k, v = self.project(x, 0 if cache is None else cache.used)
        if cache is not None:
            k, v = cache.append(layer, k, v)
        mask, bias = self._limits(q, k, mask)
        out = fused_attend(q, k, v, True, mask, bias)
        return self.o(out.transpose(1, 2).flatten(-2))

    def weights(
        self, x: Float[Tensor, "B T D"], mask: Bool[Tensor, "*#b #T #S"] | None = None
    ) -> Float[Tensor, "B H T T"]:
        """How much each position takes from each earlier one, by head."""
        q, k, _ = self.project(x)
        return attention_weights(q, k, True, *self._limits(q, k, mask))

    def _limits(self, q: Tensor, k: Tensor, mask: Tensor | None) -> tuple:
        """The mask narrowed to the window, and ALiBi's penalty on distance."""
        c, T, S = self.config, q.shape[2], k.shape[2]
        bias = None
        if c.window is not None and c.window < S:
            near = causal_mask(T, S, window=c.window, device=q.device)
            mask = near if mask is None else mask & near
        if c.positions == "alibi":
            query = torch.arange(S - T, S, device=q.device)[:, None]
            distance = query - torch.arange(S, device=q.device)
            slopes = layers.alibi_slopes(c.heads).to(q.device)
            bias = (-slopes[:, None, None] * distance).to(q.dtype)
        return mask, bias


class MLP(nn.Module):
    """The position-wise network of a block: SwiGLU, ReLU² or GPT-2's GELU."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.kind = config.mlp
        D, M = config.width, config.hidden
        self.gate = layers.Linear(D, M, bias=config.bias) if config.mlp == "swiglu" else None
        self.up = layers.Linear(D, M, bias=config.bias)
        self.down = layers.Linear(M, D, bias=config.bias)

    def forward(self, x: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch D"]:
        up = self.up(x)
        if self.gate is not None:
            return self.down(F.silu(self.gate(x)) * up)
        if self.kind == "relu2":
            return self.down(F.relu(up).square())
        return self.down(F.gelu(up, approximate="tanh"))


class Block(nn.Module):
    """Attention and MLP, each adding to the residual stream."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.pre = config.norm_place == "pre"
        self.norm1 = Norm(config)
        self.attention = Attention(config)
        self.norm2 = Norm(config)
        self.mlp = MLP(config)

    def forward(
        self,
        x: Float[Tensor, "B T D"],
        mask: Bool[Tensor, "*#b #T #S"] | None = None,
        cache: KVCache | None = None,
        layer: int = 0,
    ) -> Float[Tensor, "B T D"]:
        if self.pre:
            x = x + self.attention(self.norm1(x), mask, cache, layer)
            return x + self.mlp(self.norm2(x))
        x = self.norm1(x + self.attention(x, mask, cache, layer))
        return self.norm2(x + self.mlp(x))


@dataclass(frozen=True, kw_only=True)
class Trace:
    """What one forward pass computed, for looking inside.

    `residual[l]` enters block l and `residual[-1]` leaves the last; `attention[l]` is block l's.
    """

    logits: Float[Tensor, "B T V"]
    residual: Float[Tensor, "L1 B T D"]
    attention: Float[Tensor, "L B H T T"]


class GPT(nn.Module):
    """A decoder-only Transformer: token ids in, logits of the next token out.

    The weights depend on `config` and `seed` alone. Under autocast on a CPU, attention stays in
    float32.
    """

    def __init__(self, config: GPTConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        self.embed = layers.Embedding(config.vocab_size, config.width)
        learned = config.positions == "learned"
        self.positions = layers.Embedding(config.context, config.width) if learned else None
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        # Post-norm blocks end in a norm already.
        self.norm = Norm(config) if config.norm_place == "pre" else None
        self.head = None
        if not config.tied:
            self.head = layers.Linear(config.width, config.vocab_size, bias=False)
        self.initialise(torch.Generator().manual_seed(seed))

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Draw all weights afresh: normal matrices, zero biases, gains of one.

        The two matrices of a block that write to the residual stream start smaller by √(2 · layers)
        (Radford et al., 2019), or at zero where `zero_outputs` asks for it.
        """
        c = self.config
        for name, p in self.named_parameters():
            if name.startswith(("embed", "positions")):
                p.normal_(0, 0.02 if c.init_std is None else c.init_std, generator=generator)
            elif p.ndim == 2:
                std = p.shape[1] ** -0.5 if c.init_std is None else c.init_std
                if name.endswith(("attention.o.weight", "mlp.down.weight")):
                    std *= 0.0 if c.zero_outputs else (2 * c.layers) ** -0.5
                p.normal_(0, std, generator=generator) if std else p.zero_()
            elif name.endswith("bias"):
                p.zero_()
            else:
                p.fill_(1.0)

    def forward(
        self,
        ids: Int[Tensor, "B T"],
        targets: Int[Tensor, "B T"] | None = None,
        cache: KVCache | None = None,
        *,
        mask: Bool[Tensor, "*#b #T #S"] | None = None,
    ) -> tuple[Float[Tensor, "B T V"], Float[Tensor, ""] | None]:
        """Logits at every position, and the mean loss in nats where there are targets.

        Targets of −100 do not count. With a `cache`, `ids` are read after what it holds. `mask`,
        True where a query may look, narrows the causal one (packed documents, padding).

        Raises:
            ValueError: the sequence is longer than the context, an id is not in the vocabulary,
                or no target counts.
        """
        start = 0 if cache is None else cache.used
        x = self.embed_ids(ids, start, self.config.context if cache is None else cache.length)
        for i, block in enumerate(self.blocks):
            x = block(x, mask, cache, i)
        if cache is not None:
            cache.used = start + ids.shape[1]
        logits = self.unembed(x)
        return logits, None if targets is None else _loss(logits, targets)

    def embed_ids(
        self, ids: Int[Tensor, "B T"], start: int = 0, room: int | None = None
    ) -> Float[Tensor, "B T D"]:
        """Token vectors, with learned or fixed positions added where the model has them."""
        c, end = self.config, start + ids.shape[1]
        limit = min(c.context, c.context if room is None else room)
        if end > limit:
            past = f" after {start} cached" if start else ""
            raise ValueError(
                f"sequence of {ids.shape[1]} tokens{past} is longer than the context of {limit}"
            )
        layers.check_ids(ids, c.vocab_size)
        x = self.embed(ids)
        if self.positions is not None:
            x = x + self.positions.weight[start:end]
        elif c.positions == "sinusoidal":
            x = x + layers.sinusoids(end, c.width, device=ids.device)[start:].to(x.dtype)
        return x

    def unembed(self, x: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch V"]:
        """Final norm, then one logit for each token of the vocabulary."""
        x = x if self.norm is None else self.norm(x)
        return F.linear(x, self.embed.weight if self.head is None else self.head.weight)

    @torch.no_grad()
    def trace(self, ids: Int[Tensor, "B T"]) -> Trace:
        """Run once and keep the residual stream and every head's attention weights."""
        x = self.embed_ids(ids)
        residual, attention = [x], []
        for block in self.blocks:
            attention.append(block.attention.weights(block.norm1(x) if block.pre else x))
            residual.append(x := block(x))
        return Trace(
            logits=self.unembed(x),
            residual=torch.stack(residual),
            attention=torch.stack(attention),
        )

    def cache(self, batch: int = 1, *, length: int | None = None) -> KVCache:
        """An empty cache of this model's dtype and device, `length` positions (the context)."""
        weight = self.embed.weight
        return KVCache(self.config, batch, length=length, dtype=weight.dtype, device=weight.device)

    def parameter_count(self) -> int:
        """All weights, shared ones once."""
        return sum(p.numel() for p in self.parameters())

    def flops_per_token(self, length: int | None = None) -> int:
        """See `GPTConfig.flops_per_token`."""
        return self.config.flops_per_token(length)


def _loss(logits: Tensor, targets: Tensor) -> Tensor:
    if not torch.compiler.is_compiling() and not bool((targets != -100).any()):
        raise ValueError("no target counts: all are -100, so a mean loss has no meaning")
    # Accumulate in float32: in bfloat16 a log-sum over a vocabulary keeps two digits.
    wide = logits if logits.dtype == torch.float64 else logits.float()
    return F.cross_entropy(wide.flatten(0, -2), targets.flatten(), ignore_index=-100)
