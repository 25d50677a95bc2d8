"""One style for every figure of the course.

A figure is drawn once and read on white and on black: `show` hands the page an inline SVG whose
ink is `currentColor` and whose series colours are CSS variables with a light and a dark value.
Text stays text, so it is sharp, selectable and set in the page's own font. In a script, `Shown`
holds the SVG and `Shown.save` writes it to a file.

    fig, ax = plots.figure()
    (line,) = ax.plot(steps, loss, color=plots.COLORS["blue"])
    plots.label_line(ax, line, "train")
    plots.reference(ax, entropy, "true entropy")
    plots.show(fig, "loss", caption="Loss nears the entropy. 2,000 steps, seed 0.", alt="...")
"""

import html
import io
import re
import warnings
from collections.abc import Iterable
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

__all__ = [
    "COLORS",
    "CYCLE",
    "INK",
    "Shown",
    "bars",
    "colormap",
    "figure",
    "heatmap",
    "label_line",
    "reference",
    "show",
    "use",
]

# The ink of axes and labels. It is replaced by the page's own text colour on display, so the
# value must be one that no figure uses by chance.
INK = "#1f2329"

# Distinguishable under the three common colour-vision deficiencies, after Okabe and Ito (2008).
# The first value has a contrast of 4.5 or more on white, the second on the dark page.
_PALETTE = {
    "blue": ("#0068a8", "#5cb0ea"),
    "orange": ("#b84d00", "#ff9a4f"),
    "green": ("#00785a", "#3ecb9f"),
    "purple": ("#a3447a", "#e597c4"),
    "gold": ("#846000", "#e5c04c"),
    "grey": ("#5d6772", "#a5afba"),
}
COLORS: dict[str, str] = {name: light for name, (light, _) in _PALETTE.items()}
CYCLE: tuple[str, ...] = tuple(COLORS.values())

# Inches of 72 units. The course's style gives a figure 382 pixels of a telephone's 390, so that the
# small labels (9 units) are 9 pixels high there; a wide figure scrolls.
_WIDTHS = {"text": 5.3, "wide": 7.4}
_SCALE = 1.48  # the most pixels a unit, so that 9.5 units read as the page's small print
_FONTS = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', 'Noto Sans CJK SC', sans-serif"


def _variables(mode: int) -> str:
    return ";".join(f"--plot-{name}:{values[mode]}" for name, values in _PALETTE.items())


# The style travels with each figure, so that it also holds in JupyterLab, VS Code and Colab.
_STYLE = f"""<style>.lc-figure{{{_variables(0)};margin:1.25rem auto;text-align:center}}
html[data-theme="dark"] .lc-figure,[data-jp-theme-light="false"] .lc-figure,
body.vscode-dark .lc-figure{{{_variables(1)}}}
.lc-figure svg{{display:block;margin:0 auto;width:100%;height:auto}}
.lc-scroll{{overflow-x:auto}}.lc-scroll svg{{min-width:33.5rem}}
.lc-figure figcaption{{margin:.5rem auto 0;max-width:40rem;text-align:left;font-size:.9em}}
</style>"""


def use() -> None:
    """Set the course's style as matplotlib's default. Importing this module does so once."""
    mpl.rcParams.update(
        {
            "figure.facecolor": "none",
            "savefig.facecolor": "none",
            "figure.constrained_layout.use": True,
            "axes.facecolor": "none",
            "axes.edgecolor": INK,
            "axes.labelcolor": INK,
            "axes.titlecolor": INK,
            "axes.titlesize": 10,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "axes.labelsize": 9.5,
            "axes.linewidth": 0.7,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.axisbelow": True,
            "axes.grid": True,
            "axes.prop_cycle": mpl.cycler(color=CYCLE),
            "grid.color": INK,
            "grid.alpha": 0.14,
            "grid.linewidth": 0.6,
            "text.color": INK,
            "xtick.color": INK,
            "ytick.color": INK,
            "xtick.labelsize": 9,
            "ytick.labelsize": 9,
            "xtick.major.width": 0.7,
            "ytick.major.width": 0.7,
            "font.family": "DejaVu Sans",
            "font.size": 9.5,
            "legend.frameon": False,
            "legend.labelcolor": INK,
            "lines.linewidth": 1.8,
            "lines.markersize": 4.5,
            "patch.edgecolor": "none",
            "svg.fonttype": "none",  # text stays text
            "svg.hashsalt": "llmcourse",  # the same figure is the same file
        }
    )


