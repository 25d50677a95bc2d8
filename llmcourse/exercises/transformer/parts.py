"""RMSNorm, a pre-norm block, and the score of an induction head."""

import torch

from llmcourse.exercises.core import Exercise, Wrong, close, expect

__all__ = ["EXERCISES"]

# ---- RMSNorm ---------------------------------------------------------------------------------


def rms_norm_stub(x, weight, eps):
    raise NotImplementedError


def rms_norm(x, weight, eps):
    mean_square = (x * x).mean(dim=-1, keepdim=True)
    return weight * x / (mean_square + eps).sqrt()


def check_rms_norm(answer):
    g = torch.Generator().manual_seed(0)
    for shape, eps in (((2, 3, 8), 1e-5), ((5, 6), 0.5), ((6, 6), 0.1), ((4, 1), 0.3)):
        x = 2 * torch.randn(shape, generator=g) + 0.7
        weight = torch.rand(shape[-1], generator=g) + 0.5
        close(
            answer(x.clone(), weight.clone(), eps),
            rms_norm(x, weight, eps),
            f"wrong for x of shape {shape} and eps = {eps}",
            suspects={
                "this takes the mean away first, as LayerNorm does; RMSNorm only divides": (
                    _layer_norm(x, weight, eps)
                ),
                "this divides by the length of x; the root of the *mean* square is smaller by "
                "√D": _by_length(x, weight, eps),
                "the root is missing: x is divided by its mean square": _no_root(x, weight, eps),
                "the gain `weight` is missing": _no_gain(x, weight, eps),
                "eps belongs under the root, beside the mean square": _eps_outside(x, weight, eps),
                "the mean runs over the wrong axis: each position is normalised by itself, over "
                "its D channels": _wrong_axis(x, weight, eps),
            },
        )
    x = torch.zeros(2, 4)
    expect(
        bool((answer(x, torch.ones(4), 1e-5) == 0).all()),
        "a vector of zeros should stay zeros: eps is there to keep 0 / 0 away",
    )


def _layer_norm(x, weight, eps):
    return rms_norm(x - x.mean(-1, keepdim=True), weight, eps)


def _by_length(x, weight, eps):
    return weight * x / ((x * x).sum(-1, keepdim=True) + eps).sqrt()


def _no_root(x, weight, eps):
    return weight * x / ((x * x).mean(-1, keepdim=True) + eps)


def _no_gain(x, weight, eps):
    return x / ((x * x).mean(-1, keepdim=True) + eps).sqrt()


def _eps_outside(x, weight, eps):
    return weight * x / ((x * x).mean(-1, keepdim=True).sqrt() + eps)


def _wrong_axis(x, weight, eps):
    return weight * x / ((x * x).mean(-2, keepdim=True) + eps).sqrt()


# ---- the block -------------------------------------------------------------------------------


def block_stub(x, norm1, attention, norm2, mlp):
    raise NotImplementedError


def block(x, norm1, attention, norm2, mlp):
    x = x + attention(norm1(x))
    return x + mlp(norm2(x))


def check_block(answer):
    g = torch.Generator().manual_seed(1)
    x = 3 * torch.randn(4, 6, generator=g)
    w1, w2 = (torch.randn(6, 6, generator=g) / 2 for _ in range(2))
    parts = (
        lambda z: 1.5 * _rms(z),
        lambda z: torch.tril(torch.ones(4, 4)) @ z @ w1,
        lambda z: 0.5 * _rms(z),
        lambda z: torch.relu(z @ w2),
    )
    close(
        answer(x.clone(), *parts),
        block(x, *parts),
        "wrong for a block of four known parts",
        suspects={
            "this is post-norm: the norm stands after the sum, on the stream itself": _post(
                x, *parts
            ),
            "a residual is missing: each part should add to the stream, not replace it": _chain(
                x, *parts
            ),
            "the MLP reads what attention read; it should read the stream after attention has "
            "written to it": _parallel(x, *parts),
            "the stream itself has been normalised: only what a part *reads* is, and the sum goes "
            "on with the raw x": _normed_stream(x, *parts),
            "the MLP reads the raw stream: its norm is missing": _no_second(x, *parts),
            "each part should read through its own norm: norm1 before attention, norm2 before the "
            "MLP": _exchanged(x, *parts),
        },
    )
    zero = torch.zeros_like
    close(
        answer(x.clone(), parts[0], zero, parts[2], zero),
        x,
        "parts that write nothing should leave the stream as it was",
    )


def _rms(z):
    return z / z.square().mean(-1, keepdim=True).sqrt()


def _post(x, norm1, attention, norm2, mlp):
    x = norm1(x + attention(x))
    return norm2(x + mlp(x))


def _chain(x, norm1, attention, norm2, mlp):
    return mlp(norm2(attention(norm1(x))))


