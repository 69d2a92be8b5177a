"""First fit: the core's fallback for a scheduler that reads resources."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from taskiq_flow.pools import FreeCapacity
from taskiq_flow.scheduler import Placement, ReadyCell, RunningCell, Scheduler, WorkerView
from taskiq_flow.schedulers.fifo import FifoScheduler

__all__ = ["FirstFitScheduler", "default_for"]


class FirstFitScheduler(Scheduler):
    """Puts each cell on the first worker with enough free capacity; a cell that waits for capacity is not overtaken.

    It is not offered for selection: it takes the turns in which a scheduler that reads resources fails.

    :param max_in_flight: The limit of cells that are dispatched or running at once, over all runs of the pool.
    """

    name: ClassVar[str] = "first-fit"
    lookahead: ClassVar[int] = 256

    def __init__(self, max_in_flight: int = 256) -> None:
        self.max_in_flight = max_in_flight

    def place(
        self,
        ready: Sequence[ReadyCell],
        workers: Sequence[WorkerView],
        running: Sequence[RunningCell],
    ) -> Iterable[Placement] | None:
        """Place cells in order, until one has to wait for capacity."""
        free_capacity = FreeCapacity(workers, running)
        placements: list[Placement] = []
        for cell in ready[: max(0, self.max_in_flight - len(running))]:
            worker = next((worker for worker in workers if free_capacity.fits_now(cell, worker)), None)
            if worker is None:
                if any(free_capacity.fits_when_empty(cell, worker) for worker in workers):
                    break
                continue
            free_capacity.take(cell.resources, worker.id)
            placements.append(Placement(run=cell.run, path=cell.path, worker=worker.id))
        return placements


def default_for(scheduler: Scheduler) -> Scheduler:
    """Return the scheduler for turns in which another one fails or asks for the default."""
    return FirstFitScheduler() if scheduler.reads_resources else FifoScheduler()
