"""Graphs for people: drawings and text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice

from taskiq_flow._words import Suggestions, quote
from taskiq_flow.errors import GraphError
from taskiq_flow.graph._dot import draw_dot
from taskiq_flow.graph._mermaid import draw_mermaid
from taskiq_flow.graph._svg import NodeNote, draw_svg
from taskiq_flow.graph._text import write_text
from taskiq_flow.graph.model import Graph, MapNode
from taskiq_flow.graph.order import task_nodes
from taskiq_flow.graph.wire import to_json

__all__ = ["FORMATS", "NodeNote", "describe_graph", "mime_bundle", "render"]

# A picture with more boxes says nothing, and a notebook keeps every one that it has shown.
_MOST_DRAWN = 300
_MOST_NAMED = 6


def _write_json(graph: Graph) -> str:
    return to_json(graph, indent=2) + "\n"


_RENDERERS: Mapping[str, Callable[[Graph], str]] = {
    "text": write_text,
    "mermaid": draw_mermaid,
    "dot": draw_dot,
    "svg": draw_svg,
    "json": _write_json,
}

FORMATS: tuple[str, ...] = tuple(_RENDERERS)
"""The formats of :func:`render`: ``text`` for a terminal, ``mermaid``, ``dot`` (Graphviz), ``svg`` and ``json``."""


def render(graph: Graph, format: str = "text") -> str:  # noqa: A002 - the word that people look for
    """Draw a graph.

    :param graph: A graph.
    :param format: One of :data:`FORMATS`.
    :returns: Text that ends with a line break.
    :raises GraphError: there is no such format, or maps are nested more deeply than Python recurses.
    """
    renderer = _RENDERERS.get(format)
    if renderer is None:
        hint = Suggestions(FORMATS).hint(format)
        raise GraphError(f"graphs cannot be drawn as {format!r}; take one of {quote(FORMATS)}{hint}")
    try:
        return renderer(graph)
    except RecursionError as error:
        raise GraphError("cannot draw the graph: it is nested too deeply; split it") from error


def describe_graph(graph: Graph) -> str:
    """Describe a graph in a line: its inputs, the first of its nodes, and its outputs."""
    names = [
        f"{name}{'[]' if isinstance(node, MapNode) else ''}"
        for name, node in islice(graph.nodes.items(), _MOST_NAMED)
    ]
    if len(graph.nodes) > len(names):
        names.append(f"and {len(graph.nodes) - len(names)} more nodes")
    required = [name for name, spec in graph.inputs.items() if spec.required]
    return (
        f"({', '.join(required)}) → {', '.join(names) or 'no node'} → {', '.join(graph.outputs) or 'nothing'}"
    )


def mime_bundle(graph: Graph, plain: str, notes: Mapping[str, NodeNote] | None = None) -> dict[str, str]:
    """Return what a notebook shows for a graph, by MIME type; a picture where the graph is not too large for one.

    :param plain: The text for where there are no pictures.
    :param notes: What to say about nodes, by path.
    """
    bundle = {"text/plain": plain}
    if sum(1 for _ in task_nodes(graph)) <= _MOST_DRAWN:
        bundle["image/svg+xml"] = draw_svg(graph, notes)
    return bundle
