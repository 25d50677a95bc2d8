"""Exercises of the chapter `applications/qa`."""

import torch
import torch.nn.functional as F

from llmcourse.exercises.core import Exercise, Wrong, close, expect, raises

# BM25 from a table of counts.


def bm25_stub(counts, query, k1, b):
    raise NotImplementedError


def bm25(counts, query, k1, b):
    size = len(counts)
    holds = (counts > 0).sum(dim=0)
    idf = torch.log(1 + (size - holds + 0.5) / (holds + 0.5))
    lengths = counts.sum(dim=1, keepdim=True)
    damp = k1 * (1 - b + b * lengths / lengths.mean())
    gain = idf * counts / (counts + damp)
    return gain[:, query].sum(dim=1)


def _score(counts, query, k1, b, *, plus=1.0, idf=True, by_length=True, frequency=False, sums=True):
    """BM25 with one of its parts changed, for the suspects."""
    size = len(counts)
    holds = counts.sum(dim=0) if frequency else (counts > 0).sum(dim=0)
    weight = torch.log(plus + (size - holds + 0.5) / (holds + 0.5))
    lengths = counts.sum(dim=1, keepdim=True)
    damp = k1 * (1 - b + b * lengths / lengths.mean()) if by_length else k1
    gain = (weight if idf else 1.0) * counts / (counts + damp)
    return gain[:, query].sum(dim=1) if sums else gain[:, sorted(set(query))].sum(dim=1)


_COUNTS = torch.tensor(
    [[2, 0, 1, 0, 3], [0, 1, 1, 0, 0], [1, 0, 1, 4, 0], [0, 3, 1, 0, 7], [0, 0, 0, 1, 1]],
    dtype=torch.float64,
)


def check_bm25(answer):
    for query, k1, b in (([0, 2], 1.2, 0.75), ([4, 1, 3], 1.5, 0.4), ([3, 3, 0], 0.9, 1.0)):
        given = (query, k1, b)
        close(
            answer(_COUNTS.clone(), list(query), k1, b),
            bm25(_COUNTS, *given),
            "for each document Σ over the query's words of idf · f / (f + k1 (1 − b + b l / mean))",
            suspects={
                "the idf is missing: a rare word must count more": _score(
                    _COUNTS, *given, idf=False
                ),
                "the 1 + inside the logarithm is missing: a word in most documents must not take "
                "away": _score(_COUNTS, *given, plus=0.0),
                "the length is not used: b and l / mean belong to the damping": _score(
                    _COUNTS, *given, by_length=False
                ),
                "n is the number of documents that hold the word, not how often it occurs": _score(
                    _COUNTS, *given, frequency=True
                ),
                "a word that stands twice in the query counts twice": _score(
                    _COUNTS, *given, sums=False
                ),
                "l / mean is upside down": _upside_down(_COUNTS, *given),
            },
        )


def _no_idf(counts, query, k1, b):
    return _score(counts, query, k1, b, idf=False)


def _negative_idf(counts, query, k1, b):
    return _score(counts, query, k1, b, plus=0.0)


def _no_length(counts, query, k1, b):
    return _score(counts, query, k1, b, by_length=False)


def _collection_frequency(counts, query, k1, b):
    return _score(counts, query, k1, b, frequency=True)


def _upside_down(counts, query, k1, b):
    size = len(counts)
    holds = (counts > 0).sum(dim=0)
    idf = torch.log(1 + (size - holds + 0.5) / (holds + 0.5))
    lengths = counts.sum(dim=1, keepdim=True)
    gain = idf * counts / (counts + k1 * (1 - b + b * lengths.mean() / lengths))
    return gain[:, query].sum(dim=1)


# The contrastive loss.


def info_nce_stub(queries, documents, temperature):
    raise NotImplementedError


def info_nce(queries, documents, temperature):
    queries = F.normalize(queries, dim=1)
    documents = F.normalize(documents, dim=1)
    logits = queries @ documents.T / temperature
    return F.cross_entropy(logits, torch.arange(len(logits)))


def check_info_nce(answer):
    generator = torch.Generator().manual_seed(0)
    for temperature in (0.1, 0.5):
        q, d = torch.randn(2, 5, 4, generator=generator, dtype=torch.float64)
        unit_q, unit_d = F.normalize(q, dim=-1), F.normalize(d, dim=-1)
        logits = unit_q @ unit_d.T / temperature
        own = torch.arange(5)
        close(
            answer(q.clone(), d.clone(), temperature),
            F.cross_entropy(logits, own),
            "the mean over queries of −log softmax of the own document's cosine over temperature",
            suspects={
                "vectors must have length 1 first: then a dot product is a cosine": (
                    F.cross_entropy(q @ d.T / temperature, own)
                ),
                "divide by the temperature": F.cross_entropy(logits * temperature**2, own),
                "the temperature is missing": F.cross_entropy(logits * temperature, own),
                "this asks which query belongs to a document: the softmax runs over documents": (
                    F.cross_entropy(logits.T, own)
                ),
                "the other documents are missing: this is only the own cosine": (
                    -logits.diagonal().mean()
                ),
                "the mean over queries, not their sum": F.cross_entropy(
                    logits, own, reduction="sum"
                ),
            },
        )


