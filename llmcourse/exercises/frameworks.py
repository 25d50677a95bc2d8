"""Exercises of the chapter `tools/frameworks`. None needs JAX or TensorFlow."""

import torch

from llmcourse.exercises.core import Exercise, Wrong, close, expect

# Weights in another layout.


def to_conv1d_stub(state, turned):
    raise NotImplementedError


def to_conv1d(state, turned):
    return {
        name: value.T.contiguous() if name.endswith(turned) and value.ndim == 2 else value
        for name, value in state.items()
    }


TURNED = ("qkv.weight", "up.weight", "o.weight")


def _state():
    generator = torch.Generator().manual_seed(0)
    shapes = {
        "embed.weight": (7, 4),
        "0.qkv.weight": (12, 4),
        "0.qkv.bias": (12,),
        "0.o.weight": (4, 4),
        "0.up.weight": (16, 4),
        "0.norm.weight": (4,),
        "1.up.weight": (5,),
    }
    return {n: torch.randn(s, generator=generator) for n, s in shapes.items()}


def check_to_conv1d(answer):
    got, state = answer(_state(), TURNED), _state()
    expect(isinstance(got, dict), "return a dictionary of names and tensors")
    expect(list(got) == list(state), "the same names, in the same order", got=list(got))
    for name, want in to_conv1d(state, TURNED).items():
        square = state[name].ndim == 2 and state[name].shape[0] == state[name].shape[1]
        say = f"{name} must be turned if its name ends in one of `turned` and it is a matrix"
        if square:
            say = f"{name} is square, so no shape complains, and it must be turned all the same"
        if name == "embed.weight":
            say = "an embedding is a table of rows, not a map: it stays as it is"
        expect(tuple(got[name].shape) == tuple(want.shape), say)
        expect(bool((got[name] == want).all()), say)
        expect(got[name].is_contiguous(), f"{name} is a view with strides: call .contiguous()")


def _all_matrices(state, turned):
    return {n: v.T.contiguous() if v.ndim == 2 else v for n, v in state.items()}


def _not_square(state, turned):
    return {
        n: v.T.contiguous() if v.ndim == 2 and n.endswith(turned) and len(set(v.shape)) > 1 else v
        for n, v in state.items()
    }


def _reshaped(state, turned):
    return {
        n: v.reshape(v.shape[::-1]) if v.ndim == 2 and n.endswith(turned) else v
        for n, v in state.items()
    }


def _view(state, turned):
    return {n: v.T if v.ndim == 2 and n.endswith(turned) else v for n, v in state.items()}


# A step without state.


def functional_adam_stub(weights, grads, state, lr, beta1, beta2, eps):
    raise NotImplementedError


def functional_adam(weights, grads, state, lr, beta1, beta2, eps):
    m, v, t = state
    t = t + 1
    m = {n: beta1 * m[n] + (1 - beta1) * grads[n] for n in weights}
    v = {n: beta2 * v[n] + (1 - beta2) * grads[n] ** 2 for n in weights}
    moved = {}
    for n in weights:
        first, second = m[n] / (1 - beta1**t), v[n] / (1 - beta2**t)
        moved[n] = weights[n] - lr * first / (second.sqrt() + eps)
    return moved, (m, v, t)


def check_functional_adam(answer):
    g = torch.Generator().manual_seed(1)

    def draw():
        return {
            "a": torch.randn(3, 2, generator=g, dtype=torch.float64),
            "b": 1e-3 * torch.randn(4, generator=g, dtype=torch.float64),
        }

    for lr, beta1, beta2, eps in ((0.1, 0.9, 0.98, 1e-3), (0.03, 0.5, 0.8, 1e-8)):
        start, settings = draw(), (lr, beta1, beta2, eps)
        zero = {n: torch.zeros_like(p) for n, p in start.items()}
        mine, state = dict(start), (dict(zero), dict(zero), 0)
        kept, theirs = dict(start), state
        for step in range(1, 4):
            grads = draw()
            suspects = {
                say: wrong(kept, grads, theirs, *settings)[0]["b"] for say, wrong in _ADAM.items()
            }
            frozen = {n: p.clone() for n, p in mine.items()}
            held = {n: p.clone() for n, p in state[0].items()}
            result = answer(mine, grads, state, *settings)
            kept, theirs = functional_adam(kept, grads, theirs, *settings)
            same = all(bool((mine[n] == frozen[n]).all()) for n in mine)
            same = same and all(bool((state[0][n] == held[n]).all()) for n in held)
            expect(same, "nothing may change in place: a pure step returns new weights and state")
            expect(
                isinstance(result, tuple) and len(result) == 2, "return (new weights, new state)"
            )
            mine, state = result
            close(mine["b"], kept["b"], f"weights differ after step {step}", suspects=suspects)
            close(mine["a"], kept["a"], f"weights differ after step {step}")
            expect(len(state) == 3, "the state is (m, v, t)")
            expect(
                state[2] == step, "t counts the steps, and it is part of the state", got=state[2]
            )
            for k, what in ((0, "m"), (1, "v")):
                close(state[k]["b"], theirs[k]["b"], f"{what} differs after step {step}")


def _no_correction(weights, grads, state, lr, beta1, beta2, eps):
    _, (m, v, t) = functional_adam(weights, grads, state, lr, beta1, beta2, eps)
    return {n: weights[n] - lr * m[n] / (v[n].sqrt() + eps) for n in weights}, (m, v, t)


