"""The training loop, in plain sight.

    batches = WindowBatches(ids, batch=16, context=128, seed=0)
    history = train(model, batches, TrainConfig(steps=1000), dev=dev_batches, out="runs/first")

Everything that happens at a step is a function of the step's number: which batch, which learning
rate, which dropout. So nothing but weights and optimiser state need be saved, and a run that is
killed goes on to the very bits of one that was not. Started by `torchrun`, the same call shares
each batch's rows among the processes (data parallel), and with `shard=True` the model, too.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from llmcourse import distributed, optim
from llmcourse.batches import IGNORED, Batch, Batches, StoryBatches, WindowBatches
from llmcourse.runs import History, LiveCurve, Run, read_log, watched

__all__ = [
    "Batches",
    "History",
    "LiveCurve",
    "StoryBatches",
    "TrainConfig",
    "TrainingDiverged",
    "WindowBatches",
    "mean_loss",
    "read_log",
    "train",
]

SCHEDULES = {"constant": optim.constant, "cosine": optim.warmup_cosine, "wsd": optim.wsd}


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How to train; what to train on is the batches' matter."""

    steps: int = 1000
    lr: float = 3e-3  # at the peak of the schedule
    warmup: int | None = None  # steps; None is a twentieth of all
    schedule: str = "cosine"  # or "wsd", "constant"
    optimizer: str = "adamw"  # or "muon", for the hidden matrices
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.1  # of matrices; gains and biases are not decayed
    clip: float | None = 1.0  # limit on the gradient's norm
    accumulate: int = 1  # batches whose gradients make one step
    precision: str = "auto"  # or "fp32", "bf16"; auto is bf16 where the hardware multiplies it
    compile: bool = False  # some 20 s at the start for a tenth more speed
    shard: bool = False  # each process keeps a part of the model only (FSDP2); under `torchrun`
    timeout: float = 600.0  # seconds to wait for another process before giving up
    log_every: int = 10
    eval_every: int = 0  # 0: only at the end
    eval_batches: int = 8  # taken from `dev`, where that is a batch source
    checkpoint_every: int = 0  # 0: only at the end
    keep: int = 2  # checkpoints kept, the newest
    seed: int = 0  # of dropout; weights and batches have their own

    def __post_init__(self) -> None:
        choices = {
            "schedule": tuple(SCHEDULES),
            "optimizer": ("adamw", "muon"),
            "precision": ("auto", "fp32", "bf16"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {allowed}, got {getattr(self, name)!r}")
        for name in ("steps", "accumulate", "log_every", "eval_batches", "keep"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("eval_every", "checkpoint_every", "weight_decay"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)}")
        for name in ("lr", "timeout"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be above 0 and finite, got {getattr(self, name)}")
        if self.clip is not None and not self.clip > 0:
            raise ValueError(f"clip must be above 0, or None for no limit, got {self.clip}")
        if self.warmup is not None and not 0 <= self.warmup <= self.steps:
            raise ValueError(f"warmup must lie in 0..steps, got {self.warmup} of {self.steps}")
        if len(self.betas) != 2 or not all(0 <= b < 1 for b in self.betas):
            raise ValueError(f"betas must be two numbers in [0, 1), got {self.betas}")

    def rate(self, step: int) -> float:
        """The learning rate at a step, counted from 0."""
        warmup = self.steps // 20 if self.warmup is None else self.warmup
        return self.lr * SCHEDULES[self.schedule](step, steps=self.steps, warmup=warmup)


class TrainingDiverged(ArithmeticError):
    """The loss or the gradient is no longer a finite number."""

    def __init__(self, step: int, loss: float, norm: float, config: TrainConfig, saved: Any):
        self.step, self.loss, self.norm, self.checkpoint = step, loss, norm, saved
        clip = "clip=1.0" if config.clip is None else f"a smaller clip (now {config.clip:g})"
        super().__init__(
            f"at step {step} the loss is {loss:g} and the gradient's norm {norm:g}; the weights "
            f"are as they were before this step. Last good checkpoint: {saved or 'none'}. Try a "
            f"smaller lr (now {config.lr:g}), a longer warmup, {clip} or precision='fp32', and "
            f"look at batch {step}"
        )


@torch.no_grad()
def mean_loss(model: nn.Module, batches: Sequence[Batch]) -> float:
    """Nats per target over all of the batches, in evaluation mode."""
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    total, count = 0.0, 0
    for x, y in batches:
        targets = int((y != IGNORED).sum())
        total += float(model(x.to(device), y.to(device))[1]) * targets
        count += targets
    model.train(was_training)
    if not count:
        raise ValueError("the batches hold no targets, so a mean loss has no meaning")
    return total / count


def _evaluate(
    model: nn.Module, dev: Sequence[Batch] | None, on_eval: Callable | None, step: int
) -> dict[str, float]:
    found = {} if dev is None else {"dev_loss": mean_loss(model, dev)}
    if on_eval is not None:
        model.eval()
        with torch.no_grad():
            found |= on_eval(step, model) or {}
        model.train()
    return found


def _precision(config: TrainConfig, device: torch.device) -> str:
    if config.precision == "fp32":
        return "fp32"
    return "bf16" if optim.bf16_is_fast(device) else "fp32"


def gradients(forward: Callable, micro: Sequence[Batch], autocast: Callable, device: Any) -> float:
    """Add to every `.grad` that of the mean loss over all targets of all batches; the mean loss.

    Each batch counts by its number of targets. The mean of the batches' means would let a token
    in a short batch weigh more than one in a long batch. Of each batch this process reads every
    `world`-th row: its gradients and its loss are a share, and the shares' sum is the mean.
    """
    rank, world = distributed.processes()
    count = sum(int((y != IGNORED).sum()) for _, y in micro)
    if not count:
        raise ValueError("the batch holds no targets")
    mean = 0.0
    for x, y in micro:
        own_x, own_y = x[rank::world], y[rank::world]
        targets = int((own_y != IGNORED).sum())
        if not targets:  # a mean of nothing would be NaN
            if world == 1 or not (y != IGNORED).any():
                continue
            # Sharded weights are put together by all, so all must compute, though it count nothing.
            row = int((y != IGNORED).any(dim=1).nonzero()[0])
            own_x, own_y = x[row : row + 1], y[row : row + 1]
        with autocast():
            loss = forward(own_x.to(device), own_y.to(device))[1] * (targets / count)
        loss.backward()
        mean += float(loss.detach())
    return mean


def train(
    model: nn.Module,
    batches: Batches,
    config: TrainConfig,
    dev: Batches | Sequence[Batch] | None = None,
    out: str | Path | None = None,
    resume: bool = True,
    on_eval: Callable[[int, nn.Module], dict[str, float] | None] | None = None,
    on_log: Callable[["History"], None] | None = None,
) -> History:
    """Train a model in place; `loss = model(inputs, targets)[1]`, in nats per target.

    Args:
        dev: batches to measure on and not to learn from; logged as `dev_loss`.
        out: folder for `log.jsonl` and checkpoints (`step-000100`, each loadable by
            `checkpoint.load`). A run found there is continued.
        resume: False begins anew, deleting the run found in `out`.
        on_eval: called after each evaluation; what it returns joins the log. On process 0, but on
            every process where the model is sharded, which only all together can run.
        on_log: called after each record with the history so far (`LiveCurve()`, say).

    After a run with `shard=True` on several processes the model stays sharded; its checkpoint is
    whole.

    Raises:
        TrainingDiverged: a loss or gradient became NaN or infinite.
        ProcessLost: under `torchrun`, another process is gone or silent for `config.timeout`.
        ValueError: the run in `out` has other settings or another model.
        OSError: a checkpoint could not be written; the one before is whole.
    """
    device = next(model.parameters()).device
    rank, world = distributed.processes(config.timeout)
    distributed.broadcast(model)
    if config.shard and world > 1:
        distributed.shard(model)
    made = optim.optimizers(
        model, config.optimizer, lr=config.lr, betas=config.betas, weight_decay=config.weight_decay
    )
    history = History(precision=_precision(config, device), folder=Path(out) if out else None)
    run = Run(history, config, model, made, out)
    if out is not None:
        run.resume() if resume else run.clear()
    distributed.agree("the step to go on from", run.step)
    if callable(dev):
        dev = [dev(i) for i in range(config.eval_batches)]
    autocast = partial(
        torch.autocast, device.type, torch.bfloat16, enabled=history.precision == "bf16"
    )
    forward = torch.compile(model) if config.compile else model
    model.train()

    devices = [device] if device.type == "cuda" else []
    bar = tqdm(
        total=config.steps,
        initial=run.step,
        unit="step",
        leave=False,
        disable=rank > 0 or not watched(),
    )
    together = distributed.together(lambda: (run.step, run.saved))
    with (
        torch.random.fork_rng(devices),
        bar,
        together,
    ):  # the caller's random numbers stay as they were
        while run.step < config.steps:
            step, began = run.step, time.perf_counter()
            torch.manual_seed(config.seed * 1_000_003 + step)  # dropout, too, depends on the step
            rate = config.rate(step)
            micro = [batches(step * config.accumulate + i) for i in range(config.accumulate)]

            for optimizer in made:
                optimizer.zero_grad()
            loss = gradients(forward, micro, autocast, device)
            if config.shard and world > 1:  # the gradients were summed on the way back
                loss = distributed.add_up(loss, device)
            elif world > 1:
                loss = distributed.sum_gradients(model.parameters(), loss)
            norm = optim.clip_gradients(model.parameters(), config.clip)
            if not (math.isfinite(loss) and math.isfinite(norm)):
                raise TrainingDiverged(step, loss, norm, config, run.saved)
            for optimizer in made:
                for group in optimizer.param_groups:
                    group["lr"] = group["peak"] * rate / config.lr
                optimizer.step()

            run.step += 1
            run.tokens += sum(int((y != IGNORED).sum()) for _, y in micro)
            run.seconds += time.perf_counter() - began
            bar.update()
            ends = run.step == config.steps
            logs = run.step % config.log_every == 0 or run.step == 1 or ends
            evaluates = ends or (config.eval_every and run.step % config.eval_every == 0)
            found = {}
            if evaluates and (rank == 0 or config.shard):  # a sharded model runs on all or on none
                found = _evaluate(model, dev, on_eval, run.step)
            if rank == 0 and (logs or evaluates):
                bar.set_postfix_str(f"loss {loss:.3f}, {run.tokens / run.seconds:,.0f} tokens/s")
                run.log({"loss": loss, "norm": norm, "lr": rate, **found})
                if on_log is not None:
                    on_log(history)
            if ends or (config.checkpoint_every and run.step % config.checkpoint_every == 0):
                run.save()
    return history
