"""What the seed decides: four draws of first weights crossed with four orders of the data.

    python -m benchmarks.pretraining        about four minutes of one core; goes on if killed

The small model of the chapter `practice/pretraining`, on Python's documentation and on English
tales, every pair of a weights' seed and a batches' seed. Scored on text unseen. Writes
`llmcourse/results/pretraining.json`; that chapter reads it.
"""

import json
from pathlib import Path

import numpy as np
import torch

from llmcourse import checkpoint, data, evaluate, tales
from llmcourse.gpt import GPT, GPTConfig
from llmcourse.metrics import bits
from llmcourse.tokenizers import BPE, TalesTokenizer
from llmcourse.train import StoryBatches, TrainConfig, WindowBatches, mean_loss, train

OUT = Path(__file__).parents[1] / "llmcourse" / "results" / "pretraining.json"
SEEDS, STEPS = range(4), 60
FORM = dict(context=128, width=48, heads=2, layers=2, mlp="relu2")
CONFIG = TrainConfig(steps=STEPS, lr=8e-3, optimizer="muon", schedule="wsd", log_every=STEPS)


def real():
    """Batches by seed, the vocabulary's size, and a score: bits per byte on the dev part."""
    corpus = data.load("python-docs")
    train_text, dev_text, _ = data.split(corpus, (0.8, 0.1, 0.1))
    tokenizer = BPE.train(train_text, vocab_size=1024, special_tokens=("<|endoftext|>",))
    ids, dev = tokenizer.encode(train_text), tokenizer.encode(dev_text)
    judged = [WindowBatches(dev, batch=32, context=128, seed=9)(i) for i in range(4)]
    bytes_per_token = len(dev_text.encode()) / len(dev)
    return (
        lambda seed: WindowBatches(ids, batch=8, context=128, seed=seed),
        tokenizer.vocab_size,
        lambda model: float(bits(mean_loss(model, judged)) / bytes_per_token),
    )


def told():
    """The same for tales; the score is bits a story above the truth."""
    tokenizer = TalesTokenizer()
    stories = tales.generate(seed=11, n=4000)
    ids = [tokenizer.encode_story(s) for s in stories]
    test = tales.generate(seed=12, n=200, split="test")

    def score(model):
        nats = evaluate.story_nats(model, tokenizer, test)
        return float(bits(np.mean([n.sum() + s.logprob for n, s in zip(nats, test, strict=True)])))

    return lambda seed: StoryBatches(ids, batch=12, seed=seed), tokenizer.vocab_size, score


def main() -> None:
    torch.set_num_threads(1)
    done = json.loads(OUT.read_text()) if OUT.is_file() else {"steps": STEPS, "form": FORM}
    for name, source in (("real", real), ("tales", told)):
        batches, vocab, score = source()
        runs = done.setdefault(name, {})
        for weights in SEEDS:
            for order in SEEDS:
                if (key := f"{weights} {order}") in runs:
                    continue
                model = GPT(GPTConfig.modern(vocab_size=vocab, **FORM), seed=weights)
                train(model, batches(100 + order), CONFIG)
                runs[key] = score(model.eval())
                checkpoint.write_file(OUT, json.dumps(done).encode() + b"\n")
                print(name, key, round(runs[key], 4), flush=True)


if __name__ == "__main__":
    main()