def figure(
    width: str = "text", height: float | None = None, rows: int = 1, cols: int = 1, **subplots
) -> tuple:
    """A new figure and its axes, in the course's style.

    `width` is "text" (the column) or "wide"; `height` is in inches. More than one row or column
    gives an array of axes, and further keywords (`sharey=True`) go to matplotlib's `subplots`.

    Raises:
        ValueError: `width` is neither of the two.
    """
    if width not in _WIDTHS:
        raise ValueError(f"width must be one of {sorted(_WIDTHS)}, got {width!r}")
    size = (_WIDTHS[width], height or 3.0 * rows)
    fig = Figure(figsize=size)  # not pyplot's: nothing to close, nothing shown twice
    FigureCanvasSVG(fig)
    return fig, fig.subplots(rows, cols, **subplots)


def label_line(ax: Axes, line: Line2D, text: str) -> None:
    """Name a line at its right end, in its own colour. `show` keeps such names apart.

    Raises:
        ValueError: the line has no points.
    """
    xs = np.asarray(line.get_xdata(), dtype=float)
    ys = np.asarray(line.get_ydata(), dtype=float)
    finite = np.flatnonzero(np.isfinite(xs) & np.isfinite(ys))
    if not len(finite):
        raise ValueError(f"a line without points cannot carry the label {text!r}")
    last = finite[-1]
    note = ax.annotate(
        text,
        (xs[last], ys[last]),
        xytext=(5, 0),
        textcoords="offset points",
        va="center",
        color=line.get_color(),
        annotation_clip=False,
    )
    note.set_gid("line-label")


def reference(ax: Axes, value: float, text: str, *, axis: str = "y") -> None:
    """A dashed line at a value to compare with (an entropy, chance level), named in place."""
    if axis == "y":
        ax.axhline(value, color=INK, linewidth=1, linestyle=(0, (4, 3)), alpha=0.8)
        where, at, place = (0.01, value), ("axes fraction", "data"), (0, 3)
    elif axis == "x":
        ax.axvline(value, color=INK, linewidth=1, linestyle=(0, (4, 3)), alpha=0.8)
        where, at, place = (value, 0.98), ("data", "axes fraction"), (4, 0)
    else:
        raise ValueError(f"axis must be 'x' or 'y', got {axis!r}")
    ax.annotate(
        text,
        where,
        xycoords=at,
        xytext=place,
        textcoords="offset points",
        va="bottom" if axis == "y" else "top",
        fontsize=9,
    )


def bars(
    ax: Axes,
    names: Iterable[str],
    values: Iterable[float],
    *,
    errors: Iterable[float] | None = None,
    colors: str | Iterable[str] = "blue",
    fmt: str = ".2f",
) -> None:
    """Horizontal bars, the first on top, each with its value written at its end.

    `errors` are half-widths of an interval (or a 2 × N array: below, above). `colors` are names
    from `COLORS` or any of matplotlib's.
    """
    names, values = list(names), np.asarray(list(values), dtype=float)
    if len(names) != len(values):
        raise ValueError(f"bars need one name a value, got {len(names)} and {len(values)}")
    chosen = [colors] * len(values) if isinstance(colors, str) else list(colors)
    chosen = [COLORS.get(c, c) for c in chosen]
    y = np.arange(len(values))
    ax.barh(y, values, color=chosen, height=0.68, alpha=0.9)
    ends = values.copy()
    if errors is not None:
        ax.errorbar(values, y, xerr=errors, fmt="none", ecolor=INK, elinewidth=1, capsize=2.5)
        ends = values + np.broadcast_to(np.atleast_2d(np.asarray(errors))[-1], values.shape)
    for at, end, value in zip(y, ends, values, strict=True):
        text = format(value, fmt).replace("-", "−")
        ax.annotate(text, (max(end, 0.0), at), xytext=(4, 0), textcoords="offset points",
                    va="center", fontsize=9)  # fmt: skip
    ax.set_yticks(y, names)
    ax.invert_yaxis()
    ax.grid(False, axis="y")
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    ax.margins(x=0.14)


