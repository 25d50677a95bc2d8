"""Exercises of the chapter `applications/translation`."""

import math

import numpy as np
import torch

from llmcourse.exercises.core import Exercise, Wrong, close, expect

# One step of expectation maximisation for IBM model 1.


def em_step_stub(pairs, table):
    raise NotImplementedError


def em_step(pairs, table):
    counts = np.zeros_like(table)
    for source, target in pairs:
        for f in target:
            share = table[source, f] / table[source, f].sum()
            np.add.at(counts[:, f], source, share)
    return counts / counts.sum(axis=1, keepdims=True)


def check_em_step(answer):
    chance = np.random.default_rng(0)
    table = chance.random((4, 5)) + 0.1
    table /= table.sum(1, keepdims=True)
    pairs = [([0, 1, 2], [4, 0, 1]), ([3, 1], [2, 3, 2]), ([0, 2, 2, 3], [1, 4]), ([1, 3], [0])]
    given, before = [([*s], [*t]) for s, t in pairs], table.copy()
    got = answer(given, table)
    expect(np.array_equal(table, before), "the table that was given must stay as it was")
    close(
        got,
        em_step(pairs, table),
        "each target word shares one count among its sentence's source words by their "
        "probabilities; then each source word's row is divided by its sum",
        suspects={
            "the posterior is over the source words, given the target word: a sum over e, not "
            "over f": _over_targets(pairs, table),
            "each target word shares its count; giving all of it to the likeliest word is another "
            "algorithm": _hard(pairs, table),
            "a row of the table, one source word, sums to 1; this sums down columns": (
                _columns(pairs, table)
            ),
            "these are the counts; divide each row by its sum": _counts(pairs, table),
            "every sentence is as good as the table says: this counts co-occurrences alone": (
                em_step(pairs, np.ones_like(table))
            ),
        },
    )


def _over_targets(pairs, table):
    counts = np.zeros_like(table)
    for source, target in pairs:
        for e in source:
            np.add.at(counts[e], target, table[e, target] / table[e, target].sum())
    return counts / counts.sum(axis=1, keepdims=True)


def _hard(pairs, table):
    counts = np.full_like(table, 1e-12)
    for source, target in pairs:
        for f in target:
            counts[source[int(np.argmax(table[source, f]))], f] += 1
    return counts / counts.sum(axis=1, keepdims=True)


def _counts(pairs, table):
    counts = np.zeros_like(table)
    for source, target in pairs:
        for f in target:
            np.add.at(counts[:, f], source, table[source, f] / table[source, f].sum())
    return counts


def _columns(pairs, table):
    counts = _counts(pairs, table)
    return counts / counts.sum(axis=0, keepdims=True)


# Attention across.


def cross_attend_stub(x, source, q, k, v, real):
    raise NotImplementedError


def cross_attend(x, source, q, k, v, real):
    queries, keys, values = x @ q.mT, source @ k.mT, source @ v.mT
    scores = queries @ keys.mT / math.sqrt(q.shape[0])
    return scores.masked_fill(~real, -math.inf).softmax(dim=1) @ values


