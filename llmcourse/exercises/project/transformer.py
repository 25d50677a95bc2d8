"""Project of the part on algorithms: a Transformer from a blank file."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from llmcourse import optim
from llmcourse.exercises.core import Exercise, Wrong, expect
from llmcourse.exercises.project.corpus import corpus, judge

TRANSFORMER_BAR = 20.0  # bits a story above the truth; the memory project's reference needs some 61


def transformer_stub(rows, vocab):
    """Returns the trained model: ids of shape (B, T) to logits of shape (B, T, vocab)."""
    raise NotImplementedError


class Block(nn.Module):
    """Attention, then an MLP, each added to the stream it reads. (B, T, D) to (B, T, D)."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList([nn.RMSNorm(width), nn.RMSNorm(width)])
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)

    def forward(self, h):
        B, T, D = h.shape
        qkv = self.qkv(self.norms[0](h)).view(B, T, 3, self.heads, D // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, H, T, K)
        scores = q @ k.mT / math.sqrt(D // self.heads)
        later = torch.ones(T, T, dtype=torch.bool).triu(1)
        read = scores.masked_fill(later, -torch.inf).softmax(-1) @ v
        h = h + self.out(read.transpose(1, 2).reshape(B, T, D))
        return h + self.down(F.relu(self.up(self.norms[1](h))).square())


class Model(nn.Module):
    def __init__(self, vocab, *, width=96, heads=4, layers=2, context=128):
        super().__init__()
        self.words = nn.Embedding(vocab, width)
        self.places = nn.Embedding(context, width)
        self.blocks = nn.ModuleList([Block(width, heads) for _ in range(layers)])
        self.norm = nn.RMSNorm(width)
        for parameter in self.parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, ids):
        h = self.words(ids) + self.places.weight[: ids.shape[1]]
        for block in self.blocks:
            h = block(h)
        return self.norm(h) @ self.words.weight.T


def transformer(rows, vocab):
    torch.manual_seed(0)
    model, steps = Model(vocab), 300
    chance = np.random.default_rng(0)
    optimizers = optim.optimizers(model, "muon", lr=0.02)
    for step in range(steps):
        share = min((step + 1) / 20, 0.5 + 0.5 * math.cos(math.pi * step / steps))
        for group in (group for o in optimizers for group in o.param_groups):
            group["lr"] = group["peak"] * share
        batch = [rows[i] for i in chance.choice(len(rows), 32, replace=False)]
        longest = max(len(row) for row in batch)
        ids = torch.tensor([row + [-100] * (longest - len(row)) for row in batch])
        logits = model(ids[:, :-1].clamp(min=0))
        loss = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), ignore_index=-100)
        model.zero_grad()
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
    return model.eval()


def check_transformer(answer):
    given = corpus()
    model = answer([list(row) for row in given.train], given.vocab)
    expect(callable(model), "return the trained model", got=type(model).__name__)
    rows = [row[:24] for row in given.dev[:2]]
    with torch.no_grad():
        logits = model(torch.tensor(rows))
        expect(
            isinstance(logits, torch.Tensor) and logits.shape == (2, 24, given.vocab),
            f"ids of shape (2, 24) should give logits of shape (2, 24, {given.vocab})",
            got=getattr(logits, "shape", type(logits).__name__),
        )
        expect(logits.isfinite().all(), "some logits are not finite")
        expect(
            not torch.allclose(logits.sum(-1), torch.ones(2, 24), atol=1e-3),
            "every row sums to 1: these are probabilities, and the model should return logits",
        )
        changed = torch.tensor(rows)
        changed[:, 12:] = changed[:, 12:].flip(1)
        apart = (model(changed)[:, :12] - logits[:, :12]).abs().max()
        expect(
            apart < 1e-3,
            "with other words from position 12 on, the logits before it change: the model reads "
            "what it should predict",
            got=float(apart),
        )
        apart = (model(torch.tensor(rows[1:])) - logits[1:]).abs().max()
        expect(apart < 1e-3, "a story's logits depend on the others in its batch", got=float(apart))
        nats = []
        for row in given.test:
            logits = model(torch.tensor([row[:-1]]))[0].double()
            nats.append(F.cross_entropy(logits, torch.tensor(row[1:]), reduction="none").numpy())
    judge(nats, TRANSFORMER_BAR)


def _untrained(rows, vocab):
    return Model(vocab)


def _no_mask(rows, vocab):
    mix = Model(vocab)
    return lambda ids: mix(ids) + mix(ids.flip(1)).flip(1)


def _last_place_only(rows, vocab):
    model = Model(vocab)
    return lambda ids: model(ids)[:, -1]


def _probabilities(rows, vocab):
    model = Model(vocab)
    return lambda ids: model(ids).softmax(-1)


def _across_the_batch(rows, vocab):
    model = Model(vocab)
    return lambda ids: model(ids) - model(ids).mean(0, keepdim=True)


TRANSFORMER = Exercise(
    id="project.transformer",
    title="A Transformer from a blank file",
    stub=transformer_stub,
    solution=transformer,
    helpers=(Block, Model),
    check=check_transformer,
    hints=(
        "Write the model first, untrained, and hand that over: the check then tests shapes and "
        "the mask before it complains about the score. Then overfit one batch. Then train.",
        "Embedding of words plus embedding of places; two blocks of attention and MLP, each "
        "behind a norm and added to the stream; a norm; the embedding again as output. Width "
        "96 and 4 heads are enough. 300 steps of 32 stories, padded, padding not counted.",
        "optim.optimizers(model, 'muon', lr=0.02) gives Muon for the matrices of the blocks and "
        "AdamW for the rest. 20 steps of warm-up, then a cosine to zero. ids[:, :-1] are read, "
        "ids[:, 1:] are the targets, with ignore_index=-100 on the padding.",
    ),
    wrong=(
        Wrong(_untrained, "not below the bar"),
        Wrong(_no_mask, "reads what it should predict"),
        Wrong(_last_place_only, "should give logits of shape"),
        Wrong(_probabilities, "these are probabilities"),
        Wrong(_across_the_batch, "depend on the others in its batch"),
    ),
    seconds=600.0,
    scored=True,
)
