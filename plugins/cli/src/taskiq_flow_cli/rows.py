"""The rows that show the progress of nodes, and their layout for a graph."""

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
    """The progress of one node, over all of its cells.

    :ivar name: The node's name.
    :ivar depth: The number of maps around it.
    :ivar kind: ``task``, ``map`` or ``filter``.
    :ivar total: The number of cells, or of a map's items; ``None`` while it is unknown.
    :ivar done: The number of cells, or of a map's items, that are over.
    :ivar dispatched: Cells that wait for a worker.
    :ivar running: Cells that run.
    :ivar waiting: Cells that wait for another attempt.
    :ivar succeeded: Cells that succeeded.
    :ivar failed: Cells that failed for good.
    :ivar cancelled: Cells that were cancelled.
    :ivar retries: Failed attempts that another one follows.
    :ivar forgiving: Whether failed items are left out of the map's list, and fail nothing else.
    :ivar endless: Whether one of its lists has a length that is unknown until its end.
    :ivar end: The final state where the counts do not show it.
    :ivar started: The time of the first dispatch, in seconds since the epoch.
    :ivar ended: The time when the last cell ended.
    :ivar fractions: The reported progress of running cells, by path.
    :ivar why: The reason why its cells wait, once asked for; shown only while none of them runs.
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
        """The state of the node, in the words for the states of cells."""
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
        """The fraction that is done, from 0 to 1; ``None`` where it cannot be measured."""
        if self.total is None or (self.kind == "task" and self.total == 1 and not self.fractions):
            return None
        return min(1.0, (self.done + sum(self.fractions.values())) / self.total) if self.total else 1.0

    @property
    def seconds(self) -> float | None:
        """Seconds from its first cell to its last, when it is over."""
        return (
            None if self.started is None or self.ended is None or not self.over else self.ended - self.started
        )


@frozen(kw_only=True, eq=False)
class Spot:
    """A node at its place in a graph.

    :param row: Its row.
    :param node: The node.
    :param map: The map around it; ``None`` at the top.
    :param body: The nodes of a map's body, by name.
    :param goals: For a map: an item is over when in each of these sets one node is over.
    :param sized: Whether to remember the length of its list, because another map goes over it.
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
    """Return a row for each node, each after its predecessors, and the spots of the graph's own nodes by name.

    The task in a map over a single task shares the row of the map.
    """
    rows: list[Row] = []
    return rows, _spots(graph, None, 0, rows, False)


def _spots(graph: Graph, owner: Spot | None, depth: int, rows: list[Row], forgiving: bool) -> dict[str, Spot]:
    mapped_over = {
        leaf.node
        for node in graph.nodes.values()
        if isinstance(node, MapNode)
        for source in (node.items, *node.also.values())
        for leaf in leaves(source)
        if isinstance(leaf, Output)
    }
    found: dict[str, Spot] = {}
    shared = owner.row if owner is not None and len(graph.nodes) == 1 else None
    # In the order of the data, not of the declarations.
    for name in topological_order(graph):
        node = graph.nodes[name]
        is_map = isinstance(node, MapNode)
        if shared is not None and not is_map:
            row = shared
        else:
            kind = "task" if not isinstance(node, MapNode) else "filter" if node.keep == "items" else "map"
            lenient = forgiving or (isinstance(node, MapNode) and node.skip_errors)
            # Within a map the number of cells is unknown until the items are known.
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
    """Choose the rows to show when the screen is too small: failed ones, running ones, then those that ended last.

    :param rows: All rows.
    :param limit: The number of rows that can be shown.
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
