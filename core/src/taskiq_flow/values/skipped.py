"""The items that maps with ``skip_errors`` went on without."""

from __future__ import annotations

import re
from collections.abc import Mapping

from taskiq_flow.errors import CellFailed
from taskiq_flow.graph.model import Graph, MapNode
from taskiq_flow.payloads import Failure
from taskiq_flow.values.failures import cell_failed

__all__ = ["items_left_out"]

_ITEM = re.compile(r"(.*)\[(\d+)\]")


def items_left_out(
    graph: Graph, failures: Mapping[str, tuple[int, Failure]], run: str = ""
) -> dict[str, dict[int, CellFailed]]:
    """Return the failures of items that maps went on without, by map and position.

    An item is that of the innermost map that skips errors. Where several of its cells failed, the first one counts.

    :param failures: The last attempt and the failure of each failed cell in such maps, by path.
    :param run: The run's id.
    :returns: For the path of each map the failures of its items, by position in its list, counted from 0.
    """
    found: dict[str, dict[int, CellFailed]] = {}
    for path, (attempt, failure) in failures.items():
        # A filter whose answer could not be read has no failed cell, and its failure names the item.
        place = _place_of(graph, failure.cell or path)
        if place is not None:
            owner, position = place
            found.setdefault(owner, {}).setdefault(position, cell_failed(path, attempt, failure, run))
    return {owner: dict(sorted(items.items())) for owner, items in found.items()}


def _place_of(graph: Graph, path: str) -> tuple[str, int] | None:
    place: tuple[str, int] | None = None
    prefix = ""
    for step in path.split("/"):
        match = _ITEM.fullmatch(step)
        node = None if match is None else graph.nodes.get(match[1])
        if match is None or not isinstance(node, MapNode):
            break
        if node.skip_errors:
            place = (prefix + match[1], int(match[2]))
        graph, prefix = node.body, f"{prefix}{step}/"
    return place
