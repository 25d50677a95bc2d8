"""Every smoothing sums to one and equals its textbook formula, counted in dictionaries."""

import doctest
import math
from collections import Counter, defaultdict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcourse import ngram
from llmcourse.ngram import SMOOTHINGS, NGram

V = 5
sequences = st.lists(st.lists(st.integers(0, V - 1), max_size=12), min_size=1, max_size=4).filter(
    lambda s: sum(map(len, s)) > 0
)


def fitted(smoothing, data, order=3, dev=((0, 1, 2, 1, 0, 3),), **options):
    model = NGram(order=order, smoothing=smoothing, vocab=V, **options)
    return model.fit(data, dev=[list(d) for d in dev] if smoothing == "interpolated" else None)


class Textbook:
    """The formulas as printed, one probability at a time, from dictionaries of tuples.

    One mark "^" begins a sequence: near it contexts are shorter, as KenLM and SRILM have it.
    """

    def __init__(self, order, smoothing, data, k=1.0, weights=None):
        self.order, self.smoothing, self.k, self.weights = order, smoothing, k, weights
        raw = [Counter() for _ in range(order + 1)]
        for s in data:
            padded = ["^", *s]
            for end in range(1, len(padded)):
                for n in range(1, order + 1):
                    if end - n + 1 >= 0:
                        raw[n][tuple(padded[end - n + 1 : end + 1])] += 1
        self.counts = list(raw)
        if "kneser" in smoothing:
            for n in range(1, order):
                left = defaultdict(set)
                for gram in raw[n + 1]:
                    left[gram[1:]].add(gram[0])
                self.counts[n] = {g: c if g[0] == "^" else len(left[g]) for g, c in raw[n].items()}
        self.discounts = [self.estimate(Counter(c.values())) for c in self.counts]

    def estimate(self, n):
        if self.smoothing in ("mle", "add-k", "interpolated"):
            return lambda c: 0
        y = n[1] / (n[1] + 2 * n[2]) if n[1] and n[2] else 0.5
        if self.smoothing != "modified-kneser-ney" or not (n[1] and n[2] and n[3]):
            return lambda c: y if c else 0
        d1, d2, d3 = (
            1 - 2 * y * n[2] / n[1],
            2 - 3 * y * n[3] / n[2],
            3 - 4 * y * n[4] / n[3],
        )
        d = [0, min(max(d1, 1e-3), 1), min(max(d2, 1e-3), 2), min(max(d3, 1e-3), 3)]
        return lambda c: d[min(c, 3)]

    def prob(self, w, history):
        return self.recurse(
            w, tuple(["^", *history][-(self.order - 1) :]) if self.order > 1 else ()
        )

    def recurse(self, w, h):
        n = len(h) + 1
        after = {g[-1]: c for g, c in self.counts[n].items() if g[:-1] == h}
        total, c = sum(after.values()), after.get(w, 0)
        if self.smoothing == "add-k":
            return (c + self.k) / (total + self.k * V)
        if self.smoothing == "mle":
            return c / total if total else 1 / V
        lower = self.recurse(w, h[1:]) if h else 1 / V
        if not total:
            return lower
        if self.smoothing == "interpolated":
            return self.weights[n - 1] * c / total + (1 - self.weights[n - 1]) * lower
        d = self.discounts[n]
        return (c - d(c) + sum(d(x) for x in after.values()) * lower) / total


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
@pytest.mark.parametrize("order", [1, 2, 3, 4])
@settings(max_examples=15, deadline=None)
@given(train=sequences, test=sequences)
def test_equal_to_the_textbook(smoothing, order, train, test):
    model = fitted(smoothing, train, order)
    book = Textbook(order, smoothing, train, weights=model.weights)
    expected = [book.prob(w, s[:t]) for s in test for t, w in enumerate(s)]
    np.testing.assert_allclose(np.exp(-model.token_nats(test)), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
@settings(max_examples=25, deadline=None)
@given(
    train=sequences,
    context=st.lists(st.integers(0, V - 1), max_size=5),
    order=st.integers(1, 5),
)
def test_next_probs_sum_to_one_and_agree_with_token_nats(smoothing, train, context, order):
    model = fitted(smoothing, train, order)
    p = model.next_probs(context)
    assert p.shape == (V,) and (p >= 0).all()
    assert p.sum() == pytest.approx(1, abs=1e-12)
    last = [model.token_nats([*context, w])[-1] for w in range(V)]
    np.testing.assert_allclose(np.exp(-np.array(last)), p, atol=1e-12)


def test_sequences_do_not_leak_into_each_other():
    a, b = [0, 1, 2, 3], [4, 3, 2]
    model = fitted("kneser-ney", [a, b])
    together = model.token_nats([a, b])
    np.testing.assert_array_equal(together, np.r_[model.token_nats(a), model.token_nats(b)])
    assert model.count([3, 4]) == 0 and model.count([2, 3]) == 1 and model.count([4, 4]) == 0
    assert model.sizes() == [5, 7, 7]  # (^, 0), (^, 4) count among pairs; ^^0, ^^4 among triples


def test_known_by_hand():
    # "the cat the dog": after 'the' (0) come 'cat' (1) and 'dog' (2).
    text = [0, 1, 0, 2]
    assert fitted("mle", text, 2).next_probs([0]).tolist() == [0, 0.5, 0.5, 0, 0]
    np.testing.assert_allclose(fitted("add-k", text, 2, k=0.5).next_probs([0])[1], 1.5 / 4.5)
    half = fitted("absolute", text, 2, discount=0.5).next_probs([0])
    # Unigrams: 2, 1, 1 less a half, 1.5 of 4 spread over five; bigrams: a half of each of two.
    unigram = (1 - 0.5 + 1.5 / V) / 4
    np.testing.assert_allclose(half[1], (1 - 0.5 + 2 * 0.5 * unigram) / 2)


def test_kneser_ney_counts_contexts_where_others_count_words():
    # 4 ('Francisco') is frequent after 3 ('San') only; 1 is rarer but follows many.
    text = [[3, 4]] * 20 + [[0, 1], [2, 1], [1, 1]]
    ours, theirs = (fitted(s, text, 2).next_probs([0, 2]) for s in ("kneser-ney", "absolute"))
    assert theirs[4] > theirs[0] and ours[1] > ours[4]


def test_em_finds_the_best_weights():
    rng = np.random.default_rng(0)
    rows = rng.dirichlet(np.full(V, 0.7), size=V)
    train, dev = ([0] for _ in range(2))
    for text in (train, dev):
        for _ in range(400):
            text.append(int(rng.choice(V, p=0.7 * rows[text[-1]] + 0.3 / V)))
    model = NGram(order=3, smoothing="interpolated", vocab=V).fit(train, dev=dev)
    best = model.nats_per_token(dev)
    for shift in (-0.03, 0.03):
        for n in range(3):
            weights = model.weights.copy()
            weights[n] = np.clip(weights[n] + shift, 0, 0.999)
            other = NGram(order=3, smoothing="interpolated", vocab=V, weights=weights.tolist())
            assert other.fit(train).nats_per_token(dev) >= best - 2e-5
    assert model.weights[1] > 0.5 > model.weights[2]  # the chain remembers one token


def test_unseen_words_and_contexts_are_defined():
    train = [[0, 1, 0, 1]]
    assert fitted("mle", train).next_probs([4, 4]).tolist() == [0.2] * 5  # the limit of add-k
    small = fitted("add-k", train, k=1e-12).next_probs([4, 4])
    np.testing.assert_allclose(small, 0.2)
    assert fitted("mle", train).perplexity([0, 4]) == math.inf
    for smoothing in SMOOTHINGS[1:]:
        assert math.isfinite(fitted(smoothing, train).perplexity([4, 3, 0, 2]))


def test_a_corpus_shorter_than_a_context_and_no_context_at_all():
    for smoothing in SMOOTHINGS:
        model = fitted(smoothing, [2], order=5)
        assert model.next_probs([]).sum() == pytest.approx(1)
        assert model.next_probs([]).argmax() == 2


def test_samples_follow_next_probs_and_repeat():
    model = fitted("kneser-ney", [[0, 1, 2, 0, 1, 3, 0, 2]], 2)
    g = torch.Generator().manual_seed(0)
    draws = [model.sample(1, context=[0], generator=g)[0] for _ in range(2000)]
    counts = np.bincount(draws, minlength=V)
    p = model.next_probs([0])
    assert (((counts - 2000 * p) ** 2) / (2000 * p)).sum() < 23.5  # chi-squared, 4 df, 1 in 10⁴
    a, b = (model.sample(20, generator=torch.Generator().manual_seed(1)) for _ in range(2))
    assert a == b and len(a) == 20
    stopped = model.sample(500, generator=g, stop=3)
    assert stopped[-1] == 3 and 3 not in stopped[:-1]


def test_arrays_tensors_and_lists_are_the_same():
    text = [0, 1, 2, 1, 0]
    a, b, c = (fitted("kneser-ney", kind(text)) for kind in (list, np.array, torch.tensor))
    assert a.logprob(text) == b.logprob(torch.tensor(text)) == c.logprob(np.array(text))
    rows = torch.tensor([[0, 1], [2, 3]])
    assert len(a.token_nats(rows)) == 4


def test_a_large_vocabulary_at_order_five_does_not_overflow():
    ids = np.random.default_rng(0).integers(0, 60_000, 5_000)
    model = NGram(order=5, vocab=60_000).fit(ids)
    assert model.count(ids[100:105]) == 1
    assert model.token_nats(ids)[10:].max() < math.log(60_000)


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda: NGram(order=0), "at least 1, got 0"),
        (lambda: NGram(smoothing="laplace"), "got 'laplace'"),
        (lambda: NGram(vocab=0), "got 0"),
        (lambda: NGram(smoothing="add-k", k=0.0), "positive and finite, got 0"),
        (lambda: NGram(discount=1.5), r"\(0, 1\], got 1.5"),
        (lambda: NGram(smoothing="add-k", discount=0.5), "not to add-k"),
        (lambda: NGram(weights=[0.5] * 3), "not to kneser-ney"),
        (lambda: NGram(smoothing="interpolated", weights=[0.5]), "need 3 weights"),
        (lambda: NGram(smoothing="interpolated").fit([0, 1]), "held-out"),
        (lambda: NGram(smoothing="interpolated").fit([0, 1], dev=[]), "dev has no tokens"),
        (lambda: NGram().fit([]), "no tokens"),
        (lambda: NGram().fit([[], []]), "no tokens"),
        (lambda: NGram(vocab=2).fit([0, 2]), r"0..1, got 2"),
        (lambda: NGram().fit([0, -1]), "got -1"),
        (lambda: NGram().token_nats([0]), "fit the model"),
        (lambda: NGram(vocab=2).fit([0, 1]).next_probs([5]), "got 5"),
        (lambda: NGram(vocab=2).fit([0, 1]).nats_per_token([]), "nothing to score"),
        (lambda: NGram(vocab=2).fit([0, 1]).count([0] * 4), "1 to 3 tokens, got 4"),
        (
            lambda: NGram().fit([0]).sample(-1, generator=torch.Generator()),
            "at least 0, got -1",
        ),
    ],
)
def test_bad_input_gives_rule_and_value(call, rule):
    with pytest.raises(ValueError, match=rule):
        call()


@pytest.mark.parametrize("data", ["text", [0.5, 1.0], [[0, 1], ["a"]]])
def test_what_is_no_id_is_refused(data):
    with pytest.raises(TypeError, match="ids"):
        NGram().fit(data)


def test_examples_in_docstrings():
    assert doctest.testmod(ngram).failed == 0
