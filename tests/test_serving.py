"""Laws of serving: pages change no logit, lose no block; schedules finish all and waste less."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcourse import sample
from llmcourse.gpt import GPT, GPTConfig
from llmcourse.serving import Cost, PagedCache, Policy, Pool, PoolFull, Request, serve

FORM = dict(vocab_size=30, context=40, width=32, heads=4, layers=2, zero_outputs=False)
CONFIGS = {
    "modern": GPTConfig.modern(**FORM),
    "grouped": GPTConfig.modern(**FORM, kv_heads=2),
    "gpt2": GPTConfig.gpt2_form(**FORM),
    "window": GPTConfig.modern(**FORM, window=5),
}


def ids(n, seed=0):
    return torch.randint(30, (1, n), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("form", CONFIGS)
@pytest.mark.parametrize("block", [1, 3, 16])
@torch.inference_mode()
def test_pages_give_the_logits_of_a_whole_cache(form, block):
    model, text = GPT(CONFIGS[form], seed=0).eval(), ids(21)
    pool = Pool(model.config, blocks=60, block=block)
    # Two sequences take turns, so that their blocks lie between each other's.
    paged, whole, other = PagedCache(pool), model.cache(), PagedCache(pool)
    for start, end in ((0, 7), (7, 8), (8, 9), (9, 21)):
        model(ids(3, seed=start), cache=other)
        got = model(text[:, start:end], cache=paged)[0]
        expected = model(text[:, start:end], cache=whole)[0]
        torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-4)
    assert len(paged.table) == math.ceil(21 / block)
    paged.truncate(8), whole.truncate(8)
    again = model(text[:, 8:12], cache=paged)[0]
    torch.testing.assert_close(again, model(text[:, 8:12], cache=whole)[0], atol=1e-5, rtol=1e-4)


@torch.inference_mode()
def test_a_fork_shares_and_parts_without_harm():
    model, text = GPT(CONFIGS["modern"], seed=0).eval(), ids(20)
    pool = Pool(model.config, blocks=10, block=4)
    one = PagedCache(pool)
    model(text[:, :10], cache=one)
    before = pool.free
    two = one.fork()
    assert pool.free == before
    a = model(text[:, 10:13], cache=one)[0]
    b = model(text[:, 13:16], cache=two)[0]
    for got, new in ((a, text[:, 10:13]), (b, text[:, 13:16])):
        expected = model(torch.cat((text[:, :10], new), 1))[0][:, 10:]
        torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-4)
    assert set(one.table) & set(two.table) == set(one.table[:2])  # whole blocks stay shared
    one.truncate(0), two.truncate(0)
    assert pool.free == 10 and not any(pool.holders)


@torch.inference_mode()
def test_a_full_pool_is_said_and_nothing_is_lost():
    model = GPT(CONFIGS["modern"], seed=0).eval()
    pool = Pool(model.config, blocks=3, block=4)
    one, two = PagedCache(pool), PagedCache(pool)
    model(ids(8), cache=one)
    with pytest.raises(PoolFull, match="2 blocks are needed and 1 are free"):
        model(ids(5), cache=two)
    assert (two.used, two.table, pool.free) == (0, [], 1)
    one.truncate(4)
    model(ids(5), cache=two)
    assert pool.free == 0
    with pytest.raises(PoolFull, match="all 3"):
        pool.take()
    with pytest.raises(ValueError, match="can only shorten"):
        one.truncate(5)
    one.truncate(0)
    with pytest.raises(ValueError, match="free already"):
        pool.release(0 if pool.holders[0] == 0 else pool.holders.index(0))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), max_size=30))
def test_every_block_is_free_or_held_as_often_as_tables_name_it(moves):
    pool = Pool(CONFIGS["grouped"], blocks=12, block=4)
    caches = [PagedCache(pool) for _ in range(4)]
    new = torch.zeros(1, 2, 1, 8)
    for who, what in moves:
        if what < 6:
            try:
                for layer in range(2):
                    caches[who].append(layer, new, new)
                caches[who].used += 1
            except PoolFull:
                assert pool.free == 0
        elif what < 8:
            caches[who].truncate(caches[who].used // 2)
        else:
            place = (who + 1) % 4
            caches[place].truncate(0)
            caches[place] = caches[who].fork()
        named = [n for cache in caches for n in cache.table]
        assert pool.holders == [named.count(n) for n in range(12)]
        assert pool.free == pool.holders.count(0)
        assert all(len(c.table) == math.ceil(c.used / 4) for c in caches)


COST = Cost(weights=1e9, token=1e5, flops=1e9, peak=1e14, rate=1e12, start=1e-4)


def load(n, seed=0, gap=0.01):
    chance = torch.Generator().manual_seed(seed)
    sizes = torch.randint(1, 60, (n, 2), generator=chance).tolist()
    return [Request(arrival=i * gap, prompt=p, output=o) for i, (p, o) in enumerate(sizes)]


policies = st.builds(
    Policy,
    memory=st.integers(128, 1500),
    longest=st.just(120),
    block=st.sampled_from([None, 1, 8]),
    rows=st.integers(1, 30),
)


@settings(max_examples=25, deadline=None)
@given(policies, st.integers(0, 100), st.sampled_from([0.0, 0.001, 0.1]))
def test_all_are_served_within_memory(policy, seed, gap):
    requests = load(12, seed, gap)
    report = serve(requests, COST, policy)
    assert report.tokens == sum(r.output for r in requests)
    for r, first, finish in zip(requests, report.first, report.finish, strict=True):
        alone = serve([r], COST, policy)
        assert r.arrival < first <= finish
        assert finish - r.arrival >= alone.finish[0] - r.arrival - 1e-9
    for _, running, held, taken in report.trace:
        assert held <= taken <= policy.memory and running <= policy.rows
    assert policy.block is not None or report.evictions == 0


def test_one_request_takes_what_the_formula_says():
    r = Request(arrival=2.0, prompt=7, output=5)
    report = serve([r], COST, Policy(memory=100, longest=20))
    steps = [COST.seconds(7, 7)] + [COST.seconds(1, 7 + i) for i in range(1, 5)]
    assert report.finish[0] == pytest.approx(2 + sum(steps))
    assert report.first[0] == pytest.approx(2 + steps[0])


def test_pages_waste_less_than_a_page_a_request():
    report = serve(load(30, gap=0), COST, Policy(memory=1200, longest=120, block=8))
    most = max(running for _, running, _, _ in report.trace)
    assert all(taken - held < 8 * most for _, _, held, taken in report.trace)


def test_continuous_batches_end_sooner_and_pages_sooner_still():
    requests = load(60, seed=3, gap=0)
    ends = [
        serve(requests, COST, Policy(memory=1200, longest=120, **how)).end
        for how in (dict(continuous=False), dict(), dict(block=8))
    ]
    assert ends == sorted(ends, reverse=True) and ends[0] > 1.5 * ends[2]


def test_a_page_too_few_evicts_the_newest_who_reads_again():
    two = [Request(arrival=0, prompt=8, output=9), Request(arrival=0, prompt=8, output=9)]
    tight = serve(two, COST, Policy(memory=24, longest=24, block=4))
    assert tight.evictions >= 1 and tight.tokens == 18
    assert tight.finish[0] < tight.finish[1]
    roomy = serve(two, COST, Policy(memory=64, longest=24, block=4))
    assert roomy.evictions == 0 and roomy.end < tight.end


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Pool(CONFIGS["gpt2"], blocks=0), "blocks and block"),
        (lambda: Request(arrival=0, prompt=0, output=1), "1 token or more"),
        (lambda: Request(arrival=math.nan, prompt=1, output=1), "1 token or more"),
        (lambda: Policy(memory=10, longest=20), "of 20 must fit in memory 10"),
        (lambda: Policy(memory=10, longest=9, block=4, rows=0), "rows and block"),
        (lambda: Policy(memory=10, longest=9, block=8), "of 9 must fit"),
        (lambda: Policy(memory=99, longest=9, block=8, continuous=False), "no pages"),
        (lambda: serve([], COST, Policy(memory=10, longest=5)), "no requests"),
        (lambda: serve(load(3), COST, Policy(memory=10, longest=5)), "may hold 5"),
    ],
)
def test_nonsense_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_sampling_is_unmoved_by_pages():
    """The text that a model writes through pages is the one it writes without."""
    model = GPT(CONFIGS["modern"], seed=0).eval()
    plain = sample.generate(model, [1, 2, 3], max_new=20, temperature=0)
    paged, read, text = PagedCache(Pool(model.config, blocks=9, block=5)), [1, 2, 3], []
    with torch.inference_mode():
        for _ in range(20):
            read = [int(model(torch.tensor([read]), cache=paged)[0][0, -1].argmax())]
            text += read
    assert text == plain
