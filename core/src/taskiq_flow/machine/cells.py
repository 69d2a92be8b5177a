"""The cells of a run: their states, and the check that an event is about a current attempt.

A cell has an object only while it is neither pending nor final; before and after, its state is a byte
in its scope. A cell's path has the items of the maps around it and then the name of its node:
``tracks[3]/features`` is node ``features`` for item 3 of map ``tracks``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Union

from attrs import define, field

from taskiq_flow.errors import InvalidTransition
from taskiq_flow.machine import events as ev
from taskiq_flow.machine.plan import Plan
from taskiq_flow.machine.scope import Cell, Scope
from taskiq_flow.machine.transitions import TRANSITIONS, CellState, Trigger

__all__ = ["AboutAttempt", "Cells"]

_ITEM = re.compile(r"(?P<map>[^\[\]/]+)\[(?P<number>\d+)\]")

# A lookup in a dictionary is faster than in a read-only view, and every cell needs four.
_NEXT = dict(TRANSITIONS)

AboutAttempt = Union[
    ev.CellStarted,
    ev.CellProgressed,
    ev.PlaceLent,
    ev.PlaceTakenBack,
    ev.CellSucceeded,
    ev.AttemptFailed,
    ev.CellCancelled,
    ev.SlotFreed,
]
"""The events that workers send about an attempt."""


@define(eq=False, kw_only=True)
class Cells:
    """The cells of one run.

    :ivar plan: The run's prepared graph.
    :ivar root: The scope of the run itself; ``None`` until the run has started.
    :ivar active: The cells that are neither pending nor final, by path.
    :ivar in_flight: The active cells that are dispatched or running, without maps.
    :ivar lent: The run that the task of an in-flight cell waits for, and lends its place meanwhile, by the cell's path.
    :ivar held_slots: Attempts that were given up while a worker's slot stays occupied, by path and attempt.
    """

    plan: Plan
    root: Scope | None = None
    active: dict[str, Cell] = field(factory=dict)
    in_flight: dict[str, Cell] = field(factory=dict)
    lent: dict[str, str] = field(factory=dict)
    held_slots: dict[tuple[str, int], Cell] = field(factory=dict)

    def move(self, cell: Cell, trigger: Trigger) -> None:
        """Move a cell to its next state.

        :raises InvalidTransition: the table has no such edge; nothing has changed.
        """
        state = _NEXT.get((cell.state, trigger))
        if state is None:
            raise InvalidTransition(cell.path, trigger.value, self.story(cell.path))
        cell.state = state
        cell.story.append(state)

    def forget(self, cell: Cell) -> None:
        """Drop the object of a cell that has become final."""
        del self.active[cell.path]
        self.in_flight.pop(cell.path, None)
        self.lent.pop(cell.path, None)

    def hold_slot(self, cell: Cell) -> None:
        """Record that the current attempt, which was given up, still occupies its worker."""
        if not cell.slot_free:
            self.held_slots[(cell.path, cell.attempt)] = Cell(
                path=cell.path,
                scope=cell.scope,
                position=cell.position,
                node=cell.node,
                state=cell.state,
                attempt=cell.attempt,
                placed=cell.placed,
                worker=cell.worker,
                resources=cell.resources,
            )

    def current(self, event: AboutAttempt) -> Cell | None:
        """Return the cell if the event is about its current attempt; ``None`` if it is about an earlier one.

        :raises InvalidTransition: there is no such cell, or the attempt was never dispatched.
        """
        cell = self.in_flight.get(event.cell)
        if cell is not None and cell.attempt == event.attempt:
            return cell
        cell = self.active.get(event.cell)
        if event.attempt > 0 and (
            cell.attempt > event.attempt if cell is not None else self._is_over(event.cell)
        ):
            return None
        raise InvalidTransition(event.cell, type(event).__name__, self.story(event.cell))

    def state_of(self, path: str) -> CellState | None:
        """Return the state of a cell; ``None`` when the graph has no such cell.

        The states of cells in a finished item are not kept; such a cell counts as cancelled.
        """
        cell = self.active.get(path)
        if cell is not None:
            return cell.state
        scopes = path.split("/")
        name = scopes.pop()
        plan, scope, prefix = self.plan, self.root, ""
        rest: CellState | None = CellState.PENDING if scope is None else None
        for each in scopes:
            match = _ITEM.fullmatch(each)
            position = None if match is None else plan.index.get(match["map"])
            if match is None or position is None or position not in plan.bodies:
                return None
            if scope is not None:
                scope, rest = self._item(scope, position, prefix + match["map"], int(match["number"]))
            plan = plan.bodies[position]
            prefix = f"{prefix}{each}/"
        position = plan.index.get(name)
        if position is None:
            return None
        return rest if scope is None else CellState(scope.states[position])

    def _item(
        self, scope: Scope, position: int, path: str, number: int
    ) -> tuple[Scope | None, CellState | None]:
        """Return the scope of a map's item, or the state of all its cells if the item is not open."""
        owner = self.active.get(path)
        if owner is None:
            over = CellState(scope.states[position]).final
            return None, CellState.CANCELLED if over else CellState.PENDING
        items = owner.items
        if items is not None and number in items.open:
            return items.open[number], None
        over = items is not None and number < items.next
        return None, CellState.CANCELLED if over else CellState.PENDING

    def _is_over(self, path: str) -> bool:
        state = self.state_of(path)
        return state is not None and state.final

    def story(self, path: str) -> list[str]:
        """Return the known states that a cell went through, oldest first."""
        cell = self.active.get(path)
        if cell is not None:
            return [CellState(state).word for state in cell.story]
        state = self.state_of(path)
        return ["unknown" if state is None else state.word]

    def scopes(self) -> Iterator[Scope]:
        """Yield the scope of the run and the scopes of all open items."""
        if self.root is not None:
            yield self.root
        for cell in self.active.values():
            if cell.items is not None:
                yield from cell.items.open.values()

    def states(self) -> Mapping[str, CellState]:
        """Return the state of every cell whose scope is open, by path; linear in the open scopes."""
        found: dict[str, CellState] = {}
        for scope in self.scopes():
            for position, node in enumerate(scope.plan.nodes):
                found[scope.prefix + node.name] = CellState(scope.states[position])
        found.update((path, cell.state) for path, cell in self.active.items())
        return found
