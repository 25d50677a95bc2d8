"""How the shipped model `gpt2-mini` was made; running this module makes it again.

    python -m llmcourse.models.gpt2_mini       some three minutes of one core
    python -m llmcourse.models.gpt2_mini --trial --lr 8e-3 --out runs/try

GPT-2's architecture, in GPT-2's own files: LayerNorm, GELU, learned positions, biases, tied
embeddings, and a byte-level BPE of 1,024 tokens trained on the same text, Python's documentation.
Only the size and the text are ours, and the optimiser (Muon beside AdamW). The parts are those of
the chapter on pretraining, so that scores compare. Steps and learning rate were chosen on the
development part; the test part was scored once, on the very weights that ship, in 16 bits.
"""

import argparse
import json
import tempfile
from pathlib import Path

import torch
from torch import nn

from llmcourse import checkpoint, data, evaluate, hf
from llmcourse.gpt import GPT, GPTConfig
from llmcourse.metrics import bits
from llmcourse.tokenizers import BPE
from llmcourse.train import TrainConfig, WindowBatches, train

HOME = Path(__file__).parent / "gpt2-mini"
TRAINING = "training.json"
PARTS = (0.8, 0.1, 0.1)  # train, dev, test: as in the chapter `pretraining`
FORM = dict(vocab_size=1024, context=256, width=128, layers=4, heads=4)
BATCH = 4
STEPS = 1200
SETTINGS = dict(lr=4e-3, optimizer="muon", schedule="wsd", weight_decay=0.1, log_every=25)


def documents(text: str) -> list[str]:
    """The documents of a corpus; the end of each is a token of its own to the model."""
    return text.split(data.load("python-docs").separator)


def bits_per_byte(model: nn.Module, tokenizer: BPE, text: str) -> float:
    """Of all documents together, each begun afresh after the end token, its own end counted."""
    end, total = tokenizer.special_tokens[hf.END], 0.0
    for document in documents(text):
        ids = [end, *tokenizer.encode(document), end]
        total += evaluate.sequence_nats(model, ids).sum()
    return float(bits(total) / sum(len(d.encode()) for d in documents(text)))


def make(*, steps: int, out: Path, lr: float, trial: bool = False) -> dict:
    """The whole recipe; returns what was measured. A trial does not look at the test part."""
    corpus = data.load("python-docs")
    train_text, dev_text, test_text = data.split(corpus, PARTS)
    tokenizer = BPE.train(documents(train_text), FORM["vocab_size"], special_tokens=[hf.END])
    end = tokenizer.special_tokens[hf.END]
    ids = [i for d in documents(train_text) for i in (*tokenizer.encode(d), end)]
    model = GPT(GPTConfig.gpt2_form(**FORM), seed=0)
    settings = SETTINGS | {"lr": lr}
    train(
        model,
        WindowBatches(ids, batch=BATCH, context=FORM["context"], seed=0),
        TrainConfig(steps=steps, **settings),
        on_log=lambda history: print(history.records[-1], flush=True),
    )
    with tempfile.TemporaryDirectory() as draft:
        hf.save(model.eval(), draft, tokenizer, dtype=torch.float16)
        shipped, _ = hf.load(draft)
    about = {
        "command": "python -m llmcourse.models.gpt2_mini",
        "text": {"name": corpus.name, "source": corpus.source, "sha256": corpus.sha256}
        | {"licence": corpus.licence, "parts": PARTS},
        "form": FORM,
        "steps": steps,
        "batch": BATCH,
        "settings": settings,
        "tokens": len(ids),
        "parameters": model.parameter_count(),
        "dev bits per byte": bits_per_byte(shipped, tokenizer, dev_text),
    }
    if not trial:
        about["test bits per byte"] = bits_per_byte(shipped, tokenizer, test_text)
    hf.save(model, out, tokenizer, dtype=torch.float16)
    checkpoint.write_file(out / TRAINING, json.dumps(about, indent=1).encode() + b"\n")
    return about


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--lr", type=float, default=SETTINGS["lr"])
    parser.add_argument("--out", type=Path, default=HOME)
    parser.add_argument("--trial", action="store_true", help="score the development part alone")
    torch.set_num_threads(1)
    print(make(**vars(parser.parse_args())))


if __name__ == "__main__":
    main()
