"""What the built book needs beside its directives. Add `llmcourse.booksite` to the extensions.

- The role `recorded` quotes a number that another chapter's run has recorded, so that no page
  retypes one: {recorded}`../practice/finetuning:finetuning-error`.
- Launch buttons appear when the repository's address stands in `_config.yml`, and not before.
"""

import re
from typing import Any
from urllib.parse import urlsplit

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxRole

__all__ = ["launch", "setup", "split"]


def split(text: str) -> tuple[str, str]:
    """A role's text into the chapter, relative to the page, and the recorded name.

    Raises:
        ValueError: it is not of the form chapter:name.
    """
    found = re.fullmatch(r"([\w./-]+):([\w.-]+)", text.strip())
    if not found:
        raise ValueError(f"a recorded number is named as chapter:name, got {text!r}")
    return found[1], found[2]


class RecordedRole(SphinxRole):
    """A number from the run of another chapter; one that was not recorded warns."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        from myst_nb.ext.glue.utils import PendingGlueReference

        source, line = self.get_source_info()
        try:
            chapter, name = split(self.text)
        except ValueError as error:
            message = self.inliner.reporter.error(str(error), line=self.lineno)
            return [self.inliner.problematic(self.rawtext, self.rawtext, message)], [message]
        refdoc, _ = self.env.relfn2path(chapter)
        ref = PendingGlueReference(refdoc=refdoc, key=name, inline=True, gtype="text", fmt_spec="")
        ref.source, ref.line = source, line
        return [ref], []


def launch(options: dict[str, Any]) -> dict[str, Any]:
    """The theme's options, with only those launch buttons that can lead somewhere.

    Colab opens notebooks from GitHub alone, Binder from any public repository that the theme knows.
    """
    options = dict(options)
    url = str(options.get("repository_url") or "").strip().rstrip("/")
    options["repository_url"] = url
    buttons = dict(options.get("launch_buttons") or {})
    if not url:
        buttons = {k: v for k, v in buttons.items() if not k.endswith("_url")}
    elif urlsplit(url).hostname != "github.com":
        buttons.pop("colab_url", None)
    options["launch_buttons"] = buttons
    return options


def set_launch(app: Sphinx, config: Any) -> None:
    config.html_theme_options = launch(config.html_theme_options)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the role, and look at the buttons once the configuration is read."""
    app.add_role("recorded", RecordedRole())
    # Before the theme reads its options.
    app.connect("config-inited", set_launch, priority=100)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
