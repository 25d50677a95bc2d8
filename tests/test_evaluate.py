"""Every token scored once, with the context it is owed, and intervals that cover."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from llmcourse import evaluate
from llmcourse.evaluate import (
    Interval,
    bits_per_byte,
    bootstrap,
    calibration_error,
    nats_per_token,
    paired_difference,
    perplexity,
    sequence_nats,
    story_nats,
    token_nats,
    wilson,
)

V = 11


class Prefix(nn.Module):
    """A causal model whose logits depend on all that it sees."""

    def __init__(self, context: int = 8):
        super().__init__()
        table = torch.randn(V, V, generator=torch.Generator().manual_seed(0))
        self.table = nn.Parameter(table)
        self.config = SimpleNamespace(vocab_size=V, context=context)
        self.dropout = nn.Dropout(0.5)

    def forward(self, ids, targets=None):
        if ids.shape[1] > self.config.context:
            raise ValueError(f"at most {self.config.context} tokens, got {ids.shape[1]}")
        return self.dropout(self.table[ids].cumsum(1)), None


class Letters:
    """One id a byte, modulo nothing: enough of a tokenizer."""

    vocab_size = V

    def encode(self, text):
        return [ord(c) - ord("a") for c in text]

    def decode(self, ids):
        return "".join(chr(i + ord("a")) for i in ids)

    def encode_story(self, story):
        return [10, *self.encode(story), 9]


def one_by_one(model, context, target):
    """The definition: the surprise of one target after one context."""
    with torch.no_grad():
        logits = model.eval()(torch.tensor([context]))[0][0, -1]
    return float(-logits.log_softmax(-1)[target])


def ids_of(n, seed=0):
    return np.random.default_rng(seed).integers(0, V, n).tolist()


def test_rows_in_batches_equal_one_by_one():
    model = Prefix()
    rows = [ids_of(n, n) for n in (2, 9, 4, 4, 7, 3)]
    for batch in (1, 4, 32):
        for row, nats in zip(rows, token_nats(model, rows, batch=batch), strict=True):
            expected = [one_by_one(model, row[:t], row[t]) for t in range(1, len(row))]
            np.testing.assert_allclose(nats, expected, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(n=st.integers(2, 40), context=st.integers(1, 8), data=st.data())
def test_windows_score_each_token_once_with_enough_context(n, context, data):
    stride = data.draw(st.integers(1, context))
    model, ids = Prefix(), ids_of(n, n)
    nats = sequence_nats(model, ids, context=context, stride=stride, batch=3)
    assert len(nats) == n - 1
    for t in range(1, n):
        # Some context of the promised length explains the score.
        least = min(t, context - stride + 1)
        options = [
            one_by_one(model, ids[t - k : t], ids[t]) for k in range(least, min(t, context) + 1)
        ]
        assert np.abs(np.array(options) - nats[t - 1]).min() < 1e-5


def test_stride_one_gives_every_token_a_full_window():
    model, ids = Prefix(context=4), ids_of(20)
    expected = [one_by_one(model, ids[max(0, t - 4) : t], ids[t]) for t in range(1, 20)]
    np.testing.assert_allclose(sequence_nats(model, ids, stride=1), expected, atol=1e-5)


def test_mode_is_restored_and_dropout_off():
    model = Prefix().train()
    a, b = (token_nats(model, [[1, 2, 3]])[0] for _ in range(2))
    assert model.training and np.array_equal(a, b)


def test_means_agree():
    model, ids = Prefix(), ids_of(8)
    assert nats_per_token(model, ids) == pytest.approx(nats_per_token(model, [ids]))
    assert perplexity(model, ids) == pytest.approx(math.exp(nats_per_token(model, [ids])))
    assert nats_per_token(model, torch.tensor(ids)) == pytest.approx(nats_per_token(model, ids))


def test_a_uniform_model_costs_log_v_bits_a_letter():
    model = Prefix()
    nn.init.zeros_(model.table)
    assert bits_per_byte(model, Letters(), "abcdefghijkabc") == pytest.approx(math.log2(V))
    assert bits_per_byte(model, Letters(), "a") == pytest.approx(math.log2(V))
    assert bits_per_byte(model, Letters(), "abc", start=3) == pytest.approx(math.log2(V))


def test_a_start_token_pays_for_the_first():
    model, text = Prefix(), "abacabad"
    ids = Letters().encode(text)
    rest = sum(one_by_one(model, [3, *ids[:t]], ids[t]) for t in range(1, 8))
    first = one_by_one(model, [3], ids[0])
    got = bits_per_byte(model, Letters(), text, start=3, context=8, stride=8)
    assert got == pytest.approx((first + rest) / math.log(2) / 8, abs=1e-5)


def test_stories_align_with_their_tokens_and_end():
    nats = story_nats(Prefix(context=9), Letters(), ["abc", "abcdefg"])
    assert [len(n) for n in nats] == [4, 8]


def test_the_bootstrap_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    intervals = [bootstrap(rng.normal(3.0, 1.0, 60), seed=i, resamples=300) for i in range(200)]
    covered = sum(3.0 in i for i in intervals)
    # Percentile intervals at n = 60 cover about 94 %; six standard errors are 10 %.
    assert 170 <= covered <= 200
    width = np.mean([i.high - i.low for i in intervals])
    assert width == pytest.approx(2 * 1.96 / math.sqrt(60), rel=0.1)


def test_pairs_cancel_what_they_share():
    rng = np.random.default_rng(1)
    hard = rng.normal(0, 10, 200)
    a, b = hard + rng.normal(0.5, 0.1, 200), hard + rng.normal(0, 0.1, 200)
    paired = paired_difference(a, b)
    assert 0.5 in paired and paired.low > 0.4
    assert paired.estimate == pytest.approx(a.mean() - b.mean())
    alone = bootstrap(a)
    assert alone.high - alone.low > 20 * (paired.high - paired.low)


def test_ratios_resample_by_unit_and_seeds_repeat():
    units = np.array([[2.0, 1], [4, 2], [6, 3], [10, 5]])
    ratio = bootstrap(units, lambda v: v[:, 0].sum() / v[:, 1].sum())
    assert (ratio.low, ratio.estimate, ratio.high) == (2, 2, 2)
    assert bootstrap([1, 2, 3, 4], seed=3) == bootstrap([1, 2, 3, 4], seed=3)
    assert f"{Interval(1.0, 2.0, 3.0):.1f}" == "2.0 [1.0, 3.0]" and str(Interval(0, 1, 2))


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda m: token_nats(m, [[1, 2], [3]]), "row 1 has 1"),
        (lambda m: token_nats(m, [[1, 2]], batch=0), "batch must be at least 1, got 0"),
        (lambda m: token_nats(m, [ids_of(12)]), "at most 8 tokens, got 11"),
        (lambda m: sequence_nats(m, [1]), "at least 2 ids"),
        (lambda m: sequence_nats(m, np.ones((2, 2))), r"shape \(2, 2\)"),
        (lambda m: sequence_nats(m, ids_of(9), stride=9), r"in 1..context \(8\), got 9"),
        (lambda m: sequence_nats(m, ids_of(9), stride=0), "got 0"),
        (lambda m: sequence_nats(m, ids_of(9), context=9), "at most the model's 8, got 9"),
        (lambda m: nats_per_token(m, []), "nothing to score"),
        (lambda m: bits_per_byte(m, Letters(), ""), "at least one byte"),
        (lambda m: bootstrap([1.0]), "at least 2 units"),
        (lambda m: bootstrap([1.0, 2.0], level=1.0), "got 1.0"),
        (lambda m: bootstrap([1.0, 2.0], resamples=10), "got 10"),
        (lambda m: paired_difference([1.0], [1.0, 2.0]), "equal shapes"),
        (lambda m: wilson(3, 2), "got 3 of 2"),
        (lambda m: wilson(0, 0), "got 0 of 0"),
        (lambda m: calibration_error([0.5], [1, 0]), "needs its outcome"),
        (lambda m: calibration_error([], []), "needs its outcome"),
        (lambda m: calibration_error([1.5], [1]), "1.5"),
        (lambda m: calibration_error([0.5], [1], bins=0), "bins must be at least 1"),
    ],
)
def test_bad_input_gives_rule_and_value(call, rule):
    with pytest.raises(ValueError, match=rule):
        call(Prefix())


def test_a_lossy_tokenizer_is_refused():
    lossy = Letters()
    lossy.decode = lambda ids: "?"
    with pytest.raises(ValueError, match="lossless"):
        bits_per_byte(Prefix(), lossy, "abc")
    with pytest.raises(TypeError, match="stride"):
        nats_per_token(Prefix(), [[1, 2]], stride=2)


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 300), data=st.data())
def test_wilson_ends_are_one_standard_error_rule_away(n, data):
    right = data.draw(st.integers(0, n))
    interval = wilson(right, n, z=2.0)
    for end in (interval.low, interval.high):
        if 0 < end < 1:  # the definition: the share is z true standard errors away
            assert (right / n - end) ** 2 == pytest.approx(4 * end * (1 - end) / n, rel=1e-6)
    assert right / n in interval or right in (0, n)
    mirror = wilson(n - right, n, z=2.0)
    assert mirror.low == pytest.approx(1 - interval.high, abs=1e-12)


def test_wilson_covers_where_the_plain_interval_does_not():
    p, n = 0.97, 50
    chance = [math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]
    assert sum(c for k, c in enumerate(chance) if p in wilson(k, n)) > 0.93


def test_calibration_error_by_hand_and_its_bias():
    assert calibration_error([0.2, 0.4, 0.9], [0, 1, 1], bins=2) == pytest.approx(0.5 / 3)
    assert calibration_error([0.25, 1.0], [0.25, 1.0], bins=7) == 0
    rng = np.random.default_rng(0)
    c = rng.uniform(size=2000)
    y = rng.uniform(size=2000) < c
    few, many = (calibration_error(c, y, bins=b) for b in (5, 200))
    assert few < many / 2  # perfectly calibrated, and yet


def test_public_names_exist():
    assert all(hasattr(evaluate, name) for name in evaluate.__all__)
