"""Many lengths of training from one run: a stable rate, and short decays that branch off it.

A point of a scaling law at D examples needs a run whose learning rate ends near zero at D. With
a rate that is constant until the end is near, the runs of all D share their stable part (Hu et
al., 2024; Hägele et al., 2024): at 80 % of D a copy branches off and decays over the last 20 %.
Each example is read once, in one order, so that a longer run has read what a shorter one read.
"""

import copy
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from llmcourse import optim
from llmcourse.batches import IGNORED, Batch

__all__ = ["Branched", "branches", "once_through", "windows_once"]


@dataclass(frozen=True, kw_only=True)
class Branched:
    """How to train every branch; the lengths are given apart."""

    lr: float = 2e-2  # of the stable part
    warmup: int = 10  # steps
    decay: float = 0.2  # share of each length that its branch spends falling to zero
    optimizer: str = "muon"  # for the hidden matrices; AdamW moves the rest
    clip: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.lr < math.inf:
            raise ValueError(f"lr must be above 0 and finite, got {self.lr}")
        if not 0 < self.decay < 1:
            raise ValueError(f"decay must lie in (0, 1), got {self.decay}")
        if self.warmup < 1:
            raise ValueError(f"warmup must be at least 1, got {self.warmup}")


def _update(model: nn.Module, optimizers: list, batch: Batch, rate: float, clip: float) -> float:
    """One step at an absolute learning rate; the loss before it, in nats a token."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate
    model.zero_grad(set_to_none=True)
    loss = model(*batch)[1]
    loss.backward()
    optim.clip_gradients(model.parameters(), clip)
    for optimizer in optimizers:
        optimizer.step()
    return float(loss.detach())


def _copies(model: nn.Module, optimizers: list, config: Branched) -> tuple[nn.Module, list]:
    """The same model and optimiser state again, sharing no tensor with the first."""
    twin = copy.deepcopy(model)
    made = optim.optimizers(twin, config.optimizer, lr=config.lr)
    for new, old in zip(made, optimizers, strict=True):
        new.load_state_dict(copy.deepcopy(old.state_dict()))
    return twin, made


def branches(
    model: nn.Module,
    batch: Callable[[int], Batch],
    lengths: Sequence[int],
    config: Branched,
    skip: Callable[[int], bool] = lambda length: False,
) -> Iterator[tuple[int, nn.Module]]:
    """Train once through; yield (length, model) for each length in steps, shortest first.

    The model given becomes the stable run's; each one yielded is a copy whose rate has fallen to
    zero over its last `config.decay`. A length that `skip` names is not branched: it is done.

    Raises:
        ValueError: the lengths do not rise, or the first ends before the warm-up does.
    """
    if not lengths or any(b <= a for a, b in itertools.pairwise(lengths)):
        raise ValueError(f"lengths must rise, got {list(lengths)}")
    starts = [round((1 - config.decay) * length) for length in lengths]
    if starts[0] < config.warmup:
        raise ValueError(f"the warm-up of {config.warmup} steps outlasts {starts[0]} stable ones")
    todo = [pair for pair in zip(starts, lengths, strict=True) if not skip(pair[1])]
    optimizers = optim.optimizers(model, config.optimizer, lr=config.lr)
    model.train()
    step = 0
    for start, length in todo:
        while step < start:
            rate = config.lr * min(1.0, (step + 1) / config.warmup)
            _update(model, optimizers, batch(step), rate, config.clip)
            step += 1
        twin, made = _copies(model, optimizers, config)
        for k in range(start, length):
            rate = config.lr * (length - k) / (length - start + 1)
            _update(twin, made, batch(k), rate, config.clip)
        yield length, twin.eval()


def once_through(
    rows: Sequence[Sequence[int]], batch: int, seed: int = 0
) -> Callable[[int], Batch]:
    """Batches that read each row once, in order of arrival but for runs of 16 batches.

    Within a run rows are grouped by length, so that little is computed on padding, and the
    groups are shuffled. The first k runs hold the first k · 16 · `batch` rows, however many more
    there are.
    """
    count, order = len(rows) // batch, []
    for start in range(0, count, 16):
        run = np.arange(start * batch, min(start + 16, count) * batch)
        run = run[np.argsort([len(rows[i]) for i in run], kind="stable")]
        groups = run.reshape(-1, batch)
        chance = np.random.default_rng((seed, start))
        order += [groups[i] for i in chance.permutation(len(groups))]

    def make(step: int) -> Batch:
        chosen = [rows[i] for i in order[step]]
        width = max(len(row) for row in chosen) - 1
        x = torch.zeros(len(chosen), width, dtype=torch.long)
        y = torch.full((len(chosen), width), IGNORED)
        for k, row in enumerate(chosen):
            ids = torch.as_tensor(row, dtype=torch.long)
            x[k, : len(ids) - 1], y[k, : len(ids) - 1] = ids[:-1], ids[1:]
        return x, y

    return make


def windows_once(
    ids: Sequence[int] | np.ndarray, batch: int, context: int, seed: int = 0
) -> Callable[[int], Batch]:
    """Batches of windows that do not overlap, each read once, in an order drawn with `seed`."""
    ids = np.asarray(ids, dtype=np.int64)
    starts = np.arange(0, len(ids) - context, context)
    starts = np.random.default_rng(seed).permutation(starts)

    def make(step: int) -> Batch:
        chosen = starts[step * batch : (step + 1) * batch]
        if len(chosen) < batch:
            raise IndexError(f"the text is read once, and step {step} is past its end")
        window = torch.from_numpy(ids[chosen[:, None] + np.arange(context + 1)])
        return window[:, :-1], window[:, 1:]

    return make
