"""Laws of the live figures, in a real browser: numbers equal the package's, and a page stays well.

A small page with every figure is built here, so the book itself is not needed.
"""

import base64
import http.server
import importlib.util
import io
import json
import math
import random
import shutil
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import regex
import torch
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils

from llmcourse import checkpoint, models, plots, tales, widgets
from llmcourse.autograd import Value, topological
from llmcourse.filters import Sampling
from llmcourse.gpt import GPT, GPTConfig, KVCache
from llmcourse.tokenizers import BPE, GPT2_PATTERN
from llmcourse.widgets import assets, reference, stills

ROOT = Path(__file__).resolve().parents[1]
WEB = ROOT / "web"
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
browsing = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium found: live figures are not seen in a browser"
)
FIGURES = assets.figures()
HOSTILE = "<script>window.bad = 1</script><img src=x onerror='window.bad = 2'>"
CAPTION = "What it shows."


# What ships is what the sources give.


def test_the_built_modules_are_those_of_the_sources(tmp_path):
    node, esbuild = shutil.which("node"), WEB / "node_modules" / "esbuild"
    if node is None:
        pytest.skip("node is not installed: the live figures are not built anew")
    if not esbuild.is_dir():
        pytest.skip("esbuild is not installed: 'make web' installs it, by npm, into web/")
    subprocess.run([node, WEB / "build.mjs", tmp_path], check=True)
    built = {p.name for p in tmp_path.iterdir()}
    shipped = {p.name: p for p in assets.STATIC.iterdir() if p.name != "live.css"}
    shipped["llmcourse-quiz.js"] = ROOT / "llmcourse" / "static" / "llmcourse-quiz.js"
    assert built == shipped.keys(), "run 'make web'"
    for name in sorted(built):
        same = (tmp_path / name).read_bytes() == shipped[name].read_bytes()
        assert same, f"{name} is not what its sources give: run 'make web'"


def test_the_sources_have_no_type_errors():
    tsc = WEB / "node_modules" / "typescript" / "bin" / "tsc"
    if shutil.which("node") is None or not tsc.is_file():
        pytest.skip("TypeScript is not installed: 'make web' installs it, by npm, into web/")
    done = subprocess.run(["node", tsc, "-p", WEB], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_sizes_of_code_and_weights():
    import gzip

    live = (assets.STATIC / "live.js").read_bytes()
    size = {n: len(gzip.compress(assets.module(n).encode())) for n in FIGURES}
    for chapter in (ROOT / "chapters").rglob("*.ipynb"):
        placed = regex.findall(r"```{live} (\w+)", chapter.read_text("utf-8"))
        code = sum(size[name] for name in set(placed)) + len(gzip.compress(live))
        assert code <= 60_000, f"{chapter.name}: {placed}"
    loaded = sum(len(assets.asset(name)[0]) for name in assets.NAMES) * 4 / 3
    assert loaded <= 3_500_000, "what the first use loads, as base64"


def test_colours_are_those_of_the_plots():
    css = (assets.STATIC / "live.css").read_text("utf-8")
    light, dark = css.split('html[data-theme="dark"]')
    for name, (day, night) in plots._PALETTE.items():
        assert f"--lc-{name}: {day};" in light
        assert f"--lc-{name}: {night};" in dark


# The Python face.


def test_an_unknown_figure_is_named(monkeypatch):
    with pytest.raises(ValueError, match="playground"):
        widgets.show("playgroud")
    with pytest.raises(ValueError, match="playground"):
        stills.still("playgroud")


def test_without_anywidget_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "anywidget", None)
    with pytest.raises(ImportError, match=r"pip install 'llmcourse\[live\]'"):
        widgets.show("playground")


def test_a_kernel_answers_with_the_same_files():
    message, (data,) = widgets.answer({"want": "bpe.json"})
    assert (data, message["crc"]) == assets.asset("bpe.json")
    assert message["size"] == len(data)
    message, buffers = widgets.answer({"want": "../secrets"})
    assert "secrets" in message["error"] and not buffers


@pytest.mark.skipif(not importlib.util.find_spec("anywidget"), reason="anywidget is not installed")
def test_a_notebook_shows_the_same_module():
    widget = widgets.show("playground", language="zh")
    assert widget.options == {"language": "zh"}
    assert widget._esm == assets.module("playground")


def test_the_generator_is_splitmix32():
    # Murmur3's finaliser has known values: 0 stays 0, and 1 gives 0x514E28B7.
    assert reference._mix(0) == 0 and reference._mix(1) == 0x514E28B7
    numbers = [reference.uniform(7, place) for place in range(4000)]
    assert abs(sum(numbers) / len(numbers) - 0.5) < 0.02
    assert len(set(numbers)) == len(numbers)


# A page.


class Site(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def build(source, out, builder):
    """Build a folder of pages here and now; the complaints."""
    complaints = io.StringIO()
    with patch_docutils(), docutils_namespace():
        app = Sphinx(
            source, source, out, out.with_suffix(".trees"), builder,
            status=None, warning=complaints, freshenv=True,
        )  # fmt: skip
        app.build()
    return complaints.getvalue()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A page with every figure, one beneath the other, in a folder of a folder."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    (source / "conf.py").write_text(
        "project = 'Live'\n"
        "extensions = ['myst_parser', 'llmcourse.widgets.live']\n"
        "html_theme = 'sphinx_book_theme'\n"
        f"html_static_path = [{str(ROOT / '_static')!r}]\n"
        "html_css_files = ['course.css']\n"
        "html_context = {'default_mode': 'auto'}\n",
        encoding="utf-8",
    )
    figures = "\n".join(f"```{{live}} {name}\n{CAPTION}\n```\n" for name in FIGURES)
    (source / "pages").mkdir()
    (source / "index.md").write_text("# Contents\n\n```{toctree}\npages/live\n```\n", "utf-8")
    (source / "pages" / "live.md").write_text(f"# Live\n\nProse.\n\n{figures}\nMore.\n", "utf-8")
    assert not build(source, out / "a" / "course", "html")
    shutil.copy(assets.STATIC / "runtime.mjs", out)
    for name in assets.NAMES:
        (out / name).write_bytes(assets.asset(name)[0])
    (out / "empty.html").write_text("<!doctype html><title>empty</title>", "utf-8")
    return out


@pytest.fixture(scope="module")
def address(site):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Site, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        launched = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield launched
        launched.close()


PAGE = "/a/course/pages/live.html"


