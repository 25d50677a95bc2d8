"""Looking inside a model: induction scored on repeated random tokens, and the logit lens.

Random tokens that are read twice have no structure but the repetition. So a model that predicts
the second copy better than the first has found it by looking back; nothing it learned about its
training text can help.

Example:
    >>> from llmcourse.gpt import GPT, GPTConfig
    >>> config = GPTConfig(vocab_size=10, context=16, width=8, heads=2, layers=2, positions="rope")
    >>> ids = repeated_random(vocab_size=10, period=8, n=4, seed=0)
    >>> induction(without(GPT(config, seed=0), "mlp"), ids, period=8).prefix.shape
    torch.Size([2, 2])
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import safetensors.torch
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from llmcourse import checkpoint
from llmcourse.gpt import GPT, Block, GPTConfig

__all__ = [
    "Induction",
    "induction",
    "logit_lens",
    "pack",
    "repeated_random",
    "stages",
    "without",
]

PARTS = ("residual", "norm", "attention", "mlp")

# Stages of one training run of a two-layer and of a one-layer model; see benchmarks/induction.py.
SHIPPED = Path(__file__).parent / "models" / "induction"


class _Nothing(nn.Module):
    """What a part is replaced by where it shall add nothing to the stream."""

    def forward(self, x: Float[Tensor, "*batch D"], *_: object) -> Float[Tensor, "*batch D"]:
        return torch.zeros_like(x)


class _Chain(nn.Module):
    """A block whose parts replace the stream, where they ought to add to it."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.pre, self.norm1, self.norm2 = block.pre, block.norm1, block.norm2
        self.attention, self.mlp = block.attention, block.mlp

    def forward(self, x: Float[Tensor, "B T D"], *limits: object) -> Float[Tensor, "B T D"]:
        return self.mlp(self.norm2(self.attention(self.norm1(x), *limits)))


def without(model: GPT, part: str) -> GPT:
    """Take one part out of every block, in place; return the model.

    `part` is "mlp" or "attention" (each with its norm), "norm" (the final one too) or "residual":
    each part's output then replaces its input.

    Raises:
        ValueError: `part` is none of these, or the blocks are post-norm, which end in a norm.
    """
    if model.config.norm_place != "pre":
        raise ValueError(f"norm_place must be 'pre', got {model.config.norm_place!r}")
    if part not in PARTS:
        raise ValueError(f"part must be one of {PARTS}, got {part!r}")
    for n, block in enumerate(model.blocks):
        if part == "mlp":
            block.norm2, block.mlp = nn.Identity(), _Nothing()
        elif part == "attention":
            block.norm1, block.attention = nn.Identity(), _Nothing()
        elif part == "norm":
            block.norm1, block.norm2 = nn.Identity(), nn.Identity()
        else:
            model.blocks[n] = _Chain(block)
    if part == "norm":
        model.norm = None
    return model


def repeated_random(*, vocab_size: int, period: int, n: int, seed: int) -> Int[Tensor, "B T"]:
    """`n` sequences of `period` uniform random tokens, each followed by its own copy.

    Tokens of one copy are all different, so that the one to come is never in doubt.

    Raises:
        ValueError: the vocabulary has fewer than `period` tokens, or a size is below 1.
    """
    if min(period, n) < 1:
        raise ValueError(f"period and n must be at least 1, got {period} and {n}")
    if vocab_size < period:
        raise ValueError(
            f"a period of distinct tokens needs vocab_size >= period, got {vocab_size} and {period}"
        )
    generator = torch.Generator().manual_seed(seed)
    order = torch.rand(n, vocab_size, generator=generator).argsort(-1)[:, :period]
    return order.repeat(1, 2)


@dataclass(frozen=True, kw_only=True)
class Induction:
    """How a model treats a copy.

    `first` and `second` are the mean surprise of a token in each copy, in nats; `gain` is their
    difference. `prefix[l, h]` is the weight that head h of layer l gives to the token *after* the
    last occurrence of the present one, from the second copy; `previous[l, h]` is the weight on the
    token just before, from anywhere. Olsson et al. (2022).
    """

    first: float
    second: float
    prefix: Float[Tensor, "L H"]
    previous: Float[Tensor, "L H"]

    @property
    def gain(self) -> float:
        """Nats a token that the second copy is cheaper than the first."""
        return self.first - self.second


