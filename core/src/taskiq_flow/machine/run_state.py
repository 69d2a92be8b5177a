"""The state of a run, and its changes when cells arrive, become final, or the run ends.

Nothing in here looks at events; :mod:`~taskiq_flow.machine.machine` does, and calls this. Final cells wait in
a queue for their dependents' turn, so that neither long chains of skipped cells nor maps over a hundred
thousand empty bodies recurse; only maps inside maps do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from attrs import evolve

from taskiq_flow.errors import PayloadError
from taskiq_flow.graph.extents import lists_problem
from taskiq_flow.graph.model import Graph, MapNode, TaskNode
from taskiq_flow.machine import instructions as do
from taskiq_flow.machine.cells import Cells
from taskiq_flow.machine.cleaning import CleanUp
from taskiq_flow.machine.plan import LONGEST_ROW, Slot, keep_places, place_items, plan_of, resolve
from taskiq_flow.machine.scope import Cell, Items, RunTimer, Scope
from taskiq_flow.machine.transitions import TRANSITIONS, CellState, RunStatus, Trigger
from taskiq_flow.payloads import (
    Chosen,
    Failure,
    FailureKind,
    ListedValue,
    Value,
    bare,
)

__all__ = ["RunState"]

# As they stand in a scope's bytes.
_PENDING = int(CellState.PENDING)
_FAILED = int(CellState.FAILED)
_BORN = bytes([_PENDING])
_DEAD = frozenset({int(CellState.FAILED), int(CellState.CANCELLED)})

_CANCELLED_IF_PENDING = bytes(
    TRANSITIONS[(CellState.PENDING, Trigger.WITHDRAWN)] if state == CellState.PENDING else state
    for state in range(256)
)


class RunState(CleanUp):
    """The state of one run; :class:`~taskiq_flow.machine.machine.RunMachine` documents its attributes."""

    def __init__(self, graph: Graph, *, read: Callable[[Value], Any], window: int) -> None:
        self.graph = graph
        self.status = RunStatus.RUNNING
        self.reason = ""
        self.timed_out = False
        self.failures: dict[str, tuple[int, Failure]] = {}
        self.suppressed: dict[str, tuple[int, Failure]] = {}
        self.timers: dict[str, RunTimer] = {}
        self.cells = Cells(plan=plan_of(graph))
        self._read = read
        self._window = window
        self._ending: RunStatus | None = None
        self._cleaning: RunStatus | None = None
        self._cancelled_at: float | None = None
        self._must_stop = False
        self._settled: deque[tuple[Scope, int]] = deque()
        self._open_count = 0
        self._starved: list[Cell] = []
        self._out: list[do.Instruction] = []

    # Cells arrive

    def _arrive(self, scope: Scope, position: int) -> None:
        """Decide about a pending cell whose predecessors are all final."""
        node = scope.plan.nodes[position]
        following = scope.plan.following.get(position) if scope.plan.following else None
        if following is not None and not self._is_due(scope, following):
            self._pass_over(scope, position, Trigger.BYPASSED)
            return
        try:
            params = self._params_of(scope, position)
        except PayloadError as error:
            message = f"the value that the guard looks at cannot be read: {error}"
            self._fail(scope, position, 1, Failure(kind=FailureKind.REJECTED, message=message))
            self._pass_over(scope, position, Trigger.UNREADABLE)
            return
        if params is None:
            self._pass_over(scope, position, Trigger.BYPASSED)
            return
        if following is not None and following.follows.failure:
            self._hand_over_failure(scope, position, following, params)
        options = node.options
        path = scope.prefix + node.name
        resources, queue, priority = options.resources, options.queue or "", options.priority
        if type(node) is TaskNode:
            self.cells.active[path] = cell = Cell(
                path, scope, position, node, CellState.PENDING, 1, "", "", resources, queue, "", priority, None, None,
                None, False, bytearray(_BORN), params,
            )  # fmt: skip
            self.cells.move(cell, Trigger.SUPPLIED)
            depth = 0 if scope.parent is None else cell.depth
            self._out.append(
                do.Enqueue(
                    cell=path,
                    node=node,
                    attempt=1,
                    resources=resources,
                    queue=queue,
                    priority=priority,
                    depth=depth,
                )
            )
            return
        cell = Cell(
            path=path,
            scope=scope,
            position=position,
            node=node,
            state=CellState.PENDING,
            resources=resources,
            queue=queue,
            priority=priority,
            params=params,
        )
        self.cells.active[path] = cell
        self.cells.move(cell, Trigger.OPENED)
        order = self._order_lists(cell)
        if type(order.items) is ListedValue and not order.also:
            self._expand(cell, order.items.parts, (), order.items.keys)
        else:
            self._out.append(order)

    def _params_of(self, scope: Scope, position: int) -> dict[str, Value] | None:
        """Return the values of the node's parameters, or ``None`` when the cell is to be skipped.

        :raises PayloadError: the guard's value cannot be read.
        """
        plan, inputs, outputs = scope.plan, scope.inputs, scope.outputs
        if plan.guards:
            guard = plan.guards.get(position)
            if guard is not None:
                condition = resolve(guard[0], inputs, outputs)
                if condition is None or not _holds(self._read(bare(condition)), guard[1]):
                    return None
        if plan.items:
            places = plan.items.get(position)
            if places is not None and any(resolve(place, inputs, outputs) is None for place in places):
                return None
        params: dict[str, Value] = {}
        value: Value | None
        for param in plan.params[position]:
            place = param.place
            if type(place) is str:
                value = inputs.get(place)
            elif type(place) is Slot:
                produced = outputs.get(place.node)
                value = None if produced is None else produced[place.output]
            elif param.tolerant:
                value = self._value_or_failure(scope, place)  # of several places the first may have failed
            else:
                value = resolve(place, inputs, outputs)
            if value is not None:
                if type(value) is Chosen and type(plan.nodes[position]) is not MapNode:
                    # What goes through a map may be read as part of its result; a task's parameter is read on its own.
                    value = bare(value)
                params[param.name] = value
            elif param.tolerant and (value := self._value_or_failure(scope, place)) is not None:
                params[param.name] = value
            elif not param.optional:
                return None
        return params

    def _lists_of(self, cell: Cell) -> list[Value]:
        scope = cell.scope
        found = [resolve(place, scope.inputs, scope.outputs) for place in scope.plan.items[cell.position]]
        lists = [each for each in found if each is not None]
        assert len(lists) == len(found), "a map is opened only when its lists are there"
        return lists

    def _order_lists(self, cell: Cell) -> do.Expand:
        # Where a list came from is found again when it is read; a value in a reading of it is not.
        lists = []
        for value in self._lists_of(cell):
            while type(value) is Chosen:
                value = value.value
            lists.append(value)
        return do.Expand(cell=cell.path, items=lists[0], also=tuple(lists[1:]))

    def _enqueue(self, cell: Cell) -> None:
        node = cell.node
        assert isinstance(node, TaskNode)
        self._out.append(
            do.Enqueue(
                cell=cell.path,
                node=node,
                attempt=cell.attempt,
                resources=cell.resources,
                queue=cell.queue,
                priority=cell.priority,
                depth=cell.depth,
            )
        )

    def _dispatch(self, cell: Cell) -> None:
        node = cell.node
        assert isinstance(node, TaskNode)
        self._out.append(
            do.Dispatch(
                cell=cell.path,
                node=node,
                attempt=cell.attempt,
                params=cell.params,
                worker=cell.placed,
                queue=cell.sent_to,
            )
        )

    # Cells become final

    def _advance(self) -> None:
        """Update the dependents of final cells, until no final cell is left in the queue."""
        while True:
            if self._must_stop and self._ending is None and self._cleaning is None:
                self._end(RunStatus.FAILED, "")
            if self._ending is not None or not self._settled:
                break
            scope, position = self._settled.popleft()
            states, missing = scope.states, scope.missing
            dead = states[position] in _DEAD
            for dependent in scope.plan.dependents[position]:
                if states[dependent] != _PENDING:
                    continue
                missing[dependent] -= 1
                if dead and not scope.plan.outlives(dependent, position):
                    self._pass_over(scope, dependent, Trigger.WITHDRAWN)
                elif missing[dependent] == 0:
                    self._arrive(scope, dependent)
            if scope.left == 0:
                self._scope_done(scope)
        if self._ending is not None:
            self._settled.clear()
            if not self.cells.in_flight and not self.status.final:
                if self.cells.plan.cleans and self._cleaning is None:
                    self._clean_up(self._ending)
                else:
                    self._finish(self._ending if self._cleaning is None else self._cleaning)

    def _scope_done(self, scope: Scope) -> None:
        # Several cells of a scope may settle in one go; only the first to find it empty reports it.
        scope.left = -1
        if scope.parent is None:
            ended = RunStatus.FAILED if scope.failed else RunStatus.SUCCEEDED
            self._finish(ended if self._cleaning is None else self._cleaning)
        else:
            self._item_done(scope.parent, scope)

    def _close(self, cell: Cell) -> None:
        """Drop the object of a cell that has just become final, and keep its state."""
        cells, path = self.cells, cell.path
        del cells.active[path]
        cells.in_flight.pop(path, None)
        if cells.lent:
            cells.lent.pop(path, None)
        if cell.timers:
            self._stop_timers(cell)
        scope, position = cell.scope, cell.position
        scope.states[position] = cell.state
        scope.left -= 1
        self._settled.append((scope, position))

    def _pass_over(self, scope: Scope, position: int, trigger: Trigger) -> None:
        """Take a pending cell to a final state, without an object in between."""
        self._settle(scope, position, TRANSITIONS[(CellState.PENDING, trigger)])

    def _settle(self, scope: Scope, position: int, state: CellState) -> None:
        scope.states[position] = state
        scope.left -= 1
        self._settled.append((scope, position))

    def _fail(self, scope: Scope, position: int, attempt: int, failure: Failure) -> None:
        """Record the final failure of a cell, and decide about the other cells."""
        into = self.suppressed if scope.tolerant or scope.hands_on(position) else self.failures
        path = scope.prefix + scope.plan.nodes[position].name
        into[path] = (attempt, failure)
        self._doom(scope, position, evolve(failure, cell=path, attempt=attempt))

    def _doom(self, scope: Scope, position: int, failure: Failure | None) -> None:
        if scope.hands_on(position):
            return
        scope.failed = True
        scope.failure = scope.failure or failure
        mode = scope.plan.nodes[position].options.on_error or scope.on_error
        # What follows others has nothing to stop: the rest goes on, and ends as failed.
        if mode == "stop" and not scope.tolerant and position not in scope.plan.following:
            self._must_stop = True

    # Maps

    def _expand(
        self,
        cell: Cell,
        items: tuple[Value, ...],
        also: tuple[tuple[Value, ...], ...],
        keys: tuple[Value, ...] | None,
    ) -> None:
        node = cell.node
        assert isinstance(node, MapNode)
        problem = lists_problem(node, (len(items), *map(len, also)), keyed=keys is not None)
        if problem:
            self._fail(cell.scope, cell.position, 1, Failure(kind=FailureKind.REJECTED, message=problem))
            self.cells.move(cell, Trigger.GAVE_UP)
            self._close(cell)
            return
        places = cell.scope.plan.items[cell.position]
        if also or type(places[0]) is not Slot or len(items) <= LONGEST_ROW:
            items, *others = (
                place_items(cell.scope.plan, place, value, keep_places(value, values))
                for place, value, values in zip(places, self._lists_of(cell), (items, *also), strict=True)
            )
            also = tuple(others)
        cell.items = Items.of(node, items, cell.params, also, keys)
        self._open_items(cell, node, cell.items)

    def _open_items(self, cell: Cell, node: MapNode, items: Items) -> None:
        """Open as many items as may be open, and close the map when there are no more."""
        if self._cleaning is not None:
            # The run is over but for what follows its nodes; the items that are open still have some of these.
            if not items.open:
                self._give_up_map(cell, node, items)
            return
        plan, path = cell.scope.plan.bodies[cell.position], cell.path
        size = len(plan.nodes)
        tolerant = cell.scope.tolerant or node.skip_errors or cell.scope.hands_on(cell.position)
        on_error = node.options.on_error or cell.scope.on_error
        while items.next < items.count:
            if items.limit is not None:
                if len(items.open) >= items.limit:
                    return
            elif items.open and self._open_count >= self._window:
                # Depth first: an outer map waits here, so that items of inner maps come before its own.
                if not items.starved:
                    items.starved = True
                    self._starved.append(cell)
                return
            number = items.next
            inputs = (
                items.inputs_of(node, number)
                if items.also
                else {**items.shared, node.item: items.values[number]}
            )
            # The same as Scope.open(), but faster; a map of many items spends much of its time here.
            scope = Scope(
                plan, f"{path}[{number}]/", inputs, cell, number, on_error, tolerant,
                bytearray(size), plan.indegree[:], {}, size,
            )  # fmt: skip
            items.next += 1
            items.open[number] = scope
            self._open_count += 1
            if scope.left == 0:
                self._collect(cell, node, items, scope)
            for position in plan.roots:
                self._arrive(scope, position)
        if items.finished:
            if node.keep == "one" and not items.failures and items.climb(node):
                self._open_items(cell, node, items)
            else:
                self._close_map(cell, node, items)

    def _item_done(self, cell: Cell, scope: Scope) -> None:
        node, items = cell.node, cell.items
        assert isinstance(node, MapNode)
        assert items is not None
        self._collect(cell, node, items, scope)
        self._open_items(cell, node, items)
        while self._starved and self._open_count < self._window:
            other = self._starved.pop()
            node, items = other.node, other.items
            assert isinstance(node, MapNode)
            assert items is not None
            items.starved = False
            if not other.state.final:
                self._open_items(other, node, items)

    def _collect(self, cell: Cell, node: MapNode, items: Items, scope: Scope) -> None:
        del items.open[scope.number]
        self._open_count -= 1
        if not scope.failed:
            try:
                items.collect(node, scope, self._read)
            except PayloadError as error:
                message = f"what the filter gave for item {scope.number} cannot be read: {error}"
                # No cell of the body has failed, so the failure is the map's, and names the item.
                failure = Failure(
                    kind=FailureKind.REJECTED, message=message, cell=scope.prefix[:-1], attempt=1
                )
                into = self.suppressed if scope.tolerant else self.failures
                into.setdefault(cell.path, (1, failure))
                scope.failed = True
                scope.failure = failure
                self._must_stop = self._must_stop or (scope.on_error == "stop" and not scope.tolerant)
        if scope.failed:
            items.failures += 1
            items.failure = items.failure or scope.failure
            items.fill(node, scope)

    def _close_map(self, cell: Cell, node: MapNode, items: Items) -> None:
        if items.failures and not node.skip_errors:
            self.cells.move(cell, Trigger.GAVE_UP)
            self._doom(cell.scope, cell.position, items.failure)
        else:
            self.cells.move(cell, Trigger.RETURNED)
            cell.scope.outputs[cell.position] = items.gather(node)
        self._close(cell)

    def _give_up_map(self, cell: Cell, node: MapNode, items: Items) -> None:
        if items.failures and not node.skip_errors:
            self._close_map(cell, node, items)
        else:
            self._abandon(cell)

    # The run ends

    def _end(self, status: RunStatus, reason: str) -> None:
        """Start nothing more, and stop the running attempts."""
        self._ending = status
        self.status = RunStatus.CANCELLING
        self.reason = reason
        self._stop_timer("run")
        for cell in list(self.cells.active.values()):
            if not self._stops(cell):
                continue
            if cell.path in self.cells.in_flight:
                self._stop(cell)
            elif cell.state in (CellState.READY, CellState.WAITING):
                if cell.state is CellState.READY:
                    self._out.append(do.Withdraw(cell=cell.path))
                self.cells.move(cell, Trigger.WITHDRAWN)
                self._close(cell)

    def _abandon(self, cell: Cell) -> None:
        """Close a cell whose attempt the run has stopped."""
        self.cells.move(cell, Trigger.ABANDONED)
        self._close(cell)

    def _finish(self, status: RunStatus) -> None:
        self.status = status
        self._stop_timer("run")
        for cell in list(self.cells.active.values()):
            # Only maps are left, with items that were not finished.
            self._abandon(cell)
        root = self.cells.root
        if root is not None and root.left > 0:
            root.states = root.states.translate(_CANCELLED_IF_PENDING)
            root.left = -1
        self._settled.clear()
        self._out.append(do.FinishRun())

    def _stop(self, cell: Cell) -> None:
        self._out.append(do.Stop(cell=cell.path, attempt=cell.attempt, worker=cell.worker))

    # Timers

    def _start_timer(self, timer: str, due: float, cell: Cell | None) -> None:
        self.timers[timer] = RunTimer(due=due, cell=cell)
        if cell is not None:
            cell.timers = (cell.timers or set()) | {timer}
        self._out.append(do.StartTimer(timer=timer, due=due))

    def _stop_timer(self, timer: str) -> None:
        if self.timers.pop(timer, None) is not None:
            self._out.append(do.StopTimer(timer=timer))

    def _stop_timers(self, cell: Cell) -> None:
        for timer in sorted(cell.timers or ()):
            self._stop_timer(timer)
        cell.timers = None


def _holds(value: Any, wanted: Any) -> bool:
    """Whether a value fulfils a guard; a guard that wants a bool takes the truth of any value.

    :raises PayloadError: the value's own code fails to say so, as with an array that is compared.
    """
    try:
        return bool(value) is wanted if isinstance(wanted, bool) else bool(value == wanted)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        # Nothing is awaited here, so even a CancelledError is the value's own.
        raise PayloadError(
            f"a {type(value).__name__} cannot be compared with {wanted!r}: {error!r}"
        ) from error