class Visit:
    """The page in one window, with every complaint it makes and every file it asks for."""

    def __init__(self, browser, url, width=1280, scheme="light", spoil=None, **given):
        self.complaints, self.asked = [], []
        self.spoil = spoil  # a function of a file's name: what is served in its place, or None
        home = f"{urlsplit(url).scheme}://{urlsplit(url).netloc}"
        self.context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, **given
        )
        self.page = page = self.context.new_page()
        page.set_default_timeout(30_000)  # a busy machine takes its time
        page.on(
            "console",
            lambda m: (
                m.type == "error"
                and self.complaints.append(f"{m.text} {m.location.get('url', '')}")
            ),
        )
        page.on("pageerror", lambda e: self.complaints.append(f"error: {e}"))

        def gate(route):
            self.asked.append(url := route.request.url)
            if not url.startswith((home, "data:", "blob:", "file:")):
                self.complaints.append(f"left the site: {url}")
                return route.abort()
            served = self.spoil(urlsplit(url).path.rsplit("/", 1)[-1]) if self.spoil else None
            if served is None:
                return route.continue_()
            return route.fulfill(body=served, content_type="text/javascript")

        page.route("**/*", gate)
        page.goto(url, wait_until="load")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.context.close()

    def live(self):
        for n in range(len(FIGURES)):
            self.page.wait_for_selector(f"lc-live[data-state=live] >> nth={n}")
        return self

    def figure(self, name):
        return self.page.locator(f"lc-live[data-figure={name}]")

    def lens(self):
        """The token lens, in view: then it loads its vocabulary."""
        figure = self.figure("tokens")
        figure.scroll_into_view_if_needed()
        figure.get_by_text("bytes each").nth(2).wait_for()
        return figure

    def button(self, figure, name):
        return self.figure(figure).get_by_role("button", name=name, exact=True)


@pytest.fixture(scope="module")
def bench(browser, address):
    """A page that holds the runtime, with an engine that has the package's weights."""
    with Visit(browser, f"{address}/empty.html") as visit:
        visit.page.evaluate("""async () => {
          const get = async (name) => (await fetch(name)).arrayBuffer();
          const text = async (name) => JSON.parse(new TextDecoder().decode(await get(name)));
          window.live = await import("./runtime.mjs");
          window.engine = new live.Engine(await get("model.safetensors"), await text("tales.json"));
          window.bpe = new live.BPE(await text("bpe.json"));
        }""")
        yield visit.page
        assert not visit.complaints


@pytest.fixture(scope="module")
def shipped():
    return models.load("tales")


def stories():
    return [
        *tales.generate(seed=5, n=3, split="test"),
        *(s.translate("zh") for s in tales.generate(seed=6, n=3, split="test")),
    ]


# Equal to the package.


@browsing
@torch.no_grad()
def test_logits_equal_the_packages(bench, shipped):
    model, tokenizer = shipped
    for story in (stories()[0], stories()[-1]):
        ids = tokenizer.encode_story(story)
        ours = torch.tensor(bench.evaluate("ids => engine.allLogits({ids})", ids))
        torch.testing.assert_close(ours, model(torch.tensor([ids]))[0][0], atol=1e-4, rtol=0)


@browsing
@torch.no_grad()
def test_a_cache_that_is_cut_back_gives_the_same_logits(bench, shipped):
    model, tokenizer = shipped
    ids = tokenizer.encode_story(stories()[0])[:30]
    for cut in (ids, ids[:12], [*ids[:12], ids[3], ids[4]], ids[:1]):
        ours = torch.tensor(bench.evaluate("ids => Array.from(engine.logits(ids))", cut))
        theirs = model(torch.tensor([cut]))[0][0, -1]
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)


@browsing
def test_the_true_distribution_equals_the_packages(bench, shipped):
    _, tokenizer = shipped
    for story in stories():
        ids = tokenizer.encode_story(story)[1:]
        asked = {"language": story.language, "ids": ids}
        found = bench.evaluate(
            """({language, ids}) => ids.map((_, i) =>
                 engine.trueNext({language, ids: ids.slice(0, i)}).next)""",
            asked,
        )
        for i, row in enumerate(found):
            truth = tales.next_distribution(story.tokens[:i], story.language)
            assert dict(row) == pytest.approx(truth, abs=1e-12)
        assert bench.evaluate("asked => engine.trueNext(asked)", asked) == {
            "next": [],
            "offAt": None,
        }


@browsing
def test_what_is_no_tale_is_found_where_the_package_finds_it(bench, shipped):
    _, tokenizer = shipped
    story = stories()[0]
    ids = tokenizer.encode_tokens(story.tokens)
    chance = random.Random(0)
    for _ in range(20):
        place, other = chance.randrange(len(ids)), chance.choice(ids)
        tokens = [*story.tokens[:place], *tokenizer.decode([other]).lower().split()[:1]]
        if not set(tokens) <= set(tales.terminals("en")):
            continue
        broken = tokenizer.encode_tokens(tokens)
        off = bench.evaluate("ids => engine.trueNext({language: 'en', ids}).offAt", broken)
        try:
            tales.next_distribution(tokens)
            assert off is None
        except tales.NotATale as error:
            assert str(error).startswith(f"token {off}:")


def corpus(n=300):
    """Texts of words of the tales, of many scripts, and of what breaks tokenizers."""
    chance = random.Random(9)
    parts = [
        *tales.terminals("en")[::7],
        *tales.terminals("zh")[::7],
        *("She", " ran", ". ", ", ", "“", "”", "!", "\n", " ", "  ", "\t", "\r\n", "'s", "'LL"),
        *("naïve", "e\u0301", "ḍ̇", "ß", "ﬁ", "Ω", "жук", "שלום", "مرحبا", "हिन्दी", "ไทย", "한국어"),
        *("👩‍🚀", "🇨🇳", "👍🏽", "\u200d", "\ufe0f", "\u0000", "\x1c", "\x1f", "\x7f", "\x85"),
        *("\u00a0", "\u2028", "\u3000", "\ufeff", "\u200b", "①", "٣", "Ⅷ", "²", "12345", "_"),
        *("<|end|>", "<script>", "𝔘", "𠮷", "\U0010ffff", "\ue000"),
    ]
    texts = ["".join(chance.choices(parts, k=chance.randrange(1, 12))) for _ in range(n)]
    return ["", *texts, *(s.text for s in stories()), "a" * 3000, " " * 3000]


@browsing
def test_ids_equal_the_packages(bench, shipped):
    texts = corpus()
    ours = bench.evaluate("texts => texts.map(text => engine.tokenizer.encode(text))", texts)
    for text, ids in zip(texts, ours, strict=True):
        assert ids == shipped[1].encode(text), repr(text)
    _, bpe = models.load("gpt2-mini")
    ours = bench.evaluate("texts => texts.map(text => bpe.encode(text))", texts)
    for text, ids in zip(texts, ours, strict=True):
        assert ids == bpe.encode(text), repr(text)
    words = bench.evaluate("texts => texts.map(live.split)", texts)
    assert words == [regex.findall(GPT2_PATTERN, text) for text in texts]


