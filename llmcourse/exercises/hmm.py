"""Exercises of the chapter `concepts/hmm`."""

import itertools

import numpy as np

from llmcourse.exercises.core import Exercise, Wrong, close, expect

__all__ = ["EXERCISES"]


def _model(J, V, seed):
    """Logarithms of start (J,), transition (J, J) and emission (J, V), none of them saturated."""
    rng = np.random.default_rng(seed)
    rows = (rng.dirichlet(np.ones(J)), rng.dirichlet(np.ones(J), J), rng.dirichlet(np.ones(V), J))
    return tuple(np.log(part) for part in rows)


def _every_path(x, log_pi, log_A, log_B):
    """log p(x, s) of all paths s: what dynamic programs must agree with."""
    out = {}
    for path in itertools.product(range(len(log_pi)), repeat=len(x)):
        moves = sum(log_A[i, j] for i, j in itertools.pairwise(path))
        out[path] = log_pi[path[0]] + moves + sum(log_B[j, w] for j, w in zip(path, x, strict=True))
    return out


def _rows(M):
    return M / M.sum(axis=1, keepdims=True)


# ---- forward ---------------------------------------------------------------------------------


def log_forward_stub(x, log_pi, log_A, log_B):
    raise NotImplementedError


def log_forward(x, log_pi, log_A, log_B):
    log_alpha = np.empty((len(x), len(log_pi)))
    log_alpha[0] = log_pi + log_B[:, x[0]]
    for t in range(1, len(x)):
        terms = log_alpha[t - 1][:, None] + log_A  # (J, J): from i, to j
        log_alpha[t] = log_B[:, x[t]] + np.logaddexp.reduce(terms, axis=0)
    return log_alpha


def _forward(x, log_pi, log_A, log_B, reduce=np.logaddexp.reduce, shift=0, emit_first=True):
    rows = [log_pi + log_B[:, x[0]] * emit_first]
    for t in range(1, len(x)):
        rows.append(log_B[:, x[t - shift]] + reduce(rows[-1][:, None] + log_A, axis=0))
    return np.stack(rows)


def _in_probabilities(x, log_pi, log_A, log_B):
    with np.errstate(divide="ignore"):
        alpha = [np.exp(log_pi + log_B[:, x[0]])]
        for w in x[1:]:
            alpha.append(np.exp(log_B[:, w]) * (alpha[-1] @ np.exp(log_A)))
        return np.log(np.stack(alpha))


def check_log_forward(answer):
    x, model = [1, 3, 0, 2, 2], _model(3, 4, 0)
    log_pi, log_A, log_B = model
    close(
        answer(list(x), *(part.copy() for part in model)),
        log_forward(x, *model),
        f"wrong for the tokens {x}",
        suspects={
            "the first token is missing: alpha_1(j) is pi_j times b_j(x_1)": _forward(
                x, *model, emit_first=False
            ),
            "log A is read the wrong way round: row i is where we come from": _forward(
                x, log_pi, log_A.T, log_B
            ),
            "this keeps only the best predecessor, as Viterbi does; forward adds them all": (
                _forward(x, *model, reduce=np.max)
            ),
            "logarithms were added up where probabilities should be: sum of exponentials, then "
            "the logarithm": _forward(x, *model, reduce=np.sum),
            "the emission is one token late: alpha_t uses x_t": _forward(x, *model, shift=1),
            "these are probabilities; the logarithm is asked for": np.exp(log_forward(x, *model)),
            "only the last row is returned; all T of them are asked for": log_forward(x, *model)[
                -1
            ],
        },
    )
    total = np.logaddexp.reduce(list(_every_path(x, *model).values()))
    close(
        np.logaddexp.reduce(answer(list(x), *model)[-1]),
        total,
        "the last row should sum to the probability of the tokens, over all paths",
    )
    long = np.random.default_rng(1).integers(0, 4, 1500).tolist()
    got = answer(long, *model)
    expect(
        np.isfinite(got).all(),
        "on 1,500 tokens some values are not finite: stay in log space, and add with a shift by "
        "the largest (np.logaddexp)",
    )
    close(got, log_forward(long, *model), "wrong on 1,500 tokens", rtol=1e-9, atol=1e-6)
    for J, V, seed in ((2, 5, 3), (4, 3, 4)):
        x, model = [seed % V, 0, 1, 1], _model(J, V, seed)
        close(answer(x, *model), log_forward(x, *model), f"wrong with {J} states")
    close(answer([2], *model), log_forward([2], *model), "wrong for a single token")


