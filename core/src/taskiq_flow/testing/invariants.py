"""Invariants of a machine after every event, for tests of machines, drivers and simulations.

:func:`check_invariants` recomputes the machine's derived data from the states of its cells, and compares.
It examines everything and is slow on purpose: keep it away from large graphs.
"""

from __future__ import annotations

from array import array
from collections import deque
from typing import Any

import attrs

from taskiq_flow.graph.model import MapNode, TaskNode
from taskiq_flow.graph.order import predecessors
from taskiq_flow.machine.cells import Cells
from taskiq_flow.machine.machine import RunMachine
from taskiq_flow.machine.plan import Plan, resolve
from taskiq_flow.machine.scope import Cell, Items, RunTimer, Scope
from taskiq_flow.machine.transitions import CellState, RunStatus

__all__ = ["FinalStates", "check_invariants", "snapshot"]

_GOOD = (CellState.SUCCEEDED, CellState.SKIPPED)
_IN_FLIGHT = (CellState.DISPATCHED, CellState.RUNNING)


def check_invariants(machine: RunMachine) -> None:
    """Check the invariants that hold between two events.

    :raises AssertionError: an invariant does not hold; names it.
    """
    cells = machine.cells
    assert not machine._out, "instructions were left behind"
    assert not machine._settled, "final cells did not have their effect"
    ending = machine.status is not RunStatus.RUNNING
    assert ending or not machine._must_stop, "a failure that stops the run did not stop it"
    scopes = {id(scope) for scope in cells.scopes()}
    for cell in cells.active.values():
        assert id(cell.scope) in scopes, f"{cell.path} is active in a scope that is not open"
    for scope in cells.scopes():
        _check_scope(machine, scope, ending)
    _check_active(machine)
    _check_maps(machine, ending)
    _check_timers(machine)
    _check_ends(machine)


def _check_scope(machine: RunMachine, scope: Scope, ending: bool) -> None:
    where = scope.prefix or "the run"
    states = [CellState(state) for state in scope.states]
    finals = sum(state.final for state in states)
    assert all(state is CellState.PENDING or state.final for state in states), f"{where} has half states"
    if scope.left == -1:
        assert finals == len(states), f"{where} is over, but cells are not"
    else:
        assert scope.left == len(states) - finals, f"{where} counts its cells wrongly"
        assert scope.left or machine.status.final or ending, f"{where} is over, but still open"
    succeeded = {position for position, state in enumerate(states) if state is CellState.SUCCEEDED}
    assert set(scope.outputs) == succeeded, f"{where} keeps outputs of cells that did not succeed"
    failed = any(
        state is CellState.FAILED and not scope.hands_on(position) for position, state in enumerate(states)
    )
    assert scope.failed == failed, f"{where} does not know whether it failed"
    for position, node in enumerate(scope.plan.nodes):
        path = scope.prefix + node.name
        active = machine.cells.active.get(path)
        before = [states[scope.plan.index[name]] for name in predecessors(node)]
        if position in scope.plan.following:
            _check_following(scope, position, states, active)
            continue
        before = [
            states[place]
            for place in (scope.plan.index[name] for name in predecessors(node))
            if not (states[place].final and scope.plan.outlives(position, place))
        ]
        if active is not None:
            assert states[position] is CellState.PENDING, f"{path} is active and final"
            _check_sources(machine, scope, active, before)
        elif states[position] is CellState.SKIPPED:
            assert all(state in _GOOD for state in before), f"{path} was skipped too early"
            assert machine._params_of(scope, position) is None, f"{path} was skipped for nothing"
        elif states[position] is CellState.PENDING and not ending:
            missing = sum(not state.final for state in before)
            assert scope.missing[position] == missing, f"{path} counts its predecessors wrongly"
            assert missing, f"{path} waits for nothing"
            assert all(state in _GOOD or not state.final for state in before), f"{path} waits for the dead"


