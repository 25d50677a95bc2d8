"""The language's contract: text and choices are one to one, and every probability is exact."""

import dataclasses
import itertools
import math
import random
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcourse import tales
from llmcourse.tales import exact, grammar, language, story, text
from llmcourse.tales.language import Cursor, Language

BOTH = pytest.mark.parametrize("tongue", tales.LANGUAGES)


# Round trips


@BOTH
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_parse_inverts_generate(tongue, seed):
    (told,) = tales.generate(seed=seed, n=1, language=tongue)
    assert tuple(tales.tokenize(told.text, tongue)) == told.tokens
    assert tales.parse(told.text, tongue) == told
    assert tales.detokenize(told.tokens, tongue) == told.text


@BOTH
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_choices_multiply_to_the_probability_of_the_text(tongue, seed):
    (told,) = tales.generate(seed=seed, n=1, language=tongue)
    assert told.logprob == pytest.approx(-told.token_nats.sum(), rel=1e-9)
    assert tales.logprob(told.text, tongue) == pytest.approx(told.logprob, rel=1e-12)
    assert told.translate("en").logprob == told.translate("zh").logprob


@BOTH
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_next_distribution_sums_to_one_and_gives_each_token_its_surprise(tongue, seed):
    (told,) = tales.generate(seed=seed, n=1, language=tongue)
    followed = (*told.tokens, tales.END)
    at = random.Random(seed).randrange(len(followed))
    known = tales.next_distribution(told.tokens[:at], tongue)
    assert math.fsum(known.values()) == pytest.approx(1, abs=1e-12)
    assert -math.log(known[followed[at]]) == pytest.approx(told.token_nats[at], abs=1e-9)


def test_seeds_repeat_and_differ():
    first = [s.text for s in tales.generate(seed=3, n=5)]
    assert first == [s.text for s in tales.generate(seed=3, n=5)]
    assert first != [s.text for s in tales.generate(seed=4, n=5)]
    assert [s.translate("en").text for s in tales.generate(seed=3, n=5, language="zh")] == first


# Unambiguity, proven by enumeration: per state, no two sentences share their words


def _options(tongue: Language, state) -> list[list[dict]]:
    """Each variant of each frame as a chain of token trees."""
    chains = []
    for _, frame in tongue.frames(state.stage, state.decided):
        classes = tongue.classes_of(frame, state.decided)
        for _, slots in tongue.variants(frame, state):
            chain = []
            for e in frame.templates[tongue.name]:
                if e.form == "draw":
                    chain.append(tongue.trie(e, classes[e.key], slots[e.key]))
                    continue
                known = dict(state.bound)
                if e.of and e.of not in known:
                    known[e.of] = (classes[e.of], slots[e.of][0])
                tree: dict = {}
                for token, _, _ in reversed(tongue.spoken(e, known)):
                    tree = {token: [1.0, tree or None, None]}
                chain.append(tree)
            chains.append(chain)
    return chains


def _share_words(one: list[dict], two: list[dict]) -> bool:
    """Whether two chains accept a common sequence, or one a beginning of the other's."""
    agenda, seen = [(0, one[0], 0, two[0])], set()
    while agenda:
        i, here, j, there = agenda.pop()
        if (i, id(here), j, id(there)) in seen:
            continue
        seen.add((i, id(here), j, id(there)))
        for token in here.keys() & there.keys():
            a, b = here[token][1], there[token][1]
            k, m = (i, j) if a is not None and b is not None else (i + (a is None), j + (b is None))
            if k == len(one) or m == len(two):
                return True
            agenda.append((k, one[k] if a is None else a, m, two[m] if b is None else b))
    return False


@BOTH
def test_no_two_sentences_share_their_words(tongue):
    reader, seen = Language(name=tongue), set()
    for told in tales.generate(seed=11, n=1500):
        for state, _, _ in told.sentences:
            frames = reader.frames(state.stage, state.decided)
            key = (state.stage, tuple(f.index for _, f in frames), state.decided.get("mood"))
            if key in seen:
                continue
            seen.add(key)
            for one, two in itertools.combinations(_options(reader, state), 2):
                assert not _share_words(one, two), f"ambiguous in {key}"
    # Every state that a story can reach was met, up to what its sentences depend on.
    reached = {
        (
            stage,
            tuple(f.index for _, f in reader.frames(stage, dict(decided))),
            dict(decided).get("mood"),
        )
        for stage, decided in exact.state_probabilities()
        if stage != "END"
    }
    assert seen == reached


