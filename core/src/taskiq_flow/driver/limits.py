"""The limits of a pool, while cells are chosen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from taskiq_flow.pools import FreeCapacity, fits, total_of
from taskiq_flow.scheduler import ReadyCell, RunningCell

__all__ = ["LimitBudget"]


class LimitBudget:
    """What the limits of a pool leave room for, while cells are chosen in order.

    :param limits: The limits by name.
    :param running: What is in use.
    """

    def __init__(self, limits: Mapping[str, float], running: Iterable[RunningCell]) -> None:
        used = total_of(cell.limits for cell in running if cell.limits)
        self._left = {name: limit - used.get(name, 0.0) for name, limit in limits.items()}
        self._free_capacity: FreeCapacity | None = None
        # What is left only gets less, so what was too little once stays so. Equal demands are mostly one object.
        self._spent: set[int] = set()
        self._placeless: dict[tuple[int, str], bool] = {}
        self._kept = False

    def respect(self, free_capacity: FreeCapacity | None) -> None:
        """Let cells that cannot be placed now take nothing, but for the first.

        :param free_capacity: What is free on the workers; ``None`` where cells are placed without looking at that.
        """
        self._free_capacity = free_capacity

    def reserve(self, cell: ReadyCell) -> bool:
        """Whether there is room for a cell. It is taken even where it is too little: nobody overtakes who waits for it.

        The first cell that waits for room on a worker keeps what it will take of the limits, so that it has both in the
        end. Those behind it would keep from others what they cannot use; so would one that no worker could hold.
        """
        if not cell.limits:
            return True
        if id(cell.limits) in self._spent:
            return False
        if self._free_capacity is not None and self._is_placeless(cell, self._free_capacity):
            if self._kept or not any(
                self._free_capacity.fits_when_empty(cell, each) for each in self._free_capacity.workers
            ):
                return False
            self._kept = True
        fitting = fits(cell.limits, self._left)
        for name, amount in cell.limits.items():
            self._left[name] = self._left.get(name, 0.0) - amount
        if not fitting:
            self._spent.add(id(cell.limits))
        return fitting

    def _is_placeless(self, cell: ReadyCell, free_capacity: FreeCapacity) -> bool:
        key = (id(cell.resources), cell.queue)
        found = self._placeless.get(key)
        if found is None:
            found = not any(free_capacity.fits_now(cell, worker) for worker in free_capacity.workers)
            self._placeless[key] = found
        return found
