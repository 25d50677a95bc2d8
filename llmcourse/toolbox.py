"""Tools that a model may call, and what becomes of a call: always a text, never an exception.

A call is a line, `calc 12 * 7`: the tool's name, then all that it is given. What a tool finds has
two faces, a short one for the model to read and one for the person to see.

>>> run("calc 9 ** 9 ** 9", {"calc": calculator}).text
'error: 9 ** 387420489 is too large'
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

from llmcourse import data, retrieval
from llmcourse.calculator import CalculatorError, calculate

__all__ = ["NOTHING_FOUND", "Documentation", "Found", "Tool", "calculator", "run", "standard"]

NOTHING_FOUND = "nothing found"
LONGEST = 60  # characters of a result that a model reads
TITLE = 24  # and of a title


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a tool gives back."""

    text: str  # for the model
    shown: str = ""  # for the person, where that is more
    failed: bool = False
    passage: int | None = None  # its number, where a search found one


Tool = Callable[[str], Found]


def calculator(argument: str) -> Found:
    """The value of a sum; see `llmcourse.calculator`.

    Raises:
        CalculatorError: there is none.
    """
    return Found(text=calculate(argument))


class Documentation:
    """A search over Python's documentation: its topics cut into passages, found by BM25.

    The model reads the topic's title in small letters, the person the passage.
    """

    def __init__(self, fewest: int = 60) -> None:
        self.passages: list[str] = []
        self.titles: list[str] = []
        self.topics: list[int] = []  # of each passage
        for number, document in enumerate(data.load("python-docs").documents):
            for passage in retrieval.passages(document, fewest):
                self.passages.append(passage)
                self.titles.append(_title(document))
                self.topics.append(number)
        self.index = retrieval.BM25(self.passages)

    def __call__(self, argument: str) -> Found:
        best = self.index.search(argument, 1)
        if not best:
            return Found(text=NOTHING_FOUND)
        return Found(text=self.titles[best[0]], shown=self.passages[best[0]], passage=best[0])


def _title(document: str) -> str:
    """A topic's heading as the model reads it: words in small letters, few enough."""
    words = retrieval.words(document.split("\n", 1)[0])
    title = ""
    for word in words:
        if title and len(title) + 1 + len(word) > TITLE:
            break
        title = f"{title} {word}".strip()
    return title[:TITLE]


def run(call: str, tools: Mapping[str, Tool]) -> Found:
    """What a call gives; an error is a result, too, so that the model can read it and mend it."""
    name, _, argument = call.strip().partition(" ")
    if name not in tools:
        return _failed(f"no tool {name[:12]}" if name else "no tool named")
    try:
        found = tools[name](argument.strip())
    except CalculatorError as error:
        return _failed(str(error))
    except Exception as error:  # a tool's fault must not end the talk
        return _failed(type(error).__name__)
    if len(found.text) > LONGEST:
        return _failed(f"a result longer than {LONGEST} characters")
    return found


def _failed(reason: str) -> Found:
    return Found(text=f"error: {reason}"[:LONGEST], failed=True)


@cache
def _documentation() -> Documentation:
    return Documentation()


def _search(argument: str) -> Found:
    return _documentation()(argument)  # read when first asked


def standard() -> dict[str, Tool]:
    """The two tools of the course's assistant: `calc` and `search`."""
    return {"calc": calculator, "search": _search}
