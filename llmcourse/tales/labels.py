"""Labels that follow from a story's choices: summary, sentiment, questions, dialogue.

Every label is exact because the story's facts are known. Sentiment alone is drawn, with known
noise, so that the best accuracy any reader could reach is known and below 100 %.
"""

import random
import re
from dataclasses import dataclass
from functools import cache

from llmcourse.tales.story import Story
from llmcourse.tales.text import check_language

# How often readers call a story happy, by its outcome and the hero's last feeling. The feeling of
# the friend does not count: a bag of words cannot tell whose it was.
HAPPY = {
    ("good", "joy"): 0.98,
    ("good", "sorrow"): 0.10,
    ("bad", "joy"): 0.90,
    ("bad", "sorrow"): 0.02,
}


@dataclass(frozen=True, kw_only=True)
class QA:
    """A question on a story; `answer` is None where the story does not say."""

    question: str
    answer: str | None
    about: str  # which fact is asked for


def sentiment_probability(story: Story) -> float:
    """How likely the story is labelled happy; the best guess is right with max(p, 1 − p)."""
    facts = story.facts
    return HAPPY[facts["outcome"], facts["final"]]


def sentiment(story: Story, seed: int = 0) -> str:
    """`"happy"` or `"sad"`, drawn with the story's own probability; the same in both languages."""
    rng = random.Random(f"sentiment {seed} {story.choices}")
    return "happy" if rng.random() < sentiment_probability(story) else "sad"


_GIST = {  # plot: (good, bad), each (English, Chinese)
    "lost": (
        ("{A} lost the {O} and got it back.", "{A}丢了{O}，又找回来了。"),
        ("{A} lost the {O} for good.", "{A}丢了{O}，再也没找到。"),
    ),
    "broken": (
        ("{A}’s {O} broke and was mended.", "{A}的{O}坏了，又修好了。"),
        ("{A}’s {O} broke for good.", "{A}的{O}坏了，修不好了。"),
    ),
    "gift": (
        ("{A} gave {B} the {O}, to great joy.", "{A}把{O}送给{B}，对方很高兴。"),
        ("{A} offered {B} the {O} in vain.", "{A}想把{O}送给{B}，却没人要。"),
    ),
    "race": (
        ("{A} beat {B} in a race for the {O}.", "{A}赛跑赢了{B}，得到{O}。"),
        ("{A} lost a race for the {O} to {B}.", "{A}赛跑输给{B}，失去{O}。"),
    ),
    "sale": (
        ("{A} sold the {O}.", "{A}卖掉了{O}。"),
        ("{A} could not sell the {O}.", "{A}没能卖掉{O}。"),
    ),
    "quarrel": (
        ("{A} and {B} made up over the {O}.", "{A}和{B}为{O}吵架，后来和好了。"),
        ("{A} and {B} fell out over the {O}.", "{A}和{B}为{O}闹翻了。"),
    ),
    "hidden": (
        ("{B} hid {A}’s {O} and gave it back.", "{B}藏起{A}的{O}，后来还了。"),
        ("{B} hid {A}’s {O} for good.", "{B}藏起{A}的{O}，再没还。"),
    ),
    "loan": (
        ("{B} borrowed {A}’s {O} and gave it back.", "{B}借了{A}的{O}，后来还了。"),
        ("{B} borrowed {A}’s {O} and lost it.", "{B}借了{A}的{O}，没有还成。"),
    ),
}


def summary(story: Story, outcome: str | None = None) -> str:
    """One sentence that says who, what and how it ended.

    With `outcome`, "good" or "bad", it says that it ended so, true or not.

    Raises:
        ValueError: another `outcome`.
    """
    facts = story.facts
    outcome = facts["outcome"] if outcome is None else outcome
    if outcome not in ("good", "bad"):
        raise ValueError(f"outcome must be 'good' or 'bad', got {outcome!r}")
    gist = _GIST[facts["plot"]][outcome == "bad"]
    return gist[story.language == "zh"].format(**facts)


@cache
def _forms(language: str) -> list[tuple[str, str, re.Pattern]]:
    zh, forms = language == "zh", []
    for plot, endings in _GIST.items():
        for outcome, wording in zip(("good", "bad"), endings, strict=True):
            form = re.sub(r"\\{(\w)\\}", r"(?P<\1>[^ ]+?)", re.escape(wording[zh]))
            forms.append((plot, outcome, re.compile(form)))
    return forms


def claims(text: str, language: str = "en") -> dict[str, str] | None:
    """What a summary says: plot, outcome, and those of A, B and O that it names.

    None where the text has not the form of a summary. Whether its words exist is not asked.
    """
    check_language(language)
    for plot, outcome, form in _forms(language):
        if found := form.fullmatch(text.strip()):
            return {"plot": plot, "outcome": outcome, **found.groupdict()}
    return None


_QUESTIONS = {  # fact: (English, Chinese); the last three are never answered by a story
    "A": ("Whose {O} is this story about?", "故事讲的是谁的{O}？"),
    "T": ("What was {A}’s trade?", "{A}是做什么的？"),
    "B": ("Who was {A}’s {R}?", "谁是{A}的{R}？"),
    "H": ("Where did {A} live?", "{A}住在哪里？"),
    "K": ("Where was the {O} kept?", "{O}原来放在哪里？"),
    "Q": ("Where did {A} go?", "{A}去了哪里？"),
    "O": ("What was kept {K}?", "{K}放的是什么？"),
    "W": ("What was the weather like?", "天气怎么样？"),
    "age": ("How old was {A}?", "{A}几岁？"),
    "mother": ("What was the name of {B}’s mother?", "{B}的母亲叫什么？"),
    "price": ("What had the {O} once cost?", "{O}当初花了多少钱？"),
}


def questions(story: Story) -> list[QA]:
    """Every question that can be put to the story, with its exact answer or None."""
    facts, zh = story.facts, story.language == "zh"
    asked = []
    for about, wording in _QUESTIONS.items():
        answer = facts.get(about)
        if answer is not None and zh:
            answer = answer.replace(" ", "")
        known = {key: value.replace(" ", "") if zh else value for key, value in facts.items()}
        asked.append(QA(question=wording[zh].format(**known), answer=answer, about=about))
    return asked


_UNKNOWN = ("The story does not say.", "故事里没有说。")


def dialogue(story: Story, seed: int = 0, turns: int = 3) -> list[tuple[str, str]]:
    """A short talk about the story, as (speaker, text): questions by the user, exact answers.

    Raises:
        ValueError: `turns` is not between 1 and the number of questions.
    """
    asked = questions(story)
    if not 1 <= turns <= len(asked):
        raise ValueError(f"turns must be between 1 and {len(asked)}, got {turns}")
    rng = random.Random(f"dialogue {seed} {story.choices}")
    talk = []
    for qa in rng.sample(asked, turns):
        reply = _UNKNOWN[story.language == "zh"]
        if qa.answer is not None:
            reply = qa.answer + "。" if story.language == "zh" else _sentence(qa.answer)
        talk += [("user", qa.question), ("assistant", reply)]
    return talk


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:] + "."
