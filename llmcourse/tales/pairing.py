"""The true word alignment of a tale and its translation, known because both speak one choice.

>>> from llmcourse import tales
>>> story = tales.generate(seed=0, n=1)[0]
>>> sure, possible = tales.word_alignment(story)
>>> sure <= possible
True
"""

from collections.abc import Iterator
from itertools import chain

from llmcourse.tales.grammar import END, LANGUAGES, Element, Frame
from llmcourse.tales.language import Language, State
from llmcourse.tales.story import Story

__all__ = ["sentence_pairs", "word_alignment"]

Link = tuple[int, int]
Label = tuple[str, ...]
FORM: Label = ("form",)  # words of a frame: they translate one another as a whole


def _label(e: Element) -> Label:
    if e.form == "literal":
        return FORM
    if e.form in ("draw", "recall"):
        return ("word", e.key if e.form == "draw" else e.of, e.field)
    return ("measure", e.of) if e.form == "m" else ("pronoun", e.of, e.also)


def _spoken(
    tongue: Language, frame: Frame, state: State, items: dict, at: int
) -> Iterator[tuple[Label, list[int]]]:
    """The pieces of a sentence: what each says, and where in the story its tokens stand."""
    for e in frame.templates[tongue.name]:
        if e.word == END:
            continue
        n = len(tongue.spoken(e, {**state.bound, **items}))
        places = list(range(at, at + n))
        at += n
        if e.article and tongue.name == "en":
            yield FORM, places[:1]
            places = places[1:]
        yield _label(e), places


def word_alignment(story: Story) -> tuple[set[Link], set[Link]]:
    """Links (position in the story, position in its translation): the sure, and all possible ones.

    Sure: both words speak the same choice, each alone ("kite" and 风筝, "she" and 她). Possible,
    too: the words of a choice that takes several ("by the sea" and 海边), the words of a sentence's
    frame in both languages, and a measure word with its thing and its frame. Nothing else is.
    """
    ours = story.language
    theirs = LANGUAGES[1 - LANGUAGES.index(ours)]
    at = {ours: 0, theirs: 0}
    sure: set[Link] = set()
    possible: set[Link] = set()
    for state, frame, items in story.sentences:
        said: dict[str, dict[Label, list[list[int]]]] = {}
        for name in (ours, theirs):
            tongue = Language(name=name, held_out=story.held_out)
            groups = said.setdefault(name, {})
            for label, places in _spoken(tongue, frame, state, items, at[name]):
                groups.setdefault(label, []).append(places)
                at[name] += len(places)
        _join(said[ours], said[theirs], sure, possible)
        # A measure word belongs to its thing: on the Chinese side only.
        for one, other, turned in ((ours, theirs, False), (theirs, ours, True)):
            for label, groups in said[one].items():
                if label[0] != "measure":
                    continue
                near = said[other].get(("word", label[1], ""), []) + said[other].get(FORM, [])
                for i in chain(*groups):
                    for j in chain(*near):
                        possible.add((j, i) if turned else (i, j))
    return sure, sure | possible


def _join(a: dict, b: dict, sure: set[Link], possible: set[Link]) -> None:
    """Add the links between what both sides say."""
    for label in a.keys() & b.keys():
        ours, theirs = a[label], b[label]
        if label != FORM and len(ours) == len(theirs):  # the k-th mention with the k-th
            for x, y in zip(ours, theirs, strict=True):
                links = {(i, j) for i in x for j in y}
                (sure if len(links) == 1 else possible).update(links)
        else:
            possible.update((i, j) for x in ours for i in x for y in theirs for j in y)


def sentence_pairs(story: Story) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Each sentence's tokens in the story's language and in the other, in order."""
    other = story.translate(LANGUAGES[1 - LANGUAGES.index(story.language)])
    out, a, b = [], 0, 0
    for end, other_end in zip(story.sentence_ends, other.sentence_ends, strict=True):
        if end > a:  # a story may close without a last word
            out.append((story.tokens[a:end], other.tokens[b:other_end]))
        a, b = end, other_end
    return out
