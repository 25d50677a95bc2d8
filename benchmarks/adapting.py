"""A task on which ways to adapt differ: four facts read off a whole tale.

    python -m benchmarks.adapting        about seven minutes of one core; goes on if killed

Full fine-tuning, the same with the words' vectors frozen, and LoRA at two ranks, three seeds each,
150 steps of 8 records on the shipped `tales` model. Scored: the share of held-out records with all
four facts right, and with each. Writes `llmcourse/results/adapting.json`; the chapter
`practice/project` reads it.
"""

import json
import tempfile
from pathlib import Path

import numpy as np
import torch

from llmcourse import adapt, checkpoint
from llmcourse.adapt import examples

OUT = Path(__file__).parents[1] / "llmcourse" / "results" / "adapting.json"
RECORDS, STEPS, SEEDS, SCORED = 1500, 150, (0, 1, 2), 200
WAYS = {
    "full": dict(rank=0, lr=1e-3),
    "full, words frozen": dict(rank=0, lr=1e-3),
    "LoRA 8": dict(rank=8, lr=5e-3),
    "LoRA 64": dict(rank=64, lr=5e-3),
}


def parts() -> adapt.Parts:
    with tempfile.TemporaryDirectory() as folder:
        path = examples.write(Path(folder) / "cards.jsonl", examples.cards(RECORDS, seed=7))
        return adapt.split(adapt.read(path), seed=0)


def measure(way: str, seed: int) -> dict:
    base, given = adapt.open_base("tales"), parts()
    base.model.embed.requires_grad_(way != "full, words frozen")
    config = adapt.AdaptConfig(**WAYS[way], steps=STEPS, batch=8, seed=seed)
    history = adapt.adapt(base, given, config)
    found = adapt.score(base.model, base.template, given.test[:SCORED], longest=20)
    pairs = zip(found.answers, given.test, strict=False)
    facts = [[a == b for a, b in zip(_four(x), _four(r.answer), strict=True)] for x, r in pairs]
    steps, dev = history.series("dev_loss")
    return {
        "right": found.right.tolist(),
        "facts": np.mean(facts, axis=0).tolist(),
        "dev": [steps, dev],
    }


def _four(answer: str) -> list[str]:
    return [*answer.rstrip(".").split(", "), "", "", "", ""][:4]


def main() -> None:
    torch.set_num_threads(1)
    done = json.loads(OUT.read_text()) if OUT.is_file() else {"steps": STEPS, "ways": WAYS}
    runs = done.setdefault("runs", {})
    for seed in SEEDS:
        for way in WAYS:
            if (name := f"{way} | {seed}") not in runs:
                runs[name] = measure(way, seed)
                checkpoint.write_file(OUT, json.dumps(done).encode() + b"\n")
                print(name, np.mean(runs[name]["right"]), runs[name]["facts"], flush=True)


if __name__ == "__main__":
    main()