def _ways(e: grammar.Element, bound: dict[str, set[str]]) -> set[tuple[str, ...]]:
    """Everything that an element of a Chinese template may say, whatever the state."""
    full, tongue = grammar.load(), Language(name="zh")
    if e.form == "literal":
        return {(e.word,)}
    if e.form == "m":
        return {(row["m"],) for row in full.classes["object"].rows}
    if e.form in ("ta", "they"):
        return {("她",), ("他",)} if e.form == "ta" else {("她们",), ("他们",)}
    key = e.key if e.form == "draw" else e.of
    woman, man = ("name", 0), ("name", 79)
    return {
        tuple(token for token, _, _ in tongue.spoken(e, {"A": who, key: (of, item)}))
        for of in bound[key]
        for item in range(len(full.classes[of]))
        for who in (woman, man)
    }


def test_chinese_is_cut_into_its_words_by_the_longest_match():
    """No terminal is the beginning of a longer one that the following words could complete."""
    full = grammar.load()
    frames = [frame for frames in full.stages.values() for frame in frames]
    bound: dict[str, set[str]] = {}
    for frame in frames:
        for slot, of in frame.draws:
            name = of.partition("@")[0]
            bound.setdefault(slot, set()).update(
                c for c in full.classes if c == name or c.startswith(name + "-")
            )
    follows: dict[str, set[str]] = {}
    firsts, lasts = set(), set()
    for frame in frames:
        ways = [_ways(e, bound) for e in frame.templates["zh"]]
        for way in set().union(*ways):
            for one, two in itertools.pairwise(way):
                follows.setdefault(one, set()).add(two)
        for here, there in itertools.pairwise(ways):
            for way in here:
                follows.setdefault(way[-1], set()).update(w[0] for w in there)
        firsts |= {way[0] for way in ways[0]}
        lasts |= {way[-1] for way in ways[-1]}
    for token in lasts:
        follows.setdefault(token, set()).update(firsts)

    def completes(token: str, rest: str) -> bool:
        return any(
            following.startswith(rest)
            or (rest.startswith(following) and completes(following, rest[len(following) :]))
            for following in follows.get(token, ())
        )

    known = set(tales.terminals("zh"))
    assert known <= follows.keys()
    for short, long in itertools.permutations(known, 2):
        if long.startswith(short):
            assert not completes(short, long[len(short) :]), f"{short} could be read as {long}"


# Entropy


@pytest.fixture
def reduced(monkeypatch):
    """A grammar small enough to list every story."""
    full = grammar.load()
    sizes = {"name": 3, "object": 2, "place": 2, "joy": 2, "spot": 2}
    kept = {
        "open": [0], "bond": [1], "thing": [1], "plot": [0, 13], "mood": [0, 3],
        "go": [0, 2], "event": [0, 1], "end": [1, 3], "close": [0, 5], "coda": [0, 1],
    }  # fmt: skip
    classes = {}
    for name, words in full.classes.items():
        n = sizes.get(name, 1)
        weights = words.weights[:n]
        classes[name] = dataclasses.replace(
            words, rows=words.rows[:n], weights=tuple(w / sum(weights) for w in weights)
        )
    stages = {
        stage: tuple(f for f in frames if f.index in kept.get(stage, range(99)))
        for stage, frames in full.stages.items()
    }
    # `Story` finds a frame by its index.
    stages = {
        stage: tuple(dataclasses.replace(f, index=i) for i, f in enumerate(frames))
        for stage, frames in stages.items()
    }
    small = dataclasses.replace(full, classes=classes, stages=stages)
    caches = [
        language._frames, language._trie, language._pieces, exact.state_probabilities,
        exact.nats_by_kind, exact._slot_entropy, exact._named_before,
    ]  # fmt: skip
    for module in (language, exact, story):
        monkeypatch.setattr(module, "load", lambda: small)
    for cache in caches:
        cache.cache_clear()
    yield small
    for cache in caches:
        cache.cache_clear()


def _every_story(tongue: Language, state, p: float = 1.0, tokens: tuple = ()):
    if state.stage == "END":
        yield p, tokens
        return
    for share, frame in tongue.frames(state.stage, state.decided):
        classes = tongue.classes_of(frame, state.decided)
        choices = [tongue.allowed(slot, of, state) for slot, of in classes.items()]
        for items in itertools.product(*choices):
            fills, odds = {}, 1.0
            for (slot, of), item, allowed in zip(classes.items(), items, choices, strict=True):
                weights = tongue.grammar.classes[of].weights
                odds *= weights[item] / sum(weights[i] for i in allowed)
                fills[slot] = (of, item)
            said = tuple(t for t, _, _ in tongue.say(frame, {**state.bound, **fills}))
            yield from _every_story(
                tongue, tongue.after(state, frame, fills), p * share * odds, tokens + said
            )


