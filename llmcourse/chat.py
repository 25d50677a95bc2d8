"""Talks as one sequence of ids: who says what, and which tokens a model is to learn.

A turn is its role's special token, its text, and `<|end|>`:

    <|user|> Where did Frank go? <|end|> <|assistant|> Cave. <|end|>

The marks are ids, never text. So a user who types `<|end|>` has typed seven characters, and no
text can close a turn or open one in another's name. A call of a tool is a turn, too: the assistant
writes `<|tool|>` as its first id, then the call. So no text, typed or quoted, is ever a call.

    <|assistant|> <|tool|> calc 12 * 7 <|end|> <|tool|> 84 <|end|> <|assistant|> 84. <|end|>

Example:
    >>> ids, answer = encode(tokenizer, [("user", "Who ran?"), ("assistant", "Nina.")])
    >>> parse(tokenizer, ids)
    [('user', 'Who ran?'), ('assistant', 'Nina.')]
"""

from collections.abc import Iterable, Sequence

from llmcourse.tokenizers import Tokenizer

__all__ = ["CALL", "END", "ROLES", "Turn", "called", "encode", "marks", "parse", "prompt", "reply"]

ROLES = ("system", "user", "assistant", "tool")
CALL = "call"  # a turn of the assistant that speaks to a tool
END = "<|end|>"
LANGUAGES = ("en", "zh")
Turn = tuple[str, str]  # role, text


def marks(tokenizer: Tokenizer) -> dict[str, int]:
    """The id of each role's mark, of each language's and of `"end"`.

    Raises:
        ValueError: the tokenizer lacks one; the message names them all.
    """
    names = {name: f"<|{name}|>" for name in (*ROLES, *LANGUAGES, "end")}
    missing = [mark for mark in names.values() if mark not in tokenizer.special_tokens]
    if missing:
        raise ValueError(f"a chat needs special tokens that {tokenizer!r} lacks: {missing}")
    return {name: tokenizer.special_tokens[mark] for name, mark in names.items()}


def _start(ids: dict[str, int], language: str | None) -> list[int]:
    if language is None:
        return []
    if language not in LANGUAGES:
        raise ValueError(f"language must be one of {LANGUAGES} or None, got {language!r}")
    return [ids[language]]


def encode(
    tokenizer: Tokenizer,
    turns: Sequence[Turn],
    *,
    language: str | None = None,
    context: int | None = None,
) -> tuple[list[int], list[bool]]:
    """A talk's ids, and for each whether it is one that an assistant writes.

    Those are the texts of the assistant's turns and the ends of these turns: a model that is not
    taught to end does not stop. The mark `<|assistant|>` itself is not among them, it is given. Of
    a call the mark `<|tool|>` is among them: to call is the assistant's choice.

    Args:
        language: puts `<|en|>` or `<|zh|>` first, as the stories of the tales have it.
        context: the longest that the model reads.

    Raises:
        ValueError: a role is unknown, a text holds a lone surrogate, there is no turn, or the
            talk is longer than `context`; the message gives both lengths.
    """
    named = marks(tokenizer)
    if not turns:
        raise ValueError("a talk needs at least one turn, got none")
    ids = _start(named, language)
    answer = [False] * len(ids)
    for number, (role, text) in enumerate(turns, start=1):
        if role not in (*ROLES, CALL):
            raise ValueError(f"turn {number}: role must be one of {ROLES}, got {role!r}")
        # No special token is allowed: a mark inside a text is text.
        body = [*tokenizer.encode(text), named["end"]]
        if role == CALL:
            role, body = "assistant", [named["tool"], *body]
        ids += [named[role], *body]
        answer += [False, *([role == "assistant"] * len(body))]
    if context is not None and len(ids) > context:
        raise ValueError(
            f"the talk has {len(ids)} tokens, the context is {context}: leave out old turns, or "
            "shorten them"
        )
    return ids, answer


def prompt(
    tokenizer: Tokenizer,
    turns: Sequence[Turn],
    *,
    language: str | None = None,
    context: int | None = None,
) -> list[int]:
    """A talk's ids up to the place where the assistant begins to write.

    Raises:
        ValueError: as `encode`, or nothing is left of the context for an answer.
    """
    ids, _ = encode(tokenizer, turns, language=language)
    ids.append(marks(tokenizer)["assistant"])
    if context is not None and len(ids) >= context:
        raise ValueError(
            f"the talk has {len(ids)} tokens, the context is {context}: no room for an answer"
        )
    return ids


def reply(tokenizer: Tokenizer, new: Sequence[int]) -> str | None:
    """The text that a model wrote after a prompt, or None where it did not end the turn.

    `new` is what `sample.generate` gives. Ids after the first end are not read, and any other
    mark inside makes it no reply.
    """
    named = marks(tokenizer)
    new = list(new)
    if named["end"] not in new:
        return None
    body = new[: new.index(named["end"])]
    if set(body) & set(tokenizer.special_tokens.values()):
        return None
    return tokenizer.decode(body)


def called(tokenizer: Tokenizer, new: Sequence[int]) -> str | None:
    """The call that a model wrote after a prompt, or None where it wrote none, or did not end it.

    >>> called(tokenizer, [tokenizer.special_tokens["<|tool|>"], *tokenizer.encode("f 1"), end])
    'f 1'
    """
    new = list(new)
    return reply(tokenizer, new[1:]) if new and new[0] == marks(tokenizer)["tool"] else None


def parse(tokenizer: Tokenizer, ids: Iterable[int]) -> list[Turn]:
    """The turns of a talk, from its ids; a mark of language in front is passed over.

    Raises:
        ValueError: the ids are no talk; the message gives the position and what is wrong there.
    """
    named = marks(tokenizer)
    roles = {named[role]: role for role in ROLES}
    special = set(tokenizer.special_tokens.values())
    turns: list[Turn] = []
    role, body = None, []
    for position, token in enumerate(ids):
        if role is None:
            if position == 0 and token in (named["en"], named["zh"]):
                continue
            if token not in roles:
                raise ValueError(f"position {position}: a role's mark must begin a turn")
            role, body = roles[token], []
        elif token == named["tool"] and role == "assistant" and not body:
            role = CALL
        elif token == named["end"]:
            turns.append((role, tokenizer.decode(body)))
            role = None
        elif token in special:
            raise ValueError(f"position {position}: a mark inside the turn of the {role}")
        else:
            body.append(token)
    if role is not None:
        raise ValueError(f"the last turn, of the {role}, does not end")
    return turns
