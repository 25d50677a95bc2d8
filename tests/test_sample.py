"""Laws of sampling: filters by brute force, texts by enumeration, drafts by chi-square."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcourse import sample as S
from llmcourse.gpt import GPT, GPTConfig
from llmcourse.rnn import LSTM, RNNConfig

INF = float("inf")
logit_lists = st.lists(st.integers(-6, 6).map(lambda n: n / 2), min_size=1, max_size=9)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def toy(seed=0, vocab_size=5, context=16, sharp=12.0):
    """A model whose distributions are far from uniform."""
    config = GPTConfig.modern(
        vocab_size=vocab_size, context=context, width=16, heads=2, layers=1, zero_outputs=False
    )
    model = GPT(config, seed=seed)
    with torch.no_grad():
        model.embed.weight.mul_(sharp)
    return model


def next_probs(model, ids, choice):
    with torch.no_grad():
        return choice.probabilities(model(torch.tensor([ids]))[0][0, -1], ids).double()


def all_texts(model, prompt, n, choice, stop=()):
    """Every text of at most n tokens with its probability, by enumeration."""
    texts = {}

    def grow(new, p):
        if len(new) == n or (new and new[-1] in stop):
            texts[tuple(new)] = p
            return
        for token, q in enumerate(next_probs(model, [*prompt, *new], choice).tolist()):
            if q > 0:
                grow([*new, token], p * q)

    grow([], 1.0)
    return texts


def chi_square_p(counts, probabilities):
    """p-value of Pearson's test; outcomes expected fewer than 5 times are pooled."""
    n = sum(counts.values())
    assert set(counts) <= set(probabilities), "drew what has probability zero"
    pairs = [(counts.get(x, 0), n * p) for x, p in probabilities.items()]
    big = [pair for pair in pairs if pair[1] >= 5]
    rest = [pair for pair in pairs if pair[1] < 5]
    if rest:
        big.append((sum(c for c, _ in rest), sum(e for _, e in rest)))
    statistic = sum((c - e) ** 2 / e for c, e in big)
    half = torch.tensor([(len(big) - 1) / 2, statistic / 2], dtype=torch.float64)
    return float(torch.special.gammaincc(half[0], half[1]))


def tally(texts):
    counts = {}
    for text in texts:
        counts[tuple(text)] = counts.get(tuple(text), 0) + 1
    return counts


# Filters


def ranked(logits):
    return sorted(range(len(logits)), key=lambda i: (-logits[i], i))


@settings(max_examples=60, deadline=None)
@given(logits=logit_lists, k=st.integers(1, 10))
def test_top_k_keeps_the_first_k_of_the_ranking(logits, k):
    kept = S.top_k(torch.tensor(logits), k).isfinite().nonzero().flatten().tolist()
    assert set(kept) == set(ranked(logits)[:k])


@settings(max_examples=60, deadline=None)
@given(logits=logit_lists, p=st.integers(0, 19).map(lambda n: n / 20 + 0.013))
def test_top_p_keeps_the_fewest_that_reach_p(logits, p):
    x = torch.tensor(logits, dtype=torch.float64)
    probs, order = x.softmax(-1).tolist(), ranked(logits)
    n, mass = 0, 0.0
    while mass < p and n < len(order):
        mass, n = mass + probs[order[n]], n + 1
    kept = S.top_p(x, p).isfinite().nonzero().flatten().tolist()
    assert set(kept) == set(order[:n])


@settings(max_examples=60, deadline=None)
@given(logits=logit_lists, p=st.floats(0.011, 0.99))
def test_min_p_is_a_share_of_the_peak(logits, p):
    probs = torch.tensor(logits, dtype=torch.float64).softmax(-1)
    got = S.min_p(torch.tensor(logits, dtype=torch.float64), p).isfinite()
    sure = (probs / probs.max() - p).abs() > 1e-9
    assert torch.equal(got[sure], (probs >= p * probs.max())[sure])