def check_cross_attend(answer):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4, 6, generator=generator, dtype=torch.float64)
    source = torch.randn(5, 6, generator=generator, dtype=torch.float64)
    q, k, v = torch.randn(3, 3, 6, generator=generator, dtype=torch.float64)
    real = torch.tensor([True, True, True, False, False])
    scores = (x @ q.mT) @ (source @ k.mT).mT / math.sqrt(3)
    seen = scores.masked_fill(~real, -math.inf)
    causal = torch.ones(4, 5, dtype=torch.bool).tril() & real
    close(
        answer(x, source, q, k, v, real),
        cross_attend(x, source, q, k, v, real),
        "queries from the target, keys and values from the source, softmax over the real ones",
        suspects={
            "padding is looked at: no weight may fall where `real` is False": (
                scores.softmax(-1) @ (source @ v.mT)
            ),
            "nothing in the source lies in the future: no causal mask here": (
                scores.masked_fill(~causal, -math.inf).softmax(-1) @ (source @ v.mT)
            ),
            "the scores are to be divided by the root of a key's width": (
                (seen * math.sqrt(3)).softmax(-1) @ (source @ v.mT)
            ),
            "divide by the root of the keys' width, not of the model's": (
                (seen * math.sqrt(3 / 6)).softmax(-1) @ (source @ v.mT)
            ),
            "each query's weights over the source sum to 1: the softmax runs over the other axis": (
                torch.nan_to_num(seen.softmax(-2)) @ (source @ v.mT)
            ),
        },
    )
    alone = torch.tensor([False, False, True, False, False])
    close(
        answer(x, source, q, k, v, alone),
        (source[2] @ v.mT).expand(4, 3),
        "with one real source position every query takes that position's value",
    )


def _padded(x, source, q, k, v, real):
    return cross_attend(x, source, q, k, v, torch.ones_like(real))


def _causal(x, source, q, k, v, real):
    scores = (x @ q.mT) @ (source @ k.mT).mT / math.sqrt(q.shape[0])
    seen = torch.ones(scores.shape, dtype=torch.bool).tril() & real
    return scores.masked_fill(~seen, -math.inf).softmax(-1) @ (source @ v.mT)


def _unscaled(x, source, q, k, v, real):
    scores = (x @ q.mT) @ (source @ k.mT).mT
    return scores.masked_fill(~real, -math.inf).softmax(-1) @ (source @ v.mT)


# Which source word a target word was written from.


def links_stub(weights):
    raise NotImplementedError


def links(weights):
    best = weights.argmax(dim=1).tolist()
    return {(best[t], t) for t in range(len(best) - 1)}


def check_links(answer):
    generator = torch.Generator().manual_seed(3)
    for T, S in ((4, 6), (6, 3)):
        weights = torch.randn(T + 1, S, generator=generator).softmax(-1)
        best = weights.argmax(-1).tolist()
        got = set(answer(weights.clone()))
        for diagnosis, wrong in (
            ("row t writes target word t, for row 0 reads the start: this is one too late",
             {(best[t + 1], t) for t in range(T)}),
            ("the last row writes the end, which is no word", {(best[t], t) for t in range(T + 1)}),
            ("a link is (source, target): these are the other way round",
             {(t, best[t]) for t in range(T)}),
            ("each target word asks for its source word: an argmax over the source",
             {(s, int(t)) for s, t in enumerate(weights[:-1].argmax(0))}),
        ):  # fmt: skip
            expect(got != wrong, diagnosis, got=sorted(got))
        want = links(weights)
        expect(got == want, "one link a target word", expected=sorted(want), got=sorted(got))


def _late(weights):
    best = weights.argmax(-1).tolist()
    return {(best[t + 1], t) for t in range(len(best) - 1)}


def _with_end(weights):
    return {(int(s), t) for t, s in enumerate(weights.argmax(-1))}


def _turned(weights):
    return {(t, s) for s, t in links(weights)}


def _by_source(weights):
    return {(s, int(t)) for s, t in enumerate(weights[:-1].argmax(0))}


# The error of an alignment.


def error_rate_stub(found, sure, possible):
    raise NotImplementedError


def error_rate(found, sure, possible):
    right = len(found & sure) + len(found & possible)
    return 1 - right / (len(found) + len(sure))


