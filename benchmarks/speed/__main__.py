"""Speed and quality beside installable peers, measured in one run.

    python -m benchmarks.speed            every row, about forty minutes of one quiet core
    python -m benchmarks.speed --quick    without the rows that train for minutes
    python -m benchmarks.speed --only generation --only autograd
    python -m benchmarks.speed --ship     also into the package, for the page `appendix/speed`

Rows measured before are kept unless they are measured again, each with its machine and day.
"""

import argparse
import datetime
import json
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

import llmcourse
from benchmarks.speed import harness, learning, models, small, text
from benchmarks.speed.harness import Row

RESULT = Path(__file__).resolve().parents[1] / "results.json"
SHIPPED = Path(llmcourse.__file__).parent / "results" / "speed.json"
GROUPS: dict[str, Callable[[], Iterator[Row]]] = {
    "tokenization": text.tokenization,
    "counting": text.counting,
    "training": models.training,
    "generation": models.generation,
    "autograd": small.autograd,
    "hidden-markov": small.hidden_markov,
    "real-text": learning.real_text,
    "known-language": learning.known_language,
}
LONG = ("real-text", "known-language")


def limits() -> dict[str, float]:
    """What the machine could do at best, by three measurements of it alone."""
    return {
        "matrix multiply, fp32, GFLOP/s": harness.matmul_rate() / 1e9,
        "matrix multiply, bf16, GFLOP/s": harness.matmul_rate(dtype=torch.bfloat16) / 1e9,
        "memory read, GB/s": harness.read_rate() / 1e9,
        "one dispatched operation, µs": harness.dispatch_cost() * 1e6,
    }


def write(path: Path, result: dict) -> None:
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    draft.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(draft, path)


def show(row: dict) -> None:
    goal = "" if row["goal"] is None else f"goal {'≤' if row['lower'] else '≥'} {row['goal']:g}"
    met = {True: "met", False: "MISSED", None: ""}[row["met"]]
    print(
        f"{row['work']:58} {row['peer']:30} {row['ratio']:9.2f}  {goal:12} {met:7}"
        f"noise {row['noise']:.0%}  {row['note']}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="leave out the rows that train")
    parser.add_argument("--only", action="append", choices=GROUPS, help="this group of rows")
    parser.add_argument("--ship", action="store_true", help="also write the package's copy")
    parser.add_argument("--threads", type=int, default=1, help="of torch, in every case")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    warnings.filterwarnings("ignore", module="transformers")
    chosen = arguments.only or [g for g in GROUPS if not (arguments.quick and g in LONG)]
    before = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.exists() else {"rows": []}
    rows = [row for row in before["rows"] if row["group"] not in chosen]
    machine, today = harness.machine(), datetime.date.today().isoformat()
    print(machine)
    measured = limits()
    for name, value in measured.items():
        print(f"  {name}: {value:.1f}")
    for group in chosen:
        for row in GROUPS[group]():
            rows.append(row.to_json() | {"group": group, "machine": machine, "day": today})
            show(rows[-1])
    rows.sort(key=lambda row: list(GROUPS).index(row["group"]))
    result = {
        "machine": machine,
        "command": "python -m benchmarks.speed",
        "limits": measured,
        "rows": rows,
    }
    write(RESULT, result)
    if arguments.ship:
        write(SHIPPED, result)
    print(f"\nwritten to {RESULT.name}; {sum(row['met'] is False for row in rows)} goals missed")


if __name__ == "__main__":
    main()
