"""Exercises on bits, bytes and tokens a read."""

import math

import torch

from llmcourse.exercises.core import Exercise, Wrong, close, expect

# A row in few bits.


def quantize_row_stub(row, bits):
    raise NotImplementedError


def quantize_row(row, bits):
    top = 2 ** (bits - 1) - 1
    scale = row.abs().max() / top
    return (row / scale).round(), scale


def check_quantize_row(answer):
    generator = torch.Generator().manual_seed(0)
    for bits, size in ((8, 3.0), (4, 0.02), (3, 1.0)):
        row = size * torch.randn(17, generator=generator, dtype=torch.float64)
        row[3] = -row.abs().max() * 1.3  # the largest is negative
        top = 2 ** (bits - 1) - 1
        got = answer(row.clone(), bits)
        expect(
            isinstance(got, tuple | list) and len(got) == 2,
            "return (integers, scale)",
            got=got,
        )
        integers, scale = got
        want = row.abs().max() / top
        close(
            scale,
            want,
            f"the scale maps the largest absolute value to {top}, that is 2^(bits − 1) − 1",
            suspects={
                "the largest absolute value counts, not the largest value": row.max() / top,
                "2^(bits − 1) − 1 levels lie on each side of 0": row.abs().max() / 2 ** (bits - 1),
                "one bit is for the sign: 2^(bits − 1) − 1, not 2^bits − 1": (
                    row.abs().max() / (2**bits - 1)
                ),
                "this is the scale's inverse: w ≈ scale · integer": 1 / want,
            },
        )
        close(
            torch.as_tensor(integers, dtype=torch.float64),
            (row / want).round(),
            "the nearest whole numbers of w / scale",
            suspects={
                "round to the nearest: truncation errs towards 0": (row / want).trunc(),
                "round to the nearest, not down": (row / want).floor(),
                "w / scale is not rounded yet": row / want,
                "these are the rounded weights: the integers are asked for": (
                    (row / want).round() * want
                ),
            },
        )


def _signed_max(row, bits):
    scale = row.max() / (2 ** (bits - 1) - 1)
    return (row / scale).round(), scale


def _truncated(row, bits):
    integers, scale = quantize_row(row, bits)
    return (row / scale).trunc(), scale


def _all_levels(row, bits):
    scale = row.abs().max() / (2**bits - 1)
    return (row / scale).round(), scale


def _spread(row, bits):
    integers, scale = quantize_row(row, bits)
    return integers * scale, scale


# The size of a cache.


def cache_bytes_stub(layers, heads, kv_heads, width, length, bytes_each, window=None):
    raise NotImplementedError


