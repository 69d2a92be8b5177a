"""The ready cells of a pool, in the order in which schedulers are shown them."""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import count, islice, takewhile
from operator import itemgetter
from typing import TypeVar, overload

from taskiq_flow._logs import open_log
from taskiq_flow.driver.limits import LimitBudget
from taskiq_flow.pools import FreeCapacity
from taskiq_flow.scheduler import ReadyCell

__all__ = ["CellKey", "ReadyQueue", "SeenCells"]

T = TypeVar("T")

logger = open_log("taskiq_flow")

CellKey = tuple[str, str]
"""Run and path."""

# An ordinary dictionary passes every deleted entry again when its first entry is read.
_Bucket = OrderedDict[CellKey, tuple[int, ReadyCell]]
_LimitDemand = tuple[object, ...]
_LaneKey = tuple[str, int, int, _LimitDemand]
# The identity of a cell's resources, as equal ones are mostly one object, and its queue.
_Demand = tuple[int, str]
# By negated priority and depth, so that ascending order is the order of dispatch.
_Levels = Mapping[tuple[int, int], Sequence[_Bucket]]

_MANY_BUCKETS = 64
# How many cells are looked at for each one that is asked for.
_MOST_PASSED_OVER = 16
_MOST_DEMANDS = 64
_CELL = itemgetter(1)


class ReadyQueue:
    """Cells that could be dispatched.

    In each lane they stand by priority, then by depth, then in the order in which they became ready. A lane that a cell
    was taken from goes behind the others, so that each lane has its turn even if not all can be shown at once.

    :param lane_of: Callback that names the lane of a cell; by default there is one lane.

    :ivar free_capacity: The free capacity of the workers; ``None`` where placement does not depend on it.
    :ivar limited_shown: How many of the cells that were returned last take something of a limit.
    """

    def __init__(self, lane_of: Callable[[ReadyCell], str] | None = None) -> None:
        self.free_capacity: FreeCapacity | None = None
        self.limited_shown = 0
        self._lane_of = lane_of
        self._numbers = count()
        # Cells with equal demands on limits and workers share a bucket: if the first has to wait, all have to.
        self._buckets: dict[_LaneKey, _Bucket] = {}
        self._lanes: dict[str, dict[tuple[int, int], list[_Bucket]]] = {}
        self._where: dict[CellKey, _Bucket] = {}
        self._names: dict[CellKey, str] = {}
        self._complained = False
        # The cells of each run: to take them out, no other run is looked at.
        self._of_run: dict[str, dict[CellKey, None]] = {}
        # How many cells have the same demand, and one of them.
        self._demands: dict[_Demand, tuple[int, ReadyCell]] = {}

    def __len__(self) -> int:
        return len(self._where)

    def __contains__(self, key: CellKey) -> bool:
        return key in self._where

    def __getitem__(self, key: CellKey) -> ReadyCell:
        return self._where[key][key][1]

    def get(self, key: CellKey) -> ReadyCell | None:
        """Return a cell; ``None`` when it is not there."""
        bucket = self._where.get(key)
        return None if bucket is None else bucket[key][1]

    def add(self, cell: ReadyCell) -> None:
        """Add a cell behind those of its lane, priority and depth."""
        key = (cell.run, cell.path)
        limit_demand: _LimitDemand = ()
        if cell.limits:
            limit_demand = (*sorted(cell.limits.items()), *sorted(cell.resources.items()), cell.queue)
        name = ""
        if self._lane_of is not None:
            name = self._names[key] = self._name_lane(cell)
        lane_key = (name, -cell.priority, -cell.depth, limit_demand)
        bucket = self._buckets.get(lane_key)
        if bucket is None:
            bucket = self._new_bucket(lane_key)
        bucket[key] = (next(self._numbers), cell)
        self._where[key] = bucket
        self._of_run.setdefault(cell.run, {})[key] = None
        demand = (id(cell.resources), cell.queue)
        number, _ = self._demands.get(demand, (0, cell))
        self._demands[demand] = (number + 1, cell)

    def remove(self, key: CellKey) -> ReadyCell | None:
        """Take a cell out; ``None`` when it is not there."""
        bucket = self._where.pop(key, None)
        if bucket is None:
            return None
        cell = bucket.pop(key)[1]
        cells = self._of_run[cell.run]
        del cells[key]
        if not cells:
            del self._of_run[cell.run]
        demand = (id(cell.resources), cell.queue)
        number, other = self._demands.pop(demand)
        if number > 1:
            self._demands[demand] = (number - 1, other)
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
        """Whether cells with different demands wait, few enough demands to compare each with the free capacity."""
        return 1 < len(self._demands) <= _MOST_DEMANDS

    def demands_that_fit(self, free_capacity: FreeCapacity) -> set[_Demand]:
        """Return the demands that a worker has room for.

        :param free_capacity: The free capacity of the workers.
        """
        return {
            demand
            for demand, (_, cell) in self._demands.items()
            if any(free_capacity.fits_now(cell, worker) for worker in free_capacity.workers)
        }

    def remove_run(self, run: str) -> list[ReadyCell]:
        """Take all cells of a run out, and return them in the order in which they came."""
        found = [self.remove(key) for key in [*self._of_run.get(run, ())]]
        return [cell for cell in found if cell is not None]

    def first(self, count: int, budget: LimitBudget | None = None) -> SeenCells[ReadyCell]:
        """Return the first cells in order; they must be looked at before the queue changes.

        :param count: How many at most.
        :param budget: The rest of the limits; ``None`` where there are none.
        """
        if budget is not None:
            budget.respect(self.free_capacity)
        lanes = [*self._lanes.values()]
        ordered = _in_order(lanes[0], budget) if len(lanes) == 1 else _in_turns(lanes, budget)
        self.limited_shown = 0
        if self.free_capacity is not None and self.mixed and len(self._where) > count:
            ordered = _pass_over(ordered, self.demands_that_fit(self.free_capacity), count)
        elif budget is None:
            return SeenCells(min(count, len(self._where)), ordered)
        # Their number is known only after going through them.
        cells = list(islice(ordered, count))
        self.limited_shown = sum(1 for cell in cells if cell.limits)
        return SeenCells(len(cells), iter(cells))

    def _name_lane(self, cell: ReadyCell) -> str:
        assert self._lane_of is not None
        try:
            return str(self._lane_of(cell))
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # a plugin's fault must not stop the pool, not even by a cancellation
            if not self._complained:
                self._complained = True
                logger.exception("the scheduler cannot name the lane of cell %r", cell.path)
            return ""

    def _new_bucket(self, lane_key: _LaneKey) -> _Bucket:
        if len(self._buckets) >= _MANY_BUCKETS and sum(map(bool, self._buckets.values())) * 2 < len(
            self._buckets
        ):
            filled = {each: bucket for each, bucket in self._buckets.items() if bucket}
            names = {lane for lane, _, _, _ in filled}
            self._buckets, self._lanes = {}, {lane: {} for lane in self._lanes if lane in names}
            for each, bucket in filled.items():
                self._put(each, bucket)
        return self._put(lane_key, OrderedDict())

    def _put(self, lane_key: _LaneKey, bucket: _Bucket) -> _Bucket:
        lane, priority, depth, _ = lane_key
        self._buckets[lane_key] = bucket
        levels = self._lanes.setdefault(lane, {})
        new = (priority, depth) not in levels
        levels.setdefault((priority, depth), []).append(bucket)
        if new:
            self._lanes[lane] = dict(sorted(levels.items()))
        return bucket


