"""One exchange of each skill, drawn with a generator, and the state of the talk it hangs on."""

import json
import random
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files

from llmcourse import chat, tales
from llmcourse.align.stories import UNKNOWN
from llmcourse.calculator import CalculatorError, calculate
from llmcourse.tales.grammar import load
from llmcourse.toolbox import NOTHING_FOUND

__all__ = [
    "CANNOT",
    "NOTHING",
    "NO_TOOLS",
    "READ",
    "SKILLS",
    "UNKNOWABLE",
    "Exchange",
    "State",
    "exchange",
    "is_test",
    "sum_of",
    "word",
]

UNKNOWABLE = {"en": "I do not know that.", "zh": "这个我不知道。"}
CANNOT = {"en": "That cannot be computed.", "zh": "这个算不出来。"}
NOTHING = {"en": "The documentation does not say.", "zh": "文档里没有说。"}
NO_TOOLS = {"en": "No tools.", "zh": "没有工具。"}
READ = {"en": "I have read it.", "zh": "读完了。"}
# Of each list of wordings the last is never in training, so that other words can be told apart.
_W = json.loads(files("llmcourse").joinpath("assistant/wordings.json").read_text("utf-8"))
SKILLS = ("small talk", "tell", "recall", "story", "ask", "sum", "docs", "unknowable")


@dataclass
class State:
    """What was said so far in a talk, as far as answers hang on it."""

    language: str
    tools: bool = True
    story: tales.Story | None = None
    told: dict[str, str] = field(default_factory=dict)  # "name" and "thing"


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """A user's turn and all that rightly follows, up to the assistant's last word."""

    skill: str
    about: str
    turns: tuple[chat.Turn, ...]
    learn: tuple[bool, ...]  # by turn; a call that fails is shown and not learned

    @property
    def wanted(self) -> str:
        """The right last word."""
        return self.turns[-1][1]

    @property
    def call(self) -> str | None:
        """The right call, the last one where one failed before it; None: no tool is needed."""
        calls = [text for role, text in self.turns if role == chat.CALL]
        return calls[-1] if calls else None


def is_test(text: str) -> bool:
    """Whether a sum, or the words to look up, are kept for the test: one in eight are."""
    return zlib.crc32(text.encode()) % 8 == 0


def _wording(rng: random.Random, group: Sequence[str], new: bool) -> str:
    return group[-1] if new else rng.choice(group[:-1])


def _item(rng: random.Random, kind: str, language: str) -> str:
    return rng.choice(load().classes[kind].rows)[language].replace(
        " ", "" if language == "zh" else " "
    )


def word(rng: random.Random) -> str:
    """A word of no language: letters as in the names of a program."""
    some = "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(2, 8)))
    shape = rng.random()
    if shape < 0.3:  # letters that repeat, as in real words, are the hard ones to copy
        some = "".join(rng.choice("etaoinsrl") for _ in range(rng.randint(3, 9)))
    return f"{some[:3]}_{some[3:]}" if shape > 0.93 else some.capitalize() if shape > 0.85 else some


def _phrase(rng: random.Random, test: bool) -> str:
    while True:
        phrase = " ".join(word(rng) for _ in range(rng.choice((1, 1, 2, 2, 3))))
        if is_test(phrase) == test:
            return phrase


def _number(rng: random.Random, longest: int = 3) -> int:
    size = rng.randint(1, longest)
    return rng.randint(0 if size == 1 else 10 ** (size - 1), 10**size - 1)


def sum_of(rng: random.Random, about: str, test: bool) -> tuple[dict[str, str], str]:
    """What the wording is filled with, and the sum as the calculator reads it."""
    while True:
        a, b = _number(rng), _number(rng)
        if about == "*":
            a, b = _number(rng, 2), _number(rng, 2)
        elif about == "/":
            b = _number(rng, 2)
            a = b * rng.randint(1, 50) if b else a
            if b == 0 and rng.random() < 0.5:
                continue
        fill = {"a": str(a), "b": str(b)}
        made = f"{a} {about} {b}"
        if about == "()":
            one, two = rng.choice("+-*"), rng.choice("*+-")
            c = _number(rng, 2)
            made = rng.choice((f"({a} {one} {b}) {two} {c}", f"{a} {two} ({b} {one} {c})"))
            fill = {"e": made}
        if is_test(made) == test:
            return fill, made


def _answered(sum_: str, language: str) -> tuple[str, str]:
    """What the calculator says, and the answer from it."""
    try:
        value = calculate(sum_)
    except CalculatorError as error:
        return f"error: {error}", CANNOT[language]
    return value, value + ("。" if language == "zh" else ".")


def _failing(rng: random.Random, question: str, made: str) -> tuple[str, str] | None:
    """A call that fails, and what the tool says: never learned, only what mends it."""
    kind = rng.choice(("sign", "name", "bracket"))
    sign = "×" if "×" in question else "x"
    if kind == "sign" and "*" in made:
        call = "calc " + made.replace("*", sign)
    elif kind == "bracket" and ")" in made:
        call = "calc " + made.replace(")", "")
    else:
        tool = rng.choice(("count", "sum", "math", "run"))
        return f"{tool} {made}", f"error: no tool {tool}"
    try:
        calculate(call[5:])
    except CalculatorError as error:
        return call, f"error: {error}"
    return None


