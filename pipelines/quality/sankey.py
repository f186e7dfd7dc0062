"""A Sankey diagram as SVG that needs no script: nodes in columns, and bands between them as wide as their counts."""

import html
from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

WIDTH, HEIGHT = 1240, 420
NODE_WIDTH, GAP, LABEL_HEIGHT, MARGIN, LABEL_WIDTH = 12, 6, 15, 8, 380
THINNEST = 1.0


@dataclass
class Node:
    """A place that rows come to.

    Attributes:
        name: Unique within the diagram.
        label: What it says beside its count.
        column: Its place from left, 0 first.
        kind: Its CSS class.
        place: What its drawing order is decided by.
    """

    name: str
    label: str
    column: int
    kind: str
    place: int = 0
    top: float = 0
    entering: float = 0
    leaving: float = 0
    counts: dict[str, int] = field(default_factory=lambda: {"in": 0, "out": 0})

    @property
    def count(self) -> int:
        """Rows that came; of a node at the start, those that leave."""
        return self.counts["in"] or self.counts["out"]


@dataclass(frozen=True)
class Link:
    """Rows that go from one node to another, in a column further right."""

    source: str
    target: str
    count: int


def svg(nodes: Sequence[Node], links: Sequence[Link], title: str) -> Markup:
    """Draw a diagram. Nodes stand below one another in the order given.

    Args:
        nodes: Every node that a link names; one without any link is left out.
        links: Bands, of one count and more.
        title: What the diagram says, for who cannot see it.
    """
    by_name = {node.name: node for node in nodes}
    for link in links:
        by_name[link.source].counts["out"] += link.count
        by_name[link.target].counts["in"] += link.count
    drawn = [node for node in nodes if node.count]
    if not drawn:
        return Markup("")
    columns = max(node.column for node in drawn) + 1
    in_columns = [[node for node in drawn if node.column == column] for column in range(columns)]
    scale = HEIGHT / max(sum(node.count for node in column) for column in in_columns if column)
    bottom = 0.0
    for column in in_columns:
        top = float(MARGIN)
        for node in column:
            node.top = node.entering = node.leaving = top
            top += max(_thickness(node.count, scale), LABEL_HEIGHT) + GAP
        bottom = max(bottom, top)
    step = (WIDTH - LABEL_WIDTH) / max(columns - 1, 1)
    order = {node.name: place for place, node in enumerate(drawn)}
    # Bands leave a node in the order of where they go, and enter one in the order of where they are from.
    bands = sorted(links, key=lambda link: (order[link.source], order[link.target]))
    paths = []
    for link in bands:
        source, target = by_name[link.source], by_name[link.target]
        thickness = _thickness(link.count, scale)
        left, right = source.column * step + NODE_WIDTH, target.column * step
        from_y, to_y = source.leaving + thickness / 2, target.entering + thickness / 2
        source.leaving += thickness
        target.entering += thickness
        middle = (left + right) / 2
        says = html.escape(f"{source.label} to {target.label}: {link.count:,} rows")
        paths.append(
            f'<path class="{target.kind}" stroke-width="{thickness:.1f}" '
            f'd="M{left:.0f} {from_y:.1f}C{middle:.0f} {from_y:.1f} {middle:.0f} {to_y:.1f} {right:.0f} {to_y:.1f}">'
            f"<title>{says}</title></path>"
        )
    marks = [
        f'<rect class="{node.kind}" x="{node.column * step:.0f}" y="{node.top:.1f}" width="{NODE_WIDTH}" '
        f'height="{_thickness(node.count, scale):.1f}"/>'
        f'<text x="{node.column * step + NODE_WIDTH + 5:.0f}" '
        f'y="{node.top + min(max(_thickness(node.count, scale), LABEL_HEIGHT) / 2, 60):.1f}" dy="0.35em">'
        f"{html.escape(node.label)} <tspan>{node.count:,}</tspan></text>"
        for node in drawn
    ]
    return Markup(
        f'<svg class="sankey" role="img" viewBox="0 0 {WIDTH} {bottom:.0f}" xmlns="http://www.w3.org/2000/svg">'
        f"<title>{html.escape(title)}</title>"
        f'<g class="bands">{"".join(paths)}</g><g class="nodes">{"".join(marks)}</g></svg>'
    )


def _thickness(count: int, scale: float) -> float:
    return max(count * scale, THINNEST)
