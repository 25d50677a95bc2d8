"""Laws of the real pairs: parts that share nothing, sizes that carry an interval, clear errors."""

import sys

import pytest

from llmcourse import bilingual
from llmcourse.data import Unavailable

pytest.importorskip("babel")
pytest.importorskip("sphinx")


@pytest.mark.parametrize("name", bilingual.NAMES)
def test_parts_share_no_text_and_are_large_enough(name):
    pairs = bilingual.load(name)
    assert not {en for en, _ in pairs.train} & {en for en, _ in pairs.test}
    assert len(pairs.test) >= 200, "an evaluation on real text has 200 items"
    assert all(zh and "\n" not in en for en, zh in (*pairs.train, *pairs.test))
    chinese = sum(any("\u4e00" <= c <= "\u9fff" for c in zh) for _, zh in pairs.test)
    assert chinese > 0.95 * len(pairs.test)
    assert pairs.licence in pairs.about and "sha256" in pairs.about


def test_words_keep_every_character_that_is_no_space():
    for name in bilingual.NAMES:
        for pair in bilingual.load(name).test:
            for side in pair:
                assert "".join(bilingual.words(side)) == "".join(side.split())


def test_words_by_hand():
    assert bilingual.words("don't see %s (%d)") == ["don't", "see", "%s", "(", "%d", ")"]
    assert bilingual.words("未知的图像格式") == list("未知的图像格式")
    assert bilingual.words("") == []


def test_the_memory_finds_itself_and_its_neighbour():
    memory = bilingual.load("messages").train
    assert all(bilingual.nearest(pair[0], memory) == pair for pair in memory[:20])
    near = bilingual.nearest("Swiss Frank", [("Belgian Franc", "a"), ("Swiss Franc", "b")])
    assert near[1] == "b"


def test_bad_input_is_named(monkeypatch):
    with pytest.raises(ValueError, match="got 'novels'"):
        bilingual.load("novels")
    with pytest.raises(ValueError, match="at least one pair"):
        bilingual.nearest("a", [])
    bilingual.load.cache_clear()
    monkeypatch.setitem(sys.modules, "babel", None)
    monkeypatch.setitem(sys.modules, "babel.messages.pofile", None)
    for name in bilingual.NAMES:
        with pytest.raises(Unavailable, match="llmcourse"):
            bilingual.load(name)
    bilingual.load.cache_clear()