def _in_order(levels: _Levels, budget: LimitBudget | None) -> Iterator[ReadyCell]:
    """Yield the cells of a lane that the limits leave room for."""
    for buckets in levels.values():
        filled = [bucket for bucket in buckets if bucket]
        if len(filled) > 1:
            yield from _merge([iter(bucket.values()) for bucket in filled], budget)
        elif filled:
            # The usual case, often in a busy pool.
            cells = map(_CELL, filled[0].values())
            yield from cells if budget is None else takewhile(budget.reserve, cells)


def _merge(
    filled: Sequence[Iterator[tuple[int, ReadyCell]]], budget: LimitBudget | None
) -> Iterator[ReadyCell]:
    heap = [(*next(cells), cells) for cells in filled]
    heapq.heapify(heap)
    while heap:
        _, cell, cells = heap[0]
        if budget is not None and not budget.reserve(cell):
            heapq.heappop(heap)
            continue
        yield cell
        if len(heap) == 1 and not cell.limits:
            # Nothing is left to merge with.
            yield from map(_CELL, cells)
            return
        following = next(cells, None)
        if following is None:
            heapq.heappop(heap)
        else:
            heapq.heapreplace(heap, (*following, cells))


def _pass_over(cells: Iterator[ReadyCell], with_room: set[_Demand], count: int) -> Iterator[ReadyCell]:
    """Yield cells in order; of those that no worker has room for now, only half as many as are to be shown.

    So the scheduler sees cells that wait for room, and can reserve it, and still sees cells that could begin now.
    """
    without = 0
    for cell in islice(cells, count * _MOST_PASSED_OVER):
        if (id(cell.resources), cell.queue) not in with_room:
            without += 1
            if with_room and without > count // 2:
                continue
        yield cell


def _in_turns(lanes: Sequence[_Levels], budget: LimitBudget | None) -> Iterator[ReadyCell]:
    """Yield one cell of each lane in turn."""
    yielded = 0
    if budget is None:
        # With hundreds of lanes only the first cell of each is looked at, and hundreds of iterators in each turn would
        # keep the garbage collector busy.
        yield from filter(None, map(_first_of, lanes))
        yielded = 1
    rest = (islice(_in_order(levels, budget), yielded, None) for levels in lanes)
    yield from _by_turns(rest)


def _first_of(levels: _Levels) -> ReadyCell | None:
    """Return the first cell of a lane; ``None`` when the lane is empty."""
    for buckets in levels.values():
        firsts = [next(iter(bucket.values())) for bucket in buckets if bucket]
        if firsts:
            return min(firsts)[1]
    return None


def _by_turns(lanes: Iterable[Iterator[ReadyCell]]) -> Iterator[ReadyCell]:
    while True:
        unfinished: list[Iterator[ReadyCell]] = []
        for lane in lanes:
            cell = next(lane, None)
            if cell is not None:
                unfinished.append(lane)
                yield cell
        if not unfinished:
            return
        lanes = unfinished


class SeenCells(Sequence[T]):
    """Cells that a scheduler is shown, collected only as far as it looks at them.

    A scheduler that places by number looks at few of them, in each of many turns.

    :param count: How many there are.
    :param cells: An iterator over them, and perhaps over more.
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
        """Return one cell, or some."""
        if isinstance(index, slice):
            start, stop, step = index.indices(self._count)
            return self._up_to(stop if step > 0 else self._count)[start:stop:step]
        return self._up_to(index + 1 if 0 <= index < self._count else self._count)[index]

    def _up_to(self, count: int) -> list[T]:
        missing = count - len(self._seen)
        if missing > 0:
            self._seen.extend(islice(self._rest, missing))
        return self._seen