def _parallel(x, norm1, attention, norm2, mlp):
    return x + attention(norm1(x)) + mlp(norm2(x))


def _normed_stream(x, norm1, attention, norm2, mlp):
    x = norm1(x)
    x = norm2(x + attention(x))
    return x + mlp(x)


def _no_second(x, norm1, attention, norm2, mlp):
    x = x + attention(norm1(x))
    return x + mlp(x)


def _exchanged(x, norm1, attention, norm2, mlp):
    return block(x, norm2, attention, norm1, mlp)


# ---- induction -------------------------------------------------------------------------------


def prefix_score_stub(weights, period):
    raise NotImplementedError


def prefix_score(weights, period):
    total, count = 0.0, 0
    for t in range(period, len(weights)):
        total = total + weights[t, t - period + 1]
        count += 1
    return total / count


def check_prefix_score(answer):
    g = torch.Generator().manual_seed(2)
    for period in (3, 5, 8):
        T = 2 * period
        scores = torch.randn(T, T, generator=g).masked_fill(
            ~torch.ones(T, T).bool().tril(), -torch.inf
        )
        w = scores.softmax(-1)
        close(
            answer(w.clone(), period),
            prefix_score(w, period),
            f"wrong for a random head and period {period}",
            suspects={
                "this is the weight on the earlier *copy* of the present token; induction looks "
                "one place further, at what came next": _same_token(w, period),
                "this is the weight on the token just before the present one: a previous-token "
                "head": _previous(w, period),
                "one place too early: the token after the earlier copy stands at t − period + "
                "1": _too_early(w, period),
                "the first copy counts too: only positions of the second have something to match, "
                "so divide by their number": _over_all(w, period),
                "this is the sum over the second copy, not the mean": (
                    prefix_score(w, period) * period
                ),
            },
            rtol=1e-4,
        )


def _diagonal(w, period, shift):
    return torch.stack([w[t, t + shift] for t in range(period, len(w))])


def _same_token(w, period):
    return _diagonal(w, period, -period).mean()


def _previous(w, period):
    return _diagonal(w, period, -1).mean()


def _too_early(w, period):
    return torch.stack([w[t, max(t - period - 1, 0)] for t in range(period, len(w))]).mean()


def _over_all(w, period):
    return _diagonal(w, period, 1 - period).sum() / len(w)


def _total(w, period):
    return _diagonal(w, period, 1 - period).sum()


EXERCISES = (
    Exercise(
        id="transformer.rms_norm",
        title="RMSNorm",
        stub=rms_norm_stub,
        solution=rms_norm,
        check=check_rms_norm,
        hints=(
            "Each position's vector of D channels is divided by one number: the root of the mean "
            "of its squares. Nothing is subtracted.",
            "mean square over the last axis, kept as an axis of length 1; add eps; root; divide; "
            "multiply by the gain.",
            "s = (x * x).mean(dim=-1, keepdim=True); then weight * x / (s + eps).sqrt()",
        ),
        wrong=(
            Wrong(_layer_norm, "takes the mean away"),
            Wrong(_by_length, "divides by the length"),
            Wrong(_no_root, "the root is missing"),
            Wrong(_no_gain, "gain `weight` is missing"),
            Wrong(_eps_outside, "eps belongs under the root"),
            Wrong(_wrong_axis, "wrong axis"),
        ),
    ),
    Exercise(
        id="transformer.block",
        title="A pre-norm block",
        stub=block_stub,
        solution=block,
        check=check_block,
        hints=(
            "The stream x is never normalised and never replaced. Each part reads a normalised "
            "copy of it and adds what it found.",
            "x becomes x plus attention of norm1 of x; then x becomes x plus the MLP of norm2 of "
            "the *new* x.",
            "x = x + attention(norm1(x)); the second line has the same form",
        ),
        wrong=(
            Wrong(_post, "post-norm"),
            Wrong(_chain, "residual is missing"),
            Wrong(_parallel, "reads what attention read"),
            Wrong(_normed_stream, "stream itself has been normalised"),
            Wrong(_no_second, "reads the raw stream"),
            Wrong(_exchanged, "its own norm"),
        ),
    ),
    Exercise(
        id="transformer.prefix_score",
        title="Scoring a head for induction",
        stub=prefix_score_stub,
        solution=prefix_score,
        check=check_prefix_score,
        hints=(
            "At position t of the second copy, the same token stood at t − period. What came after "
            "it then?",
            "for every t from period on: the weight of query t on key t − period + 1; their mean.",
            "weights[t, t - period + 1], averaged over t in range(period, len(weights))",
        ),
        wrong=(
            Wrong(_same_token, "earlier *copy*"),
            Wrong(_previous, "previous-token head"),
            Wrong(_too_early, "one place too early"),
            Wrong(_over_all, "first copy counts too"),
            Wrong(_total, "sum over the second copy"),
        ),
    ),
)
