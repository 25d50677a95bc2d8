"""The dynamic programs of a hidden Markov model, for many sequences at once.

Probabilities are scaled: at every position the forward values are divided by their sum, which is
p(x_t | x_<t), so that nothing underflows and a step is one matrix product. Rabiner (1989), V.A.

Everywhere: `start` (J,), `transition` (J, J), `emission` (J, V), tokens `x` (T, B) padded at the
end, and `live` (T, B), true where a token is no padding.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

__all__ = [
    "best_path",
    "best_states",
    "expected_counts",
    "forward",
    "path_of_one",
    "posterior_of_one",
]

Start, Transition, Emission = Float[Tensor, " J"], Float[Tensor, "J J"], Float[Tensor, "J V"]
Tokens, Live = Int[Tensor, "T B"], Bool[Tensor, "T B"]
IMPOSSIBLE = "a sequence has probability zero under the present parameters"


def forward(
    start: Start, transition: Transition, emission: Emission, x: Tokens
) -> tuple[Float[Tensor, "T B J"], Float[Tensor, "T B"]]:
    """Filtered states p(s_t | x_≤t) and each token's probability p(x_t | x_<t)."""
    emitted = emission.T.contiguous()[x]  # (T, B, J): gathering rows is the fast way round
    alpha = torch.empty_like(emitted)
    scale = torch.ones(x.shape, dtype=start.dtype)
    state = start.expand(x.shape[1], -1)
    for t in range(len(x)):
        predicted = state if t == 0 else state @ transition
        joint = predicted * emitted[t]
        scale[t] = joint.sum(-1)
        # An impossible token tells nothing of the state: pass over it.
        possible = scale[t, :, None] > 0
        state = torch.where(possible, joint / scale[t, :, None], predicted)
        alpha[t] = state
    return alpha, scale


def _backward(
    transition: Transition, emission: Emission, x: Tokens, live: Live, scale: Float[Tensor, "T B"]
) -> tuple[Float[Tensor, "T B J"], Float[Tensor, "T B J"]]:
    """beta, scaled so that alpha · beta is the posterior, and what each t passes back to t − 1."""
    scale = torch.where(live, scale, 1.0)
    if not bool((scale > 0).all()):
        raise ValueError(IMPOSSIBLE)
    passed = emission.T.contiguous()[x] * (live / scale)[:, :, None]
    beta = torch.ones_like(passed)
    for t in range(len(x) - 1, 0, -1):
        passed[t] *= beta[t]
        # A sequence that ended before t starts its backward pass at its own end.
        beta[t - 1] = torch.where(live[t, :, None], passed[t] @ transition.T, 1.0)
    return beta, passed


def expected_counts(
    start: Start, transition: Transition, emission: Emission, x: Tokens, live: Live
) -> tuple[float, Float[Tensor, " J"], Float[Tensor, "J J"], Float[Tensor, "V J"]]:
    """Surprise in nats, and the expected counts of starts, moves and emissions.

    Raises:
        ValueError: a sequence that the parameters forbid.
    """
    alpha, scale = forward(start, transition, emission, x)
    beta, passed = _backward(transition, emission, x, live, scale)
    gamma = alpha * beta * live[:, :, None]
    J = len(start)
    moves = alpha[:-1].reshape(-1, J).T @ passed[1:].reshape(-1, J) * transition
    emits = emission.new_zeros(emission.T.shape).index_add_(0, x.flatten(), gamma.reshape(-1, J))
    nats = -float(torch.where(live, scale, 1.0).double().log().sum())
    return nats, gamma[0].sum(0), moves, emits


def best_states(
    start: Start, transition: Transition, emission: Emission, x: Tokens, live: Live
) -> Int[Tensor, "T B"]:
    """The state of largest posterior at each position.

    Raises:
        ValueError: a sequence that the parameters forbid.
    """
    alpha, scale = forward(start, transition, emission, x)
    beta, _ = _backward(transition, emission, x, live, scale)
    return (alpha * beta).argmax(-1)


def best_path(
    start: Start, transition: Transition, emission: Emission, x: Tokens, live: Live
) -> Int[Tensor, "T B"]:
    """The likeliest path of states (Viterbi), in log space.

    Raises:
        ValueError: a sequence that the parameters forbid.
    """
    log_a, log_b = transition.log(), emission.log().T.contiguous()
    best, back, stay = start.log() + log_b[x[0]], [], torch.arange(len(start))
    for t in range(1, len(x)):
        value, origin = (best[:, :, None] + log_a).max(1)  # (B, J)
        best = torch.where(live[t, :, None], value + log_b[x[t]], best)
        back.append(torch.where(live[t, :, None], origin, stay))
    if bool(torch.isinf(best.max(1).values).any()):
        raise ValueError(IMPOSSIBLE)
    path = [best.argmax(1)]
    for origin in reversed(back):
        path.append(origin.gather(1, path[-1][:, None])[:, 0])
    return torch.stack(path[::-1])


# For one long sequence the cost is in starting each step, and numpy starts sooner than torch.


def posterior_of_one(
    start: Float[np.ndarray, " J"],
    transition: Float[np.ndarray, "J J"],
    emitted: Float[np.ndarray, "T J"],
) -> Float[np.ndarray, "T J"]:
    """p(s_t | x) of one sequence; `emitted[t, j]` is the probability of x_t in state j.

    Raises:
        ValueError: a sequence that the parameters forbid.
    """
    alpha, beta, scale = np.empty_like(emitted), np.ones_like(emitted), np.empty(len(emitted))
    predicted = start
    for t, emission in enumerate(emitted):
        joint = predicted * emission
        scale[t] = total = joint.sum()
        if not total > 0:
            raise ValueError(IMPOSSIBLE)
        np.divide(joint, total, out=alpha[t])
        predicted = alpha[t] @ transition
    passed = emitted / scale[:, None].astype(emitted.dtype)
    for t in range(len(emitted) - 1, 0, -1):
        np.dot(transition, passed[t] * beta[t], out=beta[t - 1])
    return alpha * beta


def path_of_one(
    log_start: Float[np.ndarray, " J"],
    log_transition: Float[np.ndarray, "J J"],
    log_emitted: Float[np.ndarray, "T J"],
) -> tuple[list[int], float]:
    """The likeliest path of states of one sequence, and its log-probability with the tokens."""
    into = np.ascontiguousarray(log_transition.T)  # into[j, i]: from i to j
    best, reach = log_emitted.copy(), np.empty_like(into)
    best[0] += log_start
    origin = np.zeros(best.shape, dtype=np.intp)
    rows, flat = np.arange(len(into)) * len(into), reach.reshape(-1)
    for t in range(1, len(best)):
        np.add(into, best[t - 1], out=reach)
        # numpy finds the place of a row's maximum faster than its value.
        origin[t] = at = reach.argmax(1)
        best[t] += flat[rows + at]
    path = [int(best[-1].argmax())]
    for came_from in origin[:0:-1]:
        path.append(int(came_from[path[-1]]))
    return path[::-1], float(best[-1].max())
