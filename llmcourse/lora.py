"""Low-rank adaptation: fine-tune a model by a small correction to each of a few matrices.

A frozen matrix W of shape (out, in) is joined by B A, with A of shape (rank, in) and B of shape
(out, rank). B begins at zero, so the adapted model begins as the model it was. Hu et al. (2022).

Example:
    >>> add(model, LoRAConfig(rank=8), seed=0)  # doctest: +SKIP
    >>> train(model, batches, config)           # doctest: +SKIP
    >>> save(model, "adapter")                  # doctest: +SKIP
    >>> merge(model)                            # doctest: +SKIP
"""

import dataclasses
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from llmcourse import checkpoint

__all__ = [
    "LoRAConfig",
    "LoRALinear",
    "adapters",
    "add",
    "count",
    "load",
    "merge",
    "remove",
    "save",
    "unmerge",
]

WEIGHTS, CONFIG = "adapter.safetensors", "adapter.json"


@dataclass(frozen=True, kw_only=True)
class LoRAConfig:
    """Which matrices are adapted, and by how much."""

    rank: int = 8
    alpha: float = 16.0  # the correction is alpha / rank times B A
    # Layers by the end of their name; these are all matrices of a block.
    targets: tuple[str, ...] = ("qkv", "o", "gate", "up", "down")
    dropout: float = 0.0  # of what A reads

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise ValueError(f"rank must be at least 1, got {self.rank}")
        if not 0 < self.alpha < math.inf:
            raise ValueError(f"alpha must be above 0 and finite, got {self.alpha}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must lie in [0, 1), got {self.dropout}")
        if not self.targets:
            raise ValueError("targets must name at least one layer, got none")

    @property
    def scale(self) -> float:
        """What B A is multiplied by."""
        return self.alpha / self.rank


class LoRALinear(nn.Module):
    """A linear layer that is frozen, and its correction: W x + b + scale · B A x."""

    def __init__(self, base: nn.Linear, config: LoRAConfig, generator: torch.Generator) -> None:
        super().__init__()
        self.base, self.scale, self.dropout = base, config.scale, config.dropout
        out, width = base.weight.shape
        like = {"dtype": base.weight.dtype, "device": base.weight.device}
        # A keeps the variance of what it reads; with B at zero nothing changes before training.
        drawn = torch.randn(config.rank, width, generator=generator) * width**-0.5
        self.a = nn.Parameter(drawn.to(**like))
        self.b = nn.Parameter(torch.zeros(out, config.rank, **like))
        self.before: Tensor | None = None  # W, while the correction is merged into it

    @property
    def merged(self) -> bool:
        """Whether the correction is inside the matrix now."""
        return self.before is not None

    def delta(self) -> Float[Tensor, "O I"]:
        """The correction, scale · B A."""
        return self.scale * (self.b @ self.a)

    @property
    def weight(self) -> Float[Tensor, "O I"]:
        """The matrix that the layer multiplies by, correction included."""
        return self.base.weight if self.merged else self.base.weight + self.delta()

    def forward(self, x: Float[Tensor, "*batch I"]) -> Float[Tensor, "*batch O"]:
        if self.merged:
            return self.base(x)
        low = F.linear(F.dropout(x, self.dropout, self.training), self.a)
        return self.base(x) + self.scale * F.linear(low, self.b)


def adapters(model: nn.Module) -> dict[str, LoRALinear]:
    """The adapted layers of a model, by name."""
    return {name: m for name, m in model.named_modules() if isinstance(m, LoRALinear)}


def _targets(model: nn.Module, config: LoRAConfig) -> Iterator[tuple[str, nn.Linear]]:
    names = {name: m for name, m in model.named_modules() if isinstance(m, nn.Linear)}
    ends = {target: [n for n in names if n.split(".")[-1] == target] for target in config.targets}
    if not any(ends.values()):
        known = sorted({name.split(".")[-1] for name in names})
        raise ValueError(f"targets must name linear layers ({known}), got {config.targets}")
    for name in dict.fromkeys(n for found in ends.values() for n in found):
        out, width = names[name].weight.shape
        if config.rank > min(out, width):
            raise ValueError(
                f"rank must be at most {min(out, width)}, the smaller side of {name} "
                f"({out} × {width}), got {config.rank}"
            )
        yield name, names[name]