@browsing
def test_half_a_character_is_refused_as_in_the_package(bench, shipped):
    with pytest.raises(ValueError):
        shipped[1].encode("a\ud800")
    tried = (
        r"""() => { try { engine.tokenizer.encode('a\ud800') } catch (e) { return e.message } }"""
    )
    assert "lone surrogate" in bench.evaluate(tried)


@browsing
def test_text_of_ids_equals_the_packages(bench, shipped):
    _, tokenizer = shipped
    for story in stories():
        ids = tokenizer.encode_story(story)[1:-1]
        pieces = bench.evaluate("ids => engine.tokenizer.pieces(ids)", ids)
        assert "".join(pieces) == story.text


@browsing
@pytest.mark.parametrize(
    "text",
    ["low lower lowest newest widest", "aaaa aaa aa", "词元 词 元元 词元词", "é e\u0301 é\n  x  "],
)
def test_the_stepper_learns_the_packages_merges(bench, text):
    with pytest.warns(UserWarning, match="stopped"):
        theirs = BPE.train(text, vocab_size=400)
    ours = bench.evaluate(
        """text => { const out = []; let s = live.begin(text);
             while (s.pairs.length) { out.push([s.pairs[0].a, s.pairs[0].b]); s = live.learn(s); }
             return out; }""",
        text,
    )
    merges = [
        [theirs.token_bytes(a).decode("latin-1"), theirs.token_bytes(b).decode("latin-1")]
        for a, b in theirs.merges
    ]
    assert ours == merges


CHOICES = [
    {},
    {"temperature": 0.7},
    {"temperature": 1.4, "top_k": 20},
    {"top_p": 0.9},
    {"temperature": 0},
]


@browsing
@pytest.mark.parametrize("choice", CHOICES, ids=str)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_same_seed_tells_the_same_story(bench, shipped, language, choice):
    model, tokenizer = shipped
    start, stop = (tokenizer.special_tokens[x] for x in (f"<|{language}|>", "<|end|>"))
    theirs = reference.generate(
        model, start, [], seed=3, most=30, stop=stop, sampling=Sampling(**choice)
    )
    asked = {
        "language": language,
        "ids": [],
        "seed": 3,
        "most": 30,
        "choice": {
            "temperature": choice.get("temperature", 1),
            "topK": choice.get("top_k", 0),
            "topP": choice.get("top_p", 1),
        },
    }
    assert bench.evaluate("asked => engine.generate(asked).ids", asked) == theirs


@browsing
def test_filters_equal_the_packages(bench):
    chance = torch.Generator().manual_seed(0)
    for choice in (*CHOICES, {"temperature": 0.3, "top_k": 5, "top_p": 0.5}, {"top_k": 2}):
        logits = torch.randn(50, generator=chance, dtype=torch.float64)
        logits[10:20] = logits[10]  # equals
        ours = bench.evaluate(
            "([z, c]) => Array.from(live.stages(z, c).p)",
            [
                logits.tolist(),
                {
                    "temperature": choice.get("temperature", 1),
                    "topK": choice.get("top_k", 0),
                    "topP": choice.get("top_p", 1),
                },
            ],
        )
        theirs = Sampling(**choice).probabilities(logits)
        torch.testing.assert_close(torch.tensor(ours, dtype=torch.float64), theirs)


@browsing
def test_nonsense_settings_are_refused_with_rule_and_value(bench):
    for given, rule in (
        ({"temperature": -1, "topK": 0, "topP": 1}, "temperature must be .* got -1"),
        ({"temperature": 1, "topK": 1.5, "topP": 1}, "top-k must be .* got 1.5"),
        ({"temperature": 1, "topK": 0, "topP": 0}, "top-p must be .* got 0"),
    ):
        with pytest.raises(Exception, match=rule):
            bench.evaluate("c => live.stages([1, 2], c)", given)


# Backpropagation, equal to autograd.


def package(text, values):
    """The same expression by the package: the result's Value and the variables."""
    names = {name: Value(x, name) for name, x in values.items()}
    plain = {"exp": math.exp, "log": math.log, "tanh": math.tanh, "relu": lambda x: max(x, 0.0)}
    calls = {
        name: lambda v, name=name, of=of: getattr(v, name)() if isinstance(v, Value) else of(v)
        for name, of in plain.items()
    }
    *given, last = text.replace("^", "**").split(";")
    for line in given:
        exec(line.strip(), calls, names)  # the test's own text
    return eval(last.strip(), calls, names), {n: names[n] for n in values}


def expression(chance, depth=0):
    """A random expression whose every result is finite and tame."""
    kind = chance.choice("nnnaasmmdpt" if depth < 4 else "n")
    inner = lambda: expression(chance, depth + 1)  # noqa: E731
    return {
        "n": lambda: chance.choice(["a", "b", "c", "d", "2", "0.5"]),
        "a": lambda: f"({inner()} + {inner()})",
        "s": lambda: f"({inner()} - {inner()})",
        "m": lambda: f"{inner()} * {inner()}" if depth else f"({inner()}) * {inner()}",
        "d": lambda: f"({inner()}) / ({inner()} + 40)",
        "p": lambda: f"({inner()})^{chance.choice([2, 3])}",
        "t": lambda: f"{chance.choice(['tanh', 'relu'])}(-{inner()})",
    }[kind]()


GRAPHS = [
    "(tanh(w*x + b) - y)^2",
    "s = x*x; s * tanh(s)",
    "log(exp(x) + exp(w)) - x",
    "-x^2 / 3 - 2^3 * w + relu(b) * (y - 1)^-1 + exp(-(x*x))",
    "3 - x",
]


@browsing
def test_values_and_gradients_equal_autograds(bench):
    chance = random.Random(0)
    asked = [(text, {"w": 0.8, "x": 1.5, "b": -0.4, "y": 2.5}) for text in GRAPHS]
    while len(asked) < 60:
        text = "e = " + expression(chance) + "; e*e + a*b"
        asked.append((text, {n: round(chance.uniform(-2, 2), 2) for n in "abcd"}))
    found = bench.evaluate(
        """asked => asked.map(([text, values]) => {
             const graph = live.parse(text, name => values[name]);
             const grads = live.backward(graph).at(-1).after;
             return { data: graph.order.map(n => n.data), grad: graph.order.map(n => grads.get(n)),
                      leaves: graph.leaves.map(n => [n.name, grads.get(n)]) }; })""",
        [[text.replace("e*e", "e * e"), values] for text, values in asked],
    )
    for (text, values), ours in zip(asked, found, strict=True):
        root, leaves = package(text, values)
        root.backward()
        order = topological(root)
        assert ours["data"] == pytest.approx([v.data for v in order], rel=1e-12), text
        assert ours["grad"] == pytest.approx([v.grad for v in order], rel=1e-12, abs=1e-300), text
        for name, grad in ours["leaves"]:
            step = 1e-6
            up, down = (
                package(text, {**values, name: values[name] + d})[0].data for d in (step, -step)
            )
            assert grad == pytest.approx((up - down) / (2 * step), rel=1e-3, abs=1e-3), text
            assert grad == pytest.approx(leaves[name].grad, rel=1e-12)


