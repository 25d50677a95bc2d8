"""The dynamic programs of a hidden Markov model, for many sequences at once.

Probabilities are scaled: at every position the forward values are divided by their sum, which is
p(x_t | x_<t), so that nothing underflows and a step is one matrix product. Rabiner (1989), V.A.

Everywhere: `start` (J,), `transition` (J, J), `emission` (J, V), tokens `x` (T, B) padded at the
end, and `live` (T, B), true where a token is no padding.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

__all__ = ["best_path", "best_states", "expected_counts", "forward"]

Start, Transition, Emission = Float[Tensor, " J"], Float[Tensor, "J J"], Float[Tensor, "J V"]
Tokens, Live = Int[Tensor, "T B"], Bool[Tensor, "T B"]
IMPOSSIBLE = "a sequence has probability zero under the present parameters"


def forward(
    start: Start, transition: Transition, emission: Emission, x: Tokens
) -> tuple[Float[Tensor, "T B J"], Float[Tensor, "T B"]]:
    """Filtered states p(s_t | x_≤t) and each token's probability p(x_t | x_<t)."""
    emits_by_token = emission.T.contiguous()  # gathering rows is the fast way round
    alpha = torch.empty(*x.shape, len(start), dtype=start.dtype)
    scale = torch.ones(x.shape, dtype=start.dtype)
    state = start.expand(x.shape[1], -1)
    for t, ids in enumerate(x):
        predicted = state if t == 0 else state @ transition
        joint = predicted * emits_by_token[ids]
        scale[t] = joint.sum(-1)
        # An impossible token tells nothing of the state: pass over it.
        possible = scale[t, :, None] > 0
        state = torch.where(possible, joint / scale[t, :, None], predicted)
        alpha[t] = state
    return alpha, scale


def expected_counts(
    start: Start, transition: Transition, emission: Emission, x: Tokens, live: Live
) -> tuple[float, Float[Tensor, " J"], Float[Tensor, "J J"], Float[Tensor, "V J"]]:
    """Surprise in nats, and the expected counts of starts, moves and emissions.

    Raises:
        ValueError: a sequence that the parameters forbid.
    """
    alpha, scale = forward(start, transition, emission, x)
    scale = torch.where(live, scale, 1.0)
    if not bool((scale > 0).all()):
        raise ValueError(IMPOSSIBLE)
    emits_by_token = emission.T.contiguous()
    moves, emits = torch.zeros_like(transition), torch.zeros_like(emits_by_token)
    beta = torch.ones_like(alpha[0])
    for t in reversed(range(len(x))):
        gamma = alpha[t] * beta * live[t, :, None]
        emits.index_add_(0, x[t], gamma)
        if t == 0:
            break
        to = emits_by_token[x[t]] * beta / scale[t, :, None]
        moves += alpha[t - 1].T @ (to * live[t, :, None])
        # A sequence that ended before t starts its backward pass at its own end.
        beta = torch.where(live[t, :, None], to @ transition.T, 1.0)
    return -float(scale.double().log().sum()), gamma.sum(0), moves * transition, emits


def best_states(
    start: Start, transition: Transition, emission: Emission, x: Tokens, live: Live
) -> Int[Tensor, "T B"]:
    """The state of largest posterior at each position.

    Raises:
        ValueError: a sequence that the parameters forbid.
    """
    alpha, scale = forward(start, transition, emission, x)
    scale = torch.where(live, scale, 1.0)
    if not bool((scale > 0).all()):
        raise ValueError(IMPOSSIBLE)
    beta, best, emits_by_token = torch.ones_like(alpha[0]), torch.empty_like(x), emission.T
    for t in reversed(range(len(x))):
        best[t] = (alpha[t] * beta).argmax(1)
        back = (emits_by_token[x[t]] * beta / scale[t, :, None]) @ transition.T
        beta = torch.where(live[t, :, None], back, 1.0)
    return best


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