def cache_bytes(layers, heads, kv_heads, width, length, bytes_each, window=None):
    kept = length if window is None else min(length, window)
    return 2 * layers * kv_heads * (width // heads) * kept * bytes_each


def check_cache_bytes(answer):
    def case(layers, heads, kv, width, length, size, window):
        want = cache_bytes(layers, heads, kv, width, length, size, window)
        got = answer(layers, heads, kv, width, length, size, window)
        head = width // heads
        kept = want // (2 * layers * kv * head * size)
        close(
            got,
            want,
            "2 · layers · key heads · channels of a head · positions · bytes",
            suspects={
                "keys and values are kept: twice as much": want // 2,
                "key heads are shared: kv_heads counts, not heads": want * heads // kv,
                "every layer has its own cache": want // layers,
                "a window keeps its own length at most": 2 * layers * kv * head * length * size,
                "a window longer than the text keeps the text alone": (
                    2 * layers * kv * head * (window or length) * size
                ),
                "a head has width / heads channels": 2 * layers * kv * width * kept * size,
                "each number takes bytes_each bytes": want // size,
            },
        )

    case(80, 64, 8, 8192, 4096, 2, None)
    case(3, 4, 2, 192, 250, 4, 64)
    case(3, 4, 2, 192, 50, 4, 64)


def _keys_only(layers, heads, kv_heads, width, length, bytes_each, window=None):
    return cache_bytes(layers, heads, kv_heads, width, length, bytes_each, window) // 2


def _all_heads(layers, heads, kv_heads, width, length, bytes_each, window=None):
    return cache_bytes(layers, heads, heads, width, length, bytes_each, window)


def _no_window(layers, heads, kv_heads, width, length, bytes_each, window=None):
    return cache_bytes(layers, heads, kv_heads, width, length, bytes_each)


def _always_window(layers, heads, kv_heads, width, length, bytes_each, window=None):
    return cache_bytes(layers, heads, kv_heads, width, window or length, bytes_each)


# Tokens that a read of the target yields.


def tokens_per_read_stub(alphas):
    raise NotImplementedError


def tokens_per_read(alphas):
    total, reached = 1.0, 1.0
    for alpha in alphas:
        reached = reached * alpha
        total = total + reached
    return total


def check_tokens_per_read(answer):
    for alphas in ([0.9, 0.2, 0.8], [0.5], [0.8, 0.8, 0.8, 0.8], [1.0, 0.0, 1.0], []):
        want, n = tokens_per_read(alphas), len(alphas)
        mean = sum(alphas) / n if n else 0.0
        powers = sum(mean**i for i in range(n + 1))
        suspects = {
            "the target adds a token of its own in every read: 1 more": want - 1,
            "a guess counts only if all before it were kept: products, not a sum": 1 + sum(alphas),
            "the chances differ from place to place: their mean hides the order": powers,
            "this is the chance that all are kept": math.prod(alphas),
            "a run that ends early still yields its kept guesses": 1 + n * math.prod(alphas),
        }
        if len(set(alphas)) < 2:  # the mean is then no mistake
            del suspects["the chances differ from place to place: their mean hides the order"]
        close(answer(list(alphas)), want, "1 + a₁ + a₁a₂ + a₁a₂a₃ + …", suspects=suspects)


def _no_bonus(alphas):
    return tokens_per_read(alphas) - 1


def _plain_sum(alphas):
    return 1.0 + sum(alphas)


def _mean(alphas):
    mean = sum(alphas) / len(alphas) if alphas else 0.0
    return sum(mean**i for i in range(len(alphas) + 1))


EXERCISES = (
    Exercise(
        id="efficiency.quantize_row",
        title="A row in few bits",
        stub=quantize_row_stub,
        solution=quantize_row,
        check=check_quantize_row,
        hints=(
            "The largest absolute value becomes the highest whole number. What is that for b bits, "
            "if −q must be there for every q?",
            "The highest is 2^(bits − 1) − 1. The scale is the largest absolute value over it; "
            "the integers are the row over the scale, rounded.",
            "`top = 2 ** (bits - 1) - 1`, `scale = row.abs().max() / top`, `(row / scale)....`",
        ),
        wrong=(
            Wrong(_signed_max, "largest absolute value"),
            Wrong(_truncated, "truncation"),
            Wrong(_all_levels, "one bit is for the sign"),
            Wrong(_spread, "integers are asked for"),
        ),
    ),
    Exercise(
        id="efficiency.cache_bytes",
        title="The size of a cache",
        stub=cache_bytes_stub,
        solution=cache_bytes,
        check=check_cache_bytes,
        hints=(
            "What does one position leave behind, in one layer?",
            "A key and a value for each of `kv_heads` heads, each of width / heads channels. A "
            "window forgets what lies behind it.",
            "`2 * layers * kv_heads * (width // heads) * min(length, window) * bytes_each`, where "
            "there is a window",
        ),
        wrong=(
            Wrong(_keys_only, "keys and values"),
            Wrong(_all_heads, "key heads are shared"),
            Wrong(_no_window, "a window keeps its own length"),
            Wrong(_always_window, "keeps the text alone"),
        ),
    ),
    Exercise(
        id="efficiency.tokens_per_read",
        title="Tokens that a read yields",
        stub=tokens_per_read_stub,
        solution=tokens_per_read,
        check=check_tokens_per_read,
        hints=(
            "A guess is kept only if all before it were. What comes in any case?",
            "The expected number is the sum of the chances that the first token comes, the second, "
            "the third … The first always comes: it is a kept guess or a replacement.",
            "Keep a running product of the alphas and add it up, from 1 on.",
        ),
        wrong=(
            Wrong(_no_bonus, "a token of its own"),
            Wrong(_plain_sum, "products, not a sum"),
            Wrong(_mean, "differ from place to place"),
        ),
    ),
)
