"""Exercises of the chapter `applications/classification`."""

import numpy as np

from llmcourse.exercises.core import Exercise, Wrong, close, expect

# Accuracy where the probability of the label is known.


def expected_accuracy_stub(chosen, probability):
    raise NotImplementedError


def expected_accuracy(chosen, probability):
    right = [p if c else 1 - p for c, p in zip(chosen, probability)]  # noqa: B905
    return sum(right) / len(right)


def check_expected_accuracy(answer):
    for chosen, p in (
        ([True, True, False, False], [0.98, 0.10, 0.90, 0.02]),
        ([False, True, True], [0.25, 0.75, 0.5]),
        ([True, False, False, False, False], [0.1, 0.2, 0.3, 0.9, 0.4]),
    ):
        n = len(p)
        close(
            float(answer(list(chosen), list(p))),
            expected_accuracy(chosen, p),
            "the mean chance that a decision is right: p where the item was called happy, else "
            "1 − p",
            suspects={
                "max(p, 1 − p) is the best rule's accuracy: here the decisions are given": (
                    sum(max(x, 1 - x) for x in p) / n
                ),
                "this counts agreement with the likelier label: a decision against the odds is "
                "right now and then": sum(c == (x > 0.5) for c, x in zip(chosen, p, strict=True))
                / n,
                "the items that were not called happy count, too, with 1 − p": (
                    sum(x for c, x in zip(chosen, p, strict=True) if c) / n
                ),
                "divide by the number of items: an accuracy is a mean": (
                    expected_accuracy(chosen, p) * n
                ),
                "p is the probability of happy whatever was decided": sum(p) / n,
            },
        )


def _best(chosen, probability):
    return sum(max(p, 1 - p) for p in probability) / len(probability)


def _agreement(chosen, probability):
    pairs = zip(chosen, probability, strict=True)
    return sum(c == (p > 0.5) for c, p in pairs) / len(probability)


def _only_chosen(chosen, probability):
    return sum(p for c, p in zip(chosen, probability, strict=True) if c) / len(probability)


# Naive Bayes on counts.


def naive_bayes_stub(counts, texts, words):
    raise NotImplementedError


def naive_bayes(counts, texts, words):
    smoothed = counts + 1.0
    log_word = np.log(smoothed / smoothed.sum(axis=1, keepdims=True))
    score = np.log(texts / texts.sum()) + log_word @ words
    return score - np.logaddexp.reduce(score)


def check_naive_bayes(answer):
    chance = np.random.default_rng(0)
    for classes, vocabulary in ((2, 4), (3, 6)):
        counts = chance.integers(0, 9, size=(classes, vocabulary)).astype(float)
        counts[0, 1] = 0.0
        texts = chance.integers(3, 20, size=classes).astype(float)
        words = chance.integers(0, 4, size=vocabulary).astype(float)
        words[1] = 2.0

        def posterior(smoothed, prior, seen):
            score = prior + np.log(smoothed) @ seen
            return score - np.logaddexp.reduce(score)

        prior = np.log(texts / texts.sum())
        share = (counts + 1) / (counts + 1).sum(axis=1, keepdims=True)
        raw = prior + np.log(share) @ words
        got = answer(counts.copy(), texts.copy(), words.copy())
        expect(
            np.all(np.isfinite(got)),
            "a word that a class has never had must not make it impossible: add 1 to every count",
            got=got,
        )
        close(
            np.asarray(got),
            posterior(share, prior, words),
            "log prior plus the sum of the words' log-probabilities, normalised over the classes",
            atol=1e-9,
            rtol=1e-7,
            suspects={
                "the prior is missing: how many texts each class has": posterior(share, 0, words),
                "a word that occurs twice counts twice": posterior(share, prior, words > 0),
                "the scores are not normalised: their exponentials must sum to 1": raw,
                "with 1 added to each of V counts the sum of the counts grows by V": posterior(
                    (counts + 1) / (counts.sum(axis=1, keepdims=True) + 1), prior, words
                ),
                "these are probabilities: their logarithms are asked for": np.exp(
                    posterior(share, prior, words)
                ),
                "each class has its own sum of counts": posterior(
                    (counts + 1) / (counts + 1).sum(), prior, words
                ),
            },
        )


def _no_prior(counts, texts, words):
    return naive_bayes(counts, np.ones_like(texts), words)


def _no_smoothing(counts, texts, words):
    with np.errstate(divide="ignore", invalid="ignore"):
        score = (
            np.log(texts / texts.sum()) + np.log(counts / counts.sum(axis=1, keepdims=True)) @ words
        )
        return score - np.logaddexp.reduce(score)


