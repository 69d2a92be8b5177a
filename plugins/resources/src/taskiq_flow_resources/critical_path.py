"""Critical path: the cells at the beginning of the longest remaining path go first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from taskiq_flow.errors import PluginError
from taskiq_flow.pools import is_amount
from taskiq_flow.scheduler import Placement, ReadyCell, RunningCell, Scheduler, WorkerView
from taskiq_flow_resources.packing import MAX_IN_FLIGHT, Packing, check_bound

__all__ = ["CriticalPathScheduler"]


class CriticalPathScheduler(Scheduler):
    """Places cells by their upward rank, the longest first, each where it leaves the least free capacity.

    The rank is the time from a cell's start to the end of its run along the longest path, from the mean recorded
    durations of its tasks: HEFT (Topcuoglu, Hariri, Wu, *Performance-effective and low-complexity task scheduling for
    heterogeneous computing*, IEEE TPDS 13(3), 2002), computed anew in each turn with the latest durations. Priority
    comes before rank. The rank of a waiting cell grows, so that new runs do not pass it over for ever.

    :param max_in_flight: The limit of cells that are dispatched or running at once, over all runs of the pool.
    :param ageing: Seconds of rank that a cell gains for each second of waiting.
    """

    name: ClassVar[str] = "critical-path"
    lookahead: ClassVar[int] = 256
    uses_rank: ClassVar[bool] = True

    def __init__(self, max_in_flight: int = MAX_IN_FLIGHT, ageing: float = 0.1) -> None:
        if not is_amount(ageing) or ageing == 0:
            raise PluginError(f"ageing must be a number above 0, found {ageing!r}")
        self.max_in_flight = check_bound(max_in_flight)
        self.ageing = ageing

    def place(
        self,
        ready: Sequence[ReadyCell],
        workers: Sequence[WorkerView],
        running: Sequence[RunningCell],
    ) -> Iterable[Placement] | None:
        """Place the cells that fit, by rank."""
        # All cells have waited until now, so the present time cancels out in comparisons.
        ageing = self.ageing
        ordered = sorted(ready, key=lambda each: (-each.priority, each.ready_at * ageing - each.rank))
        return Packing(workers, running, self.max_in_flight).place(ordered)