def _not_normalised(queries, documents, temperature):
    logits = queries @ documents.T / temperature
    return F.cross_entropy(logits, torch.arange(len(logits)))


def _transposed(queries, documents, temperature):
    return info_nce(documents, queries, temperature)


def _only_own(queries, documents, temperature):
    cosine = F.cosine_similarity(queries, documents, dim=-1)
    return -(cosine / temperature).mean()


def _no_temperature(queries, documents, temperature):
    return info_nce(queries, documents, 1.0)


# Windows over sentences.


def windows_stub(n, size, overlap):
    raise NotImplementedError


def windows(n, size, overlap):
    if not 0 <= overlap < size:
        raise ValueError(f"overlap must lie in 0..{size - 1}, got {overlap}")
    spans = []
    start = 0
    while start < n:
        end = min(start + size, n)
        spans.append((start, end))
        if end == n:
            break
        start += size - overlap
    return spans


def check_windows(answer):
    def case(n, size, overlap):
        want = windows(n, size, overlap)
        got = answer(n, size, overlap)
        expect(
            isinstance(got, list) and all(isinstance(s, tuple) and len(s) == 2 for s in got),
            "return a list of pairs (start, end)",
            got=got,
        )
        covered = {i for start, end in got for i in range(start, end)}
        expect(
            covered >= set(range(n)),
            "every sentence must be in a window: the last one may be shorter",
            expected=want,
            got=got,
        )
        expect(
            all(end <= n for _, end in got),
            "a window must not reach past the last sentence",
            expected=want,
            got=got,
        )
        inside = [
            s for s in got for t in got if s is not t and t[0] <= s[0] and s[1] <= t[1] and s != t
        ]
        expect(
            not inside,
            "a window lies wholly inside another: stop once one has reached the end",
            expected=want,
            got=got,
        )
        starts = [start for start, _ in got]
        expect(
            starts == [start for start, _ in want],
            "each window begins size − overlap after the one before",
            expected=want,
            got=got,
        )
        expect(got == want, "a window holds size sentences", expected=want, got=got)

    for n, size, overlap in ((5, 2, 0), (6, 3, 1), (7, 3, 1), (9, 4, 2), (2, 3, 1), (4, 2, 1)):
        case(n, size, overlap)
    expect(answer(0, 3, 1) == [], "no sentences, no windows", got=answer(0, 3, 1))
    raises(ValueError, lambda: answer(5, 2, 2), "an overlap of the whole size never moves on")
    raises(ValueError, lambda: answer(5, 2, -1), "a negative overlap leaves sentences out")


def _drops_the_last(n, size, overlap):
    if not 0 <= overlap < size:
        raise ValueError("overlap")
    return [(i, i + size) for i in range(0, n - size + 1, size - overlap)]


def _past_the_end(n, size, overlap):
    if not 0 <= overlap < size:
        raise ValueError("overlap")
    return [(start, start + size) for start, _ in windows(n, size, overlap)]


def _nested(n, size, overlap):
    if not 0 <= overlap < size:
        raise ValueError("overlap")
    return [(i, min(i + size, n)) for i in range(0, n, size - overlap)]


def _unchecked(n, size, overlap):
    step = max(1, size - overlap)
    return windows(n, size, size - step)


# Three rates.


def rates_stub(replies, wanted, unknown):
    raise NotImplementedError


def rates(replies, wanted, unknown):
    pairs = [(replies[i], wanted[i]) for i in range(len(wanted))]
    says = [reply == want for reply, want in pairs if want != unknown]
    silent = [reply == unknown for reply, want in pairs if want == unknown]
    claims = [reply != want for reply, want in pairs if reply != unknown]
    share = lambda values: sum(values) / len(values) if values else 0.0  # noqa: E731
    return share(says), share(silent), share(claims)


