"""Laws of the toy ear and its decoder: exact where all texts can be listed."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcourse import noisy, tales
from llmcourse.gpt import GPT, GPTConfig
from llmcourse.ngram import NGram

WORDS = ["pat", "bat", "pad", "go", "to", ","]
TEXTS = [[0, 3, 1, 5, 2], [1, 4, 0, 5, 0], [2, 3, 2, 5, 1], [0, 3, 1, 5, 0]]
END = len(WORDS)


def trained(order: int) -> NGram:
    return NGram(order=order, vocab=END + 1).fit([[*t, END] for t in TEXTS])


def all_texts(heard, channel, model, weight=1.0):
    """Every text of these words with its score: log p(heard | x) + weight · log p(x)."""
    evidence = channel.evidence(heard, WORDS)
    scored = {}
    for path in itertools.product(range(len(WORDS)), repeat=len(heard)):
        acoustic = evidence[range(len(heard)), path].sum()
        if np.isfinite(acoustic):
            scored[path] = acoustic + weight * model.logprob([*path, END])
    return scored


def test_rows_of_the_confusion_sum_to_one():
    for noise, stray in ((0.0, 0.0), (0.3, 0.2), (1.0, 1.0)):
        table = noisy.Channel(noise=noise, stray=stray).confusion
        np.testing.assert_allclose(table.sum(axis=1), 1)
        np.testing.assert_allclose(np.diag(table), 1 - noise)


@pytest.mark.parametrize("field", ["noise", "stray"])
@pytest.mark.parametrize("value", [-0.1, 1.5])
def test_a_channel_refuses_what_is_no_probability(field, value):
    with pytest.raises(ValueError, match=rf"{field} must lie in \[0, 1\], got {value}"):
        noisy.Channel(**{field: value})


def test_evidence_is_the_product_over_letters():
    channel = noisy.Channel(noise=0.4, stray=0.3)
    (row,) = channel.evidence(["bet"], ["pat", "bat", "go", "x-y", ","])
    table, at = channel.confusion, noisy.LETTERS.index
    want = table[at("p"), at("b")] * table[at("a"), at("e")] * table[at("t"), at("t")]
    assert row[0] == pytest.approx(math.log(want))
    assert row[1] > row[0]
    assert np.isneginf(row[2:]).all()  # other lengths, another mark, silence


def test_marks_are_silent_and_other_characters_are_heard_right():
    channel = noisy.Channel(noise=1.0)
    heard = channel.hear([",", "”", "x2_y", "Anna"], seed=0)
    assert heard[:2] == [noisy.SILENT, noisy.SILENT]
    assert heard[2][1:3] == "2_"
    assert heard[3].islower()
    assert channel.evidence([noisy.SILENT], [",", "!", "go"])[0].tolist() == [0.0, 0.0, -np.inf]


def test_what_is_heard_follows_the_confusion():
    channel = noisy.Channel(noise=0.6, stray=0.5)
    heard = "".join(channel.hear(["a"] * 4000, seed=1))
    shares = np.array([heard.count(c) for c in noisy.LETTERS]) / 4000
    want = channel.confusion[0]
    assert np.abs(shares - want).max() < 4 * math.sqrt(0.25 / 4000)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("weight", [0.0, 1.0, 2.5])
def test_a_wide_beam_finds_the_best_of_all_texts(order, weight):
    channel, model = noisy.Channel(noise=0.6, stray=0.5), trained(order)
    for seed, text in enumerate(TEXTS):
        heard = channel.hear([WORDS[i] for i in text], seed=seed)
        scored = all_texts(heard, channel, model, weight)
        reader = noisy.NGramReader(model)
        (found,) = noisy.decode([heard], channel, WORDS, reader, weight=weight, beam=300)
        assert found.scores[0] == pytest.approx(max(scored.values()))
        assert scored[tuple(found.paths[0])] == pytest.approx(max(scored.values()))
        assert len(found.scores) == len(scored)
        assert (np.diff(found.scores) <= 1e-9).all()


def test_the_vote_is_the_largest_marginal():
    channel, model = noisy.Channel(noise=0.8, stray=0.5), trained(2)
    heard = channel.hear([WORDS[i] for i in TEXTS[0]], seed=3)
    scored = all_texts(heard, channel, model)
    (found,) = noisy.decode([heard], channel, WORDS, noisy.NGramReader(model), beam=300)
    total = sum(math.exp(s) for s in scored.values())
    for t, (word, sure) in enumerate(zip(found.vote(), found.confidence, strict=True)):
        mass = np.zeros(len(WORDS))
        for path, score in scored.items():
            mass[path[t]] += math.exp(score) / total
        assert sure == pytest.approx(mass.max())
        assert mass[WORDS.index(word)] == pytest.approx(mass.max())


def test_many_rows_are_read_as_each_alone():
    channel, reader = noisy.Channel(noise=0.5), noisy.NGramReader(trained(3))
    heard = [channel.hear([WORDS[i] for i in t], seed=k)[: 2 + k] for k, t in enumerate(TEXTS)]
    together = noisy.decode(heard, channel, WORDS, reader, beam=3)
    for row, found in zip(heard, together, strict=True):
        (alone,) = noisy.decode([row], channel, WORDS, reader, beam=3)
        np.testing.assert_array_equal(found.paths, alone.paths)
        np.testing.assert_allclose(found.scores, alone.scores)


def test_counting_evidence_k_times_is_a_weight_of_one_over_k():
    class Echo(noisy.Channel):
        def evidence(self, heard, words):
            return 3 * super().evidence(heard, words)

    ear, echo = noisy.Channel(noise=0.7), Echo(noise=0.7)
    reader = noisy.NGramReader(trained(2))
    heard = [ear.hear([WORDS[i] for i in t], seed=k) for k, t in enumerate(TEXTS)]
    plain = noisy.decode(heard, ear, WORDS, reader, weight=1.0)
    tripled = noisy.decode(heard, echo, WORDS, reader, weight=3.0)
    for a, b in zip(plain, tripled, strict=True):
        assert a.best == b.best
        np.testing.assert_allclose(3 * a.scores, b.scores)


def test_the_truth_scores_a_tale_by_its_own_probability():
    words = list(tales.terminals("en"))
    story = tales.generate(seed=5, n=1)[0]
    channel = noisy.Channel(noise=0.05)
    heard = channel.hear(story.tokens, seed=0)
    (found,) = noisy.decode([heard], channel, words, noisy.TruthReader(words), beam=16)
    assert found.best == list(story.tokens)
    index = [words.index(w) for w in story.tokens]
    acoustic = channel.evidence(heard, words)[range(len(heard)), index].sum()
    assert found.scores[0] == pytest.approx(acoustic + story.logprob)


def test_a_beam_that_dies_is_widened():
    words = list(tales.terminals("en"))
    story = tales.generate(seed=2, n=1)[0]
    channel = noisy.Channel(noise=0.6)
    heard = channel.hear(story.tokens, seed=0)
    (found,) = noisy.decode([heard], channel, words, noisy.TruthReader(words), beam=1)
    assert tales.logprob(tales.detokenize(found.best, "en")) > -math.inf


def test_a_transformer_read_by_rows_is_the_transformer():
    config = GPTConfig.modern(vocab_size=12, context=16, width=16, heads=2, layers=2)
    model = GPT(config, seed=0).eval()
    reader = noisy.GPTReader(model, start=0, ids=[2, 3, 4, 5, 6, 7], end=1)
    channel = noisy.Channel(noise=0.6)
    heard = channel.hear(["pat", "go", ",", "bad"], seed=1)
    (found,) = noisy.decode([heard], channel, WORDS, reader, beam=400)
    ids = torch.tensor([[0, *(2 + i for i in path), 1] for path in found.paths.tolist()])
    with torch.no_grad():
        logs = model(ids[:, :-1])[0].log_softmax(-1)
    language = logs.gather(2, ids[:, 1:, None]).sum(dim=(1, 2)).double().numpy()
    evidence = channel.evidence(heard, WORDS)
    acoustic = [evidence[range(len(heard)), path].sum() for path in found.paths]
    np.testing.assert_allclose(found.scores, language + acoustic, rtol=1e-5)


def test_bad_input_is_named():
    channel, reader = noisy.Channel(), noisy.FlatReader(WORDS)
    with pytest.raises(ValueError, match="beam must be at least 1, got 0"):
        noisy.decode([["pat"]], channel, WORDS, reader, beam=0)
    with pytest.raises(ValueError, match="weight must be at least 0, got -1"):
        noisy.decode([["pat"]], channel, WORDS, reader, weight=-1.0)
    with pytest.raises(ValueError, match="at least one heard word"):
        noisy.decode([[]], channel, WORDS, reader)
    with pytest.raises(ValueError, match=r"no word sounds like 'elephant' \(row 0, word 1\)"):
        noisy.decode([["pat", "elephant"]], channel, WORDS, reader)
    assert noisy.decode([], channel, WORDS, reader) == []
    words = list(tales.terminals("en"))
    with pytest.raises(ValueError, match="no text of these words was found for row 0"):
        noisy.decode([["the"] * 3], noisy.Channel(noise=0.0), words, noisy.TruthReader(words))


texts = st.lists(st.sampled_from("abc"), max_size=6)


@settings(max_examples=60, deadline=None)
@given(texts, texts, texts)
def test_word_errors_are_a_distance(a, b, c):
    d = noisy.word_errors
    assert d(a, b) == d(b, a)
    assert (d(a, b) == 0) == (a == b)
    assert d(a, c) <= d(a, b) + d(b, c)
    assert abs(len(a) - len(b)) <= d(a, b) <= max(len(a), len(b))


def test_word_errors_of_known_pairs():
    said = "she ran to the lake".split()
    assert noisy.word_errors(said, "she ran to the cake".split()) == 1
    assert noisy.word_errors(said, "she ran the lake".split()) == 1
    assert noisy.word_errors(said, "so she ran to the lake".split()) == 1
