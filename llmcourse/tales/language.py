"""The language of tales, exactly: sampling, reading, and the true distribution of the next token.

A story is a sequence of sentences. In each language a sentence tells its choices apart, given the
state before it, so a story and its choices are one to one, and the probability of a text is the
product of the probabilities of its choices. Inside a sentence the next token is found by
summing over every sentence that still fits: `Cursor` carries those, each with its weight.
"""

import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from llmcourse.tales.grammar import PRONOUNS, Element, Frame, Grammar, load, parse_template

Items = Mapping[str, tuple[str, int]]  # slot or variable -> (class, item)
Trie = dict[str, list]  # token -> [weight, trie below or None, item]


@dataclass(frozen=True, kw_only=True)
class State:
    """Where a story stands between two sentences.

    `decided` holds what earlier sentences decided (plot, mood, luck...), `bound` the items they
    named. Only `decided` enters the probabilities of what follows, but for one rule: what was
    named is not drawn again, and every name leaves out just one item of equal weight.
    """

    stage: str
    decided: Mapping[str, str] = field(default_factory=dict)
    bound: Items = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Language:
    """Tales in one tongue. `held_out` turns the held-out combinations on, and all others off."""

    name: str  # "en" or "zh"
    held_out: bool = False

    @property
    def grammar(self) -> Grammar:
        return load()

    @property
    def start(self) -> State:
        return State(stage=self.grammar.start)

    def frames(self, stage: str, decided: Mapping[str, str]) -> list[tuple[float, Frame]]:
        """The sentences that may come here, with their probabilities."""
        key = tuple(sorted(decided.items()))
        return _frames(stage, key, self.held_out)

    def classes_of(self, frame: Frame, decided: Mapping[str, str]) -> dict[str, str]:
        """The class each slot of a frame draws from; `feeling@mood` depends on the mood."""
        known = {**decided, **frame.sets}
        out = {}
        for slot, of in frame.draws:
            name, _, variable = of.partition("@")
            out[slot] = f"{name}-{known[variable]}" if variable else name
        return out

    def allowed(self, slot: str, of: str, state: State) -> tuple[int, ...]:
        """The items of a class that may fill a slot here."""
        n = len(self.grammar.classes[of])
        for first, second in self.grammar.holdout:
            if slot == second and first in state.bound:
                kept_out = state.bound[first][1] % n
                return (kept_out,) if self.held_out else _all_but(n, (kept_out,))
        if not slot.isupper():
            return _all_but(n, ())
        return _all_but(n, tuple([i for kind, i in state.bound.values() if kind == of]))

    def after(self, state: State, frame: Frame, fills: Items) -> State:
        """The state once a sentence is spoken."""
        named = {slot: item for slot, item in fills.items() if slot.isupper()}
        return State(
            stage=frame.next,
            decided={**state.decided, **frame.sets},
            bound={**state.bound, **named},
        )

    # Saying: from choices to words

    def say(self, frame: Frame, items: Items) -> Iterator[tuple[str, str | None, str]]:
        """Each token of a sentence with its kind (None where the frame decides) and its tag."""
        for element in frame.templates[self.name]:
            yield from self.spoken(element, items)

    def spoken(self, e: Element, items: Items) -> list[tuple[str, str | None, str]]:
        grammar = self.grammar
        if e.form == "literal":
            return [(e.word, None, e.tag)]
        if e.form in ("draw", "recall"):
            of, item = items[e.key if e.form == "draw" else e.of]
            words = grammar.classes[of]
            name = f"{e.field}_{self.name}" if e.field else self.name
            kind = words.kind
            if e.form == "recall":
                kind = "recall" if of == "name" else "track"
            tokens: list[tuple[str, str | None, str]] = []
            text = words.rows[item][name]
            # A field may hold pronouns: "the fog hid {him A}".
            for piece in _pieces(text):
                if piece.form == "literal":
                    tag = words.tag if len(text.split()) == 1 else piece.tag or words.tag
                    tokens.append((piece.word, kind, tag))
                else:
                    tokens += self.spoken(piece, items)
            if e.article and self.name == "en":
                tokens.insert(0, (grammar.article(tokens[0][0]), "agreement", "DET"))
            return tokens
        return [(self._pronoun(e, items), "agreement", e.tag)]

    def _pronoun(self, e: Element, items: Items) -> str:
        classes = self.grammar.classes
        row = classes[items[e.of][0]].rows[items[e.of][1]]
        if e.form == "m":
            return row["m"]
        woman = row["g"] == "f"
        if e.form == "they":
            other = classes[items[e.also][0]].rows[items[e.also][1]]
            return "她们" if woman and other["g"] == "f" else "他们"
        if e.form == "ta":
            return "她" if woman else "他"
        return PRONOUNS[e.form][0 if woman else 1]

    # Reading: from words to choices

    def variants(
        self, frame: Frame, state: State
    ) -> list[tuple[float, dict[str, tuple[int, ...]]]]:
        """A frame split so that, within a part, its slots are independent.

        Where a pronoun or a measure word agrees with something drawn in the same sentence, each
        part holds the items that share that form.
        """
        classes = self.classes_of(frame, state.decided)
        slots = {slot: self.allowed(slot, of, state) for slot, of in classes.items()}
        parts: list[tuple[float, dict[str, tuple[int, ...]]]] = [(1.0, slots)]
        for e in frame.templates[self.name]:
            agrees = {"m": "m", "ta": "g", **dict.fromkeys(PRONOUNS, "g")}.get(e.form)
            if agrees is None or e.of not in slots:
                continue
            words = self.grammar.classes[classes[e.of]]
            split = []
            for weight, part in parts:
                groups: dict[str, list[int]] = {}
                for item in part[e.of]:
                    groups.setdefault(words.rows[item][agrees], []).append(item)
                total = sum(words.weights[i] for i in part[e.of])
                for group in groups.values():
                    share = sum(words.weights[i] for i in group) / total
                    split.append((weight * share, {**part, e.of: tuple(group)}))
            parts = split
        return parts

    def trie(self, e: Element, of: str, allowed: tuple[int, ...]) -> Trie:
        return _trie(self.name, e, of, allowed)


