"""Tales: very short stories in English and Chinese, from a grammar whose entropy is known.

    >>> from llmcourse import tales
    >>> story = tales.generate(seed=0, n=1)[0]
    >>> tales.parse(story.text) == story
    True

Because the course wrote the language, it knows the true probability of every story, the true
distribution of the next token after every prefix, and the exact entropy: every claim about a
model can be held against the truth.
"""

from llmcourse.tales.exact import KINDS
from llmcourse.tales.grammar import END, LANGUAGES
from llmcourse.tales.labels import (
    QA,
    claims,
    dialogue,
    questions,
    sentiment,
    sentiment_probability,
    summary,
)
from llmcourse.tales.pairing import sentence_pairs, word_alignment
from llmcourse.tales.story import (
    SPLITS,
    Story,
    entropy,
    entropy_by_kind,
    generate,
    logprob,
    next_distribution,
    parse,
)
from llmcourse.tales.text import NotATale, detokenize, terminals, tokenize

__all__ = [
    "END",
    "KINDS",
    "LANGUAGES",
    "QA",
    "SPLITS",
    "NotATale",
    "Story",
    "claims",
    "detokenize",
    "dialogue",
    "entropy",
    "entropy_by_kind",
    "generate",
    "logprob",
    "next_distribution",
    "parse",
    "questions",
    "sentence_pairs",
    "sentiment",
    "sentiment_probability",
    "summary",
    "terminals",
    "tokenize",
    "word_alignment",
]
