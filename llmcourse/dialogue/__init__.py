"""A conversation with a model: memory within its context, streaming, tools, and nothing printed.

    session = Session(model, tokenizer, tools=toolbox.standard())
    for event in session.say("What is 12 times 7?"):
        ...                       # Called, Result, Piece, and Ended at the last

The session holds all that was said. What the model reads is what fits: the system's turn, turns
that are pinned (a story), and the newest exchanges. When older ones must go, it says so.
"""

from llmcourse.dialogue.memory import Said, exchanges, fit, language_of, visible
from llmcourse.dialogue.session import Called, Ended, Event, Forgot, Piece, Result, Session

__all__ = [
    "Called",
    "Ended",
    "Event",
    "Forgot",
    "Piece",
    "Result",
    "Said",
    "Session",
    "exchanges",
    "fit",
    "language_of",
    "visible",
]
