"""The causal mask, and attention itself."""

import math

import torch

from llmcourse.exercises.core import Exercise, Wrong, close, expect


def drawn(*shapes, seed=0, scale=1.0):
    """Normal tensors of the shapes, unsaturated unless `scale` says otherwise."""
    generator = torch.Generator().manual_seed(seed)
    return [scale * torch.randn(*shape, generator=generator) for shape in shapes]


# The causal mask.


def causal_mask_stub(T, S):
    raise NotImplementedError


def causal_mask(T, S):
    query = torch.arange(S - T, S)[:, None]
    return torch.arange(S) <= query


def check_causal_mask(answer):
    def case(T, S):
        want = torch.arange(S) <= torch.arange(S - T, S)[:, None]
        got = answer(T, S)
        expect(isinstance(got, torch.Tensor), f"return a tensor, got {type(got).__name__}")
        expect(
            got.dtype == torch.bool,
            f"the mask is of booleans, True where a query may look; got {got.dtype}",
        )
        expect(
            tuple(got.shape) == (T, S),
            f"one row a query and one column a key, ({T}, {S}); got {tuple(got.shape)}",
        )
        keys = torch.arange(S)
        suspects = [
            ("True means 'may look': this mask is the other way round", ~want),
            ("a position may look at itself", keys < torch.arange(S - T, S)[:, None]),
            ("the T queries are the last of the S positions", keys <= torch.arange(T)[:, None]),
        ]
        if T == S:
            suspects.append(("rows are queries, columns keys: this is transposed", want.T))
        for diagnosis, value in suspects:
            fits = torch.equal(got, value) and not torch.equal(value, want)
            expect(not fits, diagnosis, expected=want.int(), got=got.int())
        expect(
            torch.equal(got, want),
            f"for T={T}, S={S} the mask differs from 'key no later than query'",
            expected=want.int(),
            got=got.int(),
        )

    for T, S in ((3, 3), (2, 5), (1, 4), (1, 1), (4, 4)):
        case(T, S)


def _excludes_itself(T, S):
    return torch.arange(S) < torch.arange(S - T, S)[:, None]


def _transposed_mask(T, S):
    return torch.arange(S - T, S)[:, None] <= torch.arange(S)


def _first_positions(T, S):
    return torch.ones(T, S, dtype=torch.bool).tril()


def _inverted(T, S):
    return ~causal_mask(T, S)


def _of_zeros_and_minus_infinity(T, S):
    return torch.zeros(T, S).masked_fill(~causal_mask(T, S), -torch.inf)


# Scaled dot-product attention.


def sdpa_stub(q, k, v, mask=None):
    raise NotImplementedError


