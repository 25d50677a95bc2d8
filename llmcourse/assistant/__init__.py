"""Talks whose truth is known: stories, sums, looking things up, small talk, and what none can know.

A talk is made of exchanges. Each has a skill, and the one right way to answer it given all that
was said before: at once, or by a call of a tool and then from its result.

    user       What is 12 times 7?
    call       calc 12 * 7
    tool       84
    assistant  84.

The same question can have an answer in one talk and none in the next: *What is my name?* after a
name was told, and before. So a refusal can be judged by evidence and not by wording.
"""

from llmcourse.assistant.exchanges import (
    CANNOT,
    NO_TOOLS,
    NOTHING,
    SKILLS,
    UNKNOWABLE,
    Exchange,
    State,
    exchange,
    is_test,
)
from llmcourse.assistant.judge import Answer, Probe, converse, probe, true_tools
from llmcourse.assistant.talks import demonstrations, opening

__all__ = [
    "CANNOT",
    "NOTHING",
    "NO_TOOLS",
    "SKILLS",
    "UNKNOWABLE",
    "Answer",
    "Exchange",
    "Probe",
    "State",
    "converse",
    "demonstrations",
    "exchange",
    "is_test",
    "opening",
    "probe",
    "true_tools",
]
