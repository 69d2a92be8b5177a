"""The progress of a run, for people: folds the run's events into a row for each node. Reads no clock, draws nothing.

Events are about cells. That a node was skipped, or that an item of a map is over, follows from the graph. Where it
follows from a value, it is shown only when a dependent event comes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from attrs import frozen

from taskiq_flow import Graph
from taskiq_flow.graph import ListOf, MapNode, Output, Source, count_items, find_before, predecessors
from taskiq_flow.payloads import Failure
from taskiq_flow_cli.items import OpenMap, truth_of
from taskiq_flow_cli.rows import Row, Spot, lay_out

if TYPE_CHECKING:
    from taskiq_flow.machine.events import Event
    from taskiq_flow.waiting import WaitingCell

__all__ = ["AttemptFailure", "Progress"]

_ITEM_NUMBER = re.compile(r"\[\d+\]")


@frozen(kw_only=True)
class AttemptFailure:
    """An attempt that failed.

    :param cell: The path of the cell.
    :param attempt: The number of the attempt, counted from 1.
    :param failure: The failure.
    :param delay: Seconds until the next attempt; ``None`` when it was the last one.
    :param reason: The retry policy's reason.
    :param forgiven: Whether the item is left out of the map's list, and nothing else fails.
    """

    cell: str
    attempt: int
    failure: Failure
    delay: float | None = None
    reason: str = ""
    forgiven: bool = False


class Progress:
    """The progress of a run.

    :param graph: The graph of the run.

    :ivar rows: One for each node, each after its predecessors; those of a map's body after the map.
    :ivar started: The start of the run, in seconds since the epoch; ``None`` before.
    :ivar status: The run's status, as far as it is known.
    :ivar retries: The number of failed attempts that another one follows.
    """

    _HANDLERS: ClassVar[dict[str, str]] = {
        "RunStarted": "_run_started",
        "MapExpanded": "_map_expanded",
        "CellDispatched": "_cell_dispatched",
        "CellStarted": "_cell_started",
        "CellProgressed": "_cell_progressed",
        "CellSucceeded": "_cell_succeeded",
        "AttemptFailed": "_cell_failed",
        "CellCancelled": "_cell_cancelled",
        "CancelRequested": "_cancel_requested",
    }

    def __init__(self, graph: Graph) -> None:
        self.rows: list[Row]
        self.rows, self._spots = lay_out(graph)
        self._before = {name: find_before(graph, name) for name in graph.nodes}
        self.started: float | None = None
        self.status = "running"
        self.retries = 0
        self._active: dict[str, str] = {}
        self._open: dict[str, OpenMap] = {}
        self._sizes: dict[str, int | None] = {}
        self._found: dict[str, Spot] = {}
        self._calls: dict[str, Callable[[Any], AttemptFailure | None]] = {
            event: getattr(self, method) for event, method in self._HANDLERS.items()
        }

    def apply(self, event: Event) -> AttemptFailure | None:
        """Fold one event.

        :returns: The failure, when an attempt failed; events that mean nothing to people change nothing.
        """
        call = self._calls.get(type(event).__name__)
        return None if call is None else call(event)

    @property
    def stands(self) -> bool:
        """Whether a node has no running cell although its predecessors are over."""
        return any(
            not spot.row.over
            and not _runs(spot)
            and all(self._spots[before].row.over for before in self._before[name])
            for name, spot in self._spots.items()
        )

    def explain(self, waiting: Iterable[WaitingCell]) -> None:
        """Store the reasons why nodes with all inputs wait; of many cells of a node the first one's."""
        for row in self.rows:
            row.why = ""
        for cell in waiting:
            if cell.path and cell.state in ("ready", "dispatched", "waiting"):
                row = self._spot(cell.path).row
                row.why = row.why or cell.reason

    def finish(self, status: str) -> None:
        """Set the final status of the run, and close all rows."""
        self.status = status
        for path, word in self._active.items():
            row = self._spot(path).row
            setattr(row, word, getattr(row, word) - 1)
            row.cancelled += 1
            row.done += 1
        self._active.clear()
        self._open.clear()
        for row in self.rows:
            row.fractions.clear()
            if status == "succeeded":
                row.total = row.done if row.total is None else row.total
        for name, spot in self._spots.items():
            if spot.row.started is None and not spot.row.end and not spot.row.failed:
                if status == "succeeded":
                    self._pass_over(name)
                else:
                    spot.row.end = "cancelled"
            self._close_rows(spot, status)

    @property
    def nodes_over(self) -> int:
        """The number of the graph's own nodes that are over."""
        return sum(spot.row.over for spot in self._spots.values())

    @property
    def nodes(self) -> int:
        """The number of the graph's own nodes."""
        return len(self._spots)

    # Events

    def _run_started(self, event: Any) -> None:
        self.started = event.at

    def _cancel_requested(self, event: Any) -> None:
        if self.status == "running":
            self.status = "cancelling"

    def _map_expanded(self, event: Any) -> None:
        spot = self._spot(event.cell)
        self._unfold(spot, event.cell, event.at)
        node = spot.node
        assert isinstance(node, MapNode), "only maps have items"
        total = count_items(node, [len(event.items), *map(len, event.also)])
        self._open_map(spot, event.cell, total, event.at)

    def _cell_dispatched(self, event: Any) -> None:
        path = event.cell
        spot = self._spot(path)
        row = spot.row
        before = self._active.get(path)
        if before is not None:
            setattr(row, before, getattr(row, before) - 1)
        self._active[path] = "dispatched"
        row.dispatched += 1
        if row.started is None:
            row.started = event.at
        self._unfold(spot, path, event.at)

    def _cell_started(self, event: Any) -> None:
        if self._active.get(event.cell) == "dispatched":
            row = self._spot(event.cell).row
            self._active[event.cell] = "running"
            row.dispatched -= 1
            row.running += 1

    def _cell_progressed(self, event: Any) -> None:
        if event.cell in self._active:
            self._spot(event.cell).row.fractions[event.cell] = min(1.0, max(0.0, event.progress))

    def _cell_succeeded(self, event: Any) -> None:
        row = self._leave(event)
        row.succeeded += 1
        self._over(event.cell, event.at, ok=True, outputs=event.outputs)

    def _cell_failed(self, event: Any) -> AttemptFailure:
        spot = self._spot(event.cell)
        forgiven = spot.map is not None and spot.row.forgiving
        if event.retry_at is not None:
            row = self._leave(event)
            row.waiting += 1
            row.retries += 1
            self.retries += 1
            self._active[event.cell] = "waiting"
        else:
            self._leave(event).failed += 1
            self._over(event.cell, event.at, ok=False)
        return AttemptFailure(
            cell=event.cell,
            attempt=event.attempt,
            failure=event.failure,
            delay=None if event.retry_at is None else max(0.0, event.retry_at - event.at),
            reason=event.reason,
            forgiven=forgiven and event.retry_at is None,
        )

    def _cell_cancelled(self, event: Any) -> None:
        self._leave(event).cancelled += 1
        self._over(event.cell, event.at, ok=False)

    # What follows from them

    def _spot(self, path: str) -> Spot:
        key = _ITEM_NUMBER.sub("", path) if "[" in path else path
        spot = self._found.get(key)
        if spot is None:
            first, *words = key.split("/")
            spot = self._spots[first]
            for word in words:
                spot = spot.body[word]
            self._found[key] = spot
        return spot

    def _leave(self, event: Any) -> Row:
        row = self._spot(event.cell).row
        word = self._active.pop(event.cell, None)
        if word is not None:
            setattr(row, word, getattr(row, word) - 1)
        row.fractions.pop(event.cell, None)
        return row

    def _over(self, path: str, at: float, *, ok: bool, outputs: Sequence[Any] = ()) -> None:
        """Count a finished cell, and its item if that is over too."""
        spot = self._spot(path)
        spot.row.ended = at
        owner = spot.map
        if not isinstance(spot.node, MapNode) and (owner is None or owner.row is not spot.row):
            spot.row.done += 1
        if owner is None:
            return
        item, _, name = path.rpartition("/")
        owner_path, _, number = item.rpartition("[")
        items = self._open.get(owner_path)
        if items is None or not (owner.plain or items.ends(int(number[:-1]), name, owner.goals, ok=ok)):
            return
        items.done += 1
        owner.row.done += 1
        owner.row.ended = at
        if isinstance(owner.node, MapNode) and owner.node.keep == "items":
            included = truth_of(outputs) if ok else False
        else:
            # A failed item that keeps its place is in the list.
            included = ok or (isinstance(owner.node, MapNode) and bool(owner.node.fills))
        items.listed = None if items.listed is None or included is None else items.listed + included
        if items.total is not None and items.done >= items.total:
            self._close_map(owner, owner_path, items, at)

    def _open_map(self, spot: Spot, path: str, total: int | None, at: float) -> None:
        row = spot.row
        items = self._open[path] = OpenMap(total)
        row.started = at if row.started is None else row.started
        # With one list of unknown length the sum is unknown.
        row.endless = row.endless or total is None
        row.total = None if total is None or row.endless else (row.total or 0) + total
        for inner in spot.body.values():
            if inner.row is not row and not isinstance(inner.node, MapNode):
                inner.row.total = row.total
        if total == 0:
            self._close_map(spot, path, items, at)

    def _close_map(self, spot: Spot, path: str, items: OpenMap, at: float) -> None:
        self._open.pop(path, None)
        spot.row.ended = at
        if spot.sized:
            node = spot.node
            # What a reduction in a tree gives may be a list too, but of another length.
            tree = isinstance(node, MapNode) and node.keep == "one"
            self._sizes[path] = None if tree else items.listed
        if spot.map is not None:
            self._over(path, at, ok=True)
        else:
            self._settle_totals(spot)

    def _settle_totals(self, spot: Spot) -> None:
        """Set the totals within a finished map to the counts, because items may have ended before the last node."""
        for inner in spot.body.values():
            if inner.row is not spot.row:
                inner.row.total = inner.row.done
                self._settle_totals(inner)

    def _unfold(self, spot: Spot, path: str, at: float) -> None:
        """Infer from a cell that can run that its predecessors are over, and that the map around it is open."""
        if spot.map is None:
            # What follows others runs however they have ended, so nothing is known about them.
            followed = not isinstance(spot.node, MapNode) and spot.node.follows is not None
            for name in () if followed else predecessors(spot.node):
                self._pass_over(name)
            return
        item, _, _ = path.rpartition("/")
        owner = item.rpartition("[")[0]
        if owner not in self._open:
            self._unfold(spot.map, owner, at)
            node = spot.map.node
            assert isinstance(node, MapNode), "only maps have something in them"
            length = self._length(node.items, owner)
            total = None if length is None or node.also else count_items(node, [length])
            self._open_map(spot.map, owner, total, at)

    def _length(self, source: Source, path: str) -> int | None:
        """Return the length of a list that is known without reading its items; ``None`` where it is unknown."""
        if isinstance(source, ListOf):
            return len(source.sources)
        if isinstance(source, Output):
            scope = path.rpartition("/")[0]
            return self._sizes.get(f"{scope}/{source.node}" if scope else source.node)
        return None

    def _pass_over(self, name: str) -> None:
        """Close a node of the graph itself; without any event it was skipped, or is a map over an empty list."""
        row = self._spots[name].row
        if row.started is not None:
            # Only now the number of items is known.
            row.total = row.done if row.total is None else row.total
            return
        silent: dict[str, None] = {}
        todo = [name]
        while todo:
            found = todo.pop()
            row = self._spots[found].row
            if row.started is None and not row.end and found not in silent:
                silent[found] = None
                todo.extend(predecessors(self._spots[found].node))
        for found in reversed(silent):
            node = self._spots[found].node
            source = node.items if isinstance(node, MapNode) and node.when is None else None
            empty = isinstance(source, Output) and self._spots[source.node].row.state == "succeeded"
            row = self._spots[found].row
            row.end, row.total = ("succeeded", 0) if empty else ("skipped", row.total)

    def _close_rows(self, spot: Spot, status: str) -> None:
        row = spot.row
        if not row.end and not (row.failed and not row.forgiving):
            open_end = row.total is None or row.done < row.total
            if row.started is None:
                row.end = "skipped" if status == "succeeded" else "cancelled"
            elif status == "succeeded":
                row.end = "succeeded"
            elif open_end or row.cancelled:
                row.end = "cancelled"
        for inner in spot.body.values():
            if inner.row is not row:
                self._close_rows(inner, status)


def _runs(spot: Spot) -> bool:
    return bool(spot.row.running) or any(_runs(inner) for inner in spot.body.values())
