"""A graph of `autograd.Value`s to look at: as a table of text, or drawn when it is small."""

from typing import Any

from llmcourse import plots
from llmcourse.autograd import Value, topological

__all__ = ["draw", "names", "table"]

MOST = 40  # nodes that a picture can hold


def names(root: Value) -> dict[Value, str]:
    """A name for each node in topological order: its own, or v1, v2, … by its place.

    Order and names depend on the expression alone, so they are the same on every run.
    """
    return {v: v.name or f"v{i}" for i, v in enumerate(topological(root), 1)}


def table(root: Value) -> str:
    """A line a node: how it was made, its value and its gradient.

    A number that stands in the expression is no node: `+(v3)` adds one to `v3`.
    """
    name = names(root)
    rows = [("node", "made by", "value", "grad")]
    for v in name:
        made = f"{v.op}({', '.join(name[p] for p in v.parents)})" if v.op else "leaf"
        rows.append((name[v], made, f"{v.data:.4g}", f"{v.grad:.4g}"))
    w = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(f"{a:{w[0]}}  {b:{w[1]}}  {c:>{w[2]}}  {d:>{w[3]}}" for a, b, c, d in rows)


def layout(root: Value) -> dict[Value, tuple[int, float]]:
    """A place (column, row) for each node: leaves left, a result right of what it was made of."""
    place: dict[Value, tuple[int, float]] = {}
    rows = 0
    for v in topological(root):
        if v.op:
            column = 1 + max(place[p][0] for p in v.parents)
            row = sum(place[p][1] for p in v.parents) / len(v.parents)
        else:
            column, row, rows = 0, float(rows), rows + 1
        while any(c == column and abs(row - r) < 1 for c, r in place.values()):
            row += 0.5
        place[v] = (column, row)
    return place


def minus(number: float) -> str:
    """Three digits, and a minus that is no hyphen."""
    return f"{number:.3g}".replace("-", "−")


def draw(ax: Any, root: Value) -> None:
    """Draw a small graph: name, operation, value and gradient of each node, an arrow an edge.

    Raises:
        ValueError: the graph is too large for a picture.
    """
    place = layout(root)
    if len(place) > MOST:
        raise ValueError(f"a picture holds at most {MOST} nodes, got {len(place)}: use table")
    for v, (x, y) in place.items():
        for p in v.parents:
            px, py = place[p]
            style = {"arrowstyle": "-|>", "color": plots.INK, "alpha": 0.5, "shrinkA": 0}
            ax.annotate("", (x - 0.32, y), (px + 0.32, py), arrowprops=style)
        head = " = ".join(part for part in (v.name, v.op) if part)
        ax.text(x, y - 0.26, head, ha="center", va="center", fontweight="bold")
        ax.text(x, y, minus(v.data), ha="center", va="center", color=plots.COLORS["blue"])
        grad = minus(v.grad)
        ax.text(x, y + 0.26, grad, ha="center", va="center", color=plots.COLORS["orange"])
    columns, rows = zip(*place.values(), strict=True)
    ax.set(xlim=(-0.5, max(columns) + 0.5), ylim=(max(rows) + 0.6, min(rows) - 0.6))
    ax.axis("off")
