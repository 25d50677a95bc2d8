"""Scores of unnamed states equal a search over all namings, and scikit-learn's."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import v_measure_score

from llmcourse import tagging

rows = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=40)


def table_of(pairs, states=4, tags=3):
    found, true = zip(*pairs, strict=True)
    return tagging.confusion(found, true, states=states, tags=tags)


def right(table, mapping):
    return sum(table[j, g] for j, g in enumerate(mapping) if g >= 0)


@settings(max_examples=30, deadline=None)
@given(pairs=rows)
def test_mappings_are_the_best_of_all(pairs):
    table = table_of(pairs)
    every = itertools.product(range(3), repeat=4)
    assert right(table, tagging.many_to_one(table)) == max(right(table, m) for m in every)
    apart = itertools.permutations([0, 1, 2, -1])
    assert right(table, tagging.one_to_one(table)) == max(right(table, m) for m in apart)
    used = [g for g in tagging.one_to_one(table) if g >= 0]
    assert len(used) == len(set(used))


@settings(max_examples=30, deadline=None)
@given(pairs=rows)
def test_v_measure_equals_scikit_learns_and_ignores_names(pairs):
    found, true = zip(*pairs, strict=True)
    assert tagging.v_measure(table_of(pairs)) == pytest.approx(v_measure_score(true, found))
    renamed = [((f + 1) % 4, g) for f, g in pairs]
    assert tagging.v_measure(table_of(renamed)) == pytest.approx(tagging.v_measure(table_of(pairs)))


def test_a_perfect_clustering_scores_one_by_every_measure():
    true = np.array([0, 1, 2, 0, 1])
    table = tagging.confusion((true + 1) % 3, true, states=3, tags=3)
    assert tagging.v_measure(table) == pytest.approx(1)
    for mapping in (tagging.many_to_one(table), tagging.one_to_one(table)):
        assert right(table, mapping) == 5
    assert tagging.v_measure(np.array([[7]])) == 1.0


def test_more_states_flatter_many_to_one_alone():
    true = np.array([0, 1] * 10)
    table = tagging.confusion(np.arange(20), true, states=20, tags=2)  # a state a token
    assert right(table, tagging.many_to_one(table)) == 20
    assert right(table, tagging.one_to_one(table)) == 2


def test_bad_input_gives_rule_and_value():
    with pytest.raises(ValueError, match="one state a tag, got 1 and 2"):
        tagging.confusion([0], [0, 1], states=1, tags=2)
    with pytest.raises(ValueError, match="got 0 and 0"):
        tagging.confusion([], [], states=1, tags=1)
    with pytest.raises(ValueError, match="at most 20 tags can be matched, got 21"):
        tagging.one_to_one(np.ones((2, 21), dtype=np.int64))
