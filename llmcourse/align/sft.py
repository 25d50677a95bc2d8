"""Supervised fine-tuning: batches in which only the answers are learned."""

from collections.abc import Sequence

import numpy as np
import torch

from llmcourse.batches import IGNORED, Batch, StoryBatches

__all__ = ["AnswerBatches"]


class AnswerBatches(StoryBatches):
    """A batch source for `train` from ids and marks of what is to be learned.

    `rows` are pairs as `chat.encode` gives them. A target is −100, and so does not count, unless
    it is marked; `everything=True` makes all of them count, for the comparison.

    Raises:
        ValueError: ids and marks of a row differ in length, or nothing of it is marked.
    """

    def __init__(
        self,
        rows: Sequence[tuple[Sequence[int], Sequence[bool]]],
        *,
        batch: int,
        seed: int = 0,
        pad: int = 0,
        everything: bool = False,
    ) -> None:
        for number, (ids, answer) in enumerate(rows):
            if len(ids) != len(answer):
                raise ValueError(f"row {number} has {len(ids)} ids and {len(answer)} marks")
            if not any(answer[1:]):
                raise ValueError(f"row {number} has nothing to learn: no answer is marked in it")
        super().__init__([ids for ids, _ in rows], batch=batch, seed=seed, pad=pad)
        self.answer = np.concatenate([np.asarray(answer, dtype=bool) for _, answer in rows])
        if everything:
            self.answer[:] = True

    def __call__(self, step: int) -> Batch:
        x, y = super().__call__(step)
        epoch, place = divmod(step, self.steps_per_epoch)
        for row, i in enumerate(self._order(epoch)[place]):
            answer = torch.from_numpy(self.answer[self.offsets[i] + 1 : self.offsets[i + 1]])
            y[row, : len(answer)].masked_fill_(~answer, IGNORED)
        return x, y
