"""Sequences of unequal length: ids checked and, for models that count in batches, padded."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

__all__ = ["batches", "sequences"]


def sequences(data: Any, *, limit: int) -> list[Tensor]:
    """Ids as a list of tensors: one for a flat sequence, one each for many.

    Raises:
        TypeError: something that is no integer, or that is nested deeper.
        ValueError: an id outside 0..limit − 1.
    """
    many = len(data) > 0 and np.ndim(data[0]) == 1
    out = []
    for s in data if many else [data]:
        ids = torch.as_tensor(s)
        if ids.ndim != 1 or (len(ids) and ids.dtype.is_floating_point):
            raise TypeError(f"ids must be integers in one or many flat lists, got {ids.dtype}")
        if len(ids) and (int(ids.min()) < 0 or int(ids.max()) >= limit):
            worst = int(ids.min() if ids.min() < 0 else ids.max())
            raise ValueError(f"ids must lie in 0..{limit - 1}, got {worst}")
        out.append(ids.long())
    return out


def batches(
    rows: list[Tensor], *, at_once: int, most: int = 512
) -> Iterator[tuple[list[int], Int[Tensor, "T B"], Int[Tensor, " B"]]]:
    """Sequences of like length together, padded: their numbers, tokens (T, B), lengths.

    A batch has at most `most` sequences and about `at_once` tokens. Empty sequences are in none.
    """
    lengths = [len(s) for s in rows]
    order = sorted((i for i, n in enumerate(lengths) if n), key=lambda i: -lengths[i])
    while order:
        size = max(1, min(most, at_once // lengths[order[0]]))
        now, order = order[:size], order[size:]
        padded = torch.nn.utils.rnn.pad_sequence([rows[i] for i in now])
        yield now, padded, torch.tensor([lengths[i] for i in now])
