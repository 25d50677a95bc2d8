"""Rows of the table about learning: how good a model is after a given time of one core.

Time is the processor time of one thread, so a busy machine does not change the result. The recipe
of each side was chosen on the development part; the test part is scored once, at the end.
"""

import time
from collections.abc import Iterator
from functools import partial

import torch
from torch import nn

from benchmarks.speed.harness import Row
from llmcourse import data, evaluate, metrics, optim, tales
from llmcourse.gpt import GPT, GPTConfig
from llmcourse.tokenizers import BPE, TalesTokenizer
from llmcourse.train import Batches, StoryBatches, WindowBatches, gradients

VOCAB, CONTEXT = 1024, 128
SECONDS = 60.0
SIZE = dict(width=128, layers=4, heads=4)
# optimiser, peak rate, batch; each the best of a small grid on the development part
OURS, BASELINE = ("muon", 8e-3, 8), ("adamw", 2e-3, 8)
WITHIN = 0.05  # of the true entropy
LADDER = 1.5  # budgets that are tried grow by this factor


def modern(vocab_size: int, context: int) -> GPTConfig:
    return GPTConfig.modern(
        vocab_size=vocab_size, context=context, mlp="relu2", zero_outputs=True, **SIZE
    )


def classic(vocab_size: int, context: int) -> GPTConfig:
    return GPTConfig.gpt2_form(vocab_size=vocab_size, context=context, **SIZE)


def spend(
    config: GPTConfig,
    batches: Batches,
    seconds: float,
    *,
    optimizer: str,
    lr: float,
    bf16: bool,
    seed: int = 0,
) -> tuple[GPT, int]:
    """Train for so many seconds of one core; the model and its number of steps.

    The rate warms up over the first twentieth of the time and falls along half a cosine to zero.
    """
    model = GPT(config, seed=seed)
    made = optim.optimizers(model, optimizer, lr=lr)
    autocast = partial(torch.autocast, "cpu", torch.bfloat16, enabled=bf16)
    steps, began = 0, time.process_time()
    while (share := (time.process_time() - began) / seconds) < 1:
        fraction = optim.warmup_cosine(int(1000 * share), steps=1000, warmup=50, floor=0.0)
        for one in made:
            one.zero_grad()
            for group in one.param_groups:
                group["lr"] = group["peak"] * fraction
        gradients(model, [batches(steps)], autocast, torch.device("cpu"))
        optim.clip_gradients(model.parameters(), 1.0)
        for one in made:
            one.step()
        steps += 1
    return model, steps


def real_text(seconds: float = SECONDS, part: str = "test") -> Iterator[Row]:
    """Bits a byte of held-out documentation, the modern recipe beside GPT-2's."""
    train, dev, test = data.split(data.load("python-docs").text)
    tokenizer = BPE.train(train, VOCAB)
    ids = torch.tensor(tokenizer.encode(train))
    held_out = {"dev": dev, "test": test}[part]
    found, steps = {}, {}
    for name, config, (optimizer, lr, batch) in (
        ("ours", modern(VOCAB, CONTEXT), OURS),
        ("baseline", classic(VOCAB, CONTEXT), BASELINE),
    ):
        batches = WindowBatches(ids, batch=batch, context=CONTEXT, seed=0)
        model, steps[name] = spend(
            config, batches, seconds, optimizer=optimizer, lr=lr,
            bf16=name == "ours" and optim.bf16_is_fast(),
        )  # fmt: skip
        found[name] = evaluate.bits_per_byte(model, tokenizer, held_out)
    yield Row(
        work=f"bits a byte on {part} documentation after {seconds:.0f} s of one core",
        peer="the GPT-2 form with tuned AdamW",
        ratio=found["ours"],
        goal=1.85,
        lower=True,
        note=f"the peer {found['baseline']:.3f}; steps {steps['ours']} and {steps['baseline']}",
    )


def share_above(model: nn.Module, stories: list, rows: list[list[int]]) -> float:
    """Bits above the true entropy, as a share of it."""
    nats = sum(map(sum, evaluate.token_nats(model, rows, batch=64)))
    true = sum(float(story.token_nats.sum()) for story in stories)
    return metrics.bits(nats - true) / len(stories) / tales.entropy()


def known_language(first: float = 60.0) -> Iterator[Row]:
    """Seconds of one core until a model is within 5 % of the entropy of the tales.

    Our budgets grow from `first` until one is enough. The peer gets twice that, and less while it
    arrives. Where twice is not enough for it, the ratio is the bound, 2.
    """
    tokenizer = TalesTokenizer()
    learn = [tokenizer.encode_story(s) for s in tales.generate(seed=0, n=60_000)]  # none twice
    stories = tales.generate(seed=0, n=300, split="test")
    rows = [tokenizer.encode_story(s) for s in stories]
    shape = tokenizer.vocab_size, max(map(len, learn + rows))

    def above(name: str, seconds: float) -> float:
        make, (optimizer, lr, _) = (modern, OURS) if name == "ours" else (classic, BASELINE)
        model, steps = spend(
            make(*shape), StoryBatches(learn, batch=32, seed=0, pad=0), seconds,
            optimizer=optimizer, lr=lr, bf16=name == "ours" and optim.bf16_is_fast(),
        )  # fmt: skip
        found = share_above(model, stories, rows)
        print(f"  {name}: {seconds:.0f} s, {steps} steps, {found:.1%} above", flush=True)
        return found

    ours = first
    while above("ours", ours) > WITHIN:
        ours *= LADDER
    peer = 2 * ours
    while (left := above("the peer", peer)) <= WITHIN:
        peer /= LADDER
    yield Row(
        work=f"tales: seconds of one core until within {WITHIN:.0%} of the entropy",
        peer="the GPT-2 form with tuned AdamW",
        ratio=peer / ours,
        goal=2.0,
        note=f"{ours:.0f} s; the peer {left:.1%} above after {peer:.0f} s",
    )