# ---- Viterbi ---------------------------------------------------------------------------------


def viterbi_stub(x, log_pi, log_A, log_B):
    raise NotImplementedError


def viterbi(x, log_pi, log_A, log_B):
    best, back = log_pi + log_B[:, x[0]], []
    for w in x[1:]:
        values = best[:, None] + log_A  # (J, J): from i, to j
        back.append(values.argmax(axis=0))
        best = values.max(axis=0) + log_B[:, w]
    path = [int(best.argmax())]
    for origin in reversed(back):
        path.append(int(origin[path[-1]]))
    return path[::-1], float(best.max())


def _deltas(x, log_pi, log_A, log_B):
    return _forward(x, log_pi, log_A, log_B, reduce=np.max)


def _greedy(x, log_pi, log_A, log_B):
    path = [int((log_pi + log_B[:, x[0]]).argmax())]
    for w in x[1:]:
        path.append(int((log_A[path[-1]] + log_B[:, w]).argmax()))
    return path, float(_every_path(x, log_pi, log_A, log_B)[tuple(path)])


def _no_pointers(x, *model):
    deltas = _deltas(x, *model)
    return deltas.argmax(1).tolist(), float(deltas[-1].max())


def _token_by_token(x, log_pi, log_A, log_B):
    log_beta = [np.zeros(len(log_pi))]
    for w in reversed(x[1:]):
        log_beta.append(np.logaddexp.reduce(log_A + log_B[:, w] + log_beta[-1], axis=1))
    log_alpha = log_forward(x, log_pi, log_A, log_B)
    path = (log_alpha + np.stack(log_beta[::-1])).argmax(1)
    return path.tolist(), float(_deltas(x, log_pi, log_A, log_B)[-1].max())


def check_viterbi(answer):
    # Cases on which greed, no pointers, and the best state of each token all differ.
    for J, seed, x in ((3, 44, [2, 1, 0, 2, 3]), (3, 99, [0, 3, 1, 1, 2])):
        model = _model(J, 4, seed)
        got = answer(list(x), *(part.copy() for part in model))
        expect(
            isinstance(got, tuple | list) and len(got) == 2,
            "return the path and its log-probability",
        )
        path, logp = list(map(int, got[0])), got[1]
        want, highest = viterbi(x, *model)
        log_pi, log_A, log_B = model
        known = {
            "this path is greedy: the best next state at each step can lead into a poor place": (
                _greedy(x, *model)[0]
            ),
            "these are the best end states of each prefix: follow the back-pointers from the end "
            "instead": _no_pointers(x, *model)[0],
            "each state is the likeliest by itself (posterior decoding); the likeliest path "
            "together is asked for": _token_by_token(x, *model)[0],
            "the path is back to front: pointers are followed from the end, so turn it round": want[
                ::-1
            ],
            "log A is read the wrong way round: row i is where we come from": viterbi(
                x, log_pi, log_A.T, log_B
            )[0],
        }
        for diagnosis, wrong in known.items():
            expect(path == want or path != wrong, diagnosis, expected=want, got=path)
        expect(path == want, f"not the best path for {x}", expected=want, got=path)
        total = float(np.logaddexp.reduce(list(_every_path(x, *model).values())))
        close(
            logp,
            highest,
            "the path is right, but not its log-probability",
            suspects={
                "this is the log-probability of the tokens over all paths; that of the best path "
                "alone is asked for": total
            },
        )
    long = np.random.default_rng(2).integers(0, 4, 1500).tolist()
    path, logp = answer(long, *model)
    close(logp, viterbi(long, *model)[1], "wrong on 1,500 tokens: stay in log space")
    expect(list(path) == viterbi(long, *model)[0], "not the best path on 1,500 tokens")
    expect(list(answer([3], *model)[0]) == viterbi([3], *model)[0], "wrong for a single token")


