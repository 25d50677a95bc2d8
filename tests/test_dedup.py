"""Near duplicates: every estimate is held against the exact value."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcourse import dedup

texts = st.lists(st.sampled_from("a b c d e f".split()), min_size=1, max_size=12).map(" ".join)


@settings(max_examples=50, deadline=None)
@given(texts, texts)
def test_jaccard_is_symmetric_and_one_for_the_same(a, b):
    a, b = dedup.shingles(a), dedup.shingles(b)
    assert dedup.jaccard(a, b) == dedup.jaccard(b, a)
    assert dedup.jaccard(a, a) == 1
    assert 0 <= dedup.jaccard(a, b) <= 1


def test_shingles_are_runs_of_words():
    assert dedup.shingles("The cat  sat\non", 2) == {"the cat", "cat sat", "sat on"}
    assert dedup.shingles("short", 3) == {"short"}
    assert dedup.shingles(" ") == set()
    with pytest.raises(ValueError, match="at least 1 word, got 0"):
        dedup.shingles("a", 0)


@pytest.mark.parametrize("shared", [5, 20, 60, 95])
def test_minhash_is_unbiased_with_the_variance_of_a_coin(shared):
    # |A ∪ B| = 100, so the similarity is shared / 100.
    a = {str(i) for i in range(50 + shared // 2)}
    b = {str(i) for i in range(50 + shared // 2 - shared, 100)}
    exact = dedup.jaccard(a, b)
    rows = dedup.signatures([a, b], hashes=64 * 300, seed=1)
    tries = (rows[0] == rows[1]).reshape(300, 64).mean(axis=1)
    deviation = np.sqrt(exact * (1 - exact) / 64)
    assert abs(tries.mean() - exact) < 4 * deviation / np.sqrt(300)
    assert tries.std() == pytest.approx(deviation, rel=0.2)


def test_signatures_depend_on_the_set_alone():
    sets = [{"x", "y", "z"}, ["z", "y", "x", "x"], {"q"}]
    rows = dedup.signatures(sets, hashes=16)
    assert dedup.estimate(rows[0], rows[1]) == 1
    assert dedup.estimate(rows[0], rows[2]) == 0
    assert (rows == dedup.signatures(sets, hashes=16)).all()
    assert not (rows == dedup.signatures(sets, hashes=16, seed=1)).any()


def test_candidates_equal_the_definition():
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 3, size=(40, 12), dtype=np.uint64)
    bands = rows.reshape(40, 4, 3)
    want = {
        (i, j)
        for i in range(40)
        for j in range(i + 1, 40)
        if (bands[i] == bands[j]).all(axis=1).any()
    }
    assert dedup.candidates(rows, bands=4, per_band=3) == want


def test_the_s_curve_is_met():
    base = [str(i) for i in range(80)]
    similar = 60 / 100  # 60 shared, 20 of each alone
    other = base[:60] + [f"x{i}" for i in range(20)]
    assert dedup.jaccard(base, other) == similar
    rows = dedup.signatures([base, other], hashes=12 * 1000, seed=3)
    agree = (rows[0] == rows[1]).reshape(1000, 4, 3).all(axis=2).any(axis=1)
    predicted = dedup.s_curve(similar, bands=4, per_band=3)
    assert agree.mean() == pytest.approx(predicted, abs=4 * np.sqrt(0.25 / 1000))


def test_bad_inputs_are_named():
    with pytest.raises(ValueError, match="set 1 is empty"):
        dedup.signatures([{"a"}, set()])
    with pytest.raises(ValueError, match="at least 1 hash function, got 0"):
        dedup.signatures([{"a"}], hashes=0)
    rows = dedup.signatures([{"a"}, {"b"}], hashes=8)
    with pytest.raises(ValueError, match="at most 8, got 3 and 3"):
        dedup.candidates(rows, bands=3, per_band=3)
