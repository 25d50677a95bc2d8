"""Laws of word vectors: counts by hand, equal to autograd, the theorem that ties the methods."""

import doctest
import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcourse import vectors as vec

V = 5
texts = st.lists(st.lists(st.integers(0, V - 1), max_size=9), min_size=1, max_size=3)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_examples_hold():
    assert doctest.testmod(vec).failed == 0


@given(texts, st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_counts_equal_a_double_loop(lists, window):
    want = torch.zeros(V, V, dtype=torch.float64)
    for ids in lists:
        for i, j in itertools.permutations(range(len(ids)), 2):
            want[ids[i], ids[j]] += abs(i - j) <= window
    assert torch.equal(vec.cooccurrences(lists, V, window), want)


@given(st.lists(st.integers(0, V - 1), min_size=1, max_size=12))
@settings(max_examples=30, deadline=None)
def test_the_gradient_of_a_lookup_is_autograds(ids):
    ids = torch.tensor(ids)
    E = normal(V, 3).requires_grad_()
    upstream = normal(len(ids), 3, seed=1)
    (E[ids] * upstream).sum().backward()
    torch.testing.assert_close(vec.gradient_of_rows(ids, upstream, V), E.grad)


def test_pmi_is_zero_where_words_and_contexts_are_independent():
    counts = torch.outer(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([4.0, 1.0]))
    torch.testing.assert_close(vec.pmi(counts), torch.zeros(3, 2), atol=1e-6, rtol=0)


def test_pmi_by_hand_and_where_nothing_was_counted():
    got = vec.pmi(torch.tensor([[3.0, 0.0, 1.0], [1.0, 0.0, 3.0], [0.0, 0.0, 0.0]]))
    assert got[0, 0].item() == pytest.approx(math.log((3 / 8) / (0.5 * 0.5)))
    assert bool((got[2] == -math.inf).all()) and bool((got[:, 1] == -math.inf).all())


def test_a_power_below_one_takes_from_rare_contexts():
    counts = torch.tensor([[100.0, 1.0], [100.0, 2.0]])
    gain = vec.pmi(counts, power=0.75) - vec.pmi(counts)
    assert bool((gain[:, 0] > 0).all()) and bool((gain[:, 1] < 0).all())


def test_factorising_at_full_width_keeps_all_dot_products_of_rows():
    matrix = normal(6, 6).double()
    rows = vec.factorise(matrix, 6, power=1.0)
    torch.testing.assert_close(rows @ rows.T, matrix @ matrix.T)


def test_the_minimum_of_the_skipgram_objective_is_the_shifted_pmi():
    # Levy and Goldberg (2014): with room enough, w · c = PMI − log k, pair by pair.
    counts = vec.cooccurrences([[0, 1, 2, 0, 1, 3, 2, 1, 0, 3, 1, 2, 0, 2, 3]], 4, window=3)
    p = (counts / counts.sum()).float()
    k, noise = 3, p.sum(1)[:, None] * p.sum(0)
    x = torch.zeros(4, 4, requires_grad=True)
    newton = torch.optim.LBFGS([x], lr=1.0, max_iter=200, line_search_fn="strong_wolfe")

    def loss():
        newton.zero_grad()
        value = -(p * F.logsigmoid(x) + k * noise * F.logsigmoid(-x)).sum()
        value.backward()
        return value

    newton.step(loss)
    seen = counts > 0
    want = vec.pmi(counts).float() - math.log(k)
    torch.testing.assert_close(x.detach()[seen], want[seen], atol=2e-2, rtol=0)


def test_skipgram_by_sampling_comes_near_the_shifted_pmi():
    counts = 10.0 + vec.cooccurrences([[0, 1, 2, 3] * 30 + [2, 2, 0, 0] * 10], 4, window=2)
    words, contexts = vec.skipgram(
        counts, 4, negatives=2, power=1.0, steps=1500, batch=256, lr=0.05
    )
    want = vec.pmi(counts).float() - math.log(2)
    assert (words @ contexts.T - want).abs().mean() < 0.1


def test_skipgram_depends_on_its_seed_alone():
    counts = vec.cooccurrences([[0, 1, 2, 0, 1, 2]], 3, window=1)
    state = torch.get_rng_state()
    runs = [vec.skipgram(counts, 2, steps=5, batch=8, seed=s)[0] for s in (0, 0, 1)]
    assert torch.equal(runs[0], runs[1]) and not torch.equal(runs[0], runs[2])
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("measure", ["cosine", "dot", "distance"])
def test_nearest_is_the_sorted_score(measure):
    E = normal(9, 4)
    got = vec.nearest(E[:2], E, 9, measure=measure)
    for q, row in enumerate(got):
        score = {
            "cosine": F.cosine_similarity(E, E[q][None]),
            "dot": E @ E[q],
            "distance": -(E - E[q]).norm(dim=1),
        }[measure]
        assert bool((score[row].diff() <= 1e-6).all())
    left = vec.nearest(E[:2], E, 8, measure=measure, exclude=torch.tensor([[0], [1]]))
    assert 0 not in left[0] and 1 not in left[1]


def test_cosine_knows_no_length_and_a_zero_row_is_near_nothing():
    E = normal(4, 3)
    torch.testing.assert_close(vec.cosines(E, E), vec.cosines(7 * E, 0.1 * E))
    assert bool((vec.cosines(torch.zeros(1, 3), E) == 0).all())


def test_an_analogy_that_holds_exactly():
    base = normal(3, 8)
    shift = normal(1, 8, seed=1)
    E = F.normalize(torch.cat([base, base + shift]), dim=-1)
    E = torch.cat([E, E[1:2] + (E[3:4] - E[0:1])])  # row 6 answers 0 : 3 :: 1 : ?
    question = torch.tensor([[0, 3, 1]])
    assert vec.analogy(E, question).tolist() == [6]


def test_purity_is_one_for_separate_clusters_and_low_for_shuffled_names():
    E = torch.eye(3).repeat_interleave(6, 0) + 0.01 * normal(18, 3)
    classes = torch.arange(3).repeat_interleave(6)
    assert vec.purity(E, classes, 3).mean() == 1
    shuffled = classes[torch.randperm(18, generator=torch.Generator().manual_seed(0))]
    assert vec.purity(E, shuffled, 3).mean() < 0.7


def test_spreading_out_removes_the_mean_and_the_strongest_direction():
    E = normal(50, 4) + 5.0
    assert vec.spread_out(E).mean(0).abs().max() < 1e-5
    before = torch.linalg.svdvals(E - E.mean(0))
    after = torch.linalg.svdvals(vec.spread_out(E, 1))
    torch.testing.assert_close(after[:3], before[1:], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: vec.cooccurrences([[0, 1]], 2, window=0), "window must be at least 1"),
        (lambda: vec.cooccurrences([[0, 2]], 2), r"ids must be in 0\.\.1"),
        (lambda: vec.gradient_of_rows(torch.tensor([3]), torch.ones(1, 2), 3), r"0\.\.2"),
        (lambda: vec.pmi(torch.zeros(2, 2)), "not all 0"),
        (lambda: vec.pmi(torch.tensor([[1.0, -1.0]])), "at least 0"),
        (lambda: vec.factorise(torch.eye(3), 4), r"width must be in 1\.\.3"),
        (lambda: vec.factorise(torch.full((2, 2), -math.inf), 1), "finite"),
        (lambda: vec.skipgram(torch.ones(2, 2), 0), "width must be at least 1"),
        (lambda: vec.skipgram(torch.zeros(2, 2), 2), "not all 0"),
        (lambda: vec.nearest(torch.ones(1, 2), torch.ones(3, 2), 4), r"k must be in 1\.\.3"),
        (lambda: vec.nearest(torch.ones(1, 2), torch.ones(3, 2), 1, measure="l1"), "'l1'"),
        (lambda: vec.spread_out(torch.ones(3, 2), 2), r"directions must be in 0\.\.1"),
    ],
)
def test_bad_input_names_rule_and_value(call, message):
    with pytest.raises(ValueError, match=message):
        call()
