"""Talks whose truth is known, and what the shipped assistant does with them."""

import itertools

import pytest

from llmcourse import assistant, chat, models, toolbox
from llmcourse.calculator import CalculatorError, calculate
from llmcourse.tokenizers import TalesTokenizer

TOKENIZER = TalesTokenizer()


@pytest.fixture(scope="module")
def rows():
    return assistant.demonstrations(TOKENIZER, seed=1, n=150, context=320)


def test_demonstrations_are_talks_that_fit(rows):
    for ids, learn in rows:
        assert len(ids) == len(learn) <= 320 and any(learn)
        turns = chat.parse(TOKENIZER, ids)
        roles = [role for role, _ in turns]
        assert roles[-1] == "assistant" and {"user"} <= set(roles)
        for before, after in itertools.pairwise(roles):
            assert (before == chat.CALL) == (after == "tool")


def test_every_sum_of_a_demonstration_is_true(rows):
    seen = failed = 0
    for ids, _ in rows:
        turns = chat.parse(TOKENIZER, ids)
        for (role, call), (_, result) in itertools.pairwise(turns):
            if role != chat.CALL or not call.startswith("calc "):
                continue
            seen += 1
            try:
                assert calculate(call[5:]) == result
                assert not assistant.is_test(call[5:])
            except CalculatorError as error:
                assert result == f"error: {error}"
                failed += 1
    assert seen > 100 and failed >= 2


def test_a_call_that_fails_is_shown_and_not_learned(rows):
    named = chat.marks(TOKENIZER)
    for ids, learn in rows:
        at = 0
        for role, text in chat.parse(TOKENIZER, ids[1:]):
            size = len(TOKENIZER.encode(text))
            body = learn[1 + at + 1 :][: size + 1 + (role == chat.CALL)]
            at += size + 2 + (role == chat.CALL)
            if role == chat.CALL and text.split(" ")[0] not in ("calc", "search"):
                assert not any(body)
            if role == "assistant":
                assert all(body)
            if role in ("user", "tool", "system"):
                assert not any(body)
    assert named["tool"] in {i for ids, learn in rows for i, m in zip(ids, learn, strict=True) if m}


def test_both_languages_and_the_same_seed_give_the_same(rows):
    assert rows[:9] == assistant.demonstrations(TOKENIZER, seed=1, n=9, context=320)
    first = {ids[0] for ids, _ in rows}
    assert first == {chat.marks(TOKENIZER)[name] for name in ("en", "zh")}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_new_wording_is_in_no_demonstration(language):
    rows = assistant.demonstrations(TOKENIZER, seed=2, n=200, context=320)
    said = {t for ids, _ in rows for r, t in chat.parse(TOKENIZER, ids) if r == "user"}
    for about in ("name", "thing"):
        new = assistant.probe(0, "recall", language=language, new=True, about=about)
        assert new.asked.turns[0][1] not in said
        known = {
            assistant.probe(i, "recall", language=language, about=about).asked.turns[0][1]
            for i in range(20)
        }
        assert known <= said


def test_the_same_question_hangs_on_what_was_told():
    free = assistant.probe(3, "recall", about="name", between=2)
    told = assistant.probe(3, "recall", about="name", first=("tell",), between=2)
    assert free.asked.wanted == assistant.UNKNOWABLE["en"]
    assert told.asked.wanted.startswith("You are ") and "name, told" == told.asked.about
    with pytest.raises(ValueError, match="skill must be one of"):
        assistant.probe(0, "dance")


def test_the_shipped_assistant_calls_and_answers_in_both_languages():
    model, tokenizer = models.load("tales-assistant")
    probes = [
        assistant.probe(i, skill, language=language)
        for language in ("en", "zh")
        for skill in ("sum", "small talk", "unknowable")
        for i in range(10)
    ]
    tools = [assistant.true_tools(p) for p in probes]
    got = assistant.converse(model, tokenizer, probes, tools)
    right = sum(a.reply == p.asked.wanted for a, p in zip(got, probes, strict=True))
    assert right >= 50, right
    assert {a.tool for a in got} == {"calc", None}


def test_the_loop_of_many_is_that_of_the_session():
    from llmcourse import dialogue

    model, tokenizer = models.load("tales-assistant")
    for language in ("en", "zh"):
        one = assistant.probe(5, "sum", language=language, about="+")
        (many,) = assistant.converse(model, tokenizer, [one], [toolbox.standard()])
        session = dialogue.Session(model, tokenizer, language=language, tools=toolbox.standard())
        list(session.say(one.asked.turns[0][1]))
        assert many.reply == session.said[-1].text
        assert many.calls == tuple(s.text for s in session.said if s.role == chat.CALL)
