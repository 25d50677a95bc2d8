"""Exercises of the chapter `intro`."""

import math

import numpy as np

from llmcourse.exercises.core import Exercise, Wrong, close, expect

# Surprise of a text.


def surprise_stub(probabilities):
    raise NotImplementedError


def surprise(probabilities):
    return float(-np.log2(probabilities).sum())


def check_surprise(answer):
    p = [0.5, 0.125, 0.8, 0.3]
    nats = [-math.log(x) for x in p]
    close(
        float(answer(list(p))),
        sum(nats) / math.log(2),
        f"wrong for the probabilities {p}",
        suspects={
            "this is in nats: take the logarithm to base 2, or divide by ln 2": sum(nats),
            "this is the mean a token; the surprise of a text is the sum over its tokens": sum(nats)
            / 4
            / math.log(2),
            "the sign is wrong: a logarithm of a probability is negative, a surprise is not": -sum(
                nats
            )
            / math.log(2),
            "probabilities of tokens in a row multiply, so their logarithms add; here the "
            "probabilities were added": -math.log2(sum(p)),
        },
    )
    close(float(answer([0.25])), 2.0, "one token of probability 1/4 is two bits of surprise")
    close(float(answer([1.0, 1.0])), 0.0, "what is certain does not surprise", atol=1e-12)
    long = [0.1] * 2000
    got = float(answer(list(long)))
    expect(
        math.isfinite(got),
        "the product of 2,000 probabilities is too small for a float and became 0: add logarithms",
        got=got,
    )
    close(got, 2000 * math.log2(10), "wrong for 2,000 tokens of probability 0.1")


def _in_nats(probabilities):
    return float(-np.log(probabilities).sum())


def _mean(probabilities):
    return float(-np.log2(probabilities).mean())


def _negative(probabilities):
    return float(np.log2(probabilities).sum())


def _added(probabilities):
    return -math.log2(sum(probabilities))


def _product(probabilities):
    product = 1.0
    for p in probabilities:
        product *= p
    return -math.log2(product) if product else math.inf


# Bits above the truth.


def bits_above_stub(model_nats, true_nats):
    raise NotImplementedError


def bits_above(model_nats, true_nats):
    return float(np.mean(np.asarray(model_nats) - np.asarray(true_nats)) / math.log(2))


def check_bits_above(answer):
    model, true = np.array([60.0, 52.0, 71.0]), np.array([50.0, 49.0, 55.5])
    gap = 9.5
    close(
        float(answer(model.copy(), true.copy())),
        gap / math.log(2),
        f"wrong for the model's nats {model} and the true nats {true}",
        suspects={
            "this is in nats: a bit is ln 2 nats": gap,
            "nats become bits by dividing by ln 2, not by multiplying": gap * math.log(2),
            "the sign is wrong: a model that is worse than the truth has more surprise": -gap
            / math.log(2),
            "this is the sum over the stories; bits a story are their mean": 3 * gap / math.log(2),
            "a ratio of surprises has no unit: subtract the truth's": float(
                model.mean() / true.mean()
            ),
        },
    )
    close(
        float(answer(list(true), list(true))), 0.0, "the truth is 0 bits above itself", atol=1e-12
    )
    close(
        float(answer([40.0, 60.0], [50.0, 49.0])),
        0.5 / math.log(2),
        "on one story a model may be luckier than the truth: keep the minus sign there",
    )


def _gap_in_nats(model_nats, true_nats):
    return float(np.mean(np.asarray(model_nats) - np.asarray(true_nats)))


def _multiplied(model_nats, true_nats):
    return _gap_in_nats(model_nats, true_nats) * math.log(2)


def _turned_round(model_nats, true_nats):
    return -bits_above(model_nats, true_nats)


def _summed(model_nats, true_nats):
    return bits_above(model_nats, true_nats) * len(model_nats)


def _ratio(model_nats, true_nats):
    return float(np.mean(model_nats) / np.mean(true_nats))


def _absolute(model_nats, true_nats):
    gaps = np.abs(np.asarray(model_nats) - np.asarray(true_nats))
    return float(gaps.mean() / math.log(2))


# Drawing a word.


def pick_stub(distribution, u):
    raise NotImplementedError


def pick(distribution, u):
    below = 0.0
    for word, p in distribution.items():
        below += p
        if u < below:
            return word
    return word


