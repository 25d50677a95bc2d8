"""The course's GPT in JAX and in TensorFlow, from the same weights.

`llmcourse.frameworks.jax` and `llmcourse.frameworks.tensorflow` each write the forward pass of
`llmcourse.gpt` again, in their framework's manner: pre-norm, tied embeddings, LayerNorm with GELU
and learned positions, or RMSNorm with SwiGLU and RoPE. Both frameworks are optional
(`pip install -e ".[frameworks]"`) and imported only when a function is called; `missing` says in a
sentence what is not there, and `shipped` gives what `benchmarks/frameworks.py` measured.
"""

import importlib.util
import json
from importlib.resources import files
from typing import Any

import numpy as np

from llmcourse import layers
from llmcourse.gpt import GPT
from llmcourse.gptconfig import GPTConfig

__all__ = ["NAMES", "check_form", "missing", "shipped", "tables", "weights"]

NAMES = {
    "torch": "PyTorch",
    "transformers": "Transformers",
    "jax": "JAX",
    "tensorflow": "TensorFlow",
}
_FORM = dict(norm_place="pre", tied=True, window=None, rope_scale=1.0, rope_layout="half")


def missing(name: str) -> str | None:
    """A sentence that says what is not installed; None where `name` can be imported.

    Raises:
        ValueError: `name` is none of the four frameworks.
    """
    if name not in NAMES:
        raise ValueError(f"name must be one of {tuple(NAMES)}, got {name!r}")
    if importlib.util.find_spec(name) is not None:
        return None
    extra = "frameworks" if name in ("jax", "tensorflow") else "book"
    return f'{NAMES[name]} is not installed here: pip install -e ".[{extra}]"'


def shipped() -> dict[str, Any]:
    """What `python -m benchmarks.frameworks` measured, for readers without the frameworks."""
    path = files("llmcourse").joinpath("results/frameworks.json")
    return json.loads(path.read_text(encoding="utf-8"))


def check_form(config: GPTConfig) -> None:
    """Raise a ValueError that names the first field which the two ports do not know."""
    form = _FORM | {"norm": "layer" if config.mlp == "gelu" else "rms", "kv_heads": config.heads}
    form |= {"positions": "learned" if config.mlp == "gelu" else "rope"}
    form |= {"bias": config.mlp == "gelu"}
    if config.mlp not in ("gelu", "swiglu"):
        raise ValueError(f"mlp must be 'gelu' or 'swiglu', got {config.mlp!r}")
    for name, wanted in form.items():
        if getattr(config, name) != wanted:
            raise ValueError(f"{name} must be {wanted!r}, got {getattr(config, name)!r}")


def weights(model: GPT) -> dict[str, np.ndarray]:
    """Every weight of a model by its name, copied; matrices stay (out, in).

    Raises:
        ValueError: the model has a form that the ports do not know.
    """
    check_form(model.config)
    return {n: p.detach().cpu().numpy().copy() for n, p in model.named_parameters()}


def tables(config: GPTConfig, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Cosines and signed sines of RoPE, each of shape (length, K)."""
    cos, sin = layers.rope_tables(length, config.head_width, **config.rope_settings())
    return cos.numpy(), sin.numpy()