@browsing
@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "no expression"),
        ("2 + 3", "nothing is computed of a variable"),
        ("w * (x + b", "“)” is missing, for the “(” at character 5"),
        ("w * * x", "at character 5: “*” stands where"),
        ("sin(x)", "“sin” is no function here"),
        ("x ^ w", "an exponent is a number"),
        ("log(-x * x)", "log needs a number above 0, got −1"),
        ("x / (x - 1)", "division by zero"),
        ("exp(800 * x)", "exp overflows"),
        ("x.constructor", "“.” has no meaning"),
        ("x = 1; x = 2", "x has a value already"),
        ("(" * 200 + "x" + ")" * 200, "nested too deep"),
        ("+".join("x" * 60), "more than 40 operations"),
        ("a+b+c+d+e+f+g+h+i", "more than 8 variables"),
    ],
)
def test_what_is_no_expression_is_named_with_its_place(bench, text, wrong):
    tried = "text => { try { live.parse(text, () => 1) } catch (e) { return e.message } }"
    assert wrong in (bench.evaluate(tried, text) or "it was read")


@browsing
def test_a_gradient_is_predicted_and_diagnosed(browser, address):
    """x*x tanh(x*x): the node that is used twice gets two contributions, and they add."""
    _, leaves = package("s = x*x; s * tanh(s)", {"x": 0.9})
    with Visit(browser, address + PAGE).live() as visit:
        figure = visit.figure("backprop")
        visit.button("backprop", "used twice").click()
        figure.get_by_label("let me predict").focus()
        visit.page.keyboard.press("Space")
        figure.get_by_role("button", name="Next step").focus()
        for _ in range(4):
            visit.page.keyboard.press("Enter")
        status, field = figure.get_by_role("status"), figure.locator(".asked input")
        for answer, told in (
            ("0.67", "is the local derivative|Right|it is what|It is"),
            ("0.4555", "they add"),
            ("-2.01", "the sign is the other"),
        ):
            assert not field.is_disabled()
            field.fill(answer)
            field.press("Enter")
            assert regex.search(told, status.inner_text()), (answer, status.inner_text())
        root, leaves = package("s = x*x; s * tanh(s)", {"x": 0.9})
        root.backward()
        grad, nudge = (
            figure.locator("td.grad").inner_text(),
            figure.locator("td.nudge").inner_text(),
        )
        assert grad == nudge == f"{leaves['x'].grad:.4g}"
        figure.locator("input.mono").fill("w * (")
        assert "ends too early" in status.inner_text()
        assert not visit.complaints


# Attention and ablation, equal to the package's.


@torch.no_grad()
def experiment(model, ids, off=(), lent=None):
    """Next-token probabilities when heads are silent, or say what they say in other ids."""
    K = model.config.head_width
    said = {}
    hooks = []

    def listen(layer):
        return lambda _, args: said.update({layer: args[0].clone()})

    def speak(layer):
        def change(_, args):
            x = args[0].clone()
            for n, head in off:
                if n == layer:
                    x[..., head * K : (head + 1) * K] = 0
            for n, head in lent[1] if lent else ():
                if n == layer:
                    x[..., head * K : (head + 1) * K] = said[n][..., head * K : (head + 1) * K]
            return (x,)

        return change

    try:
        if lent:
            hooks = [
                b.attention.o.register_forward_pre_hook(listen(n))
                for n, b in enumerate(model.blocks)
            ]
            model(torch.tensor([lent[0]]))
            for hook in hooks:
                hook.remove()
        hooks = [
            b.attention.o.register_forward_pre_hook(speak(n)) for n, b in enumerate(model.blocks)
        ]
        return model(torch.tensor([ids]))[0][0, -1].double().softmax(-1)
    finally:
        for hook in hooks:
            hook.remove()


@browsing
@torch.no_grad()
def test_attention_and_experiments_equal_the_packages(bench, shipped):
    model, tokenizer = shipped
    start = tokenizer.special_tokens["<|en|>"]
    ids = tokenizer.encode(stills.RECALL)
    other = tokenizer.encode(stills.OTHER)
    run = """asked => { const r = engine.experiment(asked);
      return { ...r, attention: r.attention.map(h => h.map(row => Array.from(row))) }; }"""
    asked = {"language": "en", "ids": ids, "top": 1209}
    plain = bench.evaluate(run, asked)
    trace = model.trace(torch.tensor([[start, *ids]])).attention[:, 0].flatten(0, 1)
    for rows, theirs in zip(plain["attention"], trace, strict=True):
        for t, row in enumerate(rows):
            assert len(row) == t + 1, "nothing later is looked at"
            assert sum(row) == pytest.approx(1, abs=1e-5)
            row = torch.tensor(row, dtype=torch.float32)
            torch.testing.assert_close(row, theirs[t, : t + 1], atol=1e-4, rtol=0)
    assert plain["distance"] == 0
    for given, theirs in (
        ({}, experiment(model, [start, *ids])),
        ({"off": [[2, 1], [0, 3]]}, experiment(model, [start, *ids], off=[(2, 1), (0, 3)])),
        (
            {"from": [[2, 1]], "other": other},
            experiment(model, [start, *ids], lent=([start, *other], [(2, 1)])),
        ),
    ):
        found = bench.evaluate(run, {**asked, **given})["next"]
        ours = torch.zeros(len(theirs), dtype=torch.float64)
        for c in found:
            ours[c["id"]] = c["changed"]
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-3)
    with pytest.raises(Exception, match="as many tokens"):
        bench.evaluate(run, {**asked, "from": [[2, 1]], "other": other[:-1]})


