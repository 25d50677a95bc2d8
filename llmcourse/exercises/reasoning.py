"""Exercises of the chapter `practice/reasoning`."""

from math import comb

import numpy as np

from llmcourse.exercises.core import Exercise, Wrong, close, expect

# The vote: the most frequent answer, and what to do with ties and with no answer.


def vote_stub(answers):
    raise NotImplementedError


def vote(answers):
    given = [answer for answer in answers if answer is not None]
    return max(given, key=given.count) if given else None  # the first of those that are largest


def check_vote(answer):
    def case(answers, want, message):
        got = answer(list(answers))
        expect(got == want, message, expected=want, got=got)

    case(["Ann", "Bob", "Bob"], "Bob", "the most frequent answer wins")
    case(["Bob", "Ann", "Bob", "Ann"], "Bob", "of a tie, the one that came first wins")
    case(["Ann", "Bob", "Bob", "Ann"], "Ann", "of a tie, the one that came first wins")
    case([None, None, None, "Cat"], "Cat", "a reply without an answer has no vote")
    case([None, None], None, "nobody answered: the answer is None")
    case(["Eve", "Ann", "Dan", "Dan", "Ann", "Ann"], "Ann", "the most frequent answer wins")
    case([], None, "nobody answered: the answer is None")


def _last_of_tie(answers):
    given = [a for a in answers if a is not None]
    return max(reversed(given), key=given.count) if given else None


def _counts_none(answers):
    return max(answers, key=answers.count) if answers else None


def _least(answers):
    given = [a for a in answers if a is not None]
    return min(given, key=given.count) if given else None


# pass@k without bias.


def pass_at_k_stub(n, right, k):
    raise NotImplementedError


def pass_at_k(n, right, k):
    return 1 - comb(n - right, k) / comb(n, k)


def check_pass_at_k(answer):
    for n, right, k in ((10, 3, 1), (10, 3, 4), (8, 1, 8), (20, 2, 7), (6, 5, 2), (5, 0, 3)):
        close(
            answer(n, right, k), 1 - comb(n - right, k) / comb(n, k),
            "the share of the sets of k samples, of all sets of k, that hold a right one",
            suspects={
                "1 − (1 − c/n)^k draws with replacement: it is too low": (
                    1 - (1 - right / n) ** k
                ),
                "this is the chance that none is right": comb(n - right, k) / comb(n, k),
                "this is the chance that all k are right": comb(right, k) / comb(n, k),
            },
        )  # fmt: skip
    close(answer(9, 7, 3), 1.0, "with fewer wrong samples than k, every set holds a right one")
    close(answer(300, 30, 100), pass_at_k(300, 30, 100), "many samples: use whole numbers")


def _with_replacement(n, right, k):
    return 1 - (1 - right / n) ** k


def _none_right(n, right, k):
    return comb(n - right, k) / comb(n, k)


def _all_right(n, right, k):
    return comb(right, k) / comb(n, k)


# The expected accuracy of best-of-n by a score, from more samples than n.


def best_of_n_stub(scores, right, n):
    raise NotImplementedError


def best_of_n(scores, right, n):
    order = sorted(range(len(scores)), key=lambda i: scores[i], reverse=True)
    sets = comb(len(scores), n)
    # The sample of rank r wins in the sets whose other n − 1 come from below it.
    return sum(right[i] * comb(len(scores) - 1 - r, n - 1) for r, i in enumerate(order)) / sets


def check_best_of_n(answer):
    rng = np.random.default_rng(3)
    for size, n in ((6, 2), (7, 3), (5, 1), (9, 4), (4, 4)):
        scores = rng.permutation(size).astype(float) - 2.5
        right = (rng.random(size) < 0.5).astype(int)
        right[:2] = 1, 0
        s, r = scores.tolist(), right.tolist()
        close(
            answer(list(s), list(r), n), best_of_n(s, r, n),
            "the mean, over all sets of n samples, of whether the best-scored one is right",
            suspects={
                "this takes the worst-scored sample of a set": best_of_n([-x for x in s], r, n),
                "this asks whether any of the n is right: a score must find it, too": (
                    pass_at_k(size, sum(r), n)
                ),
                "this judges the first n samples only: average over all sets": (
                    float(r[max(range(n), key=lambda i: s[i])])
                ),
            },
        )  # fmt: skip


