"""Laws of the built book, seen as readers see it: in a browser, wide and narrow, light and dark.

The book is built by `make book`. Pages are served from a sub-path, as many sites do, and every
request that leaves the site fails the test.
"""

import http.server
import re
import shutil
import threading
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "_build" / "html"
FURNITURE = {"index.html", "genindex.html", "search.html", "py-modindex.html", "prf-prf.html"}
THEMES = ("search.html", "genindex.html")  # pages that the theme makes
PAGES = sorted(
    str(p.relative_to(SITE))
    for p in SITE.rglob("*.html")
    if "_static" not in p.parts and "reports" not in p.parts and p.name not in FURNITURE
)
CHROMIUM = next(
    filter(
        None,
        map(
            shutil.which, ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
        ),
    ),
    None,
)
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()

pytestmark = pytest.mark.skipif(not PAGES, reason="the book is not built: run 'make book'")
browsing = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium found: pages are not seen in a browser"
)
pages = pytest.mark.parametrize("page", PAGES)


class Page(HTMLParser):
    """Ids, links, headings and images of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.article = False
        self.h1 = 0
        self.no_alt: list[str] = []
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if "id" in given:
            self.ids.add(given["id"])
        if tag == "a" and given.get("name"):
            self.ids.add(given["name"])
        for attribute in ("href", "src"):
            if given.get(attribute):
                self.links.append(given[attribute])
        self.article |= tag == "article"  # before it stands a second heading, for print alone
        self.h1 += tag == "h1" and self.article
        if tag == "img" and not given.get("alt"):
            self.no_alt.append(given.get("src", "?"))


@pytest.fixture(scope="module")
def parsed():
    return {page: Page(SITE / page) for page in PAGES}


def test_every_page_of_the_contents_is_there():
    wanted = re.findall(r"(?:file|root): (\S+)", (ROOT / "_toc.yml").read_text("utf-8"))
    assert len(wanted) > 20
    assert not {f"{page}.html" for page in wanted} - set(PAGES)


@pages
def test_one_heading_and_words_for_every_image(page, parsed):
    assert parsed[page].h1 == 1
    assert not parsed[page].no_alt, "images without alternative text"


def test_the_sites_address_leads_to_the_first_page():
    assert "url=intro.html" in (SITE / "index.html").read_text("utf-8")


@pages
def test_links_inside_the_book_lead_somewhere(page, parsed):
    for link in parsed[page].links:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc or link.startswith("#top"):
            continue
        target = (SITE / page).parent / unquote(parts.path) if parts.path else SITE / page
        target = target.resolve()
        assert target.exists(), f"{link} leads nowhere"
        if parts.fragment and target.suffix == ".html":
            key = str(target.relative_to(SITE.resolve()))
            ids = parsed[key].ids if key in parsed else Page(target).ids
            assert unquote(parts.fragment) in ids, f"{link}: no such place on that page"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    (folder / "a").mkdir()
    (folder / "a" / "course").symlink_to(SITE, target_is_directory=True)
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Quiet, directory=str(folder))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/a/course"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        launched = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield launched
        launched.close()


class Visit:
    """One page in one window, with every complaint it makes on the way."""

    def __init__(self, browser, url: str, width: int, scheme: str) -> None:
        self.complaints: list[str] = []
        home = f"{urlsplit(url).scheme}://{urlsplit(url).netloc}"
        self.page = browser.new_page(
            viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True
        )
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on(
            "requestfailed", lambda r: self.complaints.append(f"failed: {r.url} {r.failure}")
        )

        def gate(route):
            if route.request.url.startswith((home, "data:", "blob:", "file:")):
                route.continue_()
            else:
                self.complaints.append(f"left the site: {route.request.url}")
                route.abort()

        self.page.route("**/*", gate)
        self.page.goto(url, wait_until="load")
        self.page.evaluate(f"document.documentElement.dataset.theme = '{scheme}'")
        # Mathematics is drawn after the page has loaded.
        self.page.evaluate("window.MathJax?.startup?.promise ?? null")
        self.page.wait_for_load_state("networkidle")

    def _console(self, message):
        if message.type == "error":
            self.complaints.append(f"console: {message.text}")

    def overflow(self) -> list[str]:
        """What reaches beyond the right edge, were the page to scroll sideways."""
        return self.page.evaluate("""() => {
          const width = document.documentElement.clientWidth;
          const clips = e => /auto|scroll|hidden/.test(getComputedStyle(e).overflowX);
          const clipped = e => {
            while ((e = e.parentElement) && e !== document.body) if (clips(e)) return true;
            return false;
          };
          return [...document.querySelectorAll('main *')]
            .filter(e => e.getBoundingClientRect().right > width + 1 && !clipped(e))
            .slice(0, 5).map(e => e.outerHTML.slice(0, 120));
        }""")


@browsing
@pages
@pytest.mark.parametrize("width", [1280, 390])
def test_a_page_keeps_to_itself_and_to_its_width(browser, address, page, width):
    visit = Visit(browser, f"{address}/{page}", width, "light")
    try:
        assert not visit.complaints
        formulas = visit.page.locator(".math").count()
        drawn = visit.page.locator(".math mjx-container").count()
        assert drawn >= formulas, f"{formulas - drawn} of {formulas} formulas were not drawn"
        assert visit.page.locator("mjx-merror").count() == 0, "a formula has an error"
        if width == 390:
            assert visit.page.evaluate(
                "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
            ), visit.overflow()
    finally:
        visit.page.close()


@browsing
@pytest.mark.parametrize("page", [*PAGES, *(p for p in THEMES if (SITE / p).exists())])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_is_accessible(browser, address, page, scheme):
    axe = pytest.importorskip("axe_playwright_python.base", reason="axe is not installed")
    visit = Visit(browser, f"{address}/{page}", 1280, scheme)
    try:
        visit.page.evaluate(axe.AXE_SCRIPT)
        found = visit.page.evaluate(
            "axe.run(document, {resultTypes: ['violations']}).then(r => r.violations)"
        )
        bad = [
            f"{v['id']}: {v['help']}: {node['html'][:160]} {node.get('failureSummary', '')[:200]}"
            for v in found
            if v["impact"] in ("serious", "critical")
            for node in v["nodes"][:3]
        ]
        assert not bad, "\n".join(bad)
    finally:
        visit.page.close()


@browsing
@pytest.mark.parametrize("page", [p for p in PAGES if p.startswith("chapters")][:2])
def test_a_page_opens_from_a_folder(browser, page):
    visit = Visit(browser, (SITE / page).as_uri(), 1280, "light")
    try:
        # The theme preloads its icon fonts across origins, which a folder has none of; they load
        # from its style sheet all the same.
        hints = ("/fontawesome/", "Failed to load resource: net::ERR_FAILED")
        assert not [c for c in visit.complaints if not any(hint in c for hint in hints)]
        assert visit.page.locator("article h1").is_visible()
        fonts = "[...document.fonts].filter(f => f.status == 'loaded').map(f => f.family)"
        assert {"Course Serif", "Font Awesome 6 Free"} <= set(visit.page.evaluate(fonts))
    finally:
        visit.page.close()


@browsing
def test_search_finds_a_word_of_the_book(browser, address):
    visit = Visit(browser, f"{address}/search.html?q=entropy", 1280, "light")
    try:
        visit.page.wait_for_selector("#search-results li", timeout=30_000)
        assert not visit.complaints
    finally:
        visit.page.close()
