"""A small model at a dozen moments of its training, for the live figure "time machine".

Two layers of width 64 learn English tales. At each moment: the bits that each kind of choice costs
above the truth on test stories, what four heads a layer look at in one text, the next word there,
and what the model writes by the same luck.

    python -m benchmarks.timemachine            about four minutes of one core, then the result
    python -m benchmarks.timemachine --steps 60 a trial, into runs/timemachine.json

One thread; the result is `llmcourse/results/timemachine.json`, which a page loads on first use.
"""

import argparse
import base64
import json
import math
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import llmcourse
from llmcourse import tales
from llmcourse.evaluate import Interval, bootstrap, story_nats
from llmcourse.gpt import GPT, GPTConfig
from llmcourse.tokenizers import TalesTokenizer
from llmcourse.train import StoryBatches, TrainConfig, train
from llmcourse.widgets import reference, stills

RESULT = Path(llmcourse.__file__).parent / "results" / "timemachine.json"
TRIAL = Path("runs") / "timemachine.json"
FORM = {"width": 64, "heads": 4, "layers": 2, "context": 160}
STORIES, TESTS, BATCH, RATE, WRITTEN, SAMPLES, TOP = 24_000, 300, 16, 1e-2, 48, 2, 6
TEXT = stills.RECALL


def moments(steps: int) -> list[int]:
    """About a dozen, closer together at the beginning, where more happens."""
    shares = (0, 0.004, 0.01, 0.02, 0.04, 0.07, 0.12, 0.2, 0.32, 0.5, 0.72, 1)
    return sorted({round(share * steps) for share in shares})


def triangle(weights: torch.Tensor) -> str:
    """Rows of weights on what came before, (T, T), as whole 255ths, lower triangle, base64."""
    rows, columns = np.tril_indices(len(weights))
    return base64.b64encode(np.rint(255 * weights.numpy()[rows, columns]).astype(np.uint8)).decode()


class Watcher:
    """Batches that look at the model at some steps, before they are learned from."""

    def __init__(self, model: GPT, batches: StoryBatches, at: list[int]) -> None:
        self.model, self.batches, self.at = model, batches, set(at)
        self.tokenizer = TalesTokenizer()
        self.tests = tales.generate(seed=11, n=TESTS, split="test")
        words = [w for language in tales.LANGUAGES for w in tales.terminals(language)]
        self.names = dict(zip(self.tokenizer.encode_tokens(words), words, strict=True))
        self.names[self.tokenizer.special_tokens["<|end|>"]] = "end of story"
        self.words = tales.tokenize(TEXT, "en")
        self.ids = self.tokenizer.encode_tokens(self.words)
        self.start, self.stop = (self.tokenizer.special_tokens[x] for x in ("<|en|>", "<|end|>"))
        self.truth = tales.next_distribution(self.words)
        self.seen: list[dict[str, Any]] = []

    def name(self, id: int) -> str:
        """A token alone: not capitalised, as it would be at the beginning of a text."""
        first = min(i for i in self.names if i not in self.tokenizer.special_tokens.values())
        return self.names.get(id) or f"byte {id - first + 256:02X}"

    def __call__(self, step: int) -> Any:
        if step in self.at:
            self.look(step)
        return self.batches(step)

    @torch.no_grad()
    def look(self, step: int) -> None:
        """One moment."""
        self.model.eval()
        nats = story_nats(self.model, self.tokenizer, self.tests)
        excess = dict.fromkeys(tales.KINDS, 0.0)
        totals = []
        for story, paid in zip(self.tests, nats, strict=True):
            above = (paid - np.array(story.token_nats)) / math.log(2)
            totals.append(float(above.sum()))
            for kind, bits in zip(story.kinds, above, strict=True):
                excess[kind] += float(bits) / TESTS
        interval: Interval = bootstrap(totals)
        ids = torch.tensor([[self.start, *self.ids]])
        trace = self.model.trace(ids)
        chances = trace.logits[0, -1].double().softmax(-1)
        likely = chances.topk(TOP)
        told = {int(i): float(p) for p, i in zip(*likely, strict=True)}
        for word in sorted(self.truth, key=self.truth.__getitem__, reverse=True)[:2]:
            i = self.tokenizer.encode_tokens([word])[0]
            told[i] = float(chances[i])
        written = [
            reference.generate(self.model, self.start, [], seed=s, most=WRITTEN, stop=self.stop)
            for s in range(1, SAMPLES + 1)
        ]
        self.seen.append(
            {
                "step": step,
                "bits": round(interval.estimate, 2),
                "interval": [round(interval.low, 2), round(interval.high, 2)],
                "excess": {kind: round(bits, 2) for kind, bits in excess.items()},
                "next": {self.name(i): round(p, 4) for i, p in told.items()},
                "samples": [
                    # What is no whole character is shown as bytes in hexadecimal.
                    self.tokenizer.decode_bytes([i for i in new if i != self.stop]).decode(
                        errors="backslashreplace"
                    )
                    for new in written
                ],
                "attention": [triangle(head) for layer in trace.attention for head in layer[0]],
            }
        )
        self.model.train()
        print(step, self.seen[-1]["bits"], self.seen[-1]["next"], flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, help="a trial, of fewer steps")
    steps = parser.parse_args().steps
    target, steps = (TRIAL, steps) if steps else (RESULT, 2400)
    torch.set_num_threads(1)
    tokenizer = TalesTokenizer()
    model = GPT(GPTConfig.modern(vocab_size=tokenizer.vocab_size, **FORM), seed=0)
    rows = [tokenizer.encode_story(s) for s in tales.generate(seed=1, n=STORIES)]
    at = moments(steps)
    watcher = Watcher(model, StoryBatches(rows, batch=BATCH, seed=0), at)
    settings = TrainConfig(steps=steps, lr=RATE, optimizer="muon", precision="fp32")
    began = time.process_time()
    train(model, watcher, settings)
    watcher.look(steps)
    kinds = [k for k in tales.KINDS if any(m["excess"][k] > 0.005 for m in watcher.seen)]
    result = {
        "command": "python -m benchmarks.timemachine",
        "settings": FORM | {"parameters": model.parameter_count(), "stories": STORIES}
        | {"batch": BATCH, "steps": steps, "tests": TESTS, "seconds": time.process_time() - began},
        "entropy": tales.entropy(),
        "kinds": {k: round(tales.entropy_by_kind()[k], 2) for k in kinds},
        "text": TEXT,
        "pieces": ["", *watcher.words],
        "truth": {w: round(p, 4) for w, p in watcher.truth.items()},
        "moments": watcher.seen,
    }  # fmt: skip
    draft = target.with_suffix(f".{os.getpid()}.tmp")
    target.parent.mkdir(exist_ok=True)
    draft.write_text(json.dumps(result, ensure_ascii=False, separators=(",", ":")), "utf-8")
    os.replace(draft, target)
    print(f"{target}: {target.stat().st_size:,} bytes, {result['settings']['seconds']:.0f} s")


if __name__ == "__main__":
    main()
