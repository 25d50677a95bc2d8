"""The book as an epub: what needs a browser's scripts becomes text. Add `llmcourse.epub` to the
extensions; `make epub` builds it.

- A quiz is its questions and options, with the answers after the last; what unfolds stands open.
- A live figure is its still.
- Formulas are MathML, which readers of EPUB 3 draw themselves; what the converter does not know
  stays LaTeX, and is counted.
"""

import re
from typing import Any
from xml.etree import ElementTree

from docutils import nodes
from docutils.utils.math import MathError, latex2mathml
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging

from llmcourse import sphinxext
from llmcourse.widgets import live, stills

__all__ = ["answers", "mathml", "setup"]

LOG = logging.getLogger(__name__)
WORDS = {
    "en": {"answers": "Answers", "right": "Right", "note": live.SCRIPT_NOTE["en"]},
    "zh": {"answers": "答案", "right": "正确", "note": live.SCRIPT_NOTE["zh"]},
}
# What LaTeX has and the converter does not, in its own terms.
SAME = (
    (r"\\dots(?![a-z])", r"\\ldots"),
    (r"\\(?:[bB]igg?)[lrm]?(?![a-zA-Z])", ""),
    (r"\\(?:textstyle|displaystyle|nonumber)(?![a-zA-Z])", ""),
    (r"\\(begin|end)\{gathered\}", r"\\\1{aligned}"),
    (r"\\(begin|end)\{align\*?\}", r"\\\1{aligned}"),
    (r"\\[td]?frac\s*([0-9A-Za-z])([0-9A-Za-z])", r"\\frac{\1}{\2}"),
    (r"½", r"\\frac{1}{2}"),
    (r"\\label\{[^}]*\}|\\!", ""),
)


def mathml(latex: str, *, block: bool = False) -> str | None:
    """A formula as MathML, or None where the converter cannot."""
    for pattern, said in SAME:
        latex = re.sub(pattern, said, latex)
    try:
        made = latex2mathml.tex2mathml(latex.strip(), as_block=block)
        made = made.replace("&ApplyFunction;", "&#x2061;")  # XML knows no such name
        ElementTree.fromstring(made)
    except (MathError, SyntaxError, ElementTree.ParseError, IndexError, AttributeError, TypeError):
        return None
    return made


def _write_math(writer: Any, node: Any, *, block: bool) -> None:
    made = mathml(node.astext(), block=block)
    if made is None:
        app = writer.builder.app
        app.epub_left = getattr(app, "epub_left", 0) + 1
        made = f"<code>{writer.encode(node.astext())}</code>"
    writer.body.append(f'<div class="math">{made}</div>' if block else made)
    raise nodes.SkipNode


def _title(text: str) -> nodes.paragraph:
    return nodes.paragraph("", "", nodes.strong(text, text))


def answers(quiz: sphinxext.quiz, said: dict[str, str]) -> list[nodes.Node]:
    """A quiz as lists: the questions with lettered options, then what is right and why."""
    asked = nodes.enumerated_list(enumtype="arabic")
    right = nodes.enumerated_list(enumtype="arabic")
    for question in quiz.children:
        text, *rest = question.children
        item, options = nodes.list_item(), nodes.enumerated_list(enumtype="upperalpha")
        item += [child.deepcopy() for child in text.children]
        reply = nodes.list_item()
        for place, option in enumerate(o for o in rest if isinstance(o, sphinxext.quiz_option)):
            shown, why = option.children
            options += nodes.list_item("", *(child.deepcopy() for child in shown.children))
            mark = f"{chr(65 + place)}" + (f" ({said['right']})" if option["right"] else "")
            reply += [_title(mark), *(child.deepcopy() for child in why.children)]
        for section in rest:
            if isinstance(section, sphinxext.quiz_read):
                reply += [child.deepcopy() for child in section.children[0].children]
        item += options
        asked += item
        right += reply
    return [asked, _title(said["answers"]), right]


class Plain(SphinxPostTransform):
    """In an epub, what needs scripts is replaced by what does not."""

    default_priority = 4
    builders = ("epub",)

    def run(self, **kwargs: Any) -> None:
        zh = str(self.config.language or "en").startswith("zh")
        said = WORDS["zh" if zh else "en"]
        for quiz in list(self.document.findall(sphinxext.quiz)):
            quiz.replace_self(answers(quiz, said))
        for fold in list(self.document.findall(sphinxext.fold)):
            fold.replace_self([_title(fold["title"]), *fold.children])
        for figure in list(self.document.findall(live.live)):
            still = stills.still(figure["figure"])
            box = nodes.container(classes=["lc-live"])
            box += nodes.raw("", still, format="html")
            box += nodes.paragraph("", "", nodes.emphasis(said["note"], said["note"]))
            box += figure.children
            figure.replace_self(box)


def site_renderer(app: Sphinx, config: Any) -> None:
    """The site keeps MathJax: Sphinx prefers any other renderer that is registered."""
    config.html_math_renderer = config.html_math_renderer or "mathjax"


def prepare(app: Sphinx) -> None:
    """No scripts, fonts and styles of the site: an epub's reader brings its own."""
    if app.builder.name == "epub":
        app.config.html_math_renderer = "epub"
        app.config.html_static_path = []
        app.config.html_extra_path = []


def without_scripts(app: Sphinx, page: str, template: str, context: dict, tree: Any) -> None:
    if app.builder.name == "epub":
        context["script_files"] = []
        keep = ("epub.css", "pygments.css")
        context["css_files"] = [f for f in context["css_files"] if str(f.filename).endswith(keep)]


def report(app: Sphinx, exception: Exception | None) -> None:
    if exception is None and app.builder.name == "epub" and getattr(app, "epub_left", 0):
        LOG.info(f"{app.epub_left} formulas stay LaTeX in the epub")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the replacements and the renderer of formulas."""
    app.add_post_transform(Plain)
    app.add_html_math_renderer(
        "epub",
        (lambda w, n: _write_math(w, n, block=False), None),
        (lambda w, n: _write_math(w, n, block=True), None),
    )
    app.connect("config-inited", site_renderer)
    app.connect("builder-inited", prepare, priority=900)
    app.connect("html-page-context", without_scripts, priority=900)
    app.connect("build-finished", report)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
