"""A hidden Markov model of discrete tokens.

A hidden state s follows a chain and each state emits one token: p(x, s) = π(s₁) b(x₁|s₁)
Π a(sₜ|sₜ₋₁) b(xₜ|sₜ). Summing over the states takes time T·K² and not Kᵀ. Questions about one
sequence are answered in log space, as in the textbook; many are counted in batches of scaled
probabilities, where a step is one matrix product. Rabiner (1989).
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from llmcourse import metrics

__all__ = ["HMM"]

AT_ONCE = 2**24  # forward probabilities held for one batch: 128 MiB in float64


class HMM:
    """`states` hidden states over `vocab` tokens; a random start breaks their symmetry.

    Parameters are the tensors `start` (K,), `transition` (K, K) with rows "from", and
    `emission` (K, V); rows sum to one and may be set. `prior` is the pseudo-count added to every
    expected count when fitting (a Dirichlet prior, zero for maximum likelihood), which keeps an
    unseen token possible. An end is not modelled: give sequences an end token.

    Raises:
        ValueError: a size below one, or a negative prior.
    """

    def __init__(
        self,
        *,
        states: int,
        vocab: int,
        seed: int = 0,
        prior: float = 1e-3,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        for name, value in (("states", states), ("vocab", vocab)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if not prior >= 0:
            raise ValueError(f"prior must be at least 0, got {prior}")
        self.states, self.vocab, self.prior, self.dtype = states, vocab, prior, dtype
        generator = torch.Generator().manual_seed(seed)

        def rows(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator, dtype=dtype).softmax(-1)

        self.start: Float[Tensor, " K"] = rows(states)
        self.transition: Float[Tensor, "K K"] = rows(states, states)
        self.emission: Float[Tensor, "K V"] = rows(states, vocab)

    # ---- one sequence, in log space ----------------------------------------------------------

    def forward(self, ids: Any) -> Float[Tensor, "T K"]:
        """log α: the log-probability of the tokens so far, ending in each state."""
        emit = self._log_emission(ids)  # (T, K)
        log_a = self.transition.log()
        alpha = [self.start.log() + emit[0]]
        for e in emit[1:]:
            # α_t(j) = b_j(x_t) Σ_i α_{t−1}(i) a_ij
            alpha.append(e + (alpha[-1][:, None] + log_a).logsumexp(0))
        return torch.stack(alpha)

    def backward(self, ids: Any) -> Float[Tensor, "T K"]:
        """log β: the log-probability of the tokens still to come, given each state now."""
        emit = self._log_emission(ids)
        log_a = self.transition.log()
        beta = [torch.zeros_like(emit[0])]
        for e in emit.flip(0)[:-1]:
            # β_t(i) = Σ_j a_ij b_j(x_{t+1}) β_{t+1}(j)
            beta.append((log_a + e + beta[-1]).logsumexp(1))
        return torch.stack(beta[::-1])

    def posterior(self, ids: Any) -> Float[Tensor, "T K"]:
        """The probability of each state at each position, given the whole sequence."""
        log = self.forward(ids) + self.backward(ids)
        return (log - log.logsumexp(1, keepdim=True)).exp()

    def viterbi(self, ids: Any) -> tuple[list[int], float]:
        """The single most probable path of states, and log p(tokens, path)."""
        emit = self._log_emission(ids)
        log_a = self.transition.log()
        best, back = self.start.log() + emit[0], []
        for e in emit[1:]:
            value, origin = (best[:, None] + log_a).max(0)
            best, back = e + value, [*back, origin]
        path = [int(best.argmax())]
        for origin in reversed(back):
            path.append(int(origin[path[-1]]))
        return path[::-1], float(best.max())

    def next_probs(self, context: Any = ()) -> Float[np.ndarray, " V"]:
        """The distribution of the token after `context`, read from a sequence's start."""
        state = self.start
        if len(context):
            log = self.forward(context)[-1]
            if torch.isinf(log).all():
                raise ValueError("the context has probability zero: nothing follows from it")
            state = log.softmax(-1) @ self.transition
        return (state @ self.emission).double().numpy()

    def sample(self, length: int, *, generator: torch.Generator) -> tuple[list[int], list[int]]:
        """Tokens drawn from the model, and the states that emitted them."""
        if length < 0:
            raise ValueError(f"length must be at least 0, got {length}")
        ids, path, probs = [], [], self.start
        for _ in range(length):
            path.append(int(torch.multinomial(probs, 1, generator=generator)))
            emitted = torch.multinomial(self.emission[path[-1]], 1, generator=generator)
            ids.append(int(emitted))
            probs = self.transition[path[-1]]
        return ids, path

    # ---- many sequences, scaled --------------------------------------------------------------

    def token_nats(self, data: Any) -> Float[np.ndarray, " N"]:
        """Surprise of every token given those before it, of one sequence or of many joined.

        Infinite for a token of probability zero, which is then passed over.
        """
        sequences = self._sequences(data)
        out = [np.empty(0)] * len(sequences)
        for rows, x, lengths in self._batches(sequences):
            _, scale = self._scaled_forward(x)
            nats = -scale.double().log().numpy()
            for b, i in enumerate(rows):
                out[i] = nats[: lengths[b], b]
        return np.concatenate(out)

    def logprob(self, data: Any) -> float:
        """Log-probability of a sequence (or the sum over many), in nats."""
        return -float(self.token_nats(data).sum())

    def perplexity(self, data: Any) -> float:
        """exp of the mean surprise."""
        nats = self.token_nats(data)
        if not len(nats):
            raise ValueError("nothing to score: the data has no tokens")
        return metrics.perplexity(float(nats.mean()))

    def fit_tagged(self, data: Any, tags: Any) -> "HMM":
        """Count states that are known: maximum likelihood, with `prior` added to each count.

        Raises:
            ValueError: tags out of range or not one a token.
        """
        sequences, known = self._sequences(data), self._sequences(tags, limit=self.states)
        if [len(s) for s in sequences] != [len(t) for t in known]:
            raise ValueError("tags must be one a token: the lengths differ")
        first, moves, emits = self._zeros()
        for x, s in zip(sequences, known, strict=True):
            if len(x):
                ones = torch.ones(len(x), dtype=self.dtype)
                first[s[0]] += 1
                moves.index_put_((s[:-1], s[1:]), ones[1:], accumulate=True)
                emits.index_put_((x, s), ones, accumulate=True)
        self._maximise(first, moves, emits)
        return self

    def fit(self, data: Any, *, iterations: int = 15, steps: int = 1) -> list[float]:
        """Baum-Welch: expectation-maximisation from the present parameters.

        With `steps` 1 each iteration reads all the data, and never lowers its log-probability
        plus the prior's. With more, the data are dealt into so many parts, and parameters change
        after each: stepwise EM (Cappé and Moulines, 2009), faster on large data.

        Returns:
            nats per token before each iteration's changes (with more than one step, as read).

        Raises:
            ValueError: no tokens, or a sequence that the present parameters forbid.
        """
        for name, value in (("iterations", iterations), ("steps", steps)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        sequences = [s for s in self._sequences(data) if len(s)]
        if not sequences:
            raise ValueError("nothing to fit: the data has no tokens")
        steps = min(steps, len(sequences))
        parts = [sequences[i::steps] for i in range(steps)]
        running, history, seen = None, [], 0
        for _ in range(iterations):
            nats = 0.0
            for part in parts:
                lost, *counts = self._expect(part)
                nats, seen = nats + lost, seen + 1
                counts = [c * steps for c in counts]  # as if of all the data
                rate = 1.0 if steps == 1 or running is None else (seen + 1) ** -0.6
                running = counts if running is None else running
                running = [old + rate * (c - old) for old, c in zip(running, counts, strict=True)]
                self._maximise(*running)
            history.append(nats / sum(len(s) for s in sequences))
        return history

    def _expect(self, sequences: list[Tensor]) -> tuple[float, Tensor, Tensor, Tensor]:
        """Surprise in nats, and the expected counts of starts, moves and emissions."""
        first, moves, emits = self._zeros()
        nats = 0.0
        for _, x, lengths in self._batches(sequences):
            alpha, scale = self._scaled_forward(x)  # (T, B, K), (T, B)
            live = torch.arange(len(x))[:, None] < lengths  # (T, B)
            scale = torch.where(live, scale, 1.0)
            if not bool((scale > 0).all()):
                raise ValueError("a sequence has probability zero under the present parameters")
            nats -= float(scale.double().log().sum())
            beta = torch.ones_like(alpha[0])
            emits_by_token = self.emission.T.contiguous()  # gathering rows is the fast way round
            for t in reversed(range(len(x))):
                gamma = alpha[t] * beta * live[t, :, None]
                emits.index_add_(0, x[t], gamma)
                if t == 0:
                    first += gamma.sum(0)
                    break
                to = emits_by_token[x[t]] * beta / scale[t, :, None]
                moves += alpha[t - 1].T @ (to * live[t, :, None])
                # A sequence that ended before t starts its backward pass at its own end.
                beta = torch.where(live[t, :, None], to @ self.transition.T, 1.0)
        return nats, first, moves * self.transition, emits

    def _scaled_forward(
        self, x: Int[Tensor, "T B"]
    ) -> tuple[Float[Tensor, "T B K"], Float[Tensor, "T B"]]:
        """Filtered states p(s_t | x_≤t) and each token's probability p(x_t | x_<t)."""
        emits_by_token = self.emission.T.contiguous()
        alpha = torch.empty(*x.shape, self.states, dtype=self.dtype)
        scale = torch.ones(x.shape, dtype=self.dtype)
        state = self.start.expand(x.shape[1], -1)
        for t, ids in enumerate(x):
            predicted = state if t == 0 else state @ self.transition
            joint = predicted * emits_by_token[ids]
            scale[t] = joint.sum(-1)
            # An impossible token tells nothing of the state: pass over it.
            possible = scale[t, :, None] > 0
            state = torch.where(possible, joint / scale[t, :, None], predicted)
            alpha[t] = state
        return alpha, scale

    def _maximise(self, first: Tensor, moves: Tensor, emits: Tensor) -> None:
        def normalised(counts: Tensor) -> Tensor:
            counts = counts + self.prior
            total = counts.sum(-1, keepdim=True)
            # A state that was never visited is left uniform.
            return torch.where(total > 0, counts / total, 1 / counts.shape[-1])

        self.start, self.transition = normalised(first), normalised(moves)
        self.emission = normalised(emits.T)

    def _zeros(self) -> tuple[Tensor, Tensor, Tensor]:
        K, V = self.states, self.vocab
        return tuple(torch.zeros(*shape, dtype=self.dtype) for shape in ((K,), (K, K), (V, K)))

    def _batches(
        self, sequences: list[Tensor]
    ) -> Iterator[tuple[list[int], Int[Tensor, "T B"], Int[Tensor, " B"]]]:
        """Sequences of like length together, padded: their numbers, tokens (T, B), lengths."""
        lengths = [len(s) for s in sequences]
        order = sorted((i for i, n in enumerate(lengths) if n), key=lambda i: -lengths[i])
        while order:
            size = max(1, min(512, AT_ONCE // (lengths[order[0]] * self.states)))
            rows, order = order[:size], order[size:]
            padded = torch.nn.utils.rnn.pad_sequence([sequences[i] for i in rows])
            yield rows, padded, torch.tensor([lengths[i] for i in rows])

    def _log_emission(self, ids: Any) -> Float[Tensor, "T K"]:
        (x,) = self._sequences(ids)
        if not len(x):
            raise ValueError("need at least one token, got an empty sequence")
        return self.emission.log().T[x]

    def _sequences(self, data: Any, limit: int | None = None) -> list[Tensor]:
        """Ids as a list of tensors: one for a flat sequence, one each for many; all in range."""
        limit = self.vocab if limit is None else limit
        many = len(data) > 0 and np.ndim(data[0]) == 1
        out = []
        for s in data if many else [data]:
            ids = torch.as_tensor(s)
            if ids.ndim != 1 or (len(ids) and ids.dtype.is_floating_point):
                raise TypeError(f"ids must be integers in one or many flat lists, got {ids.dtype}")
            if len(ids) and (int(ids.min()) < 0 or int(ids.max()) >= limit):
                worst = int(ids.min() if ids.min() < 0 else ids.max())
                raise ValueError(f"ids must lie in 0..{limit - 1}, got {worst}")
            out.append(ids.long())
        return out
