"""Graphs as Mermaid flowcharts; see https://mermaid.js.org/syntax/flowchart.html for the language."""

from __future__ import annotations

from collections.abc import Iterable

from taskiq_flow.graph._drawing import Arrow, Group, Part, draw
from taskiq_flow.graph.model import Graph

__all__ = ["draw_mermaid"]

_BRACKETS = {"task": ('["', '"]'), "input": ('(["', '"])'), "output": ('[["', '"]]')}
_ARROWS = {"data": "-->", "guard": "==>", "order": "-.->"}


def draw_mermaid(graph: Graph) -> str:
    """Draw a graph: bodies of maps as subgraphs, guards as thick arrows, order without data as dotted arrows."""
    drawing = draw(graph)
    lines = ["flowchart TD"]
    if graph.name:
        lines = ["---", f"title: {_quote_yaml(graph.name)}", "---", *lines]
    for part in drawing.parts:
        _write(part, lines, 1)
    lines += [f"    {_arrow(arrow)}" for arrow in drawing.arrows]
    return "\n".join(lines) + "\n"


def _write(part: Part, lines: list[str], depth: int) -> None:
    margin = "    " * depth
    if isinstance(part, Group):
        lines.append(f'{margin}subgraph {part.id}["{_label(part.lines)}"]')
        for inner in part.parts:
            _write(inner, lines, depth + 1)
        lines.append(f"{margin}end")
    else:
        start, end = _BRACKETS[part.kind]
        lines.append(f"{margin}{part.id}{start}{_label(part.lines)}{end}")


def _arrow(arrow: Arrow) -> str:
    label = f'|"{_label(arrow.labels)}"|' if arrow.labels else ""
    return f"{arrow.start} {_ARROWS[arrow.style]}{label} {arrow.end}"


def _label(lines: Iterable[str]) -> str:
    return "<br/>".join(_escape(line) for line in lines) or " "


def _escape(text: str) -> str:
    """Write every character that is special in Mermaid, Markdown or HTML as its number."""
    return "".join(
        character if character.isalnum() or character in " ,.:=()_-/'+…" else f"#{ord(character)};"
        for character in text
    )


def _quote_yaml(text: str) -> str:
    printable = "".join(character if character.isprintable() else " " for character in text)
    return "'" + printable.replace("'", "''") + "'"
