"""A hidden Markov model of discrete tokens.

A hidden state s follows a chain and each state emits one token: p(x, s) = π(s₁) b(x₁|s₁)
Π a(sₜ|sₜ₋₁) b(xₜ|sₜ). Summing over the states takes time T·J² and not Jᵀ. Questions about one
sequence are answered here in log space, as in the textbook; many are counted in batches by
`trellis`. Rabiner (1989).
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from llmcourse import metrics, ragged, trellis

__all__ = ["HMM"]

AT_ONCE = 2**24  # forward probabilities held for one batch: 128 MiB in float64


class HMM:
    """`states` hidden states over `vocab` tokens; a random start breaks their symmetry.

    Parameters are the tensors `start` (J,), `transition` (J, J) with rows "from", and
    `emission` (J, V). They may be set: rows must be probabilities that sum to one. `prior` is the
    pseudo-count added to every expected count when fitting (a Dirichlet prior, zero for maximum
    likelihood), which keeps an unseen token possible. An end is not modelled: give sequences an
    end token.

    Raises:
        ValueError: a size below one, a negative prior, or parameters that are no probabilities.
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

        self.start: Float[Tensor, " J"] = rows(states)
        self.transition: Float[Tensor, "J J"] = rows(states, states)
        self.emission: Float[Tensor, "J V"] = rows(states, vocab)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("start", "transition", "emission"):
            value = self._probabilities(name, value)
        super().__setattr__(name, value)

    def _probabilities(self, name: str, value: Any) -> Tensor:
        value = torch.as_tensor(value, dtype=self.dtype)
        J, V = self.states, self.vocab
        shape = {"start": (J,), "transition": (J, J), "emission": (J, V)}[name]
        if value.shape != shape:
            raise ValueError(f"{name} must have shape {shape}, got {tuple(value.shape)}")
        if not bool((value >= 0).all()):  # NaN is refused here too
            raise ValueError(f"{name} must hold probabilities, got {float(value.min())}")
        off = (value.sum(-1) - 1).abs()
        if float(off.max()) > 1e-3:
            row = f" {int(off.argmax())}" if value.ndim == 2 else ""
            total = float(value.sum(-1).flatten()[int(off.argmax())])
            raise ValueError(f"each row of {name} must sum to 1, row{row} sums to {total:g}")
        return value

    # ---- one sequence, in log space ----------------------------------------------------------

    def forward(self, ids: Any) -> Float[Tensor, "T J"]:
        """log α: the log-probability of the tokens so far, ending in each state."""
        emit = self._log_emission(ids)  # (T, J)
        log_a = self.transition.log()
        alpha = [self.start.log() + emit[0]]
        for e in emit[1:]:
            # α_t(j) = b_j(x_t) Σ_i α_{t−1}(i) a_ij
            alpha.append(e + (alpha[-1][:, None] + log_a).logsumexp(0))
        return torch.stack(alpha)

    def backward(self, ids: Any) -> Float[Tensor, "T J"]:
        """log β: the log-probability of the tokens still to come, given each state now."""
        emit = self._log_emission(ids)
        log_a = self.transition.log()
        beta = [torch.zeros_like(emit[0])]
        for e in emit.flip(0)[:-1]:
            # β_t(i) = Σ_j a_ij b_j(x_{t+1}) β_{t+1}(j)
            beta.append((log_a + e + beta[-1]).logsumexp(1))
        return torch.stack(beta[::-1])

    def posterior(self, ids: Any) -> Float[Tensor, "T J"]:
        """The probability of each state at each position, given the whole sequence."""
        emitted = self._log_emission(ids).exp()
        gamma = trellis.posterior_of_one(
            self.start.numpy(), self.transition.numpy(), emitted.numpy()
        )
        return torch.from_numpy(gamma)

    def viterbi(self, ids: Any) -> tuple[list[int], float]:
        """The single most probable path of states, and log p(tokens, path)."""
        log_emitted = self._log_emission(ids)
        return trellis.path_of_one(
            self.start.log().numpy(), self.transition.log().numpy(), log_emitted.numpy()
        )

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
        for rows, x, lengths, _ in self._batches(sequences):
            _, scale = trellis.forward(*self._parameters, x)
            nats = -scale.double().log().numpy()
            for b, i in enumerate(rows):
                out[i] = nats[: lengths[b], b]
        return np.concatenate(out)

    def decode(self, data: Any, *, by: str = "path") -> list[Int[np.ndarray, " T"]]:
        """A state for each token of each sequence: what `viterbi` gives, or `posterior`'s largest.

        By "path" the states are the likeliest together, by "token" each is the likeliest by
        itself, and fewest are expected to be wrong.

        Raises:
            ValueError: `by` is neither, or a sequence has probability zero.
        """
        if by not in ("path", "token"):
            raise ValueError(f"by must be 'path' or 'token', got {by!r}")
        sequences = self._sequences(data)
        out = [np.empty(0, dtype=np.int64)] * len(sequences)
        best = trellis.best_path if by == "path" else trellis.best_states
        for rows, x, lengths, live in self._batches(sequences):
            states = best(*self._parameters, x, live)
            for b, i in enumerate(rows):
                out[i] = states[: lengths[b], b].numpy()
        return out

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
        nats, (first, moves, emits) = 0.0, self._zeros()
        for _, x, _, live in self._batches(sequences):
            lost, *counts = trellis.expected_counts(*self._parameters, x, live)
            nats += lost
            for total, count in zip((first, moves, emits), counts, strict=True):
                total += count
        return nats, first, moves, emits

    def _maximise(self, first: Tensor, moves: Tensor, emits: Tensor) -> None:
        def normalised(counts: Tensor) -> Tensor:
            counts = counts + self.prior
            total = counts.sum(-1, keepdim=True)
            # A state that was never visited is left uniform.
            return torch.where(total > 0, counts / total, 1 / counts.shape[-1])

        self.start, self.transition = normalised(first), normalised(moves)
        self.emission = normalised(emits.T)

    def _zeros(self) -> tuple[Tensor, Tensor, Tensor]:
        J, V = self.states, self.vocab
        return tuple(torch.zeros(*shape, dtype=self.dtype) for shape in ((J,), (J, J), (V, J)))

    @property
    def _parameters(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.start, self.transition, self.emission

    def _batches(
        self, sequences: list[Tensor]
    ) -> Iterator[tuple[list[int], Int[Tensor, "T B"], Int[Tensor, " B"], Bool[Tensor, "T B"]]]:
        for rows, x, lengths in ragged.batches(sequences, at_once=AT_ONCE // self.states):
            yield rows, x, lengths, torch.arange(len(x))[:, None] < lengths

    def _log_emission(self, ids: Any) -> Float[Tensor, "T J"]:
        (x,) = self._sequences(ids)
        if not len(x):
            raise ValueError("need at least one token, got an empty sequence")
        return self.emission.log().T[x]

    def _sequences(self, data: Any, limit: int | None = None) -> list[Tensor]:
        return ragged.sequences(data, limit=self.vocab if limit is None else limit)