@browsing
def test_a_head_is_silenced_by_keyboard(browser, address):
    with Visit(browser, address + PAGE).live() as visit:
        figure, press = visit.figure("attention"), visit.page.keyboard.press
        visit.button("attention", "Read the text").focus()
        press("Enter")
        figure.locator("canvas").nth(11).wait_for()
        figure.locator(".cell[tabindex='0']").focus()
        press("ArrowRight")
        assert figure.locator(".cell.here").get_attribute("aria-label") == "head 2.1, as it is"
        figure.get_by_label("as it is", exact=True).focus()
        press("ArrowRight")
        figure.get_by_text("The change costs").wait_for()
        assert figure.locator(".cell.off").count() == 1
        press("ArrowRight")
        figure.locator(".cell.from").wait_for()
        figure.locator("textarea").nth(1).fill("Too short.")
        figure.get_by_text("the other text must have as many tokens").wait_for()
        figure.locator(".text button[tabindex='0']").focus()
        press("Home")
        figure.get_by_text("from the framed word").wait_for()
        assert not visit.complaints


# The cache and what tokens cost, equal to the package's.

FORMS = [(3, 192, 4, 4, 512, 1209), (2, 64, 8, 2, 176, 1000), (80, 8192, 64, 8, 28672, 128256)]


