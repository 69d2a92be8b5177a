"""The ready cells of a pool, in the order in which schedulers are shown them."""

from __future__ import annotations

import heapq
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import count, islice, takewhile
from operator import itemgetter
from typing import TypeVar, overload

from taskiq_flow.driver.limits import LimitBudget
from taskiq_flow.pools import FreeCapacity
from taskiq_flow.scheduler import ReadyCell

__all__ = ["CellKey", "ReadyQueue", "SeenCells"]

T = TypeVar("T")

logger = logging.getLogger("taskiq_flow")

CellKey = tuple[str, str]
"""Run and path."""

# An ordinary dictionary looks at every deleted entry again when it is read from the front.
_Bucket = OrderedDict[CellKey, tuple[int, ReadyCell]]
_LimitDemand = tuple[object, ...]
_LaneKey = tuple[str, int, int, _LimitDemand]
# Which room a cell needs: equal demands are mostly one object. And its queue.
_Demand = tuple[int, str]
# By priority and depth, each negated, so that what goes first comes first.
_Levels = Mapping[tuple[int, int], Sequence[_Bucket]]

_MANY_BUCKETS = 64
# Per cell that is asked for.
_MOST_PASSED_OVER = 16
_MOST_DEMANDS = 64
_CELL = itemgetter(1)


class ReadyQueue:
    """Cells that could be dispatched.

    In each lane they stand by priority, then by depth, then in the order in which they became ready. A lane that a cell
    has been taken from goes behind the others, so that of more lanes than are shown at once each has its turn.

    :param lane_of: Gives the lane of a cell; by default there is one.

    :ivar free_capacity: What is free on the workers, where that decides about places; ``None`` elsewhere.
    :ivar limited_shown: How many of the cells that were given last take something of a limit.
    """

    def __init__(self, lane_of: Callable[[ReadyCell], str] | None = None) -> None:
        self.free_capacity: FreeCapacity | None = None
        self.limited_shown = 0
        self._lane_of = lane_of
        self._numbers = count()
        # Cells that take the same of the limits and need the same room share a bucket, so that one look tells of all
        # that they must wait.
        self._buckets: dict[_LaneKey, _Bucket] = {}
        self._lanes: dict[str, dict[tuple[int, int], list[_Bucket]]] = {}
        self._where: dict[CellKey, _Bucket] = {}
        self._names: dict[CellKey, str] = {}
        self._complained = False
        # How many cells of each run wait, so that a run that has none is forgotten without looking at others.
        self._counts: dict[str, int] = {}
        # How many cells need the same room, and one of them.
        self._demands: dict[_Demand, tuple[int, ReadyCell]] = {}

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
        """Add a cell behind those of its lane, priority and depth."""
        key = (cell.run, cell.path)
        demand: _LimitDemand = ()
        if cell.limits:
            demand = (*sorted(cell.limits.items()), *sorted(cell.resources.items()), cell.queue)
        name = ""
        if self._lane_of is not None:
            name = self._names[key] = self._name_lane(cell)
        spot = (name, -cell.priority, -cell.depth, demand)
        bucket = self._buckets.get(spot)
        if bucket is None:
            bucket = self._new_bucket(spot)
        bucket[key] = (next(self._numbers), cell)
        self._where[key] = bucket
        self._counts[cell.run] = self._counts.get(cell.run, 0) + 1
        kind = (id(cell.resources), cell.queue)
        number, _ = self._demands.get(kind, (0, cell))
        self._demands[kind] = (number + 1, cell)

    def remove(self, key: CellKey) -> ReadyCell | None:
        """Take a cell out; ``None`` when it is not there."""
        bucket = self._where.pop(key, None)
        if bucket is None:
            return None
        cell = bucket.pop(key)[1]
        left = self._counts.pop(cell.run) - 1
        if left:
            self._counts[cell.run] = left
        kind = (id(cell.resources), cell.queue)
        number, other = self._demands.pop(kind)
        if number > 1:
            self._demands[kind] = (number - 1, other)
        if self._lane_of is not None:
            name = self._names.pop(key)
            self._lanes[name] = self._lanes.pop(name)
        return cell

    @property
    def limited(self) -> bool:
        """Whether a cell waits that takes something of a limit."""
        return any(bucket for (_, _, _, demand), bucket in self._buckets.items() if demand)

    @property
    def mixed(self) -> bool:
        """Whether cells wait that need different room, of which it can be told quickly whether it is there."""
        return 1 < len(self._demands) <= _MOST_DEMANDS

    def demands_that_fit(self, free_capacity: FreeCapacity) -> set[_Demand]:
        """Give what the cells need for which there is room on a worker.

        :param free_capacity: What is free on the workers.
        """
        return {
            kind
            for kind, (_, cell) in self._demands.items()
            if any(free_capacity.fits_now(cell, worker) for worker in free_capacity.workers)
        }

    def forget_run(self, run: str) -> None:
        """Take all cells of a run out."""
        if run in self._counts:
            for key in [key for key in self._where if key[0] == run]:
                self.remove(key)

    def first(self, count: int, room: LimitBudget | None = None) -> SeenCells[ReadyCell]:
        """Give the cells that are first in lane; to be looked at before the queue changes.

        :param count: How many at most.
        :param room: What the limits leave room for; ``None`` where there are none.
        """
        if room is not None:
            room.respect(self.free_capacity)
        lanes = [*self._lanes.values()]
        lane = _in_order(lanes[0], room) if len(lanes) == 1 else _in_turns(lanes, room)
        self.limited_shown = 0
        if self.free_capacity is not None and self.mixed and len(self._where) > count:
            lane = _passing_over(lane, self.demands_that_fit(self.free_capacity), count)
        elif room is None:
            return SeenCells(min(count, len(self._where)), lane)
        # How many there are can be told only by going through them.
        cells = list(islice(lane, count))
        self.limited_shown = sum(1 for cell in cells if cell.limits)
        return SeenCells(len(cells), iter(cells))

    def _name_lane(self, cell: ReadyCell) -> str:
        assert self._lane_of is not None
        try:
            return str(self._lane_of(cell))
        except Exception:  # a plugin's fault must not stop the pool
            if not self._complained:
                self._complained = True
                logger.exception("the scheduler cannot name the lane of cell %r", cell.path)
            return ""

    def _new_bucket(self, spot: _LaneKey) -> _Bucket:
        if len(self._buckets) >= _MANY_BUCKETS and sum(map(bool, self._buckets.values())) * 2 < len(
            self._buckets
        ):
            kept = {each: bucket for each, bucket in self._buckets.items() if bucket}
            names = {lane for lane, _, _, _ in kept}
            self._buckets, self._lanes = {}, {lane: {} for lane in self._lanes if lane in names}
            for each, bucket in kept.items():
                self._put(each, bucket)
        return self._put(spot, OrderedDict())

    def _put(self, spot: _LaneKey, bucket: _Bucket) -> _Bucket:
        lane, priority, depth, _ = spot
        self._buckets[spot] = bucket
        levels = self._lanes.setdefault(lane, {})
        new = (priority, depth) not in levels
        levels.setdefault((priority, depth), []).append(bucket)
        if new:
            self._lanes[lane] = dict(sorted(levels.items()))
        return bucket


