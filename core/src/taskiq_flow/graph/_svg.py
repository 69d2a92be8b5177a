"""Graphs as SVG pictures, for notebooks and pages; laid out in layers, without a program beside Python."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from itertools import chain, repeat

from attrs import define, field, frozen

from taskiq_flow.graph._drawing import Arrow, Box, Drawing, Group, Part, draw
from taskiq_flow.graph.model import Graph

__all__ = ["NodeNote", "draw_svg"]

# Pixels. A character of the font is at most about this wide; a picture cannot measure its text.
_CHARACTER = 6.7
_LINE = 15.0
_PADDING = 9.0
_BESIDE = 22.0
_BELOW = 38.0
_NARROWEST = 56.0
_GAP = 6.0
_FOR_LABELS = 40.0
_LONGEST_LINE = 60

_FILLS = {"task": "#ffffff", "input": "#e8f0fe", "output": "#e6f4ea"}
_DASHES = {"data": "", "guard": ' stroke-dasharray="6 3"', "order": ' stroke-dasharray="2 3"'}
_STYLE = (
    "text{font:11px ui-sans-serif,system-ui,sans-serif;fill:#1f2328}"
    ".b{stroke:#57606a}.g{fill:#f6f8fa;stroke:#8c959f}.a{fill:none;stroke:#57606a}.h,.l{font-size:9px;fill:#57606a}.h{stroke:#fff;stroke-width:3px}"
)


@frozen
class NodeNote:
    """What a picture says about a node of a run.

    :param text: A line in its box.
    :param fill: The colour of the box.
    """

    text: str
    fill: str


@define(eq=False)
class _Placed:
    """A box or a group with its place, or a gap in a layer that a long arrow goes through."""

    part: Part | None
    lines: tuple[str, ...]
    width: float
    height: float
    inner: list[_Placed] = field(factory=list)
    fill: str = ""
    x: float = 0.0
    y: float = 0.0

    def move(self, x: float, y: float) -> None:
        self.x += x
        self.y += y
        for each in self.inner:
            each.move(x, y)

    def walk(self) -> Iterator[_Placed]:
        yield self
        for each in self.inner:
            yield from each.walk()


_Gaps = dict[Arrow, list[_Placed]]


def draw_svg(graph: Graph, notes: Mapping[str, NodeNote] | None = None) -> str:
    """Draw a graph as a picture: bodies of maps as boxes around boxes, guards dashed, order without data dotted.

    :param graph: A graph.
    :param notes: What to say about its nodes, by path (``tracks[]/features``).
    """
    drawing = draw(graph)
    gaps: _Gaps = {}
    placed, width, height = _place(drawing.parts, drawing, {} if notes is None else notes, gaps)
    every = {each.part.id: each for one in placed for each in one.walk() if each.part is not None}
    width, height = width + 2 * _PADDING + _FOR_LABELS, height + 2 * _PADDING
    for one in placed:
        one.move(_PADDING, _PADDING)
    title = escape(_printable(graph.name or "pipeline"))
    shapes = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{title}">',
        f"<title>{title}</title><style>{_STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto-start-reverse"><path d="M0 0L8 4L0 8z" fill="#57606a"/></marker></defs>',
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>',
        *(_shape(each) for each in every.values()),
        *(_line(arrow, every, gaps.get(arrow, ())) for arrow in drawing.arrows),
        *_labels(drawing.arrows, every, gaps),
    ]
    return "\n".join([*shapes, "</svg>"]) + "\n"


def _place(
    parts: Iterable[Part], drawing: Drawing, notes: Mapping[str, NodeNote], gaps: _Gaps
) -> tuple[list[_Placed], float, float]:
    """Place parts in layers, each below everything that leads to it.

    :param gaps: Filled with the gaps that each arrow goes through.
    :returns: The parts and gaps, and the width and height that they take.
    """
    placed = {part.id: _measure(part, drawing, notes, gaps) for part in parts}
    home = {
        inner.part.id: id_ for id_, each in placed.items() for inner in each.walk() if inner.part is not None
    }
    before: dict[str, list[str]] = {id_: [] for id_ in placed}
    inside: list[tuple[Arrow, str, str]] = []
    for arrow in drawing.arrows:
        start, end = home.get(arrow.start), home.get(arrow.end)
        if start is not None and end is not None and start != end:
            before[end].append(start)
            inside.append((arrow, start, end))
    depth = _layers(before)
    layers: list[list[tuple[_Placed, list[_Placed]]]] = [
        [] for _ in range(1 + max(depth.values(), default=-1))
    ]
    for id_, each in placed.items():
        layers[depth[id_]].append((each, [placed[one] for one in before[id_]]))
    for arrow, start, end in inside:
        last = placed[start]
        for layer in layers[depth[start] + 1 : depth[end]]:
            gap = _Placed(None, (), _GAP, 0.0)
            layer.append((gap, [last]))
            gaps.setdefault(arrow, []).append(gap)
            last = gap
    width = max((_width(layer) for layer in layers), default=0.0)
    y = 0.0
    for layer in layers:
        # Parts stand near what leads to them, so that fewer arrows cross.
        layer.sort(key=lambda each: _mean([one.x + one.width / 2 for one in each[1]]))
        x, height = (width - _width(layer)) / 2, max(each.height for each, _ in layer)
        for each, _ in layer:
            each.height = each.height if each.part is not None else height
            each.move(x, y)
            x += each.width + _BESIDE
        y += height + _BELOW
    return [each for layer in layers for each, _ in layer], width, max(0.0, y - _BELOW)


def _measure(part: Part, drawing: Drawing, notes: Mapping[str, NodeNote], gaps: _Gaps) -> _Placed:
    note = notes.get(part.path) if part.path else None
    lines = tuple(
        _cut(_printable(line)) for line in (*part.lines, *([note.text] if note is not None else ()))
    )
    width = max(_NARROWEST, max(map(len, lines), default=0) * _CHARACTER + 2 * _PADDING)
    height = len(lines) * _LINE + 2 * _PADDING
    fill = "" if note is None else note.fill
    if isinstance(part, Box):
        return _Placed(part, lines, width, height, fill=fill)
    inner, inner_width, inner_height = _place(part.parts, drawing, notes, gaps)
    for each in inner:
        each.move(_PADDING, height)
    return _Placed(
        part,
        lines,
        max(width, inner_width + 2 * _PADDING),
        height + inner_height + _PADDING,
        inner,
        fill,
    )


def _layers(before: Mapping[str, Iterable[str]]) -> dict[str, int]:
    """Return the layer of each part: that of the lowest one which leads to it, and one more."""
    waits = {id_: len(set(starts)) for id_, starts in before.items()}
    after: dict[str, list[str]] = {id_: [] for id_ in before}
    for id_, starts in before.items():
        for start in set(starts):
            after[start].append(id_)
    layers = dict.fromkeys((id_ for id_, count in waits.items() if not count), 0)
    queue = [*layers]
    for id_ in queue:
        for end in after[id_]:
            layers[end] = max(layers.get(end, 0), layers[id_] + 1)
            waits[end] -= 1
            if not waits[end]:
                queue.append(end)
    return {id_: layers.get(id_, 0) for id_ in before}


def _width(layer: list[tuple[_Placed, list[_Placed]]]) -> float:
    return sum(each.width for each, _ in layer) + _BESIDE * (len(layer) - 1)


def _mean(numbers: list[float]) -> float:
    return sum(numbers) / len(numbers) if numbers else 0.0


def _shape(placed: _Placed) -> str:
    x, y = placed.x, placed.y
    assert placed.part is not None, "a gap has no shape"
    if isinstance(placed.part, Group):
        kind, round_, fill = "g", 8, placed.fill
    else:
        kind, fill = "b", placed.fill or _FILLS[placed.part.kind]
        round_ = 14 if placed.part.kind == "input" else 4
    rect = (
        f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{placed.width:.1f}" height="{placed.height:.1f}" '
        f'rx="{round_}"' + (f' style="fill:{fill}"' if fill else "") + "/>"
    )
    bold = chain([' font-weight="600"'], repeat(""))
    texts = (
        f'<text x="{x + _PADDING:.1f}" y="{y + _PADDING + number * _LINE + 11:.1f}"{weight}>{escape(line)}</text>'
        for number, (line, weight) in enumerate(zip(placed.lines, bold, strict=False))
    )
    return rect + "".join(texts)


def _line(arrow: Arrow, every: Mapping[str, _Placed], gaps: Iterable[_Placed]) -> str:
    start, end = every[arrow.start], every[arrow.end]
    x, y = start.x + start.width / 2, start.y + start.height
    curve = f"M{x:.1f} {y:.1f}"
    for each in (*gaps, end):
        to_x, to_y = each.x + each.width / 2, each.y
        bend = max(_BELOW / 2, (to_y - y) / 2)
        curve += f"C{x:.1f} {y + bend:.1f} {to_x:.1f} {to_y - bend:.1f} {to_x:.1f} {to_y:.1f}"
        x, y = to_x, to_y
        if each is not end:
            y += each.height
            curve += f"V{y:.1f}"
    return f'<path class="a" d="{curve}"{_DASHES[arrow.style]} marker-end="url(#tip)"/>'


def _labels(arrows: Iterable[Arrow], every: Mapping[str, _Placed], gaps: _Gaps) -> Iterator[str]:
    """Write what flows along each arrow, near that end of it which it shares with fewer others."""
    arrows = [*arrows]
    leaving, arriving = Counter(each.start for each in arrows), Counter(each.end for each in arrows)
    taken: set[tuple[int, int]] = set()
    for arrow in arrows:
        label = _cut(_printable(", ".join(arrow.labels)))
        if not label:
            continue
        start, end = every[arrow.start], every[arrow.end]
        points = [
            (start.x + start.width / 2, start.y + start.height),
            *((gap.x, gap.y) for gap in gaps.get(arrow, ())),
            (end.x + end.width / 2, end.y),
        ]
        if leaving[arrow.start] >= arriving[arrow.end]:
            (x, y), share = points[-1], 0.3
            other = points[-2]
        else:
            (x, y), share = points[0], 0.3
            other = points[1]
        x, y = x + share * (other[0] - x) + 3, y + share * (other[1] - y) + 3
        # One below the other, where two would begin at the same place.
        while (round(x / 40), round(y / 10)) in taken:
            y += 10
        taken.add((round(x / 40), round(y / 10)))
        text = f'x="{x:.1f}" y="{y:.1f}">{escape(label)}</text>'
        # What is behind it comes first: not every program paints the border of a text under the text.
        yield f'<text class="h" aria-hidden="true" {text}<text class="l" {text}'


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_LINE else f"{text[:_LONGEST_LINE]}…"


def _printable(text: str) -> str:
    # XML has no control characters, and no half of a surrogate pair.
    return "".join(it if it.isprintable() else " " for it in text)
