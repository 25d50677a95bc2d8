"""Word vectors: from counts, by skip-gram with negative sampling, and what lies near what.

Three steps, each usable alone: count which tokens stand near each other, turn the counts into
vectors (by an SVD of pointwise mutual information, or by skip-gram), and look for neighbours.

    >>> counts = cooccurrences([[0, 1, 2, 0, 1]], vocab=3, window=1)
    >>> counts.int().tolist()
    [[0, 2, 1], [2, 0, 1], [1, 1, 0]]
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

__all__ = [
    "analogy",
    "cooccurrences",
    "cosines",
    "factorise",
    "gradient_of_rows",
    "nearest",
    "pmi",
    "purity",
    "skipgram",
    "spread_out",
]


def gradient_of_rows(
    ids: Int[Tensor, "*batch"], upstream: Float[Tensor, "*batch D"], vocab: int
) -> Float[Tensor, "V D"]:
    """∂L/∂E of a lookup `E[ids]`, given ∂L/∂(E[ids]): each row sums what its ids received.

    Raises:
        ValueError: an id is outside 0..vocab - 1.
    """
    flat = ids.reshape(-1)
    if flat.numel() and not 0 <= int(flat.min()) <= int(flat.max()) < vocab:
        raise ValueError(f"ids must be in 0..{vocab - 1}, got {int(flat.min())}..{int(flat.max())}")
    grad = upstream.new_zeros(vocab, upstream.shape[-1])
    return grad.index_add(0, flat, upstream.reshape(-1, upstream.shape[-1]))


def cooccurrences(
    texts: Sequence[Sequence[int]], vocab: int, window: int = 5
) -> Float[Tensor, "V V"]:
    """How often token c stands at most `window` places before or after token w: entry (w, c).

    Each list of ids is a text of its own: no pair crosses its end. The table is symmetric, dense
    (V² numbers) and in float64, where counts stay exact.

    Raises:
        ValueError: `window` is below 1, or an id is outside the vocabulary.
    """
    if window < 1:
        raise ValueError(f"window must be at least 1, got {window}")
    total = torch.zeros(vocab * vocab, dtype=torch.float64)
    for text in texts:
        ids = torch.as_tensor(text, dtype=torch.long)
        if len(ids) and not 0 <= int(ids.min()) <= int(ids.max()) < vocab:
            raise ValueError(
                f"ids must be in 0..{vocab - 1}, got {int(ids.min())}..{int(ids.max())}"
            )
        for gap in range(1, min(window, len(ids) - 1) + 1):
            pair = ids[:-gap] * vocab + ids[gap:]
            total.index_add_(0, pair, total.new_ones(len(pair)))
    counts = total.view(vocab, vocab)
    return counts + counts.T


def pmi(counts: Float[Tensor, "V C"], power: float = 1.0) -> Float[Tensor, "V C"]:
    """Pointwise mutual information log p(w, c) / (p(w) p(c)), in nats; −∞ where never seen.

    With `power` below 1 the contexts' frequencies are raised to it and normalised again: skip-gram
    draws its negatives so (0.75), and it takes from rare contexts their high scores.

    Raises:
        ValueError: a count is negative, or all are zero.
    """
    if not bool((counts >= 0).all()) or not float(counts.sum()) > 0:
        raise ValueError("counts must be at least 0 and not all 0")
    rows = counts.sum(1, keepdim=True)
    columns = counts.sum(0, keepdim=True) ** power
    columns = columns / columns.sum()
    # A token that never occurs has no information about anything: 0/0 is read as −∞, too.
    return (counts / (rows * columns)).nan_to_num(0.0).log()


def factorise(matrix: Float[Tensor, "V C"], width: int, power: float = 0.5) -> Float[Tensor, "V D"]:
    """Rows U Σ^power of the truncated SVD U Σ Vᵀ: vectors for the matrix's rows.

    Signs are fixed (the largest entry of each column is positive), so that runs agree.

    Raises:
        ValueError: `width` is not in 1..min(V, C), or the matrix is not finite.
    """
    if not 1 <= width <= min(matrix.shape):
        raise ValueError(f"width must be in 1..{min(matrix.shape)}, got {width}")
    if not bool(matrix.isfinite().all()):
        raise ValueError("the matrix must be finite: take the positive part of a PMI first")
    u, s, _ = torch.linalg.svd(matrix, full_matrices=False)
    u = u[:, :width]
    peak = u.gather(0, u.abs().argmax(0, keepdim=True))
    return u * peak.sign() * s[:width] ** power


def skipgram(
    counts: Float[Tensor, "V V"],
    width: int = 64,
    *,
    negatives: int = 5,
    power: float = 0.75,
    steps: int = 2000,
    batch: int = 1024,
    lr: float = 0.02,
    seed: int = 0,
) -> tuple[Float[Tensor, "V D"], Float[Tensor, "V D"]]:
    """Vectors of words and of contexts, by skip-gram with negative sampling.

    A step draws `batch` pairs in proportion to `counts` (the same as walking through the text),
    and for each `negatives` contexts in proportion to frequency ** power. The loss, a pair, is
    −log σ(w · c) − Σ log σ(−w · n). Mikolov et al. (2013). Adam, with a rate that falls to zero.

    Raises:
        ValueError: a size is below 1, or the counts are negative or all zero.
    """
    for name, value in dict(width=width, negatives=negatives, steps=steps, batch=batch).items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    if not bool((counts >= 0).all()) or not float(counts.sum()) > 0:
        raise ValueError("counts must be at least 0 and not all 0")
    V = len(counts)
    chance = torch.Generator().manual_seed(seed)
    place = counts.flatten().nonzero().squeeze(1)
    pairs = Cumulative(counts.flatten()[place])
    noise = Cumulative(counts.sum(0) ** power)
    words = (torch.randn(V, width, generator=chance) * width**-0.5).requires_grad_()
    contexts = torch.zeros(V, width, requires_grad=True)
    adam = torch.optim.Adam([words, contexts], lr=lr)
    for step in range(steps):
        adam.param_groups[0]["lr"] = lr * (1 - step / steps)
        pair = place[pairs.draw(batch, chance)]
        w, c = words[pair // V], contexts[pair % V]  # (B, D)
        n = contexts[noise.draw(batch * negatives, chance).view(batch, negatives)]  # (B, k, D)
        against = (n @ w[:, :, None]).squeeze(-1)  # (B, k)
        loss = -F.logsigmoid((w * c).sum(-1)).mean() - F.logsigmoid(-against).sum(-1).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    return words.detach(), contexts.detach()


class Cumulative:
    """Draws indices in proportion to weights: one search in the running sum for each."""

    def __init__(self, weights: Float[Tensor, " N"]) -> None:
        self.edges = weights.double().cumsum(0)

    def draw(self, n: int, generator: torch.Generator) -> Int[Tensor, " n"]:
        at = torch.rand(n, generator=generator, dtype=torch.float64) * self.edges[-1]
        return torch.searchsorted(self.edges, at, right=True).clamp_max(len(self.edges) - 1)


def cosines(a: Float[Tensor, "N D"], b: Float[Tensor, "M D"]) -> Float[Tensor, "N M"]:
    """Cosine of every row of `a` with every row of `b`; a zero row has cosine 0 with all."""
    return F.normalize(a, dim=-1) @ F.normalize(b, dim=-1).T


def nearest(
    query: Float[Tensor, "N D"],
    vectors: Float[Tensor, "V D"],
    k: int = 5,
    *,
    exclude: Int[Tensor, "N X"] | None = None,
    measure: str = "cosine",
) -> Int[Tensor, "N k"]:
    """The k rows of `vectors` nearest to each query, nearest first.

    `measure` is "cosine", "dot" or "distance" (Euclidean). `exclude` names, a query, rows that
    may not be returned: the query's own, for neighbours; the three given words, for analogies.

    Raises:
        ValueError: an unknown measure, or fewer than k rows are left.
    """
    if measure == "cosine":
        scores = cosines(query, vectors)
    elif measure == "dot":
        scores = query @ vectors.T
    elif measure == "distance":
        scores = -torch.cdist(query, vectors)
    else:
        raise ValueError(f"measure must be 'cosine', 'dot' or 'distance', got {measure!r}")
    left = len(vectors) - (0 if exclude is None else exclude.shape[1])
    if not 1 <= k <= left:
        raise ValueError(f"k must be in 1..{left}, got {k}")
    if exclude is not None:
        scores = scores.scatter(1, exclude, -math.inf)
    return scores.topk(k, dim=1).indices


def analogy(
    vectors: Float[Tensor, "V D"],
    questions: Int[Tensor, "N 3"],
    *,
    exclude_given: bool = True,
) -> Int[Tensor, " N"]:
    """a is to b as c is to …: the row nearest to b − a + c, by cosine, vectors of length 1.

    The usual evaluation leaves out a, b and c from the answers; `exclude_given=False` does not.
    """
    unit = F.normalize(vectors, dim=-1)
    a, b, c = (unit[questions[:, i]] for i in range(3))
    given = questions if exclude_given else None
    return nearest(b - a + c, unit, 1, exclude=given).squeeze(1)


def purity(
    vectors: Float[Tensor, "N D"],
    classes: Int[Tensor, " N"],
    k: int = 3,
    measure: str = "cosine",
) -> Float[Tensor, " N"]:
    """For each vector, the share of its k nearest neighbours that are of its own class."""
    own = torch.arange(len(vectors))[:, None]
    near = nearest(vectors, vectors, k, exclude=own, measure=measure)
    return (classes[near] == classes[:, None]).float().mean(1)


def spread_out(vectors: Float[Tensor, "V D"], directions: int = 0) -> Float[Tensor, "V D"]:
    """Subtract the mean vector, and then the parts along the strongest `directions`.

    "All but the top" of Mu and Viswanath (2018).

    Raises:
        ValueError: `directions` is not in 0..D - 1.
    """
    if not 0 <= directions < vectors.shape[1]:
        raise ValueError(f"directions must be in 0..{vectors.shape[1] - 1}, got {directions}")
    centred = vectors - vectors.mean(0)
    top = torch.linalg.svd(centred, full_matrices=False)[2][:directions]  # (n, D)
    return centred - centred @ top.T @ top
