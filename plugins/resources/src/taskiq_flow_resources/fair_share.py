"""Fair share: the share with the least of the pool gets the next placement."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from heapq import heapify, heappop, heapreplace
from typing import ClassVar

from taskiq_flow.errors import PluginError
from taskiq_flow.pools import is_amount, total_of
from taskiq_flow.scheduler import Placement, ReadyCell, RunningCell, Scheduler, WorkerView
from taskiq_flow_resources.packing import MAX_IN_FLIGHT, Packing, check_bound

__all__ = ["FairShareScheduler"]


class FairShareScheduler(Scheduler):
    """Shares the pool evenly between runs, or between the values of a label of runs.

    A share is measured by its dominant resource, the one of which it has the largest part of the pool: dominant
    resource fairness (Ghodsi et al., *Dominant Resource Fairness: Fair Allocation of Multiple Resource Types*, NSDI
    2011). Cells in flight count as one more resource. Priorities count within a share, not between shares. Each cell
    goes where it leaves the least free capacity.

    ::

        flow = Flow(broker, pool=pool, scheduler=FairShareScheduler(by="tenant", weights={"gold": 2}))
        await flow.submit(graph, inputs, labels={"tenant": "gold"})

    :param by: The label to share by; runs without it share as one. ``None`` shares between runs.
    :param weights: The weights of shares, by run or value of the label; 1 for others.
    :param max_in_flight: The limit of cells that are dispatched or running at once, over all runs of the pool.
    :raises PluginError: a weight is not a number above 0.
    """

    name: ClassVar[str] = "fair-share"
    lookahead: ClassVar[int] = 256

    def __init__(
        self,
        by: str | None = None,
        weights: Mapping[str, float] | None = None,
        max_in_flight: int = MAX_IN_FLIGHT,
    ) -> None:
        if by is not None and (not isinstance(by, str) or not by):
            raise PluginError(f"by must be the name of a label, or None for runs, found {by!r}")
        if not isinstance(weights, (Mapping, type(None))):
            raise PluginError(f"weights are numbers by name, such as {{'gold': 2}}, found {weights!r}")
        self.weights = dict(weights or {})
        wrong = [
            f"{name!r}: {weight!r}"
            for name, weight in self.weights.items()
            if not (is_amount(weight) and weight > 0)
        ]
        if wrong:
            raise PluginError(f"weights must be numbers above 0, found {', '.join(wrong)}")
        self.by = by
        self.max_in_flight = check_bound(max_in_flight)

    def lane_of(self, cell: ReadyCell) -> str:
        """Give each share a lane of its own."""
        return self._share_of(cell)

    def place(
        self,
        ready: Sequence[ReadyCell],
        workers: Sequence[WorkerView],
        running: Sequence[RunningCell],
    ) -> Iterable[Placement] | None:
        """Give each next placement to the share that has the least."""
        packing = Packing(workers, running, self.max_in_flight)
        pool = total_of(worker.capacity for worker in workers)
        if not all(worker.capacity for worker in workers):
            # In a pool without a capacity only the cells in flight count.
            pool = {}
        theirs: dict[str, list[Mapping[str, float]]] = defaultdict(list)
        for other in running:
            theirs[self._share_of(other)].append(other.resources)
        held = Counter({name: len(demands) for name, demands in theirs.items()})
        used = {name: total_of(demands) for name, demands in theirs.items()}
        placements: list[Placement] = []

        def measure(name: str) -> float:
            if name not in used:
                return 0.0
            parts = [used[name].get(resource, 0.0) / total for resource, total in pool.items() if total > 0]
            return max(held[name] / self.max_in_flight, *parts, 0.0) / self.weights.get(name, 1.0)

        def give(name: str, cell: ReadyCell, placement: Placement) -> None:
            placements.append(placement)
            held[name] += 1
            used[name] = total_of((used.get(name, {}), cell.resources))

        # A share without cells in flight goes before all others, and need not be measured. Of hundreds of shares most
        # wait for their first cell, so only the remaining ones are sorted.
        met = set(used)
        left: dict[str, list[ReadyCell]] = defaultdict(list)
        for cell in ready:
            if packing.full:
                return placements
            name = self._share_of(cell)
            if name in met:
                left[name].append(cell)
            else:
                met.add(name)
                placement = packing.offer(cell)
                if placement is not None:
                    give(name, cell, placement)
        heap = [
            (measure(name), number, name, iter(cells)) for number, (name, cells) in enumerate(left.items())
        ]
        heapify(heap)
        while heap and not packing.full:
            _, number, name, cells = heap[0]
            # A share whose cells do not fit has no more than before, so it leaves the heap for this turn.
            found = packing.next_of(cells)
            if found is None:
                heappop(heap)
                continue
            give(name, *found)
            heapreplace(heap, (measure(name), number, name, cells))
        return placements

    def _share_of(self, cell: ReadyCell | RunningCell) -> str:
        return cell.run if self.by is None else cell.labels.get(self.by, "")
