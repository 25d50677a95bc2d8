"""Two ways to do one piece of work, timed so that the ratio means something.

A machine is never quiet, so no case is timed by itself. Cases take turns, and each round times
them all: a slow minute is slow for everyone. Garbage is collected before each unit, untimed, or a
case would pay for its neighbour's. The ratio is that of the medians. *Noise* is our own code
timed against itself in the same rounds; a ratio that differs from 1 by less says nothing.
"""

import gc
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

Unit = Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table; `ratio` is how many times as fast as the peer we are."""

    work: str
    peer: str
    ratio: float
    goal: float | None  # None: shown for what it tells, not to be reached
    noise: float = 0.0  # our own code against itself, as a share
    note: str = ""
    lower: bool = False  # the ratio is better low: a share of bits, say

    @property
    def met(self) -> bool | None:
        if self.goal is None:
            return None
        return self.ratio <= self.goal if self.lower else self.ratio >= self.goal

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"met": self.met}


def seconds(unit: Unit) -> float:
    """Time of one call, with the garbage of the calls before it out of the way.

    What the call returns is freed after the clock stops: some free a graph by counting references,
    at once, and some leave it to the collector, whose work is not timed either.
    """
    gc.collect()
    began = time.perf_counter()
    made = unit()
    spent = time.perf_counter() - began
    del made
    return spent


def medians(cases: Mapping[str, Unit], rounds: int) -> dict[str, float]:
    """Median seconds of each case over interleaved rounds, after one round to warm up."""
    times: dict[str, list[float]] = {name: [] for name in cases}
    for n in range(rounds + 1):
        # Every other round runs backwards, so that no case always follows the same neighbour.
        for name in list(cases)[:: 1 if n % 2 else -1]:
            spent = seconds(cases[name])
            if n:
                times[name].append(spent)
    return {name: statistics.median(spent) for name, spent in times.items()}


def compare(
    work: str,
    peer: str,
    ours: Unit,
    theirs: Unit,
    *,
    goal: float | None,
    rounds: int = 7,
    note: str = "",
) -> Row:
    """One row: both cases, and ours once more to know the noise."""
    found = medians({"ours": ours, "theirs": theirs, "again": ours}, rounds)
    return Row(
        work=work,
        peer=peer,
        ratio=2 * found["theirs"] / (found["ours"] + found["again"]),
        goal=goal,
        noise=abs(found["ours"] / found["again"] - 1),
        note=note or f"{1e3 * found['ours']:.1f} ms, theirs {1e3 * found['theirs']:.1f} ms",
    )


def machine() -> str:
    """The processor, its cores and the threads torch uses, in words."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        name = next((s.split(":")[1].strip() for s in lines if s.startswith("model name")), name)
    return f"{name}, {os.cpu_count()} cores, {torch.get_num_threads()} torch threads"


def matmul_rate(size: int = 1024, dtype: torch.dtype = torch.float32, rounds: int = 9) -> float:
    """Floating-point operations a second of one square matrix product, the best of some."""
    a = torch.randn(size, size).to(dtype)
    best = min(seconds(lambda: a @ a) for _ in range(rounds))
    return 2 * size**3 / best


def read_rate(mebibytes: int = 256, rounds: int = 9) -> float:
    """Bytes a second of reading memory that no cache holds, the best of some."""
    x = torch.ones(mebibytes * 2**18)
    best = min(seconds(x.sum) for _ in range(rounds))
    return x.numel() * 4 / best


def dispatch_cost(calls: int = 20_000) -> float:
    """Seconds that torch takes for an operation on one number: what no arithmetic explains."""
    x = torch.zeros(1)

    def many() -> None:
        for _ in range(calls):
            x.add_(1.0)

    return min(seconds(many) for _ in range(5)) / calls
