"""The ready cells of a pool, in the order in which schedulers are shown them."""

from __future__ import annotations

import heapq
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, count, islice
from operator import itemgetter
from typing import TypeVar, overload

from taskiq_flow.pools import fits, total_of
from taskiq_flow.scheduler import ReadyCell, RunningCell

__all__ = ["CellKey", "LimitRoom", "ReadyQueue", "SeenCells"]

T = TypeVar("T")

logger = logging.getLogger("taskiq_flow")

CellKey = tuple[str, str]
"""Run and path."""

# An ordinary dictionary looks at every deleted entry again when it is read from the front.
_Bucket = OrderedDict[CellKey, tuple[int, ReadyCell]]
_Demand = tuple[tuple[str, float], ...]
_Spot = tuple[str, int, int, _Demand]

_MANY_BUCKETS = 64
_CELL = itemgetter(1)


class LimitRoom:
    """What the limits of a pool leave room for, while cells are chosen in order.

    :param limits: The limits by name.
    :param running: What is in use.
    """

    def __init__(self, limits: Mapping[str, float], running: Iterable[RunningCell]) -> None:
        used = total_of(cell.limits for cell in running if cell.limits)
        self._left = {name: limit - used.get(name, 0.0) for name, limit in limits.items()}

    def take(self, demand: Mapping[str, float]) -> bool:
        """Whether a demand fits. Either way it is taken, so that nobody overtakes the one who waits."""
        fitting = fits(demand, self._left)
        for name, amount in demand.items():
            self._left[name] = self._left.get(name, 0.0) - amount
        return fitting


class ReadyQueue:
    """Cells that could be dispatched.

    In each line they stand by priority, then by depth, then in the order in which they became ready. A line that a cell
    has been taken from goes behind the others, so that of more lines than are shown at once each has its turn.

    :param line_of: Gives the line of a cell; by default there is one.
    """

    def __init__(self, line_of: Callable[[ReadyCell], str] | None = None) -> None:
        self._line_of = line_of
        self._numbers = count()
        # Cells that take the same of the limits share a bucket, so that one look tells of all that they must wait.
        self._buckets: dict[_Spot, _Bucket] = {}
        self._lines: dict[str, dict[tuple[int, int], list[_Bucket]]] = {}
        self._where: dict[CellKey, _Bucket] = {}
        self._names: dict[CellKey, str] = {}
        self._complained = False

    def __len__(self) -> int:
        return len(self._where)

    def __contains__(self, key: CellKey) -> bool:
        return key in self._where

    def __getitem__(self, key: CellKey) -> ReadyCell:
        return self._where[key][key][1]

    def get(self, key: CellKey) -> ReadyCell | None:
        """Give a cell; ``None`` when it is not there."""
        bucket = self._where.get(key)
        return None if bucket is None else bucket[key][1]

    def add(self, cell: ReadyCell) -> None:
        """Add a cell behind those of its line, priority and depth."""
        key = (cell.run, cell.path)
        demand: _Demand = tuple(sorted(cell.limits.items())) if cell.limits else ()
        name = ""
        if self._line_of is not None:
            name = self._names[key] = self._name_line(cell)
        spot = (name, -cell.priority, -cell.depth, demand)
        bucket = self._buckets.get(spot)
        if bucket is None:
            bucket = self._new_bucket(spot)
        bucket[key] = (next(self._numbers), cell)
        self._where[key] = bucket

    def remove(self, key: CellKey) -> ReadyCell | None:
        """Take a cell out; ``None`` when it is not there."""
        bucket = self._where.pop(key, None)
        if bucket is None:
            return None
        cell = bucket.pop(key)[1]
        if self._line_of is not None:
            name = self._names.pop(key)
            self._lines[name] = self._lines.pop(name)
        return cell

    @property
    def limited(self) -> bool:
        """Whether a cell waits that takes something of a limit."""
        return any(bucket for (_, _, _, demand), bucket in self._buckets.items() if demand)

    def forget_run(self, run: str) -> None:
        """Take all cells of a run out."""
        for key in [key for key in self._where if key[0] == run]:
            self.remove(key)

    def first(self, count: int, room: LimitRoom | None = None) -> SeenCells[ReadyCell]:
        """Give the cells that are first in line; to be looked at before the queue changes.

        :param count: How many at most.
        :param room: What the limits leave room for; ``None`` where there are none.
        """
        lines = [*self._lines.values()]
        # Of many lines only the first are looked at.
        line = (
            _in_order(lines[0], room)
            if len(lines) == 1
            else _in_turns(_in_order(levels, room) for levels in lines)
        )
        if room is None:
            return SeenCells(min(count, len(self._where)), line)
        # How many there are can be told only by going through them.
        cells = list(islice(line, count))
        return SeenCells(len(cells), iter(cells))

    def _name_line(self, cell: ReadyCell) -> str:
        assert self._line_of is not None
        try:
            return str(self._line_of(cell))
        except Exception:  # a plugin's fault must not stop the pool
            if not self._complained:
                self._complained = True
                logger.exception("the scheduler cannot name the line of cell %r", cell.path)
            return ""

    def _new_bucket(self, spot: _Spot) -> _Bucket:
        if len(self._buckets) >= _MANY_BUCKETS and sum(map(bool, self._buckets.values())) * 2 < len(
            self._buckets
        ):
            kept = {each: bucket for each, bucket in self._buckets.items() if bucket}
            names = {line for line, _, _, _ in kept}
            self._buckets, self._lines = {}, {line: {} for line in self._lines if line in names}
            for each, bucket in kept.items():
                self._put(each, bucket)
        return self._put(spot, OrderedDict())

    def _put(self, spot: _Spot, bucket: _Bucket) -> _Bucket:
        line, priority, depth, _ = spot
        self._buckets[spot] = bucket
        levels = self._lines.setdefault(line, {})
        new = (priority, depth) not in levels
        levels.setdefault((priority, depth), []).append(bucket)
        if new:
            self._lines[line] = dict(sorted(levels.items()))
        return bucket


