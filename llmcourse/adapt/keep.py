"""What an adaptation leaves: `adapter.*` (or a whole model), `report.json`, a card for readers.

Each file is written whole or not at all, and `report.json` last: where it is, the rest is.
"""

import json
from pathlib import Path
from typing import Any

from llmcourse import checkpoint, lora
from llmcourse.adapt.task import Base, open_base

__all__ = [
    "FILES",
    "IDENTITY",
    "REPORT",
    "TRAINING",
    "card",
    "claim",
    "finish",
    "found",
    "load",
    "shown",
]

REPORT, IDENTITY, CARD, TRAINING = "report.json", "task.json", "README.md", "training"
FILES = (  # all that a run leaves
    REPORT, IDENTITY, CARD, lora.WEIGHTS, lora.CONFIG, checkpoint.WEIGHTS, checkpoint.CONFIG,
    "tokenizer.json",
)  # fmt: skip


def _json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise ValueError(f"{path} is damaged: it does not read as JSON; begin anew") from None


def found(out: Path, identity: dict[str, Any]) -> dict[str, Any] | None:
    """The report, where this very run has ended in a folder before.

    Raises:
        ValueError: the folder holds a run of another task, model or settings.
    """
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file; the result needs a folder")
    if (out / IDENTITY).is_file():
        was = _json(out / IDENTITY)
        if differ := _differences(was, identity):
            raise ValueError(
                f"{out} holds another run ({'; '.join(differ)}): name another folder, or begin anew"
            )
        return _json(out / REPORT) if (out / REPORT).is_file() else None
    return None


def claim(out: Path, identity: dict[str, Any]) -> None:
    """Say in a folder which run it belongs to."""
    checkpoint.write_file(out / IDENTITY, json.dumps(identity, indent=1).encode() + b"\n")


def _differences(was: dict[str, Any], now: dict[str, Any]) -> list[str]:
    found = []
    for part, values in now.items():
        before = was.get(part, {})
        for name in sorted(values.keys() | before.keys()):
            a, b = before.get(name), values.get(name)
            if a != b:
                short = "" if name == "sha256" else f": {a!r} there, {b!r} here"
                found.append(f"{part}, {name}{short}")
    return found


def finish(out: Path, base: Base, adapter: bool, report: dict[str, Any]) -> None:
    """Write the result, the card, and last the report."""
    if adapter:
        lora.save(base.model, out)
    else:
        checkpoint.save(base.model, out)
        base.tokenizer.save(out / "tokenizer.json")
    checkpoint.write_file(out / CARD, card(report).encode())
    text = json.dumps(report, indent=1, ensure_ascii=False)
    checkpoint.write_file(out / REPORT, text.encode() + b"\n")


def load(folder: str | Path) -> tuple[Base, dict[str, Any]]:
    """The adapted model, its adapters merged and taken off, and the report.

    Raises:
        FileNotFoundError: no adaptation has ended in this folder, or its base is gone.
        ValueError: the base's weights are no longer those that were adapted.
    """
    folder = Path(folder)
    if not (folder / REPORT).is_file():
        raise FileNotFoundError(
            f"{folder} has no {REPORT}: no adaptation has ended there; `llmcourse finetune` makes "
            "one"
        )
    report = _json(folder / REPORT)
    if not (folder / lora.CONFIG).is_file():
        return open_base(folder), report
    base = open_base(report["base"]["name"])
    if base.sha256 != report["base"]["sha256"]:
        raise ValueError(
            f"{folder} adapts {report['base']['name']} with other weights than are there now; "
            "an adapter is of no use without its own base"
        )
    lora.load(base.model, folder)
    lora.remove(lora.merge(base.model))
    base.model.eval()
    return base, report


def shown(values: list[float] | None, scale: float = 1.0, digits: int = 2) -> str:
    """An estimate with its interval, as `12.30 (11.85 to 12.71)`."""
    if values is None:
        return "not asked"
    low, middle, high = (f"{scale * v:.{digits}f}".replace("-", "−") for v in values)
    return f"{middle} ({low} to {high})"


def card(report: dict[str, Any]) -> str:
    """A model card in Markdown: what it is, what it was made from, how good, and what not to do."""
    test, data, settings = report["test"], report["data"], report["settings"]
    base = Path(report["base"]["name"]).name
    trained, whole = report["parameters"]["trained"], report["parameters"]["all"]
    way = f"LoRA of rank {settings['rank']}" if settings["rank"] else "full fine-tuning"
    counts = report["records"]
    rows = [
        f"| {name} | {shown(test['before'][name], scale)} | {shown(test['after'][name], scale)} "
        f"| {shown(test['change'].get(name), scale)} |"
        for name, scale in (("bits per byte", 1.0), ("exact match", 100.0))
        if test["before"][name] is not None
    ]
    return "\n".join(
        [
            f"# {base}, adapted to {data.get('name', 'a task')}",
            "",
            f"**Made from** `{base}` (weights {report['base']['sha256'][:12]}) by {way}: "
            f"{trained:,} of {whole:,} parameters trained for {settings['steps']} steps of "
            f"{settings['batch']} records at rate {settings['lr']:g}, seed {settings['seed']}.",
            "",
            f"**Data**: {data.get('name', 'unnamed')} (SHA-256 "
            f"{data.get('sha256', 'unknown')[:12]}); {counts['train']} records to learn from, "
            f"{counts['dev']} to choose by, {counts['test']} held out. No prompt is in two parts. "
            "Licence and source: to be filled in by whoever publishes this.",
            "",
            f"**Scores** on the {counts['test']} held-out records, 95 % intervals; exact match in "
            "per cent:",
            "",
            "| | before | after | change |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
            "**Not for** anything outside this task: what the model knew besides may be damaged, "
            "and nobody has measured it. One run, one seed; the intervals are over records, not "
            "over seeds.",
            "",
        ]
    )
