"""Exercises of the chapter `concepts/ngram`."""

import math
from itertools import pairwise

import numpy as np

from llmcourse.exercises.core import Exercise, Wrong, close, expect

__all__ = ["EXERCISES"]

# ---- perplexity ------------------------------------------------------------------------------


def perplexity_stub(probs):
    raise NotImplementedError


def perplexity(probs):
    if 0 in probs:
        return math.inf
    return math.exp(-sum(math.log(p) for p in probs) / len(probs))


def check_perplexity(answer):
    probs = [0.5, 0.01, 0.2, 0.9]
    mean = sum(probs) / 4
    logs = [math.log(p) for p in probs]
    close(
        answer(probs),
        math.exp(-sum(logs) / 4),
        f"wrong for the probabilities {probs}",
        suspects={
            "this averages the probabilities; perplexity needs their geometric mean, through the "
            "mean of the logarithms": 1 / mean,
            "this is the whole text's, not a token's: divide the summed logarithm by the number "
            "of tokens": math.exp(-sum(logs)),
            "the sign is lost: log p is negative, and a perplexity below 1 is impossible": math.exp(
                sum(logs) / 4
            ),
            "the base of the logarithm and of the power differ: log2 goes with 2 **, log with "
            "exp": math.exp(-sum(logs) / 4 / math.log(2)),
        },
    )
    close(answer([0.1] * 7), 10.0, "ten equally likely tokens at every step should give 10")
    expect(
        answer([0.5, 0.0, 0.5]) == math.inf,
        "one impossible token makes the text impossible: the perplexity should be infinite",
    )
    twice = answer([*probs, *probs])
    close(twice, answer(probs), "reading the same text twice should not change a mean")


# ---- counting --------------------------------------------------------------------------------


def bigram_stub(ids, V):
    raise NotImplementedError


def bigram(ids, V):
    counts = np.zeros((V, V))
    for h, w in pairwise(ids):
        counts[h, w] += 1
    probs = np.full((V, V), 1 / V)
    seen = counts.sum(axis=1) > 0
    probs[seen] = counts[seen] / counts[seen].sum(axis=1, keepdims=True)
    return probs


def check_bigram(answer):
    V, ids = 4, [0, 1, 0, 2, 0, 1, 1]
    close(
        answer(list(ids), V),
        bigram(ids, V),
        f"wrong table for the text {ids}",
        suspects={
            "rows and columns are exchanged: row h should hold what follows h": bigram(ids, V).T,
            "this is p(h, w), the share among all pairs; divide each row by its own sum to get "
            "p(w | h)": _joint(ids, V),
            "the last token has been joined to the first: a text is not a ring": bigram(
                [*ids, ids[0]], V
            ),
            "a row does not sum to one: divide by how often h was followed by something, not by "
            "how often it occurs": _by_occurrence(ids, V),
            "a context that was never seen should get the uniform distribution, not "
            "zeros": _unseen_zero(ids, V),
        },
    )
    texts = [np.random.default_rng(seed).integers(0, 6, 15).tolist() for seed in range(3)]
    for text in ([0, 1, 0, 3], *texts):  # the last token of the first occurs nowhere else
        close(answer(list(text), 7), bigram(text, 7), f"wrong table for the text {text}")


def _joint(ids, V):
    return _pair_counts(ids, V) / (len(ids) - 1)


def _by_occurrence(ids, V):
    shares = _pair_counts(ids, V) / np.maximum(np.bincount(ids, minlength=V), 1)[:, None]
    return np.where(shares.any(axis=1, keepdims=True), shares, 1 / V)


def _unseen_zero(ids, V):
    return bigram(ids, V) * (_pair_counts(ids, V) > 0)


def _pair_counts(ids, V):
    counts = np.zeros((V, V))
    np.add.at(counts, (ids[:-1], ids[1:]), 1)
    return counts


def _seen(ids, V):
    return _pair_counts(ids, V).any(axis=1, keepdims=True)


