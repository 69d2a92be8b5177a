"""Graphs for people: drawings and text."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from taskiq_flow._words import Suggestions, quote
from taskiq_flow.errors import GraphError
from taskiq_flow.graph._dot import draw_dot
from taskiq_flow.graph._mermaid import draw_mermaid
from taskiq_flow.graph._text import write_text
from taskiq_flow.graph.model import Graph
from taskiq_flow.graph.wire import to_json

__all__ = ["FORMATS", "render"]


def _write_json(graph: Graph) -> str:
    return to_json(graph, indent=2) + "\n"


_RENDERERS: Mapping[str, Callable[[Graph], str]] = {
    "text": write_text,
    "mermaid": draw_mermaid,
    "dot": draw_dot,
    "json": _write_json,
}

FORMATS: tuple[str, ...] = tuple(_RENDERERS)
"""The formats of :func:`render`: ``text`` for a terminal, ``mermaid``, ``dot`` (Graphviz) and ``json``."""


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