def add(model: nn.Module, config: LoRAConfig, seed: int = 0) -> nn.Module:
    """Freeze a model and give its target layers adapters, in place; returns the model.

    Of `config.targets`, those that the model lacks are passed over (an ungated MLP has no gate).

    Raises:
        ValueError: the model has adapters already, no target is a layer of it, or the rank
            exceeds a layer's smaller side. The model is then unchanged.
    """
    if found := adapters(model):
        raise ValueError(f"the model has {len(found)} adapters already: merge or remove them first")
    chosen = dict(_targets(model, config))  # all are checked before any is replaced
    generator = torch.Generator().manual_seed(seed)
    model.requires_grad_(False)
    for name, base in chosen.items():
        parent, _, own = name.rpartition(".")
        setattr(model.get_submodule(parent), own, LoRALinear(base, config, generator))
    model.lora = config
    return model


def count(model: nn.Module) -> tuple[int, int]:
    """How many parameters are trained, and how many there are, adapters included."""
    sizes = [(p.numel(), p.requires_grad) for p in model.parameters()]
    return sum(n for n, trained in sizes if trained), sum(n for n, _ in sizes)


@torch.no_grad()
def merge(model: nn.Module) -> nn.Module:
    """Add each correction to its matrix, in place: the model then costs what it cost before.

    The matrices as they were are kept beside, for adding and subtracting again would not give
    back the same bits.
    """
    for layer in adapters(model).values():
        if not layer.merged:
            layer.before = layer.base.weight.detach().clone()
            layer.base.weight += layer.delta()
    return model


@torch.no_grad()
def unmerge(model: nn.Module) -> nn.Module:
    """Undo `merge`, to the bit."""
    for layer in adapters(model).values():
        if layer.merged:
            layer.base.weight.copy_(layer.before)
            layer.before = None
    return model


def remove(model: nn.Module) -> nn.Module:
    """Take the adapters off, in place, and make every parameter learnable again.

    A correction that was merged stays in its matrix; one that was not is gone.
    """
    for name, layer in adapters(model).items():
        parent, _, own = name.rpartition(".")
        setattr(model.get_submodule(parent), own, layer.base)
    if hasattr(model, "lora"):
        del model.lora
    return model.requires_grad_(True)


def save(model: nn.Module, folder: str | Path) -> Path:
    """Write the adapters alone, as safetensors and JSON; returns the folder.

    Raises:
        ValueError: the model has no adapters.
    """
    if not (found := adapters(model)):
        raise ValueError("the model has no adapters to save")
    folder = Path(folder)
    tensors = {f"{name}.{part}": getattr(m, part) for name, m in found.items() for part in "ab"}
    tensors = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    about = {"lora": dataclasses.asdict(model.lora), "base": _about(model)}
    checkpoint.write_file(folder / WEIGHTS, safetensors.torch.save(tensors))
    checkpoint.write_file(folder / CONFIG, json.dumps(about, indent=1).encode() + b"\n")
    return folder


def _about(model: nn.Module) -> dict | None:
    config = getattr(model, "config", None)
    if not dataclasses.is_dataclass(config):
        return None
    return json.loads(json.dumps(dataclasses.asdict(config)))


@torch.no_grad()
def load(model: nn.Module, folder: str | Path) -> nn.Module:
    """Give a model the adapters that `save` wrote, in place; returns the model.

    Raises:
        FileNotFoundError: the folder lacks a file.
        ValueError: the adapters were made for a model of another configuration.
    """
    folder = Path(folder)
    tensors, _ = checkpoint.read(folder / WEIGHTS)
    if not (folder / CONFIG).is_file():
        raise FileNotFoundError(f"an adapter folder needs {CONFIG}; {folder} has none")
    about = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    here, there = _about(model) or {}, about["base"] or {}
    differ = [
        f"{k}: model {here.get(k)!r}, adapter {there.get(k)!r}"
        for k in sorted(here.keys() | there.keys())
        if here.get(k) != there.get(k)
    ]
    if differ:
        raise ValueError(f"{folder} adapts another model: {'; '.join(differ)}")
    settings = about["lora"]
    add(model, LoRAConfig(**settings | {"targets": tuple(settings["targets"])}))
    for name, layer in adapters(model).items():
        for part in "ab":
            if f"{name}.{part}" not in tensors:
                remove(model)
                raise ValueError(f"{folder / WEIGHTS} lacks the tensor '{name}.{part}'")
            getattr(layer, part).copy_(tensors[f"{name}.{part}"])
    return model
