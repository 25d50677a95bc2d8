"""Laws of the epub: its parts, and, where `make epub` has built it, the file as a whole."""

import re
import zipfile
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

import nbformat
import pytest

pytest.importorskip("sphinx")
from docutils import nodes

from llmcourse import epub, sphinxext

ROOT = Path(__file__).resolve().parents[1]
MATHS = "{http://www.w3.org/1998/Math/MathML}"
BUILT = sorted((ROOT / "_build" / "epub").glob("*.epub"))


def formulas() -> list[tuple[str, bool]]:
    found = []
    for path in sorted((ROOT / "chapters").rglob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "markdown":
                text = re.sub(r"^(`{3,}).*?^\1\s*$", "", cell.source, flags=re.M | re.S)
                found += [(f, True) for f in re.findall(r"\$\$(.+?)\$\$", text, re.S)]
                text = re.sub(r"\$\$.+?\$\$", "", text, flags=re.S)
                found += [(f, False) for f in re.findall(r"(?<!\\)\$([^$\n]+?)(?<!\\)\$", text)]
    return found


def test_every_formula_of_the_book_has_its_mathml():
    left = [f for f, block in formulas() if epub.mathml(f, block=block) is None]
    assert len(left) <= 2, left


def test_mathml_is_xml_of_its_own_namespace():
    tree = ElementTree.fromstring(epub.mathml(r"\tfrac12 \log x + \operatorname{softmax}(z)"))
    assert tree.tag == f"{MATHS}math"
    assert tree.find(f".//{MATHS}mfrac") is not None
    assert epub.mathml(r"\nosuchcommand{x}") is None


@pytest.mark.parametrize(("builder", "drawn"), [("html", "mathjax"), ("epub", "epub")])
def test_the_site_draws_its_formulas_with_mathjax_and_only_the_epub_with_mathml(
    tmp_path, builder, drawn
):
    from sphinx.application import Sphinx

    (tmp_path / "index.rst").write_text("Title\n=====\n\n:math:`x^2`\n", encoding="utf-8")
    names = ["llmcourse.sphinxext", "llmcourse.widgets.live", "llmcourse.epub"]
    settings = {"extensions": names, "version": "1", "epub_copyright": "a"}
    app = Sphinx(
        tmp_path, None, tmp_path / "out", tmp_path / "trees", builder,
        confoverrides=settings, status=None, warning=None,
    )  # fmt: skip
    assert app.builder.math_renderer_name == drawn
    app.build()
    page = next((tmp_path / "out").glob("index.*html")).read_text(encoding="utf-8")
    assert ("<math" in page) == (builder == "epub")


def quiz() -> sphinxext.quiz:
    def box(text):
        return nodes.container("", nodes.paragraph(text, text))

    made = sphinxext.quiz(name="q")
    for k in range(2):
        asked = sphinxext.quiz_question("", box(f"Question {k}?"))
        for place in range(3):
            asked += sphinxext.quiz_option(
                "", box(f"option {place}"), box(f"because {place}"), right=place == k
            )
        made += asked
    return made


def test_a_quiz_is_text_with_its_answers_last():
    asked, title, right = epub.answers(quiz(), epub.WORDS["en"])
    assert [len(item.children) for item in asked] == [2, 2]
    assert "because" not in asked.astext() and "Right" not in asked.astext()
    assert title.astext() == "Answers"
    assert re.findall(r"([A-C]) \(Right\)", right.astext()) == ["A", "B"]
    assert right.astext().count("because") == 6


# The file -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def book():
    if not BUILT:
        pytest.skip("the epub is not built: run 'make epub'")
    with zipfile.ZipFile(BUILT[0]) as packed:
        assert packed.testzip() is None
        yield packed


def test_it_opens_as_an_epub(book):
    first = book.infolist()[0]
    assert first.filename == "mimetype" and first.compress_type == zipfile.ZIP_STORED
    assert book.read("mimetype") == b"application/epub+zip"
    container = book.read("META-INF/container.xml").decode()
    package = re.search(r'full-path="([^"]+)"', container)[1]
    folder = PurePosixPath(package).parent
    tree = ElementTree.fromstring(book.read(package))
    ns = {"o": "http://www.idpf.org/2007/opf"}
    named = {str(folder / unquote(i.get("href"))) for i in tree.findall(".//o:item", ns)}
    assert named <= set(book.namelist()), named - set(book.namelist())
    ids = {i.get("id") for i in tree.findall(".//o:item", ns)}
    assert {i.get("idref") for i in tree.findall(".//o:itemref", ns)} <= ids


def test_pages_are_xml_without_scripts_and_their_links_lead_somewhere(book):
    pages = {n: ElementTree.fromstring(book.read(n)) for n in book.namelist() if n[-6:] == ".xhtml"}
    ids = {n: {e.get("id") for e in tree.iter() if e.get("id")} for n, tree in pages.items()}
    bad = []
    for name, tree in pages.items():
        for element in tree.iter():
            if element.tag.endswith("}script"):
                bad.append(f"{name}: a script")
            for attribute in ("href", "src"):
                link = element.get(attribute)
                if not link or link.startswith("data:"):
                    continue
                parts = urlsplit(link)
                if parts.scheme or parts.netloc:
                    if attribute == "src" or element.tag.endswith("}link"):
                        bad.append(f"{name}: {link} is fetched from elsewhere")
                    continue
                folder = PurePosixPath(name).parent
                target = str(folder / unquote(parts.path)) if parts.path else name
                while re.search(r"[^/]+/\.\./", target):
                    target = re.sub(r"[^/]+/\.\./", "", target, count=1)
                if target not in book.namelist():
                    bad.append(f"{name}: {link} leads nowhere")
                elif parts.fragment and target in ids:
                    if unquote(parts.fragment) not in ids[target]:
                        bad.append(f"{name}: {link}: no such place")
    assert not bad, bad[:20]
