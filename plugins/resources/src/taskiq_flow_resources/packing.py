"""Several resources, several workers: where a cell goes, and what is kept for one that has to wait."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import inf

from taskiq_flow.errors import PluginError
from taskiq_flow.pools import FreeCapacity
from taskiq_flow.scheduler import Placement, ReadyCell, RunningCell, WorkerView

__all__ = ["MAX_IN_FLIGHT", "Packing", "check_bound"]

MAX_IN_FLIGHT = 256


def check_bound(max_in_flight: int) -> int:
    """Give the bound on cells in flight.

    :raises PluginError: it is no whole number of at least 1.
    """
    if type(max_in_flight) is not int or max_in_flight < 1:
        raise PluginError(f"max_in_flight must be a whole number of at least 1, found {max_in_flight!r}")
    return max_in_flight


class Packing:
    """One turn of a scheduler: cells are offered in the order of their importance, and placed where they fit best.

    The best worker is the one that has the fewest kinds of resource which the cell does not ask for, so that a worker
    with a gpu stays free for those who need it; and of such the one on which the least room stays, each resource
    measured by what the worker has in total and the mean taken: best fit for vectors, with the sizes normalised, as in
    Panigrahy et al., *Heuristics for Vector Bin Packing* (2011). Large rooms thus stay whole for large cells.

    The first cell that does not fit anywhere gets the worker reserved that lacks the least for it. Later cells may take
    only what it leaves over there, so it waits until what runs there has ended, and no longer: the rule of EASY
    backfilling (Lifka, *The ANL/IBM SP Scheduling System*, 1995), without estimates of how long cells take.

    :param workers: The pool's workers.
    :param running: What is in use.
    :param max_in_flight: How many cells may be dispatched or running at once.
    """

    def __init__(
        self, workers: Sequence[WorkerView], running: Sequence[RunningCell], max_in_flight: int
    ) -> None:
        self._workers = workers
        self._free_capacity = FreeCapacity(workers, running)
        self._left = max_in_flight - len(running)
        self._reserved = False
        # Room only gets less, so what did not fit once need not be tried again. Equal demands are mostly one object.
        self._hopeless: set[tuple[int, str]] = set()

    def place(self, cells: Iterable[ReadyCell]) -> list[Placement]:
        """Offer cells one after the other, and give what came of it."""
        placements: list[Placement] = []
        rest = iter(cells)
        while self._left > 0 and (found := self.next_of(rest)) is not None:
            placements.append(found[1])
        return placements

    def next_of(self, cells: Iterator[ReadyCell]) -> tuple[ReadyCell, Placement] | None:
        """Offer cells until one is placed, and give that; ``None`` when all have to wait."""
        hopeless = self._hopeless
        for cell in cells:
            # Most of the cells that are looked at, in a pool that has more than enough to do.
            if (id(cell.resources), cell.queue) in hopeless:
                continue
            placement = self.offer(cell)
            if placement is not None:
                return cell, placement
        return None

    @property
    def full(self) -> bool:
        """Whether no cell at all can be placed any more."""
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
        """Give how many kinds of resource a cell would leave unused, and the share of all that would stay free."""
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
        """Keep the worker for a cell that will have room for it soonest, as far as that can be told."""
        possible = [worker for worker in self._workers if self._free_capacity.fits_when_empty(cell, worker)]
        if possible:
            self._reserved = True
            self._free_capacity.take(
                cell.resources, min(possible, key=lambda each: self._lacking(each, cell)).id
            )

    def _lacking(self, worker: WorkerView, cell: ReadyCell) -> float:
        free = self._free_capacity.free[worker.id]
        # A worker without bounds has room for everything, so it is never asked.
        assert free is not None
        shares = [
            (amount - free.get(name, 0.0)) / (worker.capacity.get(name) or amount)
            for name, amount in cell.resources.items()
            if amount > 0
        ]
        return max(shares, default=0.0)
