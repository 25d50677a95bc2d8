"""Exercises of the chapter `algorithms/positions`."""

import torch

from llmcourse.exercises.core import Exercise, Wrong, close, expect


def _normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _as_table(got, shape):
    expect(isinstance(got, torch.Tensor), f"return a tensor, got {type(got).__name__}")
    expect(tuple(got.shape) == shape, f"the shape should be {shape}, got {tuple(got.shape)}")


# The sinusoidal table.


def sinusoids_stub(T, D):
    raise NotImplementedError


def sinusoids(T, D):
    t = torch.arange(T)[:, None]
    angle = t * 10_000.0 ** (-2 * torch.arange(D // 2) / D)
    table = torch.empty(T, D)
    table[:, 0::2] = angle.sin()
    table[:, 1::2] = angle.cos()
    return table


def _waves(T, D, *, first=0, by=2.0, sign=-1.0, order="sin, cos"):
    t = torch.arange(first, T + first)[:, None]
    angle = t * 10_000.0 ** (sign * by * torch.arange(D // 2) / D)
    parts = (angle.cos(), angle.sin()) if order == "cos, sin" else (angle.sin(), angle.cos())
    return torch.cat(parts, -1) if order == "halves" else torch.stack(parts, -1).flatten(-2)


def check_sinusoids(answer):
    for T, D in ((5, 8), (12, 6), (3, 2)):
        want = _waves(T, D)
        got = answer(T, D)
        _as_table(got, (T, D))
        suspects = {
            "positions start at 0: row 0 is 0, 1, 0, 1, ...": _waves(T, D, first=1),
            "sine stands in the even columns and cosine in the odd ones": _waves(
                T, D, order="cos, sin"
            ),
            "sine and cosine of a pair stand side by side, not in two halves": _waves(
                T, D, order="halves"
            ),
            "the exponent of pair i is 2i / D, and D counts sines and cosines": _waves(T, D, by=1),
            "later pairs turn slower: the exponent is negative": _waves(T, D, sign=1.0),
        }
        if D == 2:  # one pair: exponents and orders that differ elsewhere are alike
            suspects = {}
        close(got, want, f"the table of {T} positions, {D} wide, differs", suspects=suspects)


def _from_one(T, D):
    return _waves(T, D, first=1)


def _cosine_first(T, D):
    return _waves(T, D, order="cos, sin")


def _in_halves(T, D):
    return _waves(T, D, order="halves")


def _half_exponent(T, D):
    return _waves(T, D, by=1.0)


def _faster(T, D):
    return _waves(T, D, sign=1.0)


# The rotation.


def rotate_stub(x, positions, theta):
    raise NotImplementedError


def rotate(x, positions, theta):
    K = x.shape[-1]
    angle = positions[:, None] * theta ** (-2 * torch.arange(K // 2) / K)
    even, odd = x[..., 0::2], x[..., 1::2]
    out = torch.empty_like(x)
    out[..., 0::2] = even * angle.cos() - odd * angle.sin()
    out[..., 1::2] = even * angle.sin() + odd * angle.cos()
    return out


def _turned(x, positions, theta, *, sign=1.0, by=2.0, halves=False, reflect=False, shift=0):
    K = x.shape[-1]
    angle = sign * (positions + shift)[:, None] * theta ** (-by * torch.arange(K // 2) / K)
    a, b = x.chunk(2, -1) if halves else (x[..., 0::2], x[..., 1::2])
    first = a * angle.cos() - b * angle.sin()
    second = a * angle.sin() + b * angle.cos()
    if reflect:
        first, second = a * angle.cos() + b * angle.sin(), a * angle.sin() + b * angle.cos()
    return (
        torch.cat((first, second), -1) if halves else torch.stack((first, second), -1).flatten(-2)
    )


def check_rotate(answer):
    for shape, positions, theta in (
        ((5, 8), torch.arange(5), 10_000.0),
        ((2, 3, 6), torch.tensor([7, 2, 40]), 100.0),
        ((1, 2), torch.tensor([3]), 10_000.0),
    ):
        x = _normal(*shape, seed=shape[-1])
        want = _turned(x, positions, theta)
        got = answer(x, positions, theta)
        _as_table(got, shape)
        expect(
            not torch.equal(got[..., 0::2], x[..., 0::2]) or not bool(positions.any()),
            "nothing is turned: x came back",
        )
        suspects = {
            "the turn goes the wrong way: out is (a cos − b sin, a sin + b cos)": _turned(
                x, positions, theta, sign=-1.0
            ),
            "a rotation has one minus sign; with two plus signs lengths change": _turned(
                x, positions, theta, reflect=True
            ),
        }
        if shape[-1] > 2:
            suspects |= {
                "pairs are neighbours, (0, 1), (2, 3), ...; this is the half-split layout": _turned(
                    x, positions, theta, halves=True
                ),
                "pair i turns by theta^(−2i/K), with K the whole width": _turned(
                    x, positions, theta, by=1.0
                ),
                "use the positions that are given; they need not be 0, 1, 2, ...": _turned(
                    x, torch.arange(shape[-2]), theta
                ),
                "theta is an argument: it is not always 10,000": _turned(x, positions, 10_000.0),
            }
        close(got, want, "the turned vectors differ", suspects=suspects, rtol=1e-4, atol=1e-5)


def _backwards(x, positions, theta):
    return _turned(x, positions, theta, sign=-1.0)


def _half_split(x, positions, theta):
    return _turned(x, positions, theta, halves=True)


def _two_pluses(x, positions, theta):
    return _turned(x, positions, theta, reflect=True)


def _own_positions(x, positions, theta):
    return _turned(x, torch.arange(x.shape[-2]), theta)


def _fixed_theta(x, positions, theta):
    return _turned(x, positions, 10_000.0)


# ALiBi.


def alibi_bias_stub(T, S, H):
    raise NotImplementedError


def alibi_bias(T, S, H):
    slope = 2.0 ** (-8 * torch.arange(1, H + 1) / H)
    query = torch.arange(S - T, S)[:, None]
    distance = query - torch.arange(S)
    return -slope[:, None, None] * distance


def _penalty(T, S, H, *, sign=-1.0, first=1, last=True, absolute=False, linear=False):
    slope = 2.0 ** (-8 * torch.arange(first, H + first) / H)
    if linear:
        slope = torch.arange(1, H + 1) / H
    start = S - T if last else 0
    distance = torch.arange(start, start + T)[:, None] - torch.arange(S)
    return sign * slope[:, None, None] * (distance.abs() if absolute else distance)


def check_alibi_bias(answer):
    for T, S, H in ((4, 4, 8), (2, 5, 4), (1, 6, 2)):
        want = _penalty(T, S, H)
        got = answer(T, S, H)
        _as_table(got, (H, T, S))
        # What lies ahead is masked, so only what a query may see is judged.
        seen = torch.arange(S) <= torch.arange(S - T, S)[:, None]
        suspects = {
            "a penalty lowers the score of far keys: the sign is wrong": _penalty(
                T, S, H, sign=1.0
            ),
            "the first slope is 2^(−8/H), not 1: count heads from 1": _penalty(T, S, H, first=0),
            "the T queries are the last of the S positions": _penalty(T, S, H, last=False),
            "slopes fall geometrically, 2^(−8h/H), not in equal steps": _penalty(
                T, S, H, linear=True
            ),
        }
        suspects = {
            text: value * seen
            for text, value in suspects.items()
            if not torch.allclose(value * seen, want * seen)
        }
        close(got * seen, want * seen, f"the bias of {H} heads differs", suspects=suspects)


def _rewards(T, S, H):
    return _penalty(T, S, H, sign=1.0)


def _heads_from_zero(T, S, H):
    return _penalty(T, S, H, first=0)


def _first_queries(T, S, H):
    return _penalty(T, S, H, last=False)


def _equal_steps(T, S, H):
    return _penalty(T, S, H, linear=True)


# NTK-aware scaling.


def ntk_theta_stub(theta, scale, K):
    raise NotImplementedError


def ntk_theta(theta, scale, K):
    return theta * scale ** (K / (K - 2))


def check_ntk_theta(answer):
    for theta, scale, K in ((10_000.0, 8.0, 16), (500.0, 2.0, 64), (10_000.0, 4.0, 4)):
        got = answer(theta, scale, K)
        want = theta * scale ** (K / (K - 2))
        last = (K - 2) / K  # the exponent 2i / K of the slowest pair, i = K/2 − 1
        suspects = {
            "theta times the scale slows the slowest pair by less than the scale: its exponent is "
            "(K − 2)/K, not 1": theta * scale,
            "this speeds the rotations up: theta must grow": theta * scale ** -(1 / last),
            "the exponent is upside down: the slowest pair turns by theta^(−(K − 2)/K)": (
                theta * scale**last
            ),
            "this is position interpolation's factor, applied to every pair alike; return the "
            "new theta": scale,
        }
        close(
            got, want, f"with theta {theta:g}, scale {scale:g} and K = {K} it differs",
            suspects=suspects, rtol=1e-6,
        )  # fmt: skip


def _times_scale(theta, scale, K):
    return theta * scale


def _upside_down(theta, scale, K):
    return theta * scale ** ((K - 2) / K)


def _shrinks(theta, scale, K):
    return theta * scale ** (-K / (K - 2))


EXERCISES = (
    Exercise(
        id="positions.sinusoids",
        title="The sinusoidal table",
        stub=sinusoids_stub,
        solution=sinusoids,
        check=check_sinusoids,
        hints=(
            "Each pair of columns is a clock hand: its sine and its cosine at time t. Only the "
            "speed differs from pair to pair.",
            "angle[t, i] = t * 10000^(-2i/D) for i = 0 .. D/2 - 1, of shape (T, D/2); sines go to "
            "columns 0, 2, 4, ... and cosines to 1, 3, 5, ...",
            "table = torch.empty(T, D); table[:, 0::2] = angle.sin(); table[:, 1::2] = ...",
        ),
        wrong=(
            Wrong(_from_one, "positions start at 0"),
            Wrong(_cosine_first, "even columns"),
            Wrong(_in_halves, "side by side"),
            Wrong(_half_exponent, "2i / D"),
            Wrong(_faster, "slower"),
        ),
    ),
    Exercise(
        id="positions.rotate",
        title="Turning pairs",
        stub=rotate_stub,
        solution=rotate,
        check=check_rotate,
        hints=(
            "A pair (a, b) is a point in the plane. Turning it by an angle keeps its length.",
            "angle[t, i] = positions[t] * theta^(-2i/K); a = x[..., 0::2], b = x[..., 1::2]; the "
            "new pair is (a cos - b sin, a sin + b cos), put back where it came from",
            "out = torch.empty_like(x); out[..., 0::2] = a * angle.cos() - b * angle.sin(); "
            "out[..., 1::2] = ...",
        ),
        wrong=(
            Wrong(_backwards, "wrong way"),
            Wrong(_half_split, "half-split"),
            Wrong(_two_pluses, "one minus sign"),
            Wrong(_own_positions, "positions that are given"),
            Wrong(_fixed_theta, "theta is an argument"),
        ),
    ),
    Exercise(
        id="positions.alibi_bias",
        title="A penalty on distance",
        stub=alibi_bias_stub,
        solution=alibi_bias,
        check=check_alibi_bias,
        hints=(
            "Each head subtracts its own slope, once for every token that lies between.",
            "slope[h] = 2^(-8h/H) for h = 1 .. H; distance[t, s] = position of query t minus s; "
            "the queries are the last T of the S positions; bias = -slope * distance",
            "query = torch.arange(S - T, S)[:, None]; distance = query - torch.arange(S); "
            "return -slope[:, None, None] * ...",
        ),
        wrong=(
            Wrong(_rewards, "sign"),
            Wrong(_heads_from_zero, "count heads from 1"),
            Wrong(_first_queries, "last of the S positions"),
            Wrong(_equal_steps, "geometrically"),
        ),
    ),
    Exercise(
        id="positions.ntk_theta",
        title="A new base for longer texts",
        stub=ntk_theta_stub,
        solution=ntk_theta,
        check=check_ntk_theta,
        hints=(
            "Ask for one thing only: the slowest pair must turn `scale` times slower than before.",
            "The slowest pair is i = K/2 - 1, with speed theta^(-(K-2)/K). Solve "
            "new^(-(K-2)/K) = theta^(-(K-2)/K) / scale for new.",
            "Raise both sides to the power -K/(K-2): new = theta * scale ** (...)",
        ),
        wrong=(
            Wrong(_times_scale, "not 1"),
            Wrong(_upside_down, "upside down"),
            Wrong(_shrinks, "theta must grow"),
        ),
    ),
)