@torch.no_grad()
def induction(model: GPT, ids: Int[Tensor, "B T"], *, period: int) -> Induction:
    """Score a model on sequences that repeat after `period` tokens (see `repeated_random`).

    The second copy's first token is left out of `second`: nothing says yet that a copy began.

    Raises:
        ValueError: the sequences are not two equal copies of `period` tokens, of 2 or more.
    """
    T = ids.shape[1]
    if period < 2 or 2 * period != T or not torch.equal(ids[:, :period], ids[:, period:]):
        raise ValueError(f"ids must be two equal copies of period >= 2 tokens, got {period}, {T}")
    trace = model.trace(ids)
    logp = trace.logits[:, :-1].float().log_softmax(-1)
    nats = -logp.gather(-1, ids[:, 1:, None]).squeeze(-1)  # nats[:, t]: surprise of token t + 1
    weights = trace.attention  # (L, B, H, T, T)
    after = weights.diagonal(offset=1 - period, dim1=-2, dim2=-1)[..., 1:]  # from the second copy
    before = weights.diagonal(offset=-1, dim1=-2, dim2=-1)
    return Induction(
        first=float(nats[:, : period - 1].mean()),
        second=float(nats[:, period:].mean()),
        prefix=after.mean((1, 3)),
        previous=before.mean((1, 3)),
    )


@torch.no_grad()
def logit_lens(model: GPT, ids: Int[Tensor, "B T"]) -> Float[Tensor, "L1 B T V"]:
    """Log-probabilities of the next token as if the model ended after each block.

    Entry l reads the stream that enters block l; the last one is the model's own answer.
    nostalgebraist (2020).
    """
    residual = model.trace(ids).residual
    return torch.stack([model.unembed(x).log_softmax(-1) for x in residual])


def pack(models: Mapping[int, GPT]) -> bytes:
    """Attention-only models of one form, by training step, as one safetensors file in 8 bits.

    Raises:
        ValueError: there is no model, or they differ in their configuration.
    """
    configs = [model.config.to_dict() for model in models.values()]
    if not configs or any(config != configs[0] for config in configs):
        raise ValueError(f"pack needs models of one configuration, got {len(configs)} models")
    tensors = {}
    for step, model in models.items():
        for name, tensor in model.state_dict().items():
            key = f"{step}/{name}"
            if tensor.ndim == 2:
                tensors[key], tensors[key + checkpoint.SCALE] = checkpoint.quantize_rows(tensor)
            else:
                tensors[key] = tensor.contiguous()
    # Only what is not a default: a field that the configuration gains later must not be here.
    plain = {f.name: f.default for f in fields(GPTConfig)}
    config = {name: v for name, v in configs[0].items() if plain[name] != v}
    return safetensors.torch.save(tensors, {"config": json.dumps(config)})


def stages(layers: int = 2, folder: str | Path = SHIPPED) -> dict[int, GPT]:
    """The stored stages of an attention-only model's training: step → model, in order of steps.

    Raises:
        ValueError: there is no such run in `folder`.
    """
    path = Path(folder) / f"layers-{layers}.safetensors"
    if not path.is_file():
        found = sorted(p.name for p in Path(folder).glob("layers-*.safetensors"))
        raise ValueError(f"no stages of a model of {layers} layers in {folder}, which has {found}")
    tensors, about = checkpoint.read(path)
    config = GPTConfig.from_dict(json.loads(about["config"]))
    states: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        step, name = key.split("/")
        if name.endswith(checkpoint.SCALE):
            continue
        scale = tensors.get(key + checkpoint.SCALE)
        whole = tensor if scale is None else checkpoint.dequantize_rows(tensor, scale)
        states.setdefault(int(step), {})[name] = whole
    models = {}
    for step in sorted(states):
        models[step] = without(GPT(config), "mlp")
        models[step].load_state_dict(states[step])
        models[step].eval()
    return models