def _check_following(scope: Scope, position: int, states: list[CellState], active: Cell | None) -> None:
    """I1 for what follows others: it is not begun before they have ended, however they have."""
    if active is not None or states[position] is CellState.SKIPPED:
        before = [states[each] for each in scope.plan.following[position].before]
        assert all(state.final for state in before), f"{scope.plan.nodes[position].name} was begun too early"


def _check_sources(machine: RunMachine, scope: Scope, cell: Cell, before: list[CellState]) -> None:
    """I1: a cell is active only when all its required sources have values."""
    assert all(state in _GOOD for state in before), (
        f"{cell.path} was started before its predecessors were done"
    )
    assert machine._params_of(scope, cell.position) == cell.params, f"{cell.path} has other parameters"
    for param in scope.plan.params[cell.position]:
        if not param.optional and not param.tolerant:
            found = resolve(param.place, scope.inputs, scope.outputs)
            assert found is not None, f"{cell.path} misses {param.name}"


def _check_active(machine: RunMachine) -> None:
    cells = machine.cells
    for path, cell in cells.active.items():
        assert path == cell.path == cell.scope.prefix + cell.node.name
        assert cell.state is not CellState.PENDING, f"{path} is active and pending"
        assert not cell.state.final, f"{path} is active and final"
        assert cell.story[-1] == cell.state, f"{path} tells another story"
        if isinstance(cell.node, MapNode):
            assert cell.state is CellState.RUNNING, f"map {path} is {cell.state.word}"
        if cell.undecided is not None:
            assert path in cells.in_flight, f"the policy was asked about {path}, which is not in flight"
    in_flight = {
        path: cell
        for path, cell in cells.active.items()
        if isinstance(cell.node, TaskNode) and cell.state in _IN_FLIGHT
    }
    # I6: the cells in flight follow from the states; so do the attempts that were given up.
    assert cells.in_flight == in_flight, "in_flight differs from the dispatched and running cells"
    assert cells.lent.keys() <= in_flight.keys(), "places are lent that nobody has"
    occupied = [id(cell) for cell in machine.occupying()]
    assert len(occupied) == len(set(occupied)) == len(in_flight) + len(cells.held_slots)
    for (path, attempt), cell in cells.held_slots.items():
        assert (cell.path, cell.attempt) == (path, attempt)
        current = cells.active.get(path)
        assert current is None or current.attempt > attempt, f"{path} is current and given up"


def _check_maps(machine: RunMachine, ending: bool) -> None:
    maps = [(cell, cell.items) for cell in machine.cells.active.values() if cell.items is not None]
    opened = sum(len(items.open) for _, items in maps)
    if not ending:
        assert machine._open_count == opened, "the open items are counted wrongly"
    beside = sum(max(0, len(items.open) - 1) for _, items in maps if items.limit is None)
    assert beside <= machine._window, "more items are open than the window lets"
    for cell, items in maps:
        assert items.limit is None or len(items.open) <= items.limit, f"{cell.path} opened too many items"
        assert set(items.open) <= set(range(items.next)), f"{cell.path} opened items out of turn"
        done = [number for number in range(items.next) if number not in items.open]
        kept = {
            number for column in items.results for number, value in enumerate(column) if value is not None
        }
        assert kept <= set(done), f"{cell.path} has results of items that are not done"
        # A failed item has no result, or what fills its place.
        assert items.failures <= len(done) - (0 if getattr(cell.node, "fills", "") else len(kept))
        for number, scope in items.open.items():
            assert scope.parent is cell
            assert scope.number == number
        if ending:
            continue
        assert not items.finished, f"{cell.path} is over, but still open"
        if items.next < items.count and (items.limit is None or len(items.open) < items.limit):
            assert items.starved, f"{cell.path} could open items"
            assert opened >= machine._window, f"{cell.path} waits for nothing"
            assert any(other is cell for other in machine._starved)