# ---- the M-step ------------------------------------------------------------------------------


def m_step_stub(x, gamma, xi, V):
    raise NotImplementedError


def m_step(x, gamma, xi, V):
    J = gamma.shape[1]
    B = np.zeros((J, V))
    for t, w in enumerate(x):
        B[:, w] += gamma[t]
    A = xi.sum(axis=0)
    return gamma[0], A / A.sum(axis=1, keepdims=True), B / B.sum(axis=1, keepdims=True)


def _posteriors(x, log_pi, log_A, log_B):
    """gamma (T, J) and xi (T − 1, J, J) from all paths, weighted by their probability."""
    paths = _every_path(x, log_pi, log_A, log_B)
    total = np.logaddexp.reduce(list(paths.values()))
    J = len(log_pi)
    gamma, xi = np.zeros((len(x), J)), np.zeros((len(x) - 1, J, J))
    for path, logp in paths.items():
        share = np.exp(logp - total)
        gamma[np.arange(len(x)), path] += share
        xi[np.arange(len(x) - 1), path[:-1], path[1:]] += share
    return gamma, xi


def check_m_step(answer):
    V, x, model = 4, [1, 3, 0, 2, 2, 1], _model(3, 4, 5)
    gamma, xi = _posteriors(x, *model)
    got = answer(list(x), gamma.copy(), xi.copy(), V)
    expect(isinstance(got, tuple | list) and len(got) == 3, "return the three: pi, A and B")
    (pi, A, B), moves = m_step(x, gamma, xi, V), xi.sum(0)
    emits = np.stack([gamma[np.array(x) == w].sum(0) for w in range(V)], axis=1)
    close(
        got[0],
        pi,
        "wrong start probabilities",
        suspects={
            "this is the mean over all positions; a start is the first position alone": gamma.mean(
                0
            ),
        },
    )
    close(
        got[1],
        A,
        "wrong transition probabilities",
        suspects={
            "the rows of A do not sum to one: gamma of the last position is no departure, so sum "
            "gamma over the first T − 1 only": moves / gamma.sum(0)[:, None],
            "xi_t(i, j) goes from i to j; A is transposed": _rows(moves.T),
            "these are expected counts: divide each row by its sum": moves,
            "A is divided by all moves together, which gives p(i, j); each row must sum to "
            "one": moves / moves.sum(),
        },
    )
    close(
        got[2],
        B,
        "wrong emission probabilities",
        suspects={
            "this is p(state | word): for an emission each state's row sums to one": emits
            / emits.sum(0),
            "B is transposed: a row for each state, a column for each word": B.T,
            "each position must add to the column of its own token, and repeated tokens add up; "
            "here only the last of them counts": _last_only(x, gamma, V),
            "these are expected counts: divide each row of B by its sum": emits,
        },
    )
    for J, seed in ((2, 6), (4, 7)):
        x, model = np.random.default_rng(seed).integers(0, 4, 5).tolist(), _model(J, 5, seed)
        gamma, xi = _posteriors(x, *model)
        new = answer(list(x), gamma, xi, 5)
        for part, right in zip(new, m_step(x, gamma, xi, 5), strict=True):
            close(part, right, f"wrong for the tokens {x} with {J} states")


def _last_only(x, gamma, V):
    B = np.zeros((gamma.shape[1], V))
    B[:, x] = gamma.T
    return _rows(B)


def _with(pi=None, A=None, B=None):
    """The M-step with one of its results replaced, as a function of its arguments."""

    def answer(x, gamma, xi, V):
        right = m_step(x, gamma, xi, V)
        return tuple(
            right[i] if part is None else part(x, gamma, xi, V) for i, part in enumerate((pi, A, B))
        )

    return answer


