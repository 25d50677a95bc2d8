"""Recurrent language models, Elman's and the LSTM, whose steps are in plain sight.

Example:
    >>> model = LSTM(RNNConfig(vocab_size=10, width=8), seed=0)
    >>> logits, loss = model(torch.tensor([[1, 2, 3]]), targets=torch.tensor([[2, 3, 4]]))
    >>> logits.shape
    torch.Size([1, 3, 10])
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from llmcourse import layers

__all__ = ["LSTM", "RNN", "LSTMState", "RNNConfig", "lstm_step", "rnn_step"]


@dataclass(frozen=True, kw_only=True)
class RNNConfig:
    """The form of a recurrent language model.

    Raises:
        ValueError: a field breaks its rule; the message gives the rule and the value.
    """

    vocab_size: int
    width: int = 128  # of the embeddings, D, and of each layer's hidden state
    layers: int = 1
    dropout: float = 0.0  # on what enters each layer and what leaves the last
    tied: bool = True  # one matrix embeds and unembeds

    def __post_init__(self) -> None:
        for name in ("vocab_size", "width", "layers"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"{name} must be an int, got {value!r}")
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must lie in [0, 1), got {self.dropout}")


def rnn_step(
    x: Float[Tensor, "B D"],
    h: Float[Tensor, "B H"],
    w_x: Float[Tensor, "H D"],
    w_h: Float[Tensor, "H H"],
    bias: Float[Tensor, " H"],
) -> Float[Tensor, "B H"]:
    """One step of a simple recurrent network: the new hidden state, tanh(W_x x + W_h h + b).

    Elman (1990).
    """
    return (x @ w_x.T + h @ w_h.T + bias).tanh()


def lstm_step(
    x: Float[Tensor, "B D"],
    h: Float[Tensor, "B H"],
    c: Float[Tensor, "B H"],
    w_x: Float[Tensor, "H4 D"],
    w_h: Float[Tensor, "H4 H"],
    bias: Float[Tensor, " H4"],
) -> tuple[Float[Tensor, "B H"], Float[Tensor, "B H"]]:
    """One step of a long short-term memory: the new hidden state h and the new memory c.

    The memory is kept where the forget gate f is near 1, and written where the input gate i is:
    c ← f ⊙ c + i ⊙ g, h = o ⊙ tanh(c). Added to rather than multiplied through, c carries
    gradients far. Rows of the weights are i, f, g, o, torch's order. Hochreiter and Schmidhuber
    (1997); the forget gate is from Gers, Schmidhuber and Cummins (2000).
    """
    i, f, g, o = (x @ w_x.T + h @ w_h.T + bias).chunk(4, dim=-1)  # each (B, H)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


@dataclass
class LSTMState:
    """What has been read, however long: `h` and `c`, each of shape (layers, B, H)."""

    h: Tensor
    c: Tensor
    used: int = 0  # tokens read


class _Recurrent(nn.Module):
    """What the two models share: tables in and out, the start, steps in plain sight."""

    carried: int  # how many vectors a step hands on: h, or h and c

    def __init__(self, config: RNNConfig, core: type[nn.RNNBase], seed: int) -> None:
        super().__init__()
        self.config = config
        D = config.width
        self.embed = layers.Embedding(config.vocab_size, D)
        with torch.random.fork_rng(devices=[]):  # torch draws weights that we then replace
            between = config.dropout if config.layers > 1 else 0.0
            name = core.__name__.lower()
            self.add_module(name, core(D, D, config.layers, batch_first=True, dropout=between))
        self.core_name = name
        self.head = None if config.tied else layers.Linear(D, config.vocab_size, bias=False)
        self.dropout = nn.Dropout(config.dropout)
        self.initialise(torch.Generator().manual_seed(seed))

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Draw all weights afresh; an LSTM's forget gate starts open (Jozefowicz et al., 2015)."""
        D = self.config.width
        for name, p in self.named_parameters():
            if p.ndim == 2:
                p.normal_(0, D**-0.5, generator=generator)
            else:
                p.zero_()
            if "bias_ih" in name and self.core_name == "lstm":
                p[D : 2 * D] = 1.0

    def weights(self, layer: int) -> tuple[Tensor, Tensor, Tensor]:
        """A layer's W_x, W_h and bias; torch keeps the bias as two that are added."""
        core = self.get_submodule(self.core_name)
        w_x, w_h, b_x, b_h = (getattr(core, f"{name}_l{layer}") for name in _NAMES)
        return w_x, w_h, b_x + b_h

    @torch.no_grad()
    def unroll(self, ids: Int[Tensor, "B T"]) -> Float[Tensor, "B T V"]:
        """The same logits one step at a time: the definition, beside torch's fast path."""
        x = self.embed_ids(ids)
        for n in range(self.config.layers):
            state = (x.new_zeros(len(ids), self.config.width),) * self.carried
            outputs = []
            for t in range(ids.shape[1]):
                state = self.step(x[:, t], state, n)
                outputs.append(state[0])
            x = torch.stack(outputs, dim=1)
        return self.unembed(x)

    def embed_ids(self, ids: Int[Tensor, "B T"]) -> Float[Tensor, "B T D"]:
        """Token vectors, at the unit scale the gates want: as logits' weights they are small."""
        layers.check_ids(ids, self.config.vocab_size)
        return self.embed(ids) * self.config.width**0.5

    def unembed(self, x: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch V"]:
        """One logit for each token of the vocabulary."""
        return F.linear(x, self.embed.weight if self.head is None else self.head.weight)

    def parameter_count(self) -> int:
        """All weights, shared ones once."""
        return sum(p.numel() for p in self.parameters())


class RNN(_Recurrent):
    """A language model with one state of fixed size, rewritten at each step (Elman, 1990).

    The weights depend on `config` and `seed` alone.
    """

    carried = 1

    def __init__(self, config: RNNConfig, seed: int = 0) -> None:
        super().__init__(config, nn.RNN, seed)

    def step(self, x: Tensor, state: tuple[Tensor], layer: int) -> tuple[Tensor]:
        """One step of one layer."""
        return (rnn_step(x, *state, *self.weights(layer)),)

    def forward(
        self, ids: Int[Tensor, "B T"], targets: Int[Tensor, "B T"] | None = None
    ) -> tuple[Float[Tensor, "B T V"], Float[Tensor, ""] | None]:
        """Logits at every position, and the mean loss in nats where there are targets.

        Targets of −100 do not count.

        Raises:
            ValueError: an id is not in the vocabulary, or no target counts.
        """
        x, _ = self.rnn(self.dropout(self.embed_ids(ids)))
        logits = self.unembed(self.dropout(x))
        return logits, None if targets is None else _loss(logits, targets)


class LSTM(_Recurrent):
    """A language model whose memory has a fixed size: ids in, logits of the next token out.

    Any length may be read. The weights depend on `config` and `seed` alone.
    """

    carried = 2

    def __init__(self, config: RNNConfig, seed: int = 0) -> None:
        super().__init__(config, nn.LSTM, seed)

    def step(self, x: Tensor, state: tuple[Tensor, Tensor], layer: int) -> tuple[Tensor, Tensor]:
        """One step of one layer."""
        return lstm_step(x, *state, *self.weights(layer))

    def forward(
        self,
        ids: Int[Tensor, "B T"],
        targets: Int[Tensor, "B T"] | None = None,
        cache: LSTMState | None = None,
    ) -> tuple[Float[Tensor, "B T V"], Float[Tensor, ""] | None]:
        """Logits at every position, and the mean loss in nats where there are targets.

        Targets of −100 do not count. With a `cache`, `ids` are read after what it holds, and it
        then holds them too.

        Raises:
            ValueError: an id is not in the vocabulary, or no target counts.
        """
        x = self.dropout(self.embed_ids(ids))
        x, after = self.lstm(x, None if cache is None else (cache.h, cache.c))
        if cache is not None:
            (cache.h, cache.c), cache.used = after, cache.used + ids.shape[1]
        logits = self.unembed(self.dropout(x))
        return logits, None if targets is None else _loss(logits, targets)

    def cache(self, batch: int = 1) -> LSTMState:
        """The state before anything is read: zeros."""
        weight = self.embed.weight
        zeros = weight.new_zeros(self.config.layers, batch, self.config.width)
        return LSTMState(zeros, zeros.clone())


_NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def _loss(logits: Tensor, targets: Tensor) -> Tensor:
    if not torch.compiler.is_compiling() and not bool((targets != -100).any()):
        raise ValueError("no target counts: all are -100, so a mean loss has no meaning")
    wide = logits if logits.dtype == torch.float64 else logits.float()
    return F.cross_entropy(wide.flatten(0, -2), targets.flatten(), ignore_index=-100)
