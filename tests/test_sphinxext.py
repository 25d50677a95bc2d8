"""The book's directives: what they refuse, what they write, and that a reader can work them."""

import http.server
import json
import re
import shutil
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("sphinx", reason="the book's tools are not installed")
from llmcourse import book, cli, sphinxext
from llmcourse.evaluate import Interval
from llmcourse.sphinxext import parse_quiz

QUESTION = """\
{n}. What is $2^{n}$ in `python`?
   - [ ] `{n} * 2`
     That is a **product**.
   - [x] `2 ** {n}`
     ```python
     1. not a question
     ```
     That is the power, $x^{n}$.
   - [ ] neither <b>bold</b>
     One of them is right.
"""
GOOD = "".join(QUESTION.replace("{n}", str(n)) for n in range(1, 6))
READ = "\n\n   Read: [Part {n}](#part-{n})\n"
SELFTEST = "".join(
    QUESTION.rstrip("\n").replace("{n}", str(n)) + READ.replace("{n}", str(min(n, 2)))
    for n in range(1, 7)
)
PAGE = f"""\
# A page

:::{{admonition}} Predict
:class: predict
Which one?
:::

```````{{quiz}} demo
{GOOD}
```````

## Part 1

## Part 2

```{{answer}} page.double
Ask `hint("page.double")`.
```
"""
EXERCISES = '''
"""Exercises of a page."""
import torch
from llmcourse.exercises.core import Exercise, Wrong, expect

def stub(x):
    raise NotImplementedError

def double(x):
    return 2 * x  # <tag>

def check(answer):
    expect(answer(2) == 4, "doubled")

EXERCISES = (
    Exercise(id="page.double", title="Double", stub=stub, solution=double, check=check,
             hints=("Add *it* to itself.", "take x\\n  give x + x",
                    "def double(x):\\n    return x + ...")),
)
'''


