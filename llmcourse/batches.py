"""Batches for training: pure functions of the step's number.

A source is called with a step and gives inputs and targets. It keeps no place in the data, so a
resumed run, a second process or a reader's question ("what was batch 417?") all see the same.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

__all__ = ["IGNORED", "Batch", "Batches", "StoryBatches", "WindowBatches"]

IGNORED = -100  # a target the loss leaves out
# Inputs and targets, both (B, T); unnamed here, since batches in one list differ in size.
Batch = tuple[Int[Tensor, "_ _"], Int[Tensor, "_ _"]]
Batches = Callable[[int], Batch]


class WindowBatches:
    """Windows cut at random from one long text; the targets are the inputs, one token later.

    Args:
        ids: the text's tokens; an array (memory-mapped, say) is not copied.

    Raises:
        ValueError: the text is shorter than one window and its last target.

    Example:
        >>> x, y = WindowBatches(range(100), batch=1, context=4, seed=0)(0)
        >>> bool((y == x + 1).all())
        True
    """

    def __init__(
        self, ids: Sequence[int] | np.ndarray | Tensor, *, batch: int, context: int, seed: int = 0
    ) -> None:
        if batch < 1 or context < 1:
            raise ValueError(f"batch and context must be at least 1, got {batch} and {context}")
        self.ids = ids if isinstance(ids, np.ndarray) else np.asarray(ids, dtype=np.int32)
        self.batch, self.context, self.seed = batch, context, seed
        if len(self.ids) < context + 1:
            raise ValueError(
                f"a window of context {context} needs {context + 1} tokens (the last is a target), "
                f"but the text has {len(self.ids)}: give more text or a smaller context"
            )

    def __call__(self, step: int) -> Batch:
        chance = np.random.default_rng((self.seed, step))
        starts = chance.integers(0, len(self.ids) - self.context, size=self.batch)
        rows = starts[:, None] + np.arange(self.context + 1)
        window = torch.from_numpy(self.ids[rows].astype(np.int64))
        return window[:, :-1], window[:, 1:]


class StoryBatches:
    """Whole sequences, padded to the longest in the batch; padding is no target (−100).

    Each epoch visits every sequence once in a new order; its last batch holds what is left.
    Batches gather sequences of like length, so that little is computed on padding.

    Args:
        sequences: lists of ids, kept as one flat int32 array (4 bytes a token).
        pad: the id to pad inputs with; a causal model never looks at it from a real position.
    """

    def __init__(
        self, sequences: Sequence[Sequence[int]], *, batch: int, seed: int = 0, pad: int = 0
    ) -> None:
        if batch < 1:
            raise ValueError(f"batch must be at least 1, got {batch}")
        lengths = np.fromiter((len(s) for s in sequences), dtype=np.int64)
        if len(lengths) == 0:
            raise ValueError("there are no sequences to make batches of")
        if lengths.min() < 2:
            raise ValueError(
                "a sequence needs 2 tokens, an input and a target; "
                f"number {int(lengths.argmin())} has {int(lengths.min())}"
            )
        self.offsets = np.concatenate([[0], lengths.cumsum()])
        flat = (token for sequence in sequences for token in sequence)
        self.flat = np.fromiter(flat, dtype=np.int32, count=int(self.offsets[-1]))
        self.batch, self.seed, self.pad = batch, seed, pad
        self.steps_per_epoch = math.ceil(len(lengths) / batch)
        self._order = lru_cache(maxsize=2)(self._shuffled)

    def _shuffled(self, epoch: int) -> list[np.ndarray]:
        chance = np.random.default_rng((self.seed, epoch))
        order = chance.permutation(len(self.offsets) - 1)
        lengths = np.diff(self.offsets)[order]
        # Sort by length within runs of 16 batches only: like lengths meet, company still varies.
        run = np.arange(len(order)) // (16 * self.batch)
        order = order[np.lexsort((lengths, run))]
        groups = [order[i : i + self.batch] for i in range(0, len(order), self.batch)]
        return [groups[i] for i in chance.permutation(len(groups))]

    def __call__(self, step: int) -> Batch:
        epoch, place = divmod(step, self.steps_per_epoch)
        chosen = self._order(epoch)[place]
        starts, ends = self.offsets[chosen], self.offsets[chosen + 1]
        width = int((ends - starts).max()) - 1
        x = torch.full((len(chosen), width), self.pad)
        y = torch.full((len(chosen), width), IGNORED)
        for row, (start, end) in enumerate(zip(starts, ends, strict=True)):
            tokens = torch.from_numpy(self.flat[start:end].astype(np.int64))
            x[row, : len(tokens) - 1] = tokens[:-1]
            y[row, : len(tokens) - 1] = tokens[1:]
        return x, y
