"""Scores with intervals: surprise per token, perplexity, bits per byte, the bootstrap.

A model is anything of the course's face: `logits, loss = model(ids)` with logits (B, T, V).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llmcourse import metrics

__all__ = [
    "Interval",
    "bits_per_byte",
    "bootstrap",
    "calibration_error",
    "nats_per_token",
    "paired_difference",
    "perplexity",
    "sequence_nats",
    "story_nats",
    "token_nats",
    "wilson",
]

IGNORED = -100  # the target that torch's cross-entropy skips
LOGITS_AT_ONCE = 2**27  # half a GiB of float32


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[torch.device]:
    """Dropout off and gradients off, restored afterwards; gives the model's device."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield next((p.device for p in model.parameters()), torch.device("cpu"))
    finally:
        model.train(was_training)


def _positive(name: str, value: int) -> None:
    if value < 1:
        raise ValueError(f"{name} must be at least 1, got {value}")


def token_nats(
    model: nn.Module, rows: Sequence[Sequence[int] | Tensor | np.ndarray], *, batch: int = 32
) -> list[np.ndarray]:
    """Surprise of each token given those before it in its row, in nats.

    A row of n tokens gives n − 1 numbers: its first token is only context (a start token, as a
    rule). Rows are padded to a batch's longest at the right, where a causal model cannot see them.

    Raises:
        ValueError: a row has fewer than two tokens; the model refuses rows over its context.
    """
    _positive("batch", batch)
    lengths = [len(row) for row in rows]
    for i, n in enumerate(lengths):
        if n < 2:
            raise ValueError(f"a row needs a token and a context, at least 2 ids: row {i} has {n}")
    out: list[np.ndarray] = [np.empty(0)] * len(lengths)
    # By length, longest first: little padding, and memory runs out at once or never.
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    vocab = getattr(getattr(model, "config", None), "vocab_size", 1)
    with _evaluating(model) as device:
        while order:
            size = max(1, min(batch, LOGITS_AT_ONCE // (lengths[order[0]] * vocab)))
            now, order = order[:size], order[size:]
            x = torch.zeros(len(now), lengths[now[0]] - 1, dtype=torch.long)
            y = torch.full_like(x, IGNORED)
            for b, i in enumerate(now):
                ids = torch.as_tensor(rows[i], dtype=torch.long)
                x[b, : len(ids) - 1], y[b, : len(ids) - 1] = ids[:-1], ids[1:]
            nats = _surprise(model, x.to(device), y.to(device)).cpu().numpy()
            for b, i in enumerate(now):
                out[i] = nats[b, : lengths[i] - 1].astype(np.float64)
    return out


def _surprise(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """−log q(y | x) at each position (B, T), 0 where the target is ignored."""
    logits = model(x)[0]
    return F.cross_entropy(logits.mT.float(), y, ignore_index=IGNORED, reduction="none")


def sequence_nats(
    model: nn.Module,
    ids: Sequence[int] | Tensor | np.ndarray,
    *,
    context: int | None = None,
    stride: int | None = None,
    batch: int = 16,
) -> np.ndarray:
    """Surprise of every token of one long sequence but the first, each counted once, in nats.

    Windows of `context` tokens start every `stride` tokens, and each scores only what earlier
    windows did not: every token after the first window sees at least `context − stride` tokens
    before it. A smaller stride scores better and costs more. The default is half a window.

    Raises:
        ValueError: fewer than two ids, or not 1 ≤ stride ≤ context ≤ the model's own.
    """
    longest = getattr(getattr(model, "config", None), "context", None)
    context = context or longest or 256
    if longest is not None and context > longest:
        raise ValueError(f"context must be at most the model's {longest}, got {context}")
    stride = max(1, context // 2) if stride is None else stride
    if not 1 <= stride <= context:
        raise ValueError(f"stride must lie in 1..context ({context}), got {stride}")
    _positive("batch", batch)
    sequence = torch.as_tensor(ids, dtype=torch.long)
    if sequence.ndim != 1 or len(sequence) < 2:
        raise ValueError(f"need one sequence of at least 2 ids, got shape {tuple(sequence.shape)}")
    predicted = len(sequence) - 1
    starts = [0]
    while starts[-1] + context < predicted:
        starts.append(starts[-1] + stride)
    rows = [sequence[s : s + context + 1] for s in starts]
    nats = token_nats(model, rows, batch=batch)
    # Window k has already been scored up to where window k − 1 ended.
    fresh = [nats[0]] + [
        scored[starts[k - 1] + context - starts[k] :] for k, scored in enumerate(nats) if k
    ]
    return np.concatenate(fresh)


def nats_per_token(model: nn.Module, ids: Any, *, batch: int = 32, **window: int) -> float:
    """Mean surprise of the targets, in nats per token.

    `ids` is either one long sequence (scored by `sequence_nats`, which takes `context` and
    `stride`) or many rows (scored by `token_nats`).

    Raises:
        ValueError: there is nothing to score, so a mean has no meaning.
    """
    if len(ids) == 0:
        raise ValueError("nothing to score: ids are empty, and a mean has no meaning")
    if np.ndim(ids[0]) == 0:
        return float(sequence_nats(model, ids, batch=batch, **window).mean())
    if window:
        raise TypeError(f"{sorted(window)} apply to one long sequence, not to rows")
    return float(np.concatenate(token_nats(model, ids, batch=batch)).mean())


def perplexity(model: nn.Module, ids: Any, *, batch: int = 32, **window: int) -> float:
    """exp of `nats_per_token`: the number of equally likely tokens that would surprise as much."""
    return metrics.perplexity(nats_per_token(model, ids, batch=batch, **window))


def bits_per_byte(
    model: nn.Module,
    tokenizer: Any,
    text: str,
    *,
    start: int | None = None,
    context: int | None = None,
    stride: int | None = None,
    batch: int = 16,
) -> float:
    """Bits that each UTF-8 byte of `text` costs, every byte counted once.

    `start` is the id that begins a text. Without one the first token has no context, and is
    charged log V nats, a uniform code's price. Windows as in `sequence_nats`.

    Raises:
        ValueError: the text is empty, or the tokenizer does not give it back, so that some of
            its bytes would go uncounted.
    """
    if not text:
        raise ValueError("bits per byte needs at least one byte of text, got ''")
    ids = list(tokenizer.encode(text))
    if tokenizer.decode(ids) != text:
        raise ValueError("the tokenizer must be lossless, but decode(encode(text)) is not the text")
    total = 0.0 if start is not None else float(np.log(tokenizer.vocab_size))
    ids = ids if start is None else [start, *ids]
    if len(ids) > 1:
        nats = sequence_nats(model, ids, context=context, stride=stride, batch=batch)
        total += float(nats.sum())
    return metrics.bits_per_byte(total, len(text.encode("utf-8")))


def story_nats(
    model: nn.Module, tokenizer: Any, stories: Sequence[Any], *, batch: int = 64
) -> list[np.ndarray]:
    """Surprise of each token of each tale, the end of story included, in nats.

    Aligned with `story.tokens` followed by the end: `tokenizer.encode_story` puts the language's
    token first, as context.
    """
    return token_nats(model, [tokenizer.encode_story(s) for s in stories], batch=batch)


@dataclass(frozen=True)
class Interval:
    """An estimate between the ends of its interval."""

    low: float
    estimate: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def __format__(self, spec: str) -> str:
        spec = spec or ".3f"
        return f"{self.estimate:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"

    def __str__(self) -> str:
        return format(self)


def bootstrap(
    values: Any,
    statistic: Callable[[np.ndarray], Any] = np.mean,
    seed: int = 0,
    *,
    resamples: int = 1000,
    level: float = 0.95,
) -> Interval:
    """Percentile bootstrap interval of a statistic of independent units along the first axis.

    Resample the unit that is independent: stories, not their tokens. A unit may be a row, so
    that `statistic` can be a ratio: `lambda v: v[:, 0].sum() / v[:, 1].sum()`. Efron (1979).

    Raises:
        ValueError: fewer than two units, fewer than 100 resamples, a level outside (0, 1).
    """
    units = np.asarray(values)
    if units.ndim == 0 or len(units) < 2:
        raise ValueError(f"the bootstrap needs at least 2 units, got shape {units.shape}")
    if resamples < 100:
        raise ValueError(f"resamples must be at least 100 for its tails, got {resamples}")
    if not 0 < level < 1:
        raise ValueError(f"level must lie strictly between 0 and 1, got {level}")
    rng = np.random.default_rng(seed)
    n = len(units)
    draws = [float(statistic(units[rng.integers(n, size=n)])) for _ in range(resamples)]
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(statistic(units)), float(high))


def paired_difference(
    a: Any,
    b: Any,
    statistic: Callable[[np.ndarray], Any] = np.mean,
    seed: int = 0,
    *,
    resamples: int = 1000,
    level: float = 0.95,
) -> Interval:
    """Bootstrap interval of statistic(a) − statistic(b) when unit i of both is the same unit.

    Resampling them together cancels what the units share, so that two models scored on the same
    stories are told apart with far fewer.

    Raises:
        ValueError: the two have different numbers of units; else as `bootstrap`.
    """
    first, second = np.asarray(a), np.asarray(b)
    if first.shape != second.shape:
        raise ValueError(f"pairs need equal shapes, got {first.shape} and {second.shape}")
    return bootstrap(
        np.stack([first, second], axis=1),
        lambda v: statistic(v[:, 0]) - statistic(v[:, 1]),
        seed,
        resamples=resamples,
        level=level,
    )


def wilson(right: int, n: int, *, z: float = 1.959964) -> Interval:
    """Wilson's interval for a share: the true shares that `right` of `n` does not contradict.

    It keeps its level near 0 and 1, where share ± z √(share (1 − share) / n) has no width at all.
    Wilson (1927).

    Raises:
        ValueError: not 0 ≤ right ≤ n with n ≥ 1.

    >>> f"{wilson(20, 20):.2f}"
    '1.00 [0.84, 1.00]'
    """
    if n < 1 or not 0 <= right <= n:
        raise ValueError(f"a share needs 0 ≤ right ≤ n and n ≥ 1, got {right} of {n}")
    share, weight = right / n, 1 + z * z / n
    middle = (share + z * z / (2 * n)) / weight
    half = z * float(np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))) / weight
    return Interval(max(0.0, middle - half), share, min(1.0, middle + half))


def calibration_error(confidence: Any, outcome: Any, *, bins: int = 15) -> float:
    """Expected calibration error: Σ n_k/n |mean confidence − mean outcome| over equal ranges.

    `outcome` is 0 or 1, or the true probability where it is known. Drawn outcomes bias the error
    upwards, the more so the more bins there are. Guo et al. (2017).

    Raises:
        ValueError: unequal lengths, nothing given, a confidence outside [0, 1], or bins < 1.
    """
    _positive("bins", bins)
    c, y = np.asarray(confidence, dtype=float), np.asarray(outcome, dtype=float)
    if c.shape != y.shape or c.ndim != 1 or len(c) == 0:
        raise ValueError(f"each confidence needs its outcome, got shapes {c.shape} and {y.shape}")
    if not ((c >= 0) & (c <= 1)).all():
        raise ValueError(f"a confidence lies in [0, 1], got {c.min()} to {c.max()}")
    where = np.minimum((c * bins).astype(int), bins - 1)
    return float(np.abs(np.bincount(where, c - y, minlength=bins)).sum() / len(c))
