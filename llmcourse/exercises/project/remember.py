"""Project of the part on concepts: a model that remembers."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from llmcourse import tales
from llmcourse.exercises.core import Exercise, Wrong, expect
from llmcourse.exercises.project.corpus import END, corpus, judge, surprise
from llmcourse.ngram import NGram

MEMORY_BAR = 75.0  # bits a story above the truth; an n-gram of order 5 needs some 97


def remember_stub(train, dev, vocab):
    """Returns predict(prefix), which gives the next token's probabilities, (vocab,)."""
    raise NotImplementedError


def remember(train, dev, vocab):
    counts = NGram(order=5, vocab=vocab).fit(train)

    def evidence(prefix):
        """What the last four words say, as logarithms, and which words the story has used."""
        used = np.zeros(vocab, dtype=bool)
        used[prefix] = True
        return np.log(counts.next_probs(prefix)), used

    before = [(row[:t], row[t]) for row in dev for t in range(1, len(row))]
    logs, used = (np.stack(x) for x in zip(*(evidence(p) for p, _ in before), strict=True))
    logs, used = torch.tensor(logs, dtype=torch.float32), torch.tensor(used)
    target = torch.tensor([token for _, token in before])

    # Two learned factors a word: one if the story has used it, one if not yet.
    factor = torch.zeros(2, vocab, requires_grad=True)
    optimizer = torch.optim.Adam([factor], lr=0.2)
    for _ in range(60):
        z = logs + torch.where(used, factor[1], factor[0])
        loss = F.cross_entropy(z, target) + 1e-4 * factor.square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    fresh, again = factor.detach().double().numpy()

    def predict(prefix):
        log_p, used = evidence(prefix)
        p = np.exp(log_p + np.where(used, again, fresh))  # a product, not a mixture
        return p / p.sum()

    return predict


def check_remember(answer):
    given = corpus()
    predict = answer([list(r) for r in given.train], [list(r) for r in given.dev], given.vocab)
    expect(callable(predict), "return the function `predict`", got=type(predict).__name__)
    row = given.dev[0]
    first = np.array(predict(row[:12]), dtype=float)
    expect(
        first.shape == (given.vocab,),
        f"predict should return one probability a token, shape ({given.vocab},)",
        got=first.shape,
    )
    expect(np.isfinite(first).all() and (first >= 0).all(), "a probability is finite, 0 or more")
    expect(
        abs(first.sum() - 1) < 1e-6, "the probabilities of the next token must sum to 1",
        expected=1.0, got=float(first.sum()),
    )  # fmt: skip
    for other in given.dev[1:3]:
        for t in range(1, len(other)):
            predict(other[:t])
    expect(
        np.allclose(first, predict(row[:12]), atol=1e-9),
        "after other stories the same beginning gets other probabilities: what is remembered must "
        "come from `prefix` alone, or one story leaks into the next",
    )
    least = min(predict(row[:t])[row[t]] for t in range(1, len(row)))
    expect(least > 0, "a word that came had probability 0, which costs infinitely many bits")
    few = slice(0, 8)  # enough to tell the language itself, which is slow to ask
    judge(surprise(predict, given.test[few]), math.inf, few)
    judge(surprise(predict, given.test), MEMORY_BAR)


def _five_words(train, dev, vocab):
    return NGram(order=5, vocab=vocab).fit(train).next_probs


def _mixes(train, dev, vocab):
    counts = NGram(order=3, vocab=vocab).fit(train)

    def predict(prefix):
        seen = np.bincount(prefix, minlength=vocab) / len(prefix)
        return 0.9 * counts.next_probs(prefix) + 0.1 * seen

    return predict


def _not_divided(train, dev, vocab):
    counts = NGram(order=5, vocab=vocab).fit(train)

    def predict(prefix):
        p = counts.next_probs(prefix).copy()
        p[prefix] *= 5
        return p

    return predict


def _forgets_nothing(train, dev, vocab):
    counts, seen = NGram(order=5, vocab=vocab).fit(train), set()

    def predict(prefix):
        seen.update(prefix)
        p = counts.next_probs(prefix).copy()
        p[list(seen)] *= 5
        return p / p.sum()

    return predict


def _likelihood(train, dev, vocab):
    return NGram(order=5, vocab=vocab, smoothing="mle").fit(train).next_probs


def _asks_the_grammar(train, dev, vocab):
    words = dict(enumerate(tales.terminals("en"), start=2))
    ids = {word: i for i, word in words.items()} | {tales.END: END}

    def predict(prefix):
        p = np.zeros(vocab)
        for word, value in tales.next_distribution([words[i] for i in prefix[1:]]).items():
            p[ids[word]] = value
        return p

    return predict


REMEMBER = Exercise(
    id="project.remember",
    title="A model that remembers",
    stub=remember_stub,
    solution=remember,
    check=check_remember,
    hints=(
        "A mixture gives every remembered word the same help, also where the grammar forbids "
        "it. Multiply what the last words say by what the story so far says, and divide by the "
        "sum.",
        "p(w) is proportional to c(w | last four words) · f(w), where f(w) is one learned "
        "number if the story has used w, and another if it has not. Fit the logarithms of "
        "these numbers on the dev stories, by gradient, with a small penalty on their squares.",
        "logs: (places, vocab), the log of NGram(order=5).next_probs at every place of dev; "
        "used: the same shape, True where the story has the word. "
        "z = logs + torch.where(used, factor[1], factor[0]); minimise "
        "F.cross_entropy(z, target) + 1e-4 * factor.square().sum() with Adam, 60 steps, 0.2.",
    ),
    wrong=(
        Wrong(_five_words, "not below the bar"),
        Wrong(_mixes, "not below the bar"),
        Wrong(_not_divided, "sum to 1"),
        Wrong(_forgets_nothing, "the same beginning"),
        Wrong(_likelihood, "probability 0"),
        Wrong(_asks_the_grammar, "the language itself"),
    ),
    seconds=300.0,
    scored=True,
)
