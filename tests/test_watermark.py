"""The mark's cost by hand, its count against chance, and a paraphrase that keeps every fact."""

import math
import random

import pytest

from llmcourse import tales
from llmcourse.watermark import (
    Count,
    Watermark,
    count,
    detect,
    paraphrase,
    threshold,
    tilt,
    write,
)  # fmt: skip


def test_the_green_share_over_many_pairs_is_what_was_asked():
    for share in (0.25, 0.5):
        mark = Watermark(key=1, share=share)
        hits = sum(mark.is_green(str(i), str(j)) for i in range(100) for j in range(100))
        assert hits / 10_000 == pytest.approx(share, abs=0.02)
    one, two = Watermark(key=1), Watermark(key=2)
    assert any(one.is_green("a", str(i)) != two.is_green("a", str(i)) for i in range(20))


def test_tilt_raises_green_odds_by_the_strength_and_costs_its_kl():
    p = {"a": 0.2, "b": 0.3, "c": 0.5}
    q, cost = tilt(p, {"a", "b"}, 1.5)
    odds = (q["a"] + q["b"]) / q["c"]
    assert odds == pytest.approx(1.0 * math.exp(1.5))
    assert q["a"] / q["b"] == pytest.approx(0.2 / 0.3)
    assert cost == pytest.approx(sum(q[w] * math.log(q[w] / p[w]) for w in p))


def test_a_forced_word_carries_no_mark_and_costs_nothing():
    for green in ({"a"}, set()):
        q, cost = tilt({"a": 1.0}, green, 5.0)
        assert q == {"a": 1.0}
        assert cost == 0


def test_unmarked_writing_costs_nothing_and_is_of_the_language():
    tokens, cost, surprise = write(None, random.Random(0))
    assert cost == 0
    text = tales.detokenize(tokens, "en")
    assert -tales.logprob(text) == pytest.approx(surprise)


def test_marked_writing_stays_in_the_language_and_is_seen():
    mark, rng = Watermark(key=3, strength=3.0), random.Random(1)
    texts = [write(mark, rng)[0] for _ in range(25)]
    assert all(tales.logprob(tales.detokenize(t, "en")) > -math.inf for t in texts)
    other = Watermark(key=4, strength=3.0)
    assert detect(mark, texts) > 4
    assert detect(mark, texts, free=True) > detect(mark, texts)
    assert abs(detect(other, texts)) < 4


def test_a_pair_that_recurs_is_evidence_once():
    mark = Watermark(key=0)
    assert count(mark, ["a", "b", "a", "b", "a", "b"]).scored == 3
    assert Count(0, 0, 0.5).z == 0
    assert Count(60, 100, 0.5).z == pytest.approx(2.0)


def test_the_threshold_holds_its_rate_on_the_texts_it_was_measured_on():
    scores = [random.Random(i).gauss(0, 1) for i in range(200)]
    level = threshold(scores, 0.05)
    assert sum(s > level for s in scores) == 10
    with pytest.raises(ValueError, match="got 10"):
        threshold(scores[:10], 0.05)


def test_a_paraphrase_keeps_the_facts_and_changes_the_words():
    rng = random.Random(0)
    for story in tales.generate(seed=5, n=5):
        told = paraphrase(list(story.tokens), rng)
        again = tales.parse(tales.detokenize(told, "en"))
        assert again.facts == story.facts
        assert told != list(story.tokens)


@pytest.mark.parametrize("bad", [{"share": 0.0}, {"share": 1.0}, {"strength": -1.0}])
def test_bad_marks_are_named(bad):
    with pytest.raises(ValueError, match=str(next(iter(bad.values())))):
        Watermark(key=0, **bad)
    with pytest.raises(ValueError, match="sum to 1"):
        tilt({"a": 0.5}, {"a"}, 1.0)
