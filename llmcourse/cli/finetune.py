"""`llmcourse finetune FILE`: adapt a model to a task of the user's own, and say what came of it."""

import argparse
import hashlib
import shutil
from pathlib import Path
from typing import Any

import torch

from llmcourse import adapt
from llmcourse.adapt import keep
from llmcourse.metrics import bits

__all__ = ["finetune"]


def finetune(options: argparse.Namespace) -> int:
    """Read, split, train on the answers, score, and keep the result; the exit status."""
    if options.threads < 1:
        raise ValueError(f"threads must be at least 1, got {options.threads}")
    torch.set_num_threads(options.threads)
    path = Path(options.file)
    found = adapt.read(path, fields=options.field or ())
    parts = adapt.split(found, seed=options.seed)
    config = adapt.AdaptConfig(
        rank=0 if options.full else options.rank,
        lr=options.lr,
        steps=options.steps,
        batch=options.batch,
        seed=options.seed,
    )
    base = adapt.open_base(options.model)
    out = Path(options.out or Path("runs") / f"{path.stem}-{Path(options.model).name}")
    if options.anew:
        _forget(out)
    print(f"{path.name}: {len(found)} records; {parts}; no prompt in two parts")
    data = {"name": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    data["fields"] = list(options.field or ())

    def log(history: Any) -> None:
        record = history.records[-1]
        if "dev_loss" in record:
            loss = bits(record["dev_loss"])
            print(f"step {record['step']} of {config.steps}: dev {loss:.3f} bits a token")

    report = adapt.run(base, parts, config, out=out, about=data, on_log=log)
    _say(report, out)
    return 0


def _forget(out: Path) -> None:
    """Remove what a run of this command left in a folder, and nothing else."""
    if not (out / keep.IDENTITY).is_file():
        return
    shutil.rmtree(out / keep.TRAINING, ignore_errors=True)
    for name in keep.FILES:
        (out / name).unlink(missing_ok=True)


def _say(report: dict[str, Any], out: Path) -> None:
    trained, whole = report["parameters"]["trained"], report["parameters"]["all"]
    print(f"{trained:,} of {whole:,} parameters trained")
    test = report["test"]
    print(f"on {report['records']['test']} held-out records, with 95 % intervals:")
    for name, scale, unit in (("bits per byte", 1.0, ""), ("exact match", 100.0, " %")):
        if test["before"][name] is not None:
            values = {when: keep.shown(test[when][name], scale) for when in test}
            print(f"  {name}{unit}: {values['before']} before, {values['after']} after, ")
            print(f"    change {values['change']}")
    last = report["settings"]["steps"]
    if report["best dev step"] < last:
        print(f"dev was best at step {report['best dev step']} of {last}: --steps may be too many")
    for example in report["examples"][:2]:
        print(f"  line {example['line']}: {example['model']!r}, the file has {example['answer']!r}")
    print(f"The result is in {out}. It answers with: llmcourse sample --adapter {out} --prompt …")