def _eps_inside(weights, grads, state, lr, beta1, beta2, eps):
    _, (m, v, t) = functional_adam(weights, grads, state, lr, beta1, beta2, eps)
    c1, c2 = 1 - beta1**t, 1 - beta2**t
    return {n: weights[n] - lr * m[n] / c1 / (v[n] / c2 + eps).sqrt() for n in weights}, (m, v, t)


def _eps_hat(weights, grads, state, lr, beta1, beta2, eps):
    _, (m, v, t) = functional_adam(weights, grads, state, lr, beta1, beta2, eps)
    rate = lr * (1 - beta2**t) ** 0.5 / (1 - beta1**t)
    return {n: weights[n] - rate * m[n] / (v[n].sqrt() + eps) for n in weights}, (m, v, t)


def _in_place(weights, grads, state, lr, beta1, beta2, eps):
    moved, state = functional_adam(weights, grads, state, lr, beta1, beta2, eps)
    for n, p in weights.items():
        p.copy_(moved[n])
    return weights, state


_ADAM = {
    "both moments start at 0 and must be corrected by 1 − betaᵗ": _no_correction,
    "eps is added to the root, not under it": _eps_inside,
    "eps is added after v is corrected: this is Keras's order, whose eps means another thing": (
        _eps_hat
    ),
}


# What a compiler has to trace again.


def padded_length_stub(length, buckets):
    raise NotImplementedError


def padded_length(length, buckets):
    fits = [b for b in buckets if b >= length]
    if not fits:
        raise ValueError(f"length must be at most {max(buckets)}, got {length}")
    return min(fits)


def check_padded_length(answer):
    for buckets in ((16, 32, 64), (64, 16, 32), (5,)):
        for length in (1, 5, 15, 16, 17, 32, 33, 63, 64):
            if length > max(buckets):
                continue
            want, got = padded_length(length, buckets), answer(length, buckets)
            expect(
                got >= length, "a text is never cut: the bucket holds it", expected=want, got=got
            )
            expect(
                got in buckets,
                "each length that is no bucket is a further trace",
                expected=want,
                got=got,
            )
            at = "a text that fills its bucket needs no larger one; "
            expect(got == want, at + "the smallest that fits", expected=want, got=got)
    for buckets in ((16, 32), (32, 16)):
        try:
            got = answer(33, buckets)
        except ValueError as error:
            expect("33" in str(error), "the error names the length that fits nowhere", got=error)
            continue
        expect(False, "no bucket holds 33 tokens: that is a ValueError", got=got)


def _largest(length, buckets):
    padded_length(length, buckets)
    return max(buckets)


def _strict(length, buckets):
    return padded_length(length + 1, buckets) if length < max(buckets) else max(buckets)


def _nearest(length, buckets):
    return min(buckets, key=lambda b: abs(b - length))


def _power(length, buckets):
    return 1 << (length - 1).bit_length()


def _clipped(length, buckets):
    return min((b for b in buckets if b >= length), default=max(buckets))


EXERCISES = (
    Exercise(
        id="frameworks.to_conv1d",
        title="Weights in another layout",
        stub=to_conv1d_stub,
        solution=to_conv1d,
        check=check_to_conv1d,
        hints=(
            "Which tensors are maps from (in) to (out)? Shapes do not tell; names do.",
            "For each name: if it ends in one of `turned` and the tensor is a matrix, transpose.",
            "`name.endswith(turned)` takes a tuple; `.T.contiguous()` lays the copy out anew.",
        ),
        wrong=(
            Wrong(_all_matrices, "an embedding is a table"),
            Wrong(_not_square, "is square"),
            Wrong(_reshaped, "must be turned if"),
            Wrong(_view, "view with strides"),
        ),
    ),
    Exercise(
        id="frameworks.functional_adam",
        title="Adam without state",
        stub=functional_adam_stub,
        solution=functional_adam,
        check=check_functional_adam,
        hints=(
            "What an optimiser remembers comes in as an argument and goes out as a result.",
            "New t, new m and v from the old ones, both corrected by 1 − betaᵗ, then the weights.",
            "`m = {n: beta1 * m[n] + (1 - beta1) * grads[n] for n in weights}`, v likewise with "
            "squares; `weights[n] - lr * (m[n] / (1 - beta1**t)) / ((v[n] / (1 - beta2**t)).sqrt() "
            "+ eps)`.",
        ),
        wrong=(
            Wrong(_no_correction, "must be corrected"),
            Wrong(_eps_inside, "not under it"),
            Wrong(_eps_hat, "Keras's order"),
            Wrong(_in_place, "change"),
        ),
    ),
    Exercise(
        id="frameworks.padded_length",
        title="Buckets of lengths",
        stub=padded_length_stub,
        solution=padded_length,
        check=check_padded_length,
        hints=(
            "Few shapes mean few traces; little padding means little waste.",
            "Among the buckets that hold the text take the smallest; where none does, say so.",
            "`fits = [b for b in buckets if b >= length]`, then `min(fits)` or a ValueError.",
        ),
        wrong=(
            Wrong(_largest, "the smallest that fits"),
            Wrong(_nearest, "never cut"),
            Wrong(_power, "further trace"),
            Wrong(_clipped, "ValueError"),
        ),
    ),
)
