"""Bengio's network, and one step of an LSTM."""

import numpy as np

from llmcourse.exercises.core import Exercise, Wrong, close, expect

__all__ = ["EXERCISES"]

# ---- Bengio's model ---------------------------------------------------------------------------


def feedforward_stub(ids, E, W, b, U, d):
    raise NotImplementedError


def feedforward(ids, E, W, b, U, d):
    v = E[ids].reshape(len(ids), -1)
    a = np.tanh(v @ W.T + b)
    return a @ U.T + d


def _network(seed, B, n, V, D, M):
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, V, (B, n))
    shapes = (V, D), (M, n * D), (M,), (V, M), (V,)
    return ids, *(rng.normal(0, 0.7, shape) for shape in shapes)


def _newest_first(ids, E, W, b, U, d):
    return feedforward(ids[:, ::-1], E, W, b, U, d)


def _no_tanh(ids, E, W, b, U, d):
    return (E[ids].reshape(len(ids), -1) @ W.T + b) @ U.T + d


def _interleaved(ids, E, W, b, U, d):
    """The vectors' first numbers, then their second numbers, and so on."""
    return np.tanh(E[ids].swapaxes(1, 2).reshape(len(ids), -1) @ W.T + b) @ U.T + d


def _softmaxed(ids, E, W, b, U, d):
    odds = np.exp(feedforward(ids, E, W, b, U, d))
    return odds / odds.sum(axis=1, keepdims=True)


def _no_bias_in(ids, E, W, b, U, d):
    return feedforward(ids, E, W, 0 * b, U, d)


def _no_bias_out(ids, E, W, b, U, d):
    return feedforward(ids, E, W, b, U, 0 * d)


def check_feedforward(answer):
    case = _network(0, B=3, n=4, V=7, D=2, M=5)
    got = answer(*(part.copy() for part in case))
    expect(
        np.shape(got) == (3, 7),
        f"3 contexts and 7 words should give logits of shape (3, 7); got {np.shape(got)}",
    )
    close(
        got,
        feedforward(*case),
        "wrong logits for B = 3 contexts of 4 words, V = 7, D = 2, M = 5",
        suspects={
            "the words enter in reverse; the first word of a context is the first in v": (
                _newest_first(*case)
            ),
            "the hidden layer has lost its tanh: without it the whole is one matrix": _no_tanh(
                *case
            ),
            "v should hold one word's whole vector, then the next word's; here the vectors' "
            "numbers are shuffled into each other": _interleaved(*case),
            "these are probabilities: the softmax is left to the loss, return the logits": (
                _softmaxed(*case)
            ),
            "the bias b of the hidden layer is missing": _no_bias_in(*case),
            "the bias d of the logits is missing": _no_bias_out(*case),
        },
    )
    for seed, sizes in ((1, (1, 1, 4, 3, 2)), (2, (5, 2, 3, 3, 4))):
        case = _network(seed, *sizes)
        close(
            answer(*(part.copy() for part in case)),
            feedforward(*case),
            f"wrong logits for B, n − 1, V, D, M = {sizes}",
        )


# ---- one step of an LSTM -----------------------------------------------------------------------