def test_quiz_is_parsed():
    questions = parse_quiz(GOOD.splitlines())
    assert [len(q.options) for q in questions] == [3] * 5
    assert [o.right for o in questions[0].options] == [False, True, False]
    assert any("not a question" in text for _, text in questions[0].options[1].why)


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("5. What", "6. What", "question 5 is numbered 6"),
        ("[x]", "[ ]", "question 1 needs one right option, got 0"),
        ("- [ ] neither", "- [x] neither", "question 1 needs one right option, got 2"),
        ("     That is a **product**.\n", "", "'`1 * 2`' has no explanation"),
        ("- [ ] `1 * 2`", "- [ ]", "an option without text"),
        ("1. What is $2^1$ in `python`?", "1. ", "question 1 has no text"),
        ("1. What", "Hello\n1. What", "text before the first question: 'Hello'"),
    ],
)
def test_a_malformed_quiz_is_refused(old, new, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        parse_quiz(GOOD.replace(old, new, 1).splitlines())


def test_a_selftest_names_what_to_read():
    questions = parse_quiz(SELFTEST.splitlines(), selftest=True)
    assert len(questions) == 6
    assert [text for _, text in questions[1].read] == ["[Part 2](#part-2)"]


@pytest.mark.parametrize(
    ("text", "selftest", "said"),
    [
        (GOOD, True, "question 1 names one section to read, got 0"),
        (SELFTEST.split("6. What")[0], False, "question 1 of a quiz names no section"),
        (SELFTEST.split("5. What")[0], True, "a self-test has 5 questions or more, got 4"),
    ],
)
def test_a_malformed_selftest_is_refused(text, selftest, said):
    with pytest.raises(ValueError, match=said):
        parse_quiz(text.splitlines(), selftest=selftest)


@pytest.mark.parametrize("count", [0, 4])
def test_a_quiz_has_five_questions(count):
    lines = "".join(QUESTION.replace("{n}", str(n)) for n in range(1, count + 1)).splitlines()
    with pytest.raises(ValueError, match=f"5 questions, got {count}"):
        parse_quiz(lines)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A page with everything on it, and a function that builds it."""
    root = tmp_path_factory.mktemp("book")
    # The page's exercises stand beside the package's: its path is extended, nothing is written.
    (root / "extra").mkdir()
    (root / "extra" / "page.py").write_text(EXERCISES)
    (root / "conf.py").write_text(
        "import llmcourse.exercises\n"
        f"llmcourse.exercises.__path__.append({str(root / 'extra')!r})\n"
        "project, version, copyright = 'demo', '1', 'us'\n"
        "myst_heading_anchors = 3\n"
        "extensions = ['myst_parser', 'llmcourse.sphinxext']\n"
        "myst_enable_extensions = ['dollarmath', 'colon_fence']\n"
        "exclude_patterns = ['out*', 'extra']\n"
        "html_theme = 'sphinx_book_theme'\n"
        "mathjax_path = 'none.js'\n"
    )
    (root / "index.md").write_text(PAGE)

    def build(builder="html", text=None, **options):
        out = root / f"out-{builder}-{'-'.join(options.values())}-{text is not None}"
        if text is not None:
            (root / "index.md").write_text(text)
        flags = [f for name, value in options.items() for f in ("-D", f"{name}={value}")]
        command = [sys.executable, "-m", "sphinx", "-E", "-W", "--keep-going", "-q", "-b", builder]
        trees = ["-d", root / "out-trees"]
        done = subprocess.run([*command, *flags, *trees, root, out], capture_output=True, text=True)
        (root / "index.md").write_text(PAGE)
        return done, out

    return build


@pytest.fixture(scope="module")
def built(project):
    done, out = project()
    assert done.returncode == 0, done.stderr
    return out


def test_page_holds_quiz_and_answer_without_script(built):
    text = (built / "index.html").read_text()
    assert text.count('<fieldset class="quiz-question">') == 5
    assert text.count('<details class="quiz-why">') == 15
    assert text.count('type="radio" name="quiz-demo-') == 15
    assert "<b>bold</b>" in text or "&lt;b&gt;bold" in text
    assert text.count('<details class="fold">') == 4
    assert "<em>it</em>" in text and "&lt;tag&gt;" in text
    assert '<span class="k">return</span>' in text
    assert re.search(r'<script defer="defer" src="_static/llmcourse-quiz.js[^"]*">', text)
    assert "_static/llmcourse-book.css" in text
    assert (built / "_static" / "llmcourse-quiz.js").exists()


@pytest.mark.parametrize("builder", ["gettext", "epub", "latex"])
def test_other_formats_are_written(project, builder):
    done, out = project(builder)
    assert done.returncode == 0, done.stderr
    if builder == "gettext":
        messages = (out / "index.pot").read_text()
        assert "That is a **product**." in messages and "in `python`?" in messages


def test_interface_follows_the_language(project):
    done, out = project(language="zh_CN")
    assert done.returncode == 0, done.stderr
    text = (out / "index.html").read_text()
    assert "提示一" in text and 'data-check="检查"' in text


def test_mistakes_fail_the_build_and_say_where(project):
    quizzes = "".join(
        f"```````{{quiz}} {name}\n{text}```````\n\n"
        for name, text in (("No-name", GOOD), ("none-right", GOOD.replace("[x]", "[ ]", 1)))
    )
    done, _ = project(text=f"# A page\n\n{quizzes}```{{answer}} page.duble\n```\n")
    assert done.returncode != 0
    for said in (
        "a quiz's name is",
        "question 1 needs one right option",
        "the nearest are page.double",
    ):
        assert re.search(rf"index\.md:\d+: .*{said}", done.stderr), done.stderr


@pytest.fixture(scope="module")
def selftest(project):
    text = PAGE.replace("{quiz} demo", "{selftest} demo").replace(GOOD, SELFTEST)
    done, out = project(text=text)
    assert done.returncode == 0, done.stderr
    return out / "index.html"


def test_a_selftest_without_script_names_its_sections(selftest):
    text = selftest.read_text()
    assert text.count('<p class="quiz-read">If you missed it, read') == 6
    assert 'href="#part-2"' in text and "data-start=" in text


# In a browser


def chromium() -> str | None:
    named = [shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")]
    return next((path for path in named if path), None)


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if chromium() is None:
        pytest.skip("no chromium here: apt-get install chromium")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with playwright.sync_playwright() as driver:
        with driver.chromium.launch(executable_path=chromium(), args=flags) as started:
            yield started


@pytest.fixture(scope="module")
def address(built):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = partial(Quiet, directory=str(built))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def page(browser, address, request):
    context = browser.new_context(**getattr(request, "param", {}))
    context.set_default_timeout(30_000)  # a busy machine takes its time
    context.route(
        "**/*", lambda r: r.continue_() if r.request.url.startswith(address) else r.abort()
    )
    tab = context.new_page()
    tab.goto(f"{address}/index.html", wait_until="domcontentloaded")
    yield tab
    context.close()


def question(page, number):
    return page.locator(".quiz-question").nth(number - 1)


def test_choose_then_reveal(page):
    first = question(page, 1)
    assert not first.locator("details").first.is_visible()
    first.get_by_role("button", name="Check").click()
    assert first.get_by_role("status").inner_text() == "Choose an option first."
    first.get_by_role("radio").nth(0).check()
    assert not first.locator(".quiz-body").first.is_visible()
    first.get_by_role("button", name="Check").click()
    assert first.get_by_role("status").inner_text() == "✗ Not this one."
    assert all(first.locator(".quiz-body").nth(i).is_visible() for i in range(3))
    assert "✓ Right." in first.locator(".quiz-body").nth(1).inner_text()
    assert "(your choice)" in first.locator(".quiz-body").nth(0).inner_text()
    assert first.get_by_role("radio").nth(1).is_disabled()
    assert page.locator(".quiz-score").inner_text().startswith("0 of 1 answered were right")


def test_keyboard_alone_works_through_the_quiz(page):
    question(page, 1).get_by_role("radio").first.focus()
    for number in range(1, 6):
        page.keyboard.press("Space" if number % 2 else "b")
        page.keyboard.press("ArrowDown")
        if number % 2 == 0:
            page.keyboard.press("ArrowUp")
        assert page.evaluate("document.activeElement.value") == "2"
        page.keyboard.press("Enter")
        assert question(page, number).get_by_role("status").inner_text() == "✓ Right."
        page.keyboard.press("Tab")
    assert page.locator(".quiz-score").inner_text() == "5 of 5 right at first choice."
    assert page.evaluate("document.activeElement.textContent") == "Start again"
    page.keyboard.press("Enter")
    assert page.locator(".is-answered").count() == 0


def test_answers_are_remembered_until_started_again(page):
    question(page, 2).get_by_role("radio").nth(1).check()
    question(page, 2).get_by_role("button", name="Check").click()
    page.reload(wait_until="domcontentloaded")
    assert page.locator(".is-answered").count() == 1
    assert question(page, 2).get_by_role("status").inner_text() == "✓ Right."
    kept = page.evaluate("JSON.stringify(localStorage)")
    assert "llmcourse.quiz.index:demo" in json.loads(kept)
    page.get_by_role("button", name="Start again").click()
    page.reload(wait_until="domcontentloaded")
    assert page.locator(".is-answered").count() == 0


def test_broken_storage_does_not_break_the_quiz(page):
    page.evaluate("localStorage.setItem('llmcourse.quiz.index:demo', '{broken')")
    page.reload(wait_until="domcontentloaded")
    question(page, 1).get_by_role("radio").nth(1).check()
    question(page, 1).get_by_role("button", name="Check").click()
    assert page.locator(".is-answered").count() == 1


@pytest.mark.parametrize("page", [{"java_script_enabled": False}], indirect=True)
def test_without_script_the_explanations_unfold(page):
    first = question(page, 1)
    assert first.get_by_text("Explanation").count() == 3
    assert not first.locator(".quiz-body").nth(1).is_visible()
    first.get_by_text("Explanation").nth(1).click()
    assert "✓ Right." in first.locator(".quiz-body").nth(1).inner_text()


def test_works_from_a_file(browser, built):
    context = browser.new_context(offline=True)
    context.set_default_timeout(30_000)  # a busy machine takes its time
    tab = context.new_page()
    tab.goto((built / "index.html").as_uri(), wait_until="domcontentloaded")
    question(tab, 1).get_by_role("radio").nth(1).check()
    question(tab, 1).get_by_role("button", name="Check").click()
    assert tab.locator(".is-answered").count() == 1
    context.close()


def test_a_selftest_says_where_to_start(browser, selftest):
    context = browser.new_context(offline=True)
    context.set_default_timeout(30_000)  # a busy machine takes its time
    tab = context.new_page()
    tab.goto(selftest.as_uri(), wait_until="domcontentloaded")
    for number in range(1, 7):
        assert not question(tab, number).locator(".quiz-read").is_visible()
        question(tab, number).get_by_role("radio").nth(int(number < 4)).check()
        question(tab, number).get_by_role("button", name="Check").click()
        assert question(tab, number).locator(".quiz-read").is_visible() == (number >= 4)
    # Questions 4 to 6 were missed; all three name one section, which is listed once.
    assert tab.locator(".quiz-reading a").all_inner_texts() == ["Part 2"]
    tab.get_by_role("button", name="Start again").click()
    assert tab.locator(".quiz-reading").inner_text() == ""
    for number in range(1, 7):
        question(tab, number).get_by_role("radio").nth(1).check()
        question(tab, number).get_by_role("button", name="Check").click()
    assert "Nothing missed" in tab.locator(".quiz-reading").inner_text()
    context.close()


@pytest.mark.parametrize(
    "page", [{"viewport": {"width": 390, "height": 800}}], indirect=True, ids=["390px"]
)
def test_fits_a_telephone(page):
    for box in page.locator(".quiz-question, details.fold").all():
        size = box.bounding_box()
        assert size["x"] >= 0 and size["x"] + size["width"] <= 390


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(page, theme):
    axe = pytest.importorskip("axe_playwright_python", reason="axe is not installed")
    page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
    for number, option in ((1, 0), (2, 1)):
        question(page, number).get_by_role("radio").nth(option).check()
        question(page, number).get_by_role("button", name="Check").click()
    for fold in page.locator("details.fold").all():
        fold.locator("summary").click()
    page.add_script_tag(path=str(Path(axe.__file__).parent / "axe.min.js"))
    found = page.evaluate("axe.run({include: [['.quiz'], ['.answer']]})")
    said = [
        (v["id"], [n["html"][:120] for n in v["nodes"]], v["nodes"][0]["failureSummary"])
        for v in found["violations"]
    ]
    assert not said, said


# Numbers for the prose


@pytest.mark.parametrize(
    ("value", "fmt", "text"),
    [
        (2.34567, "", "2.35"),
        (2.34567, ".3f", "2.346"),
        (12345, "", "12,345"),
        (0.123, ".1%", "12.3%"),
        (-4.34, ".1f", "−4.3"),
        (1.2e-7, ".1e", "1.2·10⁻⁷"),
        (-3e23, ".0e", "−3·10²³"),
        (Interval(low=-3.0, estimate=-1.24, high=2.0), ".1f", "−1.2 [−3.0, 2.0]"),
        ("a-1 text", "", "a-1 text"),
        (True, "", "True"),
    ],
)
def test_record_prints_what_it_glues(capsys, monkeypatch, value, fmt, text):
    glued = {}
    glue = pytest.importorskip("myst_nb", reason="myst_nb is not installed")
    monkeypatch.setattr(glue, "glue", lambda name, shown, display: glued.update({name: shown}))
    book.record("best", value, fmt, what="the best")
    assert capsys.readouterr().out == f"the best: {text}\n"
    assert glued["best"] == text


def test_record_takes_tensors_and_wants_a_name(capsys):
    torch = pytest.importorskip("torch")
    book.record("loss", torch.tensor(0.5))
    assert "loss: 0.50" in capsys.readouterr().out
    with pytest.raises(ValueError, match="needs a name"):
        book.record("", 1)


def test_words_of_each_language_are_complete():
    assert len({tuple(sorted(words)) for words in sphinxext.WORDS.values()}) == 1


def test_results_are_saved_and_progress_takes_them(page, tmp_path, monkeypatch, capsys):
    for number, place in ((1, 1), (2, 1), (3, 0)):
        question(page, number).get_by_role("radio").nth(place).check()
        question(page, number).get_by_role("button", name="Check").click()
    with page.expect_download() as asked:
        page.get_by_role("button", name="Save all results").click()
    assert "llmcourse progress --quiz FILE" in page.locator(".quiz-score").inner_text()
    file = tmp_path / asked.value.suggested_filename
    asked.value.save_as(file)
    saved = json.loads(file.read_text())
    (name, result), *none = saved["quizzes"].items()
    assert (name, none) == ("index:demo", [])
    assert (result["right"], result["answered"], result["questions"]) == (2, 3, 5)
    monkeypatch.setenv("LLMCOURSE_PROGRESS", str(tmp_path / "progress.json"))
    assert cli.main(["progress", "--quiz", str(file), "--all"]) == 0
    out = capsys.readouterr().out
    assert "1 result of quizzes taken" in out and "2 of 3 right at first choice, in 1" in out
    assert "○ quiz index:demo" in out
    page.get_by_role("button", name="Start again").click()
    assert page.evaluate("Object.keys(localStorage).filter(k => k.includes('score'))") == []
