"""How deep graphs may be nested. What reads, writes and executes them recurses over levels, so they are bounded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from taskiq_flow.graph.model import FirstOf, Graph, Input, ListOf, Literal, MapNode, Output, Source
from taskiq_flow.graph.order import sources

__all__ = ["MOST_NESTED_MAPS", "MOST_NESTED_SOURCES", "depth_problems"]

MOST_NESTED_MAPS = 50
"""How many maps a map may be inside of, itself included; far from where Python stops to recurse."""

MOST_NESTED_SOURCES = 50
"""How many lists and choices a source may be inside of."""

_FLAT = frozenset({Input, Output, Literal})


def depth_problems(graph: Graph) -> Iterator[str]:
    """Find out whether maps or sources are nested too deep, without recursion."""
    # By identity: a body that stands in many maps is looked at once.
    level = {id(graph): graph}
    for _ in range(MOST_NESTED_MAPS + 1):
        for each in level.values():
            yield from _source_problems(each)
        bodies = [
            node.body for each in level.values() for node in each.nodes.values() if isinstance(node, MapNode)
        ]
        if not bodies:
            return
        level = {id(body): body for body in bodies}
    yield (
        f"maps are nested more than {MOST_NESTED_MAPS} deep; let the tasks of the inner ones go over their lists "
        "themselves, or start pipelines of their own"
    )


def _source_problems(graph: Graph) -> Iterator[str]:
    for node in graph.nodes.values():
        # Most nodes have nothing nested at all.
        if not _FLAT.issuperset(map(type, sources(node))) and _is_too_deep(sources(node)):
            yield _describe(f"node {node.name!r}")
    if _is_too_deep(graph.outputs.values()):
        yield _describe("the pipeline's outputs")


def _describe(place: str) -> str:
    return (
        f"a source of {place} is nested more than {MOST_NESTED_SOURCES} deep in lists and choices; "
        "put a task in between that hands the list on"
    )


def _is_too_deep(given: Iterable[Source]) -> bool:
    level = _pick_nested(given)
    for _ in range(MOST_NESTED_SOURCES):
        if not level:
            return False
        level = _pick_nested(inner for source in level.values() for inner in source.sources)
    return bool(level)


def _pick_nested(given: Iterable[Source]) -> dict[int, FirstOf | ListOf]:
    return {id(source): source for source in given if isinstance(source, (FirstOf, ListOf))}
