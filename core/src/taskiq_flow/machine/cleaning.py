"""What a run still does when all else of it has ended: the nodes that follow others, after a failure or always."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque

from attrs import evolve

from taskiq_flow.graph.model import MapNode
from taskiq_flow.graph.order import predecessors
from taskiq_flow.machine.cells import Cells
from taskiq_flow.machine.plan import Each, First, Following, OnlyIf, Place, Slot, resolve
from taskiq_flow.machine.scope import Cell, Scope
from taskiq_flow.machine.transitions import CellState, RunStatus, Trigger
from taskiq_flow.machine.wire import encode_failure
from taskiq_flow.payloads import (
    FAILURES,
    NULL,
    Chosen,
    Failure,
    FailureKind,
    ListedValue,
    Payload,
    Value,
)

__all__ = ["CleanUp"]

# As they stand in a scope's bytes.
_PENDING, _FAILED = int(CellState.PENDING), int(CellState.FAILED)
_CANCELLED = int(CellState.CANCELLED)


class CleanUp(ABC):
    """The part of a run's state that is about nodes that follow others.

    A run that goes to its end by itself treats them like other nodes: they are due when what they follow is over. A run
    that is broken off, by a failure, by its time limit or by a request, first stops everything else. Then it cleans up:
    what was not begun is cancelled, and what follows is due.

    :ivar reason: Why the run ends; empty when its cells decide the end.
    :ivar timed_out: Whether it ends because its own time limit passed.
    """

    cells: Cells
    failures: dict[str, tuple[int, Failure]]
    suppressed: dict[str, tuple[int, Failure]]
    reason: str
    timed_out: bool
    # How the run ends: while its cells are being stopped, and while it cleans up.
    _ending: RunStatus | None
    _cleaning: RunStatus | None
    _settled: deque[tuple[Scope, int]]

    def _is_due(self, scope: Scope, following: Following) -> bool:
        """Whether a node runs that follows others, all of which have ended."""
        if following.follows.when == "always" or any(
            scope.states[each] == _FAILED for each in following.watched
        ):
            return True
        if following.follows.nodes or not self._is_broken_off:
            return False
        # An item that had come to its own end has nothing to do with what broke the run off.
        return scope.parent is None or any(scope.states[each] == _CANCELLED for each in following.watched)

    @property
    def _is_broken_off(self) -> bool:
        return self._cleaning is not None or self._ending is not None

    def _hand_over_failure(
        self, scope: Scope, position: int, following: Following, params: dict[str, Value]
    ) -> None:
        node, name = scope.plan.nodes[position], following.follows.failure
        failure = self._failure_for(scope, following)
        if failure is not None:
            params[name] = Payload(FAILURES, encode_failure(failure).encode())
        elif name not in node.optional:
            params[name] = NULL

    def _failure_for(self, scope: Scope, following: Following) -> Failure | None:
        """Return the first failure of what a node follows, or the reason why the run was broken off."""
        watched = {scope.prefix + scope.plan.nodes[each].name for each in following.watched}
        found = self._first_failure(scope, watched)
        if found is not None:
            return found
        if following.follows.nodes or not self._is_broken_off:
            return None
        if scope.failure is not None:
            return scope.failure
        kind = FailureKind.TIMEOUT if self.timed_out else FailureKind.CANCELLED
        return Failure(kind=kind, message=self.reason or "the run was ended")

    def _value_or_failure(self, scope: Scope, place: Place) -> Value | None:
        """Return the value in a place, with failures for what failed; ``None`` where something was skipped."""
        if isinstance(place, Slot):
            if place.node in scope.outputs:
                return scope.outputs[place.node][place.output]
            failure = self._failure_behind(scope, place.node)
            return None if failure is None else Payload(FAILURES, encode_failure(failure).encode())
        if isinstance(place, First):
            found = (self._value_or_failure(scope, each) for each in place.places)
            there = (Chosen(index, value) for index, value in enumerate(found) if value is not None)
            return next(there, None)
        if isinstance(place, OnlyIf):
            given = self._value_or_failure(scope, place.given)
            return None if given is None else self._value_or_failure(scope, place.place)
        if isinstance(place, Each):
            parts = [self._value_or_failure(scope, each) for each in place.places]
            members = tuple(part for part in parts if part is not None)
            return ListedValue(members) if len(members) == len(parts) else None
        return resolve(place, scope.inputs, scope.outputs)

    def _failure_behind(self, scope: Scope, position: int) -> Failure | None:
        """Return the failure of a node, or the one for which it was cancelled; ``None`` if it was skipped."""
        todo, seen = deque([position]), {position}
        while todo:
            found = todo.popleft()
            node = scope.plan.nodes[found]
            if scope.states[found] == _FAILED:
                return self._first_failure(scope, {scope.prefix + node.name})
            if scope.states[found] == _CANCELLED:
                before = sorted(scope.plan.index[name] for name in predecessors(node))
                todo.extend(each for each in before if each not in seen)
                seen.update(before)
        return None

    def _first_failure(self, scope: Scope, watched: set[str]) -> Failure | None:
        within = len(scope.prefix)
        for path, (attempt, failure) in (*self.failures.items(), *self.suppressed.items()):
            if path.startswith(scope.prefix):
                own = scope.prefix + path[within:].partition("/")[0].partition("[")[0]
                if own in watched:
                    return evolve(failure, cell=failure.cell or path, attempt=failure.attempt or attempt)
        return None

    def _clean_up(self, status: RunStatus) -> None:
        """After everything else of a run that is broken off has ended, go on with what follows its nodes."""
        self._cleaning, self._ending = status, None
        active, scopes = self.cells.active, list(self.cells.scopes())
        for scope in scopes:
            plan = scope.plan
            for position, node in enumerate(plan.nodes):
                idle = scope.states[position] == _PENDING and scope.prefix + node.name not in active
                if idle and position not in plan.following:
                    self._pass_over(scope, position, Trigger.WITHDRAWN)
        for cell in list(active.values()):
            if type(cell.node) is MapNode and (cell.items is None or not cell.items.open):
                self._abandon(cell)
        # Who waits for whom is counted anew, because nothing was counted while the run came to its end.
        self._settled.clear()
        due: list[tuple[Scope, int]] = []
        for scope in reversed(scopes):
            for position, following in scope.plan.following.items():
                path = scope.prefix + scope.plan.nodes[position].name
                if scope.states[position] == _PENDING and path not in active:
                    waits = sum(scope.states[each] == _PENDING for each in following.before)
                    scope.missing[position] = waits
                    if waits == 0:
                        due.append((scope, position))
        for scope, position in due:
            self._arrive(scope, position)
        for scope in reversed(scopes):
            if scope.left == 0:
                self._scope_done(scope)
        self._advance()

    def _stops(self, cell: Cell) -> bool:
        """Whether a cell is to be stopped, because the run comes to its end; what follows others is not."""
        return self._ending is not None and (
            self._cleaning is not None or cell.position not in cell.scope.plan.following
        )

    @abstractmethod
    def _arrive(self, scope: Scope, position: int) -> None: ...

    @abstractmethod
    def _pass_over(self, scope: Scope, position: int, trigger: Trigger) -> None: ...

    @abstractmethod
    def _scope_done(self, scope: Scope) -> None: ...

    @abstractmethod
    def _abandon(self, cell: Cell) -> None: ...

    @abstractmethod
    def _advance(self) -> None: ...
