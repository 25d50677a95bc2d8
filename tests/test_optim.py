"""Optimisers equal torch's own; schedules and clipping keep their laws."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from llmcourse import optim
from llmcourse.gpt import GPT, GPTConfig


def twins(shapes, seed=0):
    g = torch.Generator().manual_seed(seed)
    values = [torch.randn(s, generator=g) for s in shapes]
    return [[nn.Parameter(v.clone()) for v in values] for _ in range(2)]


def drive(ours, theirs, a, b, steps=20, skip=()):
    g = torch.Generator().manual_seed(1)
    for step in range(steps):
        for i, (p, q) in enumerate(zip(a, b, strict=True)):
            grad = torch.randn(p.shape, generator=g) * 10 ** (i - 1)
            p.grad, q.grad = (None, None) if (step, i) in skip else (grad.clone(), grad.clone())
        ours.step()
        theirs.step()


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("betas", [(0.9, 0.95), (0.0, 0.999)])
def test_adamw_equals_torch(weight_decay, betas):
    a, b = twins([(3, 4), (5,), (2, 2, 2)])
    settings_ = dict(lr=0.01, betas=betas, eps=1e-8, weight_decay=weight_decay)
    drive(optim.AdamW(a, **settings_), torch.optim.AdamW(b, **settings_), a, b)
    torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)


def test_adamw_counts_steps_for_each_parameter():
    a, b = twins([(3, 4), (5,)])
    drive(optim.AdamW(a, lr=0.01), torch.optim.AdamW(b, lr=0.01, betas=(0.9, 0.95),
          weight_decay=0.1), a, b, skip={(0, 1), (1, 1), (5, 0)})  # fmt: skip
    torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("scale", ["original", "match_rms_adamw"])
@pytest.mark.parametrize("nesterov", [True, False])
def test_muon_equals_torch(scale, nesterov):
    a, b = twins([(8, 8), (16, 8), (8, 16), (8, 8)])
    common = dict(lr=0.02, momentum=0.95, nesterov=nesterov, weight_decay=0.1)
    ours = optim.Muon(a, **common, scale=scale, dtype=torch.bfloat16)
    drive(ours, torch.optim.Muon(b, **common, adjust_lr_fn=scale), a, b, steps=10)
    # Torch rounds each matrix to bfloat16 in its own order: eight bits, over ten steps.
    ratio = 0.2 * 4 if scale == "match_rms_adamw" else math.sqrt(2)
    torch.testing.assert_close(a, b, rtol=0, atol=10 * 0.02 * ratio * 2**-6)


def test_newton_schulz_keeps_singular_vectors_and_levels_values():
    g = torch.Generator().manual_seed(0)
    matrices = torch.randn(3, 6, 10, generator=g)
    out = optim.newton_schulz(matrices)
    values = torch.linalg.svdvals(out)
    assert values.min() > 0.5 and values.max() < 1.3
    u, _, vh = torch.linalg.svd(matrices, full_matrices=False)
    rotated = u.mT @ out @ vh.mT  # diagonal where the singular vectors are kept
    off = rotated - torch.diag_embed(rotated.diagonal(dim1=-2, dim2=-1))
    assert off.abs().max() < 1e-4
    torch.testing.assert_close(optim.newton_schulz(matrices.mT), out.mT)


def test_muon_refuses_vectors():
    with pytest.raises(ValueError, match="matrices only"):
        optim.Muon([nn.Parameter(torch.ones(3))])


@pytest.mark.parametrize("bad", [dict(lr=-1.0), dict(lr=math.nan), dict(betas=(1.0, 0.9)),
                                 dict(eps=-1e-8), dict(weight_decay=-0.1)])  # fmt: skip
def test_adamw_says_which_setting_is_wrong(bad):
    with pytest.raises(ValueError, match=r"must|at least"):
        optim.AdamW([nn.Parameter(torch.ones(2))], **bad)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("form", [GPTConfig.modern, GPTConfig.gpt2_form])
def test_groups_hold_every_parameter_once(form, tied):
    # A vocabulary of 4 × width: the MLP's matrix has the head's height and must not pass for it.
    model = GPT(form(vocab_size=128, context=8, width=32, heads=2, layers=1, tied=tied, mlp="gelu"))
    groups = optim.parameter_groups(model)
    found = sorted(id(p) for group in groups.values() for p in group)
    assert found == sorted(id(p) for p in model.parameters())
    names = {id(p): n for n, p in model.named_parameters()}
    hidden = {names[id(p)] for p in groups["hidden"]}
    assert hidden == {n for n, p in model.named_parameters() if "blocks" in n and p.ndim == 2}
    assert all(p.ndim != 2 for p in groups["gain"])
    for kind in ("adamw", "muon"):
        made = optim.optimizers(model, kind, lr=0.1)
        moved = [id(p) for o in made for g in o.param_groups for p in g["params"]]
        assert sorted(moved) == found


def test_gains_are_not_decayed():
    model = GPT(GPTConfig.gpt2_form(vocab_size=16, context=8, width=8, heads=2, layers=1))
    for optimizer in optim.optimizers(model, lr=0.1, weight_decay=0.5):
        for group in optimizer.param_groups:
            for p in group["params"]:
                assert group["weight_decay"] == (0.5 if p.ndim == 2 else 0.0)


@given(steps=st.integers(1, 200), share=st.floats(0, 1), floor=st.floats(0, 1), data=st.data())
@settings(max_examples=100, deadline=None)
def test_schedules_stay_between_floor_and_peak(steps, share, floor, data):
    warmup = int(share * steps)
    step = data.draw(st.integers(0, steps - 1))
    for schedule in (optim.constant, optim.warmup_cosine, optim.wsd):
        value = schedule(step, steps=steps, warmup=warmup, floor=floor)
        assert 0 < value <= 1 or (value == 0 and floor == 0)
        if step < warmup and schedule is not optim.wsd:
            assert value == pytest.approx((step + 1) / warmup)
        elif step >= warmup:
            assert value >= floor - 1e-12


def test_schedules_reach_peak_and_floor():
    cosine = [optim.warmup_cosine(s, steps=100, warmup=10) for s in range(100)]
    assert cosine[0] == 0.1 and cosine[9] == 1.0 and cosine[10] == 1.0
    assert cosine[99] == pytest.approx(0.1)
    assert cosine == cosine[:10] + sorted(cosine[10:], reverse=True)
    stable = [optim.wsd(s, steps=100, warmup=10) for s in range(100)]
    assert stable[9:81] == [1.0] * 72 and stable[99] == pytest.approx(0.05)
    assert optim.wsd(100, steps=100) == 0.0
    # Until the decay begins, the run's length does not matter.
    longer = [optim.wsd(s, steps=500, warmup=10) for s in range(80)]
    assert longer == stable[:80]


def test_schedules_refuse_nonsense():
    for bad in (dict(step=-1, steps=5), dict(step=0, steps=5, warmup=6),
                dict(step=0, steps=5, floor=1.5)):  # fmt: skip
        for schedule in (optim.constant, optim.warmup_cosine, optim.wsd):
            with pytest.raises(ValueError, match="must"):
                schedule(**bad)


@given(st.floats(0.01, 100), st.integers(0, 5))
@settings(max_examples=50, deadline=None)
def test_clipping_equals_torch_and_returns_the_norm_before(limit, seed):
    a, b = twins([(3, 4), (7,)], seed)
    for p, q in zip(a, b, strict=True):
        p.grad, q.grad = p.detach().clone(), q.detach().clone()
    norm = optim.clip_gradients(a, limit)
    expected = nn.utils.clip_grad_norm_(b, limit)
    assert norm == pytest.approx(float(expected), rel=1e-6)
    torch.testing.assert_close([p.grad for p in a], [q.grad for q in b], rtol=1e-5, atol=1e-6)


def test_clipping_measures_without_a_limit_and_leaves_infinities():
    p = nn.Parameter(torch.ones(2))
    assert optim.clip_gradients([p], 1.0) == 0.0  # no gradient yet
    p.grad = torch.tensor([3.0, 4.0])
    assert optim.clip_gradients(iter([p]), None) == 5.0
    assert p.grad.tolist() == [3.0, 4.0]
    p.grad = torch.tensor([math.inf, 1.0])
    assert math.isinf(optim.clip_gradients([p], 1.0)) and p.grad[1] == 1.0
    with pytest.raises(ValueError, match="above 0"):
        optim.clip_gradients([p], 0.0)


@pytest.mark.parametrize("momentum, nesterov", [(0.0, False), (0.9, False), (0.9, True)])
def test_sgd_equals_torch(momentum, nesterov):
    a, b = twins([(3, 4), (5,), (2, 2, 2)])
    common = dict(lr=0.01, momentum=momentum, nesterov=nesterov)
    drive(optim.SGD(a, **common), torch.optim.SGD(b, **common), a, b, skip={(0, 1), (5, 0)})
    torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("bad", [dict(lr=-1.0), dict(momentum=1.0), dict(nesterov=True)])
def test_sgd_says_which_setting_is_wrong(bad):
    with pytest.raises(ValueError, match=r"must|needs"):
        optim.SGD([nn.Parameter(torch.ones(2))], **bad)
