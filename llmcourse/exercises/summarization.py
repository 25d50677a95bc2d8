"""Exercises of the chapter `applications/summarization`."""

import numpy as np

from llmcourse.exercises.core import Exercise, Wrong, close, expect

# The walk on sentences.


def rank_stub(weights, damping):
    raise NotImplementedError


def rank(weights, damping):
    n = len(weights)
    out = weights.sum(axis=1, keepdims=True)
    step = np.where(out > 0, weights / np.maximum(out, 1e-300), 1 / n)
    shares = np.full(n, 1 / n)
    for _ in range(200):
        shares = (1 - damping) / n + damping * shares @ step
    return shares


def check_rank(answer):
    chance = np.random.default_rng(0)
    for n, damping in ((4, 0.85), (6, 0.6)):
        weights = chance.uniform(0.1, 2.0, size=(n, n))
        np.fill_diagonal(weights, 0.0)
        out = weights.sum(axis=1, keepdims=True)
        into = weights / weights.sum(axis=0, keepdims=True)

        def walk(step, damping, n=n):
            shares = np.full(n, 1 / n)
            for _ in range(400):
                shares = (1 - damping) / n + damping * shares @ step
            return shares

        close(
            np.asarray(answer(weights.copy(), damping)),
            walk(weights / out, damping),
            "the shares that one more step of the walk leaves as they are",
            atol=1e-8,
            rtol=1e-6,
            suspects={
                "each row of the steps must sum to 1: divide by the sum of what leads out": walk(
                    into, damping
                ),
                "with probability 1 − damping the walker jumps anywhere": walk(weights / out, 1.0),
                "this is one step only: go on until nothing changes": (
                    (1 - damping) / n + damping * np.full(n, 1 / n) @ (weights / out)
                ),
                "the walker follows the links with probability damping, not 1 − damping": walk(
                    weights / out, 1 - damping
                ),
            },
        )
    alone = np.array([[0.0, 2.0, 0.0], [2.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    got = np.asarray(answer(alone.copy(), 0.85))
    expect(
        np.all(np.isfinite(got)) and abs(got.sum() - 1) < 1e-6,
        "a sentence that is like no other leads nowhere: from there the walker goes to any one, "
        "and the shares still sum to 1",
        got=got,
    )
    close(got, rank(alone, 0.85), "from a dead end to any one alike", atol=1e-8, rtol=1e-6)


def _columns(weights, damping):
    n = len(weights)
    into = weights.sum(axis=0, keepdims=True)
    step = np.where(into > 0, weights / np.maximum(into, 1e-300), 1 / n)
    shares = np.full(n, 1 / n)
    for _ in range(200):
        shares = (1 - damping) / n + damping * shares @ step
    return shares


def _no_jump(weights, damping):
    return rank(weights, 1.0)


def _one_step(weights, damping):
    n = len(weights)
    step = weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-300)
    return (1 - damping) / n + damping * np.full(n, 1 / n) @ step


def _leaks(weights, damping):
    n = len(weights)
    step = weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-300)
    shares = np.full(n, 1 / n)
    for _ in range(200):
        shares = (1 - damping) / n + damping * shares @ step
    return shares


# ROUGE-L.


def rouge_l_stub(candidate, reference):
    raise NotImplementedError


def rouge_l(candidate, reference):
    longest = [[0] * (len(reference) + 1) for _ in range(len(candidate) + 1)]
    for i, a in enumerate(candidate, start=1):
        for j, b in enumerate(reference, start=1):
            if a == b:
                longest[i][j] = longest[i - 1][j - 1] + 1
            else:
                longest[i][j] = max(longest[i - 1][j], longest[i][j - 1])
    common = longest[len(candidate)][len(reference)]
    if common == 0:
        return 0.0
    precision, recall = common / len(candidate), common / len(reference)
    return 2 * precision * recall / (precision + recall)


def _common(candidate, reference):
    """The longest common subsequence's length, from the reference."""
    f = rouge_l(candidate, reference)
    return round(f * (len(candidate) + len(reference)) / 2)


def _run(candidate, reference):
    best = 0
    for i in range(len(candidate)):
        for j in range(len(reference)):
            k = 0
            while i + k < len(candidate) and j + k < len(reference):
                if candidate[i + k] != reference[j + k]:
                    break
                k += 1
            best = max(best, k)
    return best


def _contiguous(candidate, reference):
    return 2 * _run(candidate, reference) / (len(candidate) + len(reference))


def _bag(candidate, reference):
    shared = sum(min(candidate.count(w), reference.count(w)) for w in set(candidate))
    return 2 * shared / (len(candidate) + len(reference))


def _recall(candidate, reference):
    return _common(candidate, reference) / len(reference)


def _precision(candidate, reference):
    return _common(candidate, reference) / len(candidate)


_CASES = (
    ("nina lost the cup and got it back", "nina lost the cup for good"),
    ("boris beat ida in a race for the ring", "ida beat boris in a race for the ring"),
    ("a b c d a", "a c x d e a"),
    ("the cup", "the old cup is the best cup"),
    ("a a a", "a b"),
)


def check_rouge_l(answer):
    for candidate, reference in ((a.split(), b.split()) for a, b in _CASES):
        close(
            float(answer(list(candidate), list(reference))),
            rouge_l(candidate, reference),
            "the longest common subsequence over each length, and the harmonic mean of both",
            suspects={
                "a subsequence may have gaps: this is the longest common run": _contiguous(
                    candidate, reference
                ),
                "the order counts: this is the overlap of two bags, ROUGE-1": _bag(
                    candidate, reference
                ),
                "this is recall alone": _recall(candidate, reference),
                "this is precision alone": _precision(candidate, reference),
                "the mean of the two is the harmonic one": (
                    (_recall(candidate, reference) + _precision(candidate, reference)) / 2
                ),
            },
        )
    for pair in ((["a"], ["b"]), ([], ["b"])):
        close(float(answer(*pair)), 0.0, "nothing in common, or nothing at all, scores 0")


# False claims.


def false_claims_stub(facts, claims):
    raise NotImplementedError


def false_claims(facts, claims):
    return sorted(key for key, value in claims.items() if facts.get(key) != value)


def check_false_claims(answer):
    facts = {"plot": "race", "A": "Nina", "B": "Boris", "O": "ring", "outcome": "good"}

    def case(claims, message):
        got = answer(dict(facts), dict(claims))
        want = false_claims(facts, claims)
        expect(isinstance(got, list), "return a list of names", got=got)
        expect(got == want, message, expected=want, got=got)

    swapped = {"outcome": "bad", "O": "cup", "A": "Ida"}
    case(facts, "a summary that says what is true has no false claim")
    case(facts | {"outcome": "bad"}, "a claim is false where the facts say something else")
    case({"A": "Nina", "O": "ring"}, "what a summary leaves out is no false claim")
    case({"A": "Nina", "W": "rainy"}, "a claim that no fact supports is false, too")
    case({"A": "Boris", "B": "Nina"}, "names are compared by their part: who did it to whom counts")
    got, wrong = answer(dict(facts), dict(swapped)), ["A", "O", "outcome"]
    expect(got == wrong, "sort the names of the false claims", expected=wrong, got=got)


def _left_out(facts, claims):
    return sorted(key for key, value in facts.items() if claims.get(key) != value)


def _unsupported(facts, claims):
    return sorted(key for key, value in claims.items() if facts.get(key, value) != value)


def _somewhere(facts, claims):
    return sorted(key for key, value in claims.items() if value not in facts.values())


def _unsorted(facts, claims):
    return [key for key, value in claims.items() if facts.get(key) != value]


EXERCISES = (
    Exercise(
        id="summarization.rank",
        title="The walk on sentences",
        stub=rank_stub,
        solution=rank,
        check=check_rank,
        hints=(
            "A walker stands on one sentence and goes to another in proportion to the weights. "
            "Where is he after many steps?",
            "Divide each row by its sum (a row of zeros becomes 1/n). Begin with 1/n everywhere "
            "and repeat: (1 − damping)/n + damping · (shares times steps).",
            "`shares = (1 - damping) / n + damping * shares @ step`, two hundred times.",
        ),
        wrong=(
            Wrong(_columns, "leads out"),
            Wrong(_no_jump, "jumps anywhere"),
            Wrong(_one_step, "one step only"),
            Wrong(_leaks, "leads nowhere"),
        ),
        equivalent_mutants={
            f"shares = np.full(n, 1 / n) → shares = np.full(n, {start})": "any start will do"
            for start in ("1 * n", "2 / n", "0 / n")
        }
        | {
            f"for _ in range(200): → for _ in range({n}):": "the walk has settled long before"
            for n in (199, 201)
        }
        | {
            "step = np.where(out > 0, weights / np.maximum(out, 1e-300), 1 / n) → step = np.where("
            "out > 0, weights / np.maximum(out, 2e-300), 1 / n)": "it guards a division by zero, "
            "whose result is not used"
        },
    ),
    Exercise(
        id="summarization.rouge_l",
        title="ROUGE-L",
        stub=rouge_l_stub,
        solution=rouge_l,
        check=check_rouge_l,
        hints=(
            "Find the longest row of words that both texts have in this order, gaps allowed.",
            "A table: where the last words are equal, one more than without both; else the larger "
            "of leaving out one or the other. Then precision and recall, and 2PR/(P + R).",
            "`longest[i][j] = longest[i-1][j-1] + 1 if a == b else max(longest[i-1][j], "
            "longest[i][j-1])`",
        ),
        wrong=(
            Wrong(lambda candidate, reference: _contiguous(candidate, reference), "common run"),
            Wrong(lambda candidate, reference: _bag(candidate, reference), "ROUGE-1"),
            Wrong(lambda candidate, reference: _recall(candidate, reference), "recall alone"),
            Wrong(lambda candidate, reference: _precision(candidate, reference), "precision alone"),
        ),
        equivalent_mutants={
            "longest = [[0] * (len(reference) + 1) for _ in range(len(candidate) + 1)] → longest = "
            f"[[0] * (len(reference) + {a}) for _ in range(len(candidate) + {b})]": "one column or "
            "row of the table more is never read"
            for a, b in ((2, 1), (1, 2))
        },
    ),
    Exercise(
        id="summarization.false_claims",
        title="False claims",
        stub=false_claims_stub,
        solution=false_claims,
        check=check_false_claims,
        hints=(
            "Faithful means: nothing is said that is not so. It does not mean that all is said.",
            "Go through the claims. One is false where the facts have another value, or none.",
            "`facts.get(key) != value` for each of `claims.items()`, and sort the keys.",
        ),
        wrong=(
            Wrong(_left_out, "leaves out"),
            Wrong(_unsupported, "no fact supports"),
            Wrong(_somewhere, "who did it to whom"),
            Wrong(_unsorted, "sort"),
        ),
    ),
)
