"""Train on the answers, score what was held out, and say how sure the scores are."""

import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import nn

from llmcourse import evaluate, lora, sample
from llmcourse.adapt import keep
from llmcourse.adapt.task import Base, Parts, Record, Template
from llmcourse.align import AnswerBatches
from llmcourse.batches import Batch
from llmcourse.metrics import bits
from llmcourse.train import History, TrainConfig, train

__all__ = ["AdaptConfig", "Score", "adapt", "compare", "reply", "run", "score"]

ROOM = 8  # tokens that an answer may be longer than the longest in the file


@dataclass(frozen=True, kw_only=True)
class AdaptConfig:
    """How to adapt. Rank 0 trains every parameter."""

    rank: int = 8
    lr: float | None = None  # None: 5e-3 with adapters, 5e-4 without
    steps: int = 300
    batch: int = 16
    seed: int = 0
    targets: tuple[str, ...] = ("qkv", "o", "gate", "up", "down")

    def __post_init__(self) -> None:
        if self.rank < 0:
            raise ValueError(f"rank must be at least 0 (0 is full fine-tuning), got {self.rank}")
        for name in ("steps", "batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.lr is None:
            object.__setattr__(self, "lr", 5e-3 if self.rank else 5e-4)
        if not 0 < self.lr < math.inf:
            raise ValueError(f"lr must be above 0 and finite, got {self.lr}")

    def lora(self) -> lora.LoRAConfig:
        return lora.LoRAConfig(rank=self.rank, alpha=float(self.rank), targets=self.targets)

    def training(self) -> TrainConfig:
        often = max(1, self.steps // 10)
        return TrainConfig(
            steps=self.steps, lr=self.lr, weight_decay=0.0, betas=(0.9, 0.999), seed=self.seed,
            precision="fp32", eval_every=often, checkpoint_every=often, keep=1,
        )  # fmt: skip


def _prepare(base: Base, parts: Parts, config: AdaptConfig) -> tuple[AnswerBatches, list[Batch]]:
    """Batches to learn from and to look at; the model gets its adapters, unless a row is at fault.

    New adapters are zero, so the model still computes what it did.
    """
    together = [*parts.train, *parts.dev, *parts.test]
    rows = base.template.rows(together, context=base.model.config.context)
    learned = rows[: len(parts.train)]
    looked = rows[len(parts.train) : len(parts.train) + len(parts.dev)]
    if config.rank:
        lora.add(base.model, config.lora(), seed=config.seed)
    dev = AnswerBatches(looked, batch=16)
    batches = AnswerBatches(learned, batch=config.batch, seed=config.seed)
    return batches, [dev(i) for i in range(dev.steps_per_epoch)]


def adapt(
    base: Base,
    parts: Parts,
    config: AdaptConfig,
    *,
    on_log: Callable[[History], None] | None = None,
) -> History:
    """Train `base.model` in place on the answers of `parts.train`; dev is only looked at.

    Raises:
        ValueError: a record is longer than the context, or the rank exceeds a layer. Nothing is
            trained then.
    """
    batches, dev = _prepare(base, parts, config)
    history = train(base.model, batches, config.training(), dev, on_log=on_log)
    base.model.eval()
    return history


def reply(
    model: nn.Module, template: Template, prompts: Sequence[str], *, longest: int, batch: int = 64
) -> list[str]:
    """The greedy answer to each prompt, at most `longest` tokens of it."""
    answers: list[str] = []
    for start in range(0, len(prompts), batch):
        rows = [template.prompt(text) for text in prompts[start : start + batch]]
        room = min(longest, model.config.context - max(map(len, rows)))
        new = sample.generate_many(
            model, rows, max_new=max(1, room), temperature=0, stop=[template.stop]
        )
        ends = [row[:-1] if row[-1:] == [template.stop] else row for row in new]
        answers += [template.tokenizer.decode(row) for row in ends]
    return answers


@dataclass(frozen=True, kw_only=True)
class Score:
    """A model on some records: per record, its answer's bits, bytes and tokens, and if right."""

    bits: Float[np.ndarray, " N"]
    sizes: Float[np.ndarray, " N"]  # bytes of the answer, one for its end included
    right: Float[np.ndarray, " N"]  # 1 where the answer is the file's; nan where nothing is asked
    answers: list[str]

    @property
    def per_byte(self) -> evaluate.Interval:
        """Bits per byte of all answers together; 95 %, records resampled."""
        return evaluate.bootstrap(np.stack([self.bits, self.sizes], axis=1), _ratio, seed=0)

    @property
    def exact(self) -> evaluate.Interval | None:
        """The share of answers that are exactly the file's; 95 % by Wilson."""
        if np.isnan(self.right).any():
            return None
        return evaluate.wilson(int(self.right.sum()), len(self.right))


def _ratio(units: np.ndarray) -> float:
    return units[:, 0].sum() / units[:, 1].sum()


def score(
    model: nn.Module, template: Template, found: Sequence[Record], *, longest: int = 64
) -> Score:
    """Surprise of the answers, and the model's own answers held against them, letter by letter."""
    rows = template.rows(found, context=model.config.context)
    nats = evaluate.token_nats(model, [ids for ids, _ in rows])
    own = [n[np.array(marks[1:])].sum() for n, (_, marks) in zip(nats, rows, strict=True)]
    asked = all(r.prompt for r in found)
    answers = reply(model, template, [r.prompt for r in found], longest=longest) if asked else []
    right = [a.strip() == r.answer.strip() for a, r in zip(answers, found, strict=False)]
    return Score(
        bits=np.array(bits(np.array(own))),
        sizes=np.array([len(r.answer.encode()) + 1.0 for r in found]),
        right=np.array(right, dtype=float) if asked else np.full(len(found), np.nan),
        answers=answers,
    )


def compare(after: Score, before: Score) -> dict[str, evaluate.Interval]:
    """After minus before on the same records, 95 %: bits per byte, and exact match if asked."""
    pairs = [np.stack([s.bits, s.sizes], axis=1) for s in (after, before)]
    found = {"bits per byte": evaluate.paired_difference(*pairs, _ratio, seed=0)}
    if after.exact is not None:
        found["exact match"] = evaluate.paired_difference(after.right, before.right, seed=0)
    return found


def run(
    base: Base,
    parts: Parts,
    config: AdaptConfig,
    *,
    out: str | Path,
    about: dict[str, Any] | None = None,
    on_log: Callable[[History], None] | None = None,
) -> dict[str, Any]:
    """Score, adapt, score again, and keep what came of it in `out`; returns the report.

    `about` says what the data are. What is done already is not done again.

    Raises:
        ValueError: a record or a setting does not fit, or `out` holds another run.
        OSError: the disk is full; nothing half-written stays.
    """
    out = Path(out)
    identity = {
        "base": {"name": base.name, "sha256": base.sha256},
        "data": about or {},
        "settings": asdict(config),
    }
    identity["settings"]["targets"] = list(config.targets)
    if (done := keep.found(out, identity)) is not None:
        return done
    batches, dev = _prepare(base, parts, config)
    keep.claim(out, identity)  # not earlier: a file at fault shall leave nothing behind
    template = base.template
    longest = ROOM + max(sum(template.row(r)[1]) for r in parts.train)
    before = score(base.model, template, parts.test, longest=longest)
    history = train(
        base.model, batches, config.training(), dev, out=out / keep.TRAINING, on_log=on_log
    )
    base.model.eval()
    after = score(base.model, template, parts.test, longest=longest)
    steps, dev = history.series("dev_loss")
    best = int(np.argmin(dev))
    trained, whole = lora.count(base.model)
    report = identity | {
        "records": {name: len(getattr(parts, name)) for name in ("train", "dev", "test")},
        "parameters": {"trained": trained, "all": whole},
        "longest": longest,
        "dev": {"steps": steps, "bits per token": [bits(v) for v in dev]},
        "best dev step": steps[best],
        "test": _figures(before, after),
        "examples": [
            {"line": r.line, "prompt": r.prompt, "answer": r.answer, "model": a}
            for r, a in zip(parts.test[:5], after.answers[:5], strict=False)
        ],
    }
    keep.finish(out, base, config.rank > 0, report)
    shutil.rmtree(out / keep.TRAINING, ignore_errors=True)
    return report


def _figures(before: Score, after: Score) -> dict[str, Any]:
    def plain(interval: evaluate.Interval | None) -> list[float] | None:
        return interval and [interval.low, interval.estimate, interval.high]

    return {
        when: {"bits per byte": plain(s.per_byte), "exact match": plain(s.exact)}
        for when, s in (("before", before), ("after", after))
    } | {"change": {name: plain(i) for name, i in compare(after, before).items()}}