def colormap(color: str = "blue", negative: str | None = None) -> LinearSegmentedColormap:
    """From transparent (nothing) to a colour: zero is the page itself, in light and in dark.

    With `negative`, a diverging map that is transparent in the middle.
    """
    # Full colour stops short of opaque, so that the page's ink can be read on every cell.
    top = to_rgba(COLORS.get(color, color), 0.8)
    stops = [(*top[:3], 0.0), top]
    if negative is not None:
        low = to_rgba(COLORS.get(negative, negative), 0.8)
        stops = [low, (*low[:3], 0.0), (*top[:3], 0.0), top]
        nodes = [0.0, 0.5, 0.5, 1.0]
        return LinearSegmentedColormap.from_list("two", list(zip(nodes, stops, strict=True)))
    return LinearSegmentedColormap.from_list(color, stops)


def heatmap(
    ax: Axes,
    matrix,
    rows: Iterable[str] | None = None,
    cols: Iterable[str] | None = None,
    *,
    fmt: str | None = None,
    color: str = "blue",
    diverging: bool = False,
    vmax: float | None = None,
):
    """A matrix as coloured cells, row 0 on top; `fmt` (".2f") also writes the values.

    Masked or NaN cells stay empty. Zero is the page's own colour; with `diverging`, orange is
    negative. Returns the image, for `fig.colorbar(image)`.
    """
    matrix = matrix.detach().cpu().numpy() if hasattr(matrix, "detach") else np.asarray(matrix)
    matrix = np.ma.masked_invalid(matrix.astype(float))
    limit = vmax if vmax is not None else float(np.abs(matrix).max() or 1.0)
    image = ax.imshow(
        matrix,
        cmap=colormap(color, "orange" if diverging else None),
        vmin=-limit if diverging else 0.0,
        vmax=limit,
        aspect="auto" if matrix.shape[0] != matrix.shape[1] else "equal",
        interpolation="nearest",
    )
    ax.grid(False)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    if rows is not None:
        rows = list(rows)
        ax.set_yticks(range(len(rows)), rows)
    if cols is not None:
        cols = list(cols)
        slanted = max((len(c) for c in cols), default=0) * len(cols) > 60
        ax.set_xticks(range(len(cols)), cols, rotation=60 if slanted else 0,
                      ha="right" if slanted else "center", rotation_mode="anchor")  # fmt: skip
    if fmt is not None:
        for (i, j), value in np.ma.ndenumerate(matrix):
            if value is not np.ma.masked:
                ax.text(j, i, format(value, fmt), ha="center", va="center", fontsize=8)
    return image


class Shown:
    """A figure ready for a page: inline SVG with alternative text and a caption."""

    def __init__(self, svg: str, alt: str, caption: str | None, name: str) -> None:
        self.svg, self.alt, self.caption, self.name = svg, alt, caption, name

    def bundle(self) -> dict[str, str]:
        """What a notebook displays: HTML, and the alternative text where there is no HTML."""
        caption = f"<figcaption>{_inline(self.caption)}</figcaption>" if self.caption else ""
        body = self.svg
        if 'class="wide"' in body:  # a small screen scrolls the figure, not the page
            body = f'<div class="lc-scroll" tabindex="0" role="group">{body}</div>'
        page = f'<figure class="lc-figure" id="fig-{self.name}">{body}{caption}</figure>'
        return {"text/html": _STYLE + page, "text/plain": f"[figure: {self.alt}]"}

    def _ipython_display_(self) -> None:
        """As the last value of a cell, do not display again what `show` has displayed."""

    def save(self, path: str | Path) -> None:
        """Write a stand-alone SVG, in the light colours."""
        svg = self.svg.replace("currentColor", INK)
        for name, light in COLORS.items():
            svg = svg.replace(f"var(--plot-{name})", light)
        Path(path).write_text(svg, encoding="utf-8")