@browsing
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_costs_equal_the_packages(bench, form):
    names = ("layers", "width", "heads", "groups", "hidden", "vocabulary")
    told = dict(zip(names, form, strict=True))
    renamed = {"groups": "kv_heads", "vocabulary": "vocab_size"}
    config = GPTConfig(**{renamed.get(k, k): v for k, v in told.items()}, context=8192)
    for T in (1, 7, 60):
        ours = bench.evaluate("([form, T]) => live.cost(form, T)", [told, T])
        each = [config.flops_per_token(t) // 2 for t in range(1, T + 1)]  # two to a multiply-add
        spared = config.width * config.vocab_size  # one row alone is unembedded
        anew = [sum(each[:t]) - (t - 1) * spared for t in range(1, T + 1)]
        assert ours["work"] == {
            "next": each[-1], "anew": anew[-1], "all": sum(each), "allAnew": sum(anew)
        }  # fmt: skip
        assert ours["rows"] == {"next": 1, "anew": T, "all": T, "allAnew": T * (T + 1) // 2}
        if form[0] < 10:
            cache = KVCache(config, length=T)
            assert ours["held"] * T == cache.keys.numel() + cache.values.numel()
            model = GPT(config)
            assert ours["weights"] == sum(p.numel() for p in model.parameters() if p.ndim == 2)
    widths = (64, 100, 192, 320, 768, 4096)
    theirs = [GPTConfig(vocab_size=9, context=9, width=w, heads=1).hidden for w in widths]
    assert bench.evaluate("widths => widths.map(w => live.gated(w))", widths) == theirs


@browsing
@torch.no_grad()
def test_work_with_and_without_a_cache_is_counted(bench, shipped):
    model, tokenizer = shipped
    ids = [tokenizer.special_tokens["<|en|>"], *tokenizer.encode("Once a baker named")]
    each = [model.flops_per_token(t) // 2 for t in range(1, 20)]
    spared = model.config.width * model.config.vocab_size
    bench.evaluate("engine.forget()")
    for step in range(6):
        asked = [{"ids": ids, "cached": True}, {"ids": ids, "cached": False}]
        cached, anew = bench.evaluate("asked => asked.map(a => engine.greedy(a))", asked)
        n = len(ids)
        new = n if step == 0 else 1
        assert (cached["read"], anew["read"]) == (new, n)
        assert cached["work"] == sum(each[n - new : n]) - (new - 1) * spared
        assert anew["work"] == sum(each[:n]) - (n - 1) * spared
        assert cached["id"] == anew["id"] == int(model(torch.tensor([ids]))[0][0, -1].argmax())
        ids.append(cached["id"])


@browsing
def test_costs_are_shown_and_set_by_keyboard(browser, address):
    with Visit(browser, address + PAGE).live() as visit:
        figure, press = visit.figure("cache"), visit.page.keyboard.press
        visit.button("cache", "Ten tokens").focus()
        press("Enter")
        figure.get_by_text("Both ways").wait_for()
        figure.get_by_role("row", name="positions read 14 95").wait_for()
        figure.get_by_role("slider", name="Heads", exact=True).focus()
        press("Home")
        keys = figure.get_by_role("slider", name="Heads with keys")
        assert keys.get_attribute("aria-valuetext") == "1", "no more groups than heads"
        visit.button("cache", "70 billion, grouped").focus()
        press("Enter")
        figure.get_by_text("2 × 80 × 8 × 128 numbers a position").wait_for()
        assert not visit.complaints


# Training in the page, equal to the package's.


@browsing
def test_a_training_run_equals_the_packages(bench):
    text = assets.asset("stories.txt")[0].decode()[:6000]
    found = bench.evaluate(
        """text => {
             const t = new live.Trainer(text, { seed: 3 });
             const weights = [...t.weights].map(([k, w]) => [k, Array.from(w)]);
             const starts = Array.from({ length: 14 }, (_, i) => t.starts(i));
             const runs = starts.map(() => t.train({ lr: 0.01, clip: 1, warmup: 5 }));
             const first = new live.Trainer(text, { seed: 3 });
             first.train({ lr: 0, clip: 0, warmup: 1 });
             const grads = [...first.grads].map(([k, g]) => [k, Array.from(g)]);
             return { ids: t.ids, starts, weights, grads, losses: runs.map(r => r.loss),
                      norms: runs.map(r => r.norm), vocabulary: t.vocabulary, shape: t.shape,
                      size: t.size }; }""",
        text,
    )
    assert "".join(found["vocabulary"][i] for i in found["ids"]) == text
    shape = found["shape"]
    form = {k: shape[k] for k in ("width", "heads", "layers", "context")}
    form |= {"vocab_size": len(found["vocabulary"]), "norm": "rms", "mlp": "relu2"}
    model = GPT(GPTConfig(**form, hidden=4 * form["width"], positions="learned", tied=True))
    weights = dict(found["weights"])
    assert weights.keys() == model.state_dict().keys()
    assert found["size"] == model.parameter_count() and 10_000 <= found["size"] <= 50_000
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(torch.tensor(weights[name]).view_as(p))
    adam = torch.optim.AdamW(model.parameters(), lr=0.01, betas=(0.9, 0.95), weight_decay=0)
    ids, T = torch.tensor(found["ids"]), shape["context"]
    for step, starts in enumerate(found["starts"]):
        rows = torch.stack([ids[a : a + T + 1] for a in starts])
        adam.zero_grad()
        loss = model(rows[:, :-1], rows[:, 1:])[1]
        loss.backward()
        if step == 0:
            for name, p in model.named_parameters():
                ours = torch.tensor(dict(found["grads"])[name]).view_as(p)
                torch.testing.assert_close(ours, p.grad, atol=2e-6, rtol=1e-4)
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.param_groups[0]["lr"] = 0.01 * min(1, (step + 1) / 5)
        adam.step()
        assert found["losses"][step] == pytest.approx(loss.item(), rel=1e-3)
        assert found["norms"][step] == pytest.approx(norm.item(), rel=2e-2)
    assert found["losses"][-1] < found["losses"][0] - 1


@browsing
def test_what_is_trained_here_stops_and_can_be_spoiled(browser, address):
    with Visit(browser, address + PAGE).live() as visit:
        figure, press = visit.figure("train"), visit.page.keyboard.press
        figure.locator("textarea").fill("too short")
        visit.button("train", "Train").focus()
        press("Enter")
        figure.get_by_text("640 characters at least").wait_for()
        figure.locator("textarea").fill("<b>abc</b> " * 90)
        figure.get_by_role("slider", name="Learning rate").focus()
        press("End")
        visit.button("train", "Train").focus()
        press("Enter")
        figure.get_by_text("this rate is too high").wait_for()
        visit.button("train", "Pause").focus()
        press("Enter")
        visit.button("train", "Go on").wait_for()
        assert not [url for url in visit.asked if "stories" in url], "one's own text is enough"
        assert not visit.complaints


def _char_model(**changed):
    """A model over characters, by the package, in the form that pages train."""
    form = {"width": 24, "heads": 3, "layers": 1, "context": 20, "mlp": "relu2"}
    characters = sorted(set("a baker had a lamp, and Nina took it. Why?"))
    torch.manual_seed(0)
    config = GPTConfig(**form | {"vocab_size": len(characters), "positions": "learned"} | changed)
    return GPT(config), "".join(characters)


def _file(model, characters, **extra):
    """A checkpoint's bytes, as base64."""
    made = checkpoint.weights(model, extra={"characters": characters, **extra})
    return base64.b64encode(made["model.safetensors"]).decode()


BYTES = "Uint8Array.from(atob(file), c => c.charCodeAt(0)).buffer"


@browsing
@torch.no_grad()
def test_a_models_file_goes_both_ways(bench, tmp_path):
    model, characters = _char_model()
    text = "a baker had a lamp, and Nina took it. Why? " * 20 + "Zß"
    found = bench.evaluate(
        f"""([file, text]) => {{
             const t = new live.Trainer(text, {{ seed: 3, from: live.fromFile({BYTES}) }});
             const {{ ids, targets }} = t.batch(t.starts(0));
             t.forward(ids, 8, 20);
             const loss = t.loss(targets);
             t.train({{ lr: 0.01, clip: 1, warmup: 1 }});
             const out = live.toFile({{ ...t, characters: t.vocabulary }});
             const again = live.fromFile(out).weights;
             const text64 = btoa(String.fromCharCode(...new Uint8Array(out)));
             return {{ ids, targets, loss, out: text64, leftOut: t.leftOut,
                      same: [...t.weights].every(([k, w]) => String(w) === String(again.get(k))) }};
           }}""",
        [_file(model, characters), text],
    )
    ids, targets = (torch.tensor(found[k]).view(8, 20) for k in ("ids", "targets"))
    assert found["loss"] == pytest.approx(model(ids, targets)[1].item(), rel=1e-4)
    assert found["same"] and found["leftOut"] == 2
    (tmp_path / "page.safetensors").write_bytes(base64.b64decode(found["out"]))
    trained = checkpoint.load(tmp_path / "page.safetensors")
    assert checkpoint.read_extra(tmp_path / "page.safetensors")["characters"] == list(characters)
    assert trained(ids, targets)[1] < model(ids, targets)[1]


def _damaged():
    model, characters = _char_model()
    good = base64.b64decode(_file(model, characters))
    broken = _char_model()[0]
    with torch.no_grad():
        broken.embed.weight[0, 0] = math.nan
    for name, data, said in (
        ("empty", b"", "header does not read"),
        ("no header", b"x" * 4000, "header does not read"),
        ("cut short", good[: len(good) // 2], "is cut short"),
        ("a number is none", base64.b64decode(_file(broken, characters)), "what is no number"),
        ("characters", base64.b64decode(_file(model, characters + "é")), "characters,"),
        ("another sum", base64.b64decode(_file(model, characters, crc=1)), "checksum differs"),
        ("another form", base64.b64decode(_file(*_char_model(mlp="gelu"))), "mlp = relu2"),
        ("another's", assets.asset("model.safetensors")[0], "mlp = relu2"),
    ):
        yield pytest.param(base64.b64encode(data).decode(), said, id=name)


@browsing
@pytest.mark.parametrize(("file", "said"), list(_damaged()))
def test_a_damaged_models_file_gives_a_sentence(bench, file, said):
    tried = f"file => {{ try {{ live.fromFile({BYTES}) }} catch (e) {{ return e.message }} }}"
    assert said in (bench.evaluate(tried, file) or "it was read")


@browsing
def test_a_model_is_saved_and_dropped_in_again(browser, address, tmp_path):
    with Visit(browser, address + PAGE).live() as visit:
        figure = visit.figure("train")
        choose = figure.locator("input[type=file]")
        choose.set_input_files({"name": "w.safetensors", "mimeType": "", "buffer": b"no model"})
        visit.button("train", "Train").click()
        figure.get_by_text("This cannot be learned: the weights are damaged").wait_for()
        choose.set_input_files(
            {"name": "own.txt", "mimeType": "text/plain", "buffer": b"she sells sea shells. " * 90}
        )
        figure.get_by_text("own.txt is taken").wait_for()
        visit.button("train", "Train").click()
        figure.get_by_text("step 50,").wait_for()
        with visit.page.expect_download() as asked:
            visit.button("train", "Save the model").click()
        path = tmp_path / "saved.safetensors"
        asked.value.save_as(path)
        assert checkpoint.load(path).config.width == 32
        choose.set_input_files(path)
        figure.get_by_text("saved.safetensors is taken").wait_for()
        visit.button("train", "Train").click()
        figure.get_by_text("step 0,").wait_for()
        begun = float(figure.locator(".samples .muted").last.inner_text().split()[2])
        assert begun < 2.4, "it goes on where it stopped"
        assert not visit.complaints


# The time machine shows what its recipe measured.


@pytest.fixture(scope="module")
def film():
    return json.loads(assets.asset("timemachine.json")[0])


def test_the_film_keeps_its_laws(film):
    assert len(assets.asset("timemachine.json")[0]) <= 400_000
    assert len(film["moments"]) == 12 and film["moments"][-1]["step"] == film["settings"]["steps"]
    assert film["entropy"] == tales.entropy()
    assert film["truth"] == tales.next_distribution(tales.tokenize(film["text"], "en"))
    size, exact = len(film["pieces"]), tales.entropy_by_kind()
    assert all(film["kinds"][kind] == round(exact[kind], 2) for kind in film["kinds"])
    for moment in film["moments"]:
        # What the kinds cost adds up to what a story costs.
        assert sum(moment["excess"].values()) == pytest.approx(moment["bits"], abs=0.06)
        assert moment["interval"][0] <= moment["bits"] <= moment["interval"][1]
        assert "\ufffd" not in "".join(moment["samples"])
        for packed in moment["attention"]:
            weights = list(base64.b64decode(packed))
            assert len(weights) == size * (size + 1) // 2
            for t in range(size):
                row = weights[t * (t + 1) // 2 : (t + 1) * (t + 2) // 2]
                assert abs(sum(row) - 255) <= (t + 1) / 2


@browsing
def test_the_time_machine_shows_each_moment_by_keyboard(browser, address, film):
    whole = {"timemachine.json.js": "llmcourseLive.put('timemachine.json', {"}
    with Visit(browser, address + PAGE, spoil=whole.get).live() as visit:
        figure, press = visit.figure("time"), visit.page.keyboard.press
        visit.button("time", "Open").focus()
        press("Enter")
        figure.get_by_text("It could not be loaded: timemachine.json did not load").wait_for()
        visit.spoil = None
        visit.complaints.clear()  # the script that was cut
        press("Enter")
        figure.locator("canvas").nth(7).wait_for()
        for moment in film["moments"]:
            shown = figure.locator(".all td").nth(1).inner_text()
            assert float(shown) == pytest.approx(
                moment["bits"], abs=0.5 if "." not in shown else 0.06
            )
            slider = figure.get_by_role("slider", name="Training steps")
            assert slider.get_attribute("aria-valuetext") == f"{moment['step']:,}"
            assert figure.locator(".samples").inner_text().startswith(moment["samples"][0][:20])
            press("ArrowRight")
        figure.locator(".cell[tabindex='0']").focus()
        press("Home")
        figure.get_by_text("What head 0.0 looks at").wait_for()
        assert not visit.complaints


# The figures on a page.


@browsing
def test_nothing_of_the_model_is_loaded_before_it_is_used(browser, address):
    with Visit(browser, address + PAGE).live() as visit:
        visit.page.wait_for_load_state("networkidle")
        assert not [url for url in visit.asked if "safetensors" in url or "tales.json" in url]
        visit.button("playground", "Next token").click()
        visit.figure("playground").locator(".piece.model").wait_for()
        assert [url for url in visit.asked if "model.safetensors" in url]
        assert not visit.complaints
    with Visit(browser, address + "/a/course/index.html") as visit:
        assert not [url for url in visit.asked if "/live/" in url], "a page without live figures"


@browsing
def test_the_playground_tells_the_packages_story(browser, address, shipped):
    model, tokenizer = shipped
    start, stop = (tokenizer.special_tokens[x] for x in ("<|en|>", "<|end|>"))
    begin = tokenizer.encode("Once a baker named")
    told = [*begin, *reference.generate(model, start, begin, seed=1, most=200, stop=stop)]
    with Visit(browser, address + PAGE).live() as visit:
        figure = visit.figure("playground")
        visit.button("playground", "Whole story").click()
        figure.get_by_text("The story ends here").wait_for()
        words = figure.locator(".story").inner_text().removesuffix("■").strip()
        assert words == tokenizer.decode(told[:-1])
        # The shown probabilities sum to one, here and at every place that is looked back at.
        for place in (4, 9, len(told) - 1):
            figure.locator(".story button").nth(place).click()
            figure.get_by_text(f"at place {place + 1}").wait_for()
            shares = figure.locator("[data-p]").evaluate_all("all => all.map(e => +e.dataset.p)")
            assert sum(shares) == pytest.approx(1, abs=1e-9)
        assert not visit.complaints


@browsing
def test_another_token_branches_and_the_luck_of_the_rest_stays(browser, address):
    with Visit(browser, address + PAGE).live() as visit:
        figure = visit.figure("playground")
        for n in range(5, 9):
            visit.button("playground", "Next token").click()
            figure.locator(f".story button >> nth={n - 1}").wait_for()
        figure.locator(".story button").nth(4).click()
        figure.get_by_text("You look back").wait_for()
        figure.get_by_role("button", name="continue with it").nth(2).click()
        figure.get_by_text("What comes next, at place 6").wait_for()
        assert figure.locator(".story button").count() == 5
        assert figure.locator(".story .you").count() == 5
        assert not visit.complaints


@browsing
def test_each_figure_works_by_keyboard(browser, address):
    with Visit(browser, address + PAGE).live() as visit:
        press = visit.page.keyboard.press
        play = visit.figure("playground")
        visit.button("playground", "Next token").focus()
        press("Enter")
        play.locator(".piece.model").wait_for()
        play.locator(".story button[tabindex='0']").focus()
        press("Home")
        press("Enter")
        play.get_by_text("What could have come at place 1").wait_for()
        heat = play.get_by_role("slider", name="Temperature")
        heat.focus()
        press("Home")
        assert heat.get_attribute("aria-valuetext") == "0, greedy"
        play.get_by_text("the filters keep one token").wait_for()

        lens = visit.lens()
        lens.locator(".pieces button").first.focus()
        press("ArrowRight")
        lens.get_by_text("byte 21").wait_for()  # the exclamation mark

        bpe = visit.figure("bpe")
        visit.button("bpe", "Next merge").focus()
        press("Enter")
        press("Enter")
        assert bpe.locator(".made").inner_text() == "2 merges"
        before = bpe.locator(".text").inner_text()
        press("Enter")
        visit.button("bpe", "Back").focus()
        press("Enter")
        assert bpe.locator(".text").inner_text() == before, "back restores"
        bpe.get_by_label("let me predict").focus()
        press("Space")
        bpe.locator(".pick").first.focus()
        press("Enter")
        bpe.get_by_text("1 predicted").wait_for()
        assert not visit.complaints


@browsing
def test_what_is_typed_stays_text(browser, address):
    with Visit(browser, address + PAGE).live() as visit:
        for name in FIGURES:
            field = visit.figure(name).locator("textarea, input[type=text]")
            if name not in ("cache", "time"):  # in these nothing is typed
                field.first.fill(HOSTILE)
        visit.button("playground", "Next token").click()
        visit.figure("playground").locator(".piece.model").wait_for()
        visit.figure("playground").get_by_text("no tale").wait_for()
        visit.lens()
        visit.button("bpe", "Next merge").click()
        assert visit.page.evaluate("window.bad") is None
        made = "[...document.querySelectorAll('lc-live > div')].filter(e => e.shadowRoot)"
        assert visit.page.evaluate(f"{made}.every(e => !e.shadowRoot.querySelector('script, img'))")
        assert not visit.complaints


# What is wider than its box and does not scroll there, by name: text that is cut or lies on its
# neighbour.
STICKING_OUT = """() => {
  const out = [];
  for (const { shadowRoot } of document.querySelectorAll("lc-live > div"))
    for (const e of shadowRoot?.querySelectorAll(".figure, .figure *") ?? []) {
      const shown = e.clientWidth && getComputedStyle(e).overflowX === "visible";
      if (shown && e.scrollWidth > e.clientWidth + 1)
        out.push(`${e.className}: ${e.scrollWidth} in ${e.clientWidth}, ${e.textContent}`);
    }
  return out;
}"""


@browsing
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_figures_are_accessible_and_keep_to_their_width(browser, address, width, scheme):
    axe = pytest.importorskip("axe_playwright_python.base", reason="axe is not installed")
    with Visit(browser, address + PAGE, width, scheme).live() as visit:
        visit.page.evaluate(f"document.documentElement.dataset.theme = '{scheme}'")
        for _ in range(2):
            visit.button("playground", "Next token").click()
            visit.page.wait_for_function(
                "!document.querySelector('lc-live[data-figure=playground] > div:last-child')"
                ".shadowRoot.querySelector('.luck').hidden"
            )
        visit.button("bpe", "Next merge").click()
        for _ in range(8):
            visit.button("backprop", "Next step").click()
        visit.button("attention", "Read the text").click()
        visit.figure("attention").locator("canvas").nth(11).wait_for()
        visit.button("train", "Train").click()
        visit.figure("train").get_by_text("step 0,").wait_for()
        visit.button("train", "Pause").click()
        visit.button("cache", "Next token").click()
        visit.figure("cache").get_by_text("wrote the same token").wait_for()
        visit.button("time", "Open").click()
        visit.figure("time").locator("canvas").nth(7).wait_for()
        visit.lens()
        visit.page.evaluate(axe.AXE_SCRIPT)
        found = visit.page.evaluate(
            "axe.run('figure.lc-live', {resultTypes: ['violations'], preload: false})"
            ".then(r => r.violations)"
        )
        bad = [
            f"{v['id']}: {n['html'][:140]} {n.get('failureSummary', '')[:200]}"
            for v in found
            for n in v["nodes"][:3]
        ]
        assert not bad, "\n".join(bad)
        assert visit.page.evaluate(
            "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        )
        wide = visit.page.evaluate(STICKING_OUT)
        assert not wide, "\n".join(wide)
        assert not visit.complaints


@browsing
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_moves_when_figures_come_and_work(browser, address, width):
    with Visit(browser, address + PAGE, width).live() as visit:
        tops = "[...document.querySelectorAll('figcaption')].map(e => e.offsetTop)"
        before = visit.page.evaluate(tops)
        visit.lens()
        visit.button("bpe", "Next merge").click()
        visit.button("time", "Open").click()
        visit.figure("time").locator("canvas").nth(7).wait_for()
        visit.button("playground", "Next token").click()
        visit.figure("playground").locator(".piece.model").wait_for()
        after = visit.page.evaluate(tops)
        assert after == pytest.approx(before, abs=2)
        shift = visit.page.evaluate("""() => new Promise(done => {
          let sum = 0;
          new PerformanceObserver(list => {
            for (const e of list.getEntries()) if (!e.hadRecentInput) sum += e.value;
          }).observe({type: 'layout-shift', buffered: true});
          setTimeout(() => done(sum), 100);
        })""")
        assert shift < 0.1


@browsing
def test_from_a_folder_it_is_alive_too(browser, site):
    with Visit(browser, (site / PAGE[1:]).as_uri()).live() as visit:
        visit.button("playground", "Next token").click()
        visit.figure("playground").locator(".piece.model").wait_for()
        visit.lens()
        # The theme's own icon fonts complain from a folder; see tests/test_book.py.
        hints = ("/fontawesome/", "Failed to load resource: net::ERR_FAILED")
        assert not [c for c in visit.complaints if not any(hint in c for hint in hints)]


@browsing
def test_without_scripts_a_still_stands_there(browser, address):
    with Visit(browser, address + PAGE, java_script_enabled=False) as visit:
        for name in FIGURES:
            still = visit.page.locator(f"lc-live[data-figure={name}] .lc-still")
            assert still.is_visible()
            assert "live where JavaScript runs" in still.inner_text()
        assert visit.page.locator("lc-live .lc-still :is(svg, table)").count() >= len(FIGURES)


@browsing
def test_a_module_that_does_not_come_leaves_the_still(browser, address):
    spoil = {"playground.js": "("}.get
    with Visit(browser, address + PAGE, spoil=spoil) as visit:
        visit.page.wait_for_selector("lc-live[data-figure=playground][data-state=still]")
        assert visit.figure("playground").locator(".lc-still").is_visible()


def _spoiled(kind):
    text = (assets.asset("model.safetensors"))[0]
    good = {"size": len(text), "crc": assets.asset("model.safetensors")[1]}

    if kind == "truncated script":
        return "llmcourseLive.put('model.safetensors', {"
    if kind == "short":
        data = text[: len(text) // 2]
    else:
        data = bytearray(text)
        data[len(data) // 2] ^= 1
    said = json.dumps({"base64": base64.b64encode(bytes(data)).decode(), **good})
    return f"llmcourseLive.put('model.safetensors', {said});"


@browsing
@pytest.mark.parametrize("kind", ["short", "flipped bit", "truncated script"])
def test_damaged_weights_give_a_sentence_and_a_retry(browser, address, kind):
    served = _spoiled(kind)
    spoil = {"model.safetensors.js": served}.get
    with Visit(browser, address + PAGE, spoil=spoil).live() as visit:
        figure = visit.figure("playground")
        visit.button("playground", "Next token").click()
        figure.get_by_text("could not be loaded").wait_for()
        wrong = {"short": "cut short", "flipped bit": "checksum"}.get(kind, "did not load")
        assert wrong in figure.get_by_role("status").inner_text()
        visit.spoil = None
        visit.button("playground", "Try again").click()
        figure.locator(".piece.model").wait_for()
        if kind != "truncated script":  # that one is an error of the script itself
            assert not visit.complaints


def test_the_directive_refuses_what_it_does_not_know(tmp_path):
    for body, wanted in (
        ("{live} nothing\nx", "a live figure is one of"),
        ("{live} bpe", "no caption"),
    ):
        folder = tmp_path / str(len(body))
        folder.mkdir()
        (folder / "conf.py").write_text("extensions = ['myst_parser', 'llmcourse.widgets.live']\n")
        (folder / "index.md").write_text(f"# T\n\n```{body}\n```\n")
        assert wanted in build(folder, folder / "out", "text")
