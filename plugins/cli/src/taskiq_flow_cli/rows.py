"""The lines that show where the nodes of a run stand, and how they are laid out for a graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from attrs import define, field, frozen

from taskiq_flow import Graph
from taskiq_flow.graph import MapNode, Node, Output, leaves, predecessors, topological_order

__all__ = ["Row", "Spot", "lay_out", "visible"]

ACTIVE = ("running", "waiting", "dispatched")
FINAL = ("succeeded", "failed", "skipped", "cancelled")


@define(eq=False, kw_only=True)
class Row:
    """What is known of one node, over all of its cells.

    :ivar name: The node's name.
    :ivar depth: How many maps it stands in.
    :ivar kind: ``task``, ``map`` or ``filter``.
    :ivar total: How many cells there will be, or items of a map; ``None`` while that is unknown.
    :ivar done: How many cells, or items of a map, are over.
    :ivar dispatched: Cells that wait for a worker.
    :ivar running: Cells that run.
    :ivar waiting: Cells that wait for another attempt.
    :ivar succeeded: Cells that succeeded.
    :ivar failed: Cells that failed for good.
    :ivar cancelled: Cells that were cancelled.
    :ivar retries: Attempts that failed and were, or will be, followed by another.
    :ivar forgiving: Whether its failures are left out of the list of a map, and fail nothing.
    :ivar endless: Whether one of its lists has a length that nobody knows before the end.
    :ivar end: The final state where the counts do not tell it.
    :ivar started: When the first cell was dispatched, in seconds since the epoch.
    :ivar ended: When the last cell ended.
    :ivar fractions: What running cells said of their progress, by path.
    :ivar why: Why its cells wait, as far as anybody asked; shown only where nothing of it runs.
    """

    name: str
    depth: int = 0
    kind: str = "task"
    total: int | None = 1
    done: int = 0
    dispatched: int = 0
    running: int = 0
    waiting: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    retries: int = 0
    forgiving: bool = False
    endless: bool = False
    end: str = ""
    started: float | None = None
    ended: float | None = None
    fractions: dict[str, float] = field(factory=dict)
    why: str = ""

    @property
    def state(self) -> str:
        """Where the node stands, in the words for the states of cells."""
        if self.end:
            return self.end
        for word in ACTIVE:
            if getattr(self, word):
                return word
        if self.failed and not self.forgiving:
            return "failed"
        if self.total is not None and self.done >= self.total and (self.done or self.started is not None):
            return "cancelled" if self.cancelled else "succeeded"
        return "pending" if self.started is None else "running"

    @property
    def over(self) -> bool:
        """Whether nothing more will happen to it, as far as is known."""
        return self.state in FINAL

    @property
    def fraction(self) -> float | None:
        """How much of it is done, from 0 to 1; ``None`` where there is nothing to measure it by."""
        if self.total is None or (self.kind == "task" and self.total == 1 and not self.fractions):
            return None
        return min(1.0, (self.done + sum(self.fractions.values())) / self.total) if self.total else 1.0

    @property
    def seconds(self) -> float | None:
        """How long it took from its first cell to its last, when it is over."""
        return (
            None if self.started is None or self.ended is None or not self.over else self.ended - self.started
        )


@frozen(kw_only=True, eq=False)
class Spot:
    """A node, wherever it stands in a graph.

    :param row: Its row.
    :param node: The node.
    :param map: The map that it stands in; ``None`` at the top.
    :param body: What stands in it, by name, for a map.
    :param goals: For a map: an item is over when of each of these sets one node is.
    :param sized: Whether the number of items in its list must be remembered, because another map goes over that.
    """

    row: Row
    node: Node
    map: Spot | None
    body: Mapping[str, Spot]
    goals: Sequence[frozenset[str]]
    sized: bool

    @property
    def plain(self) -> bool:
        """Whether it is a map over a single task, which needs no row of its own."""
        return len(self.body) == 1 and not any(isinstance(spot.node, MapNode) for spot in self.body.values())


def lay_out(graph: Graph) -> tuple[list[Row], dict[str, Spot]]:
    """Give a row for each node, each after what it waits for, and the spots of the graph's own nodes by name.

    The task in a map over a single task shares the row of the map.
    """
    rows: list[Row] = []
    return rows, _spots(graph, None, 0, rows, False)


def _spots(graph: Graph, owner: Spot | None, depth: int, rows: list[Row], forgiving: bool) -> dict[str, Spot]:
    mapped_over = {
        leaf.node
        for node in graph.nodes.values()
        if isinstance(node, MapNode)
        for leaf in leaves(node.items)
        if isinstance(leaf, Output)
    }
    found: dict[str, Spot] = {}
    shared = owner.row if owner is not None and len(graph.nodes) == 1 else None
    # As the data goes, not as the nodes were declared.
    for name in topological_order(graph):
        node = graph.nodes[name]
        is_map = isinstance(node, MapNode)
        if shared is not None and not is_map:
            row = shared
        else:
            kind = "task" if not isinstance(node, MapNode) else "filter" if node.keep == "items" else "map"
            lenient = forgiving or (isinstance(node, MapNode) and node.skip_errors)
            # In a map nobody knows how many there will be before the items are there.
            total = 1 if kind == "task" and owner is None else None
            row = Row(name=name, depth=depth, kind=kind, total=total, forgiving=lenient)
            rows.append(row)
        body: dict[str, Spot] = {}
        goals = _goals(node) if isinstance(node, MapNode) else ()
        spot = Spot(row=row, node=node, map=owner, body=body, goals=goals, sized=name in mapped_over)
        if isinstance(node, MapNode):
            body.update(_spots(node.body, spot, depth + 1, rows, forgiving or node.skip_errors))
        found[name] = spot
    return found


def _goals(node: MapNode) -> Sequence[frozenset[str]]:
    body = node.body
    collected = [
        frozenset(leaf.node for leaf in leaves(body.outputs[name]) if isinstance(leaf, Output))
        for name in node.collects
    ]
    if goals := tuple(dict.fromkeys(goal for goal in collected if goal)):
        return goals
    waited_for = {name for each in body.nodes.values() for name in predecessors(each)}
    return tuple(frozenset({name}) for name in body.nodes if name not in waited_for)


_ORDER = ("failed", "running", "waiting", "dispatched", "pending")


def visible(rows: Sequence[Row], limit: int) -> Iterator[Row]:
    """Choose which rows to show when there is not room for all: what failed, what is going on, what ended last.

    :param rows: All rows.
    :param limit: How many can be shown.
    :returns: The chosen ones, in their order.
    """
    if len(rows) <= limit:
        yield from rows
        return

    def rank(row: Row) -> tuple[int, float]:
        state = row.state
        if state in _ORDER:
            return _ORDER.index(state), 0.0
        return _ORDER.index("pending"), -(row.ended or 0.0) - 1.0

    chosen = {id(row) for row in sorted(rows, key=rank)[: max(limit, 0)]}
    yield from (row for row in rows if id(row) in chosen)