def _worst(scores, right, n):
    return best_of_n([-s for s in scores], right, n)


def _oracle(scores, right, n):
    return pass_at_k(len(scores), sum(right), n)


def _first_n(scores, right, n):
    return float(right[max(range(n), key=lambda i: scores[i])])


# A verifier that reads the chain and cannot be fooled by a right answer.


def verify_stub(start, swaps, reply):
    raise NotImplementedError


def verify(start, swaps, reply):
    words, holder = reply.split(), start
    if len(words) != 2 * len(swaps) + 3 or words[-3] != "=" or words[-1] != ".":
        return False
    for k, (label, a, b) in enumerate(swaps):
        holder = b if holder == a else a if holder == b else holder
        if words[2 * k : 2 * k + 2] != [label, holder]:
            return False
    return words[-2] == holder


def check_verify(answer):
    start, swaps = "Ann", [("k", "Bob", "Dan"), ("l", "Ann", "Cat"), ("m", "Cat", "Eve")]

    def case(reply, want, message):
        got = answer(start, list(swaps), reply)
        expect(got is want, message, expected=want, got=got)

    case("k Ann l Cat m Eve = Eve .", True, "this chain is right, and so is its answer")
    case("k Ann l Cat m Eve = Ann .", False, "a right chain with a wrong answer is no right reply")
    case("k Dan l Cat m Eve = Eve .", False, "the answer is right and the first step is wrong")
    case("k Ann l Bob m Eve = Eve .", False, "the answer is right and a middle step is wrong")
    case("= Eve .", False, "there is no chain: a bare answer may be a guess")
    case("k Ann l Cat = Eve .", False, "a step is missing")
    case("l Cat k Ann m Eve = Eve .", False, "steps have an order: labels must be checked, too")
    case("k Ann l Cat m Eve = Eve . = Ann .", False, "nothing may follow the end")
    case("k Ann l Cat m Eve = Eve", False, "a reply must end")
    case("k Ann l Cat m Eve : Eve .", False, 'the answer stands after "="')
    got = answer("Eve", [("z", "Eve", "Ann"), ("a", "Eve", "Bob")], "z Ann a Ann = Ann .")
    expect(got is True, "an exchange of two others moves nothing", expected=True, got=got)
    got = answer("Eve", [("z", "Ann", "Eve")], "z Ann = Ann .")
    expect(got is True, "an exchange works both ways", expected=True, got=got)


def _answer_only(start, swaps, reply):
    holder = start
    for _, a, b in swaps:
        holder = b if holder == a else a if holder == b else holder
    words = reply.split()
    return len(words) > 2 and words[-1] == "." and words[-2] == holder


def _chain_only(start, swaps, reply):
    words, holder = reply.split(), start
    for k, (label, a, b) in enumerate(swaps):
        holder = b if holder == a else a if holder == b else holder
        if words[2 * k : 2 * k + 2] != [label, holder]:
            return False
    return len(words) == 2 * len(swaps) + 3


def _no_labels(start, swaps, reply):
    words, holder = reply.split(), start
    if len(words) != 2 * len(swaps) + 3 or words[-3] != "=" or words[-1] != ".":
        return False
    names = [n for n in words[1:-3:2]]
    truth = []
    for _, a, b in swaps:
        holder = b if holder == a else a if holder == b else holder
        truth.append(holder)
    return sorted(names) == sorted(truth) and words[-2] == holder


# In-context gain: the same targets with more and less before them.


def context_gain_stub(own, other):
    raise NotImplementedError


def context_gain(own, other):
    return (np.asarray(other) - np.asarray(own)).mean(axis=0)


