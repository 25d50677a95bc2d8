"""One batch through two frameworks: how far apart are logits, gradients and a step?"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from llmcourse import frameworks
from llmcourse.gpt import GPT

__all__ = ["agreement", "run"]


def run(name: str, model: GPT, ids: Int[Tensor, "B T"], targets: Int[Tensor, "B T"]) -> tuple:
    """(logits, loss, gradients by our names) of `model` as the framework `name` computes them.

    Raises:
        ValueError: the framework is unknown, or cannot hold a model of this form.
        ImportError: it is not installed; the message says how to get it.
    """
    if gone := frameworks.missing(name):
        raise ImportError(gone)
    runs: dict[str, Callable] = {
        "torch": _torch,
        "transformers": _transformers,
        "jax": _jax,
        "tensorflow": _tensorflow,
    }
    return runs[name](model, ids, targets)


def _torch(model, ids, targets):
    model.zero_grad()
    logits, loss = model(ids, targets)
    loss.backward()
    grads = {n: p.grad.numpy().copy() for n, p in model.named_parameters()}
    return logits.detach().numpy(), loss.item(), grads


def _transformers(model, ids, targets):
    from transformers import AutoConfig, AutoModelForCausalLM

    from llmcourse.hf.layout import config_to_hf, fill, state_to_hf

    theirs = AutoModelForCausalLM.from_config(
        AutoConfig.for_model(**config_to_hf(model.config)), attn_implementation="sdpa"
    )
    state = state_to_hf(model)
    theirs.load_state_dict(state, strict=False)  # the head is tied to the embedding
    logits = theirs.eval()(ids).logits
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
    loss.backward()
    grads = {n: p.grad for n, p in theirs.named_parameters()}
    back = fill(GPT(model.config), grads, "gradients")  # a gradient moves as its weight does
    return logits.detach().numpy(), loss.item(), frameworks.weights(back)


def _jax(model, ids, targets):
    import jax

    from llmcourse.frameworks import jax as ours

    w, x, y = ours.weights(model), ids.numpy(), targets.numpy()
    logits = ours.forward(w, x, model.config)
    value, grads = jax.value_and_grad(ours.loss)(w, x, y, model.config)
    return np.asarray(logits), float(value), {n: np.asarray(g) for n, g in grads.items()}


def _tensorflow(model, ids, targets):
    from llmcourse.frameworks import tensorflow as ours

    tf = ours.load()
    w = ours.weights(model)
    x, y = tf.constant(ids.numpy()), tf.constant(targets.numpy())
    with tf.GradientTape() as tape:
        value = ours.loss(w, x, y, model.config)
    grads = tape.gradient(value, list(w.values()))
    dense = (tf.convert_to_tensor(g).numpy() for g in grads)
    logits = ours.forward(w, x, model.config).numpy()
    return logits, float(value), dict(zip(w, dense, strict=True))


def agreement(
    name: str,
    model: GPT,
    ids: Int[Tensor, "B T"],
    targets: Int[Tensor, "B T"],
    *,
    lr: float = 0.1,
    eps: float = 1e-8,
) -> dict[str, Any]:
    """Largest differences from torch: of a logit, a gradient, and a weight after one step.

    `sgd` is a step of gradient descent at `lr`, `adam` Adam's first step, −lr g / (|g| + eps), in
    multiples of lr. `next` is the share of positions whose likeliest next token is the same, and
    `bits` the mean surprise of a target in bits.
    """
    logits, loss, grads = run("torch", model, ids, targets)
    theirs, their_loss, their_grads = run(name, model, ids, targets)
    pairs = {n: (g, their_grads[n]) for n, g in grads.items()}
    before = frameworks.weights(model)
    sgd = {n: abs((before[n] - lr * a) - (before[n] - lr * b)) for n, (a, b) in pairs.items()}
    adam = {
        n: abs(a / (abs(a) + np.float32(eps)) - b / (abs(b) + np.float32(eps)))
        for n, (a, b) in pairs.items()
    }
    worst = max(adam, key=lambda n: adam[n].max())
    return {
        "logits": float(abs(logits - theirs).max()),
        "loss": abs(loss - their_loss),
        "grads": max(float(abs(a - b).max()) for a, b in pairs.values()),
        "sgd": max(float(d.max()) for d in sgd.values()),
        "adam": float(adam[worst].max()),
        "adam where": worst,
        "next": float((logits.argmax(-1) == theirs.argmax(-1)).mean()),
        "bits": their_loss / float(np.log(2)),
    }
