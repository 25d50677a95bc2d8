"""Classification with a language model: the likelihood of labels, features, honest accuracy.

>>> base = adapt.open_base("tales")                                      # doctest: +SKIP
>>> label_nats(base.model, [base.template.prompt("Nina ran.")], labels)  # doctest: +SKIP
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from llmcourse import data

__all__ = [
    "LabelBatches",
    "Passage",
    "Pooled",
    "expected_right",
    "features",
    "label_nats",
    "passages",
]


def expected_right(
    chosen: Bool[np.ndarray, " N"], probability: Float[np.ndarray, " N"]
) -> Float[np.ndarray, " N"]:
    """How likely each decision is right, where the probability of the label is known.

    `chosen` says which items were called positive, `probability` how likely each is labelled so.
    The mean has the same expectation as the accuracy on drawn labels and a smaller variance: the
    noise of the draw is not in it.

    Raises:
        ValueError: the two differ in length, or a probability lies outside [0, 1].
    """
    chosen, p = np.asarray(chosen, dtype=bool), np.asarray(probability, dtype=float)
    if chosen.shape != p.shape:
        raise ValueError(f"each decision needs a probability, got {chosen.shape} and {p.shape}")
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"a probability lies in [0, 1], got {p.min()} to {p.max()}")
    return np.where(chosen, p, 1 - p)


@torch.inference_mode()
def label_nats(
    model: nn.Module, prompts: Sequence[Sequence[int]], labels: Sequence[Sequence[int]]
) -> Float[np.ndarray, "N K"]:
    """−log q(label | prompt) of each of K labels after each of N prompts, in nats.

    A prompt is read once, and its keys and values are shared out to the labels. The smallest of a
    row is the model's choice.

    Raises:
        ValueError: a prompt or a label is empty, or both together are longer than the context.
    """
    if not labels or not all(map(len, labels)) or not all(map(len, prompts)):
        raise ValueError("prompts and labels must each hold at least one id")
    longest, context = max(map(len, labels)), model.config.context
    if (need := max(map(len, prompts), default=0) + longest) > context:
        raise ValueError(
            f"prompt and label together have {need} tokens, the context is {context}: shorten the "
            "prompt"
        )
    was_training = model.training
    model.eval()
    x, y = torch.zeros(2, len(labels), longest, dtype=torch.long)
    for k, label in enumerate(labels):
        y[k] = -100
        y[k, : len(label)] = torch.tensor(label)
        x[k, : len(label) - 1] = torch.tensor(label[:-1])
    out = np.empty((len(prompts), len(labels)))
    for i, prompt in enumerate(prompts):
        cache = model.cache(1, length=len(prompt) + longest)
        first = model(torch.tensor([list(prompt)]), cache=cache)[0][:, -1:]
        logits = first.expand(len(labels), -1, -1)
        if longest > 1:
            cache.reorder(torch.zeros(len(labels), dtype=torch.long))
            logits = torch.cat([logits, model(x[:, : longest - 1], cache=cache)[0]], dim=1)
        nats = F.cross_entropy(logits.mT.float(), y, ignore_index=-100, reduction="none")
        out[i] = nats.sum(dim=1).double().numpy()
    model.train(was_training)
    return out


@torch.inference_mode()
def features(
    model: nn.Module, rows: Sequence[Sequence[int]], *, pool: str = "mean", pad: int = 0
) -> Float[np.ndarray, "L N D"]:
    """Each row as one vector a block: the residual stream after it, pooled over the row's tokens.

    `pool="mean"` averages, `"last"` takes the last token's vector.

    Raises:
        ValueError: another `pool`.
    """
    _check_pool(pool)
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    found = np.empty((len(model.blocks), len(rows), model.config.width), dtype=np.float32)
    for start in range(0, len(order), 32):
        now = order[start : start + 32]
        lengths = torch.tensor([len(rows[i]) for i in now])
        x = model.embed_ids(_padded([rows[i] for i in now], pad))
        for layer, block in enumerate(model.blocks):
            x = block(x)
            found[layer, now] = _pooled(x, lengths, pool).numpy()
    return found


def _check_pool(pool: str) -> None:
    if pool not in ("mean", "last"):
        raise ValueError(f"pool must be 'mean' or 'last', got {pool!r}")


def _padded(rows: Sequence[Sequence[int]], pad: int) -> Int[Tensor, "B T"]:
    x = torch.full((len(rows), max(map(len, rows))), pad)
    for b, row in enumerate(rows):
        x[b, : len(row)] = torch.as_tensor(row)
    return x


def _pooled(x: Float[Tensor, "B T D"], lengths: Int[Tensor, " B"], pool: str) -> Tensor:
    """The first `lengths` vectors of each row, as one."""
    if pool == "last":
        return x[torch.arange(len(x)), lengths - 1]
    there = torch.arange(x.shape[1]) < lengths[:, None]  # (B, T)
    return (x * there[..., None]).sum(dim=1) / lengths[:, None]


class Pooled(nn.Module):
    """A GPT that reads a text and gives one logit for each of K classes.

    The last residual stream is normed, pooled over the text's tokens, and mapped by a new matrix
    that begins at zero. `pool="mean"` averages, `"last"` takes the last token's vector, as the
    classification heads of decoder models do.

    Raises:
        ValueError: another `pool`, or fewer than 2 classes.
    """

    def __init__(self, model: nn.Module, classes: int, *, pool: str = "mean", pad: int = 0) -> None:
        super().__init__()
        _check_pool(pool)
        if classes < 2:
            raise ValueError(f"classes must be at least 2, got {classes}")
        self.model, self.pool, self.pad = model, pool, pad
        self.head = nn.Linear(model.config.width, classes, bias=False)
        nn.init.zeros_(self.head.weight)

    def forward(
        self, ids: Int[Tensor, "B T"], targets: Int[Tensor, "B 1"] | None = None
    ) -> tuple[Float[Tensor, "B K"], Float[Tensor, ""] | None]:
        """Logits, and the mean loss in nats a text where there are targets."""
        x = self.model.embed_ids(ids)
        for block in self.model.blocks:
            x = block(x)
        x = x if self.model.norm is None else self.model.norm(x)
        vector = _pooled(x, (ids != self.pad).sum(dim=1), self.pool)
        # √D lets the new matrix learn as fast as the old weights may, at one learning rate.
        logits = math.sqrt(vector.shape[1]) * self.head(vector)
        return logits, None if targets is None else F.cross_entropy(logits, targets[:, 0])

    @torch.inference_mode()
    def predict(self, rows: Sequence[Sequence[int]], *, batch: int = 50) -> Float[Tensor, "N K"]:
        """Log-probabilities of the classes, for texts given as ids."""
        was_training = self.training
        self.eval()
        parts = [
            self(_padded(rows[i : i + batch], self.pad))[0] for i in range(0, len(rows), batch)
        ]
        self.train(was_training)
        return torch.cat(parts).log_softmax(dim=-1)


class LabelBatches:
    """A batch source for `train`: texts as ids, filled up at the right, and one class each.

    Raises:
        ValueError: texts and classes differ in number, or a batch is larger than the set.
    """

    def __init__(
        self,
        rows: Sequence[Sequence[int]],
        classes: Sequence[int],
        *,
        batch: int,
        seed: int = 0,
        pad: int = 0,
    ) -> None:
        if len(rows) != len(classes):
            raise ValueError(f"each text needs a class, got {len(rows)} and {len(classes)}")
        if not 1 <= batch <= len(rows):
            raise ValueError(f"batch must lie in 1..{len(rows)}, the number of texts, got {batch}")
        self.rows, self.classes = list(rows), list(classes)
        self.batch, self.seed, self.pad = batch, seed, pad
        self.steps_per_epoch = len(rows) // batch

    def __call__(self, step: int) -> tuple[Int[Tensor, "B T"], Int[Tensor, "B 1"]]:
        epoch, place = divmod(step, self.steps_per_epoch)
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.rows))
        chosen = order[place * self.batch : (place + 1) * self.batch]
        x = _padded([self.rows[i] for i in chosen], self.pad)
        return x, torch.tensor([[int(self.classes[i])] for i in chosen])


@dataclass(frozen=True, kw_only=True)
class Passage:
    """A paragraph of Python's manual, and the page that it stands on."""

    text: str
    topic: str


def passages(
    *, topics: int = 8, test: int = 30, least: int = 80, seed: int = 0
) -> tuple[list[Passage], list[Passage]]:
    """Paragraphs to learn from and `test` of each topic to be tested on, no text in both.

    The topics are those of the manual with the most paragraphs of at least `least` characters;
    a page's title is left out. It depends on the release of Python.

    Raises:
        ValueError: a topic has no more than `test` paragraphs, so that none is left to learn from.
    """
    pages = []
    for document in data.load("python-docs").documents:
        head, *rest = document.split("\n\n")
        kept = [" ".join(p.split()) for p in rest if len(p) >= least]
        pages.append((head.split("\n")[0], list(dict.fromkeys(kept))))
    pages.sort(key=lambda page: -len(page[1]))
    chance = random.Random(seed)
    learned, asked = [], []
    for topic, texts in pages[:topics]:
        if len(texts) <= test:
            raise ValueError(
                f"test must be below the {len(texts)} paragraphs of {topic!r}, got {test}"
            )
        chance.shuffle(texts)
        rows = [Passage(text=text, topic=topic) for text in texts]
        asked += rows[:test]
        learned += rows[test:]
    return learned, asked
