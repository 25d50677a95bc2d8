"""Live figures: one module each, on a page of the book and in a live notebook.

On a page they are placed by the directive `{live}` (`llmcourse.widgets.live`). In a notebook

    from llmcourse import widgets
    widgets.show("playground", language="zh")

shows the same module through anywidget. Sources are in `web/`, and `make web` builds them.
"""

from typing import Any

from llmcourse.widgets.assets import STATIC, asset, figures, module

__all__ = ["asset", "figures", "module", "show"]


def answer(content: Any) -> tuple[dict[str, Any], list[bytes]]:
    """What a figure gets that asks for a file: `{"want": name}`."""
    name = content.get("want") if isinstance(content, dict) else None
    try:
        data, crc = asset(name)
    except ValueError as error:
        return {"asset": name, "error": str(error)}, []
    return {"asset": name, "size": len(data), "crc": crc}, [data]


def show(figure: str, **options: Any) -> Any:
    """A live figure as a widget. `options` are the figure's own: `language`, `prompt`, `seed`...

    Raises:
        ValueError: there is no such figure; the message names those that are.
        ImportError: anywidget is not installed; the message says how to install it.
    """
    module(figure)
    try:
        import anywidget
        import traitlets
    except ImportError as error:
        raise ImportError(
            "live figures in a notebook need anywidget: pip install 'llmcourse[live]'. "
            "On the pages of the book they need nothing"
        ) from error

    class Live(anywidget.AnyWidget):
        _esm = STATIC / f"{figure}.mjs"
        options = traitlets.Dict().tag(sync=True)

    widget = Live(options=options)
    widget.on_msg(lambda _, content, buffers: widget.send(*answer(content)))
    return widget