def check_context_gain(answer):
    rng = np.random.default_rng(0)
    own, other = rng.gamma(2.0, size=(5, 3)), rng.gamma(2.0, size=(5, 3))
    want = (other - own).mean(0)
    got = answer(own.copy(), other.copy())
    expect(np.shape(got) == (3,), "one number for each length: average over texts", got=got)
    close(
        got, want, "nats saved: surprise after another text minus surprise after its own",
        suspects={
            "a gain is what the surprise falls by: other minus own": own.mean(0) - other.mean(0),
            "averaged over texts and not over lengths, there would be one for each length": (
                np.full(3, want.mean())
            ),
            "this adds up the texts: take the mean": (other - own).sum(0),
            "this is the median; the mean is in nats a token": np.median(other - own, axis=0),
        },
    )  # fmt: skip


def _own_minus_other(own, other):
    return (own - other).mean(0)


def _summed(own, other):
    return (other - own).sum(0)


def _over_lengths(own, other):
    return (other - own).mean(1)


EXERCISES = (
    Exercise(
        id="reasoning.context_gain",
        title="What a context is worth",
        stub=context_gain_stub,
        solution=context_gain,
        check=check_context_gain,
        hints=(
            "The same targets are scored twice. What does the right context save on each?",
            "Subtract in the order that makes a useful context positive, then average over texts.",
            "`(other - own).mean(axis=0)`: rows are texts, columns are lengths.",
        ),
        wrong=(
            Wrong(_own_minus_other, "other minus own"),
            Wrong(_summed, "take the mean"),
            Wrong(_over_lengths, "average over texts"),
        ),
    ),
    Exercise(
        id="reasoning.vote",
        title="The vote",
        stub=vote_stub,
        solution=vote,
        check=check_vote,
        hints=(
            "Count the answers, without those that are None.",
            "`max` with a `key` gives the first of several largest, and lists can `count`.",
            "Drop the Nones into `given`, then `max(given, key=given.count) if given else None`.",
        ),
        wrong=(
            Wrong(_last_of_tie, "came first"),
            Wrong(_counts_none, "has no vote"),
            Wrong(_least, "most frequent"),
        ),
    ),
    Exercise(
        id="reasoning.pass_at_k",
        title="pass@k without bias",
        stub=pass_at_k_stub,
        solution=pass_at_k,
        check=check_pass_at_k,
        hints=(
            "Draw k of the n samples without putting back. When does the draw hold no right one?",
            "All k must come from the n − c wrong ones. How many such sets are there, of how many?",
            "`1 - comb(n - right, k) / comb(n, k)`; `math.comb` gives 0 where k is larger.",
        ),
        wrong=(
            Wrong(_with_replacement, "with replacement"),
            Wrong(_none_right, "none is right"),
            Wrong(_all_right, "all k are right"),
        ),
    ),
    Exercise(
        id="reasoning.best_of_n",
        title="The best of n, by a score",
        stub=best_of_n_stub,
        solution=best_of_n,
        check=check_best_of_n,
        hints=(
            "Sort the samples by score. A sample wins in a set where all others rank below it.",
            "The sample at rank r, from 0, has len − 1 − r below it; choose n − 1 of these.",
            "Add `right[i] * comb(len(scores) - 1 - r, n - 1)` in that order; divide by all sets.",
        ),
        wrong=(
            Wrong(_worst, "worst-scored"),
            Wrong(_oracle, "a score must find it"),
            Wrong(_first_n, "all sets"),
        ),
    ),
    Exercise(
        id="reasoning.verify",
        title="A verifier that is not fooled",
        stub=verify_stub,
        solution=verify,
        check=check_verify,
        hints=(
            "Do the exchanges yourself, and compare each step with what the reply says.",
            'First the form: how many words, where is "=", what is last? Then label and name of '
            "each step. Then the answer.",
            "For step k compare `words[2 * k : 2 * k + 2]` with `[label, holder]`; at the end "
            "`words[-2] == holder`.",
        ),
        wrong=(
            Wrong(_answer_only, "first step is wrong"),
            Wrong(_chain_only, "wrong answer"),
            Wrong(_no_labels, "labels must be checked"),
        ),
    ),
)