# ---- absolute discounting --------------------------------------------------------------------


def discounted_stub(counts, lower, D):
    raise NotImplementedError


def discounted(counts, lower, D):
    total = counts.sum()
    if total == 0:
        return lower
    freed = D * (counts > 0).sum()
    return (np.maximum(counts - D, 0) + freed * lower) / total


def check_discounted(answer):
    counts = np.array([5.0, 1.0, 0.0, 2.0, 0.0])
    lower, D = np.array([0.1, 0.2, 0.3, 0.25, 0.15]), 0.7
    kept = np.maximum(counts - D, 0)
    uniform = np.full(5, 0.2)
    close(
        answer(counts.copy(), lower.copy(), D),
        discounted(counts, lower, D),
        f"wrong for counts {counts}, lower {lower} and D = {D}",
        suspects={
            "the probabilities sum to less than one: what was taken must be given back, by the "
            "lower order": kept / counts.sum(),
            "D was taken from each word seen, so D times their number is to be given back; here "
            "only one D is": (kept + D * lower) / counts.sum(),
            "D times the number of occurrences is given back, but D was taken once from each "
            "distinct word": (kept + D * counts.sum() * lower) / counts.sum(),
            "what was taken is shared out evenly; the lower order should say who gets how much": (
                kept + 3 * D * uniform
            )
            / counts.sum(),
            "D has been taken from words never seen too: their count cannot go below zero": (
                counts - D + 3 * D * lower
            )
            / counts.sum(),
        },
    )
    close(
        answer(np.zeros(3), np.array([0.5, 0.3, 0.2]), 0.7),
        np.array([0.5, 0.3, 0.2]),
        "after a context never seen only the lower order has something to say",
    )
    rng = np.random.default_rng(0)
    for size in (2, 6):
        counts, lower = rng.integers(0, 3, size).astype(float), rng.dirichlet(np.ones(size))
        counts[0] = 1.0
        got = answer(counts.copy(), lower.copy(), 0.4)
        close(got, discounted(counts, lower, 0.4), f"wrong for counts {counts} and D = 0.4")


def _given_back(freed):
    """Discounting that hands `freed(counts, lower, D)` back."""

    def answer(counts, lower, D):
        total = counts.sum()
        return (np.maximum(counts - D, 0) + freed(counts, lower, D)) / total if total else lower

    return answer


# ---- Kneser-Ney's lower order ------------------------------------------------------------------


def continuation_stub(ids, V):
    raise NotImplementedError


def continuation(ids, V):
    pairs = set(pairwise(ids))
    contexts = np.zeros(V)
    for _, w in pairs:
        contexts[w] += 1
    return contexts / len(pairs)


def check_continuation(answer):
    # 3 follows 2 four times and nothing else; 1 follows three different words.
    V, ids = 5, [2, 3, 2, 3, 2, 3, 2, 3, 1, 0, 1, 1]
    pairs = set(pairwise(ids))
    want = continuation(ids, V)
    followers = np.array([sum(h == w for h, _ in pairs) for w in range(V)]) / len(pairs)
    frequency = np.bincount([w for _, w in pairwise(ids)], minlength=V)
    close(
        answer(list(ids), V),
        want,
        f"wrong for the text {ids}",
        suspects={
            "this counts occurrences: each distinct word before w should count once": frequency
            / frequency.sum(),
            "this counts the distinct words after w; the question is how many different words "
            "come before it": followers,
            "these are numbers of contexts, not probabilities: divide by the number of distinct "
            "pairs": want * len(pairs),
        },
    )
    for seed in range(3):
        text = np.random.default_rng(seed).integers(0, 5, 14).tolist()
        close(answer(list(text), 6), continuation(text, 6), f"wrong for the text {text}")


# ---- all of it -----------------------------------------------------------------------------------


def kneser_ney_stub(ids, V, D):
    raise NotImplementedError