def show(fig: Figure, name: str, caption: str | None = None, *, alt: str) -> Shown:
    """Display a figure under its cell, with its caption, and glue it under `name`.

    The caption states the finding and its setting; write its numbers from the run. `alt` says in
    words what the picture shows, for a reader who does not see it.

    Raises:
        ValueError: `alt` is empty, or `name` is no word of letters, digits, "-" and "_".
    """
    if not alt.strip():
        raise ValueError("a figure needs alternative text: alt must not be empty")
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise ValueError(f"a figure's name is letters, digits, '-' and '_', got {name!r}")
    shown = Shown(_svg(fig, name, alt), alt, caption, name)
    try:
        from IPython import get_ipython
        from IPython.display import display
    except ImportError:  # a script without IPython
        return shown
    if get_ipython() is not None:
        # This mark is how myst-nb knows a glued output; other readers show it as it is.
        mark = {"scrapbook": {"name": name, "mime_prefix": ""}}
        display(shown.bundle(), raw=True, metadata=mark)
    return shown


def _svg(fig: Figure, name: str, alt: str) -> str:
    with warnings.catch_warnings():
        # The page's font has the Chinese glyphs that the measuring font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        _spread_labels(fig)
        out = io.StringIO()
        fig.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    svg = out.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.S)
    # Ids must be unique on a page that holds several figures.
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", svg)
    svg = re.sub(r"'?DejaVu Sans'?(?=[;\"])", _FONTS, svg)
    svg = svg.replace(INK, "currentColor")
    for color, light in COLORS.items():
        svg = svg.replace(light, f"var(--plot-{color})")
    inches = fig.get_size_inches()[0]
    widest = round(inches * 72 * _SCALE)
    kind = "wide" if inches > _WIDTHS["text"] + 0.5 else "text"
    head = f'class="{kind}" role="img" aria-label="{html.escape(alt)}" style="max-width:{widest}px"'
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    return svg.replace("<svg", f"<svg {head}", 1)


def _spread_labels(fig: Figure) -> None:
    """Move apart the names at the lines' ends where they would cover each other."""
    fig.canvas.draw()
    unit = fig.dpi / 72
    for ax in fig.axes:
        notes = [t for t in ax.texts if t.get_gid() == "line-label"]
        if len(notes) < 2:
            continue
        places = [ax.transData.transform(n.xy) for n in notes]
        notes_by_height = sorted(range(len(notes)), key=lambda i: places[i][1])
        gap = 12 * unit
        heights = [places[i][1] for i in notes_by_height]
        for k in range(1, len(heights)):
            heights[k] = max(heights[k], heights[k - 1] + gap)
        # Pushing up only would drift: give half of the drift back, then part once more.
        drift = np.mean([h - places[i][1] for h, i in zip(heights, notes_by_height, strict=True)])
        drift = min(drift, heights[0] - ax.bbox.y0 - 6 * unit)  # not below the axes
        for height, i in zip(heights, notes_by_height, strict=True):
            notes[i].xyann = (5, (height - drift - places[i][1]) / unit)


def _inline(text: str) -> str:
    """A caption's few marks: `code`, *emphasis*, **strong**; everything else is escaped."""
    text = html.escape(text, quote=False)
    text = re.sub(r"(?<=\d) (?=%)", "\u202f", text)  # a number keeps its per cent sign
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", text)
    text = re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", text)
    return re.sub(r"(?<!\w)\*([^*]+)\*(?!\w)", r"<em>\1</em>", text)


use()