@lru_cache(maxsize=4096)
def _all_but(n: int, taken: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(i for i in range(n) if i not in taken)


@lru_cache(maxsize=4096)
def _pieces(text: str) -> tuple[Element, ...]:
    return parse_template(text, load().tags)


@lru_cache(maxsize=65536)
def _frames(stage: str, decided: tuple, held_out: bool) -> list[tuple[float, Frame]]:
    grammar, known = load(), dict(decided)
    fits = []
    for frame in grammar.stages[stage]:
        if any(known.get(variable) not in wanted for variable, wanted in frame.when.items()):
            continue
        weight = frame.weight
        for variable, factors in frame.factors.items():
            weight *= factors.get(known.get(variable, ""), 1.0)
        for first, second in grammar.holdout:
            if second in frame.sets:
                options = grammar.values[second]
                out = options[grammar.values[first].index(known[first]) % len(options)]
                weight *= (frame.sets[second] == out) == held_out
        if weight:
            fits.append((weight, frame))
    total = sum(weight for weight, _ in fits)
    return [(weight / total, frame) for weight, frame in fits]


@lru_cache(maxsize=65536)
def _trie(language: str, e: Element, of: str, allowed: tuple[int, ...]) -> Trie:
    """The words that may fill a slot, as a tree of tokens; each leaf is one item."""
    tongue, words = Language(name=language), load().classes[of]
    total = sum(words.weights[i] for i in allowed)
    root: Trie = {}
    for item in allowed:
        tokens = [token for token, _, _ in tongue.spoken(e, {e.key: (of, item)})]
        level = root
        for depth, token in enumerate(tokens):
            last = depth == len(tokens) - 1
            node = level.setdefault(token, [0.0, None if last else {}, item if last else None])
            node[0] += words.weights[item] / total
            if last != (node[1] is None) or (last and node[2] != item):
                raise ValueError(f"class {of}: {token!r} begins one item and ends another")
            level = node[1]
    return root


@dataclass
class _Reading:
    """One sentence that fits what was read of it so far."""

    weight: float
    frame: Frame
    classes: dict[str, str]
    slots: dict[str, tuple[int, ...]]
    at: int = 0  # the element being read
    within: object = None  # how much of it: a list of tokens left, or a trie
    fills: dict = field(default_factory=dict)


class Cursor:
    """Reads a story token by token; `mass` gives what may come next, unnormalised."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self.sentences: list[tuple[State, Frame, dict]] = []
        self._begin(language.start)

    def _begin(self, state: State) -> None:
        self.state = state
        self.readings = []
        if state.stage == "END":
            return
        for p, frame in self.language.frames(state.stage, state.decided):
            classes = self.language.classes_of(frame, state.decided)
            for share, slots in self.language.variants(frame, state):
                reading = _Reading(p * share, frame, classes, slots)
                self._open(reading)
                self.readings.append(reading)

    def _open(self, r: _Reading) -> None:
        """Prepare the element at which a reading stands."""
        e = r.frame.templates[self.language.name][r.at]
        if e.form == "draw":
            r.within = self.language.trie(e, r.classes[e.key], r.slots[e.key])
            return
        known = {**self.state.bound, **r.fills}
        if e.of and e.of not in known:  # agrees with what comes later: all its items share the form
            known[e.of] = (r.classes[e.of], r.slots[e.of][0])
        r.within = [token for token, _, _ in self.language.spoken(e, known)]

    @property
    def done(self) -> bool:
        return self.state.stage == "END"

    def mass(self) -> dict[str, float]:
        """Each possible next token with its weight; the weights sum to `total`."""
        out: dict[str, float] = {}
        for r in self.readings:
            if isinstance(r.within, list):
                out[r.within[0]] = out.get(r.within[0], 0.0) + r.weight
            else:
                below = sum(node[0] for node in r.within.values())
                for token, node in r.within.items():
                    out[token] = out.get(token, 0.0) + r.weight * node[0] / below
        return out

    def total(self) -> float:
        return math.fsum(r.weight for r in self.readings)

    def read(self, token: str) -> float:
        """Read one token; returns its probability given all before it (0: it does not fit)."""
        before = self.total()
        fits: list[_Reading] = []
        finished = None
        for r in self.readings:
            if isinstance(r.within, list):
                if r.within[0] != token:
                    continue
                r.within = r.within[1:]
                spoken = not r.within
            else:
                node = r.within.get(token)
                if node is None:
                    continue
                r.weight *= node[0] / sum(n[0] for n in r.within.values())
                r.within, spoken = node[1], node[1] is None
                if spoken:
                    key = r.frame.templates[self.language.name][r.at].key
                    r.fills[key] = (r.classes[key], node[2])
            if spoken:
                r.at += 1
                if r.at == len(r.frame.templates[self.language.name]):
                    finished = r
                    continue
                self._open(r)
            fits.append(r)
        if finished is not None and fits:
            raise ValueError(f"the grammar is ambiguous at {token!r} in stage {self.state.stage}")
        if finished is None:
            if fits:
                self.readings = fits
            p = math.fsum(r.weight for r in fits) / before if before else 0.0
            return p
        p = finished.weight / before
        self.sentences.append((self.state, finished.frame, finished.fills))
        self._begin(self.language.after(self.state, finished.frame, finished.fills))
        return p


def sample(language: Language, rng: random.Random) -> list[tuple[State, Frame, dict]]:
    """One story by ancestral sampling: each sentence's state, frame and fills."""
    state, sentences = language.start, []
    while state.stage != "END":
        options = language.frames(state.stage, state.decided)
        frame = rng.choices([f for _, f in options], [p for p, _ in options])[0]
        fills = {}
        for slot, of in language.classes_of(frame, state.decided).items():
            allowed, words = language.allowed(slot, of, state), language.grammar.classes[of]
            # A class from which something was left out has equal weights (see `exact`).
            weights = None if words.uniform else words.weights
            fills[slot] = (of, rng.choices(allowed, weights)[0])
        sentences.append((state, frame, fills))
        state = language.after(state, frame, fills)
    return sentences