EXERCISES = (
    Exercise(
        id="hmm.log_forward",
        title="Forward, in log space",
        stub=log_forward_stub,
        solution=log_forward,
        check=check_log_forward,
        hints=(
            "One row a token. Each row follows from the one before: add over where we come from, "
            "and multiply by what is emitted. A product becomes a sum of logarithms; a sum "
            "becomes a log-sum-exp.",
            "Row 0 is log_pi + log_B[:, x[0]]. For each later t make the (J, J) table "
            "log_alpha[t−1][i] + log_A[i, j], take log-sum-exp over i, and add log_B[:, x[t]].",
            "`np.logaddexp.reduce(log_alpha[t - 1][:, None] + log_A, axis=0) + log_B[:, x[t]]`.",
        ),
        wrong=(
            Wrong(lambda x, *m: _forward(x, *m, emit_first=False), "first token is missing"),
            Wrong(lambda x, p, a, b: log_forward(x, p, a.T, b), "wrong way round"),
            Wrong(_deltas, "only the best predecessor"),
            Wrong(lambda x, *m: _forward(x, *m, reduce=np.sum), "sum of exponentials"),
            Wrong(_in_probabilities, "not finite"),
            Wrong(lambda x, *m: np.exp(log_forward(x, *m)), "these are probabilities"),
        ),
    ),
    Exercise(
        id="hmm.viterbi",
        title="The best path, by back-pointers",
        stub=viterbi_stub,
        solution=viterbi,
        check=check_viterbi,
        hints=(
            "The same walk as forward with the best in place of the sum; and at each step write "
            "down, for every state, which state before it was best.",
            "best = log_pi + log_B[:, x[0]]. For each later word: values[i, j] = best[i] + "
            "log_A[i, j]; keep argmax over i as that step's pointers; best = max over i + "
            "log_B[:, word]. Start from the best last state and follow the pointers backwards.",
            "`back.append(values.argmax(axis=0))` in the loop; then `path = [int(best.argmax())]`, "
            "`for origin in reversed(back): path.append(int(origin[path[-1]]))`, and "
            "`return path[::-1], float(best.max())`.",
        ),
        wrong=(
            Wrong(_greedy, "is greedy"),
            Wrong(_no_pointers, "follow the back-pointers"),
            Wrong(_token_by_token, "posterior decoding"),
            Wrong(lambda x, *m: (viterbi(x, *m)[0][::-1], viterbi(x, *m)[1]), "back to front"),
            Wrong(lambda x, p, a, b: viterbi(x, p, a.T, b), "wrong way round"),
            Wrong(
                lambda x, *m: (
                    viterbi(x, *m)[0],
                    float(np.logaddexp.reduce(log_forward(x, *m)[-1])),
                ),
                "over all paths",
            ),
        ),
    ),
    Exercise(
        id="hmm.m_step",
        title="One M-step of Baum–Welch",
        stub=m_step_stub,
        solution=m_step,
        check=check_m_step,
        hints=(
            "It is counting again, with fractions: gamma[t, j] says how much of token t belongs "
            "to state j, xi[t, i, j] how much of a move from i to j was made after t.",
            "pi is gamma[0]. Sum xi over t and divide each row by its sum for A. For B add "
            "gamma[t] to column x[t], for every t, and divide each row by its sum.",
            "`A = xi.sum(axis=0)`, `for t, w in enumerate(x): B[:, w] += gamma[t]`, and both "
            "divided by `.sum(axis=1, keepdims=True)`.",
        ),
        wrong=(
            Wrong(_with(pi=lambda x, gamma, xi, V: gamma.mean(0)), "first position alone"),
            Wrong(
                _with(A=lambda x, gamma, xi, V: xi.sum(0) / gamma.sum(0)[:, None]), "no departure"
            ),
            Wrong(_with(A=lambda x, g, xi, V: _rows(xi.sum(0).T)), "A is transposed"),
            Wrong(_with(A=lambda x, g, xi, V: xi.sum(0)), "divide each row by its sum"),
            Wrong(_with(B=lambda x, g, xi, V: _last_only(x, g, V)), "only the last"),
            Wrong(_with(B=lambda x, g, xi, V: m_step(x, g, xi, V)[2].T), "B is transposed"),
        ),
        equivalent_mutants={
            "B[:, w] += gamma[t] → B[:, w] -= gamma[t]": "each row is divided by its sum: −/− is +",
        },
    ),
)
