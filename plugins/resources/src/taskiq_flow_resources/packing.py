"""Packing of cells with several resources onto workers, with a reservation for the first that has to wait."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import inf

from taskiq_flow.errors import PluginError
from taskiq_flow.pools import FreeCapacity
from taskiq_flow.scheduler import Placement, ReadyCell, RunningCell, WorkerView

__all__ = ["MAX_IN_FLIGHT", "Packing", "check_bound"]

MAX_IN_FLIGHT = 256


def check_bound(max_in_flight: int) -> int:
    """Check the limit of cells in flight, and return it.

    :raises PluginError: it is not a whole number of at least 1.
    """
    if type(max_in_flight) is not int or max_in_flight < 1:
        raise PluginError(f"max_in_flight must be a whole number of at least 1, found {max_in_flight!r}")
    return max_in_flight


class Packing:
    """One turn of a scheduler: cells are offered in the order of their importance, and placed where they fit best.

    The best worker has the fewest kinds of resources that the cell does not need, so that a worker with a gpu stays
    free for cells that need one. Among those it has the least free capacity afterwards, as the mean over its resources,
    each relative to the worker's total: best fit for vectors with normalised sizes, as in Panigrahy et al., *Heuristics
    for Vector Bin Packing* (2011). So large gaps stay whole for large cells.

    The first cell that does not fit anywhere reserves the worker that lacks the least for it. Later cells may use only
    the rest of that worker, so the cell waits no longer than for the attempts that run there now: the rule of EASY
    backfilling (Lifka, *The ANL/IBM SP Scheduling System*, 1995), without estimates of durations.

    :param workers: The pool's workers.
    :param running: The cells in flight.
    :param max_in_flight: The limit of cells that are dispatched or running at once.
    """

    def __init__(
        self, workers: Sequence[WorkerView], running: Sequence[RunningCell], max_in_flight: int
    ) -> None:
        self._workers = workers
        self._free_capacity = FreeCapacity(workers, running)
        self._left = max_in_flight - len(running)
        self._reserved = False
        # Capacity only shrinks within a turn, so a demand that did not fit is not tried again. Equal demands are mostly
        # one object.
        self._hopeless: set[tuple[int, str]] = set()

    def place(self, cells: Iterable[ReadyCell]) -> list[Placement]:
        """Offer cells one after the other, and return the placements."""
        placements: list[Placement] = []
        rest = iter(cells)
        while self._left > 0 and (found := self.next_of(rest)) is not None:
            placements.append(found[1])
        return placements

    def next_of(self, cells: Iterator[ReadyCell]) -> tuple[ReadyCell, Placement] | None:
        """Offer cells until one is placed, and return it; ``None`` when all have to wait."""
        hopeless = self._hopeless
        for cell in cells:
            # In a busy pool this is true of most cells, so it comes first.
            if (id(cell.resources), cell.queue) in hopeless:
                continue
            placement = self.offer(cell)
            if placement is not None:
                return cell, placement
        return None

    @property
    def full(self) -> bool:
        """Whether the limit of cells in flight is reached."""
        return self._left <= 0

    def offer(self, cell: ReadyCell) -> Placement | None:
        """Place a cell; ``None`` when it has to wait."""
        key = (id(cell.resources), cell.queue)
        if self._left <= 0 or key in self._hopeless:
            return None
        best, least = None, (inf, inf)
        for worker in self._workers:
            if self._free_capacity.fits_now(cell, worker):
                left = self._waste_on(worker, cell)
                if best is None or left < least:
                    best, least = worker, left
        if best is None:
            self._hopeless.add(key)
            if not self._reserved:
                self._reserve(cell)
            return None
        self._left -= 1
        self._free_capacity.take(cell.resources, best.id)
        return Placement(run=cell.run, path=cell.path, worker=best.id)

    def _waste_on(self, worker: WorkerView, cell: ReadyCell) -> tuple[float, float]:
        """Return the number of resources that a cell would not use, and the mean share that would stay free."""
        free = self._free_capacity.free[worker.id]
        if free is None:
            return inf, inf
        unused, left = 0, 0.0
        for name, total in worker.capacity.items():
            if total > 0:
                amount = cell.resources.get(name, 0.0)
                unused += amount <= 0
                left += (free[name] - amount) / total
        return unused, left / len(worker.capacity)

    def _reserve(self, cell: ReadyCell) -> None:
        """Reserve the worker that lacks the least for a cell, which probably is free for it soonest."""
        possible = [worker for worker in self._workers if self._free_capacity.fits_when_empty(cell, worker)]
        if possible:
            self._reserved = True
            self._free_capacity.take(
                cell.resources, min(possible, key=lambda each: self._lacking(each, cell)).id
            )

    def _lacking(self, worker: WorkerView, cell: ReadyCell) -> float:
        free = self._free_capacity.free[worker.id]
        # A worker without a capacity fits every cell, so it is never reserved.
        assert free is not None
        shares = [
            (amount - free.get(name, 0.0)) / (worker.capacity.get(name) or amount)
            for name, amount in cell.resources.items()
            if amount > 0
        ]
        return max(shares, default=0.0)