@BOTH
def test_a_small_grammar_listed_whole_agrees_with_the_entropy(reduced, tongue):
    stories = list(_every_story(Language(name=tongue), Language(name=tongue).start))
    assert len(stories) > 1000
    assert math.fsum(p for p, _ in stories) == pytest.approx(1, abs=1e-9)
    assert len({tokens for _, tokens in stories}) == len(stories)  # each text once
    bits = -math.fsum(p * math.log2(p) for p, _ in stories)
    assert tales.entropy(tongue) == pytest.approx(bits, abs=1e-9)
    assert sum(tales.entropy_by_kind(tongue).values()) == pytest.approx(bits, abs=1e-9)

    # The next token's distribution is the sum over every story that begins so.
    chance = random.Random(0)
    for _ in range(12):
        _, tokens = chance.choice(stories)
        prefix = tokens[: chance.randrange(len(tokens))]
        fits: dict[str, float] = {}
        for p, other in stories:
            if other[: len(prefix)] == prefix:
                fits[other[len(prefix)]] = fits.get(other[len(prefix)], 0) + p
        total = sum(fits.values())
        told = tales.next_distribution(prefix, tongue)
        assert told.keys() == fits.keys()
        for token, p in told.items():
            assert p == pytest.approx(fits[token] / total, abs=1e-9)


@BOTH
def test_monte_carlo_agrees_with_the_entropy_within_its_error(tongue):
    drawn = tales.generate(seed=21, n=4000, language=tongue)
    surprise = np.array([-s.logprob for s in drawn]) / math.log(2)
    error = surprise.std() / math.sqrt(len(surprise))
    assert abs(surprise.mean() - tales.entropy(tongue)) < 3.5 * error


def test_splitting_biases_the_entropy_by_less_than_a_hundredth_of_a_bit():
    """Stories are split by a hash; a split is biased if its mean surprise is not the language's.

    The number of stories in a split is about 2 to the entropy times its share; the mean surprise
    of a random subset of N equally weighty stories strays by about 1/√N bits.
    """
    assert 2 ** (-0.5 * (tales.entropy() + math.log2(0.05))) < 0.01


def test_names_and_free_variation_carry_at_most_half_the_bits():
    by_kind = tales.entropy_by_kind()
    assert by_kind["name"] + by_kind["free"] <= tales.entropy() / 2
    assert by_kind["recall"] == by_kind["track"] == by_kind["agreement"] == 0


def test_states_stay_below_the_limit():
    assert len(exact.state_probabilities()) <= exact.MAX_STATES
    at_end = [p for (stage, _), p in exact.state_probabilities().items() if stage == "END"]
    assert math.fsum(at_end) == pytest.approx(1, abs=1e-9)


# What the stories are like


def test_stories_differ_in_more_than_their_content_words():
    rows = [row for c in grammar.load().classes.values() for row in c.rows]
    content = {word for row in rows for word in row["en"].split()}
    drawn = tales.generate(seed=5, n=200)
    skeletons = {tuple("_" if t in content else t for t in s.tokens) for s in drawn}
    assert len(skeletons) >= 150


def test_stories_have_the_length_that_is_promised():
    lengths = [sum(t[0].isalpha() for t in s.tokens) for s in tales.generate(seed=6, n=1000)]
    assert 40 <= min(lengths) and np.percentile(lengths, 75) <= 80 and max(lengths) <= 100


def test_every_english_word_has_a_part_of_speech():
    for told in tales.generate(seed=7, n=500):
        assert all(told.tags)
        assert len(told.tags) == len(told.kinds) == len(told.token_nats) == len(told.tokens) + 1
        assert set(told.kinds) <= set(tales.KINDS)


def test_articles_and_capitals():
    told = " ".join(s.text for s in tales.generate(seed=8, n=2000))
    wrong_a = re.findall(r"\b[Aa] (?:[aeiou]\w*|honest)\b", told)
    after_an = re.findall(r"\b[Aa]n (\w+)", told)
    wrong_an = [w for w in after_an if w[0] not in "aeiou" and w != "honest"]
    assert not wrong_a and not wrong_an
    assert not re.search(r"[.!] [a-z]|“[a-z]", told)
    assert " ," not in told and "  " not in told


def test_chinese_measure_words_and_pronouns_agree():
    for told in tales.generate(seed=9, n=300, language="zh"):
        rows = grammar.load().classes["object"].rows
        measure = {row["zh"]: row["m"] for row in rows}[told.facts["O"]]
        assert f"一{measure}" in told.text or f"那{measure}" in told.text
        women = {row["zh"] for row in grammar.load().classes["name"].rows if row["g"] == "f"}
        if not {told.facts["A"], told.facts["B"]} & women:
            assert "她" not in told.text


# Splits and what training never sees


