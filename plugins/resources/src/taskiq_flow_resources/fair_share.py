"""Fair share: who has the least of the pool gets the next place."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from heapq import heapify, heappop, heappush
from typing import ClassVar

from taskiq_flow.errors import PluginError
from taskiq_flow.pools import total_of
from taskiq_flow.scheduler import Placement, ReadyCell, RunningCell, Scheduler, WorkerView
from taskiq_flow_resources.packing import MAX_IN_FLIGHT, Packing, checked_bound

__all__ = ["FairShareScheduler"]


class FairShareScheduler(Scheduler):
    """Shares the pool evenly between runs, or between the values of a label of runs.

    What somebody has is measured by that resource of which it is the largest part of the pool, the dominant one:
    dominant resource fairness (Ghodsi et al., *Dominant Resource Fairness: Fair Allocation of Multiple Resource Types*,
    NSDI 2011). Cells in flight count as one more resource. Priorities count between cells of one share, and not between
    shares. Cells go where they leave the least room.

    ::

        flow = Flow(broker, pool=pool, scheduler=FairShareScheduler(by="tenant", weights={"gold": 2}))
        await flow.submit(graph, inputs, labels={"tenant": "gold"})

    :param by: The label to share by; runs without it share as one. ``None`` shares between runs.
    :param weights: How many times as much as others a run or a value of the label gets; 1 where it is not named.
    :param max_in_flight: How many cells may be dispatched or running at once, over all runs of the pool.
    :raises PluginError: a weight is no number above 0.
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
        self.weights = dict(weights or {})
        wrong = [f"{name!r}: {weight!r}" for name, weight in self.weights.items() if not _is_weight(weight)]
        if wrong:
            raise PluginError(f"weights must be numbers above 0, found {', '.join(wrong)}")
        self.by = by
        self.max_in_flight = checked_bound(max_in_flight)

    def line_of(self, cell: ReadyCell) -> str:
        """Let each share wait in a line of its own."""
        return self._share_of(cell)

    def place(
        self,
        ready: Sequence[ReadyCell],
        workers: Sequence[WorkerView],
        running: Sequence[RunningCell],
    ) -> Iterable[Placement] | None:
        """Give the next place to whoever has the least, again and again."""
        packing = Packing(workers, running, self.max_in_flight)
        lines: dict[str, deque[ReadyCell]] = {}
        for cell in ready:
            lines.setdefault(self._share_of(cell), deque()).append(cell)
        pool = total_of(worker.capacity for worker in workers)
        if not all(worker.capacity for worker in workers):
            # Of a pool without bounds everybody has the same part: none.
            pool = {}
        theirs: dict[str, list[Mapping[str, float]]] = {name: [] for name in lines}
        for other in running:
            if (name := self._share_of(other)) in theirs:
                theirs[name].append(other.resources)
        held = {name: len(demands) for name, demands in theirs.items()}
        used = {name: total_of(demands) for name, demands in theirs.items()}

        def measure(name: str) -> float:
            parts = [used[name].get(resource, 0.0) / total for resource, total in pool.items() if total > 0]
            return max(held[name] / self.max_in_flight, *parts, 0.0) / self.weights.get(name, 1.0)

        heap = [(measure(name), number, name) for number, name in enumerate(lines)]
        heapify(heap)
        placements: list[Placement] = []
        while heap and not packing.full:
            share, number, name = heappop(heap)
            cell = lines[name].popleft()
            placement = packing.offer(cell)
            if placement is not None:
                placements.append(placement)
                held[name] += 1
                used[name] = total_of((used[name], cell.resources))
                share = measure(name)
            if lines[name]:
                heappush(heap, (share, number, name))
        return placements

    def _share_of(self, cell: ReadyCell | RunningCell) -> str:
        return cell.run if self.by is None else cell.labels.get(self.by, "")


def _is_weight(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < math.inf
