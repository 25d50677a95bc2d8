"""Run the book's notebooks side by side into the cache that the build then reads.

    python tools/execute.py

The build itself runs them one after the other. Those that stand in the cache are not run again; one
that fails is left to the build, which runs it once more and reports it.
"""

import logging
from pathlib import Path

import yaml
from jupyter_cache import get_cache
from jupyter_cache.executors import load_executor

ROOT = Path(__file__).resolve().parents[1]


def notebooks() -> list[Path]:
    """The notebooks that the table of contents names, in its order."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    files = [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]
    return [path for file in files if (path := ROOT / f"{file}.ipynb").is_file()]


def main() -> None:
    timeout = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))["execute"]["timeout"]
    cache = get_cache(str(ROOT / "_build" / ".jupyter_cache"))
    found = notebooks()
    for path in found:
        cache.add_nb_to_project(str(path))
    executor = load_executor("local-parallel", cache, logging.getLogger("execute"))
    result = executor.run_and_cache(filter_uris=[str(p) for p in found], timeout=timeout)
    again = len(result.excepted) + len(result.errored)
    print(f"{len(result.succeeded)} notebooks run, {again} left to the build, the rest was there")


if __name__ == "__main__":
    main()
