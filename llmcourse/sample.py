"""From next-token distributions to text: sampling, streaming, beams, a draft that is checked.

Every function takes ids and gives the ids that follow them; a drawn stop token is the last of
them. The filters (`llmcourse.filters`) are keyword arguments: `temperature`, `top_k`, `top_p`,
`min_p`, `repetition`.

Example:
    >>> generate(model, [1, 2], max_new=3, temperature=0)  # doctest: +SKIP
    [7, 4, 4]
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from llmcourse.decode import Decoder, understood
from llmcourse.filters import (
    Sampling,
    draw,
    greedy,
    min_p,
    repetition_penalty,
    temperature,
    top_k,
    top_p,
)

__all__ = [
    "Hypothesis",
    "Sampling",
    "Speculation",
    "beam",
    "draw",
    "generate",
    "generate_many",
    "greedy",
    "min_p",
    "repetition_penalty",
    "speculative",
    "stream",
    "temperature",
    "top_k",
    "top_p",
    "verify",
]

Allowed = Callable[[Sequence[int]], Collection[int]]


class _Reader:
    """A model and what it has read: `read` gives the logits after each new position."""

    def __init__(self, model: Any, batch: int, room: int) -> None:
        self.model = model
        self.context = getattr(model.config, "context", None)
        self.device = next(model.parameters()).device
        self.past: Tensor | None = None
        self.cache = None
        # An LSTM's state cannot be cut back: such a model reads its whole past again.
        if self.context is not None:
            self.cache = model.cache(batch, length=min(room, self.context))
        fast = self.cache is not None and batch == 1 and understood(model)
        self.decoder = Decoder(model, self.cache) if fast else None

    @torch.inference_mode()
    def read(self, ids: Sequence[Sequence[int]] | Tensor) -> Float[Tensor, "B T V"]:
        if self.decoder is not None and len(ids) == 1 and len(ids[0]) == 1:
            return self.decoder(int(ids[0][0]))
        ids = torch.as_tensor(ids, device=self.device)
        if self.cache is not None:
            return self.model(ids, cache=self.cache)[0]
        self.past = ids if self.past is None else torch.cat((self.past, ids), 1)
        return self.model(self.past)[0][:, -ids.shape[1] :]

    @property
    def used(self) -> int:
        if self.cache is not None:
            return self.cache.used
        return 0 if self.past is None else self.past.shape[1]

    def truncate(self, used: int) -> None:
        if self.cache is not None:
            self.cache.truncate(used)
        elif self.past is not None:
            self.past = self.past[:, :used] if used else None

    def reorder(self, rows: Tensor) -> None:
        if self.cache is not None:
            self.cache.reorder(rows)
        elif self.past is not None:
            self.past = self.past[rows]


def _checked(
    model: Any, ids: Sequence[int] | Tensor, max_new: int, window: bool = False
) -> list[int]:
    """The prompt as a list, if it is not empty and fits with what is to follow."""
    prompt = [int(i) for i in ids]
    if not prompt:
        raise ValueError("the prompt must hold at least one id: a model predicts what follows it")
    if isinstance(max_new, bool) or max_new != int(max_new) or max_new < 0:
        raise ValueError(f"max_new must be a whole number of at least 0, got {max_new}")
    context = getattr(model.config, "context", None)
    # The last new token is never read.
    if context is not None and not window and len(prompt) + max_new - 1 > context:
        raise ValueError(
            f"a prompt of {len(prompt)} tokens and max_new {max_new} need a context of "
            f"{len(prompt) + max_new - 1}, longer than the model's {context}; ask for less, or "
            "let the oldest tokens go with window=True"
        )
    return prompt


def _chance(generator: torch.Generator | int | None, choice: Sampling) -> torch.Generator | None:
    if generator is None and choice.temperature > 0:
        raise ValueError(
            "sampling needs a generator (a torch.Generator, or a seed); temperature 0 needs none"
        )
    return torch.Generator().manual_seed(generator) if isinstance(generator, int) else generator


def _permit(logits: Tensor, allowed: Allowed | None, new: Sequence[int]) -> Tensor:
    if allowed is None:
        return logits
    ids = sorted({int(i) for i in allowed(new)})
    if not ids:
        raise ValueError(f"no token is allowed after {list(new)}; allow a stop token to end")
    keep = torch.zeros_like(logits, dtype=torch.bool)
    keep[torch.tensor(ids, device=logits.device)] = True
    return logits.masked_fill(~keep, -torch.inf)


def stream(
    model: Any,
    ids: Sequence[int] | Tensor,
    *,
    max_new: int,
    generator: torch.Generator | int | None = None,
    stop: Collection[int] = (),
    allowed: Allowed | None = None,
    window: bool = False,
    **choices: Any,
) -> Iterator[int]:
    """Yield each new id as it is drawn, up to and with the first in `stop`.

    `allowed(new)` is given the ids drawn so far and names those that may follow; `choices` are
    the fields of `Sampling`. With `window`, a full context is read afresh from its newer half.

    Raises:
        ValueError: prompt and new tokens are longer than the context, the prompt is empty, or a
            choice is nonsense; each before the first token.
    """
    choice = Sampling(**choices)
    prompt = _checked(model, ids, max_new, window)
    chance = _chance(generator, choice)
    return _stream(model, prompt, max_new, chance, frozenset(stop), allowed, choice)


def _stream(model, prompt, max_new, chance, stop, allowed, choice) -> Iterator[int]:
    reader = _Reader(model, 1, len(prompt) + max_new)
    text, unread = list(prompt), list(prompt)
    context = reader.context
    for _ in range(max_new):
        if context is not None and reader.used + len(unread) > context:
            unread = text[-context:] if reader.used == 0 else text[-(context + 1) // 2 :]
            reader.truncate(0)
        logits = reader.read([unread])[0, -1]
        logits = _permit(logits, allowed, text[len(prompt) :])
        logits = choice.filter(logits, text)
        token = int(greedy(logits) if choice.temperature == 0 else draw(logits, chance))
        text.append(token)
        unread = [token]
        yield token
        if token in stop:
            return


def generate(model: Any, ids: Sequence[int] | Tensor, **options: Any) -> list[int]:
    """All that `stream` yields, with the same arguments."""
    return list(stream(model, ids, **options))


def generate_many(
    model: Any,
    prompts: Sequence[Sequence[int]],
    *,
    max_new: int,
    generator: torch.Generator | int | None = None,
    stop: Collection[int] = (),
    **choices: Any,
) -> list[list[int]]:
    """`generate` for many prompts in one batch; prompts may differ in length.

    No padding and no mask: the batch reads what all prompts have, then goes token by token, and
    a longer prompt's own tokens stand in for draws until it ends. So each row has the
    distribution of `generate`, for every kind of position.
    """
    choice = Sampling(**choices)
    rows = [_checked(model, ids, max_new) for ids in prompts]
    chance = _chance(generator, choice)
    if not rows:
        return []
    lengths = [len(row) for row in rows]
    reader = _Reader(model, len(rows), max(lengths) + max_new)
    done = [max_new == 0] * len(rows)
    logits = reader.read([row[: min(lengths)] for row in rows])[:, -1]
    for position in range(min(lengths), max(lengths) + max_new):
        if choice.repetition == 1:
            shaped = choice.filter(logits)
        else:
            pairs = zip(logits, rows, strict=True)
            shaped = torch.stack([choice.filter(x, row[:position]) for x, row in pairs])
        drawn = greedy(shaped) if choice.temperature == 0 else draw(shaped, chance)
        for i, token in enumerate(drawn.tolist()):
            if position >= lengths[i] and not done[i]:
                rows[i].append(token)
                done[i] = token in stop or len(rows[i]) == lengths[i] + max_new
        if all(done):
            break
        # A finished row reads any token: nobody looks at what follows.
        logits = reader.read([[row[position] if position < len(row) else 0] for row in rows])[:, -1]
    return [row[n:] for row, n in zip(rows, lengths, strict=True)]


@dataclass(frozen=True, kw_only=True)
class Hypothesis:
    """A continuation found by `beam`: its ids, log-probability in nats, and normalised score."""

    ids: tuple[int, ...]
    logprob: float
    score: float
    finished: bool


def beam(
    model: Any,
    ids: Sequence[int] | Tensor,
    *,
    width: int,
    max_new: int,
    stop: Collection[int] = (),
    length_power: float = 1.0,
) -> list[Hypothesis]:
    """The `width` best continuations found by beam search, best first.

    Score is log-probability / length ** `length_power`: 0 prefers the most probable text, which
    is short; 1 the highest mean. The search ends when no open hypothesis can still do better
    than the worst kept one.

    Raises:
        ValueError: `width` is below 1 or `length_power` negative.
    """
    if width < 1:
        raise ValueError(f"width must be at least 1, got {width}")
    if not length_power >= 0:
        raise ValueError(f"length_power must be at least 0, got {length_power}")
    prompt, stop = _checked(model, ids, max_new), frozenset(stop)

    def hypothesis(ids: tuple[int, ...], logprob: float, finished: bool) -> Hypothesis:
        score = logprob / max(len(ids), 1) ** length_power
        return Hypothesis(ids=ids, logprob=logprob, score=score, finished=finished)

    reader = _Reader(model, 1, len(prompt) + max_new)
    open_: list[tuple[tuple[int, ...], float]] = [((), 0.0)]
    kept: list[Hypothesis] = []
    logits = reader.read([prompt])[:, -1] if max_new else torch.zeros(1, 1)
    for _ in range(max_new):
        base = torch.tensor([[logprob] for _, logprob in open_], dtype=torch.float64)
        total = base + logits.double().cpu().log_softmax(-1)
        # Enough that `width` stay open even if every hypothesis could end.
        count = min(total.numel(), width * (1 + len(stop)))
        best = total.flatten().sort(descending=True, stable=True)
        survivors: list[tuple[int, tuple[int, ...], float]] = []
        for rank in range(count):
            parent, token = divmod(int(best.indices[rank]), total.shape[1])
            ids_, logprob = (*open_[parent][0], token), float(best.values[rank])
            if logprob == -torch.inf:
                break
            if token in stop:
                if rank < width:
                    kept.append(hypothesis(ids_, logprob, True))
            elif len(survivors) < width:
                survivors.append((parent, ids_, logprob))
        open_ = [(ids_, logprob) for _, ids_, logprob in survivors]
        kept = sorted(kept, key=lambda h: -h.score)[:width]
        if not open_ or len(open_[0][0]) == max_new:
            break
        bound = open_[0][1] / max_new**length_power  # log-probabilities only fall
        if len(kept) == width and kept[-1].score >= bound:
            open_ = []
            break
        reader.reorder(torch.tensor([parent for parent, _, _ in survivors], device=reader.device))
        logits = reader.read([[ids_[-1]] for _, ids_, _ in survivors])[:, -1]
    kept += [hypothesis(ids_, logprob, False) for ids_, logprob in open_]
    return sorted(kept, key=lambda h: -h.score)[:width]


def verify(
    p: Float[Tensor, " V"], q: Float[Tensor, " V"], token: int, generator: torch.Generator
) -> tuple[int, bool]:
    """Keep `token`, drawn from q, or replace it, so that the result is distributed as p.

    It is kept with probability min(1, p/q); else one is drawn from max(p − q, 0), normalised.
    Leviathan et al. (2023), Chen et al. (2023).
    """
    if float(torch.rand((), generator=generator)) * float(q[token]) < float(p[token]):
        return token, True
    residual = (p - q).clamp(min=0)
    if float(residual.sum()) <= 0:  # p equals q up to rounding
        residual = p
    return int(torch.multinomial(residual, 1, generator=generator)), False


@dataclass(frozen=True, kw_only=True)
class Speculation:
    """What `speculative` drew, and how often the draft was right."""

    ids: list[int]
    proposed: int
    accepted: int
    reads: int  # forward passes of the target


def speculative(
    model: Any,
    draft: Any,
    ids: Sequence[int] | Tensor,
    *,
    max_new: int,
    generator: torch.Generator | int,
    lookahead: int = 4,
    stop: Collection[int] = (),
    **choices: Any,
) -> Speculation:
    """`generate` from `model`, with up to `lookahead` tokens a step proposed by `draft`.

    The distribution over texts is that of `generate(model, ...)` with the same choices, whatever
    the draft; only the time differs.

    Raises:
        ValueError: the vocabularies differ, or `lookahead` is below 1.
    """
    if lookahead < 1:
        raise ValueError(f"lookahead must be at least 1, got {lookahead}")
    sizes = model.config.vocab_size, draft.config.vocab_size
    if sizes[0] != sizes[1]:
        raise ValueError(f"both models need one vocabulary, got sizes {sizes[0]} and {sizes[1]}")
    choice = Sampling(**choices)
    prompt = _checked(model, ids, max_new)
    _checked(draft, ids, max_new)
    chance, stop = _chance(generator, Sampling()), frozenset(stop)
    room = len(prompt) + max_new
    big, small = _Reader(model, 1, room), _Reader(draft, 1, room)
    text, end = list(prompt), len(prompt) + max_new
    proposed = accepted = reads = 0
    while len(text) < end:
        known = len(text)
        guesses: list[int] = []
        q: list[Tensor] = []
        while len(guesses) < min(lookahead, end - known - 1):
            logits = small.read([(text + guesses)[small.used :]])[0, -1]
            q.append(choice.probabilities(logits, text + guesses))
            guesses.append(int(draw(q[-1].log(), chance)))
        logits = big.read([(text + guesses)[big.used :]])[0, -len(guesses) - 1 :]
        reads += 1
        proposed += len(guesses)
        for i, guess in enumerate(guesses):
            token, kept = verify(choice.probabilities(logits[i], text), q[i], guess, chance)
            text.append(token)
            accepted += kept
            if not kept or token in stop:
                break
        else:
            text.append(int(draw(choice.filter(logits[-1], text), chance)))
        if text[-1] in stop:
            break
        # What was read beyond the kept tokens, and the newest token itself, must be read anew.
        big.truncate(min(big.used, len(text) - 1))
        small.truncate(min(small.used, len(text) - 1))
    return Speculation(ids=text[len(prompt) :], proposed=proposed, accepted=accepted, reads=reads)
