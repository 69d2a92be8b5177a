"""What a run that is resumed has done for good: the results that need not be produced again.

A result is kept when its cell succeeded, and nothing that it was made of, directly or by detours, is going to be
another one. All that a succeeded cell has waited for has succeeded or was skipped, both for good, with one exception: a
map that leaves out items with errors succeeds although something in it failed. These items are tried again, so its
lists may become longer; whatever waits for such a map, be it for the order alone, is done again, with all its items if
it is a map itself.
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
    """Give the successes that a resumption takes over, in the order in which they happened; linear in the log.

    :param graph: The graph of the run that is over.
    :param log: Its log.
    :param read: As for :class:`~taskiq_flow.machine.machine.RunMachine`.
    :param given: What the run was to take over itself. It may have ended before it came to some of these, which
        are as good as they were.
    :param lost: Cells that have succeeded and whose results are gone all the same.
    """
    machine = RunMachine(graph, read=read)
    succeeded = {event.cell: event for event in given}
    about: Cell | None = None

    def watch() -> Iterator[Event]:
        nonlocal about
        for event in log:
            about = machine.cells.in_flight.get(event.cell) if isinstance(event, CellSucceeded) else None
            yield event

    for event, _ in replay(machine, watch()):
        # It may have come too late, or with too few outputs.
        if about is not None and about.state is CellState.SUCCEEDED:
            assert isinstance(event, CellSucceeded)
            succeeded[event.cell] = event
    lost = frozenset(lost)
    stale = _Stale(plan_of(graph), (*machine.suppressed, *lost))
    return [event for cell, event in succeeded.items() if cell not in lost and cell not in stale]


class _Stale:
    """The cells whose inputs may become others.

    :param plan: The prepared graph.
    :param changing: The paths of cells that will have another outcome.
    """

    def __init__(self, plan: Plan, changing: Iterable[str]) -> None:
        self._plan = plan
        self._nodes: dict[str, set[str]] = {}
        names: dict[str, set[str]] = {}
        for path in changing:
            # With a cell, the maps that it is in have another outcome.
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
    """Give the maps that a cell is in, the outermost first, and then the cell: where each is, and its node's name."""
    scopes = path.split("/")
    name = scopes.pop()
    prefix = ""
    for scope in scopes:
        yield prefix, scope.partition("[")[0]
        prefix = f"{prefix}{scope}/"
    yield prefix, name


def _after(plan: Plan, names: Iterable[str]) -> set[str]:
    """Give the names of all nodes that wait for some, directly or not."""
    found: set[int] = set()
    line = [plan.index[name] for name in names]
    while line:
        new = [each for each in plan.dependents[line.pop()] if each not in found]
        found.update(new)
        line += new
    return {plan.nodes[position].name for position in found}