def test_splits_share_no_story():
    drawn = {
        split: {s.choices for s in tales.generate(seed=seed, n=200, split=split)}
        for split in ("train", "dev", "test")
        for seed in (0,)
    }
    for one, two in itertools.combinations(drawn, 2):
        assert not drawn[one] & drawn[two]
    # The split is the story's own, whatever the language it is told in.
    zh = tales.generate(seed=0, n=50, language="zh", split="test")
    assert {s.translate("en").choices for s in zh} <= drawn["test"]


def test_held_out_combinations_have_probability_zero():
    for told in tales.generate(seed=1, n=50, split="held-out"):
        assert tales.logprob(told.text) == -math.inf
        assert tales.parse(told.text, held_out=True) == told
    facts = [s.facts for s in tales.generate(seed=1, n=3000)]
    seen = {(f["plot"], f["closing"]) for f in facts}
    apart = tales.generate(seed=1, n=300, split="held-out")
    unseen = {(s.facts["plot"], s.facts["closing"]) for s in apart}
    assert not seen & unseen
    assert len(unseen) == 8


# Bad input


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ("", "token 0: expected"),
        ("Anna ran.", "token 1: expected ','; got 'ran'"),
        ("Anna, a shy baker, lived by the moon.", "'moon' is not a word"),
        ("anna, a shy baker, lived by the sea.", "not a word"),
        ("Anna , a shy baker, lived by the sea.", "capitals and spaces"),
        ("Anna, a shy baker, lived by the sea.", "got the end of the text"),
        ("你好", "is not a word"),
    ],
)
def test_text_outside_the_language_says_where_and_what_was_expected(bad, says):
    with pytest.raises(tales.NotATale, match=re.escape(says)):
        tales.parse(bad)
    assert tales.logprob(bad) == -math.inf


def test_chinese_outside_the_language():
    with pytest.raises(tales.NotATale, match="token 0: no word of tales begins"):
        tales.parse("你好。", "zh")
    with pytest.raises(tales.NotATale, match="token 0: expected"):
        tales.parse("", "zh")


def test_a_story_that_goes_on_is_refused():
    (told,) = tales.generate(seed=2, n=1)
    with pytest.raises(tales.NotATale, match="nothing more"):
        tales.next_distribution([*told.tokens, tales.END, "she"])
    assert tales.next_distribution([*told.tokens, tales.END]) == {}


def test_wrong_arguments_name_the_rule_and_the_value():
    with pytest.raises(ValueError, match=r"language must be one of .*'fr'"):
        tales.generate(seed=0, n=1, language="fr")
    with pytest.raises(ValueError, match=r"split must be one of .*'all'"):
        tales.generate(seed=0, n=1, split="all")
    with pytest.raises(ValueError, match="n must not be negative, got -1"):
        tales.generate(seed=0, n=-1)
    with pytest.raises(ValueError, match="turns must be between 1 and 11, got 12"):
        tales.dialogue(tales.generate(seed=0, n=1)[0], turns=12)
    assert tales.generate(seed=0, n=0) == []


# Labels


def test_sentiment_is_drawn_with_its_own_probability_and_is_the_same_in_both_languages():
    drawn = tales.generate(seed=31, n=3000)
    p = np.array([tales.sentiment_probability(s) for s in drawn])
    happy = np.array([tales.sentiment(s) == "happy" for s in drawn])
    error = math.sqrt((p * (1 - p)).sum()) / len(p)
    assert abs(happy.mean() - p.mean()) < 4 * error
    assert np.maximum(p, 1 - p).mean() < 0.98  # no reader can be right always
    assert all(tales.sentiment(s) == tales.sentiment(s.translate("zh")) for s in drawn[:50])


@BOTH
def test_answers_stand_in_the_story_and_the_unanswerable_have_none(tongue):
    for told in tales.generate(seed=32, n=60, language=tongue):
        asked = tales.questions(told)
        assert {q.about for q in asked if q.answer is None} == {"age", "mother", "price"}
        for q in asked:
            assert "{" not in q.question
            assert q.answer is None or q.answer.lower() in told.text.lower()
        gist = tales.summary(told)
        assert told.facts["O"] in gist and "{" not in gist
        talk = tales.dialogue(told, seed=1)
        assert [who for who, _ in talk] == ["user", "assistant"] * 3


def test_the_twenty_stories_on_show_are_the_languages_own():
    page = (Path(tales.__file__).parent / "README.md").read_text(encoding="utf-8")
    for told in tales.generate(seed=2026, n=20):
        assert told.text in page
        assert told.translate("zh").text in page


def test_cursor_reads_nothing_after_the_end():
    (told,) = tales.generate(seed=2, n=1)
    cursor = Cursor(Language(name="en"))
    for token in (*told.tokens, tales.END):
        cursor.read(token)
    assert cursor.done and cursor.mass() == {}
    assert text.check_language("en") is None