@settings(max_examples=40, deadline=None)
@given(
    logits=st.lists(st.floats(-8, 8), min_size=2, max_size=9, unique=True),
    t=st.sampled_from([0.1, 0.7, 1.0, 3.0]),
    k=st.one_of(st.none(), st.integers(1, 9)),
    p=st.one_of(st.none(), st.floats(0.05, 1.0)),
    m=st.one_of(st.none(), st.floats(0.0, 0.9)),
)
def test_filters_compose_and_never_empty_a_distribution(logits, t, k, p, m):
    x = torch.tensor(logits)
    q = S.Sampling(temperature=t, top_k=k, top_p=p, min_p=m).probabilities(x)
    assert float(q.sum()) == pytest.approx(1, abs=1e-5)
    assert q[S.greedy(x)] == q.max() > 0
    kept = q > 0
    torch.testing.assert_close(q[kept], (x[kept] / t).softmax(-1), atol=1e-5, rtol=1e-4)


def test_filters_equal_hugging_face():
    lp = pytest.importorskip("transformers").generation.logits_process
    logits = torch.randn(1, 50, generator=seeded()) * 3
    ids = torch.tensor([[3, 7, 3]])
    pairs = [
        (S.top_k(logits, 7), lp.TopKLogitsWarper(7)),
        (S.top_p(logits, 0.8), lp.TopPLogitsWarper(0.8)),
        (S.min_p(logits, 0.1), lp.MinPLogitsWarper(0.1)),
        (
            S.repetition_penalty(logits[0], [3, 7, 3], 1.7)[None],
            lp.RepetitionPenaltyLogitsProcessor(1.7),
        ),
    ]
    for ours, theirs in pairs:
        torch.testing.assert_close(ours, theirs(ids, logits.clone()))


def test_ties_and_extremes():
    flat = torch.zeros(4)
    assert int(S.greedy(flat)) == 0
    assert S.top_k(flat, 2).tolist() == [0, 0, -INF, -INF]
    assert S.top_p(flat, 0.5).tolist() == [0, 0, -INF, -INF]
    assert S.top_p(flat, 1e-9).tolist() == [0, -INF, -INF, -INF]
    assert S.min_p(flat, 1.0).tolist() == [0, 0, 0, 0]
    assert S.top_k(flat, 99) is flat and S.top_p(flat, 1) is flat
    x = torch.tensor([1.0, 9.0, 9.0])
    assert S.temperature(x, 0).softmax(-1).tolist() == [0, 1, 0]
    assert S.temperature(x * 1e30, 1e-30).softmax(-1).tolist() == [0, 0.5, 0.5]
    masked = torch.tensor([-INF, 2.0, 1.0])
    assert S.top_k(masked, 3).tolist() == masked.tolist()
    assert S.Sampling(temperature=0.5, top_p=0.9).probabilities(masked)[0] == 0


def test_the_penalty_depends_on_a_constant_that_the_softmax_ignores():
    x = torch.tensor([2.0, 1.0])
    one = S.repetition_penalty(x, [0], 2.0).softmax(-1)
    two = S.repetition_penalty(x - 5, [0], 2.0).softmax(-1)
    assert not torch.allclose(one, two)


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (dict(temperature=-0.1), ["temperature", "at least 0", "-0.1"]),
        (dict(temperature=math.nan), ["temperature", "nan"]),
        (dict(temperature=INF), ["temperature", "inf"]),
        (dict(top_k=0), ["top_k", "at least 1", "0"]),
        (dict(top_p=0.0), ["top_p", "0.0"]),
        (dict(top_p=1.2), ["top_p", "1.2"]),
        (dict(min_p=-0.2), ["min_p", "-0.2"]),
        (dict(min_p=1.5), ["min_p", "1.5"]),
        (dict(repetition=0.0), ["repetition", "0.0"]),
    ],
)
def test_nonsense_is_a_value_error_with_rule_and_value(choice, words):
    with pytest.raises(ValueError) as error:
        S.Sampling(**choice)
    with pytest.raises(ValueError):
        S.stream(toy(), [1], max_new=1, generator=0, **choice)  # before the first token
    assert all(word in str(error.value) for word in words)


