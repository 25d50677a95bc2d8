"""The live figures against their goals, measured in a headless Chromium.

    python -m benchmarks.live           about a minute; the table, and benchmarks/live.json
    python -m benchmarks.live --ship    also into the package

A page with figures is built here and served from this machine. Speeds are of random weights of two
sizes, int8 as they ship and 32-bit floats as they run, in the page's own Worker.
"""

import argparse
import base64
import datetime
import gzip
import http.server
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import llmcourse
from benchmarks.speed import harness
from benchmarks.speed.__main__ import write
from llmcourse import checkpoint, tales
from llmcourse.gpt import GPT, GPTConfig
from llmcourse.tokenizers import TalesTokenizer
from llmcourse.widgets import assets

ROOT = Path(__file__).resolve().parents[1]
RESULT = Path(__file__).with_suffix(".json")
SHIPPED = Path(llmcourse.__file__).parent / "results" / "live.json"
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SIZES = {"1 M": {"width": 152, "layers": 3}, "3 M": {"width": 216, "layers": 5}}
GOALS = {"1 M": 400, "3 M": 150}  # tokens a second
RUNS, WRITTEN, PROMPT = 7, 120, 32

# The runtime of the pages with these weights in its Worker: what a figure's host hands over.
START = """async ({ base64, size, crc, tales }) => {
  const live = await import("./runtime.mjs");
  const heard = new Set();
  const host = {
    get() {}, on: (_, f) => heard.add(f), off: (_, f) => heard.delete(f),
    send({ want }) {
      const file = want === "model.safetensors" ? { base64, size, crc } : tales;
      setTimeout(() => [...heard].forEach((f) => f({ asset: want, ...file }, [])));
    },
  };
  window.run = await live.runtime(host);
}"""
GENERATE = """async ({ ids, seed, most }) => {
  const choice = { temperature: 1, topK: 0, topP: 1 };
  const began = performance.now();
  const first = await run.generate({ language: "en", ids, choice, seed, most: 1 });
  const waited = performance.now() - began;
  const all = await run.generate({ language: "en", ids, choice, seed: seed + 1, most });
  return { waited, rate: (1000 * all.ids.length) / all.milliseconds, count: all.ids.length };
}"""
# The longest task of the page's own thread; Chromium tells of those of 50 ms and more.
WATCH = """() => {
  window.longest = 0;
  new PerformanceObserver((list) => {
    for (const e of list.getEntries()) window.longest = Math.max(window.longest, e.duration);
  }).observe({ type: "longtask" });
}"""


def build(folder: Path) -> None:
    """A page with every figure, as the book has them."""
    source = folder / "source"
    source.mkdir()
    (source / "conf.py").write_text(
        "project = 'Live'\nextensions = ['myst_parser', 'llmcourse.widgets.live']\n"
        f"html_theme = 'sphinx_book_theme'\nhtml_static_path = [{str(ROOT / '_static')!r}]\n"
    )
    figures = "\n".join(f"```{{live}} {name}\nCaption.\n```\n" for name in assets.figures())
    (source / "index.md").write_text(f"# Live\n\n{figures}\n", "utf-8")
    command = [sys.executable, "-m", "sphinx", "-q", "-b", "html", source, folder / "site"]
    subprocess.run(command, check=True)
    shutil.copy(assets.STATIC / "runtime.mjs", folder / "site")
    (folder / "site" / "empty.html").write_text("<!doctype html><title>empty</title>")


def serve(folder: Path) -> http.server.ThreadingHTTPServer:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Quiet, directory=str(folder))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def packed(data: bytes) -> dict[str, Any]:
    return {"base64": base64.b64encode(data).decode(), "size": len(data), "crc": zlib.crc32(data)}


def row(work: str, value: float, goal: float, unit: str, *, lower: bool = True) -> dict[str, Any]:
    met = value <= goal if lower else value >= goal
    return {"work": work, "value": value, "goal": goal, "unit": unit, "lower": lower, "met": met}


def code() -> dict[str, Any]:
    """The heaviest page of the book: its figures' code and the script that mounts them."""
    size = {n: len(gzip.compress(assets.module(n).encode())) for n in assets.figures()}
    script = len(gzip.compress((assets.STATIC / "live.js").read_bytes()))
    heaviest = 0
    for chapter in (ROOT / "chapters").rglob("*.ipynb"):
        placed = set(re.findall(r"```{live} (\w+)", chapter.read_text("utf-8")))
        heaviest = max(heaviest, sum(size[name] for name in placed) + script * bool(placed))
    return row("code of the heaviest page, gzipped", heaviest / 1e3, 60, "kB")