def check_rates(answer):
    u = "?"
    cases = (
        (["a", u, "x", u, "b", u], ["a", "c", "b", u, u, u]),
        (["a", "b", "c", "d"], ["a", "x", u, "d"]),
        ([u, u, u], ["a", "b", u]),
        ([u, "a", "b", u, "c"], ["a", "a", "b", "z", "y"]),
    )
    for replies, wanted in cases:
        want = rates(replies, wanted, u)
        got = answer(list(replies), list(wanted), u)
        expect(
            isinstance(got, tuple | list) and len(got) == 3,
            "return three shares: right, abstained, made up",
            got=got,
        )
        n = len(replies)
        suspects = (
            (0, sum(r == w for r, w in zip(replies, wanted, strict=True)) / n,
             "the first is over answerable questions alone: an abstention is no answer"),
            (1, sum(r == u for r in replies) / n,
             "the second is over unanswerable questions alone"),
            (2, sum(r not in (w, u) for r, w in zip(replies, wanted, strict=True)) / n,
             "the third is over the replies that claim something: silence must not hide lies"),
        )  # fmt: skip
        names = ("right, of the answerable", "abstained, of the unanswerable",
                 "wrong, of the replies that claim something")  # fmt: skip
        for place, value, diagnosis in suspects:
            if abs(got[place] - want[place]) > 1e-9 and abs(got[place] - value) < 1e-9:
                expect(False, diagnosis, expected=want, got=got)
        for place, name in enumerate(names):
            expect(
                abs(got[place] - want[place]) < 1e-9,
                f"the share {name}; 0 where there are none",
                expected=want,
                got=got,
            )


def _overall(replies, wanted, unknown):
    right = sum(r == w for r, w in zip(replies, wanted, strict=True)) / len(replies)
    return right, *rates(replies, wanted, unknown)[1:]


def _diluted(replies, wanted, unknown):
    wrong = sum(r not in (w, unknown) for r, w in zip(replies, wanted, strict=True))
    return *rates(replies, wanted, unknown)[:2], wrong / len(replies)


def _silence_of_all(replies, wanted, unknown):
    first, _, last = rates(replies, wanted, unknown)
    return first, sum(r == unknown for r in replies) / len(replies), last


EXERCISES = (
    Exercise(
        id="qa.bm25",
        title="BM25",
        stub=bm25_stub,
        solution=bm25,
        check=check_bm25,
        hints=(
            "Three parts: how rare a word is, how often the document holds it, and how long the "
            "document is beside the others.",
            "n counts the documents that hold a word. Its idf is log(1 + (N − n + ½) / (n + ½)); "
            "a count f gives f / (f + damp), with damp from the document's length.",
            "`damp = k1 * (1 - b + b * lengths / lengths.mean())` as a column; then "
            "`gain[:, query].sum(dim=1)`, which takes a repeated word twice.",
        ),
        wrong=(
            Wrong(_no_idf, "idf is missing"),
            Wrong(_negative_idf, "1 + inside"),
            Wrong(_no_length, "length is not used"),
            Wrong(_collection_frequency, "number of documents"),
            Wrong(_upside_down, "upside down"),
        ),
    ),
    Exercise(
        id="qa.info_nce",
        title="The contrastive loss",
        stub=info_nce_stub,
        solution=info_nce,
        check=check_info_nce,
        hints=(
            "It is a classification: which of the batch's documents belongs to this query?",
            "Cosines of all queries with all documents, over the temperature, are the logits. "
            "Query i has class i.",
            "`F.normalize` both, `logits = q @ d.T / temperature`, then `F.cross_entropy` with "
            "`torch.arange(B)`.",
        ),
        wrong=(
            Wrong(_not_normalised, "length 1"),
            Wrong(_transposed, "which query belongs"),
            Wrong(_only_own, "other documents are missing"),
            Wrong(_no_temperature, "temperature is missing"),
        ),
    ),
    Exercise(
        id="qa.windows",
        title="Overlapping chunks",
        stub=windows_stub,
        solution=windows,
        check=check_windows,
        hints=(
            "Walk through the sentences; how far is it from one window's start to the next?",
            "The step is size − overlap. Cut the last window at n, and stop when one reaches n.",
            "`end = min(start + size, n)`; append; `if end == n: break`; "
            "`start += size - overlap`. Check the overlap first.",
        ),
        wrong=(
            Wrong(_drops_the_last, "every sentence"),
            Wrong(_past_the_end, "past the last"),
            Wrong(_nested, "inside another"),
            Wrong(_unchecked, "never moves on"),
        ),
    ),
    Exercise(
        id="qa.rates",
        title="Right, silent, made up",
        stub=rates_stub,
        solution=rates,
        check=check_rates,
        hints=(
            "Three shares with three different denominators.",
            "Right: of questions that have an answer. Abstained: of those that have none. Made "
            "up: of the replies that claim something, the wrong ones.",
            "`claims = [reply != want for ... if reply != unknown]`, and its mean, or 0 where "
            "the list is empty.",
        ),
        wrong=(
            Wrong(_overall, "answerable questions alone"),
            Wrong(_silence_of_all, "unanswerable questions alone"),
            Wrong(_diluted, "silence must not hide"),
        ),
    ),
)