def test_draw_follows_the_softmax():
    logits = torch.tensor([0.0, 1.0, -INF, 2.0]).expand(20_000, 4)
    counts = S.draw(logits, seeded()).bincount(minlength=4)
    p = torch.tensor([0.0, 1.0, -INF, 2.0]).softmax(-1)
    kept = {(i,): float(p[i]) for i in (0, 1, 3)}
    assert counts[2] == 0
    assert chi_square_p({(i,): int(counts[i]) for i in (0, 1, 3)}, kept) > 1e-3
    with pytest.raises(ValueError, match="no token"):
        S.draw(torch.full((3,), -INF), seeded())


# Loops


def test_generate_is_seeded_streamed_and_stops():
    model = toy()
    one = S.generate(model, [1, 2], max_new=9, generator=7)
    assert one == S.generate(model, torch.tensor([1, 2]), max_new=9, generator=seeded(7))
    assert one == list(S.stream(model, [1, 2], max_new=9, generator=7))
    assert any(one != S.generate(model, [1, 2], max_new=9, generator=s) for s in range(5))
    stopped = S.generate(model, [1, 2], max_new=9, generator=7, stop={one[3]})
    assert stopped == one[: one.index(one[3]) + 1]
    assert S.generate(model, [1], max_new=0, generator=0) == []
    state = torch.random.get_rng_state()
    S.generate(model, [1], max_new=3, generator=0)
    assert torch.equal(state, torch.random.get_rng_state())


def test_greedy_takes_the_most_probable_each_time():
    model, ids = toy(), [1, 2]
    for _ in range(8):
        with torch.no_grad():
            ids.append(int(model(torch.tensor([ids]))[0][0, -1].argmax()))
    assert S.generate(model, [1, 2], max_new=8, temperature=0) == ids[2:]
    assert S.generate(model, [1, 2], max_new=8, top_k=1, generator=0) == ids[2:]


CHOICES = [
    dict(),
    dict(temperature=0.6, top_k=3),
    dict(top_p=0.8),
    dict(min_p=0.2, repetition=1.5),
]


@pytest.mark.parametrize("options", CHOICES, ids=str)
@pytest.mark.parametrize("how", ["one", "many"])
def test_texts_have_the_probability_that_enumeration_gives(options, how):
    model, prompt, n = toy(), [1, 2], 3
    truth = all_texts(model, prompt, n, S.Sampling(**options), stop={4})
    g = seeded(5)
    if how == "one":
        texts = [
            S.generate(model, prompt, max_new=n, generator=g, stop={4}, **options)
            for _ in range(400)
        ]
    else:
        options = options | dict(max_new=n, generator=g, stop={4})
        texts = S.generate_many(model, [prompt] * 3000, **options)
    assert chi_square_p(tally(texts), truth) > 1e-3


def test_many_prompts_of_many_lengths_are_each_continued_as_alone():
    size = dict(vocab_size=5, context=16, width=16, heads=2, layers=1)
    for model in (toy(), GPT(GPTConfig.gpt2_form(**size))):
        prompts = [[1], [2, 3, 4], [0, 1, 2, 3, 4, 0], [3, 3]]
        together = S.generate_many(model, prompts, max_new=7, temperature=0, stop={0})
        alone = [S.generate(model, p, max_new=7, temperature=0, stop={0}) for p in prompts]
        assert together == alone
    assert S.generate_many(toy(), [], max_new=3, generator=0) == []


def test_an_lstm_is_sampled_by_the_same_loop():
    model = LSTM(RNNConfig(vocab_size=5, width=8, layers=1)).eval()
    new = S.generate(model, [1, 2], max_new=6, generator=0)
    assert len(new) == 6
    assert S.generate_many(model, [[1, 2]], max_new=6, temperature=0)[0] == S.generate(
        model, [1, 2], max_new=6, temperature=0
    )
    assert S.beam(model, [1], width=2, max_new=3)[0].ids


