"""Texts longer than those trained on: a task of recall with known answers, and a model stretched.

A model that reads far beyond its training length may keep a low loss and still have forgotten:
near words predict most of a text. `RecallBatches` asks for what stands far back and nothing else.

Example:
    >>> batches = RecallBatches(length=64, batch=2, seed=0)
    >>> x, y = batches(0)
    >>> x.shape, int((y != -100).sum())  # six questions a sequence
    (torch.Size([2, 64]), 12)
"""

import dataclasses

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from llmcourse.batches import IGNORED, Batch
from llmcourse.gpt import GPT

__all__ = ["RecallBatches", "answered", "nats_at", "stretch"]


class RecallBatches:
    """Facts strewn in filler; at the end each of them is asked for.

    A fact is one token that says two things, a subject and what is true of it: "Ann has the key",
    written as one word. A sequence is `length` tokens: random filler in which `facts` facts about
    different subjects stand at random places, then all of these subjects in random order. The
    target after a subject is its object, and there are no other targets; answers are not shown,
    since a model would guess the later ones by elimination. Facts are drawn afresh for each
    sequence, so only the sequence holds the answer. The best guess without the facts is right
    once in `OBJECTS`; with the facts but not their subjects, about once in `facts`.

    Raises:
        ValueError: the sequence is too short for its facts, or there are too few subjects.
    """

    FILLERS, SUBJECTS, OBJECTS = 8, 8, 8
    vocab_size = FILLERS + SUBJECTS + OBJECTS + SUBJECTS * OBJECTS

    def __init__(self, *, length: int, batch: int, seed: int = 0, facts: int = 6) -> None:
        if batch < 1 or facts < 1:
            raise ValueError(f"batch and facts must be at least 1, got {batch} and {facts}")
        if facts > self.SUBJECTS:
            raise ValueError(f"facts are about {self.SUBJECTS} subjects at most, got {facts}")
        if length < 2 * facts:
            raise ValueError(
                f"{facts} facts and their questions fill {2 * facts} tokens, got length {length}"
            )
        self.length, self.batch, self.seed, self.facts = length, batch, seed, facts

    def sequences(self, step: int) -> tuple[Batch, Int[Tensor, "B P"]]:
        """The batch of a step, and for each question how many tokens back its fact stands."""
        chance = np.random.default_rng((self.seed, step))
        B, P, n = self.batch, self.facts, self.length
        rows, body = np.arange(B)[:, None], n - P
        subjects = _drawn(chance, B, self.SUBJECTS, P)
        objects = chance.integers(0, self.OBJECTS, (B, P))
        places = _drawn(chance, B, body, P)
        x = chance.integers(0, self.FILLERS, (B, n))
        first_fact = self.FILLERS + self.SUBJECTS + self.OBJECTS
        x[rows, places] = first_fact + subjects * self.OBJECTS + objects
        asked = np.arange(body, n)
        x[:, body:] = self.FILLERS + subjects  # in random order, as they were drawn
        y = np.full((B, n), IGNORED)
        y[:, body:] = self.FILLERS + self.SUBJECTS + objects
        return (torch.from_numpy(x), torch.from_numpy(y)), torch.from_numpy(asked - places)

    def __call__(self, step: int) -> Batch:
        return self.sequences(step)[0]


def _drawn(chance: np.random.Generator, rows: int, of: int, n: int) -> np.ndarray:
    """In each row, n different numbers below `of` in random order."""
    return chance.random((rows, of)).argsort(1)[:, :n]


@torch.no_grad()
def answered(
    model: GPT, batches: RecallBatches, steps: int = 1
) -> tuple[Bool[Tensor, "B P"], Float[Tensor, "B P"], Int[Tensor, "B P"]]:
    """Of each question: answered rightly or not, nats of the answer, how far back it stands."""
    right, nats, back = [], [], []
    for step in range(steps):
        (x, y), distance = batches.sequences(step)
        asked = y[0] != IGNORED
        logits, targets = model(x)[0][:, asked], y[:, asked]
        right.append(logits.argmax(-1) == targets)
        nats.append(-logits.log_softmax(-1).gather(-1, targets[..., None])[..., 0])
        back.append(distance)
    return torch.cat(right), torch.cat(nats), torch.cat(back)


@torch.no_grad()
def nats_at(model: GPT, ids: Int[Tensor, "B T1"], batch: int = 8) -> Float[Tensor, "B T"]:
    """Surprise in nats of every token but the first of each row, by its place in the row."""
    rows = []
    for part in ids.split(batch):
        logits = model(part[:, :-1])[0]
        flat = F.cross_entropy(logits.flatten(0, 1), part[:, 1:].flatten(), reduction="none")
        rows.append(flat.view(len(part), -1))
    return torch.cat(rows)


def stretch(model: GPT, context: int, **fields: object) -> GPT:
    """A copy of the model that takes `context` tokens; `fields` change its configuration.

        stretch(model, 512, rope_scale=8, rope_scaling="yarn", rope_trained=64)

    Learned positions are kept, and those that were never there are drawn as at the start of
    training: the copy runs, and shows what untrained rows do.
    """
    changed = dataclasses.replace(model.config, context=context, **fields)
    copy = GPT(changed, seed=0)
    weights = model.state_dict()
    if model.positions is not None:
        table = copy.positions.weight.detach().clone()
        rows = min(len(table), model.config.context)
        table[:rows] = weights["positions.weight"][:rows]
        weights["positions.weight"] = table
    copy.load_state_dict(weights)
    return copy
