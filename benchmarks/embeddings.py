"""Embeddings: one matrix or two, and how wide, on Python's documentation.

Small GPTs of one form, trained on the same tokens, that differ in their embeddings alone:

- `tied`: one matrix reads and predicts; `untied`: two; `untied, narrow`: two, in a model narrowed
  until it has as many parameters as the tied one;
- `input D` and `output D`: an untied model of full width whose input (or output) vectors have D
  numbers and a linear map to (or from) the full width.

    python -m benchmarks.embeddings           every run not yet done, in about ten minutes
    python -m benchmarks.embeddings --table   what there is

A seed draws the split of the documentation, the weights and the batches. Each of the first three
is trained at three learning rates and the best one on the dev text is reported, on the test text;
the narrow ones are trained at the highest of the three.
Every finished run is written to the result at once, so a killed run loses one model at most.
"""

import argparse
import json
import math
import os
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

import llmcourse
from llmcourse import data, evaluate, layers
from llmcourse.gpt import GPT, GPTConfig
from llmcourse.tokenizers import BPE
from llmcourse.train import TrainConfig, WindowBatches, train

RESULT = Path(llmcourse.__file__).parent / "results" / "embeddings.json"
VOCAB, WIDTH, LAYERS, CONTEXT, BATCH, STEPS = 2048, 64, 1, 32, 16, 500
NARROW = 40  # an untied model of this width has the tied model's parameters, to 2 %
RATES = (3e-3, 1e-2, 2e-2)
WIDTHS = (2, 8)
SEEDS = (0, 1, 2)


class NarrowGPT(GPT):
    """An untied GPT whose input or output vectors have only `D` numbers."""

    def __init__(self, config: GPTConfig, where: str, D: int, seed: int = 0) -> None:
        super().__init__(config, seed)
        if where not in ("input", "output") or config.tied:
            raise ValueError(f"where must be 'input' or 'output' of an untied form, got {where!r}")
        chance = torch.Generator().manual_seed(seed + 1)
        self.where = where
        V, W = config.vocab_size, config.width
        if where == "input":
            self.embed = layers.Embedding(V, D)
            self.up = layers.Linear(D, W, bias=False)
            shapes = {self.embed: 0.02, self.up: D**-0.5}
        else:
            self.head = layers.Linear(D, V, bias=False)
            self.down = layers.Linear(W, D, bias=False)
            shapes = {self.head: D**-0.5, self.down: W**-0.5}
        with torch.no_grad():
            for module, std in shapes.items():
                module.weight.normal_(0, std, generator=chance)

    def embed_ids(self, ids: Tensor, start: int = 0, room: int | None = None) -> Tensor:
        x = super().embed_ids(ids, start, room)
        return self.up(x) if self.where == "input" else x

    def unembed(self, x: Tensor) -> Tensor:
        x = self.norm(x)
        return F.linear(self.down(x) if self.where == "output" else x, self.head.weight)


def model_of(name: str, seed: int) -> GPT:
    width = NARROW if name == "untied, narrow" else WIDTH
    config = GPTConfig.modern(
        vocab_size=VOCAB, context=CONTEXT, width=width, heads=4, layers=LAYERS, tied=name == "tied"
    )
    if name.startswith(("input", "output")):
        where, D = name.split()
        return NarrowGPT(config, where, int(D), seed)
    return GPT(config, seed)


def texts_of(seed: int) -> tuple[BPE, dict[str, list[int]], dict[str, int]]:
    parts = data.split(data.load("python-docs"), seed=seed)._asdict()
    bpe = BPE.train(parts["train"], vocab_size=VOCAB)
    n_bytes = {part: len(text.encode()) for part, text in parts.items()}
    return bpe, {part: bpe.encode(text) for part, text in parts.items()}, n_bytes


def run(name: str, seed: int, lr: float, steps: int = STEPS) -> dict:
    _, ids, n_bytes = texts_of(seed)
    model = model_of(name, seed)
    began = time.perf_counter()
    history = train(
        model,
        WindowBatches(ids["train"], batch=BATCH, context=CONTEXT, seed=seed),
        TrainConfig(steps=steps, lr=lr, seed=seed, precision="fp32"),
    )
    scores = {
        part: float(evaluate.nats_per_token(model, ids[part]))
        * (len(ids[part]) - 1) / math.log(2) / n_bytes[part]
        for part in ("dev", "test")
    }  # fmt: skip
    return {
        "name": name, "seed": seed, "lr": lr, "parameters": model.parameter_count(),
        "train nats": history.records[-1]["loss"], "bits per byte": scores,
        "seconds": round(time.perf_counter() - began, 1),
    }  # fmt: skip


def plan() -> list[tuple[str, int, float]]:
    ties = [(n, s, lr) for s in SEEDS for n in ("tied", "untied", "untied, narrow") for lr in RATES]
    widths = [
        (f"{at} {D}", s, max(RATES)) for s in SEEDS for D in WIDTHS for at in ("input", "output")
    ]
    return ties + widths


def save(result: dict) -> None:
    """Write the result as a whole or not at all."""
    draft = RESULT.with_suffix(f".{os.getpid()}.tmp")
    draft.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    os.replace(draft, RESULT)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", action="store_true")
    table = parser.parse_args().table
    torch.set_num_threads(1)
    docs = data.load("python-docs")
    result = {
        "what": "bits per byte of Python's documentation, by form and width of the embeddings",
        "command": "python -m benchmarks.embeddings",
        "corpus": {"name": docs.name, "sha256": docs.sha256, "bytes": docs.n_bytes},
        "settings": {
            "vocab": VOCAB, "width": WIDTH, "layers": LAYERS, "context": CONTEXT, "batch": BATCH,
            "steps": STEPS, "narrow": NARROW,
        },
        "runs": [],
    }  # fmt: skip
    if RESULT.exists():
        before = json.loads(RESULT.read_text("utf-8"))
        same = all(before[key] == result[key] for key in ("corpus", "settings"))
        result["runs"] = before["runs"] if same else []
    done = {(r["name"], r["seed"], r["lr"]) for r in result["runs"]}
    result["training tokens"] = [len(texts_of(seed)[1]["train"]) for seed in SEEDS]
    save(result)
    for wanted in [] if table else plan():
        if wanted in done:
            continue
        result["runs"].append(run(*wanted))
        save(result)
        print(result["runs"][-1], flush=True)
    for r in result["runs"]:
        dev, test = (r["bits per byte"][part] for part in ("dev", "test"))
        print(f"{r['name']:>15} seed {r['seed']} lr {r['lr']:g}: dev {dev:.3f} test {test:.3f}")


if __name__ == "__main__":
    main()
