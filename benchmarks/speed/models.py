"""Rows of the table about GPTs: a training step, and generation one token at a time."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import torch
from transformers import GPT2LMHeadModel

from benchmarks.speed.harness import Row, Unit, compare, matmul_rate, medians
from llmcourse import hf, optim, sample
from llmcourse.gpt import GPT, GPTConfig
from llmcourse.train import gradients

VOCAB = 1024
# layers, width, heads, context, batch; goals for a training step and for generation
SIZES = (
    (dict(layers=4, width=128, heads=4, context=128), 32, 2.0, 3.0),
    (dict(layers=6, width=384, heads=6, context=256), 8, 2.5, 1.2),
)
NEW = 200


def pair(form: dict[str, int], context: int | None = None) -> tuple[GPT, GPT2LMHeadModel]:
    """Our GPT-2 form and Hugging Face's, of one size, with one and the same set of weights."""
    ours = GPT(
        GPTConfig.gpt2_form(vocab_size=VOCAB, **form | {"context": context or form["context"]})
    )
    theirs = hf.to_hf(ours)
    return ours, theirs


def our_step(model: GPT, ids: torch.Tensor, precision: str) -> Unit:
    """What `train` does in a step: gradients, the norm's limit, AdamW."""
    made = optim.optimizers(model, "adamw", lr=1e-4)
    autocast = partial(torch.autocast, "cpu", torch.bfloat16, enabled=precision == "bf16")

    def step() -> None:
        for optimizer in made:
            optimizer.zero_grad()
        gradients(model, [(ids[:, :-1], ids[:, 1:])], autocast, torch.device("cpu"))
        optim.clip_gradients(model.parameters(), 1.0)
        for optimizer in made:
            optimizer.step()

    return step


def their_step(model: GPT2LMHeadModel, ids: torch.Tensor) -> Unit:
    """The same as users of the library write it: eager, float32."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.1)
    model.train()

    def step() -> None:
        optimizer.zero_grad()
        model(input_ids=ids, labels=ids).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return step


def training(rounds: int = 9) -> Iterator[Row]:
    rate = matmul_rate()
    for form, batch, goal, _ in SIZES:
        generator = torch.Generator().manual_seed(0)
        # Hugging Face shifts by itself, so both get as many targets from one token more or less.
        ids = torch.randint(VOCAB, (batch, form["context"]), generator=generator)
        ours, theirs = pair(form)
        size = f"{form['layers']} × {form['width']}, context {form['context']}, batch {batch}"
        peer = their_step(theirs, ids)
        best = "bf16" if optim.bf16_is_fast() else "fp32"
        yield compare(
            f"training step, {size}", "transformers, eager fp32", our_step(ours, ids, best), peer,
            goal=goal, rounds=rounds,
        )  # fmt: skip
        plain = our_step(ours, ids, "fp32")
        found = medians({"ours": plain, "theirs": peer}, rounds)
        flops = ours.flops_per_token(form["context"]) * ids[:, 1:].numel() / found["ours"]
        yield Row(
            work=f"the same, fp32 against fp32, {size}",
            peer="transformers, eager fp32",
            ratio=found["theirs"] / found["ours"],
            goal=None,
            note=f"{flops / rate:.0%} of the fp32 matrix-multiply rate, {rate / 1e9:.0f} GFLOP/s",
        )


def bare_products(model: GPT) -> Unit:
    """The matrix-vector products of `NEW` tokens and nothing else: what no program can skip."""
    matrices = [m.weight for m in model.modules() if isinstance(m, torch.nn.Linear)]
    matrices.append(model.embed.weight)  # unembeds, being tied
    vectors = {m.shape[1]: torch.randn(1, m.shape[1]) for m in matrices}

    @torch.inference_mode()
    def products() -> None:
        for _ in range(NEW):
            for m in matrices:
                torch.nn.functional.linear(vectors[m.shape[1]], m)

    return products


def generation(rounds: int = 7) -> Iterator[Row]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # a matrix times one vector gains nothing from a second
    try:
        for form, _, _, goal in SIZES:
            ours, theirs = pair(form, context=NEW + 8)
            ours.eval(), theirs.eval()
            prompt = [1, 2, 3, 4]

            def we(model=ours, prompt=prompt) -> list[int]:
                return sample.generate(model, prompt, max_new=NEW, temperature=0)

            def they(model=theirs, prompt=prompt) -> torch.Tensor:
                return model.generate(
                    torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt), dtype=int),
                    max_new_tokens=NEW, min_new_tokens=NEW, do_sample=False, pad_token_id=0,
                )  # fmt: skip

            if we() != they()[0, len(prompt) :].tolist():
                raise AssertionError("the two models write different texts: the row means nothing")
            row = compare(
                f"generation, {form['layers']} × {form['width']}, batch 1, {NEW} tokens",
                "transformers, generate with cache", we, they, goal=goal, rounds=rounds,
            )  # fmt: skip
            found = medians({"ours": we, "bare": bare_products(ours)}, rounds)
            share = f"{found['bare'] / found['ours']:.0%} of it is the bare matrix-vector products"
            yield replace(row, note=f"{NEW / found['ours']:.0f} tokens/s; {share}")
    finally:
        torch.set_num_threads(before)