def _in_order(
    levels: Mapping[tuple[int, int], Sequence[_Bucket]], room: LimitRoom | None
) -> Iterator[ReadyCell]:
    """Give the cells of a line that the limits leave room for."""
    return chain.from_iterable(_level(buckets, room) for buckets in levels.values())


def _level(buckets: Sequence[_Bucket], room: LimitRoom | None) -> Iterator[ReadyCell]:
    """Give the cells of one priority and depth, the oldest first."""
    filled = [iter(bucket.values()) for bucket in buckets if bucket]
    if len(filled) == 1 and room is None:
        # The usual case, in a pool that has much to do often.
        return map(_CELL, filled[0])
    return _merged(filled, room)


def _merged(filled: Sequence[Iterator[tuple[int, ReadyCell]]], room: LimitRoom | None) -> Iterator[ReadyCell]:
    heap = [(*next(cells), cells) for cells in filled]
    heapq.heapify(heap)
    while heap:
        _, cell, cells = heap[0]
        if cell.limits and room is not None and not room.take(cell.limits):
            heapq.heappop(heap)
            continue
        yield cell
        if len(heap) == 1 and not cell.limits:
            # Nothing else is to be compared.
            yield from map(_CELL, cells)
            return
        following = next(cells, None)
        if following is None:
            heapq.heappop(heap)
        else:
            heapq.heapreplace(heap, (*following, cells))


def _in_turns(lines: Iterable[Iterator[ReadyCell]]) -> Iterator[ReadyCell]:
    """Give one cell of each line after the other."""
    while True:
        still: list[Iterator[ReadyCell]] = []
        for line in lines:
            cell = next(line, None)
            if cell is not None:
                still.append(line)
                yield cell
        if not still:
            return
        lines = still


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
