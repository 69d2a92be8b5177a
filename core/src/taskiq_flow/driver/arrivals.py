"""The ready cells of a pool whose scheduler takes the first ones and looks at nothing else.

Such a scheduler is shown no cells, so no ``ReadyCell`` is made for it. The order is that of
:class:`~taskiq_flow.driver.ready_queue.ReadyQueue` with one lane and without limits.
"""

from __future__ import annotations

from collections import OrderedDict

from taskiq_flow.driver.scheduled import ScheduledRun
from taskiq_flow.machine import instructions as do

__all__ = ["ArrivalQueue"]

_Key = tuple[str, str]
_Entry = tuple[ScheduledRun, do.Enqueue, float]


class ArrivalQueue:
    """Cells by priority, then by depth, then in the order in which they became ready."""

    def __init__(self) -> None:
        # An ordinary dictionary passes every deleted entry again when its first entry is read.
        self._levels: dict[tuple[int, int], OrderedDict[_Key, _Entry]] = {}
        self._where: dict[_Key, OrderedDict[_Key, _Entry]] = {}
        # The cells of each run: to take them out, no other run is looked at.
        self._of_run: dict[str, dict[str, None]] = {}

    def __len__(self) -> int:
        return len(self._where)

    def add(self, run: ScheduledRun, instruction: do.Enqueue, now: float) -> None:
        """Add a cell behind those of its priority and depth.

        :param now: When it became ready, in seconds since the epoch.
        """
        key = (run.id, instruction.cell)
        rank = (-instruction.priority, -instruction.depth)
        level = self._levels.get(rank)
        if level is None:
            self._levels[rank] = level = OrderedDict()
            self._levels = dict(sorted(self._levels.items()))
        level[key] = (run, instruction, now)
        self._where[key] = level
        self._of_run.setdefault(run.id, {})[instruction.cell] = None

    def pop(self) -> _Entry:
        """Take the first cell out.

        :raises LookupError: there is none.
        """
        for level in self._levels.values():
            if level:
                key, entry = level.popitem(last=False)
                del self._where[key]
                self._discount(*key)
                return entry
        raise LookupError("no cell is ready")

    def get(self, run: str, cell: str) -> _Entry | None:
        """Return a cell; ``None`` when it is not there."""
        key = (run, cell)
        level = self._where.get(key)
        return None if level is None else level[key]

    def first(self, count: int) -> list[_Entry]:
        """Return the first cells, and leave them in the queue.

        :param count: How many at most.
        """
        found: list[_Entry] = []
        for level in self._levels.values():
            for entry in level.values():
                if len(found) >= count:
                    return found
                found.append(entry)
        return found

    def remove(self, run: str, cell: str) -> _Entry | None:
        """Take a cell out; ``None`` when it is not there."""
        key = (run, cell)
        level = self._where.pop(key, None)
        if level is None:
            return None
        self._discount(run, cell)
        return level.pop(key)

    def remove_run(self, run: str) -> list[_Entry]:
        """Take all cells of a run out, and return them in the order in which they came."""
        found = [self.remove(run, cell) for cell in [*self._of_run.get(run, ())]]
        return [entry for entry in found if entry is not None]

    def _discount(self, run: str, cell: str) -> None:
        cells = self._of_run[run]
        del cells[cell]
        if not cells:
            del self._of_run[run]
