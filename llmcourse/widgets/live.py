"""The directive `live`: a figure that runs in the reader's browser. Add `llmcourse.widgets.live`
to the extensions.

    ```{live} playground
    :language: zh

    The caption: what the figure shows, and what to try.
    ```

Without JavaScript, and in print, a still figure stands there. With it, a small script mounts the
figure's module; what the figure loads on first use comes as scripts too, since a folder that is
opened from disk lets nothing be fetched. A figure that is unknown fails the build.
"""

import base64
import json
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from llmcourse.widgets import assets, stills

__all__ = ["setup", "write_scripts"]

FOLDER = "live"  # under the site's _static/
OPTIONS = {"language": str, "prompt": str, "text": str, "seed": int}
SCRIPT_NOTE = {
    "en": "This figure is live where JavaScript runs; this is a still of it.",
    "zh": "在支持 JavaScript 的浏览器中，此图可以互动；这里是静态图。",
}


class live(nodes.General, nodes.Element):
    """A live figure: `figure`, `options`; children are the caption."""


class LiveDirective(SphinxDirective):
    """Places a live figure."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {
        name: directives.unchanged if kind is str else directives.nonnegative_int
        for name, kind in OPTIONS.items()
    }

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        try:
            assets.module(name)
            stills.still(name)
        except ValueError as error:
            raise self.error(str(error)) from None
        if not self.content:
            raise self.error(f"the live figure {name!r} has no caption")
        node = live(figure=name, options=dict(self.options))
        self.state.nested_parse(self.content, self.content_offset, node)
        self.set_source_info(node)
        return [node]


def visit_live(writer: Any, node: live) -> None:
    name = node["figure"]
    language = "zh" if str(writer.builder.config.language or "en").startswith("zh") else "en"
    options = writer.attval(json.dumps(node["options"], ensure_ascii=False))
    writer.body.append(
        f'<figure class="lc-live">\n<lc-live data-figure="{name}" data-options="{options}">'
        f'<div class="lc-still">{stills.still(name)}'
        f"<p>{SCRIPT_NOTE[language]}</p></div></lc-live>\n<figcaption>"
    )


def depart_live(writer: Any, node: live) -> None:
    writer.body.append("</figcaption></figure>\n")


def ignore(writer: Any, node: nodes.Element) -> None:
    """Formats that hold no figure show the caption."""


def write_scripts(folder: Path) -> None:
    """The scripts that pages load: the element, each figure's module, each file as base64."""
    folder.mkdir(parents=True, exist_ok=True)

    def put(name: str, content: dict[str, Any]) -> None:
        said = json.dumps(content, ensure_ascii=False)
        # A script may not end early, and these two end a line of JavaScript.
        for bad, good in (("</", "<\\/"), ("\u2028", "\\u2028"), ("\u2029", "\\u2029")):
            said = said.replace(bad, good)
        (folder / f"{name}.js").write_text(
            f"llmcourseLive.put({json.dumps(name)}, {said});\n", encoding="utf-8"
        )

    for name in assets.figures():
        put(name, {"source": assets.module(name)})
    for name in assets.NAMES:
        data, crc = assets.asset(name)
        put(name, {"base64": base64.b64encode(data).decode(), "size": len(data), "crc": crc})
    for name in ("live.js", "live.css"):
        text = (assets.STATIC / name).read_text(encoding="utf-8")
        (folder / name).write_text(text, encoding="utf-8")


def add_scripts(app: Sphinx) -> None:
    if app.builder.format == "html" and app.builder.name != "epub":  # an epub runs no scripts
        home = Path(app.doctreedir) / "llmcourse-live"
        write_scripts(home / FOLDER)
        app.config.html_static_path.append(str(home))


def only_where_live(app: Sphinx, page: str, template: str, context: dict, tree: Any) -> None:
    """A page without a live figure loads nothing of them."""
    if tree is not None and next(iter(tree.findall(live)), None) is not None:
        app.add_css_file(f"{FOLDER}/live.css")
        app.add_js_file(f"{FOLDER}/live.js", loading_method="defer")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive, its node for every writer, and what its pages load."""
    plain = {name: (ignore, ignore) for name in ("latex", "text", "man", "texinfo")}
    app.add_node(live, html=(visit_live, depart_live), **plain)
    app.add_directive("live", LiveDirective)
    app.connect("builder-inited", add_scripts)
    app.connect("html-page-context", only_where_live)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
