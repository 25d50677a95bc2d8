"""Attention in one pass over the keys."""

import math

import torch

from llmcourse.exercises.attention.scores import drawn
from llmcourse.exercises.core import Exercise, Wrong, close, expect

# Softmax in one pass.


def online_attention_stub(blocks):
    raise NotImplementedError


def online_attention(blocks):
    peak, total, out = -math.inf, 0.0, 0.0
    for scores, values in blocks:
        new_peak = max(peak, scores.max().item())
        shrink = math.exp(peak - new_peak)
        weights = (scores - new_peak).exp()
        total = total * shrink + weights.sum()
        out = out * shrink + weights @ values
        peak = new_peak
    return out / total


def check_online_attention(answer):
    def case(sizes, seed, scale=1.0, shift=0.0, note=""):
        scores = [s * scale + shift for s in drawn(*((n,) for n in sizes), seed=seed)]
        values = drawn(*((n, 3) for n in sizes), seed=seed + 100)
        want = torch.cat(scores).softmax(0) @ torch.cat(values)
        parts = [s.softmax(0) @ v for s, v in zip(scores, values, strict=True)]
        got = answer(iter(list(zip(scores, values, strict=True))))
        peaks = torch.stack([s.max() for s in scores])
        raised = [(s - m).exp() for s, m in zip(scores, peaks.cummax(0).values, strict=True)]
        out = sum(w @ v for w, v in zip(raised, values, strict=True))
        total = sum(w.sum() for w in raised)
        halves = sum(w.sum() for w in [(s - peaks.max()).exp() for s in scores])
        undivided = sum((s - peaks.max()).exp() @ v for s, v in zip(scores, values, strict=True))
        suspects = {
            "blocks are averaged as if alike: a block counts by its Σ exp": sum(parts) / len(parts),
            "only the last block is left: carry the earlier sums along": parts[-1],
            "when the peak rises, the earlier sums are too large: multiply both by "
            "exp(old peak − new peak)": out / total,
            "the sum of weights was rescaled to the new peak, but not the weighted values": (
                out / halves
            ),
            "divide by the sum of all weights at the end": undivided,
        }
        finite = isinstance(got, torch.Tensor) and bool(torch.isfinite(got).all())
        expect(
            finite or not isinstance(got, torch.Tensor),
            "scores near 1000 overflow exp, those near −1000 vanish: subtract the running maximum",
            got=got,
        )
        close(got, want, f"the mixture of {note} differs", suspects=suspects, rtol=1e-4, atol=1e-5)

    case((4,), 0, note="one block")
    case((3, 2, 4), 1, note="three blocks")
    case((3, 5), 5, note="two blocks")
    case((1, 1, 1, 1, 1), 2, note="five blocks of one score")
    case((3, 3, 3), 3, shift=1000.0, note="scores near 1000")
    case((3, 3, 3), 4, shift=-1000.0, note="scores near −1000")
    case((3, 3, 3), 6, scale=40.0, note="scores far apart")


def _no_rescaling(blocks):
    peak, total, out = -math.inf, 0.0, 0.0
    for scores, values in blocks:
        peak = max(peak, scores.max().item())
        weights = (scores - peak).exp()
        total, out = total + weights.sum(), out + weights @ values
    return out / total


def _rescales_sum_only(blocks):
    peak, total, out = -math.inf, 0.0, 0.0
    for scores, values in blocks:
        new_peak = max(peak, scores.max().item())
        weights = (scores - new_peak).exp()
        total = total * math.exp(peak - new_peak) + weights.sum()
        out = out + weights @ values
        peak = new_peak
    return out / total


def _averages_blocks(blocks):
    parts = [scores.softmax(0) @ values for scores, values in blocks]
    return sum(parts) / len(parts)


def _no_peak(blocks):
    total, out = 0.0, 0.0
    for scores, values in blocks:
        weights = scores.exp()
        total, out = total + weights.sum(), out + weights @ values
    return out / total


def _never_divides(blocks):
    peak, out = -math.inf, 0.0
    for scores, values in blocks:
        new_peak = max(peak, scores.max().item())
        out = out * math.exp(peak - new_peak) + (scores - new_peak).exp() @ values
        peak = new_peak
    return out


def _last_block(blocks):
    for scores, values in blocks:
        out = scores.softmax(0) @ values
    return out


EXERCISES = (
    Exercise(
        id="attention.online_attention",
        title="Attention in one pass over the keys",
        stub=online_attention_stub,
        solution=online_attention,
        check=check_online_attention,
        hints=(
            "Keep three things: the largest score so far, the sum of exp(score − largest), and the "
            "same sum with the values as factors. What must happen to two of them when a block "
            "brings a larger score?",
            "For each block: new peak; shrink = exp(old peak − new peak); total = total · shrink + "
            "Σ exp(scores − new peak); out likewise. At the end out / total.",
            "weights = (scores - new_peak).exp(); total = total * shrink + weights.sum(); "
            "out = out * shrink + weights @ values",
        ),
        equivalent_mutants={
            f"peak, total, out = (-math.inf, 0.0, 0.0) → peak, total, out = (-math.inf, {x})": (
                "the first shrink is exp(−∞) = 0: what the sums held before is forgotten"
            )
            for x in ("1.0, 0.0", "0.0, 1.0")
        },
        wrong=(
            Wrong(_no_rescaling, "multiply both"),
            Wrong(_rescales_sum_only, "but not the weighted values"),
            Wrong(_averages_blocks, "averaged"),
            Wrong(_no_peak, "overflow"),
            Wrong(_never_divides, "divide by the sum"),
            Wrong(_last_block, "last block"),
        ),
    ),
)
