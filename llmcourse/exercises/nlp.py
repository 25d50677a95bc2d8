"""Exercises of the chapter `concepts/nlp`."""

import math

import numpy as np

from llmcourse.exercises.core import Exercise, Wrong, close, expect

# ---- deciding by Bayes' rule ---------------------------------------------------------------------


def posterior_stub(log_prior, log_likelihood):
    raise NotImplementedError


def posterior(log_prior, log_likelihood):
    joint = np.asarray(log_prior) + np.asarray(log_likelihood)
    odds = np.exp(joint - joint.max())
    return odds / odds.sum()


def check_posterior(answer):
    prior, likelihood = np.array([0.7, 0.2, 0.1]), np.array([0.02, 0.05, 0.3])
    joint = prior * likelihood
    close(
        answer(np.log(prior), np.log(likelihood)),
        joint / joint.sum(),
        f"wrong for the prior {prior} and the likelihoods {likelihood}",
        suspects={
            "the prior is forgotten: a rare label needs more evidence": likelihood
            / likelihood.sum(),
            "the likelihood is forgotten: what was read should change what we believe": prior,
            "this is the joint probability; divide by its sum, so that the labels' "
            "probabilities sum to one": joint,
            "these are logarithms: the answer should be probabilities": np.log(joint / joint.sum()),
            "only the likeliest label got a probability; the answer is a distribution": np.eye(3)[
                joint.argmax()
            ],
        },
    )
    # A text of a thousand words: both likelihoods are zero as floating-point numbers.
    got = answer(np.log([0.5, 0.5]), np.array([-4000.0, -4001.0]))
    expect(
        np.all(np.isfinite(got)),
        "a long text underflows: exp(-4000) is 0. Subtract the largest sum of logarithms first",
        got=got,
    )
    close(got, np.array([math.e, 1]) / (1 + math.e), "wrong for log-likelihoods −4000 and −4001")
    got = answer(np.log([0.25, 0.75]), np.array([-900.0, -2000.0]))
    close(got, np.array([1.0, 0.0]), "wrong where one label is certain")
    rng = np.random.default_rng(0)
    for _ in range(2):
        a, b = np.log(rng.dirichlet(np.ones(4))), rng.normal(size=4)
        close(answer(a.copy(), b.copy()), posterior(a, b), "wrong for four labels")


def _no_guard(log_prior, log_likelihood):
    with np.errstate(all="ignore"):
        odds = np.exp(np.asarray(log_prior) + log_likelihood)
        return odds / odds.sum()


# ---- the floor -----------------------------------------------------------------------------------


def bayes_error_stub(joint):
    raise NotImplementedError


def bayes_error(joint):
    return 1 - np.asarray(joint).max(axis=0).sum()


def check_bayes_error(answer):
    # Rows: the label. Columns: what is observed.
    joint = np.array([[0.30, 0.05, 0.15], [0.10, 0.20, 0.04], [0.02, 0.06, 0.08]])
    close(
        answer(joint.copy()),
        bayes_error(joint),
        "wrong for a table of three labels and three observations",
        suspects={
            "this is how often the best guess is right; the error is the rest": 1
            - bayes_error(joint),
            "this takes the likeliest observation of each label; we see the observation and "
            "guess the label, so take the largest in each column": 1 - joint.max(axis=1).sum(),
            "this always guesses the most frequent label, whatever is observed": 1
            - joint.sum(axis=1).max(),
            "observations are not equally likely: the table holds joint probabilities, and their "
            "column maxima already carry p(y)": 1 - (joint / joint.sum(axis=0)).max(axis=0).mean(),
            "this is the error of drawing the label by its posterior; guessing the likeliest label "
            "is wrong less often": 1 - (joint**2 / joint.sum(axis=0)).sum(),
        },
    )
    close(answer(np.diag([0.2, 0.5, 0.3])), 0.0, "where labels are told apart the error is 0")
    useless = np.outer([0.6, 0.4], [0.1, 0.2, 0.7])
    close(answer(useless), 0.4, "an observation that tells nothing leaves the share of the rest")
    for seed in range(3):
        table = np.random.default_rng(seed).dirichlet(np.ones(12)).reshape(3, 4)
        close(answer(table.copy()), bayes_error(table), f"wrong for the table of seed {seed}")


# ---- counting wrong words ------------------------------------------------------------------------


def word_errors_stub(said, written):
    raise NotImplementedError


def word_errors(said, written):
    row = list(range(len(written) + 1))
    for i, a in enumerate(said, start=1):
        above, row = row, [i]
        for j, b in enumerate(written, start=1):
            row.append(min(above[j - 1] + (a != b), above[j] + 1, row[-1] + 1))
    return row[-1]


