"""The ready cells of a pool, and the scheduler's answer checked before it is believed."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import TypeVar, overload

from attrs import define, field

from taskiq_flow.scheduler import Placement, ReadyCell, RunningCell, Scheduler, WorkerView

__all__ = ["Placer", "ReadyQueue", "SeenCells"]

T = TypeVar("T")

logger = logging.getLogger("taskiq_flow")

CellKey = tuple[str, str]
"""Run and path."""


class ReadyQueue:
    """Cells that could be dispatched: the higher priority first, then in the order in which they became ready."""

    def __init__(self) -> None:
        # An ordinary dictionary looks at every deleted entry again when it is read from the front.
        self._by_priority: dict[int, OrderedDict[CellKey, ReadyCell]] = {0: OrderedDict()}
        self._priorities: list[int] = [0]
        self._where: dict[CellKey, int] = {}

    def __len__(self) -> int:
        return len(self._where)

    def __contains__(self, key: CellKey) -> bool:
        return key in self._where

    def __getitem__(self, key: CellKey) -> ReadyCell:
        return self._by_priority[self._where[key]][key]

    def add(self, cell: ReadyCell) -> None:
        """Add a cell behind those of its priority."""
        key = (cell.run, cell.path)
        cells = self._by_priority.get(cell.priority)
        if cells is None:
            cells = self._by_priority[cell.priority] = OrderedDict()
            self._priorities = sorted(self._by_priority, reverse=True)
        cells[key] = cell
        self._where[key] = cell.priority

    def remove(self, key: CellKey) -> ReadyCell | None:
        """Take a cell out; ``None`` when it is not there."""
        priority = self._where.pop(key, None)
        return None if priority is None else self._by_priority[priority].pop(key)

    def forget_run(self, run: str) -> None:
        """Take all cells of a run out."""
        for key in [key for key in self._where if key[0] == run]:
            self.remove(key)

    def first(self, count: int) -> SeenCells[ReadyCell]:
        """Give the cells that are first in line; to be looked at before the queue changes."""
        lines = [self._by_priority[priority].values() for priority in self._priorities]
        line: Iterable[ReadyCell] = lines[0] if len(lines) == 1 else chain.from_iterable(lines)
        return SeenCells(min(count, len(self._where)), iter(line))


class SeenCells(Sequence[T]):
    """Cells that a scheduler is shown, collected only as far as it looks at them.

    A scheduler that places by number looks at few of them, in each of many turns.

    :param count: How many there are.
    :param cells: Gives them, and maybe more than these.
    """

    def __init__(self, count: int, cells: Iterator[T]) -> None:
        self._count = count
        self._rest = cells
        self._seen: list[T] = []

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[T]:
        return iter(self._up_to(self._count))

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        """Give one cell, or some."""
        if isinstance(index, slice):
            start, stop, step = index.indices(self._count)
            return self._up_to(stop if step > 0 else self._count)[start:stop:step]
        return self._up_to(index + 1 if 0 <= index < self._count else self._count)[index]

    def _up_to(self, count: int) -> list[T]:
        missing = count - len(self._seen)
        if missing > 0:
            self._seen.extend(islice(self._rest, missing))
        return self._seen


@define
class Placer:
    """Asks the scheduler and checks its answer: only cells that are ready, each once, within capacity.

    An answer that breaks a rule is logged and the default scheduler is asked instead, for this turn.

    :param scheduler: The selected scheduler.
    :param default: The one that never fails.
    """

    scheduler: Scheduler
    default: Scheduler
    _complained: set[str] = field(factory=set, init=False)

    @property
    def lookahead(self) -> int:
        """How many ready cells the scheduler is shown at most."""
        return self.scheduler.lookahead

    def place(
        self, ready: ReadyQueue, workers: Sequence[WorkerView], running: Sequence[RunningCell]
    ) -> list[Placement]:
        """Give the placements of this turn, in the order to dispatch."""
        shown = ready.first(self.scheduler.lookahead)
        try:
            answer = self.scheduler.place(shown, workers, running)
            placements = None if answer is None else list(answer)
            problem = None if placements is None else _problem(placements, ready, workers, running)
        except Exception as error:  # a plugin's fault must not stop the pool
            logger.exception("scheduler %r raised", self.scheduler.name)
            placements, problem = None, f"it raised {type(error).__name__}: {error}"
        if placements is not None and problem is None:
            return placements
        if problem is not None and problem not in self._complained:
            self._complained.add(problem)
            logger.error(
                "scheduler %r answered nonsense: %s; using %r for this turn",
                self.scheduler.name,
                problem,
                self.default.name,
            )
        return list(self.default.place(ready.first(self.default.lookahead), workers, running) or ())


def _problem(
    placements: Sequence[Placement],
    ready: ReadyQueue,
    workers: Sequence[WorkerView],
    running: Sequence[RunningCell],
) -> str | None:
    seen: set[CellKey] = set()
    placed: dict[str, list[Mapping[str, float]]] = {}
    for placement in placements:
        if not isinstance(placement, Placement):
            return f"it gave {type(placement).__name__} instead of Placement"
        key = (placement.run, placement.path)
        if key not in ready:
            return f"it placed cell {placement.path!r} of run {placement.run!r}, which was not ready"
        if key in seen:
            return f"it placed cell {placement.path!r} of run {placement.run!r} twice"
        seen.add(key)
        if placement.worker:
            placed.setdefault(placement.worker, []).append(ready[key].resources)
    return _overbooked(placed, workers, running) if placed else None


def _overbooked(
    placed: Mapping[str, Sequence[Mapping[str, float]]],
    workers: Sequence[WorkerView],
    running: Sequence[RunningCell],
) -> str | None:
    known = {worker.id: worker for worker in workers}
    for name, demands in placed.items():
        worker = known.get(name)
        if worker is None:
            return f"it placed a cell on worker {name!r}, which there is not"
        if not worker.capacity:
            continue
        used: dict[str, float] = {}
        held = [cell.resources for cell in running if cell.worker == name]
        for demand in (*held, *demands):
            for resource, amount in demand.items():
                used[resource] = used.get(resource, 0.0) + amount
        for resource, amount in used.items():
            offered = worker.capacity.get(resource, 0.0)
            # Fractions of cores add up with rounding errors.
            if amount > offered + 1e-9 and any(demand.get(resource) for demand in demands):
                return f"it would have {amount:g} of {resource!r} in use on worker {name!r}, which has {offered:g}"
    return None
