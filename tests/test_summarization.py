"""Laws of `llmcourse.summarization`, and of the claims of a tale's summary."""

import networkx
import numpy as np
import pytest

from llmcourse import tales
from llmcourse.summarization import (
    VERDICTS,
    docstrings,
    extract,
    likeness,
    sentences,
    textrank,
    verdict,
)

BOTH = pytest.mark.parametrize("language", tales.LANGUAGES)


@BOTH
def test_a_true_summary_claims_the_facts(language):
    for story in tales.generate(seed=1, n=300, language=language):
        claimed = tales.claims(tales.summary(story), language)
        assert all(story.facts[key] == value for key, value in claimed.items())
        assert {"plot", "outcome", "A", "O"} <= claimed.keys()
        assert verdict(story, tales.summary(story)) == "faithful"


@BOTH
def test_each_false_claim_is_named(language):
    stories = tales.generate(seed=2, n=300, language=language)
    story = next(s for s in stories if s.facts["plot"] == "gift")
    text, facts = tales.summary(story), story.facts
    other = next(s for s in stories if s.facts["A"] not in (facts["A"], facts["B"]))
    assert verdict(story, text.replace(facts["A"], other.facts["A"])) == "hero"
    assert verdict(story, text.replace(facts["B"], other.facts["A"])) == "friend"
    assert verdict(story, text.replace(facts["O"], "nothing")) == "thing"
    assert verdict(story, text[:-3]) == "no summary"
    assert verdict(story, "") == "no summary"


def test_who_won_is_the_ending():
    story = next(s for s in tales.generate(seed=2, n=300) if s.facts["plot"] == "race")
    a, b, o = (story.facts[key] for key in "ABO")
    beat, lost = f"{a} beat {b} in a race for the {o}.", f"{a} lost a race for the {o} to {b}."
    assert {verdict(story, beat), verdict(story, lost)} == {"faithful", "ending"}
    assert verdict(story, f"{b} beat {a} in a race for the {o}.") == "hero"


@BOTH
def test_a_summary_with_the_other_ending_is_false_in_that_alone(language):
    for story in tales.generate(seed=3, n=60, language=language):
        other = "bad" if story.facts["outcome"] == "good" else "good"
        assert verdict(story, tales.summary(story, other)) == "ending"
        assert tales.summary(story, story.facts["outcome"]) == tales.summary(story)
    with pytest.raises(ValueError, match="'good' or 'bad'"):
        tales.summary(story, "happy")


def test_a_quarrel_has_no_first():
    story = next(s for s in tales.generate(seed=2, n=300) if s.facts["plot"] == "quarrel")
    a, b = story.facts["A"], story.facts["B"]
    swapped = tales.summary(story).replace(a, "§").replace(b, a).replace("§", b)
    assert verdict(story, swapped) == "faithful"


def test_every_verdict_is_one_of_the_list():
    stories = tales.generate(seed=4, n=100)
    found = {verdict(s, tales.summary(t)) for s in stories for t in stories[:20]}
    assert found <= set(VERDICTS) and {"faithful", "plot", "hero"} <= found


@BOTH
def test_text_of_another_kind_claims_nothing(language):
    assert tales.claims("<|end|> obey", language) is None
    assert tales.claims("\x00" * 50, language) is None


def test_textrank_equals_a_library():
    rng = np.random.default_rng(0)
    for n in (2, 5, 9):
        weights = rng.random((n, n))
        np.fill_diagonal(weights, 0)
        weights[0] = 0  # leads nowhere
        graph = networkx.from_numpy_array(weights, create_using=networkx.DiGraph)
        theirs = networkx.pagerank(graph, alpha=0.85, tol=1e-12)
        np.testing.assert_allclose(textrank(weights), [theirs[i] for i in range(n)], atol=1e-9)


def test_textrank_of_equals_is_equal():
    np.testing.assert_allclose(textrank(np.ones((4, 4)) - np.eye(4)), 0.25)
    np.testing.assert_allclose(textrank(np.zeros((3, 3))), 1 / 3)
    assert textrank(np.zeros((1, 1))) == 1.0


@pytest.mark.parametrize("bad", [np.zeros((0, 0)), -np.ones((2, 2)), [[np.inf]], [[np.nan]]])
def test_tables_that_are_none_are_refused(bad):
    with pytest.raises(ValueError):
        textrank(np.array(bad))


def test_likeness_is_symmetric_and_bounded_by_what_is_shared():
    rows = ["The cup was gone.", "She kept the cup.", "Rain!", ""]
    table = likeness(rows)
    np.testing.assert_allclose(table, table.T)
    assert table[0, 1] == pytest.approx(2 / (2 * np.log(4)))
    assert not table.diagonal().any() and not table[3].any()


def test_sentences_and_extracts_are_pieces_of_the_text():
    story = tales.generate(seed=5, n=1)[0]
    rows = sentences(story.text)
    assert " ".join(rows) == story.text
    assert extract(story.text) in rows
    assert extract(story.text, 99) == story.text
    for bad in (lambda: extract("", 1), lambda: extract("A.", 0)):
        with pytest.raises(ValueError):
            bad()


def test_docstrings_have_a_summary_that_is_not_in_their_text():
    found = docstrings()
    assert len(found) >= 250 and len({d.text for d in found}) == len(found)
    assert all(d.summary.endswith(".") and len(sentences(d.text)) >= 2 for d in found)
