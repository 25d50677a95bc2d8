"""Laws of the figures: readable in light and dark, described in words, the same each time."""

import itertools
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from llmcourse import plots

SVG = "{http://www.w3.org/2000/svg}"


def luminance(color: str) -> float:
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def contrast(a: str, b: str) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def drawn(name: str = "a", width: str = "text", alt: str = "Loss falls.") -> plots.Shown:
    fig, ax = plots.figure(width)
    (line,) = ax.plot([0, 1, 2], [3.0, 2.0, 1.0], color=plots.COLORS["blue"])
    plots.label_line(ax, line, "train <&> 训练")
    plots.reference(ax, 0.9, "entropy")
    return plots.show(fig, name, caption="Loss *falls* to `1`, 0 < 1 %.", alt=alt)


@pytest.mark.parametrize("name", plots.COLORS)
def test_series_colours_can_be_read_as_text(name):
    light, dark = plots._PALETTE[name]
    assert contrast(light, "#ffffff") >= 4.5
    assert contrast(dark, "#121212") >= 4.5
    assert contrast(dark, "#202020") >= 4.5  # the theme's output cells


def test_the_ink_is_the_pages_own():
    svg = drawn().svg
    assert plots.INK not in svg and "currentColor" in svg
    assert plots.COLORS["blue"] not in svg and "var(--plot-blue)" in svg
    # Nothing is painted black or white for all pages alike.
    assert not re.search(r"(fill|stroke): ?(#000000|#ffffff|black|white)\b", svg)


def test_svg_is_well_formed_described_and_keeps_text():
    shown = drawn(alt='Loss falls "fast" & <far>.')
    root = ET.fromstring(shown.svg)
    assert root.get("role") == "img" and root.get("aria-label") == shown.alt
    assert root.get("width") is None and root.get("viewBox")
    words = {"".join(e.itertext()).strip() for e in root.iter(f"{SVG}text")}
    assert {"train <&> 训练", "entropy"} <= words


def test_two_figures_on_a_page_share_no_id():
    ids = [set(re.findall(r'\bid="([^"]+)"', drawn(n).bundle()["text/html"])) for n in ("a", "b")]
    assert not ids[0] & ids[1]
    for name, own in zip(("a", "b"), ids, strict=True):
        used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', drawn(name).svg))
        assert used <= own


def test_the_same_figure_is_the_same_bytes():
    assert drawn().svg == drawn().svg


def test_caption_is_escaped_but_for_its_marks():
    page = drawn().bundle()["text/html"]
    assert "Loss <em>falls</em> to <code>1</code>, 0 &lt; 1\u202f%." in page


def test_a_wide_figure_scrolls_by_itself():
    assert 'class="lc-scroll" tabindex="0"' in drawn(width="wide").bundle()["text/html"]
    assert 'class="lc-scroll"' not in drawn().bundle()["text/html"]


@pytest.mark.parametrize(("width", "pixels"), [("text", 382), ("wide", 536)])
def test_small_labels_can_be_read_on_a_telephone(width, pixels):
    shown = drawn(width=width)
    units = float(ET.fromstring(shown.svg).get("viewBox").split()[2])
    sizes = [float(px) for px in re.findall(r"font-size: ([\d.]+)px", shown.svg)]
    assert sizes and min(sizes) * pixels / units > 8.95
    if width == "wide":
        assert f"min-width:{pixels / 16}rem" in shown.bundle()["text/html"]


def test_line_labels_do_not_cover_each_other():
    fig, ax = plots.figure()
    for i in range(4):
        (line,) = ax.plot([0, 1], [1, 1 + 0.001 * i])
        plots.label_line(ax, line, f"model {i}")
    plots.show(fig, "labels", alt="Four lines.")
    fig.canvas.draw()
    boxes = sorted((t.get_window_extent() for t in ax.texts), key=lambda b: b.y0)
    assert all(a.y1 <= b.y0 + 1 for a, b in itertools.pairwise(boxes))


def test_bars_write_their_values():
    _, ax = plots.figure()
    plots.bars(ax, ["ngram", "gpt"], np.array([3.25, 1.5]), errors=[0.1, 0.1], colors="green")
    assert {t.get_text() for t in ax.texts} == {"3.25", "1.50"}
    _, ax = plots.figure()
    plots.bars(ax, ["gain", "loss"], [1.0, -0.5], fmt="+.1f")
    assert {t.get_text() for t in ax.texts} == {"+1.0", "−0.5"}
    with pytest.raises(ValueError, match="one name a value, got 1 and 2"):
        plots.bars(ax, ["ngram"], [1.0, 2.0])


@pytest.mark.parametrize("diverging", [False, True])
def test_a_zero_cell_is_the_page_and_the_fullest_lets_ink_through(diverging):
    _, ax = plots.figure()
    matrix = np.array([[0.0, 1.0], [np.nan, 0.5]])
    image = plots.heatmap(ax, matrix, "ab", "cd", fmt=".1f", diverging=diverging)
    zero, full, hole = image.cmap(image.norm(np.ma.masked_invalid([0.0, 1.0, np.nan])))
    assert zero[3] < 0.02 and hole[3] == 0
    # Near-black and near-white ink both keep a readable contrast over the fullest cell.
    assert full[3] <= 0.8
    assert len(ax.texts) == 3


def test_what_makes_no_figure_says_why():
    fig, ax = plots.figure()
    with pytest.raises(ValueError, match="width must be one of"):
        plots.figure("huge")
    with pytest.raises(ValueError, match="alt must not be empty"):
        plots.show(fig, "a", alt=" ")
    with pytest.raises(ValueError, match="name is letters"):
        plots.show(fig, "a b", alt="x")
    with pytest.raises(ValueError, match="without points"):
        plots.label_line(ax, ax.plot([], [])[0], "x")
    with pytest.raises(ValueError, match="axis must be"):
        plots.reference(ax, 1.0, "x", axis="z")


def test_save_stands_alone(tmp_path):
    drawn().save(tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text("utf-8")
    assert "var(--" not in text and "currentColor" not in text and plots.COLORS["blue"] in text
