"""The GPT in TensorFlow: functions over a dictionary of `tf.Variable`s that a step changes.

Runs eagerly, line by line, or as a graph when wrapped in `tf.function`, as `make_step` does.
Source of the functions: `llmcourse.gpt` and `layers`.

Example:
    >>> w = weights(model)                       # doctest: +SKIP
    >>> forward(w, ids, model.config).shape      # doctest: +SKIP
    TensorShape([2, 10, 1024])
"""

import math
import os
from collections.abc import Callable
from typing import Any

from llmcourse import frameworks
from llmcourse.gptconfig import GPTConfig

__all__ = ["forward", "load", "loss", "make_step", "weights"]


def load() -> Any:
    """The module `tensorflow`, imported without its start-up messages and on the CPU alone."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")
    return tf


def weights(model: Any) -> dict[str, Any]:
    """The weights of a torch model as variables, by the same names."""
    tf = load()
    return {name: tf.Variable(value) for name, value in frameworks.weights(model).items()}


def norm(w, name, x, eps):
    """LayerNorm where the norm has a bias, RMSNorm where it has none; x is (..., D)."""
    tf = load()
    if f"{name}.bias" in w:
        x = x - tf.reduce_mean(x, -1, keepdims=True)
    x = x * tf.math.rsqrt(tf.reduce_mean(x * x, -1, keepdims=True) + eps)
    x = x * w[f"{name}.weight"]
    return x + w[f"{name}.bias"] if f"{name}.bias" in w else x


def linear(w, name, x):
    """x Wᵀ + b: (..., in) to (..., out)."""
    tf = load()
    y = tf.einsum("btd,od->bto", x, w[f"{name}.weight"])
    return y + w[f"{name}.bias"] if f"{name}.bias" in w else y


def attention(w, name, x, config):
    """Causal self-attention, (B, T, D) to (B, T, D)."""
    tf = load()
    T, H, K = tf.shape(x)[1], config.heads, config.head_width
    qkv = tf.reshape(linear(w, f"{name}.qkv", x), (-1, T, 3 * H, K))
    qkv = tf.transpose(qkv, (0, 2, 1, 3))
    qk, v = qkv[:, : 2 * H], qkv[:, 2 * H :]
    if config.qk_norm:
        power = tf.reduce_mean(qk * qk, -1, keepdims=True)
        qk = qk * tf.math.rsqrt(power + config.eps) * w[f"{name}.gain"]
    if config.positions == "rope":
        cos, sin = frameworks.tables(config, config.context)
        qk = qk * tf.constant(cos)[:T] + tf.roll(qk, K // 2, -1) * tf.constant(sin)[:T]
    q, k = qk[:, :H], qk[:, H:]
    scores = tf.matmul(q, k, transpose_b=True) / math.sqrt(K)  # (B, H, T, T)
    causal = tf.linalg.band_part(tf.ones((T, T), tf.bool), -1, 0)
    scores = tf.where(causal, scores, -math.inf)
    mixed = tf.matmul(tf.nn.softmax(scores), v)
    mixed = tf.reshape(tf.transpose(mixed, (0, 2, 1, 3)), (-1, T, H * K))
    return linear(w, f"{name}.o", mixed)


def mlp(w, name, x, config):
    """GPT-2's GELU (tanh) or SwiGLU, (B, T, D) to (B, T, D)."""
    tf = load()
    up = linear(w, f"{name}.up", x)
    if config.mlp == "swiglu":
        return linear(w, f"{name}.down", tf.nn.silu(linear(w, f"{name}.gate", x)) * up)
    return linear(w, f"{name}.down", tf.nn.gelu(up, approximate=True))


def forward(w: dict[str, Any], ids: Any, config: GPTConfig) -> Any:
    """Logits (B, T, V) of ids (B, T).

    Raises:
        ValueError: the sequence is known to be longer than the context.
        InvalidArgumentError: an id is outside the vocabulary (on a CPU).
    """
    tf = load()
    if ids.shape[1] is not None and ids.shape[1] > config.context:
        raise ValueError(
            f"sequence of {ids.shape[1]} tokens is longer than the context of {config.context}"
        )
    x = tf.gather(w["embed.weight"], ids)
    if config.positions == "learned":
        x = x + w["positions.weight"][: tf.shape(ids)[1]]
    for i in range(config.layers):
        block = f"blocks.{i}"
        h = norm(w, f"{block}.norm1", x, config.eps)
        x = x + attention(w, f"{block}.attention", h, config)
        h = norm(w, f"{block}.norm2", x, config.eps)
        x = x + mlp(w, f"{block}.mlp", h, config)
    x = norm(w, "norm", x, config.eps)
    return tf.einsum("btd,vd->btv", x, w["embed.weight"])


def loss(w: dict[str, Any], ids: Any, targets: Any, config: GPTConfig) -> Any:
    """Mean surprise of the targets (B, T), in nats per token."""
    tf = load()
    logits = forward(w, ids, config)
    each = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets, logits=logits)
    return tf.reduce_mean(each)


def make_step(
    w: dict[str, Any], config: GPTConfig, lr: float, *, graph: bool = True, any_length: bool = False
) -> Callable[[Any, Any], Any]:
    """A step of gradient descent that changes `w` in place and returns the loss before it.

    With `graph` it is traced once for each shape; with `any_length` also, once for all shapes.
    """
    tf = load()

    def step(ids, targets):
        with tf.GradientTape() as tape:
            value = loss(w, ids, targets, config)
        for p, g in zip(w.values(), tape.gradient(value, list(w.values())), strict=True):
            p.assign_sub(lr * tf.convert_to_tensor(g))  # a gathered table's gradient is sparse
        return value

    if not graph:
        return step
    whole = tf.TensorSpec((None, None), tf.int32)
    return tf.function(step, input_signature=[whole, whole] if any_length else None)