def test_too_long_is_an_error_that_gives_both_lengths_and_window_lifts_it():
    model = toy(context=8)
    with pytest.raises(ValueError, match=r"prompt of 5 .* max_new 5 .* 9, longer .* 8"):
        S.stream(model, [1, 2, 3, 4, 0], max_new=5, generator=0)
    assert len(S.generate(model, [1, 2, 3, 4, 0], max_new=4, generator=0)) == 4
    long = S.generate(model, [1, 2, 3, 4, 0] * 3, max_new=30, generator=0, window=True)
    assert len(long) == 30
    # The first token sees the newest 8 of the prompt.
    with torch.no_grad():
        expected = int(model(torch.tensor([([1, 2, 3, 4, 0] * 3)[-8:]]))[0][0, -1].argmax())
    first = S.generate(model, [1, 2, 3, 4, 0] * 3, max_new=1, temperature=0, window=True)
    assert first == [expected]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda m: S.generate(m, [], max_new=1, generator=0), ["at least one id"]),
        (lambda m: S.generate(m, [1], max_new=-1, generator=0), ["max_new", "-1"]),
        (lambda m: S.generate(m, [1], max_new=1), ["generator"]),
        (lambda m: S.generate(m, [1], max_new=1, temperature=0, allowed=lambda _: []), ["allowed"]),
        (lambda m: S.beam(m, [1], width=0, max_new=1), ["width", "0"]),
        (lambda m: S.beam(m, [1], width=1, max_new=1, length_power=-1), ["length_power", "-1"]),
        (
            lambda m: S.speculative(m, m, [1], max_new=1, lookahead=0, generator=0),
            ["lookahead", "0"],
        ),
        (
            lambda m: S.speculative(m, toy(vocab_size=6), [1], max_new=1, generator=0),
            ["5", "6"],
        ),
    ],
)
def test_errors_give_rule_and_value(call, words):
    with pytest.raises(ValueError) as error:
        call(toy())
    assert all(word in str(error.value) for word in words)


def test_constrained_draws_stay_inside_and_renormalise():
    model, seen = toy(), []

    def allowed(new):
        seen.append(list(new))
        return {0, 3} if len(new) % 2 == 0 else {4}

    new = S.generate(model, [1, 2], max_new=6, generator=0, allowed=allowed)
    assert all(t in ({0, 3} if i % 2 == 0 else {4}) for i, t in enumerate(new))
    assert seen == [new[:i] for i in range(6)]
    p = next_probs(model, [1, 2], S.Sampling())[[0, 3]]
    g = seeded(1)
    counts = tally(
        S.generate(model, [1, 2], max_new=1, generator=g, allowed=lambda _: [0, 3])
        for _ in range(800)
    )
    assert chi_square_p(counts, {(0,): float(p[0] / p.sum()), (3,): float(p[1] / p.sum())}) > 1e-3


# Beams


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("power", [0.0, 1.0])
def test_a_wide_beam_finds_the_best_text_of_all(seed, power):
    model = toy(seed)
    truth = all_texts(model, [1, 2], 3, S.Sampling(), stop={4})
    best = sorted(truth, key=lambda t: -math.log(truth[t]) / len(t) ** power)
    found = S.beam(model, [1, 2], width=200, max_new=3, stop={4}, length_power=power)
    assert found[0].ids == best[0]
    assert found[0].finished == (best[0][-1] == 4)
    assert found[0].logprob == pytest.approx(math.log(truth[best[0]]), abs=1e-4)
    assert {h.ids for h in found} == set(truth)


@pytest.mark.parametrize("seed", range(4))
def test_a_beam_of_one_is_greedy_and_scores_are_honest(seed):
    model = toy(seed)
    greedy = S.generate(model, [1, 2], max_new=6, temperature=0, stop={4})
    assert S.beam(model, [1, 2], width=1, max_new=6, stop={4}, length_power=0)[0].ids == tuple(
        greedy
    )
    found = S.beam(model, [1, 2], width=3, max_new=6, stop={4})
    assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)
    for h in found:
        ids = [1, 2, *h.ids]
        with torch.no_grad():
            rows = model(torch.tensor([ids]))[0][0].double().log_softmax(-1)
        total = sum(float(rows[t - 1, ids[t]]) for t in range(2, len(ids)))
        assert h.logprob == pytest.approx(total, abs=1e-4)
        assert h.score == pytest.approx(h.logprob / len(h.ids))
        assert h.finished == (h.ids[-1] == 4)


