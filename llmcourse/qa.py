"""Questions on a corpus of tales: who is asked about, what a reader is shown, and how it is judged.

A corpus holds many stories, so a question must say which one it means: two clues that no other
story of the corpus has together, then what is asked.

    Martin and the bell: Where did Martin live?

The reader sees numbered passages and writes the answer with the number of the passage that says
it, `By the sea. [2]`, or says that it is not told. Every answer is known, so every reply is one of
four things: right, right but wrongly cited, abstained, or made up.
"""

import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from llmcourse import chat, tales
from llmcourse.align.stories import UNKNOWN
from llmcourse.tales.grammar import load
from llmcourse.tokenizers import Tokenizer

__all__ = [
    "FACTS",
    "NEVER",
    "OUTCOMES",
    "UNKNOWN",
    "Asked",
    "cited",
    "corpus",
    "demonstrations",
    "judge",
    "mirrored",
    "nowhere",
    "prompt",
    "questions",
    "retell",
    "turns",
]

# fact: (its two clues, English, Chinese). Clues are the hero A, the other B and the thing O.
FACTS = {
    "A": ("BO", "Who is the story about?", "故事讲的是谁？"),
    "T": ("AO", "What was {A}’s trade?", "{A}是做什么的？"),
    "B": ("AO", "Who was {A}’s {R}?", "谁是{A}的{R}？"),
    "H": ("AO", "Where did {A} live?", "{A}住在哪里？"),
    "K": ("AO", "Where was the {O} kept?", "{O}原来放在哪里？"),
    "Q": ("AO", "Where did {A} go?", "{A}去了哪里？"),
    "O": ("AB", "What was {A}’s treasure?", "{A}的宝贝是什么？"),
    "W": ("AO", "What was the weather like?", "天气怎么样？"),
}
NEVER = {  # no story says it, and the wording alone shows that
    "age": ("AO", "How old was {A}?", "{A}几岁？"),
    "mother": ("AO", "What was the name of {A}’s mother?", "{A}的母亲叫什么？"),
    "price": ("AO", "What had the {O} once cost?", "{O}当初花了多少钱？"),
}
_CLASSES = {"A": "name", "B": "name", "O": "object", "Q": "place"}
OUTCOMES = ("right", "wrong citation", "abstained", "made up")
_CITED = re.compile(r"(.*?) ?\[(\d{1,3})\]", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A question on a corpus, and the one right reply (without its citation)."""

    story: int | None  # the story's number in the corpus; None: no story says it
    about: str
    question: str
    wanted: str

    @property
    def answerable(self) -> bool:
        """Whether a story of the corpus says it."""
        return self.wanted not in UNKNOWN.values()


def _known(story: tales.Story) -> dict[str, str]:
    """The story's facts as they are written: Chinese without spaces."""
    tight = story.language == "zh"
    return {k: v.replace(" ", "") if tight else v for k, v in story.facts.items()}


def _pairs(story: tales.Story) -> set[frozenset[str]]:
    """What clues of a story can name, without order: {A, O}, {B, O} and {A, B}."""
    a, b, o = (story.facts[k] for k in "ABO")
    return {frozenset(pair) for pair in ((a, o), (b, o), (a, b))}


def corpus(*, seed: int, n: int, language: str = "en", split: str = "test") -> list[tales.Story]:
    """`n` stories, no two of which share a pair of clues: each question has one story.

    Raises:
        ValueError: `n` is negative or over 400, the number up to which such stories are found.
    """
    if not 0 <= n <= 400:
        raise ValueError(f"n must lie in 0..400, got {n}")
    taken: set[frozenset[str]] = set()
    found: list[tales.Story] = []
    for story in tales.generate(seed=seed, n=3 * n, language="en", split=split):
        pairs = _pairs(story)
        if len(found) < n and not pairs & taken:
            found.append(story)
            taken |= pairs
    if len(found) < n:
        raise ValueError(f"only {len(found)} of {n} stories with clues of their own were found")
    return [story.translate(language) for story in found]


def retell(story: tales.Story, **names: str) -> tales.Story | None:
    """The same story with other people or another thing: `retell(s, A="Olga", O="bell")`.

    None where the language does not tell it so: nobody is named twice, and some heroes and places
    never meet.
    """
    items = {}
    for slot, text in names.items():
        group = load().classes[_CLASSES[slot]].rows
        items[slot] = next(i for i, row in enumerate(group) if row[story.language] == text)
    told = tuple(
        (stage, frame, tuple((slot, items.get(slot, item)) for slot, item in fills))
        for stage, frame, fills in story.choices
    )
    drawn = {slot: item for _, _, fills in told for slot, item in fills}
    for first, second in load().holdout:  # pairs that training never tells
        if first in drawn and second in drawn:
            n = len(load().classes[_CLASSES[second]])
            if (drawn[second] == drawn[first] % n) != story.held_out:
                return None
    return None if drawn["A"] == drawn["B"] else replace(story, choices=told)


def mirrored(stories: Sequence[tales.Story], *, seed: int = 0) -> list[tales.Story]:
    """For each story another with the same three clues, hero and other having changed places.

    Everything else in it is drawn anew. No bag of words can tell which of the two a question
    means. The question who a story is about has no single answer in a corpus that holds both.
    """
    return [_mirror_image(story, 1_000_003 * seed + n) for n, story in enumerate(stories)]


def _mirror_image(story: tales.Story, seed: int) -> tales.Story:
    a, b, o = (story.facts[k] for k in "ABO")
    for n in (1, 4, 64):  # the language tells nearly every one, so mostly the first
        fresh = tales.generate(seed=seed, n=n, language=story.language)
        retold = (retell(other, A=b, B=a, O=o) for other in fresh)
        image = next((other for other in retold if other is not None), None)
        if image is not None:
            return image
    raise ValueError(f"no story was found in which {b} and {a} change places")


def _ask(known: dict[str, str], language: str, about: str) -> tuple[str, str]:
    """Question and reply of one fact, from what is known of a story."""
    zh = language == "zh"
    clues, *wording = (FACTS | NEVER)[about]
    first, second = (known[c] for c in clues)
    the = "" if zh or clues == "AB" else "the "
    opening = f"{first}和{second}：" if zh else f"{first} and {the}{second}: "
    answer = known[about] if about in FACTS else None
    if answer is None:
        reply = UNKNOWN[language]
    else:
        reply = answer + "。" if zh else answer[:1].upper() + answer[1:] + "."
    return opening + wording[zh].format(**known), reply


def questions(stories: Sequence[tales.Story], facts: Sequence[str] = tuple(FACTS)) -> list[Asked]:
    """Every question of these facts on each story in turn; `NEVER` names those never told."""
    found = []
    for number, story in enumerate(stories):
        for about in facts:
            question, reply = _ask(_known(story), story.language, about)
            gold = number if about in FACTS else None
            found.append(Asked(story=gold, about=about, question=question, wanted=reply))
    return found


def nowhere(stories: Sequence[tales.Story], *, seed: int, n: int) -> list[Asked]:
    """Questions worded like answerable ones whose two clues stand in no story together.

    Each clue alone is in the corpus, so a search finds something, and only reading what it found
    shows that the question has no answer.

    Raises:
        ValueError: there are fewer than two stories, or they hold every pair of their clues.
    """
    rng = random.Random(f"nowhere {seed}")
    taken = {pair for story in stories for pair in _pairs(story)}
    if len(stories) < 2:
        raise ValueError(f"clues of two stories are needed, got {len(stories)}")
    found: list[Asked] = []
    for _ in range(1000 + 100 * n):
        if len(found) == n:
            return found
        hero, other = rng.sample(stories, 2)
        about = rng.choice([f for f in FACTS if f != "A"])
        slot = FACTS[about][0][1]  # the clue beside the hero: a thing or the other person
        mixed = {**_known(hero), slot: _known(other)[slot]}
        pair = frozenset((hero.facts["A"], other.facts[slot]))
        if pair in taken or len(pair) < 2:
            continue
        question, _ = _ask(mixed, hero.language, about)
        found.append(
            Asked(story=None, about=about, question=question, wanted=UNKNOWN[hero.language])
        )
    raise ValueError(f"{len(stories)} stories have too few pairs of clues that none of them holds")


def turns(question: str, passages: Sequence[str]) -> list[chat.Turn]:
    """What a reader is given: the passages, numbered from 1, as a tool's turn; the question."""
    shown = "\n".join(f"[{n}] {text}" for n, text in enumerate(passages, start=1))
    return [*([("tool", shown)] if passages else []), ("user", question)]


def prompt(
    tokenizer: Tokenizer, question: str, passages: Sequence[str], *, context: int
) -> list[int]:
    """The same as ids, up to where the answer begins.

    Raises:
        ValueError: it leaves no room in the context for an answer; the message gives both lengths.
    """
    return chat.prompt(tokenizer, turns(question, passages), language="en", context=context)


def cited(reply: str | None) -> tuple[str | None, int | None]:
    """The answer and the passage's number; None where the reply has none.

    >>> cited("By the sea. [2]")
    ('By the sea.', 2)
    """
    match = _CITED.fullmatch(reply) if reply else None
    return (match[1], int(match[2])) if match else (reply, None)


def judge(reply: str | None, asked: Asked, shown: Sequence[int]) -> str:
    """Which of `OUTCOMES` a reply is; `shown` are the numbers of the stories in their order.

    A reply that did not end is made up: it is no abstention, and no reader can use it.
    """
    if reply in UNKNOWN.values():
        return "right" if not asked.answerable else "abstained"
    answer, number = cited(reply)
    if not asked.answerable or answer != asked.wanted:
        return "made up"
    names_gold = number is not None and 1 <= number <= len(shown)
    return "right" if names_gold and shown[number - 1] == asked.story else "wrong citation"


def _company(story: tales.Story, others: Sequence[tales.Story], rng: random.Random):
    """A story to stand beside another: unrelated, or retold so that it shares clues."""
    other = rng.choice(others)
    facts = story.facts
    shared = rng.choice((
        {}, {}, {"A": facts["A"]}, {"O": facts["O"]}, {"B": facts["A"], "O": facts["O"]},
        {"A": facts["B"], "B": facts["A"], "O": facts["O"]},
    ))  # fmt: skip
    told = retell(other, **shared)
    if told is None or {told.facts["A"], told.facts["O"]} == {facts["A"], facts["O"]}:
        return other
    return told


def demonstrations(
    tokenizer: Tokenizer,
    *,
    seed: int,
    n: int,
    passages: dict[int, float],
    context: int,
    asked: int = 6,
    missing: float = 0.25,
    never: float = 0.1,
) -> list[tuple[list[int], list[bool]]]:
    """Talks that show how to answer from passages, as `chat.encode` gives them.

    Each has some passages (their number drawn with the weights of `passages`) and up to `asked`
    questions, as many as fit: on one of them, on clues that no passage has together (with
    probability `missing`), or on what no story says (`never`).
    """
    rng = random.Random(f"demonstrations {seed}")
    told = tales.generate(seed=seed, n=max(2 * n, 64), split="train")
    rows = []
    while len(rows) < n:
        k = rng.choices(list(passages), list(passages.values()))[0]
        first = rng.choice(told)
        shown = [first, *(_company(first, told, rng) for _ in range(k - 1))][:k]
        rng.shuffle(shown)
        taken = Counter(pair for story in shown for pair in _pairs(story))
        talk = turns("", [story.text for story in shown])[:-1]
        start = len(talk)
        for _ in range(asked):
            question, reply = _demonstrated(shown, told, taken, rng, missing, never)
            talk += [("user", question), ("assistant", reply)]
        row = chat.encode(tokenizer, talk, language="en")
        while len(row[0]) > context and len(talk) > start + 2:
            talk = talk[:-2]
            row = chat.encode(tokenizer, talk, language="en")
        if len(row[0]) <= context:
            rows.append(row)
    return rows


def _demonstrated(shown, told, taken, rng, missing, never) -> tuple[str, str]:
    chance = rng.random()
    if not shown or chance < missing:
        # Clues of what is shown twice as often as clues of stories that are not.
        some = [*shown, *shown, *rng.sample(told, 4)]
        asked = nowhere(some, seed=rng.randrange(2**31), n=1)[0]
        return asked.question, asked.wanted
    number = rng.randrange(len(shown))
    if chance < missing + never:
        return _ask(_known(shown[number]), "en", rng.choice(list(NEVER)))
    about = rng.choice(list(FACTS))
    facts = shown[number].facts
    if about == "A" and taken[frozenset((facts["B"], facts["O"]))] > 1:
        about = "H"  # two stories would answer who it is about
    question, reply = _ask(_known(shown[number]), "en", about)
    return question, f"{reply} [{number + 1}]"