def speeds(browser: Any, address: str) -> Iterator[dict[str, Any]]:
    """First token and tokens a second, by size."""
    tokenizer = TalesTokenizer()
    story = tales.generate(seed=5, n=1, split="test")[0]
    ids = tokenizer.encode_story(story)[1 : PROMPT + 1]
    for name, form in SIZES.items():
        config = GPTConfig.modern(
            vocab_size=tokenizer.vocab_size, heads=4, context=256, zero_outputs=False, **form
        )
        model = GPT(config, seed=0)
        page = browser.new_page()
        page.goto(f"{address}/empty.html")
        data = checkpoint.weights(model, dtype="int8")["model.safetensors"]
        page.evaluate(START, packed(data) | {"tales": packed(assets.asset("tales.json")[0])})
        seen = [
            page.evaluate(GENERATE, {"ids": [*ids[:-1], n + 300], "seed": 2 * n, "most": WRITTEN})
            for n in range(RUNS)
        ]
        page.close()
        size = f"{model.parameter_count() / 1e6:.2f} M parameters"
        if name == "1 M":  # the very first, with nothing warm
            yield row(f"first token, prompt of {PROMPT}, {size}", seen[0]["waited"] / 1e3, 0.3, "s")
        rate = max(s["rate"] for s in seen[1:])  # the run that others disturbed least
        yield row(f"generation, {size}", rate, GOALS[name], "tokens/s", lower=False)


def visit(browser: Any, address: str) -> Iterator[dict[str, Any]]:
    """A page as a reader uses it: what is loaded, what leaves the site, how long it is blocked."""
    sizes: dict[str, int] = {}
    outside: list[str] = []
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    home = urlsplit(address).netloc

    def gate(route: Any) -> None:
        url = route.request.url
        if urlsplit(url).netloc == home or url.startswith(("data:", "blob:")):
            return route.continue_()
        outside.append(url)
        return route.abort()

    def loaded(response: Any) -> None:
        if ("/live/" in response.url and ".json" in response.url) or ".safetensors" in response.url:
            sizes[response.url] = int(response.headers.get("content-length", 0))

    page.route("**/*", gate)
    page.on("response", loaded)
    page.goto(f"{address}/index.html", wait_until="load")
    for n in range(len(assets.figures())):
        page.wait_for_selector(f"lc-live[data-state=live] >> nth={n}")
    before = sum(sizes.values())

    def figure(name: str) -> Any:
        return page.locator(f"lc-live[data-figure={name}]")

    def press(name: str, button: str) -> None:
        figure(name).get_by_role("button", name=button, exact=True).click()

    press("playground", "Next token")
    figure("playground").locator(".piece.model").first.wait_for()
    yield row("loaded before the first use", before / 1e6, 0, "MB")
    yield row("loaded by the first use of the model", sum(sizes.values()) / 1e6, 3.5, "MB")
    page.evaluate(WATCH)
    press("playground", "Whole story")
    page.wait_for_timeout(5000)  # who polls the page works in its thread, too
    yield row("main thread's longest task, generating", page.evaluate("longest"), 50, "ms")
    press("train", "Train")
    figure("train").get_by_text("step 0,").wait_for()
    page.evaluate("window.longest = 0")
    page.wait_for_timeout(5000)
    yield row("main thread's longest task, training", page.evaluate("longest"), 50, "ms")
    press("train", "Pause")
    yield row("requests that leave the site", len(outside), 0, "")
    page.close()


def show(found: dict[str, Any]) -> None:
    under = found["unit"] == "ms" and not found["value"]
    value = "< 50" if under else f"{found['value']:.3g}"
    goal = f"goal {'≤' if found['lower'] else '≥'} {found['goal']:g}"
    print(
        f"{found['work']:56} {value:>8} {found['unit']:9} {goal:12} "
        f"{'met' if found['met'] else 'MISSED'}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ship", action="store_true", help="also write the package's copy")
    ship = parser.parse_args().ship
    chromium = next(filter(None, map(shutil.which, BROWSERS)), None)
    if chromium is None:
        print("no Chromium found: the live figures are not measured")
        return
    from playwright.sync_api import sync_playwright

    rows = []
    with tempfile.TemporaryDirectory() as made, sync_playwright() as play:
        build(Path(made))
        server = serve(Path(made) / "site")
        address = f"http://127.0.0.1:{server.server_address[1]}"
        browser = play.chromium.launch(executable_path=chromium, args=FLAGS)
        version = browser.version
        print(f"{harness.machine()}; Chromium {version}")
        for found in ([code()], visit(browser, address), speeds(browser, address)):
            for one in found:
                rows.append(one)
                show(one)
        browser.close()
        server.shutdown()
    result = {
        "machine": harness.machine(),
        "browser": f"Chromium {version}",
        "day": datetime.date.today().isoformat(),
        "command": "python -m benchmarks.live",
        "rows": rows,
    }
    write(RESULT, result)
    if ship:
        write(SHIPPED, result)
    print(f"\nwritten to {RESULT.name}; {sum(not one['met'] for one in rows)} goals missed")


if __name__ == "__main__":
    main()