CASES = (
    ("she ran to the lake", "she ran to the cake", 1),
    ("she ran to the lake", "she ran the lake", 1),
    ("she ran to the lake", "so she ran to the lake", 1),
    ("she ran", "he crept there", 3),
    ("the old lake", "old the lake", 2),
    ("a b c d", "b c d e", 2),
    ("a b", "", 2),
    ("", "a b c", 3),
    ("a", "a", 0),
    ("a b c", "c b a", 2),
    ("a a b", "b a a a", 2),
)


def _positions(said, written):
    return sum(a != b for a, b in zip(said, written, strict=False)) + abs(len(said) - len(written))


def _bag(said, written):
    return max(len(set(said) - set(written)), len(set(written) - set(said)))


def _two_for_a_change(said, written):
    row = list(range(len(written) + 1))
    for i, a in enumerate(said, start=1):
        above, row = row, [i]
        for j, b in enumerate(written, start=1):
            row.append(min(above[j - 1] + 2 * (a != b), above[j] + 1, row[-1] + 1))
    return row[-1]


def _rate(said, written):
    return word_errors(said, written) / max(len(said), 1)


def check_word_errors(answer):
    for said, written, want in CASES:
        said, written = said.split(), written.split()
        got = answer(list(said), list(written))
        for diagnosis, mistake in (
            ("a left-out word shifts all that follow it: compare by the cheapest alignment, not "
             "place by place", _positions),
            ("this compares sets of words: order and repetition count", _bag),
            ("a wrong word is one error, not a deletion and an insertion", _two_for_a_change),
            ("this is a rate; the number of errors is asked", _rate),
        ):  # fmt: skip
            value = mistake(said, written)
            expect(not (got == value != want), diagnosis, expected=want, got=got)
        expect(got == want, f"wrong for {said} heard as {written}", expected=want, got=got)
    rng = np.random.default_rng(0)
    for _ in range(6):
        a, b = ([*"abc"[: 1 + k]] * 3 for k in rng.integers(0, 3, 2))
        rng.shuffle(a)
        rng.shuffle(b)
        got, want = answer(list(a), list(b)), word_errors(a, b)
        expect(got == want, f"wrong for {a} heard as {b}", expected=want, got=got)


# ---- a recogniser of single words ----------------------------------------------------------------


def recognise_stub(heard, log_prior, log_confusion):
    raise NotImplementedError


def recognise(heard, log_prior, log_confusion):
    def score(word):
        return log_prior[word] + sum(
            log_confusion[said][got] for said, got in zip(word, heard, strict=True)
        )

    return max((word for word in log_prior if len(word) == len(heard)), key=score)


WORDS = {"aba": 0.07, "abb": 0.17, "bab": 0.12, "bbb": 0.11, "cab": 0.13, "ca": 0.07}
WORDS |= {"ab": 0.16, "b": 0.17}
CONFUSION = {  # said: heard
    "a": {"a": 0.53, "b": 0.40, "c": 0.07},
    "b": {"a": 0.46, "b": 0.46, "c": 0.08},
    "c": {"a": 0.47, "b": 0.06, "c": 0.47},
}
SOUNDS = ("aaa", "aba", "aca", "baa", "bba", "bca", "caa", "cba", "cca", "ba", "cb", "a")


def _logs(table):
    return {k: _logs(v) if isinstance(v, dict) else math.log(v) for k, v in table.items()}


def _recogniser(score):
    """A recogniser that scores a word by its prior and its letters' confusions otherwise."""

    def answer(heard, log_prior, log_confusion):
        alike = [word for word in log_prior if len(word) == len(heard)]
        return max(alike, key=lambda word: score(word, heard, log_prior, log_confusion))

    return answer


def _letters(word, heard, confusion):
    return sum(confusion[said][got] for said, got in zip(word, heard, strict=True))


_ear_alone = _recogniser(lambda w, h, prior, c: _letters(w, h, c))
_prior_alone = _recogniser(lambda w, h, prior, c: prior[w])
_backwards = _recogniser(lambda w, h, prior, c: prior[w] + _letters(h, w, c))
_nearest = _recogniser(lambda w, h, prior, c: sum(a == b for a, b in zip(w, h, strict=True)))
_least = _recogniser(lambda w, h, prior, c: -prior[w] - _letters(w, h, c))


def check_recognise(answer):
    prior, confusion = _logs(WORDS), _logs(CONFUSION)
    mistakes = (
        ("the language model is forgotten: add the word's own log-probability", _ear_alone),
        ("the ear is forgotten: the answer should depend on the letters heard", _prior_alone),
        ("said and heard are exchanged: log_confusion[said][heard]", _backwards),
        ("this counts equal letters; confusions are not all equally likely", _nearest),
        ("this is the least likely word: take the largest score", _least),
    )
    want = [recognise(heard, prior, confusion) for heard in SOUNDS]
    got = [answer(heard, dict(prior), confusion) for heard in SOUNDS]
    for diagnosis, mistake in mistakes:
        wrong = [mistake(heard, prior, confusion) for heard in SOUNDS]
        expect(not (got == wrong != want), diagnosis, expected=want, got=got)
    for heard, right, word in zip(SOUNDS, want, got, strict=True):
        expect(word in prior, f"{word!r} is no word of the vocabulary", expected=right, got=word)
        expect(len(word) == len(heard), "words of another length cannot have been said", got=word)
        expect(word == right, f"wrong for the sound {heard!r}", expected=right, got=word)


