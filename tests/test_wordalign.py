"""Laws of word alignment: equal to nltk's model, EM that never worsens, the truth of the tales."""

import random
from itertools import pairwise

import numpy as np
import pytest

from llmcourse import tales
from llmcourse.wordalign import IBM1, alignment_error, link_counts


def pairs(n=40):
    stories = tales.generate(seed=3, n=n)
    return [p for s in stories for p in tales.sentence_pairs(s)]


def test_equal_to_nltk():
    translate = pytest.importorskip("nltk.translate")
    # nltk divides by the sum over a word's every occurrence in the sentence, and so halves the
    # counts of a word that stands there twice; the model has no such rule (Brown et al., 1993).
    once = [(s, t) for s, t in pairs() if len(set(t)) == len(t)]
    sample = random.Random(0).sample(once, 40)
    ours = IBM1(sample, iterations=5)
    bitext = [translate.AlignedSent(list(t), list(s)) for s, t in sample]
    theirs = translate.IBMModel1(bitext, 5)
    together = {(f, e) for s, t in sample for f in t for e in (None, *s)}
    assert len(together) > 600
    for f, e in together:  # nltk keeps its first guess for words that never meet
        there = theirs.translation_table[f][e]
        # nltk holds every probability at 1e-12 or more.
        assert ours.probability(f, e) == pytest.approx(there, abs=2e-12, rel=1e-9)


def test_em_never_makes_the_sentences_less_probable():
    nats = IBM1(pairs(), iterations=12).nats
    assert all(later <= earlier + 1e-12 for earlier, later in pairwise(nats))
    assert nats[-1] < nats[0] - 1


def test_rows_are_distributions():
    table = IBM1(pairs(), iterations=4).table
    np.testing.assert_allclose(table.sum(1), 1)
    assert (table >= 0).all()


def test_the_textbook_example_settles():
    model = IBM1([(["the", "house"], ["das", "Haus"]), (["the", "book"], ["das", "Buch"])], 30)
    assert model.translate(["the", "book"]) == ["das", "Buch"]
    assert model.align(["the", "house"], ["Haus", "das"]) == {(1, 0)}  # das: the empty word too
    assert model.probability("Haus", "house") > 0.9


def test_words_never_seen_have_no_translation():
    model = IBM1([(["a"], ["b"])], 1)
    assert model.best("x") is None and model.translate(["x", "a"]) == ["b"]
    assert model.probability("x", "a") == model.probability("b", "x") == 0
    assert model.align(["x"], ["b", "y"]) == set()


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="got none"):
        IBM1([])
    with pytest.raises(ValueError, match="iterations must be at least 1, got 0"):
        IBM1([(["a"], ["b"])], 0)
    with pytest.raises(ValueError, match="got the text 'ab'"):
        IBM1([("ab", ["c"])])
    with pytest.raises(ValueError, match="need a word"):
        IBM1([(["a"], [])])
    with pytest.raises(ValueError, match="got none"):
        alignment_error([], [], [(0, 0)])


def test_alignment_error_by_hand():
    sure, possible = {(0, 0), (1, 1)}, {(0, 0), (1, 1), (1, 2)}
    assert alignment_error(sure, sure, possible) == 0
    assert alignment_error(possible, sure, possible) == 0  # what is possible costs nothing
    assert alignment_error({(0, 0), (2, 2)}, sure, possible) == pytest.approx(1 - 2 / 4)
    assert link_counts({(0, 0), (2, 2)}, sure, possible) == (1, 1, 2, 2)
    assert alignment_error({(3, 3)}, sure, possible) == 1


@pytest.mark.parametrize("split", ["test", "held-out"])
def test_the_truth_is_the_same_seen_from_either_side(split):
    for story in tales.generate(seed=5, n=40, split=split):
        sure, possible = tales.word_alignment(story)
        other = story.translate("zh")
        back, back_possible = tales.word_alignment(other)
        assert {(j, i) for i, j in back} == sure <= possible
        assert {(j, i) for i, j in back_possible} == possible
        ends, other_ends = np.array(story.sentence_ends), np.array(other.sentence_ends)
        for i, j in possible:  # a link stays in its sentence
            assert (i >= ends).sum() == (j >= other_ends).sum()
        for links in ({i for i, _ in sure}, {j for _, j in sure}):
            assert len(links) == len(sure)  # one to one


def test_sure_links_join_words_of_one_meaning():
    story = tales.generate(seed=2026, n=1)[0]
    other = story.translate("zh")
    found = {(story.tokens[i], other.tokens[j]) for i, j in tales.word_alignment(story)[0]}
    assert {("Lena", "莱娜"), ("cup", "杯子"), ("she", "她"), ("cave", "山洞")} <= found


def test_sentence_pairs_make_up_the_story():
    for story in tales.generate(seed=6, n=20, language="zh"):
        sides = list(zip(*tales.sentence_pairs(story), strict=True))
        assert sum(sides[0], ()) == story.tokens
        assert sum(sides[1], ()) == story.translate("en").tokens