def kneser_ney(ids, V, D):
    counts = np.zeros((V, V))
    for h, w in pairwise(ids):
        counts[h, w] += 1
    lower = continuation(ids, V)
    return np.stack([discounted(row, lower, D) for row in counts])


def _absolute(ids, V, D):
    """A Kneser-Ney table with the wrong lower order: words by frequency."""
    counts = _pair_counts(ids, V)
    lower = counts.sum(axis=0) / counts.sum()
    return np.stack([discounted(row, lower, D) for row in counts])


def _backed_off(ids, V, D):
    """Freed mass only to words not seen in the context, as in back-off without renormalising."""
    counts, lower = _pair_counts(ids, V), continuation(ids, V)
    table = np.stack([discounted(row, lower, D) for row in counts])
    seen = counts > 0
    kept = np.maximum(counts - D, 0) / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return np.where(seen, kept, table)


def check_kneser_ney(answer):
    V, ids, D = 5, [2, 3, 2, 3, 2, 3, 2, 3, 1, 0, 1, 1], 0.6
    want = kneser_ney(ids, V, D)
    close(
        answer(list(ids), V, D),
        want,
        f"wrong table for the text {ids} and D = {D}",
        suspects={
            "this is absolute discounting: its lower order counts occurrences, Kneser and Ney's "
            "counts distinct contexts": _absolute(ids, V, D),
            "words seen after h get their share of the lower order too; here only unseen "
            "ones do, and rows do not sum to one": _backed_off(ids, V, D),
            "a context never seen should get the lower order, not zeros": want * _seen(ids, V),
            "rows and columns are exchanged: row h should hold what follows h": want.T,
            "this reads the text backwards": kneser_ney(ids[::-1], V, D),
        },
    )
    for seed in range(3):
        text = np.random.default_rng(seed).integers(0, 4, 12).tolist()
        got = answer(list(text), 5, 0.3)
        close(got, kneser_ney(text, 5, 0.3), f"wrong table for the text {text} and D = 0.3")
        # What the lower order is for: averaged over contexts, each word is as frequent as it was.
        contexts = _pair_counts(text, 5).sum(axis=1)
        close(
            contexts @ got,
            _pair_counts(text, 5).sum(axis=0),
            "averaged over contexts a word's probability should be its frequency",
        )


