"""What a training run leaves behind: its log, its folder of checkpoints, its curve."""

import json
import os
import shutil
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import nn

from llmcourse import checkpoint, distributed

__all__ = ["History", "LiveCurve", "Run", "read_log", "watched"]

# Settings that do not touch the weights: a run may be resumed with other ones.
FREE = {"log_every", "eval_every", "eval_batches", "checkpoint_every", "keep", "compile"}
FREE |= {"shard", "timeout"}  # how many share the work does not matter either


@dataclass
class History:
    """What a run logged, oldest first; losses are nats per token."""

    records: list[dict[str, Any]] = field(default_factory=list)
    precision: str = "fp32"
    started_at: int = 0  # the step resumed from
    folder: Path | None = None

    def series(self, name: str) -> tuple[list[int], list[float]]:
        """The steps at which `name` ("loss", "dev_loss", "norm", "lr", …) was logged, and it."""
        rows = [(r["step"], r[name]) for r in self.records if name in r]
        return [s for s, _ in rows], [v for _, v in rows]

    def last(self, name: str) -> float:
        """The newest value of a series."""
        values = self.series(name)[1]
        if not values:
            raise ValueError(f"nothing named {name!r} was logged")
        return values[-1]


class Run:
    """Where a run stands, and its folder: the log, and checkpoints with all that goes on needs."""

    def __init__(
        self, history: History, config: Any, model: nn.Module, made: list, out: Any
    ) -> None:
        self.history, self.config, self.model, self.made = history, config, model, made
        self.out = Path(out) if out is not None else None
        self.step, self.tokens, self.seconds = 0, 0, 0.0
        self.rank, _ = distributed.processes()  # only process 0 writes

    @property
    def saved(self) -> Path | None:
        return checkpoint.latest(self.out) if self.out and self.out.is_dir() else None

    def log(self, record: dict[str, Any]) -> None:
        whole = {"step": self.step, **record, "tokens": self.tokens, "seconds": self.seconds}
        self.history.records.append(whole)
        if self.out is not None:
            self.out.mkdir(parents=True, exist_ok=True)
            with open(self.out / "log.jsonl", "a", encoding="utf-8") as file:
                file.write(json.dumps(whole) + "\n")

    def save(self) -> None:
        """Write a checkpoint. Of a sharded model every process must call this."""
        if self.out is None or (self.rank and not distributed.is_sharded(self.model)):
            return
        tensors, numbers = checkpoint.optimizer_state(self.made)
        about = {
            "step": self.step,
            "tokens": self.tokens,
            "seconds": self.seconds,
            "precision": self.history.precision,
            "config": asdict(self.config),
            "optimizer": numbers,
        }
        files = checkpoint.weights(self.model, extra={"step": self.step, "tokens": self.tokens})
        if self.rank:
            return  # this process has lent its shards; process 0 has them all
        files["optimizer.safetensors"] = safetensors.torch.save(tensors)
        files["training.json"] = json.dumps(about, indent=1).encode()
        checkpoint.write_folder(self.out / f"step-{self.step:06d}", files)
        for old in checkpoint.numbered(self.out)[: -self.config.keep]:
            shutil.rmtree(old, ignore_errors=True)

    def clear(self) -> None:
        """Forget the run in the folder, and drafts that a killed one left."""
        if self.rank:
            return
        for old in [*self.out.glob("step-*"), *self.out.glob(".step-*.tmp")]:
            shutil.rmtree(old, ignore_errors=True)
        (self.out / "log.jsonl").unlink(missing_ok=True)

    def resume(self) -> None:
        """Go back to the newest checkpoint, and cut the log to what it knew."""
        newest = self.saved
        if newest is None:
            return self.clear()
        about = json.loads((newest / "training.json").read_text(encoding="utf-8"))
        ours = json.loads(json.dumps(asdict(self.config)))
        differ = [
            f"{k}: {about['config'].get(k)!r} there, {v!r} here"
            for k, v in ours.items()
            if about["config"].get(k) != v and k not in FREE
        ]
        if differ:
            raise ValueError(
                f"the run in {self.out} was started with other settings ({'; '.join(differ)}): "
                "use its settings, another folder, or resume=False to begin anew"
            )
        checkpoint.load_into(self.model, newest)
        tensors, _ = checkpoint.read(newest / "optimizer.safetensors")
        checkpoint.restore_optimizers(self.made, tensors, about["optimizer"])
        self.step, self.tokens, self.seconds = about["step"], about["tokens"], about["seconds"]
        self.history.started_at = self.step
        self.history.records = [r for r in read_log(self.out) if r["step"] <= self.step]
        if self.rank:
            return
        lines = "".join(json.dumps(r) + "\n" for r in self.history.records)
        checkpoint.write_file(self.out / "log.jsonl", lines.encode())


def read_log(folder: str | Path) -> list[dict[str, Any]]:
    """The records of a run's `log.jsonl`. A line cut short by a kill ends the reading."""
    records = []
    path = Path(folder) / "log.jsonl"
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            records.append(json.loads(line))
        except ValueError:
            break
    return records


def watched() -> bool:
    """Whether someone looks at this run: a terminal or a live notebook, not a build."""
    live = ("JPY_SESSION_NAME", "VSCODE_PID", "COLAB_RELEASE_TAG")  # set for people's kernels
    return sys.stderr.isatty() or any(name in os.environ for name in live)


class LiveCurve:
    """An `on_log` that redraws the losses in a notebook while they fall, against a known floor.

    In a build, where nobody watches, it draws nothing.
    """

    def __init__(self, floor: float | None = None) -> None:
        self.floor, self.handle = floor, None

    def __call__(self, history: "History") -> None:
        if not watched() or "IPython" not in sys.modules:
            return
        from IPython.display import display

        from llmcourse import plots

        fig, ax = plots.figure()
        for name, colour in (("loss", "blue"), ("dev_loss", "orange")):
            steps, values = history.series(name)
            if steps:
                (line,) = ax.plot(steps, values, color=plots.COLORS[colour])
                plots.label_line(ax, line, name.replace("_", " "))
        if self.floor is not None:
            plots.reference(ax, self.floor, "floor")
        ax.set(xlabel="step", ylabel="nats per token")
        if self.handle is None:
            self.handle = display(fig, display_id=True)
        else:
            self.handle.update(fig)
