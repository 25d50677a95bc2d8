"""Learning from comparisons: Bradley and Terry's model, and direct preference optimisation."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from llmcourse.records import read_jsonl

__all__ = [
    "Pair",
    "bradley_terry_loss",
    "dpo_loss",
    "pad_rows",
    "read_pairs",
    "sequence_logprob",
    "token_logprobs",
]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two answers to one prompt, of which the first was preferred."""

    prompt: str
    chosen: str
    rejected: str

    def __post_init__(self) -> None:
        for name in ("prompt", "chosen", "rejected"):
            value = getattr(self, name)
            if not isinstance(value, str):
                raise ValueError(f"field {name!r} must be text, got {value!r}")
            if not value.strip():
                raise ValueError(f"field {name!r} is blank")
        if self.chosen == self.rejected:
            raise ValueError(
                f"fields 'chosen' and 'rejected' are equal ({self.chosen!r}): nothing is preferred"
            )


def read_pairs(path: str | Path) -> list[Pair]:
    """Comparisons from a file of records with the fields prompt, chosen and rejected.

    Raises:
        ValueError: a field is missing, null, NaN or blank, or the two answers are equal; the
            message names the line and the field.
    """
    fields = ("prompt", "chosen", "rejected")
    pairs = []
    for line, record in enumerate(read_jsonl(path, fields=fields), start=1):
        try:
            pairs.append(Pair(**{field: record[field] for field in fields}))
        except ValueError as error:
            raise ValueError(f"{Path(path).name}, line {line}: {error}") from None
    return pairs


def pad_rows(
    rows: Sequence[tuple[Sequence[int], Sequence[bool]]], pad: int = 0
) -> tuple[Int[Tensor, "N T"], Bool[Tensor, "N T"]]:
    """Ids and marks of several rows, filled at the right with `pad`, which is not marked."""
    longest = max((len(ids) for ids, _ in rows), default=0)
    ids = torch.full((len(rows), longest), pad)
    answer = torch.zeros(len(rows), longest, dtype=torch.bool)
    for i, (tokens, marked) in enumerate(rows):
        ids[i, : len(tokens)] = torch.as_tensor(tokens)
        answer[i, : len(marked)] = torch.as_tensor(marked, dtype=torch.bool)
    return ids, answer


def token_logprobs(
    model: nn.Module, ids: Int[Tensor, "N T"], temperature: float = 1.0
) -> Float[Tensor, "N S"]:
    """log π(token | those before it) of every token but each row's first, in nats: S = T − 1."""
    logits, _ = model(ids[:, :-1])
    logits = logits.float() / temperature
    return -F.cross_entropy(logits.mT, ids[:, 1:], reduction="none")


def sequence_logprob(
    model: nn.Module, ids: Int[Tensor, "N T"], answer: Bool[Tensor, "N T"]
) -> Float[Tensor, " N"]:
    """log π(answer | prompt) in nats: the sum over the marked tokens of each row."""
    return (token_logprobs(model, ids) * answer[:, 1:]).sum(dim=1)


def bradley_terry_loss(
    chosen: Float[Tensor, " N"], rejected: Float[Tensor, " N"]
) -> Float[Tensor, " N"]:
    """−log σ(r_chosen − r_rejected), in nats a comparison. Bradley and Terry (1952)."""
    return -F.logsigmoid(chosen - rejected)


def dpo_loss(
    chosen: Float[Tensor, " N"],
    rejected: Float[Tensor, " N"],
    reference_chosen: Float[Tensor, " N"],
    reference_rejected: Float[Tensor, " N"],
    *,
    beta: float = 0.1,
) -> Float[Tensor, " N"]:
    """Bradley and Terry's loss with the implied reward β log(π / π_ref), in nats a pair.

    The arguments are log-probabilities of whole answers (`sequence_logprob`), those of the
    reference without gradient. Rafailov et al. (2023), equation 7; `trl` calls it "sigmoid".

    Raises:
        ValueError: `beta` is not above 0, or a log-probability is not finite.
    """
    if not 0 < beta < float("inf"):
        raise ValueError(f"beta must be above 0 and finite, got {beta}")
    given = {
        "chosen": chosen,
        "rejected": rejected,
        "reference_chosen": reference_chosen,
        "reference_rejected": reference_rejected,
    }
    for name, values in given.items():
        bad = ~torch.isfinite(values)
        if bad.any():
            first = int(bad.nonzero()[0])
            raise ValueError(
                f"{name} must be finite log-probabilities, got {float(values[first])} at {first}"
            )
    return bradley_terry_loss(
        beta * (chosen - reference_chosen), beta * (rejected - reference_rejected)
    )
