"""Beam search."""

import itertools
import math

from llmcourse.exercises.core import Exercise, Wrong, expect

# The beam.


def beam_search_stub(next_logprobs, width, length):
    raise NotImplementedError


def beam_search(next_logprobs, width, length):
    beams = [((), 0.0)]
    for _ in range(length):
        longer = [
            ((*ids, token), total + logprob)
            for ids, total in beams
            for token, logprob in enumerate(next_logprobs(ids))
        ]
        beams = sorted(longer, key=lambda beam: beam[1], reverse=True)[:width]
    return beams[0]


def _chain(first, then):
    """Next log-probabilities over two or three tokens, by the token before."""

    def next_logprobs(ids):
        return [math.log(p) for p in (then[ids[-1]] if ids else first)]

    return next_logprobs


_TRAP = _chain((0.5, 0.4, 0.1), ((0.4, 0.3, 0.3), (0.9, 0.05, 0.05), (0.2, 0.4, 0.4)))
_LATE = _chain((0.6, 0.4), ((0.52, 0.48), (0.97, 0.03)))
_DEEP = _chain((0.4, 0.35, 0.25), ((0.34, 0.33, 0.33), (0.02, 0.2, 0.78), (0.08, 0.9, 0.02)))


def check_beam_search(answer):
    def of(ids, model):
        return sum(model(ids[:i])[ids[i]] for i in range(len(ids)))

    def case(model, width, length, tokens, note):
        got = answer(model, width, length)
        expect(
            isinstance(got, tuple) and len(got) == 2,
            "return the best beam as (ids, log-probability)",
            got=got,
        )
        ids, logprob = tuple(got[0]), float(got[1])
        expect(len(ids) == length, f"the text should have {length} tokens", got=ids)
        honest = of(ids, model)
        expect(
            not math.isclose(logprob, math.exp(honest), abs_tol=1e-9),
            "the score is a log-probability, not a probability",
            expected=honest,
            got=logprob,
        )
        expect(
            not math.isclose(logprob, honest / length, abs_tol=1e-9),
            "the score is the sum of log-probabilities, not their mean",
            expected=honest,
            got=logprob,
        )
        expect(
            math.isclose(logprob, honest, abs_tol=1e-6),
            f"the score of {ids} should be the sum of its log-probabilities",
            expected=honest,
            got=logprob,
        )
        texts = list(itertools.product(range(tokens), repeat=length))
        best = max(texts, key=lambda t: of(t, model))
        if width > 1:
            greedy = ()
            for _ in range(length):
                row = model(greedy)
                greedy = (*greedy, row.index(max(row)))
            worst = min(texts, key=lambda t: of(t, model))
            expect(ids != worst, "keep the most probable beams, not the least", got=ids)
            expect(
                ids != greedy or greedy == best,
                "this is the greedy text: keep `width` beams until the end",
                expected=best,
                got=ids,
            )
        if width >= tokens ** (length - 1) or note:
            want = best if width > 1 else ids
            expect(ids == want, note or "a wide beam misses the best text", expected=want, got=ids)

    greedy = answer(_TRAP, 1, 2)
    expect(
        tuple(greedy[0]) == (0, 0),
        "a beam of width 1 is greedy: (0, 0) here",
        expected=(0, 0),
        got=greedy[0],
    )
    case(_TRAP, 2, 2, 3, "width 2 should find (1, 0), of probability 0.36")
    case(_LATE, 2, 2, 2, "width 2 should find (1, 0), of probability 0.388")
    case(_TRAP, 9, 3, 3, "")
    case(_DEEP, 3, 3, 3, "width 3 should find the best of 27 texts here")
    case(_DEEP, 9, 4, 3, "")
    narrow = answer(_NARROW, 2, 3)
    expect(
        tuple(narrow[0]) == (0, 1, 0),
        "keep the best `width` of all extensions together: a beam that was cut cannot come back",
        expected=(0, 1, 0),
        got=narrow[0],
    )


def _NARROW(ids):
    """The best text, (1, 0, 0), starts with what a beam of 2 must drop at the second step."""
    table = {
        (): (0.6, 0.4),
        (0,): (0.5, 0.5),
        (1,): (0.7, 0.3),
        (0, 0): (0.5, 0.5),
        (0, 1): (0.55, 0.45),
        (1, 0): (0.99, 0.01),
        (1, 1): (0.5, 0.5),
    }
    return [math.log(p) for p in table[tuple(ids)]]


def _greedy_only(next_logprobs, width, length):
    ids, total = (), 0.0
    for _ in range(length):
        row = list(next_logprobs(ids))
        token = row.index(max(row))
        ids, total = (*ids, token), total + row[token]
    return ids, total


def _keeps_everything(next_logprobs, width, length):
    beams = [((), 0.0)]
    for _ in range(length):
        beams = [
            ((*ids, token), total + logprob)
            for ids, total in beams
            for token, logprob in enumerate(next_logprobs(ids))
        ]
    return max(beams, key=lambda beam: beam[1])


def _gives_probability(next_logprobs, width, length):
    ids, total = beam_search(next_logprobs, width, length)
    return ids, math.exp(total)


def _gives_mean(next_logprobs, width, length):
    ids, total = beam_search(next_logprobs, width, length)
    return ids, total / length


def _keeps_the_worst(next_logprobs, width, length):
    beams = [((), 0.0)]
    for _ in range(length):
        longer = [
            ((*ids, token), total + logprob)
            for ids, total in beams
            for token, logprob in enumerate(next_logprobs(ids))
        ]
        beams = sorted(longer, key=lambda beam: beam[1])[:width]
    return beams[0] if width > 1 else _greedy_only(next_logprobs, width, length)


def _last_step_only(next_logprobs, width, length):
    """Ranks by the newest log-probability and forgets what came before."""
    beams = [((), 0.0)]
    for _ in range(length):
        longer = [
            ((*ids, token), logprob)
            for ids, _ in beams
            for token, logprob in enumerate(next_logprobs(ids))
        ]
        beams = sorted(longer, key=lambda beam: beam[1], reverse=True)[:width]
    return beams[0]


EXERCISES = (
    Exercise(
        id="generation.beam_search",
        title="Beam search",
        stub=beam_search_stub,
        solution=beam_search,
        check=check_beam_search,
        hints=(
            "Keep the `width` most probable beginnings. Extend each by every token, put all "
            "extensions in one list, and keep the best `width` of them.",
            "beams = [((), 0.0)]; length times: longer = every (ids + token, total + logprob); "
            "beams = the width largest by total. Return the first.",
            "beams = sorted(longer, key=lambda beam: beam[1], reverse=True)[:width]",
        ),
        wrong=(
            Wrong(_greedy_only, "greedy text"),
            Wrong(_keeps_everything, "width 1 is greedy"),
            Wrong(_gives_probability, "not a probability"),
            Wrong(_gives_mean, "not their mean"),
            Wrong(_keeps_the_worst, "not the least"),
            Wrong(_last_step_only, "sum of its log-probabilities"),
        ),
    ),
)
