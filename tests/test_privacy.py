"""Exposure by hand, the accountant against a kept library, the gradient against autograd."""

import math

import numpy as np
import pytest
import torch

from llmcourse.gpt import GPT, GPTConfig
from llmcourse.privacy import ORDERS, epsilon, exposure, poisson_batch, private_gradient, renyi

# (noise, share, steps, delta, epsilon) by opacus 1.6.0's compute_rdp and get_privacy_spent over
# privacy.ORDERS. Its requirements are heavy, so its answers are kept in place of it.
OPACUS = (
    (1.0, 0.01, 1000, 1e-5, 2.107753075451561),
    (0.7, 0.02, 500, 1e-5, 7.664087767817455),
    (4.0, 0.1, 2000, 1e-6, 6.1103494805272724),
    (1.0, 1.0, 10, 1e-5, 19.801691480042894),
    (2.0, 0.004, 10000, 1e-5, 0.8618753227326007),
)


@pytest.mark.parametrize(("noise", "share", "steps", "delta", "known"), OPACUS)
def test_epsilon_is_the_kept_librarys(noise, share, steps, delta, known):
    got = epsilon(noise=noise, share=share, steps=steps, delta=delta, orders=ORDERS)
    assert got == pytest.approx(known, rel=1e-9)


def test_renyi_agrees_with_the_integral_it_stands_for():
    q, s = 0.1, 1.5
    x = np.linspace(-30, 40, 400_001)
    p0 = np.exp(-(x**2) / (2 * s * s)) / (s * math.sqrt(2 * math.pi))
    p1 = np.exp(-((x - 1) ** 2) / (2 * s * s)) / (s * math.sqrt(2 * math.pi))
    for a in (2, 3, 8):
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(p0 > 0, (1 - q) + q * p1 / p0, 0.0)
        moment = np.trapezoid(p0 * ratio**a, x)
        assert renyi(a, s, q) == pytest.approx(math.log(moment) / (a - 1), rel=1e-6)


def test_epsilon_falls_with_noise_and_grows_with_steps_and_share():
    base = epsilon(noise=1.0, share=0.01, steps=100, delta=1e-5)
    assert epsilon(noise=2.0, share=0.01, steps=100, delta=1e-5) < base
    assert epsilon(noise=1.0, share=0.01, steps=400, delta=1e-5) > base
    assert epsilon(noise=1.0, share=0.05, steps=100, delta=1e-5) > base
    assert epsilon(noise=1.0, share=0.01, steps=0, delta=1e-5) == 0


def test_exposure_is_bits_of_rank_and_a_tie_exposes_nothing():
    surprise = np.arange(16.0)
    assert exposure(surprise, 0) == 4
    assert exposure(surprise, 7) == 1
    assert exposure(surprise, 15) == 0
    assert exposure(np.zeros(16), 3) == 0


def test_exposure_of_a_secret_drawn_by_chance_is_one_over_ln2_bits():
    values = np.random.default_rng(0).normal(size=4096)
    mean = np.mean([exposure(values, i) for i in range(4096)])
    assert mean == pytest.approx(1 / math.log(2), abs=0.01)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: exposure([1.0], 1), "candidates, got 1"),
        (lambda: exposure([math.nan], 0), "NaN"),
        (lambda: renyi(1, 1.0, 0.1), "got 1"),
        (lambda: renyi(2, 0.0, 0.1), "got 0.0"),
        (lambda: renyi(2, 1.0, 1.1), "got 1.1"),
        (lambda: epsilon(noise=1.0, share=0.1, steps=1, delta=0.0), "got 0.0"),
        (lambda: epsilon(noise=1.0, share=0.1, steps=-1, delta=0.1), "got -1"),
    ],
)
def test_bad_input_is_named(call, says):
    with pytest.raises(ValueError, match=says):
        call()


@pytest.fixture
def model():
    return GPT(GPTConfig.modern(vocab_size=11, context=8, width=16, heads=2, layers=1), seed=0)


@pytest.fixture
def examples():
    rows = torch.randint(0, 11, (4, 1, 9), generator=torch.Generator().manual_seed(1))
    return [(r[:, :-1], r[:, 1:]) for r in rows]


def gradient(model, examples, clip, noise=0.0, seed=0):
    chance = torch.Generator().manual_seed(seed)
    norms = private_gradient(
        model, examples, clip=clip, noise=noise, expected=4.0, generator=chance
    )
    return norms, torch.cat([p.grad.flatten() for p in model.parameters()])


def test_without_clipping_or_noise_it_is_the_batchs_gradient(model, examples):
    _, got = gradient(model, examples, clip=1e9)
    x, y = (torch.cat(part) for part in zip(*examples, strict=True))
    model.zero_grad()
    model(x, y)[1].backward()
    want = torch.cat([p.grad.flatten() for p in model.parameters()])
    torch.testing.assert_close(got, want, atol=1e-6, rtol=1e-4)


def test_one_example_moves_the_sum_by_no_more_than_the_clip(model, examples):
    clip = 0.01
    norms, got = gradient(model, examples, clip)
    _, fewer = gradient(model, examples[:-1], clip)
    assert min(norms) > clip
    assert float((got - fewer).norm() * 4) <= clip * (1 + 1e-4)


def test_noise_has_the_size_promised_even_with_nobody_in_the_batch(model):
    _, got = gradient(model, [], clip=0.5, noise=2.0)
    assert float(got.std()) == pytest.approx(0.5 * 2.0 / 4.0, rel=0.05)
    assert torch.equal(got, gradient(model, [], clip=0.5, noise=2.0)[1])


def test_poisson_batches_vary_in_size_about_their_mean():
    chance = torch.Generator().manual_seed(0)
    sizes = np.array([len(poisson_batch(200, 0.1, chance)) for _ in range(500)])
    assert sizes.mean() == pytest.approx(20, abs=0.8)
    assert sizes.std() == pytest.approx(math.sqrt(200 * 0.1 * 0.9), rel=0.15)
