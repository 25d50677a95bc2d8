"""The entropy of tales, exactly, by dynamic programming over the states between sentences.

A story's entropy is that of its choices, since text and choices are one to one. The entropy of
all that follows a state depends only on what was decided (plot, mood, luck...), never on which
names were drawn: every name leaves the same number of equally likely items.
"""

import math
from collections.abc import Iterable
from functools import cache

from llmcourse.tales.grammar import Frame, load
from llmcourse.tales.language import Language

KINDS = (  # of choice; every token has one
    "name",  # a person comes in
    "free",  # wording and filler
    "thing",  # a trade, object, place or weather comes in
    "cause",  # what happens, and how it ends
    "mood",  # feelings, and manners that follow from them
    "recall",  # a person named before
    "track",  # a thing told before: where it lay, what it was, whose trade had which tool
    "agreement",  # pronouns, articles, measure words
    "form",  # what the grammar fixes
)
MAX_STATES = 100_000


def _entropy(weights: Iterable[float]) -> float:
    """In nats; weights need not sum to one."""
    weights = [w for w in weights if w > 0]
    total = math.fsum(weights)
    return -math.fsum(w / total * math.log(w / total) for w in weights)


def _frame_choice(options: list[tuple[float, Frame]]) -> dict[str, float]:
    """Entropy of picking a sentence: its meaning under its kind, its wording under `free`."""
    groups: dict[tuple, list[tuple[float, Frame]]] = {}
    for p, frame in options:
        meaning = (tuple(sorted(frame.sets.items())), frame.means)
        if frame.kind == "free" and not frame.means:
            meaning = ()
        groups.setdefault(meaning, []).append((p, frame))
    kind = next((f.kind for _, f in options if f.kind != "free"), "free")
    shares = [math.fsum(p for p, _ in group) for group in groups.values()]
    out = {kind: _entropy(shares)}
    wording = math.fsum(
        share * _entropy(p for p, _ in group)
        for share, group in zip(shares, groups.values(), strict=True)
    )
    out["free"] = out.get("free", 0.0) + wording
    return out


@cache
def state_probabilities() -> dict[tuple[str, tuple], float]:
    """How likely a story passes each (stage, decided), in the training language."""
    language, grammar = Language(name="en"), load()
    reach = {(grammar.start, ()): 1.0}
    agenda = [(grammar.start, ())]
    for key in agenda:  # stages follow each other in one order, so each key is complete when met
        stage, decided = key
        if stage == "END":
            continue
        for p, frame in language.frames(stage, dict(decided)):
            after = (frame.next, tuple(sorted({**dict(decided), **frame.sets}.items())))
            if after not in reach:
                reach[after] = 0.0
                agenda.append(after)
            reach[after] += reach[key] * p
        if len(reach) > MAX_STATES:
            raise ValueError(f"a grammar has at most {MAX_STATES} states, got {len(reach)}")
    return reach


@cache
def nats_by_kind() -> dict[str, float]:
    """Entropy of the choices of each kind, in nats a story; they sum to the story's entropy."""
    language, grammar = Language(name="en"), load()
    out = dict.fromkeys(KINDS, 0.0)
    for (stage, decided), reach in state_probabilities().items():
        if stage == "END":
            continue
        options = language.frames(stage, dict(decided))
        for kind, nats in _frame_choice(options).items():
            out[kind] += reach * nats
        for p, frame in options:
            for slot, of in language.classes_of(frame, dict(decided)).items():
                words = grammar.classes[of]
                out[words.kind] += reach * p * _slot_entropy(slot, of)
    return out


@cache
def _slot_entropy(slot: str, of: str) -> float:
    """Entropy of one draw; items left out beforehand are always as many."""
    grammar = load()
    words, left_out = grammar.classes[of], 0
    if any(slot == second for _, second in grammar.holdout):
        left_out = 1
    elif slot.isupper():
        left_out = sum(earlier == of for earlier in _named_before(slot))
    if left_out and not words.uniform:
        raise ValueError(f"class {of}: items are left out of {slot}, so weights must be equal")
    if left_out:
        return math.log(len(words) - left_out)
    return _entropy(words.weights)


@cache
def _named_before(slot: str) -> tuple[str, ...]:
    """The classes of the variables that are bound before `slot`, in the order of the stages."""
    seen: dict[str, str] = {}
    for frames in load().stages.values():
        here = {key: of for frame in frames for key, of in frame.draws if key.isupper()}
        if slot in here:
            return tuple(seen.values())
        seen.update(here)
    return ()
