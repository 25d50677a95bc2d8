"""The race: learning rates are searched for honestly, and time is what its result says."""

import json
import math

import pytest

race = pytest.importorskip("benchmarks.race", reason="benchmarks/ is not beside tests/")


def test_a_grid_grows_until_its_best_is_inside():
    tried = race.tune((0.1, 0.3), lambda lr: abs(math.log10(lr) - 1))
    assert race.best_of(tried) == pytest.approx(9, rel=0.1)
    assert min(tried) < race.best_of(tried) < max(tried)
    assert list(tried) == sorted(tried)


def test_a_run_that_blew_up_is_not_the_best():
    tried = race.tune((0.1, 0.3, 1.0), lambda lr: math.nan if lr > 0.2 else 1 / lr)
    assert race.best_of(tried) == 0.1


def test_every_optimiser_moves_every_parameter():
    s = race.Settings(width=16, heads=2, layers=1)
    for name in race.GRID:
        model = race.build(s, 32, 8, seed=0)
        moved = [
            id(p) for o in race.optimizers(s, name, model, 0.1)
            for g in o.param_groups for p in g["params"]
        ]  # fmt: skip
        assert sorted(moved) == sorted(id(p) for p in model.parameters()), name


def test_the_shipped_result_gives_each_the_same_time():
    if not race.RESULT.exists():
        pytest.skip("no result of the race is shipped")
    result = json.loads(race.RESULT.read_text())
    for out in result["tasks"].values():
        budget = result["settings"]["sgd_steps"] * out["cost"]["SGD"]
        for name, curves in out["curves"].items():
            assert len(curves) == result["settings"]["seeds"]
            assert out["steps"][name] * out["cost"][name] == pytest.approx(budget, rel=0.01)
            assert out["lr"][name] == race.best_of(dict(out["grid"][name]))
            assert all(curve[-1][0] == out["steps"][name] for curve in curves)
