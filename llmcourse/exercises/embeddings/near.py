"""Neighbours by cosine, and skip-gram's loss."""

import torch
import torch.nn.functional as F

from llmcourse.exercises.core import Exercise, Wrong, close, expect
from llmcourse.exercises.embeddings.rows import drawn

# Neighbours by cosine.


def nearest_words_stub(E, i, k):
    raise NotImplementedError


def nearest_words(E, i, k):
    unit = E / E.norm(dim=1, keepdim=True)
    scores = unit @ unit[i]
    scores[i] = -2.0
    return scores.argsort(descending=True)[:k].tolist()


def _by(score):
    def answer(E, i, k):
        scores = score(E, i)
        scores[i] = -torch.inf
        return scores.argsort(descending=True)[:k].tolist()

    return answer


_dot = _by(lambda E, i: E @ E[i])
_distance = _by(lambda E, i: -(E - E[i]).norm(dim=1))
_farthest = _by(lambda E, i: -F.normalize(E, dim=1) @ F.normalize(E[i], dim=0))
_ignores_sign = _by(lambda E, i: (F.normalize(E, dim=1) @ F.normalize(E[i], dim=0)).abs())


def _with_itself(E, i, k):
    unit = E / E.norm(dim=1, keepdim=True)
    return (unit @ unit[i]).argsort(descending=True)[:k].tolist()


def check_nearest_words(answer):
    # Lengths are chosen so that cosine, dot product and distance give three orders.
    directions = torch.tensor([0.0, 0.2, -0.5, 0.9, 1.6, 3.0, -1.2])
    lengths = torch.tensor([1.0, 6.0, 0.4, 9.0, 1.2, 1.0, 0.9])
    E = torch.stack([directions.cos(), directions.sin()], 1) * lengths[:, None]
    diagnoses = (
        (_with_itself, "a word is its own nearest neighbour, at cosine 1: leave it out"),
        (_dot, "this ranks by dot product (dividing by the query's length alone changes no order): "
               "long vectors win. Divide by both lengths"),
        (_distance, "this ranks by distance: a word of another length and the same direction is "
                    "near by cosine"),
        (_farthest, "these are the words farthest away: sort from large to small"),
        (_ignores_sign, "a cosine of −1 is the opposite direction, not the same: keep the sign"),
    )  # fmt: skip
    for i, k in ((0, 3), (4, 6), (0, 6)):
        want = nearest_words(E, i, k)
        got = answer(E.clone(), i, k)
        expect(
            isinstance(got, list | tuple) and all(isinstance(j, int) for j in got),
            "return a list of row numbers (`.tolist()` makes one)",
            got=got,
        )
        for suspect, diagnosis in diagnoses:
            found = suspect(E, i, k)
            expect(list(got) != found or found == want, diagnosis, expected=want, got=got)
        expect(
            list(got) == want,
            f"for word {i}, the {k} nearest by cosine, nearest first",
            expected=want,
            got=got,
        )
    for seed in range(3):
        (E,) = drawn((12, 5), seed=seed)
        want = nearest_words(E, seed, 4)
        expect(list(answer(E, seed, 4)) == want, "wrong neighbours for random vectors",
               expected=want, got=answer(E, seed, 4))  # fmt: skip


# The loss of skip-gram with negative sampling.


def negative_sampling_stub(w, c, n):
    raise NotImplementedError


def negative_sampling(w, c, n):
    real = (w * c).sum(-1)
    drawn_scores = torch.einsum("bkd,bd->bk", n, w)
    return (-F.logsigmoid(real) - F.logsigmoid(-drawn_scores).sum(1)).mean()


def _scores(w, c, n):
    return (w * c).sum(-1), (n @ w[:, :, None]).squeeze(-1)


def _same_sign(w, c, n):
    real, fake = _scores(w, c, n)
    return (-F.logsigmoid(real) - F.logsigmoid(fake).sum(1)).mean()


def _mean_of_negatives(w, c, n):
    real, fake = _scores(w, c, n)
    return (-F.logsigmoid(real) - F.logsigmoid(-fake).mean(1)).mean()


def _softmax_instead(w, c, n):
    real, fake = _scores(w, c, n)
    return -torch.cat([real[:, None], fake], 1).log_softmax(1)[:, 0].mean()


def _positive_only(w, c, n):
    return -F.logsigmoid(_scores(w, c, n)[0]).mean()


def _summed(w, c, n):
    return negative_sampling(w, c, n) * len(w)