def check_pick(answer):
    words = {"cat": 0.5, "dog": 0.2, "owl": 0.3}
    draws = (np.arange(1000) + 0.5) / 1000
    shares = {w: 0 for w in words}
    for u in draws:
        got = answer(dict(words), float(u))
        expect(got in words, f"return one of the words {list(words)}", got=got)
        shares[got] += 1
    expect(
        shares["cat"] < 1000,
        "this always takes the likeliest word: every story would be the same one",
        got=shares,
    )
    expect(
        max(shares.values()) - min(shares.values()) > 5,
        "every word comes equally often: give each a piece of [0, 1) as long as its probability",
        expected={w: round(1000 * p) for w, p in words.items()},
        got=shares,
    )
    expect(
        all(abs(shares[w] - 1000 * p) < 2 for w, p in words.items()),
        "over 1,000 evenly spaced u, the words' shares are not their probabilities",
        expected={w: round(1000 * p) for w, p in words.items()},
        got=shares,
    )
    for u, word in ((0.0, "cat"), (0.49, "cat"), (0.5, "dog"), (0.69, "dog"), (0.71, "owl")):
        got = answer(dict(words), u)
        expect(
            got == word,
            f"at u = {u} the word is {word}: pieces lie in the distribution's order, and each "
            "begins where the one before ends",
            got=got,
        )
    # Ten times 0.1 is a little less than 1 in floating point.
    tenths = {str(i): 0.1 for i in range(10)}
    got = answer(tenths, 0.9999999999999999)
    expect(
        got == "9",
        "rounding can leave the sum a little below 1: then the last word is meant",
        expected="9",
        got=got,
    )


def _likeliest(distribution, u):
    return max(distribution, key=distribution.get)


def _uniform(distribution, u):
    return list(distribution)[int(u * len(distribution))]


def _no_running_sum(distribution, u):
    for word, p in distribution.items():
        if u < p:
            return word
    return word


def _nothing_left(distribution, u):
    below = 0.0
    for word, p in distribution.items():
        below += p
        if u < below:
            return word
    return None


def _closed_pieces(distribution, u):
    below = 0.0
    for word, p in distribution.items():
        below += p
        if u <= below:
            return word
    return word


EXERCISES = (
    Exercise(
        id="intro.surprise",
        title="The surprise of a text",
        stub=surprise_stub,
        solution=surprise,
        check=check_surprise,
        hints=(
            "Probabilities of words in a row multiply. The logarithm turns the product into a sum.",
            "For each probability p take −log₂ p; add them up.",
            "`np.log2` takes a whole list: `-np.log2(probabilities)` is one surprise a token. What "
            "is left is the sum.",
        ),
        wrong=(
            Wrong(_in_nats, "base 2"),
            Wrong(_mean, "sum over its tokens"),
            Wrong(_negative, "the sign is wrong"),
            Wrong(_added, "probabilities were added"),
            Wrong(_product, "too small for a float"),
        ),
    ),
    Exercise(
        id="intro.bits_above",
        title="Bits above the truth",
        stub=bits_above_stub,
        solution=bits_above,
        check=check_bits_above,
        hints=(
            "Each story has two surprises: the model's and the true one. What is their difference "
            "on average, and in which unit?",
            "Subtract story by story, take the mean, turn nats into bits.",
            "`np.mean(np.asarray(model_nats) - np.asarray(true_nats))` is in nats. One bit is "
            "`math.log(2)` nats.",
        ),
        wrong=(
            Wrong(_gap_in_nats, "a bit is ln 2 nats"),
            Wrong(_multiplied, "not by multiplying"),
            Wrong(_turned_round, "the sign is wrong"),
            Wrong(_summed, "sum over the stories"),
            Wrong(_ratio, "no unit"),
            Wrong(_absolute, "keep the minus sign"),
        ),
    ),
    Exercise(
        id="intro.pick",
        title="Draw the next word",
        stub=pick_stub,
        solution=pick,
        check=check_pick,
        hints=(
            "Lay the words side by side on the line from 0 to 1, each as long as its probability. "
            "u is a point on the line.",
            "Keep a running sum. The first word whose running sum exceeds u is the one. If rounding"
            " leaves none, it is the last.",
            "`below = 0.0`, then for each `word, p in distribution.items()`: `below += p`, and "
            "`if u < below: return word`. After the loop, `return word`.",
        ),
        wrong=(
            Wrong(_likeliest, "always takes the likeliest"),
            Wrong(_uniform, "equally often"),
            Wrong(_no_running_sum, "shares are not their probabilities"),
            Wrong(_closed_pieces, "each begins where the one before ends"),
            Wrong(_nothing_left, "the last word is meant"),
        ),
    ),
)
