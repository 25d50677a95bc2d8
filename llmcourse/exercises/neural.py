"""Exercises of the chapter `concepts/neural`."""

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


# ---- the gradient through time -----------------------------------------------------------------


def through_time_stub(g, states, W_h):
    raise NotImplementedError


def through_time(g, states, W_h):
    gradients = [g]
    for h in states[:0:-1]:
        g = W_h.T @ ((1 - h**2) * g)
        gradients.append(g)
    return np.stack(gradients[::-1])


def _path(seed, T, width):
    rng = np.random.default_rng(seed)
    W_h = rng.normal(size=(width, width)) / np.sqrt(width)
    states = np.tanh(rng.normal(size=(T, width)))
    return rng.normal(size=width), states, W_h


def _back(matrix=np.transpose, slope=lambda h: 1 - h**2, shift=0, after=False):
    """A walk back with one thing changed."""

    def answer(g, states, W_h):
        gradients, W = [g], matrix(W_h)
        for t in range(len(states) - 1, 0, -1):
            s = slope(states[t - shift])
            g = s * (W @ g) if after else W @ (s * g)
            gradients.append(g)
        return np.stack(gradients[::-1])

    return answer


def check_through_time(answer):
    case = _path(0, T=5, width=3)
    got = answer(*(part.copy() for part in case))
    expect(
        np.shape(got) == (5, 3),
        f"5 states of width 3 have gradients of shape (5, 3); got {np.shape(got)}",
    )
    want = through_time(*case)
    close(
        got,
        want,
        "wrong gradients for T = 5 states of width 3",
        suspects={
            "the rows are in reverse: row t should belong to state t, and the last row is g": want[
                ::-1
            ],
            "W_h carries h forward; the gradient goes back through its transpose": _back(_same)(
                *case
            ),
            "the slope of tanh is missing: 1 − h² multiplies the gradient at each step": _back(
                slope=np.ones_like
            )(*case),
            "the slope of tanh is 1 − h², from the tanh's own output; here it is 1 − tanh(h)²": (
                _back(slope=lambda h: 1 - np.tanh(h) ** 2)(*case)
            ),
            "the slope belongs to the later state: to pass from h_t back to h_(t−1), use h_t": (
                _back(shift=1)(*case)
            ),
            "slope and matrix are in the wrong order: going back, the tanh comes first": _back(
                after=True
            )(*case),
        },
    )
    for seed, T, width in ((1, 1, 2), (2, 2, 1), (3, 7, 4)):
        case = _path(seed, T, width)
        got = answer(*(part.copy() for part in case))
        close(got, through_time(*case), f"wrong gradients for T = {T} states of width {width}")


# ---- clipping ----------------------------------------------------------------------------------


def clip_stub(gradients, limit):
    raise NotImplementedError


def clip(gradients, limit):
    norm = np.sqrt(sum((g**2).sum() for g in gradients))
    scale = min(1, limit / norm)
    return [scale * g for g in gradients]


def _each(gradients, limit):
    return [g * min(1, limit / np.linalg.norm(g)) for g in gradients]


def _entries(gradients, limit):
    return [np.clip(g, -limit, limit) for g in gradients]


def _always(gradients, limit):
    norm = np.sqrt(sum((g**2).sum() for g in gradients))
    return [g * limit / norm for g in gradients]


def _squared(gradients, limit):
    norm = sum((g**2).sum() for g in gradients)
    return [g * min(1, limit / norm) for g in gradients]


def _flat(gradients):
    return np.concatenate([np.ravel(g) for g in gradients])


def check_clip(answer):
    big = [np.array([[3.0, -1.0], [0.5, 2.0]]), np.array([4.0, -6.0, 1.0])]
    got = answer([g.copy() for g in big], 2.0)
    expect(
        len(got) == 2 and all(np.shape(a) == b.shape for a, b in zip(got, big, strict=True)),
        "return the gradients in the same order and shapes",
    )
    close(
        _flat(got),
        _flat(clip(big, 2.0)),
        "wrong for a norm above the limit of 2 (the arrays are shown flat, end to end)",
        suspects={
            "each array has been cut by its own norm; their directions together must stay, so one "
            "norm is taken over all": _flat(_each(big, 2.0)),
            "each entry has been cut by itself, which turns the gradient; scale all by one "
            "factor": _flat(_entries(big, 2.0)),
            "the square root is missing: a norm is the root of the sum of squares": _flat(
                _squared(big, 2.0)
            ),
            "nothing was cut, though the norm is above the limit": _flat(big),
        },
    )
    small = [np.array([0.3, -0.2]), np.array([[0.1]])]
    close(
        _flat(answer([g.copy() for g in small], 2.0)),
        _flat(small),
        "a gradient below the limit should stay as it is",
    )
    rng = np.random.default_rng(0)
    for limit in (0.5, 3.0):
        case = [rng.normal(size=(3, 2)), rng.normal(size=4)]
        got = answer([g.copy() for g in case], limit)
        close(_flat(got), _flat(clip(case, limit)), f"wrong for a limit of {limit}")


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
            Wrong(_lstm(old=True), "not the old"),
            Wrong(_lstm(coupled=True), "1 − f"),
        ),
    ),
    Exercise(
        id="neural.through_time",
        title="The gradient through time",
        stub=through_time_stub,
        solution=through_time,
        check=check_through_time,
        hints=(
            "Start from the last state, whose gradient is g. Each step back passes the tanh and "
            "then the matrix.",
            "For t from the last state down to the second: g becomes W_hᵀ ((1 − h_t²) ⊙ g), which "
            "is the gradient of the state before. Collect all of them, and turn the list round.",
            "`for h in states[:0:-1]: g = W_h.T @ ((1 - h**2) * g); gradients.append(g)`, then "
            "`np.stack(gradients[::-1])`.",
        ),
        wrong=(
            Wrong(lambda *a: through_time(*a)[::-1], "in reverse"),
            Wrong(_back(_same), "transpose"),
            Wrong(_back(slope=np.ones_like), "slope of tanh is missing"),
            Wrong(_back(slope=lambda h: 1 - np.tanh(h) ** 2), "own output"),
            Wrong(_back(shift=1), "later state"),
            Wrong(_back(after=True), "wrong order"),
        ),
    ),
    Exercise(
        id="neural.clip",
        title="Clip by the norm of all",
        stub=clip_stub,
        solution=clip,
        check=check_clip,
        hints=(
            "Put all gradients end to end in thought: one long vector, one norm, one factor.",
            "norm = √(sum of all squares). factor = min(1, limit / norm). Multiply each array by "
            "the factor.",
            "`norm = np.sqrt(sum((g**2).sum() for g in gradients))`, then "
            "`[min(1, limit / norm) * g for g in gradients]`.",
        ),
        wrong=(
            Wrong(_each, "own norm"),
            Wrong(_entries, "turns the gradient"),
            Wrong(_squared, "square root"),
            Wrong(_always, "should stay as it is"),
            Wrong(lambda gradients, limit: gradients, "nothing was cut"),
        ),
    ),
)
