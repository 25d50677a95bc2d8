"""Scaling laws recover what they were made from; a sweep's branches are what they say."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import llmcourse
from llmcourse import sweep, tales
from llmcourse.gpt import GPT, GPTConfig, KVCache
from llmcourse.scaling import Law, fit, intervals, kv_cache_bytes, training_bytes

TRUE = Law(E=75.0, A=4e3, B=9e4, alpha=0.6, beta=0.55)
SHIPPED = Path(llmcourse.__file__).parent / "results" / "scaling.json"


def grid(noise=0.0, seed=0):
    N, D = (g.ravel() for g in np.meshgrid(np.geomspace(1e3, 1e6, 8), np.geomspace(1e5, 1e7, 5)))
    return N, D, TRUE.loss(N, D) * np.exp(noise * np.random.default_rng(seed).normal(size=len(N)))


def test_fit_recovers_known_constants():
    law = fit(*grid())
    for name in ("E", "A", "B", "alpha", "beta"):
        assert getattr(law, name) == pytest.approx(getattr(TRUE, name), rel=1e-5)


def test_intervals_hold_the_truth_under_noise():
    N, D, L = grid(noise=0.003, seed=1)
    found = intervals(N, D, L, draws=100)
    assert found["E"][0] < TRUE.E < found["E"][1]
    assert found["alpha"][0] < TRUE.alpha < found["alpha"][1]
    assert found["E"][1] - found["E"][0] < 3


def test_one_bad_run_hardly_moves_the_fit():
    N, D, L = grid()
    L[7] *= 1.5
    assert fit(N, D, L).E == pytest.approx(TRUE.E, rel=2e-3)


def test_optimal_is_on_the_budget_and_no_neighbour_is_better():
    N, D = TRUE.optimal(1e15)
    assert 6 * N * D == pytest.approx(1e15)
    for factor in (0.99, 1.01):
        assert TRUE.loss(N * factor, D / factor) > TRUE.loss(N, D)


def test_fit_refuses_what_has_no_answer():
    with pytest.raises(ValueError, match="at least 5"):
        fit([1, 2], [1, 2], [1, 2])
    with pytest.raises(ValueError, match="above 0"):
        fit([1, 2, 3, 4, 0], [1] * 5, [1] * 5)


def test_cache_arithmetic_is_the_cache_itself():
    config = GPTConfig.modern(vocab_size=7, context=12, width=24, heads=6, kv_heads=2, layers=3)
    cache = KVCache(config, batch=2, dtype=torch.bfloat16)
    counted = kv_cache_bytes(layers=3, kv_heads=2, head_width=4, length=12, batch=2)
    assert counted == cache.keys.nbytes + cache.values.nbytes


def test_training_takes_sixteen_bytes_a_parameter():
    assert sum(training_bytes(10).values()) == 160


def tiny():
    return GPT(GPTConfig.modern(vocab_size=9, context=8, width=8, heads=1, layers=1), seed=0)


def rows(n):
    chance = np.random.default_rng(0)
    return [chance.integers(0, 9, size=chance.integers(3, 8)).tolist() for _ in range(n)]


def test_a_branch_does_not_depend_on_the_others():
    source, config = sweep.once_through(rows(80), 4), sweep.Branched(warmup=2)
    both = {n: m.state_dict() for n, m in sweep.branches(tiny(), source, [10, 20], config)}
    ((_, alone),) = sweep.branches(tiny(), source, [20], config)
    for name, value in alone.state_dict().items():
        assert torch.equal(value, both[20][name])
        if value.ndim == 2:
            assert not torch.equal(value, both[10][name])


def test_every_row_is_read_once_and_short_runs_are_prefixes():
    some = [[i, i] for i in range(200)]
    whole, half = sweep.once_through(some, 4), sweep.once_through(some[:128], 4)
    seen = [int(i) for step in range(50) for i in whole(step)[0][:, 0]]
    assert sorted(seen) == list(range(200))
    assert all(torch.equal(whole(k)[0], half(k)[0]) for k in range(32))


def test_windows_do_not_overlap():
    source = sweep.windows_once(np.arange(100), 2, 10, seed=1)
    seen = torch.cat([source(k)[0].flatten() for k in range(4)])
    assert len(set(seen.tolist())) == len(seen) == 80
    with pytest.raises(IndexError, match="read once"):
        source(9)


def test_lengths_must_rise():
    with pytest.raises(ValueError, match="rise"):
        list(sweep.branches(tiny(), sweep.once_through(rows(80), 4), [9, 9], sweep.Branched()))


@pytest.mark.skipif(not SHIPPED.exists(), reason="the sweep's result is not there")
def test_the_shipped_sweep_is_about_this_language():
    found = json.loads(SHIPPED.read_text())
    assert found["entropy"] == pytest.approx(tales.entropy("en"))
    assert len({p["width"] for p in found["tales"]}) >= 8
    for p in found["tales"]:
        assert sum(p["kinds"].values()) == pytest.approx(p["excess"], rel=1e-6)
        assert p["error"] < p["plain error"]