def _sum(rng, state, new, test, about=None) -> Exchange:
    about = about or rng.choice(list(_W["sums"]))
    fill, made = sum_of(rng, about, test)
    question = _wording(rng, _W["sums"][about][state.language], new).format(**fill)
    result, answer = _answered(made, state.language)
    turns, learn = [("user", question)], [False]
    if state.tools:
        failed = _failing(rng, question, made) if rng.random() < 0.15 and not test else None
        if failed:
            turns += [(chat.CALL, failed[0]), ("tool", failed[1])]
            learn += [False, False]
        turns += [(chat.CALL, f"calc {made}"), ("tool", result)]
        learn += [True, False]
    return _made("sum", about, [*turns, ("assistant", answer)], [*learn, True])


def _docs(rng, state, new, test) -> Exchange:
    phrase = _phrase(rng, test)
    question = _wording(rng, _W["wordings"]["docs"][state.language], new).format(v=phrase)
    if not state.tools:
        return _simple("docs", "no tools", question, UNKNOWABLE[state.language])
    found = NOTHING_FOUND if rng.random() < 0.12 else _phrase(rng, test)
    see = f"请看{found}。" if state.language == "zh" else f"See {found}."
    answer = NOTHING[state.language] if found == NOTHING_FOUND else see
    turns = [("user", question), (chat.CALL, f"search {phrase}"), ("tool", found)]
    return _made("docs", "found", [*turns, ("assistant", answer)], [False, True, False, True])


def _made(skill: str, about: str, turns: list[chat.Turn], learn: list[bool]) -> Exchange:
    return Exchange(skill=skill, about=about, turns=tuple(turns), learn=tuple(learn))


def _simple(skill: str, about: str, question: str, answer: str) -> Exchange:
    return _made(skill, about, [("user", question), ("assistant", answer)], [False, True])


def _tell(rng, state, new, test, about=None) -> Exchange:
    about = about or rng.choice(("name", "thing"))
    zh = state.language == "zh"
    value = _item(rng, "name" if about == "name" else "object", state.language)
    state.told[about] = value
    text = _wording(rng, _W["wordings"][f"tell {about}"][state.language], new).format(v=value)
    if about == "name":
        return _simple("tell", about, text, f"你好，{value}。" if zh else f"Hello, {value}.")
    return _simple("tell", about, text, "知道了。" if zh else "I see.")


def _recall(rng, state, new, test, about=None) -> Exchange:
    about = about or rng.choice(("name", "thing"))
    zh = state.language == "zh"
    value = state.told.get(about)
    if value is None:
        answer = UNKNOWABLE[state.language]
    elif about == "name":
        answer = f"你叫{value}。" if zh else f"You are {value}."
    else:
        answer = f"{value}。" if zh else f"{value[:1].upper()}{value[1:]}."
    text = _wording(rng, _W["wordings"][f"ask {about}"][state.language], new)
    return _simple("recall", f"{about}, {'told' if value else 'not told'}", text, answer)


def _story(rng, state, new, test) -> Exchange:
    state.story = _tale(rng, state.language, test)
    return _simple("story", "story", state.story.text, READ[state.language])


def _tale(rng: random.Random, language: str, test: bool) -> tales.Story:
    split = "test" if test else "train"
    return tales.generate(seed=rng.randrange(2**31), n=1, language=language, split=split)[0]


def _ask(rng, state, new, test, about=None) -> Exchange:
    story = state.story or _tale(rng, state.language, test)
    asked = [q for q in tales.questions(story) if about in (None, q.about)]
    qa = rng.choice(asked)
    if state.story is None:
        return _simple("ask", "no story", qa.question, UNKNOWABLE[state.language])
    zh = state.language == "zh"
    if qa.answer is None:
        return _simple("ask", "not told", qa.question, UNKNOWN[state.language])
    answer = qa.answer + "。" if zh else f"{qa.answer[:1].upper()}{qa.answer[1:]}."
    return _simple("ask", qa.about, qa.question, answer)


def _unknowable(rng, state, new, test) -> Exchange:
    filled = {"w": word(rng).capitalize(), "o": _item(rng, "object", state.language)}
    text = _wording(rng, _W["wordings"]["unknowable"][state.language], new).format(**filled)
    if not new and rng.random() < 0.15:  # what is no sentence at all
        text = " ".join(word(rng) for _ in range(rng.randint(1, 4))) + rng.choice(("", "?", "."))
    return _simple("unknowable", "unknowable", text, UNKNOWABLE[state.language])


def _small_talk(rng, state, new, test) -> Exchange:
    said, reply = rng.choice(_W["small talk"][state.language])
    return _simple("small talk", "small talk", said, reply)


_MAKERS: dict[str, Callable[..., Exchange]] = {
    "small talk": _small_talk, "tell": _tell, "recall": _recall, "story": _story, "ask": _ask,
    "sum": _sum, "docs": _docs, "unknowable": _unknowable,
}  # fmt: skip


def exchange(
    rng: random.Random, state: State, skill: str, *, new: bool = False, test: bool = False, **how
) -> Exchange:
    """One exchange of a skill, drawn with `rng`; `state` learns what it tells.

    Args:
        new: a wording that no demonstration has (small talk and questions on stories have none).
        test: a sum, words or a story that no demonstration has.

    Raises:
        ValueError: there is no such skill.
    """
    if skill not in _MAKERS:
        raise ValueError(f"skill must be one of {SKILLS}, got {skill!r}")
    return _MAKERS[skill](rng, state, new, test, **how)
