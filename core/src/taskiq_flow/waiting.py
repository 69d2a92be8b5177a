"""The waiting cells of a run, and the state of a run, as data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from taskiq_flow.graph.model import Graph
from taskiq_flow.graph.render import NodeNote, mime_bundle
from taskiq_flow.machine.transitions import RunStatus
from taskiq_flow.scheduler import RunningCell

__all__ = ["RunDescription", "WaitingCell"]

# The first state that a node has a cell in gives its box the colour.
_FILLS = {
    "failed": "#ffd7d5",
    "running": "#ddf4ff",
    "dispatched": "#ddf4ff",
    "waiting": "#fff8c5",
    "ready": "#eef6fb",
    "cancelled": "#fff1e5",
    "pending": "#ffffff",
    "succeeded": "#dafbe1",
    "skipped": "#eaeef2",
}


@frozen(kw_only=True)
class WaitingCell:
    """A cell that waits.

    :param path: The cell's path; empty for the run itself.
    :param state: ``pending`` (for inputs), ``ready`` (for a place), ``dispatched`` (for a worker), ``waiting`` (for
        another attempt), or ``running`` for a map with items that have not begun.
    :param since: When the wait began, in seconds since the epoch; for ``pending`` and ``running`` the run's start.
    :param reason: The reason, in one sentence without a period.
    :param holders: The cells, of any run of the pool, that hold the resources or limits it lacks.
    """

    path: str
    state: str
    since: float
    reason: str
    holders: tuple[RunningCell, ...] = ()


@frozen(kw_only=True)
class RunDescription:
    """The state of a run.

    :param id: The run's id.
    :param status: Its status.
    :param reason: Why it ended or ends; empty when its cells decide the end.
    :param counts: The number of cells in each state. Cells of map items that are finished or have not begun are not
        counted.
    :param waiting: The waiting cells: those that could run first, then those that lack an input.
    :param graph: The run's graph; ``None`` if unknown.
    :param nodes: The number of cells in each state, by the path of their node (``tracks[]/features``).
    :param items: How many items of each map in progress are finished, and how many there are.
    """

    id: str
    status: RunStatus
    reason: str = ""
    counts: Mapping[str, int] = field(factory=dict)
    waiting: tuple[WaitingCell, ...] = ()
    graph: Graph | None = field(default=None, eq=False, repr=False)
    nodes: Mapping[str, Mapping[str, int]] = field(factory=dict, eq=False, repr=False)
    items: Mapping[str, tuple[int, int]] = field(factory=dict, eq=False, repr=False)

    def __str__(self) -> str:
        counts = ", ".join(f"{number} {state}" for state, number in self.counts.items())
        reason = f" ({self.reason})" if self.reason else ""
        waits = (f"  {each.path or 'the run'} is {each.state}: {each.reason}" for each in self.waiting)
        return "\n".join((f"run {self.id} {self.status.value}{reason}: {counts or 'no cells'}", *waits))

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """Return what a notebook shows, by MIME type: a picture with the state of each node."""
        if self.graph is None:
            return {"text/plain": str(self)}
        notes = {
            path: NodeNote(_count(counts, self.items.get(path)), _FILLS[_strongest(counts)])
            for path, counts in self.nodes.items()
        }
        return mime_bundle(self.graph, str(self), notes)


def _strongest(counts: Mapping[str, int]) -> str:
    return next((state for state in _FILLS if counts.get(state)), "pending")


def _count(counts: Mapping[str, int], items: tuple[int, int] | None) -> str:
    words = [f"{number} {state}" if number > 1 else state for state, number in counts.items()]
    if items is not None:
        words.append(f"{items[0]} of {items[1]} items")
    return ", ".join(words)
