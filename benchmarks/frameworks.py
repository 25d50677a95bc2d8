"""One model in four frameworks: agreement, time a step, and what a change of shape costs.

    python -m benchmarks.frameworks          needs the extra `frameworks`; some minutes of one core

The process holds itself to one core. All ways take turns, after warm-up: each round runs one step
of each, garbage collected before, so that a busy machine is busy for all. Writes
`llmcourse/results/frameworks.json`, which the chapter `tools/frameworks` shows.
"""

import gc
import json
import os
import platform
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from llmcourse import data, frameworks, models, tales
from llmcourse.frameworks import agreement as equal
from llmcourse.frameworks import jax as in_jax
from llmcourse.frameworks import tensorflow as in_tf

OUT = Path(__file__).parents[1] / "llmcourse" / "results" / "frameworks.json"
BATCH, LENGTH, ROUNDS, LR = 4, 64, 11, 1e-4
LENGTHS = (64, 48, 40, 32, 64, 48)


def real_batch(batch=4, length=128):
    """Ids and targets of Python's documentation, and the bytes that the targets stand for."""
    _, bpe = models.load("gpt2-mini")
    text = data.split(data.load("python-docs"), (0.8, 0.1, 0.1))[1]
    ids = bpe.encode(text[: 16 * batch * length])[: batch * (length + 1)]
    rows = torch.tensor(ids).reshape(batch, length + 1)
    size = sum(len(bpe.decode_bytes(row.tolist())) for row in rows[:, 1:])
    return rows[:, :-1], rows[:, 1:], size


def tales_batch(n=8, length=48):
    _, tokenizer = models.load("tales")
    told = [tokenizer.encode_tokens(s.tokens) for s in tales.generate(seed=900, n=n)]
    rows = torch.tensor([t[: length + 1] for t in told])
    return rows[:, :-1], rows[:, 1:]


def ways():
    """Each way to take one step: a function of (ids, targets) as int64 arrays."""
    import jax
    import tensorflow as tf

    def torch_step(compiled):
        model, _ = models.load("gpt2-mini")
        run = torch.compile(model) if compiled else model
        optimizer = torch.optim.SGD(model.parameters(), lr=LR)

        def step(x, y):
            optimizer.zero_grad()
            loss = run(torch.from_numpy(x), torch.from_numpy(y))[1]
            loss.backward()
            optimizer.step()
            return loss.item()

        return step

    def transformers_step():
        from transformers import AutoModelForCausalLM

        model = AutoModelForCausalLM.from_pretrained(
            models.path("gpt2-mini"), dtype=torch.float32
        ).eval()
        optimizer = torch.optim.SGD(model.parameters(), lr=LR)

        def step(x, y):
            optimizer.zero_grad()
            logits = model(torch.from_numpy(x)).logits
            loss = torch.nn.functional.cross_entropy(
                logits.flatten(0, 1), torch.from_numpy(y).flatten()
            )
            loss.backward()
            optimizer.step()
            return loss.item()

        return step

    base, _ = models.load("gpt2-mini")

    def jax_step(compiled):
        state = {"w": in_jax.weights(base)}
        grad = jax.value_and_grad(in_jax.loss)

        def step(x, y):
            if compiled:
                loss, state["w"] = in_jax.step()(state["w"], x, y, base.config, LR)
            else:
                loss, g = grad(state["w"], x, y, base.config)
                state["w"] = jax.tree.map(lambda p, d: p - LR * d, state["w"], g)
            jax.block_until_ready(state["w"])
            return float(loss)

        return step

    def tf_step(**options):
        run = in_tf.make_step(in_tf.weights(base), base.config, LR, **options)
        return lambda x, y: float(run(tf.constant(x, tf.int32), tf.constant(y, tf.int32)))

    return {
        "PyTorch": torch_step(False),
        "Transformers": transformers_step(),
        "JAX": jax_step(False),
        "TensorFlow": tf_step(graph=False),
        "PyTorch, compiled": torch_step(True),
        "JAX, jit": jax_step(True),
        "TensorFlow, graph": tf_step(),
        "TensorFlow, any length": tf_step(any_length=True),
    }


def timed(step, x, y):
    gc.collect()
    start = time.perf_counter()
    loss = step(x, y)
    return time.perf_counter() - start, loss


def main() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    in_tf.load()
    mini, _ = models.load("gpt2-mini")
    told, _ = models.load("tales")
    x, y, size = real_batch()
    found = {"real": {}, "tales": {}, "bytes": size, "tokens": y.numel()}
    for name in frameworks.NAMES:
        found["real"][name] = equal.agreement(name, mini, x, y)
        if name != "transformers":  # no class of it has a gain for each head
            found["tales"][name] = equal.agreement(name, told, *tales_batch())
    print(json.dumps(found, indent=1), flush=True)
    rng = np.random.default_rng(0)
    batches = {t: rng.integers(0, 1023, (BATCH, t + 1)) for t in set(LENGTHS)}
    cut = {t: (b[:, :-1].copy(), b[:, 1:].copy()) for t, b in batches.items()}
    steps = ways()
    calls = {name: [timed(step, *cut[t])[0] for t in LENGTHS] for name, step in steps.items()}
    print(calls, flush=True)
    seconds, losses = {name: [] for name in steps}, {}
    for _ in range(ROUNDS):
        for name, step in steps.items():
            took, losses[name] = timed(step, *cut[LENGTH])
            seconds[name].append(took)
    found |= {
        "calls": calls,
        "lengths": LENGTHS,
        "seconds": seconds,
        "losses": losses,
        "shape": [BATCH, LENGTH],
        "versions": {n: version(n) for n in ("torch", "transformers", "jax", "tensorflow-cpu")},
        "machine": {"processor": platform.processor() or platform.machine(), "cores used": 1},
    }
    OUT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
