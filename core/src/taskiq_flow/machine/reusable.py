"""The results of a run that a resumption can reuse.

A result is reusable when its cell succeeded and none of its direct or indirect inputs will change. The predecessors of
a succeeded cell have succeeded or were skipped, which is final, with two exceptions: a map that skips errors succeeds
although some of its items failed, and a join that takes failures succeeds behind them. A resumption tries what failed
again, so the lists of the map may become longer, and the join may get a value. Therefore every node that waits for
something that failed, even for the order alone, runs again; if it is a map itself, with all its items.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from taskiq_flow.graph.model import Graph
from taskiq_flow.machine.events import CellSucceeded, Event
from taskiq_flow.machine.machine import RunMachine
from taskiq_flow.machine.plan import Plan, plan_of
from taskiq_flow.machine.replay import replay
from taskiq_flow.machine.scope import Cell
from taskiq_flow.machine.transitions import CellState
from taskiq_flow.payloads import Value

__all__ = ["reusable_results"]


def reusable_results(
    graph: Graph,
    log: Iterable[Event],
    *,
    read: Callable[[Value], Any],
    given: Iterable[CellSucceeded] = (),
    lost: Iterable[str] = (),
) -> list[CellSucceeded]:
    """Return the successes that a resumption reuses, in the order of the log; linear in the log.

    :param graph: The graph of the run that is over.
    :param log: Its log.
    :param read: Callback that decodes a value, as for :class:`~taskiq_flow.machine.machine.RunMachine`.
    :param given: The results that this run reused from an earlier one. They count even if the run ended before it came
        to their cells.
    :param lost: Succeeded cells whose results are no longer in the store.
    """
    machine = RunMachine(graph, read=read)
    succeeded = {event.cell: event for event in given}
    cell_of_event: Cell | None = None

    def watch() -> Iterator[Event]:
        nonlocal cell_of_event
        for event in log:
            in_flight = machine.cells.in_flight
            cell_of_event = in_flight.get(event.cell) if isinstance(event, CellSucceeded) else None
            if cell_of_event is not None and cell_of_event.position in cell_of_event.scope.plan.following:
                cell_of_event = None  # what follows others follows what they do in the resumption
            yield event

    for event, _ in replay(machine, watch()):
        # The event may have come too late, or with too few outputs.
        if cell_of_event is not None and cell_of_event.state is CellState.SUCCEEDED:
            assert isinstance(event, CellSucceeded)
            succeeded[event.cell] = event
    lost = frozenset(lost)
    stale = _Stale(plan_of(graph), (*machine.suppressed, *machine.failures, *lost))
    return [event for cell, event in succeeded.items() if cell not in lost and cell not in stale]


class _Stale:
    """The cells whose inputs may change.

    :param plan: The prepared graph.
    :param changing: The paths of cells whose outcome will change.
    """

    def __init__(self, plan: Plan, changing: Iterable[str]) -> None:
        self._plan = plan
        self._nodes: dict[str, set[str]] = {}
        names: dict[str, set[str]] = {}
        for path in changing:
            # If a cell's outcome changes, so do the outcomes of the maps around it.
            for prefix, name in _levels(path):
                names.setdefault(prefix, set()).add(name)
        for prefix, changed in names.items():
            self._nodes[prefix] = _after(self._plan_at(prefix), changed)

    def __contains__(self, path: str) -> bool:
        nodes = self._nodes
        return bool(nodes) and any(name in nodes.get(prefix, ()) for prefix, name in _levels(path))

    def _plan_at(self, prefix: str) -> Plan:
        plan = self._plan
        for scope in prefix.split("/")[:-1]:
            plan = plan.bodies[plan.index[scope.partition("[")[0]]]
        return plan


def _levels(path: str) -> Iterator[tuple[str, str]]:
    """Yield the prefix and the node's name of each map around a cell, the outermost first, and then of the cell."""
    scopes = path.split("/")
    name = scopes.pop()
    prefix = ""
    for scope in scopes:
        yield prefix, scope.partition("[")[0]
        prefix = f"{prefix}{scope}/"
    yield prefix, name


def _after(plan: Plan, names: Iterable[str]) -> set[str]:
    """Return the names of all nodes that wait for the given ones, directly or not."""
    found: set[int] = set()
    todo = [plan.index[name] for name in names]
    while todo:
        new = [each for each in plan.dependents[todo.pop()] if each not in found]
        found.update(new)
        todo += new
    return {plan.nodes[position].name for position in found}