def _in_order(levels: _Levels, room: LimitBudget | None) -> Iterator[ReadyCell]:
    """Give the cells of a lane that the limits leave room for."""
    for buckets in levels.values():
        filled = [bucket for bucket in buckets if bucket]
        if len(filled) > 1:
            yield from _merge([iter(bucket.values()) for bucket in filled], room)
        elif filled:
            # The usual case, in a pool that has much to do often.
            cells = map(_CELL, filled[0].values())
            yield from cells if room is None else takewhile(room.reserve, cells)


def _merge(
    filled: Sequence[Iterator[tuple[int, ReadyCell]]], room: LimitBudget | None
) -> Iterator[ReadyCell]:
    heap = [(*next(cells), cells) for cells in filled]
    heapq.heapify(heap)
    while heap:
        _, cell, cells = heap[0]
        if room is not None and not room.reserve(cell):
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


def _passing_over(cells: Iterator[ReadyCell], with_room: set[_Demand], count: int) -> Iterator[ReadyCell]:
    """Give cells until as many were given as shall be shown; of those that have no room now only half as many.

    So those that wait are seen, and what is kept for them; and they keep nobody out of sight whom they do not wait for.
    """
    without = 0
    for cell in islice(cells, count * _MOST_PASSED_OVER):
        if (id(cell.resources), cell.queue) not in with_room:
            without += 1
            if with_room and without > count // 2:
                continue
        yield cell


def _in_turns(lanes: Sequence[_Levels], room: LimitBudget | None) -> Iterator[ReadyCell]:
    """Give one cell of each lane after the other."""
    yielded = 0
    if room is None:
        # Of hundreds of lanes nobody looks further than at the first cell of each, and hundreds of iterators in each
        # turn would keep the garbage collector busy.
        yield from filter(None, map(_first_of, lanes))
        yielded = 1
    rest = (islice(_in_order(levels, room), yielded, None) for levels in lanes)
    yield from _by_turns(rest)


def _first_of(levels: _Levels) -> ReadyCell | None:
    """Give the first cell of a lane; ``None`` when the lane is empty."""
    for buckets in levels.values():
        firsts = [next(iter(bucket.values())) for bucket in buckets if bucket]
        if firsts:
            return min(firsts)[1]
    return None


def _by_turns(lanes: Iterable[Iterator[ReadyCell]]) -> Iterator[ReadyCell]:
    while True:
        still: list[Iterator[ReadyCell]] = []
        for lane in lanes:
            cell = next(lane, None)
            if cell is not None:
                still.append(lane)
                yield cell
        if not still:
            return
        lanes = still


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