EXERCISES = (
    Exercise(
        id="ngram.perplexity",
        title="Perplexity from probabilities",
        stub=perplexity_stub,
        solution=perplexity,
        check=check_perplexity,
        hints=(
            "Perplexity is the inverse of the geometric mean of the probabilities. A mean of "
            "logarithms gives it without underflow.",
            "If a probability is zero, return infinity. Else take the mean of −log p over the "
            "tokens, and the exponential of that.",
            "`math.exp(-sum(math.log(p) for p in probs) / len(probs))`, after the case of a zero.",
        ),
        wrong=(
            Wrong(lambda probs: math.exp(-sum(map(math.log, probs))), "whole text's"),
            Wrong(lambda probs: math.exp(np.mean(np.log(probs))), "sign is lost"),
            Wrong(lambda probs: math.exp(-np.mean(np.log2(probs))), "base of the logarithm"),
            Wrong(lambda probs: perplexity([p for p in probs if p]), "should be infinite"),
            Wrong(lambda probs: len(probs) / sum(probs), "geometric mean"),
        ),
    ),
    Exercise(
        id="ngram.bigram",
        title="A table of bigram probabilities",
        stub=bigram_stub,
        solution=bigram,
        check=check_bigram,
        hints=(
            "Count the pairs (h, w) of neighbours in a V × V table, then make each row a "
            "distribution.",
            "For each pair of neighbours add one to counts[h, w]. Divide each row by its own sum. "
            "A row whose sum is zero becomes 1/V everywhere.",
            "`for h, w in zip(ids, ids[1:]): counts[h, w] += 1`, then with "
            "`seen = counts.sum(axis=1) > 0` divide `counts[seen]` by "
            "`counts[seen].sum(axis=1, keepdims=True)`; start from `np.full((V, V), 1 / V)`.",
        ),
        wrong=(
            Wrong(lambda ids, V: bigram(ids, V).T, "exchanged"),
            Wrong(_joint, "p(h, w)"),
            Wrong(lambda ids, V: bigram([*ids, ids[0]], V), "not a ring"),
            Wrong(_by_occurrence, "followed by something"),
            Wrong(_unseen_zero, "uniform distribution"),
        ),
        equivalent_mutants={
            "counts[h, w] += 1 → counts[h, w] += 2": "each row is divided by its sum",
        },
    ),
    Exercise(
        id="ngram.discounted",
        title="Absolute discounting for one context",
        stub=discounted_stub,
        solution=discounted,
        check=check_discounted,
        hints=(
            "Take D from the count of each word that was seen, and hand what was taken to the "
            "lower order.",
            "With total = Σ counts: if it is 0, return lower. Keep max(counts − D, 0). The mass "
            "freed is D times the number of words with a count above 0. Return "
            "(kept + freed × lower) / total.",
            "`freed = D * (counts > 0).sum()` and "
            "`(np.maximum(counts - D, 0) + freed * lower) / counts.sum()`.",
        ),
        wrong=(
            Wrong(_given_back(lambda c, lower, D: 0), "sum to less than one"),
            Wrong(_given_back(lambda c, lower, D: D * lower), "only one D"),
            Wrong(_given_back(lambda c, lower, D: D * c.sum() * lower), "each distinct word"),
            Wrong(_given_back(lambda c, lower, D: D * (c > 0).mean()), "shared out evenly"),
            Wrong(_given_back(lambda c, lower, D: D * ((c > 0).sum() * lower - (c == 0))), "zero"),
        ),
    ),
    Exercise(
        id="ngram.continuation",
        title="In how many contexts does a word appear?",
        stub=continuation_stub,
        solution=continuation,
        check=check_continuation,
        hints=(
            "Repetition must not count: look at the set of distinct pairs, not at the list.",
            "Make the set of pairs (h, w) of neighbours. For each w count the pairs that end in "
            "w. Divide by the number of pairs in the set.",
            "`pairs = set(zip(ids, ids[1:]))`, then add one to `contexts[w]` for each `(h, w)` in "
            "`pairs`, and return `contexts / len(pairs)`.",
        ),
        wrong=(
            Wrong(lambda ids, V: _pair_counts(ids, V).sum(0) / (len(ids) - 1), "occurrences"),
            Wrong(lambda ids, V: continuation(ids[::-1], V), "come before it"),
            Wrong(lambda ids, V: 1.0 * (_pair_counts(ids, V) > 0).sum(0), "not probabilities"),
        ),
    ),
    Exercise(
        id="ngram.kneser_ney",
        title="A Kneser–Ney bigram model",
        stub=kneser_ney_stub,
        solution=kneser_ney,
        check=check_kneser_ney,
        helpers=(discounted, continuation),
        hints=(
            "You have both parts already: discount each row of bigram counts, with the "
            "continuation probabilities as the lower order.",
            "Count pairs in a V × V table. Compute lower = continuation(ids, V) once. For each "
            "row of counts compute discounted(row, lower, D), and stack the rows.",
            "`np.stack([discounted(row, lower, D) for row in counts])`.",
        ),
        wrong=(
            Wrong(_absolute, "absolute discounting"),
            Wrong(_backed_off, "only unseen"),
            Wrong(lambda ids, V, D: kneser_ney(ids, V, D) * _seen(ids, V), "not zeros"),
            Wrong(lambda ids, V, D: kneser_ney(ids, V, D).T, "exchanged"),
            Wrong(lambda ids, V, D: kneser_ney(ids[::-1], V, D), "backwards"),
        ),
    ),
)
