"""Graphs in the language of Graphviz; see https://graphviz.org/doc/info/lang.html."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from taskiq_flow.graph._drawing import Arrow, Group, Part, draw
from taskiq_flow.graph.model import Graph

__all__ = ["draw_dot"]

_BOXES = {
    "task": 'shape=box, style="rounded"',
    "input": 'shape=ellipse, style="filled", fillcolor="#e8f0fe"',
    "output": 'shape=note, style="filled", fillcolor="#e6f4ea"',
}
_ARROWS = {"data": "", "guard": 'style="dashed"', "order": 'style="dotted", arrowhead="open"'}


def draw_dot(graph: Graph) -> str:
    """Draw a graph: bodies of maps as clusters, guards as dashed arrows, order without data as dotted arrows."""
    drawing = draw(graph)
    lines = [
        f"digraph {_quote([graph.name or 'pipeline'])} {{",
        "    compound=true;",
        '    node [fontname="sans-serif", fontsize=11];',
        '    edge [fontname="sans-serif", fontsize=9];',
    ]
    groups: dict[str, Group] = {}
    for part in drawing.parts:
        _write(part, lines, 1, groups)
    lines += [f"    {_arrow(arrow, groups)}" for arrow in drawing.arrows]
    return "\n".join([*lines, "}"]) + "\n"


def _write(part: Part, lines: list[str], depth: int, groups: dict[str, Group]) -> None:
    margin = "    " * depth
    if isinstance(part, Group):
        groups[part.id] = part
        lines.append(f"{margin}subgraph cluster_{part.id} {{")
        lines.append(
            f'{margin}    label={_quote(part.lines)}; style="rounded"; fontname="sans-serif"; fontsize=11;'
        )
        for inner in part.parts:
            _write(inner, lines, depth + 1, groups)
        lines.append(f"{margin}}}")
    else:
        lines.append(f"{margin}{part.id} [label={_quote(part.lines)}, {_BOXES[part.kind]}];")


def _arrow(arrow: Arrow, groups: dict[str, Group]) -> str:
    attributes = [_ARROWS[arrow.style]] if _ARROWS[arrow.style] else []
    if arrow.labels:
        attributes.append(f"label={_quote(arrow.labels)}")
    # Graphviz has no arrows between clusters: an arrow joins boxes inside them and is cut off at the border.
    start, end = arrow.start, arrow.end
    if start in groups:
        attributes.append(f'ltail="cluster_{start}"')
        start = _last_box(groups[start])
    if end in groups:
        attributes.append(f'lhead="cluster_{end}"')
        end = next(_boxes(groups[end]))
    return f"{start} -> {end}" + (f" [{', '.join(attributes)}];" if attributes else ";")


def _boxes(part: Part) -> Iterator[str]:
    if isinstance(part, Group):
        for inner in part.parts:
            yield from _boxes(inner)
    else:
        yield part.id


def _last_box(group: Group) -> str:
    return list(_boxes(group))[-1]


def _quote(lines: Iterable[str]) -> str:
    """Write lines as one quoted text, with backslashes escaped, because Graphviz has escapes of its own."""
    printable = ("".join(it if it.isprintable() else " " for it in line) for line in lines)
    escaped = (line.replace("\\", "\\\\").replace('"', '\\"') for line in printable)
    return '"' + "\\n".join(escaped) + '"'