def _check_timers(machine: RunMachine) -> None:
    for name, timer in machine.timers.items():
        cell = timer.cell
        if cell is None:
            assert name == "run"
            assert machine.status is RunStatus.RUNNING, "the run's timer outlives it"
            continue
        assert machine.cells.active.get(cell.path) is cell, f"timer {name} outlives its cell"
        assert name in (cell.timers or ()), f"{cell.path} does not know its timer {name}"
        kind = "retry" if cell.state is CellState.WAITING else "attempt"
        assert name == f"{kind}:{cell.path}:{cell.attempt}", (
            f"{name} runs for a cell that is {cell.state.word}"
        )
    for cell in machine.cells.active.values():
        assert set(cell.timers or ()) <= set(machine.timers), f"{cell.path} has timers that do not run"
        if cell.state is CellState.WAITING:
            assert cell.timers, f"{cell.path} waits for nothing"


def _check_ends(machine: RunMachine) -> None:
    """I4 and I8: no state waits for nothing, and a failed run names its failures."""
    cells, status = machine.cells, machine.status
    if status.final:
        assert not cells.active, "the run is over, its cells are not"
        assert not machine.timers, "the run is over, its timers are not"
        states = [] if cells.root is None else [CellState(state) for state in cells.root.states]
        assert all(state.final for state in states), "the run is over, its cells are not"
    elif status is RunStatus.CANCELLING:
        assert cells.in_flight or (machine._cleaning is not None and cells.active), (
            "the run is being ended, and waits for nothing"
        )
    elif cells.root is not None:
        waiting = (
            cell.state is not CellState.RUNNING or isinstance(cell.node, TaskNode) or cell.items is None
            for cell in cells.active.values()
        )
        assert any(waiting), "the run waits for nothing"
    if status is RunStatus.FAILED:
        assert machine.failures or machine.timed_out, "the run failed without a failure"
    if status is RunStatus.SUCCEEDED:
        assert not machine.failures, "the run succeeded although cells failed"
    for path in (*machine.failures, *machine.suppressed):
        state = cells.state_of(path)
        # Of a finished item only its end is known; a filter may have failed an item of a map that goes on.
        assert state is not None, f"{path} failed, which there is not"
        over = state in (CellState.FAILED, CellState.CANCELLED)
        going_on = path in cells.active and cells.active[path].items is not None
        skipping = path in machine.suppressed and state is CellState.SUCCEEDED
        assert over or going_on or skipping, f"{path} failed and is {state.word}"


class FinalStates:
    """I2: remembers final states, and checks that they stay.

    Call :meth:`observe` after every event.
    """

    def __init__(self) -> None:
        self.seen: dict[str, CellState] = {}

    def observe(self, machine: RunMachine) -> None:
        """Compare a machine's states with those seen before.

        :raises AssertionError: a cell that was final has another state now.
        """
        for path, state in machine.cells.states().items():
            before = self.seen.get(path)
            assert before is None or before is state, f"{path} was {before.word} and is {state.word}"
            if state.final:
                self.seen[path] = state


def snapshot(machine: RunMachine) -> object:
    """Return the whole state of a machine except its graph, as plain data for comparison."""
    state = {name: value for name, value in vars(machine).items() if name not in ("graph", "_read")}
    return _copy(state, {})


_FIELDS = {kind: tuple(attrs.fields_dict(kind)) for kind in (Cells, Cell, Scope, Items, RunTimer)}


def _copy(value: Any, numbers: dict[int, int]) -> Any:
    """Copy objects field by field, each once; a further reference becomes the object's number."""
    kind = type(value)
    fields = _FIELDS.get(kind)
    if fields is not None:
        if id(value) in numbers:
            return f"#{numbers[id(value)]}"
        numbers[id(value)] = len(numbers)
        return [kind.__name__, *[(name, _copy(getattr(value, name), numbers)) for name in fields]]
    if kind is dict:
        # The order matters: instructions follow it.
        return [(key, _copy(each, numbers)) for key, each in value.items()]
    if kind in (list, tuple, deque):
        return [_copy(each, numbers) for each in value]
    if kind is set:
        return sorted(value)
    if kind in (bytearray, array):
        return bytes(value)
    return kind.__name__ if kind is Plan else value
