"""Laws of entropy and its kin."""

import doctest
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcourse import metrics
from llmcourse.metrics import bits, bits_per_byte, cross_entropy, entropy, kl, perplexity


@st.composite
def pair(draw):
    n = draw(st.integers(1, 8))
    weights = st.lists(st.floats(1e-6, 1.0), min_size=n, max_size=n)
    p, q = np.array(draw(weights)), np.array(draw(weights))
    return p / p.sum(), q / q.sum()


@settings(max_examples=50, deadline=None)
@given(pair())
def test_cross_entropy_is_entropy_plus_divergence(distributions):
    p, q = distributions
    assert cross_entropy(p, q) == pytest.approx(entropy(p) + kl(p, q), abs=1e-12)
    assert 0 <= entropy(p) <= math.log(len(p)) + 1e-12
    assert kl(p, q) >= 0
    assert kl(p, p) == 0


@settings(max_examples=30, deadline=None)
@given(pair(), pair())
def test_entropy_of_independent_pairs_adds(a, b):
    joint = np.outer(a[0], b[0]).ravel()
    assert entropy(joint) == pytest.approx(entropy(a[0]) + entropy(b[0]), abs=1e-12)


def test_numpy_and_torch_agree_over_the_last_axis():
    logits = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0))
    p, q = logits.softmax(-1), logits.flip(0).softmax(-1)
    for f in (lambda a, b: entropy(a), cross_entropy, kl):
        got = f(p, q)
        assert isinstance(got, torch.Tensor) and got.shape == (2, 3)
        np.testing.assert_allclose(got.numpy(), f(p.numpy(), q.numpy()))
    reference = torch.distributions.Categorical(probs=p.double())
    torch.testing.assert_close(entropy(p), reference.entropy(), atol=1e-6, rtol=0)


def test_known_values():
    assert bits(entropy([0.5, 0.25, 0.25])) == 1.5
    assert entropy([1.0, 0.0]) == 0  # 0 log 0 = 0
    assert cross_entropy([0.5, 0.5], [1.0, 0.0]) == math.inf
    assert perplexity(entropy([0.1] * 10)) == pytest.approx(10)
    assert perplexity(1e9) == math.inf and perplexity(math.inf) == math.inf
    assert bits_per_byte(16 * math.log(2), 8) == pytest.approx(2)
    assert isinstance(entropy([0.5, 0.5]), float)


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda: entropy([0.5, 0.6]), "sum to 1"),
        (lambda: entropy([1.5, -0.5]), "non-negative"),
        (lambda: entropy([math.nan, 1.0]), "non-negative"),
        (lambda: entropy([]), "at least one outcome"),
        (lambda: kl([1.0], [0.5, 0.5]), "same outcomes, got 1 and 2"),
        (lambda: perplexity(-1.0), "got -1.0"),
        (lambda: perplexity(math.nan), "got nan"),
        (lambda: bits_per_byte(1.0, 0), "at least one byte"),
        (lambda: bits_per_byte(-1.0, 1), "got -1.0"),
    ],
)
def test_bad_input_gives_rule_and_value(call, rule):
    with pytest.raises(ValueError, match=rule):
        call()


def test_examples_in_docstrings():
    assert doctest.testmod(metrics).failed == 0
