"""The scheduler's answer, checked before it is used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from attrs import define, field

from taskiq_flow._logs import open_log
from taskiq_flow.driver.limits import LimitBudget
from taskiq_flow.driver.ready_queue import CellKey, ReadyQueue, SeenCells
from taskiq_flow.pools import fits, total_of
from taskiq_flow.scheduler import Placement, ReadyCell, RunningCell, Scheduler, WorkerView
from taskiq_flow.schedulers.fifo import FifoScheduler
from taskiq_flow.values.failures import text_of

__all__ = ["Placer", "ReadyQueue", "SeenCells"]

logger = open_log("taskiq_flow")

_MOST_COMPLAINTS = 100


@define
class Placer:
    """Asks the scheduler and checks its answer: only cells that are ready, each once, within capacity and limits.

    An answer that breaks a rule is logged and the default scheduler is asked instead, for this turn.

    :param scheduler: The selected scheduler.
    :param default: The scheduler that is asked instead.
    :param limits: The pool's limits: how much of each name all runs together may occupy.
    """

    scheduler: Scheduler
    default: Scheduler
    limits: Mapping[str, float] = field(factory=dict)
    _complained: dict[str, None] = field(factory=dict, init=False)

    @property
    def lookahead(self) -> int:
        """How many ready cells the scheduler is shown at most."""
        return self.scheduler.lookahead

    @property
    def bound(self) -> int | None:
        """How many cells may be in flight, where they are placed in order of arrival.

        ``None`` where the scheduler has to be shown the cells.
        """
        scheduler = self.scheduler
        # A subclass may answer differently.
        return scheduler.max_in_flight if type(scheduler) is FifoScheduler and not self.limits else None

    @property
    def complaints(self) -> tuple[str, ...]:
        """The problems with the scheduler's answers, each once."""
        return tuple(self._complained)

    def place(
        self, ready: ReadyQueue, workers: Sequence[WorkerView], running: Sequence[RunningCell]
    ) -> list[Placement]:
        """Return the placements of this turn, in the order of dispatch."""
        shown = self.show(ready, running)
        try:
            answer = self.scheduler.place(shown, workers, running)
            placements, problem = None, None
            if isinstance(answer, Iterable):
                # An iterator without an end would stop the pool as well.
                placements = list(islice(answer, len(ready) + 1))
                problem = self._problem(placements, ready, workers, running)
            elif answer is not None:
                problem = f"it gave {type(answer).__name__} instead of placements"
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a scheduler must not stop the pool, not even by a cancellation
            placements, problem = None, f"it raised {type(error).__name__}: {text_of(error)}"
            if self._is_news(problem):
                logger.exception("scheduler %r raised", self.scheduler.name)
        if placements is not None and problem is None:
            return placements
        if problem is not None and self._is_news(problem):
            self._complained[problem] = None
            logger.error(
                "scheduler %r answered nonsense: %s; using %r for this turn",
                self.scheduler.name,
                problem,
                self.default.name,
            )
        shown = ready.first(self.default.lookahead, self._limit_budget(ready, running))
        return list(self.default.place(shown, workers, running) or ())

    def show(self, ready: ReadyQueue, running: Sequence[RunningCell]) -> SeenCells[ReadyCell]:
        """Return the cells that the scheduler is shown."""
        return ready.first(self.scheduler.lookahead, self._limit_budget(ready, running))

    def _is_news(self, problem: str) -> bool:
        # A problem names a cell, so a scheduler that is wrong about all of them would fill the log.
        return problem not in self._complained and len(self._complained) < _MOST_COMPLAINTS

    def _limit_budget(self, ready: ReadyQueue, running: Sequence[RunningCell]) -> LimitBudget | None:
        return LimitBudget(self.limits, running) if self.limits and ready.limited else None

    def _problem(
        self,
        placements: Sequence[Placement],
        ready: ReadyQueue,
        workers: Sequence[WorkerView],
        running: Sequence[RunningCell],
    ) -> str | None:
        chosen: dict[CellKey, tuple[ReadyCell, str]] = {}
        for placement in placements:
            if not isinstance(placement, Placement):
                return f"it gave {type(placement).__name__} instead of Placement"
            key = (placement.run, placement.path)
            if key not in ready:
                return f"it placed cell {placement.path!r} of run {placement.run!r}, which was not ready"
            if key in chosen:
                return f"it placed cell {placement.path!r} of run {placement.run!r} twice"
            chosen[key] = (ready[key], placement.worker)
        placed = list(chosen.values())
        return (
            (self._beyond_limits([cell for cell, _ in placed], running) if self.limits else None)
            or _find_overbooked_worker(placed, workers, running)
            or (_find_overbooked_pool(placed, workers, running) if self.scheduler.reads_resources else None)
        )

    def _beyond_limits(self, placed: Sequence[ReadyCell], running: Sequence[RunningCell]) -> str | None:
        taken = total_of(cell.limits for cell in placed if cell.limits)
        if not taken:
            return None
        used = total_of(cell.limits for cell in running if cell.limits)
        for name, amount in taken.items():
            total = amount + used.get(name, 0.0)
            if amount and not fits({name: total}, self.limits):
                limit = self.limits.get(name, 0.0)
                return f"it would have {total:.12g} of {name!r} in use, and the limit is {limit:.12g}"
        return None


def _find_overbooked_worker(
    placed: Sequence[tuple[ReadyCell, str]], workers: Sequence[WorkerView], running: Sequence[RunningCell]
) -> str | None:
    """Describe a worker that would get more than its capacity."""
    demands: dict[str, list[Mapping[str, float]]] = {}
    for cell, name in placed:
        if name:
            demands.setdefault(name, []).append(cell.resources)
    if not demands:
        return None
    known = {worker.id: worker for worker in workers}
    held: dict[str, list[Mapping[str, float]]] = {}
    for other in running:
        if other.worker in demands:
            held.setdefault(other.worker, []).append(other.resources)
    for name, asked in demands.items():
        worker = known.get(name)
        if worker is None:
            return f"it placed a cell on worker {name!r}, which does not exist"
        if worker.capacity:
            found = _excess(asked, held.get(name, ()), worker.capacity)
            if found:
                resource, amount, offered = found
                return (
                    f"it would have {amount:.12g} of {resource!r} in use on worker {name!r}, "
                    f"which has {offered:.12g}"
                )
    return None


def _find_overbooked_pool(
    placed: Sequence[tuple[ReadyCell, str]], workers: Sequence[WorkerView], running: Sequence[RunningCell]
) -> str | None:
    """Describe a resource of which all workers together have too little, where cells are placed on none of them."""
    if all(name for _, name in placed) or not workers or not all(worker.capacity for worker in workers):
        return None
    asked = [cell.resources for cell, _ in placed]
    found = _excess(asked, [cell.resources for cell in running], total_of(each.capacity for each in workers))
    if found is None:
        return None
    resource, amount, offered = found
    return f"it would have {amount:.12g} of {resource!r} in use, and all workers together have {offered:.12g}"


def _excess(
    asked: Sequence[Mapping[str, float]], held: Sequence[Mapping[str, float]], capacity: Mapping[str, float]
) -> tuple[str, float, float] | None:
    """Return a resource whose use would exceed the capacity, with its use and its capacity."""
    used = total_of(held)
    for resource, amount in total_of(asked).items():
        total = amount + used.get(resource, 0.0)
        if amount > 0 and not fits({resource: total}, capacity):
            return resource, total, capacity.get(resource, 0.0)
    return None
