"""Between the text of a tale and its tokens: capitals, spaces and marks, in both languages.

English writes a space between words, none before a mark that closes, and a capital after a full
stop or an opening quotation mark. Chinese writes its words together; the longest word that fits
is the word meant (a test proves that no tale is cut wrongly by this rule).
"""

import re
from collections.abc import Sequence
from functools import cache

from llmcourse.tales.grammar import END, LANGUAGES, PRONOUNS, load

CLOSING = frozenset(",.!”")  # no space before
SENTENCE_END = frozenset(".!")


class NotATale(ValueError):
    """The text is outside the language; says at which token, and what could have stood there."""


def check_language(language: str) -> None:
    if language not in LANGUAGES:
        raise ValueError(f"language must be one of {LANGUAGES}, got {language!r}")


@cache
def terminals(language: str) -> tuple[str, ...]:
    """Every token of the language, sorted; the end of a story is not among them."""
    check_language(language)
    grammar = load()
    words: set[str] = set()
    for frame in (frame for frames in grammar.stages.values() for frame in frames):
        words.update(e.word for e in frame.templates[language] if e.form == "literal")
    for group in grammar.classes.values():
        for row in group.rows:
            for name, text in row.items():
                if name.endswith(language):
                    words.update(re.sub(r"\{[^}]*\}", " ", text).split())
                elif name == "m" and language == "zh":
                    words.add(text)
    if language == "en":
        words.update({"a", "an"}, *PRONOUNS.values())
    else:
        words.update("他 她 他们 她们".split())
    return tuple(sorted(words - {END}))


@cache
def _known(language: str) -> frozenset[str]:
    return frozenset(terminals(language))


@cache
def _longest_first(language: str) -> re.Pattern:
    words = sorted(terminals(language), key=len, reverse=True)
    return re.compile("|".join(re.escape(word) for word in words))


def detokenize(tokens: Sequence[str], language: str) -> str:
    """The text of tokens: `["she", "ran", "."]` is `"She ran."`."""
    check_language(language)
    if language == "zh":
        return "".join(tokens)
    out, capital, glued = [], True, True
    for token in tokens:
        if not glued and token not in CLOSING:
            out.append(" ")
        out.append(token[:1].upper() + token[1:] if capital else token)
        glued = token == "“"
        capital = token in SENTENCE_END or token == "“"
    return "".join(out)


_ENGLISH = re.compile(r"[A-Za-z]+(?:-[a-z]+)*|\S")


def tokenize(text: str, language: str) -> list[str]:
    """The tokens of a text in the words of tales; inverse of `detokenize`.

    Raises:
        NotATale: a word is not in the vocabulary, or spaces or capitals are not as specified.
    """
    check_language(language)
    tokens = _cut(text, language)
    again = detokenize(tokens, language)
    if again != text:
        pairs = enumerate(zip(text, again, strict=False))
        at = next((i for i, (x, y) in pairs if x != y), min(len(text), len(again)))
        near = slice(max(0, at - 10), at + 10)
        raise NotATale(
            f"character {at}: capitals and spaces should read {again[near]!r}, got {text[near]!r}"
        )
    return tokens


def _cut(text: str, language: str) -> list[str]:
    known = _known(language)
    if language == "zh":
        tokens, at = [], 0
        while at < len(text):
            match = _longest_first("zh").match(text, at)
            if match is None:
                raise NotATale(
                    f"token {len(tokens)}: no word of tales begins {text[at : at + 8]!r}"
                )
            tokens.append(match.group())
            at = match.end()
        return tokens
    tokens, capital = [], True
    for word in _ENGLISH.findall(text):
        if capital and word not in known:
            word = word[:1].lower() + word[1:]
        if word not in known:
            raise NotATale(f"token {len(tokens)}: {word!r} is not a word of tales")
        tokens.append(word)
        capital = word in SENTENCE_END or word == "“"
    return tokens