def lstm_step_stub(x, h, c, W_x, W_h, b):
    raise NotImplementedError


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def lstm_step(x, h, c, W_x, W_h, b):
    i, f, g, o = np.split(W_x @ x + W_h @ h + b, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def _cell(seed, width, state):
    rng = np.random.default_rng(seed)
    shapes = (width,), (state,), (state,), (4 * state, width), (4 * state, state), (4 * state,)
    return tuple(rng.normal(size=shape) for shape in shapes)


def _lstm(order="ifgo", candidate=np.tanh, out=np.tanh, old=False, coupled=False):
    """A step with one thing changed."""

    def answer(x, h, c, W_x, W_h, b):
        z = dict(zip(order, np.split(W_x @ x + W_h @ h + b, 4), strict=True))
        i, f, o = (sigmoid(z[gate]) for gate in "ifo")
        new = f * c + (1 - f if coupled else i) * candidate(z["g"])
        return o * out(c if old else new), new

    return answer


def _same(z):
    return z


def check_lstm_step(answer):
    case = _cell(0, width=3, state=4)
    got = answer(*(part.copy() for part in case))
    expect(
        isinstance(got, tuple | list) and len(got) == 2,
        f"return two vectors, the new h and the new c; got {type(got).__name__}",
    )
    want = np.stack(lstm_step(*case))
    close(
        np.stack([np.asarray(part, dtype=float) for part in got]),
        want,
        "wrong (h, c), here as two rows, for x of width 3 and a state of width 4",
        suspects={
            "h and c are exchanged: return (h, c)": want[::-1],
            "the gates are taken in the wrong order: rows of the weights are i, f, g, o": np.stack(
                _lstm("figo")(*case)
            ),
            "the last two quarters are exchanged: g comes before o": np.stack(_lstm("ifog")(*case)),
            "the candidate g passes a tanh, not a sigmoid": np.stack(
                _lstm(candidate=sigmoid)(*case)
            ),
            "the memory passes a tanh on its way into h": np.stack(_lstm(out=_same)(*case)),
            "h is to be read from the new memory, not from the old": np.stack(
                _lstm(old=True)(*case)
            ),
            "this writes with 1 − f; the input gate i is a gate of its own": np.stack(
                _lstm(coupled=True)(*case)
            ),
        },
    )
    for seed, sizes in ((1, (1, 1)), (2, (5, 2)), (3, (2, 6))):
        case = _cell(seed, *sizes)
        got = answer(*(part.copy() for part in case))
        close(np.stack(got), np.stack(lstm_step(*case)), f"wrong (h, c) for widths {sizes}")


EXERCISES = (
    Exercise(
        id="neural.feedforward",
        title="Bengio's model, forward",
        stub=feedforward_stub,
        solution=feedforward,
        check=check_feedforward,
        hints=(
            "Look up, put end to end, one hidden layer, one output layer.",
            "E[ids] has shape (B, n − 1, D). Make each context one row of (n − 1) D numbers. "
            "Multiply by W transposed, add b, take tanh. Multiply by U transposed, add d.",
            "`v = E[ids].reshape(len(ids), -1)`, then `np.tanh(v @ W.T + b) @ U.T + d`.",
        ),
        wrong=(
            Wrong(_newest_first, "reverse"),
            Wrong(_no_tanh, "lost its tanh"),
            Wrong(_interleaved, "shuffled"),
            Wrong(_softmaxed, "probabilities"),
            Wrong(_no_bias_in, "bias b"),
            Wrong(_no_bias_out, "bias d"),
        ),
        equivalent_mutants={
            "v = E[ids].reshape(len(ids), -1) → v = E[ids].reshape(len(ids), -2)": (
                "numpy takes any negative size as the one to be worked out"
            ),
        },
    ),
    Exercise(
        id="neural.lstm_step",
        title="One step of an LSTM",
        stub=lstm_step_stub,
        solution=lstm_step,
        check=check_lstm_step,
        helpers=(sigmoid,),
        hints=(
            "One product gives all four gates. Two gates decide about the memory, one about what "
            "is shown of it.",
            "z = W_x x + W_h h + b, cut into four: i, f, g, o. The new c is σ(f) c + σ(i) tanh(g). "
            "The new h is σ(o) tanh(new c).",
            "`i, f, g, o = np.split(W_x @ x + W_h @ h + b, 4)`, then "
            "`c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)` and "
            "`return sigmoid(o) * np.tanh(c), c`.",
        ),
        wrong=(
            Wrong(lambda *a: lstm_step(*a)[::-1], "exchanged: return"),
            Wrong(_lstm("figo"), "wrong order"),
            Wrong(_lstm("ifog"), "last two quarters"),
            Wrong(_lstm(candidate=sigmoid), "not a sigmoid"),
            Wrong(_lstm(out=_same), "on its way into h"),
            Wrong(_lstm(old=True), "not from the old"),
            Wrong(_lstm(coupled=True), "1 − f"),
        ),
    ),
)