def _to_be_maximised(w, c, n):
    return -negative_sampling(w, c, n)


def _against_the_context(w, c, n):
    return negative_sampling(c, w, n)


def _underflows(w, c, n):
    real, fake = _scores(w, c, n)
    return -(torch.sigmoid(real).log() + torch.sigmoid(-fake).log().sum(1)).mean()


def check_negative_sampling(answer):
    w, c, n = drawn((4, 3), (4, 3), (4, 5, 3))
    close(
        answer(w, c, n),
        negative_sampling(w, c, n),
        "the loss of a pair is −log σ(w · c) − Σ log σ(−w · n), and its mean over the batch is "
        "asked for",
        suspects={
            "a drawn context should get a low score: inside its logarithm the sign is turned, "
            "σ(−w · n)": _same_sign(w, c, n),
            "the drawn contexts of a pair are summed, not averaged: k of them weigh k times": (
                _mean_of_negatives(w, c, n)
            ),
            "this is a softmax over real and drawn contexts; here each is a yes-or-no question": (
                _softmax_instead(w, c, n)
            ),
            "the drawn contexts are missing: without them every vector grows without end": (
                _positive_only(w, c, n)
            ),
            "take the mean over the batch, not the sum": _summed(w, c, n),
            "a loss is to be made small: the sign of the whole is lost": _to_be_maximised(w, c, n),
            "drawn contexts n are compared with the word w, not with its real context c": (
                _against_the_context(w, c, n)
            ),
        },
    )
    w, c, n = drawn((2, 6), (2, 6), (2, 3, 6), seed=1)
    close(answer(w, c, n), negative_sampling(w, c, n), "wrong for other sizes of B, k and D")
    big = answer(60 * w, 60 * c, 60 * n)
    expect(
        bool(torch.isfinite(torch.as_tensor(big))),
        "for large scores σ is 0 in floating point and its logarithm −∞: use F.logsigmoid",
        got=big,
    )


EXERCISES = (
    Exercise(
        id="embeddings.nearest_words",
        title="Neighbours by cosine",
        stub=nearest_words_stub,
        solution=nearest_words,
        check=check_nearest_words,
        hints=(
            "The cosine is the dot product of two vectors of length 1. A word's nearest neighbour "
            "is itself, which nobody asked for.",
            "Divide every row by its length. Multiply all rows by row i. Put the score of i below "
            "−1, sort from large to small, keep k.",
            "`unit = E / E.norm(dim=1, keepdim=True)`; `scores = unit @ unit[i]`; "
            "`scores[i] = -2`; `scores.argsort(descending=True)[:k].tolist()`.",
        ),
        wrong=(
            Wrong(_dot, "long vectors win"),
            Wrong(_distance, "ranks by distance"),
            Wrong(_with_itself, "leave it out"),
            Wrong(_farthest, "farthest away"),
            Wrong(_ignores_sign, "keep the sign"),
        ),
        equivalent_mutants={
            "scores[i] = -2.0 → scores[i] = -4.0": "both lie below every cosine",
        },
    ),
    Exercise(
        id="embeddings.negative_sampling",
        title="The loss of skip-gram with negative sampling",
        stub=negative_sampling_stub,
        solution=negative_sampling,
        check=check_negative_sampling,
        hints=(
            "One yes-or-no question for the real context and one for each drawn context. σ of the "
            "dot product is the probability of 'real'.",
            "Scores of real pairs: the row-wise dot product of w and c, shape (B). Of drawn ones: "
            "each n with its own w, shape (B, k). Sum over k, mean over B.",
            '`torch.einsum("bkd,bd->bk", n, w)` are the drawn scores; the loss is '
            "`(-F.logsigmoid(real) - F.logsigmoid(-drawn).sum(1)).mean()`.",
        ),
        wrong=(
            Wrong(_same_sign, "sign is turned"),
            Wrong(_mean_of_negatives, "not averaged"),
            Wrong(_softmax_instead, "softmax"),
            Wrong(_positive_only, "missing"),
            Wrong(_summed, "mean over the batch"),
            Wrong(_to_be_maximised, "sign of the whole"),
            Wrong(_against_the_context, "compared with the word"),
            Wrong(_underflows, "logsigmoid"),
        ),
        equivalent_mutants={
            "real = (w * c).sum(-1) → real = (w * c).sum(1)": "the last axis of (B, D) is axis 1",
        },
    ),
)
