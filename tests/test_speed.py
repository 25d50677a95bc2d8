"""Laws of the bench: turns, untimed garbage, ratios and goals, by a clock that we move."""

import gc

import pytest

from benchmarks.speed import harness
from benchmarks.speed.harness import Row, compare, medians, seconds


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def work(self, *spent):
        """A unit that takes these times in turn, again and again."""
        calls = 0

        def unit():
            nonlocal calls
            self.now += spent[calls % len(spent)]
            calls += 1

        return unit


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(harness.time, "perf_counter", clock)
    return clock


def row(**changed):
    return Row(**dict(work="w", peer="p", ratio=2.0, goal=2.0) | changed)


def test_ratio_is_of_medians_and_above_one_where_we_are_faster(clock):
    found = compare("w", "p", clock.work(1.0), clock.work(3.0), goal=2.0, rounds=3)
    assert found.ratio == pytest.approx(3.0)
    assert found.met and found.noise == pytest.approx(0.0)
    assert found.note == "1000.0 ms, theirs 3000.0 ms"


def test_one_slow_round_moves_no_median(clock):
    # Five calls: the first warms up and is not counted.
    found = medians({"a": clock.work(9.0, 1.0, 1.0, 50.0, 1.0)}, rounds=4)
    assert found["a"] == pytest.approx(1.0)


def test_cases_take_turns_and_change_places():
    order = []
    medians({name: lambda name=name: order.append(name) for name in "ab"}, rounds=3)
    assert order == ["b", "a", "a", "b", "b", "a", "a", "b"]


def test_noise_is_our_own_code_against_itself(clock):
    # Ours is called twice a round, as "ours" and as "again": 1 s and 2 s.
    slow = iter([1.0, 2.0, 1.0, 2.0, 2.0, 1.0] * 9)
    unit = lambda: setattr(clock, "now", clock.now + next(slow))  # noqa: E731
    assert compare("w", "p", unit, clock.work(1.0), goal=None, rounds=2).noise > 0.1


def test_freeing_what_a_unit_made_is_not_timed(clock):
    class Costly:
        def __del__(self):
            clock.now += 100.0

    def unit():
        clock.now += 1.0
        return Costly()

    assert seconds(unit) == pytest.approx(1.0)
    assert clock.now == pytest.approx(101.0)


def test_garbage_of_others_is_collected_before_the_clock_starts(clock):
    class Ring:
        def __init__(self):
            self.me = self

        def __del__(self):
            clock.now += 100.0

    def leaves_a_ring():
        Ring()

    was = gc.isenabled()
    gc.disable()
    try:
        assert seconds(leaves_a_ring) == pytest.approx(0.0)
        assert seconds(clock.work(1.0)) == pytest.approx(1.0)
        assert clock.now >= 101.0
    finally:
        if was:
            gc.enable()


@pytest.mark.parametrize(
    "changed, met",
    [
        ({}, True),
        ({"ratio": 1.99}, False),
        ({"goal": None}, None),
        ({"ratio": 1.8, "goal": 1.85, "lower": True}, True),
        ({"ratio": 1.9, "goal": 1.85, "lower": True}, False),
    ],
)
def test_goals(changed, met):
    assert row(**changed).met is met
    assert row(**changed).to_json()["met"] is met


def test_the_machine_has_a_name_and_limits():
    assert "cores" in harness.machine()
    assert harness.matmul_rate(64, rounds=2) > 0
    assert harness.read_rate(1, rounds=2) > 0
    assert harness.dispatch_cost(100) > 0
