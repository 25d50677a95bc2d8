"""Stories: drawn, read, and measured against the grammar that made them."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b

import numpy as np
from jaxtyping import Float

from llmcourse.tales.exact import KINDS, nats_by_kind
from llmcourse.tales.grammar import END, Frame, load
from llmcourse.tales.language import Cursor, Language, State, sample
from llmcourse.tales.text import NotATale, check_language, detokenize, tokenize

SPLITS = ("train", "dev", "test", "held-out")


@dataclass(frozen=True, kw_only=True)
class Story:
    """One story: its choices, and what follows from them.

    `kinds`, `tags` and `token_nats` have one entry more than `tokens`: the end of the story.
    """

    language: str
    choices: tuple[tuple[str, int, tuple[tuple[str, int], ...]], ...]  # stage, frame, (slot, item)
    held_out: bool = False  # told with the combinations that training never sees

    @cached_property
    def sentences(self) -> tuple[tuple[State, Frame, dict], ...]:
        tongue, grammar = self._tongue, load()
        state, out = tongue.start, []
        for stage, index, fills in self.choices:
            frame = grammar.stages[stage][index]
            classes = tongue.classes_of(frame, state.decided)
            items = {slot: (classes[slot], item) for slot, item in fills}
            out.append((state, frame, items))
            state = tongue.after(state, frame, items)
        return tuple(out)

    @property
    def _tongue(self) -> Language:
        return Language(name=self.language, held_out=self.held_out)

    @cached_property
    def _spoken(self) -> tuple[tuple[str, str | None, str], ...]:
        return tuple(
            piece
            for state, frame, items in self.sentences
            for piece in self._tongue.say(frame, {**state.bound, **items})
        )

    @cached_property
    def tokens(self) -> tuple[str, ...]:
        """The words and marks, without the end of the story."""
        return tuple(token for token, _, _ in self._spoken if token != END)

    @cached_property
    def text(self) -> str:
        return detokenize(self.tokens, self.language)

    @cached_property
    def tags(self) -> tuple[str, ...]:
        """Part of speech of each English token (Chinese: of the class's words alone), then END."""
        return tuple(tag for _, _, tag in self._spoken)

    @cached_property
    def token_nats(self) -> Float[np.ndarray, " T"]:
        """Surprise of each token given all before it, in nats; the last is the story's end."""
        cursor = Cursor(self._tongue)
        return np.array([-math.log(cursor.read(token)) for token in (*self.tokens, END)])

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """The kind of choice that each token speaks, the end of the story last.

        A word of a frame is `form` where nothing else could follow, else of its frame's kind.
        """
        frames = [frame.kind for _, frame, _ in self._by_token]
        certain = self.token_nats < 1e-9
        return tuple(
            kind or ("form" if sure else frame)
            for (_, kind, _), frame, sure in zip(self._spoken, frames, certain, strict=True)
        )

    @property
    def _by_token(self) -> list[tuple[State, Frame, dict]]:
        return [
            (state, frame, items)
            for state, frame, items in self.sentences
            for _ in self._tongue.say(frame, {**state.bound, **items})
        ]

    @cached_property
    def sentence_ends(self) -> tuple[int, ...]:
        """Where each sentence ends, as an index into `tokens`."""
        lengths = [
            sum(1 for _ in self._tongue.say(frame, {**state.bound, **items}))
            for state, frame, items in self.sentences
        ]
        ends = np.cumsum(lengths)
        return tuple(min(int(end), len(self.tokens)) for end in ends)

    @cached_property
    def logprob(self) -> float:
        """Log-probability of the whole story, in nats: the sum over its choices."""
        total = 0.0
        for state, frame, items in self.sentences:
            odds = {id(f): p for p, f in self._tongue.frames(state.stage, state.decided)}
            total += math.log(odds[id(frame)])
            for slot, (of, item) in items.items():
                weights, allowed = load().classes[of].weights, self._tongue.allowed(slot, of, state)
                total += math.log(weights[item] / math.fsum(weights[i] for i in allowed))
        return total

    @cached_property
    def facts(self) -> dict[str, str]:
        """What the story decided, and the items it bound: `{"plot": "lost", "A": "Anna", ...}`."""
        state, frame, items = self.sentences[-1]
        end = self._tongue.after(state, frame, items)
        named = {
            variable: load().classes[of].rows[item][self.language]
            for variable, (of, item) in end.bound.items()
        }
        return {**end.decided, **named}

    def translate(self, language: str) -> "Story":
        """The same choices told in the other language."""
        check_language(language)
        return replace(self, language=language)


def _story(sentences: Sequence[tuple[State, Frame, dict]], language: str, held_out: bool) -> Story:
    return Story(
        language=language,
        held_out=held_out,
        choices=tuple(
            (frame.stage, frame.index, tuple((slot, items[slot][1]) for slot, _ in frame.draws))
            for _, frame, items in sentences
        ),
    )


def _split_of(story: Story) -> str:
    """One story is in one split, whatever its language: by a hash of its choices."""
    bucket = blake2b(repr(story.choices).encode(), digest_size=2).digest()
    share = int.from_bytes(bucket) / 2**16
    return "test" if share < 0.05 else "dev" if share < 0.10 else "train"


def generate(*, seed: int, n: int, language: str = "en", split: str = "train") -> list[Story]:
    """`n` stories drawn from the language; the splits train, dev and test share no story.

    Splits are cut by a hash, so within each a story's probability is as in the whole language.
    The split `held-out` tells stories with a place and a closing that training never combines
    with that name and that plot; the entropy does not speak of it.

    Raises:
        ValueError: an unknown split or language, or a negative `n`.
    """
    check_language(language)
    if split not in SPLITS:
        raise ValueError(f"split must be one of {SPLITS}, got {split!r}")
    if n < 0:
        raise ValueError(f"n must not be negative, got {n}")
    held_out = split == "held-out"
    tongue = Language(name=language, held_out=held_out)
    rng = random.Random(f"tales {split} {seed}")
    stories: list[Story] = []
    while len(stories) < n:
        story = _story(sample(tongue, rng), language, held_out)
        if held_out or _split_of(story) == split:
            stories.append(story)
    return stories


def _read(tokens: Sequence[str], language: str, held_out: bool) -> Cursor:
    cursor = Cursor(Language(name=language, held_out=held_out))
    for i, token in enumerate(tokens):
        expected = cursor.mass()
        if token not in expected:
            likely = sorted(expected, key=expected.get, reverse=True)
            shown = ", ".join(repr(t) for t in likely[:5]) + (", ..." if len(likely) > 5 else "")
            got = "the end of the text" if token == END else repr(token)
            raise NotATale(f"token {i}: expected {shown or 'nothing more'}; got {got}")
        cursor.read(token)
    return cursor


def parse(text: str, language: str = "en", *, held_out: bool = False) -> Story:
    """The choices behind a text.

    Raises:
        NotATale: the text has probability zero; says at which token and what was expected.
    """
    cursor = _read([*tokenize(text, language), END], language, held_out)
    return _story(cursor.sentences, language, held_out)


def logprob(text: str, language: str = "en") -> float:
    """Exact log-probability of a text in nats; minus infinity outside the language."""
    try:
        return parse(text, language).logprob
    except NotATale:
        return -math.inf


def next_distribution(prefix: Sequence[str], language: str = "en") -> dict[str, float]:
    """The true probability of each token that may follow `prefix` (tokens); `END` ends a story.

    Raises:
        NotATale: no story begins so.
    """
    check_language(language)
    cursor = _read(prefix, language, held_out=False)
    total = cursor.total()
    return {token: weight / total for token, weight in cursor.mass().items()} if total else {}


def entropy(language: str = "en") -> float:
    """Exact entropy in bits a story: the same in both languages, since both speak every choice."""
    check_language(language)
    return math.fsum(nats_by_kind().values()) / math.log(2)


def entropy_by_kind(language: str = "en") -> dict[str, float]:
    """Exact bits a story of the choices of each kind; recall, agreement and form cost none.

    A choice is counted whole under its own kind. Read token by token, a little moves between
    kinds: the first word that tells two sentences apart also tells of what is drawn in it.
    """
    check_language(language)
    return {kind: nats_by_kind()[kind] / math.log(2) for kind in KINDS}
