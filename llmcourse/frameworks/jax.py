"""The GPT in JAX: pure functions of a dictionary of weights.

Nothing here holds state. `forward` may be given to `jax.jit` (with the configuration static) and
`loss` to `jax.grad`, as `step` does. Source of the functions: `llmcourse.gpt` and `layers`.

Example:
    >>> w = weights(model)                       # doctest: +SKIP
    >>> forward(w, ids, model.config).shape      # doctest: +SKIP
    (2, 10, 1024)
"""

import functools
import math
from typing import Any

import numpy as np

from llmcourse import frameworks
from llmcourse.gptconfig import GPTConfig

__all__ = ["adam_step", "forward", "loss", "step", "weights"]


def weights(model: Any) -> dict[str, Any]:
    """The weights of a torch model as JAX arrays, by the same names."""
    import jax.numpy as jnp

    return {name: jnp.asarray(value) for name, value in frameworks.weights(model).items()}


def norm(w, name, x, eps):
    """LayerNorm where the norm has a bias, RMSNorm where it has none; x is (..., D)."""
    import jax.numpy as jnp

    if f"{name}.bias" in w:
        x = x - x.mean(-1, keepdims=True)
    x = x / jnp.sqrt((x * x).mean(-1, keepdims=True) + eps)
    x = x * w[f"{name}.weight"]
    return x + w[f"{name}.bias"] if f"{name}.bias" in w else x


def linear(w, name, x):
    """x Wᵀ + b: (..., in) to (..., out)."""
    y = x @ w[f"{name}.weight"].T
    return y + w[f"{name}.bias"] if f"{name}.bias" in w else y


def attention(w, name, x, config):
    """Causal self-attention, (B, T, D) to (B, T, D)."""
    import jax
    import jax.numpy as jnp

    B, T, D = x.shape
    H, K = config.heads, config.head_width
    qkv = linear(w, f"{name}.qkv", x).reshape(B, T, 3 * H, K).transpose(0, 2, 1, 3)
    qk, v = qkv[:, : 2 * H], qkv[:, 2 * H :]
    if config.qk_norm:
        qk = qk / jnp.sqrt((qk * qk).mean(-1, keepdims=True) + config.eps) * w[f"{name}.gain"]
    if config.positions == "rope":
        cos, sin = frameworks.tables(config, T)
        qk = qk * cos + jnp.roll(qk, K // 2, -1) * sin
    q, k = qk[:, :H], qk[:, H:]
    scores = q @ k.swapaxes(-1, -2) / math.sqrt(K)  # (B, H, T, T)
    scores = jnp.where(np.tri(T, dtype=bool), scores, -jnp.inf)
    mixed = jax.nn.softmax(scores, axis=-1) @ v
    return linear(w, f"{name}.o", mixed.transpose(0, 2, 1, 3).reshape(B, T, D))


def mlp(w, name, x, config):
    """GPT-2's GELU (tanh) or SwiGLU, (B, T, D) to (B, T, D)."""
    import jax

    up = linear(w, f"{name}.up", x)
    if config.mlp == "swiglu":
        return linear(w, f"{name}.down", jax.nn.silu(linear(w, f"{name}.gate", x)) * up)
    return linear(w, f"{name}.down", jax.nn.gelu(up, approximate=True))


def forward(w: dict[str, Any], ids: Any, config: GPTConfig) -> Any:
    """Logits (B, T, V) of ids (B, T).

    Raises:
        ValueError: the sequence is longer than the context. Ids are not checked: under `jit` their
            values are not known, and JAX answers an id outside the table without an error.
    """
    T = ids.shape[1]
    if T > config.context:
        raise ValueError(f"sequence of {T} tokens is longer than the context of {config.context}")
    x = w["embed.weight"][ids]
    if config.positions == "learned":
        x = x + w["positions.weight"][:T]
    for i in range(config.layers):
        block = f"blocks.{i}"
        h = norm(w, f"{block}.norm1", x, config.eps)
        x = x + attention(w, f"{block}.attention", h, config)
        h = norm(w, f"{block}.norm2", x, config.eps)
        x = x + mlp(w, f"{block}.mlp", h, config)
    return norm(w, "norm", x, config.eps) @ w["embed.weight"].T


def loss(w: dict[str, Any], ids: Any, targets: Any, config: GPTConfig) -> Any:
    """Mean surprise of the targets (B, T), in nats per token."""
    import jax
    import jax.numpy as jnp

    logp = jax.nn.log_softmax(forward(w, ids, config), axis=-1)
    return -jnp.take_along_axis(logp, targets[..., None], -1).mean()


@functools.cache
def step():
    """The compiled step of gradient descent: (w, ids, targets, config, lr) to (loss, new w)."""
    import jax

    def descend(w, ids, targets, config, lr):
        value, grads = jax.value_and_grad(loss)(w, ids, targets, config)
        return value, jax.tree.map(lambda p, g: p - lr * g, w, grads)

    return jax.jit(descend, static_argnums=3)


def adam_step(grads: dict[str, Any], lr: float, eps: float = 1e-8) -> dict[str, Any]:
    """What Adam's first step adds to each weight: −lr · g / (|g| + eps)."""
    import jax
    import jax.numpy as jnp

    return jax.tree.map(lambda g: -lr * g / (jnp.abs(g) + eps), grads)