def _once(counts, texts, words):
    return naive_bayes(counts, texts, (words > 0).astype(float))


def _unnormalised(counts, texts, words):
    smoothed = counts + 1.0
    return (
        np.log(texts / texts.sum()) + np.log(smoothed / smoothed.sum(axis=1, keepdims=True)) @ words
    )


# The label that the text makes more probable than it was.


def raised_label_stub(nats, without):
    raise NotImplementedError


def raised_label(nats, without):
    return (nats - without).argmin(axis=1)


def check_raised_label(answer):
    chance = np.random.default_rng(1)
    for rows, labels in ((40, 3), (25, 5)):
        without = chance.uniform(1, 9, size=labels)
        nats = without + chance.normal(0, 2, size=(rows, labels)) + 3.0
        want = (nats - without).argmin(axis=1)
        got = np.asarray(answer(nats.copy(), without.copy()))
        expect(
            got.shape == want.shape,
            "one number of a label for each text",
            expected=want.shape,
            got=got.shape,
        )
        for diagnosis, wrong in {
            "this is the most probable label: a common word wins whatever the text says": (
                nats.argmin(axis=1)
            ),
            "nats are surprise: the label to choose has the smallest difference, not the largest": (
                (nats - without).argmax(axis=1)
            ),
            "what the label costs without the text is subtracted, not added": (
                (nats + without).argmin(axis=1)
            ),
            "a ratio of two surprises has no meaning: subtract them": (
                (nats / without).argmin(axis=1)
            ),
        }.items():
            expect(not np.array_equal(got, wrong), diagnosis, expected=want, got=got)
        expect(
            np.array_equal(got, want),
            "the label whose surprise the text lowers most",
            expected=want,
            got=got,
        )


def _most_probable(nats, without):
    return nats.argmin(axis=1)


def _largest(nats, without):
    return (nats - without).argmax(axis=1)


def _added(nats, without):
    return (nats + without).argmin(axis=1)


EXERCISES = (
    Exercise(
        id="classification.expected_accuracy",
        title="Accuracy without the noise of the labels",
        stub=expected_accuracy_stub,
        solution=expected_accuracy,
        check=check_expected_accuracy,
        hints=(
            "A decision is right with a probability that is known. Which is it, if the item was "
            "called happy, and which if not?",
            "Take p where the item was called happy, 1 − p where it was not, and the mean of all.",
            "`[p if c else 1 - p for c, p in zip(chosen, probability)]`, summed, over its length.",
        ),
        wrong=(
            Wrong(_best, "the decisions are given"),
            Wrong(_agreement, "against the odds"),
            Wrong(_only_chosen, "with 1 − p"),
        ),
    ),
    Exercise(
        id="classification.naive_bayes",
        title="Naive Bayes on counts",
        stub=naive_bayes_stub,
        solution=naive_bayes,
        check=check_naive_bayes,
        hints=(
            "Bayes' rule in logarithms: log prior plus log likelihood, then normalise. Naive: the "
            "likelihood of a text is the product over its words.",
            "Add 1 to every count, divide each class's row by its own sum, take logarithms. "
            "Multiply by how often each word occurs in the text and sum.",
            "`score = np.log(texts / texts.sum()) + log_word @ words`, then subtract "
            "`np.logaddexp.reduce(score)`.",
        ),
        wrong=(
            Wrong(_no_prior, "prior is missing"),
            Wrong(_no_smoothing, "add 1"),
            Wrong(_once, "counts twice"),
            Wrong(_unnormalised, "not normalised"),
        ),
        equivalent_mutants={
            "score = np.log(texts / texts.sum()) + log_word @ words → score = np.log(texts * "
            "texts.sum()) + log_word @ words": "a constant added to all scores is normalised away"
        },
    ),
    Exercise(
        id="classification.raised_label",
        title="The label that a text raises",
        stub=raised_label_stub,
        solution=raised_label,
        check=check_raised_label,
        hints=(
            "A label may be probable before any text is read. How much does the text change it?",
            "log q(label | text) − log q(label) is the pointwise mutual information; here both "
            "are given as surprise, with the opposite sign.",
            "`(nats - without).argmin(axis=1)`",
        ),
        wrong=(
            Wrong(_most_probable, "most probable label"),
            Wrong(_largest, "not the largest"),
            Wrong(_added, "subtracted, not added"),
        ),
    ),
)
