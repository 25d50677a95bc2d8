"""`llmcourse doctor`: what is installed, what is missing, and what each lack costs."""

import argparse
import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = ["doctor", "findings"]

NEEDED = {
    "torch": "every model",
    "numpy": "every count and statistic",
    "matplotlib": "every figure",
    "safetensors": "checkpoints",
    "regex": "the tokenizer",
    "tqdm": "progress bars",
    "platformdirs": "the places of caches and progress",
    "jaxtyping": "importing the package",
}
EXTRAS = {
    "jupyter-book": ('"[book]"', "the book cannot be built; its notebooks still run"),
    "jupyterlab": ('"[book]"', "no JupyterLab; VS Code or Colab open the notebooks too"),
    "transformers": ('"[test]"', "comparisons with Hugging Face are skipped"),
    "pytest": ('"[test]"', "the tests cannot run; the exercises' checks can"),
    "playwright": ('"[test]"', "tests of the pages are skipped"),
}
GB = 1 << 30


class Finding(NamedTuple):
    """`state` is ok, missing (works, at a cost) or broken (the course does not run)."""

    state: str
    name: str
    said: str


def findings() -> Iterator[Finding]:
    """Everything the doctor looks at, in order."""
    version = platform.python_version()
    fits = (3, 11) <= sys.version_info[:2] <= (3, 13)
    yield Finding(
        "ok" if fits else "broken",
        "Python",
        f"{version} on {platform.system()} {platform.machine()}"
        + ("" if fits else "; the course needs 3.11, 3.12 or 3.13"),
    )
    for name, use in NEEDED.items():
        found = _version(name)
        yield Finding("ok" if found else "broken", name, found or f"missing, and with it {use}")
    yield from _machine()
    for name, (extra, cost) in EXTRAS.items():
        found = _version(name)
        said = found or f"missing: {cost}. pip install -e {extra.replace('[', '.[')}"
        yield Finding("ok" if found else "missing", name, said)
    browser = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    lack = "missing: tests of the pages are skipped. On Debian: apt install chromium"
    yield Finding("ok" if browser else "missing", "Chromium", browser or lack)
    yield from _files()
    yield _shipped()


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _machine() -> Iterator[Finding]:
    cores = os.cpu_count() or 1
    memory = _memory()
    said = f"{cores} cores" + (f", {memory / GB:.0f} GB of memory" if memory else "")
    small = bool(memory) and memory < 3.5 * GB
    cost = "; under 4 GB, close other programs before the longer chapters" if small else ""
    yield Finding("missing" if small else "ok", "machine", said + cost)
    free = shutil.disk_usage(Path.cwd()).free
    low = free < 2 * GB
    cost = "; under 2 GB, the book may not build" if low else ""
    yield Finding("missing" if low else "ok", "disk", f"{free / GB:.0f} GB free here{cost}")
    if not _version("torch"):
        return
    import torch

    from llmcourse.optim import bf16_is_fast

    fast = bf16_is_fast()
    said = "fast on this processor" if fast else "not fast here: training uses fp32, about 2 ×"
    yield Finding("ok" if fast else "missing", "bfloat16", said + ("" if fast else " slower"))
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    yield Finding("ok", "GPU", gpu or "none, and none is needed")
    yield Finding("ok", "torch threads", str(torch.get_num_threads()))


def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        return 0


def _files() -> Iterator[Finding]:
    from llmcourse.exercises import store

    place = store.path()
    folder = next(f for f in (place, *place.parents) if f.exists())
    writable = os.access(folder, os.W_OK)
    cost = "" if writable else ": not writable, so progress in the exercises is not kept"
    yield Finding("ok" if writable else "missing", "progress", f"{place}{cost}")
    try:
        from llmcourse import data

        here = data.local("tinyshakespeare.txt")
        said = str(here or "not here: fetched when first asked for; python-docs and tales are here")
        yield Finding("ok" if here else "missing", "Tiny Shakespeare", said)
    except ImportError:
        return
    except ValueError as error:
        yield Finding("missing", "LLMCOURSE_DATA", str(error))


def _shipped() -> Finding:
    try:
        from llmcourse import models

        model, _ = models.load("tales")
        count = sum(p.numel() for p in model.parameters())
        return Finding("ok", "shipped model", f"tales opens, {count:,} parameters")
    except Exception as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())
        cost = "chapters that use it do not run; `llmcourse train --data tales` trains another"
        return Finding("missing", "shipped model", f"does not open ({said}): {cost}")


def doctor(options: argparse.Namespace) -> int:
    """Print the findings; 1 where the course cannot run."""
    marks = {"ok": "✓", "missing": "○", "broken": "✗"}
    broken = 0
    for finding in findings():
        broken += finding.state == "broken"
        print(f"{marks[finding.state]} {finding.name:<17} {finding.said}")
    print(
        f"\n{broken} of these must be mended first."
        if broken
        else "\nThe course runs here. What is marked ○ costs only what its line says."
    )
    return 1 if broken else 0
