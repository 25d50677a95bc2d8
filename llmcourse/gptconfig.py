"""What a GPT is made of, and what that costs, before any weight exists."""

from dataclasses import asdict, dataclass, fields
from typing import Any

__all__ = ["GPTConfig"]

_CHOICES = {
    "norm": ("rms", "layer"),
    "norm_place": ("pre", "post"),
    "mlp": ("swiglu", "relu2", "gelu"),
    "positions": ("rope", "learned", "sinusoidal", "alibi", "none"),
    "rope_layout": ("half", "interleaved"),
    "rope_scaling": ("linear", "ntk", "yarn"),
}


@dataclass(frozen=True, kw_only=True)
class GPTConfig:
    """The form of a decoder-only Transformer. Start from `gpt2_form` or `modern`.

    Raises:
        ValueError: a field breaks its rule; the message gives the rule and the value.
    """

    vocab_size: int
    context: int  # the longest sequence, in tokens
    width: int = 128  # channels of the residual stream, D
    heads: int = 4  # query heads, H
    kv_heads: int | None = None  # key and value heads, G; None: as many as query heads
    layers: int = 4
    hidden: int | None = None  # channels of the MLP, M; None: 4 D, or 8/3 D when gated
    norm: str = "rms"
    norm_place: str = "pre"
    mlp: str = "swiglu"
    positions: str = "rope"
    rope_layout: str = "half"
    rope_theta: float = 10_000.0
    rope_scale: float = 1.0  # how many times as long as trained on texts may be
    rope_scaling: str = "linear"  # how; see `layers.rope_frequencies`
    rope_trained: int | None = None  # the length trained on, for yarn; None: context / rope_scale
    qk_norm: bool = False  # RMS-normalise queries and keys, each head with its own gain
    bias: bool = False
    tied: bool = True  # one matrix embeds and unembeds
    window: int | None = None  # each query sees the nearest `window` keys; None: all
    eps: float = 1e-5
    init_std: float | None = 0.02  # None: 1/√(in) for matrices, 0.02 for embeddings
    zero_outputs: bool = False  # start each block as the identity

    def __post_init__(self) -> None:
        if self.kv_heads is None:
            object.__setattr__(self, "kv_heads", self.heads)
        for name in ("vocab_size", "context", "width", "heads", "kv_heads", "layers"):
            self._at_least_one(name)
        if self.hidden is None:
            gated = 8 * ((8 * self.width // 3 + 7) // 8)  # whole vector registers
            object.__setattr__(self, "hidden", gated if self.mlp == "swiglu" else 4 * self.width)
        self._at_least_one("hidden")
        for name in ("window", "rope_trained"):
            if getattr(self, name) is not None:
                self._at_least_one(name)
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {choices}, got {getattr(self, name)!r}")
        if self.width % self.heads:
            raise ValueError(f"width must divide by heads, got {self.width} and {self.heads}")
        if self.heads % self.kv_heads:
            raise ValueError(
                f"heads must be a multiple of kv_heads, got {self.heads} and {self.kv_heads}"
            )
        if self.positions == "rope" and self.head_width % 2:
            raise ValueError(f"rope needs an even width / heads, got {self.head_width}")
        if self.positions == "rope" and self.rope_scaling == "ntk" and self.head_width == 2:
            raise ValueError(f"ntk scaling needs width / heads above 2, got {self.head_width}")
        if self.positions == "sinusoidal" and self.width % 2:
            raise ValueError(f"sinusoidal positions need an even width, got {self.width}")
        for name in ("rope_theta", "rope_scale", "eps"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
        if self.init_std is not None and not self.init_std > 0:
            raise ValueError(f"init_std must be above 0 or None, got {self.init_std}")

    def _at_least_one(self, name: str) -> None:
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{name} must be an int, got {value!r}")
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")

    @classmethod
    def gpt2_form(cls, **fields: Any) -> "GPTConfig":
        """GPT-2: LayerNorm, GELU (tanh), learned positions, biases, tied embeddings.

        The defaults are those of the smallest GPT-2 (124 M parameters); `fields` override.
        """
        gpt2 = dict(
            vocab_size=50_257, context=1024, width=768, heads=12, layers=12,
            norm="layer", mlp="gelu", positions="learned", bias=True, tied=True,
        )  # fmt: skip
        return cls(**(gpt2 | fields))

    @classmethod
    def modern(cls, **fields: Any) -> "GPTConfig":
        """Today's decoder: RMSNorm, SwiGLU, RoPE, QK-norm, no biases, tied embeddings.

        Give `kv_heads` for grouped-query attention and `mlp="relu2"` for the cheaper MLP;
        `fields` override everything.
        """
        modern = dict(qk_norm=True, init_std=None, zero_outputs=True)
        return cls(**(modern | fields))

    @property
    def head_width(self) -> int:
        """Channels of one head, K."""
        return self.width // self.heads

    def rope_settings(self) -> dict[str, Any]:
        """What `layers.rope_tables` must know of this configuration, beside length and width."""
        trained = self.rope_trained or max(1, round(self.context / self.rope_scale))
        return {
            "theta": self.rope_theta,
            "scale": self.rope_scale,
            "scaling": self.rope_scaling,
            "trained": trained,
            "layout": self.rope_layout,
        }

    def parameter_count(self) -> int:
        """Weights by formula; equal to counting them in `GPT(config)`."""
        D, M, bias = self.width, self.hidden, int(self.bias)
        rows = (self.heads + 2 * self.kv_heads) * self.head_width  # of q, k and v together
        ups = 2 if self.mlp == "swiglu" else 1
        norm = D * (1 + (bias if self.norm == "layer" else 0))
        block = (
            D * rows + bias * rows  # q, k, v
            + D * D + bias * D  # o
            + ups * (D * M + bias * M)  # up, and gate
            + M * D + bias * D  # down
            + 2 * norm
            + self.qk_norm * (self.heads + self.kv_heads) * self.head_width
        )  # fmt: skip
        return (
            self.vocab_size * D * (1 if self.tied else 2)
            + (self.context * D if self.positions == "learned" else 0)
            + self.layers * block
            + (norm if self.norm_place == "pre" else 0)
        )

    def flops_per_token(self, length: int | None = None) -> int:
        """Floating-point operations of one forward pass, per token of a sequence of `length`.

        Two for each weight of a matrix product (the unembedding among them) and, in attention,
        two products of `length` × width; the causal half that a kernel may skip is counted, as
        is the custom. Training costs three times this: the backward pass is two forward passes.
        """
        length = self.context if length is None else length
        D = self.width
        rows = (self.heads + 2 * self.kv_heads) * self.head_width
        matrices = D * rows + D * D + (3 if self.mlp == "swiglu" else 2) * D * self.hidden
        attention = 2 * 2 * length * D
        return self.layers * (2 * matrices + attention) + 2 * D * self.vocab_size

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "GPTConfig":
        """The inverse of `to_dict`.

        Raises:
            ValueError: a key is no field of the configuration.
        """
        unknown = sorted(set(values) - {f.name for f in fields(cls)})
        if unknown:
            raise ValueError(f"unknown fields of GPTConfig: {unknown}")
        return cls(**values)