EXERCISES = (
    Exercise(
        id="nlp.posterior",
        title="From likelihoods to a decision",
        stub=posterior_stub,
        solution=posterior,
        check=check_posterior,
        hints=(
            "Bayes' rule multiplies prior and likelihood, then divides by the sum over labels. In "
            "logarithms the product is a sum.",
            "Add the two arrays. Subtract the largest entry, so that the exponential of the "
            "largest is 1 and nothing important underflows. Exponentiate, divide by the sum.",
            "`joint = log_prior + log_likelihood`, `odds = np.exp(joint - joint.max())`, return "
            "`odds / odds.sum()`.",
        ),
        wrong=(
            Wrong(lambda a, b: posterior(0 * a, b), "prior is forgotten"),
            Wrong(lambda a, b: np.exp(a + b), "divide by its sum"),
            Wrong(_no_guard, "underflows"),
            Wrong(lambda a, b: np.log(posterior(a, b)), "these are logarithms"),
            Wrong(lambda a, b: np.eye(len(a))[(a + b).argmax()], "answer is a distribution"),
        ),
    ),
    Exercise(
        id="nlp.bayes_error",
        title="The lowest error that is possible",
        stub=bayes_error_stub,
        solution=bayes_error,
        check=check_bayes_error,
        hints=(
            "For each observation the best guess is the label with the largest probability. Add "
            "up how often that guess is right.",
            "In each column of the joint table take the largest entry. Their sum is the "
            "probability of being right. The error is one minus that.",
            "`1 - joint.max(axis=0).sum()`.",
        ),
        wrong=(
            Wrong(lambda joint: joint.max(axis=0).sum(), "the error is the rest"),
            Wrong(lambda joint: 1 - joint.max(axis=1).sum(), "each column"),
            Wrong(lambda joint: 1 - joint.sum(axis=1).max(), "most frequent label"),
            Wrong(
                lambda joint: 1 - (joint / joint.sum(axis=0)).max(axis=0).mean(),
                "not equally likely",
            ),
            Wrong(lambda joint: 1 - (joint**2 / joint.sum(axis=0)).sum(), "by its posterior"),
        ),
    ),
    Exercise(
        id="nlp.word_errors",
        title="Wrong, missing and added words",
        stub=word_errors_stub,
        solution=word_errors,
        check=check_word_errors,
        hints=(
            "Let d(i, j) be the fewest errors between the first i words said and the first j "
            "words written. It follows from three neighbours.",
            "d(i, 0) = i and d(0, j) = j. Else d(i, j) is the least of d(i−1, j−1) + (1 if the "
            "words differ), d(i−1, j) + 1 and d(i, j−1) + 1. Fill the table row by row.",
            "Keep one row: start with `row = list(range(len(written) + 1))`. For each word `a` "
            "said set `above, row = row, [i]`, and for each `b` written append "
            "`min(above[j - 1] + (a != b), above[j] + 1, row[-1] + 1)`. Return `row[-1]`.",
        ),
        wrong=(
            Wrong(_positions, "place by place"),
            Wrong(_bag, "sets of words"),
            Wrong(_two_for_a_change, "not a deletion and an insertion"),
            Wrong(_rate, "this is a rate"),
        ),
    ),
    Exercise(
        id="nlp.recognise",
        title="A recogniser of single words",
        stub=recognise_stub,
        solution=recognise,
        check=check_recognise,
        hints=(
            "Score every word that is as long as the sound: how likely is the word, and how likely "
            "is this sound if the word was said?",
            "The score is log_prior[word] plus the sum of log_confusion[said][heard] over the "
            "letters. Return the word with the largest score.",
            "`max((w for w in log_prior if len(w) == len(heard)), key=lambda w: log_prior[w] + "
            "sum(log_confusion[s][h] for s, h in zip(w, heard)))`.",
        ),
        wrong=(
            Wrong(_ear_alone, "language model is forgotten"),
            Wrong(_prior_alone, "ear is forgotten"),
            Wrong(_backwards, "exchanged"),
            Wrong(_nearest, "equal letters"),
            Wrong(_least, "least likely"),
        ),
        equivalent_mutants={
            "return log_prior[word] + sum((log_confusion[said][got] for said, got in zip(word, "
            "heard, strict=True))) → return log_prior[word] + sum((log_confusion[said][got] for "
            "said, got in zip(word, heard, strict=False)))": "words of another length are left out "
            "before",
        },
    ),
)
