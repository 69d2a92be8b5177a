"""The limits of a pool, while cells are chosen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from taskiq_flow.pools import FreeCapacity, fits, total_of
from taskiq_flow.scheduler import ReadyCell, RunningCell

__all__ = ["LimitBudget"]


class LimitBudget:
    """The rest of a pool's limits, while cells are chosen in order.

    :param limits: The limits by name.
    :param running: The cells that occupy capacity.
    """

    def __init__(self, limits: Mapping[str, float], running: Iterable[RunningCell]) -> None:
        used = total_of(cell.limits for cell in running if cell.limits)
        self._left = {name: limit - used.get(name, 0.0) for name, limit in limits.items()}
        self._free_capacity: FreeCapacity | None = None
        # Identities of demands that did not fit. The rest only shrinks, so they will not fit later. Equal demands are
        # mostly one object.
        self._spent: set[int] = set()
        self._placeless: dict[tuple[int, str], bool] = {}
        self._is_reserved_ahead = False

    def respect(self, free_capacity: FreeCapacity | None) -> None:
        """Reserve nothing for cells that no worker has room for, except for the first of them.

        :param free_capacity: The free capacity of the workers; ``None`` where placement does not look at it.
        """
        self._free_capacity = free_capacity

    def reserve(self, cell: ReadyCell) -> bool:
        """Reserve a cell's share of the limits; whether there was enough.

        The share is reserved even where it is more than the rest, so that no later cell overtakes one that waits.

        The first cell that waits for room on a worker reserves its share, so that it has both in the end. The cells
        behind it reserve nothing: they would hold back a share that they cannot use. Nor does a cell that no worker
        could hold.
        """
        if not cell.limits:
            return True
        if id(cell.limits) in self._spent:
            return False
        if self._free_capacity is not None and self._is_placeless(cell, self._free_capacity):
            if self._is_reserved_ahead or not any(
                self._free_capacity.fits_when_empty(cell, each) for each in self._free_capacity.workers
            ):
                return False
            self._is_reserved_ahead = True
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
