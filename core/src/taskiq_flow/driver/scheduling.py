"""Scheduling of a pool: its waiting and running cells, as its scheduler is shown them, and the placements."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Union

from taskiq_flow.driver.arrivals import ArrivalQueue
from taskiq_flow.driver.demands import Demands
from taskiq_flow.driver.placing import Placer, ReadyQueue, SeenCells
from taskiq_flow.driver.ranks import Ranks
from taskiq_flow.driver.scheduled import ScheduledRun, Workers
from taskiq_flow.graph.model import TaskNode
from taskiq_flow.machine import events as ev
from taskiq_flow.machine import instructions as do
from taskiq_flow.machine.scope import Cell
from taskiq_flow.pools import FreeCapacity
from taskiq_flow.scheduler import Placement, ReadyCell, RunningCell, Scheduler, WorkerView
from taskiq_flow.schedulers.durations import Durations
from taskiq_flow.store import RunStore

__all__ = ["PoolScheduling"]

# What a view was made of, and the view; there is none of a cell that takes nothing.
_View = tuple[str, str, Mapping[str, float], bool, Union[RunningCell, None]]


class PoolScheduling:
    """The cells of all runs of a pool that wait for a place, and those that have one.

    The capacity in use is derived from the states of cells each time, and never counted up and down.

    :param pool: The pool's name.
    :param placer: The placer, which asks the scheduler.
    :param watch: The workers of the pool.
    :param durations: The known durations of tasks.

    :ivar bound: As that of :class:`~taskiq_flow.driver.placing.Placer`.
    """

    def __init__(self, pool: str, placer: Placer, watch: Workers, durations: Durations) -> None:
        scheduler = placer.scheduler
        self._pool = pool
        self._placer = placer
        self._watch = watch
        self._demands = Demands(placer.limits, scheduler)
        overridden = type(scheduler).lane_of is not Scheduler.lane_of
        lane_of = scheduler.lane_of if overridden else None
        # What running tasks wait for goes before everything else. Otherwise others would take what those tasks have
        # lent, and the memory that is left, only to wait themselves.
        self._urgent, self._ready = ReadyQueue(lane_of), ReadyQueue(lane_of)
        self._ranks = Ranks(durations) if scheduler.uses_rank else None
        # With a bound the scheduler is shown no cells, so no ReadyCell is made.
        self.bound = placer.bound
        self._urgent_arrivals, self._arrivals = ArrivalQueue(), ArrivalQueue()
        # To make hundreds of views in each turn would take longer than everything else, so a view is used again while
        # nothing that it shows has changed.
        self._views: dict[Cell, _View] = {}
        self._views_of: Sequence[WorkerView] = ()
        # The runs that running cells of other runs wait for.
        self._preferred: set[str] = set()

    def __len__(self) -> int:
        """Return how many cells wait."""
        return len(self._ready) + len(self._arrivals) + len(self._urgent) + len(self._urgent_arrivals)

    @property
    def learns(self) -> bool:
        """Whether it has to observe the events of runs."""
        return self._ranks is not None

    async def recall(self, store: RunStore) -> None:
        """Learn the durations of tasks from finished runs, if the scheduler uses ranks."""
        if self._ranks is not None:
            await self._ranks.recall(store, self._pool)

    def admit(self, run: ScheduledRun) -> None:
        """Prepare for the cells of a run."""
        if self._ranks is not None:
            self._ranks.add(run.id, run.record.graph)

    def observe(self, run: ScheduledRun, event: ev.Event) -> None:
        """Learn from an event of a run."""
        if self._ranks is not None:
            self._ranks.observe(run.id, event)

    def refuse_impossible(self, run: ScheduledRun, event: ev.AttemptFailed) -> ev.AttemptFailed:
        """Return a failure without its retry, where the retry asks for more than any worker or limit has."""
        cell = run.machine.cells.in_flight.get(event.cell)
        if cell is None or event.retry_at is None or (event.resources is None and event.queue is None):
            return event
        return self._demands.refuse_impossible(event, cell.resources, cell.queue, self._watch.known)

    def enqueue(self, run: ScheduledRun, instruction: do.Enqueue, now: float) -> None:
        """Add a cell to those that wait for a place."""
        urgent = run.id in self._preferred
        if self.bound is None:
            ready = self._urgent if urgent else self._ready
            ready.add(self._ready_cell(run, instruction, now))
        else:
            arrivals = self._urgent_arrivals if urgent else self._arrivals
            arrivals.add(run, instruction, now)

    def _ready_cell(self, run: ScheduledRun, instruction: do.Enqueue, now: float) -> ReadyCell:
        node = instruction.node
        resources, limits = self._demands.of(instruction.resources)
        return ReadyCell(
            run=run.id,
            path=instruction.cell,
            node=node.name,
            task=node.task,
            attempt=instruction.attempt,
            resources=resources,
            priority=instruction.priority,
            queue=instruction.queue,
            labels=run.record.labels,
            ready_at=now,
            limits=limits,
            rank=0.0 if self._ranks is None else self._ranks.of(run.id, instruction.cell, instruction.depth),
            depth=instruction.depth,
        )

    def cell(self, run: str, cell: str) -> ReadyCell | None:
        """Return a cell that waits; ``None`` when it does not."""
        entry = self._arrivals.get(run, cell) or self._urgent_arrivals.get(run, cell)
        if entry is not None:
            return self._ready_cell(*entry)
        return self._ready.get((run, cell)) or self._urgent.get((run, cell))

    @property
    def lookahead(self) -> int:
        """How many cells a scheduler is shown at most."""
        return self._placer.lookahead

    def show(self, running: Sequence[RunningCell]) -> Sequence[ReadyCell]:
        """Return the cells that a scheduler would be shown now.

        :param running: The cells that occupy capacity.
        """
        if self.bound is not None:
            return [self._ready_cell(*entry) for entry in self._first_arrivals(self.lookahead)]
        shown: list[ReadyCell] = []
        for ready in (self._urgent, self._ready):
            self._look_at_free_capacity(ready, running)
            shown += self._placer.show(ready, running)
        return shown

    def _first_arrivals(self, count: int) -> list[tuple[ScheduledRun, do.Enqueue, float]]:
        urgent = self._urgent_arrivals.first(count)
        return [*urgent, *self._arrivals.first(count - len(urgent))]

    def prefer(self, run: str) -> None:
        """Place the cells of a run before all others."""
        if run in self._preferred:
            return
        self._preferred.add(run)
        for cell in self._ready.remove_run(run):
            self._urgent.add(cell)
        for entry in self._arrivals.remove_run(run):
            self._urgent_arrivals.add(*entry)

    def withdraw(self, run: str, cell: str) -> ReadyCell | None:
        """Take a waiting cell out; ``None`` when it does not wait."""
        if self.bound is None:
            return self._ready.remove((run, cell)) or self._urgent.remove((run, cell))
        entry = self._arrivals.remove(run, cell) or self._urgent_arrivals.remove(run, cell)
        return None if entry is None else self._ready_cell(*entry)

    def clear(self, run: str) -> None:
        """Take all waiting cells of a run out."""
        self._ready.remove_run(run)
        self._urgent.remove_run(run)
        self._arrivals.remove_run(run)
        self._urgent_arrivals.remove_run(run)

    def forget(self, run: str) -> None:
        """Forget a run."""
        self.clear(run)
        self._preferred.discard(run)
        if self._ranks is not None:
            self._ranks.forget(run)

    def next_arrival(self, in_flight: int) -> tuple[str, str, int] | None:
        """Take out the next cell to dispatch, where cells are placed in order of arrival.

        :param in_flight: How many cells take room.
        :returns: Run, cell and attempt; ``None`` where there is no room, or where :meth:`place` decides.
        """
        arrivals = self._urgent_arrivals or self._arrivals
        if self.bound is None or in_flight >= self.bound or not arrivals:
            return None
        run, instruction, _ = arrivals.pop()
        return run.id, instruction.cell, instruction.attempt

    def place(self, runs: Mapping[str, ScheduledRun]) -> Iterator[Sequence[Placement]]:
        """Yield batches of placements; each must be carried out before the next one is asked for.

        Another batch follows where the scheduler has placed all cells that it was shown. It also follows where there
        may be room for cells that were not shown because of others that were not placed: these stood before them, or
        had reserved a limit.
        """
        if self.bound is not None:
            room = self.bound - len(self.running(runs.values()))
            if first := self._first_arrivals(max(0, room)):
                yield [Placement(run=run.id, path=instruction.cell) for run, instruction, _ in first]
            return
        for ready in (self._urgent, self._ready):
            while ready:
                running = self.running(runs.values())
                self._look_at_free_capacity(ready, running)
                placements = self._placer.place(ready, self._watch.views, running)
                full = len(placements) >= self._placer.lookahead
                again = bool(placements) and (full or self._others_may_have_room(ready, placements))
                yield placements
                if not again:
                    break

    def _others_may_have_room(self, ready: ReadyQueue, placements: Sequence[Placement]) -> bool:
        """Whether there may be room for cells that were not shown."""
        if ready.free_capacity is None:
            return False
        limited = sum(1 for each in placements if ready[(each.run, each.path)].limits)
        if limited < ready.limited_shown:
            return True
        for each in placements:
            ready.free_capacity.take(ready[(each.run, each.path)].resources, each.worker)
        return self._is_crowded(ready) and bool(ready.demands_that_fit(ready.free_capacity))

    def _is_crowded(self, ready: ReadyQueue) -> bool:
        """Whether not all cells can be shown at once, and their demands differ."""
        return len(ready) > self._placer.lookahead and ready.mixed

    def _look_at_free_capacity(self, ready: ReadyQueue, running: Sequence[RunningCell]) -> None:
        placer, workers = self._placer, self._watch.views
        wanted = self._is_crowded(ready) or (placer.limits and ready.limited)
        counts = wanted and placer.scheduler.reads_resources and workers
        ready.free_capacity = FreeCapacity(workers, running) if counts else None

    def running(self, runs: Iterable[ScheduledRun]) -> SeenCells[RunningCell]:
        """Return the cells that occupy capacity.

        A cell whose task waits for another run lends its core: it takes only the limits and the other resources that it
        has demanded, and where these are none it is not among them.
        """
        count = 0
        for run in runs:
            cells = run.machine.cells
            count += len(cells.in_flight) + len(cells.held_slots)
            for path in cells.lent:
                count -= not self._remains(cells.in_flight[path])
        return SeenCells(count, self._running(runs))

    def _remains(self, cell: Cell) -> Mapping[str, float]:
        """Return what a cell goes on to occupy whose task waits for another run."""
        return {name: amount for name, amount in cell.resources.items() if name != "cpu" and amount}

    def _running(self, runs: Iterable[ScheduledRun]) -> Iterator[RunningCell]:
        known = self._views if self._views_of is self._watch.views else {}
        # The reader stops at the last cell, so code behind the loop would not be reached.
        fresh = self._views = {}
        self._views_of = self._watch.views
        for run in runs:
            lent, in_flight = run.machine.cells.lent, run.machine.cells.in_flight
            for cell in run.machine.occupying():
                lends = bool(lent) and cell.path in lent and in_flight.get(cell.path) is cell
                found = known.get(cell)
                if (
                    found is None
                    or found[0] != cell.placed
                    or found[1] != cell.worker
                    or found[2] is not cell.resources
                    or found[3] != lends
                ):
                    view = None if lends and not self._remains(cell) else self._view_of(run, cell, lends)
                    found = (cell.placed, cell.worker, cell.resources, lends, view)
                fresh[cell] = found
                if found[4] is not None:
                    yield found[4]

    def _view_of(self, run: ScheduledRun, cell: Cell, lends: bool) -> RunningCell:
        node = cell.node
        assert isinstance(node, TaskNode)
        resources, limits = self._demands.of(cell.resources)
        if lends:
            resources = {name: amount for name, amount in resources.items() if name != "cpu"}
        return RunningCell(
            run=run.id,
            path=cell.path,
            task=node.task,
            worker=self._watch.place_of(cell.placed, cell.worker),
            resources=resources,
            limits=limits,
            labels=run.record.labels,
        )
