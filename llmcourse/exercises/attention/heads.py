"""Several heads."""

import math

import torch

from llmcourse.exercises.attention.scores import drawn, mix, sdpa
from llmcourse.exercises.core import Exercise, Wrong, close

# Several heads.


def multi_head_stub(x, q, k, v, o, heads):
    raise NotImplementedError


def multi_head(x, q, k, v, o, heads):
    T, D = x.shape

    def split(y):
        return y.view(T, heads, D // heads).transpose(0, 1)

    mask = torch.ones(T, T, dtype=torch.bool).tril()
    mixed = sdpa(split(x @ q.mT), split(x @ k.mT), split(x @ v.mT), mask)
    return mixed.transpose(0, 1).reshape(T, D) @ o.mT


def _heads_with(x, q, k, v, o, heads, *, scale=None, mixed_up=False, turned=False, causal=True):
    T, D = x.shape

    def split(y):
        if mixed_up:
            return y.reshape(heads, T, D // heads)
        return y.view(T, heads, D // heads).transpose(0, 1)

    weights = [w if turned else w.mT for w in (q, k, v, o)]
    mask = torch.ones(T, T, dtype=torch.bool).tril() if causal else None
    scale = (D // heads) ** -0.5 if scale is None else scale
    mixed = mix(*(split(x @ w) for w in weights[:3]), mask, scale)
    merged = mixed.reshape(T, D) if mixed_up else mixed.transpose(0, 1).reshape(T, D)
    return merged @ weights[3]


def check_multi_head(answer):
    for T, D, heads, seed in ((5, 12, 3, 0), (7, 8, 2, 1), (4, 6, 1, 2)):
        x, *weights = drawn((T, D), (D, D), (D, D), (D, D), (D, D), seed=seed)
        weights = [w / math.sqrt(D) for w in weights]
        want = _heads_with(x, *weights, heads)
        apart = _heads_with(x, *weights[:3], torch.eye(D), heads)
        jumbled = apart.view(T, heads, D // heads).transpose(0, 1).reshape(T, D)
        suspects = {
            "√D is for one head of width D; a head's keys have width K = D / heads": _heads_with(
                x, *weights, heads, scale=D**-0.5
            ),
            "the scores of each head still need their 1 / √K": _heads_with(
                x, *weights, heads, scale=1.0
            ),
            "a reshape straight to (heads, T, K) mixes positions: split D first, then swap the "
            "axes": _heads_with(x, *weights, heads, mixed_up=True),
            "merge with the axes swapped back: (heads, T, K) to (T, heads, K) to (T, D)": (
                jumbled @ weights[3].mT
            ),
            "weights have the shape (out, in): multiply by the transpose": _heads_with(
                x, *weights, heads, turned=True
            ),
            "the future is visible: the causal mask is missing": _heads_with(
                x, *weights, heads, causal=False
            ),
            "the heads' outputs still pass through o": apart,
            "one head of width D is not several of width K: split before the scores": _heads_with(
                x, *weights, 1
            ),
        }
        got = answer(x, *weights, heads)
        close(got, want, f"for {heads} heads the output differs", suspects=suspects)


def _root_of_d(x, q, k, v, o, heads):
    return _heads_with(x, q, k, v, o, heads, scale=x.shape[1] ** -0.5)


def _straight_reshape(x, q, k, v, o, heads):
    return _heads_with(x, q, k, v, o, heads, mixed_up=True)


def _merge_without_swap(x, q, k, v, o, heads):
    T, D = x.shape
    apart = _heads_with(x, q, k, v, torch.eye(D), heads)
    return apart.view(T, heads, D // heads).transpose(0, 1).reshape(T, D) @ o.mT


def _weights_as_in_out(x, q, k, v, o, heads):
    return _heads_with(x, q, k, v, o, heads, turned=True)


def _sees_the_future(x, q, k, v, o, heads):
    return _heads_with(x, q, k, v, o, heads, causal=False)


def _without_o(x, q, k, v, o, heads):
    return _heads_with(x, q, k, v, torch.eye(x.shape[1]), heads)


def _one_wide_head(x, q, k, v, o, heads):
    return _heads_with(x, q, k, v, o, 1)


EXERCISES = (
    Exercise(
        id="attention.multi_head",
        title="Several heads",
        stub=multi_head_stub,
        solution=multi_head,
        check=check_multi_head,
        helpers=(sdpa,),
        hints=(
            "Each head has its own K = D / heads channels of the queries, keys and values, and "
            "attends by itself; the results stand side by side again and pass through o.",
            "x @ qᵀ has shape (T, D): view it as (T, heads, K), swap to (heads, T, K), attend with "
            "the causal mask, swap back, reshape to (T, D), times oᵀ.",
            "split = lambda y: y.view(T, heads, D // heads).transpose(0, 1); "
            "mixed = sdpa(split(x @ q.mT), …, mask); mixed.transpose(0, 1).reshape(T, D) @ o.mT",
        ),
        wrong=(
            Wrong(_root_of_d, "√D is for one head"),
            Wrong(_straight_reshape, "mixes positions"),
            Wrong(_merge_without_swap, "swapped back"),
            Wrong(_weights_as_in_out, "(out, in)"),
            Wrong(_sees_the_future, "causal mask is missing"),
            Wrong(_without_o, "pass through o"),
            Wrong(_one_wide_head, "split before the scores"),
        ),
    ),
)
