"""Bengio's neural probabilistic language model: n-grams of vectors instead of n-grams of words.

The last n − 1 words are looked up in a table of vectors, put end to end, and a network with one
hidden layer gives the next word's logits. What training learns of one word serves all words whose
vectors are near. Bengio, Ducharme, Vincent and Jauvin (2003).

Example:
    >>> model = FeedForward(FeedForwardConfig(vocab_size=10, order=3, width=4, hidden=8), seed=0)
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

__all__ = ["FeedForward", "FeedForwardConfig", "windows"]


@dataclass(frozen=True, kw_only=True)
class FeedForwardConfig:
    """The form of a feed-forward language model.

    Raises:
        ValueError: a field breaks its rule; the message gives the rule and the value.
    """

    vocab_size: int
    order: int = 6  # n as in n-gram: the word predicted and the n − 1 before it
    width: int = 64  # of a word's vector, D
    hidden: int = 256  # units of the hidden layer, M
    direct: bool = False  # also a linear path from the vectors to the logits

    def __post_init__(self) -> None:
        for name, least in (("vocab_size", 1), ("order", 2), ("width", 1), ("hidden", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"{name} must be an int, got {value!r}")
            if value < least:
                raise ValueError(f"{name} must be at least {least}, got {value}")


def windows(x: Float[Tensor, "B T D"], n: int) -> Float[Tensor, "B T nD"]:
    """For each position, its own vector and the n − 1 before it end to end, oldest first.

    Before the beginning there are zeros.

    Raises:
        ValueError: n is below 1.
    """
    if n < 1:
        raise ValueError(f"a window must hold at least 1 vector, got {n}")
    padded = F.pad(x, (0, 0, n - 1, 0))
    return padded.unfold(1, n, 1).mT.flatten(-2)  # unfold gives (B, T, D, n)


class FeedForward(nn.Module):
    """A language model that sees the last `order − 1` words: ids in, logits of the next out.

    With v the vectors of those words end to end, logits = U tanh(W v + b) + d, plus F v where the
    config asks for the direct path. Any length may be read; the weights depend on `config` and
    `seed` alone.
    """

    def __init__(self, config: FeedForwardConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        V, D, n = config.vocab_size, config.width, config.order - 1
        self.embed = layers.Embedding(V, D)
        self.hidden = layers.Linear(n * D, config.hidden)  # W and b
        self.out = layers.Linear(config.hidden, V)  # U and d
        self.direct = layers.Linear(n * D, V, bias=False) if config.direct else None  # F
        self.initialise(torch.Generator().manual_seed(seed))

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Draw all weights afresh; what leads to the logits starts at zero, so at uniform.

        Vectors start small, so that what they are in the end is what they have learned.
        """
        self.embed.weight.normal_(0, 0.1, generator=generator)
        self.hidden.weight.normal_(0, self.hidden.in_features**-0.5, generator=generator)
        for p in (*self.out.parameters(), self.hidden.bias):
            p.zero_()
        if self.direct is not None:
            self.direct.weight.zero_()

    def forward(
        self, ids: Int[Tensor, "B T"], targets: Int[Tensor, "B T"] | None = None
    ) -> tuple[Float[Tensor, "B T V"], Float[Tensor, ""] | None]:
        """Logits at every position, and the mean loss in nats where there are targets.

        Targets of −100 do not count.

        Raises:
            ValueError: an id is not in the vocabulary, or no target counts.
        """
        layers.check_ids(ids, self.config.vocab_size)
        x = windows(self.embed(ids), self.config.order - 1)
        logits = self.out(self.hidden(x).tanh())
        if self.direct is not None:
            logits = logits + self.direct(x)
        return logits, None if targets is None else _loss(logits, targets)

    def parameter_count(self) -> int:
        """All weights."""
        return sum(p.numel() for p in self.parameters())


def _loss(logits: Tensor, targets: Tensor) -> Tensor:
    if not torch.compiler.is_compiling() and not bool((targets != -100).any()):
        raise ValueError("no target counts: all are -100, so a mean loss has no meaning")
    wide = logits if logits.dtype == torch.float64 else logits.float()
    return F.cross_entropy(wide.flatten(0, -2), targets.flatten(), ignore_index=-100)
