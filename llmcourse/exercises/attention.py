"""Exercises of the chapter `algorithms/attention`."""

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


def _mix(q, k, v, mask, scale):
    scores = q @ k.mT * scale
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    return scores.softmax(-1) @ v


def check_sdpa(answer):
    q, k, v = drawn((4, 6), (5, 6), (5, 3))
    scores = q @ k.mT / math.sqrt(6)
    suspects = {
        "the scores are not divided by √K: their spread grows with the width": _mix(
            q, k, v, None, 1.0
        ),
        "divide by √K, not by K: what is tamed is the spread of a sum of K terms": _mix(
            q, k, v, None, 1 / 6
        ),
        "the scale is √K, K the width of a key, not √S, the number of keys": _mix(
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
    return _mix(q, k, v, mask, 1.0)


def _by_k(q, k, v, mask=None):
    return _mix(q, k, v, mask, 1 / k.shape[-1])


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
    return _mix(q, k, v, None, k.shape[-1] ** -0.5)


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
    mixed = _mix(*(split(x @ w) for w in weights[:3]), mask, scale)
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


# Softmax in one pass.


def online_attention_stub(blocks):
    raise NotImplementedError


def online_attention(blocks):
    peak, total, out = -math.inf, 0.0, 0.0
    for scores, values in blocks:
        new_peak = max(peak, scores.max().item())
        shrink = math.exp(peak - new_peak)
        weights = (scores - new_peak).exp()
        total = total * shrink + weights.sum()
        out = out * shrink + weights @ values
        peak = new_peak
    return out / total


def check_online_attention(answer):
    def case(sizes, seed, scale=1.0, shift=0.0, note=""):
        scores = [s * scale + shift for s in drawn(*((n,) for n in sizes), seed=seed)]
        values = drawn(*((n, 3) for n in sizes), seed=seed + 100)
        want = torch.cat(scores).softmax(0) @ torch.cat(values)
        parts = [s.softmax(0) @ v for s, v in zip(scores, values, strict=True)]
        got = answer(iter(list(zip(scores, values, strict=True))))
        peaks = torch.stack([s.max() for s in scores])
        raised = [(s - m).exp() for s, m in zip(scores, peaks.cummax(0).values, strict=True)]
        out = sum(w @ v for w, v in zip(raised, values, strict=True))
        total = sum(w.sum() for w in raised)
        halves = sum(w.sum() for w in [(s - peaks.max()).exp() for s in scores])
        undivided = sum((s - peaks.max()).exp() @ v for s, v in zip(scores, values, strict=True))
        suspects = {
            "blocks are averaged as if alike: a block counts by its Σ exp": sum(parts) / len(parts),
            "only the last block is left: carry the earlier sums along": parts[-1],
            "when the peak rises, the earlier sums are too large: multiply both by "
            "exp(old peak − new peak)": out / total,
            "the sum of weights was rescaled to the new peak, but not the weighted values": (
                out / halves
            ),
            "divide by the sum of all weights at the end": undivided,
        }
        finite = isinstance(got, torch.Tensor) and bool(torch.isfinite(got).all())
        expect(
            finite or not isinstance(got, torch.Tensor),
            "scores near 1000 overflow exp, those near −1000 vanish: subtract the running maximum",
            got=got,
        )
        close(got, want, f"the mixture of {note} differs", suspects=suspects, rtol=1e-4, atol=1e-5)

    case((4,), 0, note="one block")
    case((3, 2, 4), 1, note="three blocks")
    case((3, 5), 5, note="two blocks")
    case((1, 1, 1, 1, 1), 2, note="five blocks of one score")
    case((3, 3, 3), 3, shift=1000.0, note="scores near 1000")
    case((3, 3, 3), 4, shift=-1000.0, note="scores near −1000")
    case((3, 3, 3), 6, scale=40.0, note="scores far apart")


def _no_rescaling(blocks):
    peak, total, out = -math.inf, 0.0, 0.0
    for scores, values in blocks:
        peak = max(peak, scores.max().item())
        weights = (scores - peak).exp()
        total, out = total + weights.sum(), out + weights @ values
    return out / total


def _rescales_sum_only(blocks):
    peak, total, out = -math.inf, 0.0, 0.0
    for scores, values in blocks:
        new_peak = max(peak, scores.max().item())
        weights = (scores - new_peak).exp()
        total = total * math.exp(peak - new_peak) + weights.sum()
        out = out + weights @ values
        peak = new_peak
    return out / total


def _averages_blocks(blocks):
    parts = [scores.softmax(0) @ values for scores, values in blocks]
    return sum(parts) / len(parts)


def _no_peak(blocks):
    total, out = 0.0, 0.0
    for scores, values in blocks:
        weights = scores.exp()
        total, out = total + weights.sum(), out + weights @ values
    return out / total


def _never_divides(blocks):
    peak, out = -math.inf, 0.0
    for scores, values in blocks:
        new_peak = max(peak, scores.max().item())
        out = out * math.exp(peak - new_peak) + (scores - new_peak).exp() @ values
        peak = new_peak
    return out


def _last_block(blocks):
    for scores, values in blocks:
        out = scores.softmax(0) @ values
    return out


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
    Exercise(
        id="attention.online_attention",
        title="Attention in one pass over the keys",
        stub=online_attention_stub,
        solution=online_attention,
        check=check_online_attention,
        hints=(
            "Keep three things: the largest score so far, the sum of exp(score − largest), and the "
            "same sum with the values as factors. What must happen to two of them when a block "
            "brings a larger score?",
            "For each block: new peak; shrink = exp(old peak − new peak); total = total · shrink + "
            "Σ exp(scores − new peak); out likewise. At the end out / total.",
            "weights = (scores - new_peak).exp(); total = total * shrink + weights.sum(); "
            "out = out * shrink + weights @ values",
        ),
        equivalent_mutants={
            f"peak, total, out = (-math.inf, 0.0, 0.0) → peak, total, out = (-math.inf, {x})": (
                "the first shrink is exp(−∞) = 0: what the sums held before is forgotten"
            )
            for x in ("1.0, 0.0", "0.0, 1.0")
        },
        wrong=(
            Wrong(_no_rescaling, "multiply both"),
            Wrong(_rescales_sum_only, "but not the weighted values"),
            Wrong(_averages_blocks, "averaged"),
            Wrong(_no_peak, "overflow"),
            Wrong(_never_divides, "divide by the sum"),
            Wrong(_last_block, "last block"),
        ),
    ),
)
