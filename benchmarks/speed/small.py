"""Rows of the table about the small engines: scalar autograd and the hidden Markov model."""

import random
from collections.abc import Iterator

import numpy as np
from hmmlearn.hmm import CategoricalHMM

from benchmarks.speed.harness import Row, compare
from benchmarks.speed.micrograd import EXAMPLES, Peer, leaves, network, one_by_one, step
from llmcourse.autograd import Value, dot
from llmcourse.hmm import HMM

STATES, SYMBOLS, STEPS = 64, 100, 10_000


def autograd(rounds: int = 15) -> Iterator[Row]:
    draw = random.Random(1)
    data = [([draw.uniform(-1, 1) for _ in "ab"], draw.uniform(-1, 1)) for _ in range(EXAMPLES)]
    ours, fused, theirs = network(Value), network(Value), network(Peer)
    for layers, kind, neuron in (
        (ours, Value, one_by_one), (fused, Value, dot), (theirs, Peer, one_by_one)
    ):  # fmt: skip
        step(layers, data, kind, neuron)
    for a, b, c in zip(leaves(ours), leaves(fused), leaves(theirs), strict=True):
        if not (abs(a.grad - c.grad) < 1e-9 and abs(b.grad - c.grad) < 1e-9):
            raise AssertionError("the gradients differ: the row would mean nothing")
    for work, layers, neuron, goal in (
        ("scalar autograd, one node an operation", ours, one_by_one, 3.0),
        ("scalar autograd, one node a neuron", fused, dot, None),
    ):
        yield compare(
            work,
            "micrograd's design",
            lambda layers=layers, neuron=neuron: step(layers, data, Value, neuron),
            lambda: step(theirs, data, Peer, one_by_one),
            goal=goal,
            rounds=rounds,
        )


def hidden_markov(rounds: int = 5) -> Iterator[Row]:
    ours = HMM(states=STATES, vocab=SYMBOLS, seed=0)
    theirs = CategoricalHMM(n_components=STATES, n_features=SYMBOLS)
    theirs.startprob_, theirs.transmat_, theirs.emissionprob_ = (
        np.asarray(p) for p in (ours.start, ours.transition, ours.emission)
    )
    ids = np.random.default_rng(0).integers(0, SYMBOLS, STEPS)
    column = ids[:, None]
    np.testing.assert_allclose(ours.posterior(ids).numpy(), theirs.predict_proba(column), atol=1e-8)
    np.testing.assert_allclose(ours.viterbi(ids)[1], theirs.decode(column)[0])
    size = f"{STATES} states, {STEPS:,} steps"
    yield compare(
        f"forward-backward, {size}", "hmmlearn (C++)",
        lambda: ours.posterior(ids), lambda: theirs.predict_proba(column), goal=1.0, rounds=rounds,
    )  # fmt: skip
    yield compare(
        f"Viterbi, {size}", "hmmlearn (C++)",
        lambda: ours.viterbi(ids), lambda: theirs.decode(column), goal=1.0, rounds=rounds,
    )  # fmt: skip