def check_error_rate(answer):
    sure = {(0, 0), (1, 2), (3, 1)}
    possible = sure | {(2, 3), (2, 2), (4, 3)}
    for found in (
        {(0, 0), (1, 2), (2, 3), (4, 4)},
        {(0, 0), (2, 3), (2, 2), (5, 5), (5, 1)},
        {(3, 1), (4, 3)},
    ):
        a, s, p, n, m = (
            len(found), len(found & sure), len(found & possible), len(found | sure), len(sure)
        )  # fmt: skip
        close(
            answer(set(found), set(sure), set(possible)),
            1 - (s + p) / (a + m),
            "1 − (|A ∩ S| + |A ∩ P|) / (|A| + |S|)",
            suspects={
                "this is the share that is right: the error is 1 minus it": (s + p) / (a + m),
                "a possible link is not wrong: count what is found and possible, too": (
                    1 - 2 * s / (a + m)
                ),
                "what is sure and was not found must cost: this is precision alone": 1 - p / a,
                "what was found and is not possible must cost: this is recall alone": 1 - s / m,
                "sizes are added in the denominator, links of both are counted twice": (
                    1 - (s + p) / n
                ),
                "the denominator holds the sure links, not the possible ones": (
                    1 - (s + p) / (a + len(possible))
                ),
            },
        )


def _share(found, sure, possible):
    return 1 - error_rate(found, sure, possible)


def _sure_only(found, sure, possible):
    return 1 - 2 * len(found & sure) / (len(found) + len(sure))


def _precision(found, sure, possible):
    return 1 - len(found & possible) / len(found)


EXERCISES = (
    Exercise(
        id="translation.em_step",
        title="One step of EM",
        stub=em_step_stub,
        solution=em_step,
        check=check_em_step,
        hints=(
            "Every target word was written by one source word of its sentence. By which, and with "
            "what probability, if the table is right?",
            "For each target word f: p(e) = table[e, f] / the sum over the sentence's source "
            "words. Add p(e) to counts[e, f]. At the end divide each row by its sum.",
            "`share = table[source, f] / table[source, f].sum()`, then "
            "`np.add.at(counts[:, f], source, share)`: it also counts a word that stands twice.",
        ),
        wrong=(
            Wrong(_over_targets, "sum over e"),
            Wrong(_hard, "another algorithm"),
            Wrong(_columns, "down columns"),
            Wrong(_counts, "these are the counts"),
        ),
    ),
    Exercise(
        id="translation.cross_attend",
        title="Cross-attention",
        stub=cross_attend_stub,
        solution=cross_attend,
        check=check_cross_attend,
        hints=(
            "It is attention. Who asks, and who is asked?",
            "Queries x qᵀ; keys and values from the source; scores (T, S) over the root of the "
            "keys' width; minus infinity where the source is padding.",
            "`scores.masked_fill(~real, -math.inf).softmax(dim=1) @ (source @ v.mT)`",
        ),
        wrong=(
            Wrong(_padded, "padding is looked at"),
            Wrong(_causal, "no causal mask"),
            Wrong(_unscaled, "root of a key's width"),
        ),
    ),
    Exercise(
        id="translation.links",
        title="Links from attention",
        stub=links_stub,
        solution=links,
        check=check_links,
        hints=(
            "Row 0 reads the start of the target. Which word does it write?",
            "Row t writes target word t. The last row writes the end.",
            "`best = weights.argmax(dim=1)`; a link is `(int(best[t]), t)`, for all rows but "
            "the last.",
        ),
        wrong=(
            Wrong(_late, "one too late"),
            Wrong(_with_end, "no word"),
            Wrong(_turned, "other way round"),
            Wrong(_by_source, "over the source"),
        ),
    ),
    Exercise(
        id="translation.error_rate",
        title="Alignment error rate",
        stub=error_rate_stub,
        solution=error_rate,
        check=check_error_rate,
        hints=(
            "A found link may be sure, only possible, or wrong. A sure link may be missed.",
            "Right are the found links that are sure, and once more those that are possible; out "
            "of all found and all sure ones.",
            "`1 - (len(found & sure) + len(found & possible)) / (len(found) + len(sure))`",
        ),
        wrong=(
            Wrong(_share, "1 minus it"),
            Wrong(_sure_only, "not wrong"),
            Wrong(_precision, "precision alone"),
        ),
    ),
)