# Speculation


@pytest.mark.parametrize(
    ("options", "lookahead"),
    [(dict(), 1), (dict(temperature=0.7, top_k=3), 3), (dict(repetition=1.6), 3)],
    ids=str,
)
def test_speculation_has_the_targets_distribution(options, lookahead):
    target, draft, n = toy(0), toy(1), 3
    truth = all_texts(target, [1, 2], n, S.Sampling(**options), stop={4})
    g, accepted, proposed, texts = seeded(3), 0, 0, []
    for _ in range(500):
        result = S.speculative(
            target, draft, [1, 2], max_new=n, generator=g, lookahead=lookahead, stop={4}, **options
        )
        texts.append(result.ids)
        accepted, proposed = accepted + result.accepted, proposed + result.proposed
    assert chi_square_p(tally(texts), truth) > 1e-3
    assert 0 < accepted < proposed


def test_a_perfect_draft_is_always_accepted_and_greedy_is_greedy():
    target, draft = toy(0), toy(1)
    perfect = S.speculative(target, target, [1], max_new=12, generator=0, lookahead=3)
    assert perfect.accepted == perfect.proposed and perfect.reads == 3
    assert len(perfect.ids) == 12
    plain = S.generate(target, [1], max_new=12, temperature=0)
    got = S.speculative(target, draft, [1], max_new=12, generator=0, temperature=0)
    assert got.ids == plain


def draw_by(rule, n, p, q):
    g = seeded(11)
    counts = {}
    for _ in range(n):
        token = int(torch.multinomial(q, 1, generator=g))
        token, _ = rule(p, q, token, g)
        counts[(token,)] = counts.get((token,), 0) + 1
    return counts


def test_verify_gives_p_and_the_test_would_notice_a_wrong_rule():
    p = torch.tensor([0.5, 0.3, 0.15, 0.05])
    q = torch.tensor([0.2, 0.3, 0.3, 0.2])
    truth = {(i,): float(x) for i, x in enumerate(p)}

    def accept_half(p, q, token, g):  # a planted error: fewer acceptances, same residual
        if float(torch.rand((), generator=g)) < 0.5 * min(1, float(p[token] / q[token])):
            return token, True
        return int(torch.multinomial((p - q).clamp(min=0), 1, generator=g)), False

    def redraw_from_p(p, q, token, g):  # a planted error: p for the residual
        if float(torch.rand((), generator=g)) < min(1, float(p[token] / q[token])):
            return token, True
        return int(torch.multinomial(p, 1, generator=g)), False

    assert chi_square_p(draw_by(S.verify, 6000, p, q), truth) > 1e-3
    assert chi_square_p(draw_by(accept_half, 6000, p, q), truth) < 1e-6
    assert chi_square_p(draw_by(redraw_from_p, 6000, p, q), truth) < 1e-6


@settings(max_examples=40, deadline=None)
@given(
    a=st.lists(st.integers(0, 9), min_size=2, max_size=6).filter(any),
    b=st.lists(st.integers(1, 9), min_size=6, max_size=6),
)
def test_verify_is_exact_by_arithmetic(a, b):
    """Σ_x q(x)·accept(x) + P(reject)·residual = p, for any p and q: the proof, in numbers."""
    p = torch.tensor(a, dtype=torch.float64) / sum(a)
    q = torch.tensor(b[: len(a)], dtype=torch.float64) / sum(b[: len(a)])
    kept = torch.minimum(p, q)
    residual = (p - q).clamp(min=0)
    if float(residual.sum()) > 0:
        kept = kept + (1 - kept.sum()) * residual / residual.sum()
    torch.testing.assert_close(kept, p)


def test_enumeration_is_a_distribution():
    truth = all_texts(toy(), [1, 2], 3, S.Sampling(), stop={4})
    assert sum(truth.values()) == pytest.approx(1)
    assert len(truth) == 1 + 4 + 4 * 4 * 5 == len(set(itertools.chain(truth)))
