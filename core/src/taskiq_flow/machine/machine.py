"""The machine: folds events into the state of one run, and returns instructions.

It is pure. It reads no clock, sends nothing, and knows neither taskiq nor plugins; the driver carries out
its instructions. The same events give the same state and the same instructions again, so another driver can
continue a run after its driver died.

An event about an attempt that is not the current one changes nothing, so duplicates and late results
are harmless; a late outcome can only free the slot of an attempt that was given up. An event
without an edge in the table of :mod:`~taskiq_flow.machine.transitions` raises
:class:`~taskiq_flow.errors.InvalidTransition` and changes nothing either.

The cost of an event is linear in the cells that it can touch: the dependents of its cell, the cells in
flight when a run ends or a worker is lost, and a map's window when a map opens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from taskiq_flow.errors import InvalidTransition
from taskiq_flow.graph.model import Graph, MapNode, TaskNode
from taskiq_flow.machine import events as ev
from taskiq_flow.machine import instructions as do
from taskiq_flow.machine.plan import resolve
from taskiq_flow.machine.run_state import RunState
from taskiq_flow.machine.scope import Cell, Scope
from taskiq_flow.machine.transitions import CellState, RunStatus, Trigger
from taskiq_flow.payloads import Failure, FailureKind, Value

__all__ = ["DEFAULT_WINDOW", "RunMachine"]

DEFAULT_WINDOW = 256


class RunMachine(RunState):
    """The state of one run.

    :param graph: The run's graph.
    :param read: Callback that decodes a value to plain data, for guards and filters; must be pure. A ``PayloadError``
        from it fails the cell.
    :param window: How many items may be open at once, over all maps without a limit of their own; a map may always
        have one open. The log overrides it (``RunStarted.window``).

    :ivar status: The state of the run.
    :ivar reason: Why the run ends; empty when its cells decide the end.
    :ivar timed_out: Whether it ends because its own time limit passed.
    :ivar failures: The last attempt and the failure of each failed cell.
    :ivar suppressed: The same for cells in maps that skip errors.
    :ivar cells: The cells.
    :ivar timers: The running timers, by name.
    :ivar version: A number that grows with every event that changed something; these events go into the log.
    """

    def __init__(self, graph: Graph, *, read: Callable[[Value], Any], window: int = DEFAULT_WINDOW) -> None:
        super().__init__(graph, read=read, window=window)
        self.version = 0

    def apply(self, event: ev.Event) -> list[do.Instruction]:
        """Fold one event into the state.

        :returns: The instructions, in the order of execution.
        :raises InvalidTransition: the event cannot happen in this state; nothing has changed.
        """
        handler = _HANDLERS.get(type(event))
        if handler is None:
            raise InvalidTransition("", type(event).__name__, [self.status.value])
        handler(self, event)
        if self._settled or self._must_stop or self._ending is not None:
            self._advance()
        out, self._out = self._out, []
        return out

    def outputs(self) -> dict[str, Value]:
        """Return the outputs that the run has produced so far, by name.

        An output with several possible producers is that of the first one that was not skipped, if that succeeded.
        """
        root = self.cells.root
        if root is None:
            return {}
        found: dict[str, Value] = {}
        for name, place in root.plan.outputs.items():
            if root.state_of_place(place) is CellState.SUCCEEDED:
                value = resolve(place, root.inputs, root.outputs)
                if value is not None:
                    found[name] = value
        return found

    def occupying(self) -> Iterator[Cell]:
        """Yield every cell that occupies capacity: dispatched, running, or given up with its slot still held."""
        yield from self.cells.in_flight.values()
        yield from self.cells.held_slots.values()

    def wants(self, cell: str) -> bool:
        """Whether a dispatched attempt of a cell is to begin: the run goes on, or cleans up with it."""
        found = self.cells.in_flight.get(cell)
        return found is not None and not self.status.final and not self._stops(found)

    def outstanding(self) -> list[do.Instruction]:
        """Return the open instructions of this state, for a driver that has just replayed the log.

        Messages of the dead driver are sent again; the claim prevents a second execution. Questions to the
        retry policy come last, because the answers change the state.
        """
        for cell in self.cells.held_slots.values():
            self._stop(cell)
        for name, timer in self.timers.items():
            self._out.append(do.StartTimer(timer=name, due=timer.due))
        self._out += [do.Prefer(run=run) for run in self.cells.lent.values()]
        for cell in self.cells.active.values():
            if cell.path in self.cells.in_flight:
                if self._stops(cell):
                    self._stop(cell)
                elif cell.state is CellState.DISPATCHED and cell.undecided is None:
                    self._dispatch(cell)
            elif cell.state is CellState.READY:
                self._enqueue(cell)
            elif isinstance(cell.node, MapNode) and cell.items is None and self._ending is None:
                self._out.append(self._order_lists(cell))
        for cell in self.cells.in_flight.values():
            if cell.undecided is not None:
                self._ask(cell, *cell.undecided)
        if self.status.final:
            self._out.append(do.FinishRun())
        out, self._out = self._out, []
        return out

    # Events about the run

    def _run_started(self, event: ev.RunStarted) -> None:
        if self.cells.root is not None:
            raise InvalidTransition("", "RunStarted", [self.status.value])
        if self.status.final:
            return
        self.version += 1
        self._window = event.window or self._window
        plan = self.cells.plan
        root = self.cells.root = Scope.open(plan, event.inputs, on_error=self.graph.on_error)
        if self.graph.timeout is not None:
            self._start_timer("run", event.at + self.graph.timeout, None)
        for position in plan.roots:
            self._arrive(root, position)
        if not plan.nodes:
            self._scope_done(root)

    def _cancel_requested(self, event: ev.CancelRequested) -> None:
        if self.status.final:
            return
        reason = event.reason or "cancelled"
        if self._ending is None and self._cleaning is None:
            self.version += 1
            self._cancelled_at = event.at
            self._end(RunStatus.CANCELLED, reason)
        elif self.cells.plan.cleans and event.at != self._cancelled_at:
            # The first request lets what follows the run's nodes go on, and so does a copy of it; another one does not.
            self.version += 1
            known, self._cancelled_at = self._cancelled_at, event.at
            if self._cleaning is not None and self._ending is None and known is not None:
                self._end(RunStatus.CANCELLED, self.reason or reason)

    def _timer_fired(self, event: ev.TimerFired) -> None:
        timer = self.timers.pop(event.timer, None)
        if timer is None:
            return
        self.version += 1
        cell = timer.cell
        if cell is None:
            self.timed_out = True
            self._end(RunStatus.FAILED, f"the run did not finish within {self.graph.timeout:g} s")
            return
        assert cell.timers is not None
        cell.timers.discard(event.timer)
        if cell.state is CellState.WAITING:
            self.cells.move(cell, Trigger.DUE)
            self._enqueue(cell)
        elif self._stops(cell):
            self.cells.hold_slot(cell)
            self._abandon(cell)
        elif cell.undecided is None:
            limit = cell.node.options.timeout
            failure = Failure(kind=FailureKind.TIMEOUT, message=f"the attempt took longer than {limit:g} s")
            self._ask(cell, failure, True)

    def _worker_lost(self, event: ev.WorkerLost) -> None:
        held = [cell for cell in self.cells.in_flight.values() if cell.holder == event.worker]
        gone = [key for key, cell in self.cells.held_slots.items() if cell.holder == event.worker]
        if held or gone:
            self.version += 1
        for key in gone:
            del self.cells.held_slots[key]
        for cell in held:
            cell.slot_free = True
            if self._stops(cell):
                self._abandon(cell)
            elif cell.undecided is None:
                failure = Failure(kind=FailureKind.WORKER_LOST, message=f"worker {event.worker!r} was lost")
                self._ask(cell, failure, False)

    # Events about a cell

    def _map_expanded(self, event: ev.MapExpanded) -> None:
        cell = self.cells.active.get(event.cell)
        if cell is not None and isinstance(cell.node, MapNode) and cell.items is None:
            if self._ending is None:
                self.version += 1
                self._expand(cell, event.items, event.also, event.keys)
        elif self.cells.state_of(event.cell) is not CellState.CANCELLED:
            raise InvalidTransition(event.cell, "MapExpanded", self.cells.story(event.cell))

    def _cell_dispatched(self, event: ev.CellDispatched) -> None:
        cell = self.cells.active.get(event.cell)
        if cell is not None and event.attempt < cell.attempt:
            return
        if cell is None or cell.attempt != event.attempt or cell.state is not CellState.READY:
            raise InvalidTransition(event.cell, "CellDispatched", self.cells.story(event.cell))
        self.cells.move(cell, Trigger.PLACED)
        self.version += 1
        cell.placed = event.worker
        cell.sent_to = event.queue or cell.queue
        self.cells.in_flight[event.cell] = cell
        self._dispatch(cell)

    def _cell_started(self, event: ev.CellStarted) -> None:
        cell = self.cells.current(event)
        if cell is None or cell.state is CellState.RUNNING:
            return
        self.cells.move(cell, Trigger.CLAIMED)
        self.version += 1
        cell.worker = event.worker
        if cell.first_started_at is None:
            cell.first_started_at = event.at
        timeout = cell.node.options.timeout
        if self._stops(cell):
            self._stop(cell)
        elif timeout is not None:
            self._start_timer(f"attempt:{cell.path}:{cell.attempt}", event.at + timeout, cell)

    def _cell_progressed(self, event: ev.CellProgressed) -> None:
        if self.cells.current(event) is not None:
            self.version += 1

    def _place_lent(self, event: ev.PlaceLent) -> None:
        cell = self.cells.current(event)
        if cell is not None and cell.path not in self.cells.lent:
            self.version += 1
            self.cells.lent[cell.path] = event.run
            self._out.append(do.Prefer(run=event.run))

    def _place_taken_back(self, event: ev.PlaceTakenBack) -> None:
        if self.cells.current(event) is not None and self.cells.lent.pop(event.cell, None) is not None:
            self.version += 1

    def _cell_succeeded(self, event: ev.CellSucceeded) -> None:
        cell = self.cells.current(event)
        if cell is None:
            self._free_slot(event)
            return
        expected = len(cell.node.outputs)
        if expected and len(event.outputs) != expected:
            message = f"the attempt gave {len(event.outputs)} outputs instead of {expected}"
            failure = Failure(kind=FailureKind.REJECTED, message=message)
            self._cell_failed(
                ev.AttemptFailed(cell=event.cell, attempt=event.attempt, failure=failure, at=event.at)
            )
            return
        self.cells.move(cell, Trigger.RETURNED)
        self.version += 1
        cell.scope.outputs[cell.position] = event.outputs
        self._close(cell)

    def _cell_failed(self, event: ev.AttemptFailed) -> None:
        # A map whose value is no list fails with this event, and is never retried.
        cell = self.cells.active.get(event.cell)
        is_map = cell is not None and isinstance(cell.node, MapNode) and cell.items is None
        if cell is None or not is_map:
            cell = self.cells.current(event)
        if cell is None:
            if not event.holds_slot:
                self._free_slot(event)
            return
        retried = event.retry_at is not None and not is_map and not self._stops(cell)
        self.cells.move(cell, Trigger.RETRIED if retried else Trigger.GAVE_UP)
        self.version += 1
        if event.holds_slot and not is_map:
            self.cells.hold_slot(cell)
        if event.failure.kind is FailureKind.TIMEOUT:
            self._stop(cell)
        if retried:
            self._wait_for_retry(cell, event)
        else:
            self._fail(cell.scope, cell.position, event.attempt, event.failure)
            self._close(cell)

    def _cell_cancelled(self, event: ev.CellCancelled) -> None:
        cell = self.cells.current(event)
        if cell is None:
            if not event.holds_slot:
                self._free_slot(event)
            return
        if self._stops(cell):
            self.version += 1
            if event.holds_slot:
                self.cells.hold_slot(cell)
            self._abandon(cell)
        elif cell.undecided is None:
            self.version += 1
            cell.slot_free = cell.slot_free or not event.holds_slot
            message = "the attempt was cancelled although nobody had asked for that"
            self._ask(cell, Failure(kind=FailureKind.CANCELLED, message=message), event.holds_slot)
        elif not event.holds_slot and not cell.slot_free:
            self.version += 1
            cell.slot_free = True

    def _slot_freed(self, event: ev.SlotFreed) -> None:
        cell = self.cells.current(event)
        if cell is None:
            self._free_slot(event)
        elif not cell.slot_free:
            # The notice has overtaken the outcome, which will report the slot as occupied.
            cell.slot_free = True
            self.version += 1

    # Small parts

    def _free_slot(
        self, event: ev.CellSucceeded | ev.AttemptFailed | ev.CellCancelled | ev.SlotFreed
    ) -> None:
        """Free the slot of an attempt that was given up; any of these events proves that it has ended."""
        if self.cells.held_slots.pop((event.cell, event.attempt), None) is not None:
            self.version += 1

    def _ask(self, cell: Cell, failure: Failure, holds_slot: bool) -> None:
        cell.undecided = (failure, holds_slot)
        node = cell.node
        assert isinstance(node, TaskNode)
        self._out.append(
            do.AskPolicy(
                cell=cell.path, node=node, attempt=cell.attempt, failure=failure, holds_slot=holds_slot
            )
        )

    def _wait_for_retry(self, cell: Cell, event: ev.AttemptFailed) -> None:
        assert event.retry_at is not None
        del self.cells.in_flight[cell.path]
        self.cells.lent.pop(cell.path, None)
        self._stop_timers(cell)
        cell.attempt += 1
        cell.placed = cell.worker = ""
        cell.undecided = None
        cell.slot_free = False
        cell.resources = cell.resources if event.resources is None else event.resources
        cell.queue = cell.queue if event.queue is None else event.queue
        cell.priority = cell.priority if event.priority is None else event.priority
        cell.requeues = event.requeues or cell.requeues
        self._start_timer(f"retry:{cell.path}:{cell.attempt}", event.retry_at, cell)


_HANDLERS: Mapping[type, Callable[[RunMachine, Any], None]] = {
    ev.RunStarted: RunMachine._run_started,
    ev.MapExpanded: RunMachine._map_expanded,
    ev.CellDispatched: RunMachine._cell_dispatched,
    ev.CellStarted: RunMachine._cell_started,
    ev.CellProgressed: RunMachine._cell_progressed,
    ev.PlaceLent: RunMachine._place_lent,
    ev.PlaceTakenBack: RunMachine._place_taken_back,
    ev.CellSucceeded: RunMachine._cell_succeeded,
    ev.AttemptFailed: RunMachine._cell_failed,
    ev.CellCancelled: RunMachine._cell_cancelled,
    ev.SlotFreed: RunMachine._slot_freed,
    ev.WorkerLost: RunMachine._worker_lost,
    ev.TimerFired: RunMachine._timer_fired,
    ev.CancelRequested: RunMachine._cancel_requested,
}
