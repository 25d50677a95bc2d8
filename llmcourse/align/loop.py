"""The loops of preference and policy optimisation: seeds by step, clipping, checkpoints, errors."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from llmcourse import optim
from llmcourse.align.policy import clipped_loss, group_advantages, kl_estimate, over_tokens
from llmcourse.align.preference import dpo_loss, pad_rows, sequence_logprob, token_logprobs
from llmcourse.align.rollout import Reward, rollouts
from llmcourse.runs import History, Run
from llmcourse.train import TrainConfig, TrainingDiverged

__all__ = ["DPOConfig", "GRPOConfig", "dpo", "grpo"]

Row = tuple[Sequence[int], Sequence[bool]]
# Losses to descend one after another, each with what is to be logged; None takes no step.
Losses = Iterator[tuple[Tensor | None, dict[str, float]]]


def _at_least(config: Any, low: float, *names: str) -> None:
    for name in names:
        value = getattr(config, name)
        if not (low <= value < math.inf):
            raise ValueError(f"{name} must be at least {low} and finite, got {value}")


@dataclass(frozen=True, kw_only=True)
class DPOConfig:
    """How to learn from pairs."""

    steps: int = 100
    batch: int = 16  # pairs a step
    lr: float = 1e-4  # constant after the warm-up
    warmup: int = 5
    beta: float = 0.1  # nats of reward for each nat that an answer gains on the reference
    sft: float = 0.0  # weight of the chosen answer's own loss, a nat a token, beside DPO's
    clip: float | None = 1.0  # limit on the gradient's norm
    log_every: int = 1
    checkpoint_every: int = 0  # 0: only at the end
    keep: int = 1
    seed: int = 0  # of the order of the pairs

    def __post_init__(self) -> None:
        _at_least(self, 1, "steps", "batch", "log_every", "keep")
        _at_least(self, 0, "warmup", "checkpoint_every", "sft")
        _at_least(self, 1e-12, "lr", "beta")


@dataclass(frozen=True, kw_only=True)
class GRPOConfig:
    """How to learn from a reward. With `scale="none"` and `length="sum"` it is Dr. GRPO."""

    steps: int = 100
    prompts: int = 8  # a step
    group: int = 8  # answers to each prompt, drawn anew at every step
    max_new: int = 24  # tokens of an answer at most
    temperature: float = 1.0
    updates: int = 1  # on the answers of a step; with one, nothing is ever clipped
    clip_ratio: float = 0.2  # epsilon of PPO
    kl: float = 0.0  # weight of the KL to the reference, for each token
    estimate: str = "k3"  # see `kl_estimate`
    scale: str = "std"  # of advantages; or "none"
    length: str = "mean"  # over the tokens of an answer; or "sum"
    lr: float = 1e-4  # constant after the warm-up
    warmup: int = 5
    clip: float | None = 1.0  # limit on the gradient's norm
    log_every: int = 1
    checkpoint_every: int = 0  # 0: only at the end
    keep: int = 1
    seed: int = 0  # of prompts and answers

    def __post_init__(self) -> None:
        _at_least(self, 1, "steps", "prompts", "max_new", "updates", "log_every", "keep")
        _at_least(self, 0, "kl", "warmup", "checkpoint_every", "temperature")
        _at_least(self, 2, "group")
        _at_least(self, 1e-12, "lr")
        if not self.temperature > 0:
            raise ValueError("temperature must be above 0: greedy answers of a group are all equal")
        if not 0 < self.clip_ratio < 1:
            raise ValueError(f"clip_ratio must lie between 0 and 1, got {self.clip_ratio}")
        for name, allowed in {
            "estimate": ("k1", "k2", "k3"), "scale": ("std", "none"), "length": ("mean", "sum"),
        }.items():  # fmt: skip
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {allowed}, got {getattr(self, name)!r}")


def _diverged(step: int, loss: float, norm: float, config: Any, saved: Any) -> TrainingDiverged:
    settings = TrainConfig(steps=config.steps, lr=config.lr, clip=config.clip)
    return TrainingDiverged(step, loss, norm, settings, saved)


def _descend(
    model: nn.Module,
    losses: Callable[[int], Losses],
    config: Any,
    out: str | Path | None,
    on_log: Callable[[History], None] | None,
) -> History:
    """Take one step of AdamW for each loss; go on from a checkpoint in `out`."""
    made = optim.optimizers(model, lr=config.lr, betas=(0.9, 0.999), weight_decay=0.0)
    history = History(precision="fp32", folder=Path(out) if out else None)
    run = Run(history, config, model, made, out)
    if out is not None:
        run.resume()
    model.train()
    while run.step < config.steps:
        step, began = run.step, time.perf_counter()
        rate = config.lr * min(1.0, (step + 1) / max(1, config.warmup))
        logged: dict[str, float] = {}
        for loss, record in losses(step):
            logged = {**record, "lr": rate}
            if loss is None:
                continue
            for optimizer in made:
                optimizer.zero_grad()
            loss.backward()
            norm = optim.clip_gradients(model.parameters(), config.clip)
            logged |= {"loss": float(loss.detach()), "norm": norm}
            if not (math.isfinite(logged["loss"]) and math.isfinite(norm)):
                raise _diverged(step, logged["loss"], norm, config, run.saved)
            for optimizer in made:
                for group in optimizer.param_groups:
                    group["lr"] = rate
                optimizer.step()
        run.step += 1
        run.seconds += time.perf_counter() - began
        ends = run.step == config.steps
        if run.step % config.log_every == 0 or run.step == 1 or ends:
            run.log(logged)
            if on_log is not None:
                on_log(history)
        if ends or (config.checkpoint_every and run.step % config.checkpoint_every == 0):
            run.save()
    model.eval()
    return history


def dpo(
    model: nn.Module,
    pairs: Sequence[tuple[Row, Row]],
    config: DPOConfig,
    *,
    reference: nn.Module,
    out: str | Path | None = None,
    on_log: Callable[[History], None] | None = None,
) -> History:
    """Prefer the first row of each pair to the second, as far from `reference` as beta allows.

    Rows are ids and marks as `chat.encode` gives them. The log holds `loss`, `accuracy` (share of
    pairs in the right order by implied reward) and the mean change of both answers'
    log-probability against the reference, in nats: `chosen` and `rejected`.

    Raises:
        TrainingDiverged: a loss or gradient became NaN or infinite.
        ValueError: there are no pairs, or the run in `out` has other settings.
    """
    if not pairs:
        raise ValueError("there are no pairs to learn from")
    if reference is model:
        raise ValueError("the reference must be another model than the one that is trained: copy")

    def losses(step: int) -> Losses:
        epoch, place = divmod(step * config.batch, len(pairs))
        chance = np.random.default_rng((config.seed, epoch))
        order = chance.permutation(len(pairs))
        after = np.random.default_rng((config.seed, epoch + 1)).permutation(len(pairs))
        chosen = [pairs[i] for i in [*order, *after][place : place + config.batch]]
        rows = [row for side in (0, 1) for row in (pair[side] for pair in chosen)]
        ids, answer = pad_rows(rows)
        with torch.no_grad():
            before = sequence_logprob(reference, ids, answer)
        now = sequence_logprob(model, ids, answer)
        (new_w, new_l), (old_w, old_l) = now.chunk(2), before.chunk(2)
        gain_w, gain_l = (new_w - old_w).detach(), (new_l - old_l).detach()
        if not torch.isfinite(now).all():
            raise _diverged(step, math.nan, math.nan, config, None)
        loss = dpo_loss(new_w, new_l, old_w, old_l, beta=config.beta).mean()
        if config.sft:
            tokens = answer[: len(chosen), 1:].sum()
            loss = loss - config.sft * new_w.sum() / tokens
        yield (
            loss,
            {
                "accuracy": float((gain_w > gain_l).float().mean()),
                "chosen": float(gain_w.mean()),
                "rejected": float(gain_l.mean()),
            },
        )

    return _descend(model, losses, config, out, on_log)


def _distinct(
    drawn: Iterable[tuple[int, Sequence[int], float]],
) -> list[tuple[int, tuple[int, ...], float, int]]:
    """Prompt, answer, advantage and how often: equal answers to a prompt are computed once."""
    counts: dict[tuple[int, tuple[int, ...], float], int] = {}
    for prompt, answer, advantage in drawn:
        key = (prompt, tuple(answer), advantage)
        counts[key] = counts.get(key, 0) + 1
    return [(*key, count) for key, count in counts.items()]


def grpo(
    model: nn.Module,
    prompts: Sequence[Sequence[int]],
    reward: Reward,
    config: GRPOConfig,
    *,
    stop: Sequence[int],
    reference: nn.Module | None = None,
    out: str | Path | None = None,
    on_log: Callable[[History], None] | None = None,
) -> History:
    """Make answers that a reward likes more probable, by comparison within groups of answers.

    At a step some prompts are drawn, and a group of answers to each; `reward(i, new)` judges an
    answer to prompt i. The log holds `reward` (the mean), `mixed` (share of groups whose rewards
    differ: the others teach nothing), `length` (tokens an answer), `kl` (the estimate, nats an
    answer, where there is a reference) and `clipped` (share of tokens out of the ratio's bounds).
    Shao et al. (2024).

    Raises:
        TrainingDiverged: a loss or gradient became NaN or infinite.
        ValueError: no prompts; a KL weight without a reference; a reward that is not finite; the
            run in `out` has other settings.
    """
    if not prompts:
        raise ValueError("there are no prompts to answer")
    if config.kl and reference is None:
        raise ValueError(f"a KL weight of {config.kl} needs a reference model, got None")
    if reference is model:
        raise ValueError("the reference must be another model than the one that is trained: copy")

    def losses(step: int) -> Losses:
        chance = np.random.default_rng((config.seed, step))
        some = chance.permutation(len(prompts))[: config.prompts].tolist()
        groups = rollouts(
            model,
            [prompts[i] for i in some],
            group=config.group,
            max_new=config.max_new,
            generator=torch.Generator().manual_seed(1_000_003 * config.seed + step),
            stop=stop,
            temperature=config.temperature,
        )
        rewards = torch.tensor(
            [[float(reward(i, new)) for new in g] for i, g in zip(some, groups, strict=True)]
        )
        gains = group_advantages(rewards, scale=config.scale)
        record = {
            "reward": float(rewards.mean()),
            "mixed": float((rewards != rewards[:, :1]).any(dim=1).float().mean()),
            "length": sum(len(new) for g in groups for new in g) / rewards.numel(),
        }
        drawn = (
            (i, new, float(a))
            for i, g, row in zip(some, groups, gains, strict=True)
            for new, a in zip(g, row, strict=True)
        )
        # Without a penalty an answer of advantage 0 has gradient 0: it need not be computed.
        rows = [row for row in _distinct(drawn) if config.kl or row[2]]
        if not rows:
            yield None, record
            return
        total = rewards.numel()
        texts = [
            ([*prompts[i], *new], [False] * len(prompts[i]) + [True] * len(new))
            for i, new, _, _ in rows
        ]
        ids, marked = pad_rows(texts)
        answer = marked[:, 1:]
        gain = torch.tensor([row[2] for row in rows])
        weight = torch.tensor([float(row[3]) for row in rows])
        before = None
        if reference is not None:
            with torch.no_grad():
                before = token_logprobs(reference, ids, config.temperature)
        old = None
        for _ in range(config.updates):
            now = token_logprobs(model, ids, config.temperature)
            old = now.detach() if old is None else old
            values = clipped_loss(now, old, gain, clip=config.clip_ratio)
            if before is not None:
                kl = kl_estimate(now, before, config.estimate)
                if config.kl:
                    values = values + config.kl * kl
                held = kl_estimate(now.detach(), before, "k3")
                record["kl"] = float(((held * answer).sum(1) * weight).sum() / weight.sum())
            # Answers left out count as zeros, so a share of the mean over all.
            loss = over_tokens(values, answer, length=config.length, weights=weight)
            loss = loss * (float(weight.sum()) / total)
            outside = ((now.detach() - old).exp() - 1).abs() > config.clip_ratio
            record["clipped"] = float((outside & answer).sum() / answer.sum())
            yield loss, dict(record)

    return _descend(model, losses, config, out, on_log)