def sdpa(q, k, v, mask=None):
    scores = q @ k.mT / math.sqrt(k.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    return scores.softmax(dim=-1) @ v


def mix(q, k, v, mask, scale):
    scores = q @ k.mT * scale
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    return scores.softmax(-1) @ v


def check_sdpa(answer):
    q, k, v = drawn((4, 6), (5, 6), (5, 3))
    scores = q @ k.mT / math.sqrt(6)
    suspects = {
        "the scores are not divided by √K: their spread grows with the width": mix(
            q, k, v, None, 1.0
        ),
        "divide by √K, not by K: what is tamed is the spread of a sum of K terms": mix(
            q, k, v, None, 1 / 6
        ),
        "the scale is √K, K the width of a key, not √S, the number of keys": mix(
            q, k, v, None, 5**-0.5
        ),
        "the softmax must run over the keys (the last axis), not over the queries": (
            scores.softmax(0) @ v
        ),
        "this takes the best key alone: attention is the soft mixture of all": (
            v[scores.argmax(-1)]
        ),
        "the scores mix the values before they are weights: the softmax is missing": scores @ v,
    }
    message = "without a mask, the output should be softmax(q kᵀ / √K) v"
    close(answer(q, k, v), scores.softmax(-1) @ v, message, suspects=suspects)
    q, k, v = drawn((5, 6), (5, 6), (5, 3), seed=1)
    mask = torch.ones(5, 5, dtype=torch.bool).tril()
    scores = q @ k.mT / math.sqrt(6)
    inverted = scores.masked_fill(mask, -torch.inf).softmax(-1).nan_to_num()
    suspects = {
        "the mask comes after the softmax, so the rows no longer sum to 1": (
            scores.softmax(-1).masked_fill(~mask, 0.0) @ v
        ),
        "the mask is ignored": scores.softmax(-1) @ v,
        "the mask is turned round: True means 'may look'": inverted @ v,
        "a forbidden score is set to 0, and e⁰ = 1 is no small weight; it must be −∞": (
            scores.masked_fill(~mask, 0.0).softmax(-1) @ v
        ),
    }
    message = "with a causal mask, what may not be seen must get weight 0, and the rest sum to 1"
    want = scores.masked_fill(~mask, -torch.inf).softmax(-1) @ v
    close(answer(q, k, v, mask), want, message, suspects=suspects)
    # A seeded, lop-sided mask: neither triangular nor symmetric.
    mask = torch.tensor([[1, 0, 1, 1, 0], [0, 1, 0, 0, 1], [1, 1, 1, 1, 1]]).bool()
    q = q[:3]
    scores = q @ k.mT / math.sqrt(6)
    close(
        answer(q, k, v, mask),
        scores.masked_fill(~mask, -torch.inf).softmax(-1) @ v,
        "a mask need not be triangular: use the one you are given",
    )
    q, k, v = drawn((2, 3, 4, 8), (2, 3, 5, 8), (2, 3, 5, 7), seed=2)
    close(
        answer(q, k, v),
        (q @ k.mT / math.sqrt(8)).softmax(-1) @ v,
        "leading axes (batch, heads) should pass through: use the last two axes only",
    )
    q, k, v = drawn((3, 4), (3, 4), (3, 2), seed=3, scale=60.0)
    out = answer(q, k, v)
    expect(
        bool(torch.isfinite(out).all()),
        "large scores overflow: subtract each row's maximum first, or use torch's softmax",
        got=out,
    )
    close(out, (q @ k.mT / 2).softmax(-1) @ v, "large scores give the wrong mixture")


def _no_scale(q, k, v, mask=None):
    return mix(q, k, v, mask, 1.0)


def _by_k(q, k, v, mask=None):
    return mix(q, k, v, mask, 1 / k.shape[-1])


def _over_queries(q, k, v, mask=None):
    scores = q @ k.mT / math.sqrt(k.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    return scores.softmax(dim=-2) @ v


def _hard_max(q, k, v, mask=None):
    scores = q @ k.mT / math.sqrt(k.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    best = torch.nn.functional.one_hot(scores.argmax(-1), k.shape[-2]).to(v.dtype)
    return best @ v


def _mask_after_softmax(q, k, v, mask=None):
    weights = (q @ k.mT / math.sqrt(k.shape[-1])).softmax(-1)
    return (weights if mask is None else weights.masked_fill(~mask, 0.0)) @ v


def _zero_for_forbidden(q, k, v, mask=None):
    scores = q @ k.mT / math.sqrt(k.shape[-1])
    return (scores if mask is None else scores.masked_fill(~mask, 0.0)).softmax(-1) @ v


def _ignores_mask(q, k, v, mask=None):
    return mix(q, k, v, None, k.shape[-1] ** -0.5)


def _own_triangle(q, k, v, mask=None):
    if mask is not None:
        mask = torch.ones_like(mask).tril()
    return sdpa(q, k, v, mask)


def _two_axes_only(q, k, v, mask=None):
    q, k, v = (x.reshape(-1, x.shape[-1]) for x in (q, k, v))
    return sdpa(q, k, v, mask)


def _overflows(q, k, v, mask=None):
    scores = q @ k.mT / math.sqrt(k.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    raised = scores.exp()
    return raised / raised.sum(-1, keepdim=True) @ v


EXERCISES = (
    Exercise(
        id="attention.causal_mask",
        title="The causal mask",
        stub=causal_mask_stub,
        solution=causal_mask,
        check=check_causal_mask,
        hints=(
            "Row t belongs to one query, column s to one key. A query may see a key that stands "
            "no later than itself. The T queries are the last T of the S positions.",
            "Number the keys 0 … S − 1. Which numbers do the T queries have? Compare the two, "
            "queries down, keys across.",
            "torch.arange(S) <= torch.arange(S - T, S)[:, None]",
        ),
        wrong=(
            Wrong(_excludes_itself, "look at itself"),
            Wrong(_transposed_mask, "transposed"),
            Wrong(_first_positions, "last of the S positions"),
            Wrong(_inverted, "other way round"),
            Wrong(_of_zeros_and_minus_infinity, "booleans"),
        ),
    ),
    Exercise(
        id="attention.sdpa",
        title="Scaled dot-product attention",
        stub=sdpa_stub,
        solution=sdpa,
        check=check_sdpa,
        hints=(
            "Every query is compared with every key; the comparisons become weights that sum to "
            "1 over the keys; the weights mix the values.",
            "scores = q kᵀ / √K, of shape (T, S); −∞ where the mask is False; softmax along the "
            "last axis; times v.",
            "scores = q @ k.mT / math.sqrt(k.shape[-1]); scores.masked_fill(~mask, -torch.inf); "
            "scores.softmax(dim=-1) @ v",
        ),
        wrong=(
            Wrong(_no_scale, "not divided by √K"),
            Wrong(_by_k, "not by K"),
            Wrong(_over_queries, "over the keys"),
            Wrong(_hard_max, "best key alone"),
            Wrong(_mask_after_softmax, "after the softmax"),
            Wrong(_zero_for_forbidden, "must be −∞"),
            Wrong(_ignores_mask, "ignored"),
            Wrong(_own_triangle, "need not be triangular"),
            Wrong(_two_axes_only, "leading axes"),
            Wrong(_overflows, "overflow"),
        ),
    ),
)
