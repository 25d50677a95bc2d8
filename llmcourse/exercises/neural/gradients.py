"""The gradient through time, and its clipping."""

import numpy as np

from llmcourse.exercises.core import Exercise, Wrong, close, expect
from llmcourse.exercises.neural.networks import _same

__all__ = ["EXERCISES"]

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
