"""Causal attention, backwards."""

import math
from functools import partial

import torch

from llmcourse.exercises.backward.judge import drawn, judge, truth
from llmcourse.exercises.core import Exercise, Wrong


def attention_stub(grad, q, k, v):
    raise NotImplementedError


def attention(grad, q, k, v):
    T, K = q.shape
    later = torch.ones(T, T, dtype=torch.bool).triu(1)
    scores = (q @ k.T / math.sqrt(K)).masked_fill(later, -torch.inf)
    p = torch.softmax(scores, dim=1)
    p_grad = grad @ v.T
    s_grad = p * (p_grad - (p * p_grad).sum(dim=1, keepdim=True)) / math.sqrt(K)
    return s_grad @ k, s_grad.T @ q, p.T @ grad


def _weights(q, k, masked=True, hidden=-torch.inf, late=False, scaled=True, past=False):
    T, K = q.shape
    scores = q @ k.T / (math.sqrt(K) if scaled else 1.0)
    later = torch.ones(T, T, dtype=torch.bool).triu(1)
    if past:
        later = later.T
    if late:
        return scores.softmax(-1).masked_fill(later, 0.0)
    if masked:
        scores = scores.masked_fill(later, hidden)
    return scores.softmax(-1)


def _backward(
    grad, q, k, v, *, masked=True, rows="right", root=True, turned=False, stale=False, **mask
):
    p, K = _weights(q, k, masked, **mask), q.shape[1]
    p_grad = grad @ v.T
    if rows == "right":
        inner = p_grad - (p * p_grad).sum(-1, keepdim=True)
    elif rows == "columns":
        inner = p_grad - (p * p_grad).sum(0, keepdim=True)
    elif rows == "diagonal":
        inner = p_grad * (1 - p)
    elif rows == "added":
        inner = p_grad + (p * p_grad).sum(-1, keepdim=True)
    elif rows == "unweighted":
        inner = p_grad - p_grad.mean(-1, keepdim=True)
    else:
        inner = p_grad
    s_grad = p * inner / (math.sqrt(K) if root else 1.0)
    k_grad = s_grad @ q if turned else s_grad.T @ q
    return s_grad @ k, k_grad, (p @ grad if stale else p.T @ grad)


def _forward(q, k, v):
    return _weights(q, k) @ v


def check_attention(answer):
    for T, K, V, seed in ((4, 3, 3, 0), (5, 2, 4, 1), (1, 4, 2, 2)):
        grad, q, k, v = drawn((T, V), (T, K), (T, K), (T, V), seed=seed)
        given = (grad, q, k, v)
        want = truth(_forward, grad, q, k, v)

        def scores(**change):
            return (*_backward(*given, **change)[:2], None)  # noqa: B023

        suspects = {
            "the row-sum term is missing: a softmax's outputs share one sum, so each score's "
            "gradient loses the weighted mean of its row": scores(rows="none"),
            "only the diagonal of the softmax's Jacobian is used: p(1 − p) belongs to a single "
            "output": scores(rows="diagonal"),
            "the sum runs down the columns: the softmax was taken along a row": scores(
                rows="columns"
            ),
            "the row's mean must be weighted by p": scores(rows="unweighted"),
            "the scores were divided by √K, so their gradients are too": scores(root=False),
            "the gradient of k is that of q with the scores' gradient transposed": (
                None,
                _backward(*given, turned=True)[1],
                None,
            ),
            "a value collects from the positions that looked at it: Pᵀ, not P": (
                None,
                None,
                _backward(*given, stale=True)[2],
            ),
            "the causal mask is missing from P": _backward(*given, masked=False),
            "a masked score is −∞ before the softmax; 0 is a score like any other": _backward(
                *given, hidden=0.0
            ),
            "masked after the softmax: the rows of P do not add to 1": _backward(*given, late=True),
            "the mask hides the past, and the future stays in sight": _backward(*given, past=True),
            "the scores are not divided by √K before the softmax": _backward(*given, scaled=False),
            "√K is missing twice: before the softmax, and on the way back": _backward(
                *given, scaled=False, root=False
            ),
            "the row sum is taken away, not added": scores(rows="added"),
            "P stands in front of the bracket as a factor; it is missing": _without_p(*given),
        }
        judge(answer(*given), want, ("q", "k", "v"), suspects)


def _without_p(grad, q, k, v):
    p, p_grad = _weights(q, k), grad @ v.T
    s_grad = (p_grad - (p * p_grad).sum(-1, keepdim=True)) / math.sqrt(q.shape[1])
    return s_grad @ k, s_grad.T @ q, p.T @ grad


def _root_twice(grad, q, k, v):
    q_grad, k_grad, v_grad = attention(grad, q, k, v)
    return q_grad / math.sqrt(q.shape[1]), k_grad / math.sqrt(q.shape[1]), v_grad


def _k_first(grad, q, k, v):
    q_grad, k_grad, v_grad = attention(grad, q, k, v)
    return k_grad, q_grad, v_grad


EXERCISES = (
    Exercise(
        id="backward.attention",
        title="Attention",
        stub=attention_stub,
        solution=attention,
        check=check_attention,
        hints=(
            "Three steps back: through P V, through the softmax of each row, through q kᵀ / √K. "
            "Only the middle one is not a matrix product.",
            "v_grad = Pᵀ grad and P_grad = grad vᵀ. For each row of scores: "
            "S_grad = P ⊙ (P_grad − Σ over the row of P ⊙ P_grad). Then q_grad = S_grad k / √K "
            "and k_grad = S_gradᵀ q / √K.",
            "s_grad = p * (p_grad - (p * p_grad).sum(-1, keepdim=True)) / math.sqrt(K); "
            "return s_grad @ k, s_grad.T @ q, p.T @ grad",
        ),
        wrong=(
            Wrong(partial(_backward, rows="none"), "row-sum term is missing"),
            Wrong(partial(_backward, rows="diagonal"), "only the diagonal"),
            Wrong(partial(_backward, rows="columns"), "down the columns"),
            Wrong(partial(_backward, rows="unweighted"), "weighted by p"),
            Wrong(partial(_backward, root=False), "divided by √K"),
            Wrong(partial(_backward, turned=True), "transposed"),
            Wrong(partial(_backward, stale=True), "Pᵀ, not P"),
            Wrong(partial(_backward, masked=False), "causal mask is missing"),
            Wrong(partial(_backward, hidden=0.0), "0 is a score like any other"),
            Wrong(partial(_backward, late=True), "masked after the softmax"),
            Wrong(partial(_backward, past=True), "hides the past"),
            Wrong(partial(_backward, scaled=False), "before the softmax"),
            Wrong(partial(_backward, rows="added"), "taken away, not added"),
            Wrong(_without_p, "it is missing"),
            Wrong(_root_twice, "right but for a constant"),
            Wrong(_k_first, "in the order q, k, v"),
        ),
    ),
)
