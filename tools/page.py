"""Build one page alone, for a look while writing: `make page PAGE=chapters/concepts/ngram`.

The page is built in a copy under .make/page/, so that the book's own build is not disturbed. Where
there is a Chromium, screenshots are taken: wide and 390 pixels, light and dark.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# What pages refer to: citations, terms and symbols.
SHARED = ["chapters/appendix/bibliography", "chapters/appendix/glossary"]
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()


def chromium() -> str | None:
    """The browser that tests and screenshots drive."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next(filter(None, map(shutil.which, names)), None)


def build(page: str) -> Path:
    """The built HTML of one page of the book."""
    source = next((p for e in (".ipynb", ".md") if (p := ROOT / (page + e)).exists()), None)
    if source is None:
        sys.exit(f"there is no {page}.ipynb and no {page}.md")
    folder = ROOT / ".make" / "page" / page.replace("/", "-")
    folder.mkdir(parents=True, exist_ok=True)
    pages = [p for p in SHARED if (ROOT / f"{p}.md").exists() and p != page]
    wanted = ["_config.yml", "references.bib", "_static", "assets", str(source.relative_to(ROOT))]
    for name in [*wanted, *(f"{p}.md" for p in pages)]:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target, dirs_exist_ok=True)
        elif (ROOT / name).exists():
            shutil.copy(ROOT / name, target)
    if (glossary := folder / f"{SHARED[1]}.md").exists() and SHARED[1] != page:
        # Alone, its links to the chapters lead nowhere.
        text = re.sub(r" → \{doc\}`[^`]*`", "", glossary.read_text("utf-8"))
        glossary.write_text(text, encoding="utf-8")
    toc = f"format: jb-book\nroot: {page}\n"
    if pages:
        toc += "chapters:\n" + "".join(f"  - file: {p}\n" for p in pages)
    (folder / "_toc.yml").write_text(toc)
    book = Path(sys.executable).with_name("jupyter-book")
    done = subprocess.run([book, "build", "--all", folder])
    html = folder / "_build" / "html" / f"{page}.html"
    if done.returncode or not html.exists():
        sys.exit(done.returncode or 1)
    return html


def screenshots(html: Path) -> None:
    """Four pictures beside the built site: wide and narrow, light and dark."""
    browser_path = chromium()
    if browser_path is None:
        print("no Chromium found: no screenshots")
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=browser_path, args=FLAGS)
        for scheme in ("light", "dark"):
            for name, width in (("wide", 1280), ("narrow", 390)):
                view = browser.new_page(
                    viewport={"width": width, "height": 900}, color_scheme=scheme
                )
                view.goto(html.as_uri(), timeout=120_000)  # a busy machine takes its time
                view.evaluate(f"document.documentElement.dataset.theme = '{scheme}'")
                view.wait_for_timeout(1500)
                out = html.parents[len(html.relative_to(ROOT / ".make" / "page").parts) - 2]
                shot = out / f"{name}-{scheme}.png"
                # Chromium paints black beyond 16,384 pixels: long pages come in pieces.
                height = view.evaluate("document.documentElement.scrollHeight")
                for k, top in enumerate(range(0, height, 3000)):
                    clip = {"x": 0, "y": top, "width": width, "height": min(3000, height - top)}
                    piece = shot if height <= 3000 else shot.with_stem(f"{shot.stem}-{k}")
                    view.screenshot(path=piece, clip=clip, full_page=True)
                    print(piece.relative_to(ROOT))
                view.close()
        browser.close()


if __name__ == "__main__":
    os.chdir(ROOT)
    built = build(sys.argv[1].removesuffix(".ipynb").removesuffix(".md").rstrip("/"))
    if "--no-shots" not in sys.argv:
        screenshots(built)
    print(f"The page is at {built.relative_to(ROOT)}")
