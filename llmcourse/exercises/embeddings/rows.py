"""The gradient of a lookup, and vectors from counts."""

import torch

from llmcourse.exercises.core import Exercise, Wrong, close, expect


def drawn(*shapes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(*shape, generator=generator) for shape in shapes]


# The gradient of a lookup.


def lookup_gradient_stub(ids, upstream, V):
    raise NotImplementedError


def lookup_gradient(ids, upstream, V):
    grad = torch.zeros(V, upstream.shape[1])
    for place, i in enumerate(ids.tolist()):
        grad[i] += upstream[place]
    return grad


def _assigned(ids, upstream, V):
    grad = torch.zeros(V, upstream.shape[1])
    for i, row in zip(ids.tolist(), upstream, strict=True):
        grad[i] = row
    return grad


def _averaged(ids, upstream, V):
    times = torch.bincount(ids, minlength=V).clamp_min(1)
    return lookup_gradient(ids, upstream, V) / times[:, None]


def _gathered(ids, upstream, V):
    return upstream


def _to_all(ids, upstream, V):
    return upstream.sum(0).expand(V, -1).clone()


def check_lookup_gradient(answer):
    ids = torch.tensor([2, 0, 2, 5, 2])
    (upstream,) = drawn((5, 3))
    got = answer(ids.clone(), upstream.clone(), 6)
    want = lookup_gradient(ids, upstream, 6)
    expect(
        isinstance(got, torch.Tensor) and tuple(got.shape) == (6, 3),
        "the gradient has the shape of the matrix E, (V, D): one row a token of the vocabulary",
        expected=(6, 3),
        got=tuple(got.shape) if isinstance(got, torch.Tensor) else type(got).__name__,
    )
    first = upstream.clone()
    close(
        got,
        want,
        "row i should be the sum of the upstream rows at the places where id i stands",
        suspects={
            "id 2 stands three times: its row must add up all three, and here one overwrites the "
            "others (so does `grad[ids] += upstream`)": _assigned(ids, first, 6),
            "a token that occurs three times gets the sum of three gradients, not their mean": (
                _averaged(ids, first, 6)
            ),
            "tokens that do not occur get no gradient: only the rows that were read": (
                _to_all(ids, first, 6)
            ),
        },
    )
    for seed in range(3):
        chance = torch.Generator().manual_seed(seed)
        ids = torch.randint(0, 4, (9,), generator=chance)
        (upstream,) = drawn((9, 2), seed=seed)
        E = torch.zeros(7, 2, requires_grad=True)
        (E[ids] * upstream).sum().backward()
        close(answer(ids, upstream, 7), E.grad, "differs from what autograd finds")


# Positive pointwise mutual information.


def ppmi_stub(N):
    raise NotImplementedError


def ppmi(N):
    expected = N.sum(1, keepdim=True) * N.sum(0, keepdim=True) / N.sum()
    ratio = torch.where(N > 0, N / expected, torch.ones_like(N))
    return ratio.log().clamp_min(0)


def _not_clipped(N):
    expected = N.sum(1, keepdim=True) * N.sum(0, keepdim=True) / N.sum()
    return torch.where(N > 0, N / expected, torch.ones_like(N)).log()


def _in_bits(N):
    return ppmi(N) / 0.6931471805599453


def _conditional(N):
    p = N / N.sum(1, keepdim=True).clamp_min(1)
    return torch.where(N > 0, p, torch.ones_like(p)).log().clamp_min(0)


def _row_only(N):
    ratio = N * N.shape[1] / N.sum(1, keepdim=True).clamp_min(1)
    return torch.where(N > 0, ratio, torch.ones_like(N)).log().clamp_min(0)


def _rows_twice(N):
    rows = N.sum(1, keepdim=True)
    ratio = torch.where(N > 0, N * N.sum() / (rows * rows.T), torch.ones_like(N))
    return ratio.log().clamp_min(0)


def _with_nan(N):
    expected = N.sum(1, keepdim=True) * N.sum(0, keepdim=True) / N.sum()
    return (N / expected).log().clamp_min(0)


def check_ppmi(answer):
    N = torch.tensor([[6.0, 1.0, 1.0], [2.0, 9.0, 0.0], [1.0, 2.0, 4.0]])
    got = answer(N.clone())
    close(
        got,
        ppmi(N),
        "entry (w, c) should be log p(w, c) / (p(w) p(c)) where that is positive, and 0 elsewhere",
        suspects={
            "negative values should become 0: this is the PMI, not its positive part": (
                _not_clipped(N)
            ),
            "this is in bits: use the natural logarithm": _in_bits(N),
            "this is log p(c | w), a conditional probability: divide by p(c), too": _conditional(N),
            "divide by p(c), the context's own frequency; here every context counts alike": (
                _row_only(N)
            ),
            "p(c) is the sum of a column, not of a row": _rows_twice(N),
        },
    )
    empty = torch.tensor([[2.0, 0.0, 3.0], [0.0, 0.0, 0.0], [0.0, 0.0, 7.0]])
    got = answer(empty.clone())
    expect(
        bool(torch.isfinite(got).all()),
        "a word or a context that never occurs gives 0/0 = NaN: such entries should be 0",
        got=got,
    )
    close(got, ppmi(empty), "entries that were never counted should be 0")
    wide = torch.tensor([[5.0, 0.0, 1.0, 2.0], [7.0, 4.0, 0.0, 0.0]])  # a count of 1 matters, too
    close(answer(wide.clone()), ppmi(wide), "rows and columns need not be of one number")


EXERCISES = (
    Exercise(
        id="embeddings.lookup_gradient",
        title="The gradient of a lookup",
        stub=lookup_gradient_stub,
        solution=lookup_gradient,
        check=check_lookup_gradient,
        hints=(
            "Row i of E was copied to every place where id i stands. What flows back from those "
            "places adds up.",
            "Start from zeros of shape (V, D). Walk over the places; add each upstream row to the "
            "row that its id names.",
            "`for place, i in enumerate(ids.tolist()): grad[i] += upstream[place]`.",
        ),
        wrong=(
            Wrong(_assigned, "must add up all three"),
            Wrong(_averaged, "not their mean"),
            Wrong(_gathered, "shape of the matrix E"),
            Wrong(_to_all, "get no gradient"),
        ),
    ),
    Exercise(
        id="embeddings.ppmi",
        title="Positive pointwise mutual information",
        stub=ppmi_stub,
        solution=ppmi,
        check=check_ppmi,
        hints=(
            "Compare each count with the count that chance would give, if words and contexts knew "
            "nothing of each other.",
            "Expected count of (w, c): row sum × column sum / total. Take the logarithm of count / "
            "expected; where the count is 0 or the logarithm negative, put 0.",
            "`expected = N.sum(1, keepdim=True) * N.sum(0, keepdim=True) / N.sum()`, then "
            "`torch.where(N > 0, N / expected, torch.ones_like(N)).log().clamp_min(0)`.",
        ),
        wrong=(
            Wrong(_not_clipped, "its positive part"),
            Wrong(_in_bits, "natural logarithm"),
            Wrong(_conditional, "conditional probability"),
            Wrong(_row_only, "counts alike"),
            Wrong(_rows_twice, "sum of a column"),
            Wrong(_with_nan, "NaN"),
        ),
        equivalent_mutants={
            "expected = N.sum(1, keepdim=True) * N.sum(0, keepdim=True) / N.sum() → "
            "expected = N.sum(1, keepdim=True) * N.sum(0, keepdim=False) / N.sum()": (
                "a row of shape (C) broadcasts as (1, C) does"
            ),
        },
    ),
)
