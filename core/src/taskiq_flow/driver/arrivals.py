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
        # How many cells of each run wait: a run without any is forgotten without a search.
        self._counts: dict[str, int] = {}

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
        self._counts[run.id] = self._counts.get(run.id, 0) + 1

    def pop(self) -> _Entry:
        """Take the first cell out.

        :raises LookupError: there is none.
        """
        for level in self._levels.values():
            if level:
                key, entry = level.popitem(last=False)
                del self._where[key]
                self._discount(key[0])
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
        self._discount(run)
        return level.pop(key)

    def forget_run(self, run: str) -> None:
        """Take all cells of a run out."""
        if run in self._counts:
            for key in [key for key in self._where if key[0] == run]:
                self.remove(*key)

    def _discount(self, run: str) -> None:
        left = self._counts[run] - 1
        if left:
            self._counts[run] = left
        else:
            del self._counts[run]
