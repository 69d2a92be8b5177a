"""Critical path: what most of a run still waits for goes first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from taskiq_flow.errors import PluginError
from taskiq_flow.pools import is_amount
from taskiq_flow.scheduler import Placement, ReadyCell, RunningCell, Scheduler, WorkerView
from taskiq_flow_resources.packing import MAX_IN_FLIGHT, Packing, check_bound

__all__ = ["CriticalPathScheduler"]


class CriticalPathScheduler(Scheduler):
    """Places cells by their upward rank, the longest first, each where it leaves the least room.

    The rank is the time from a cell's start to the end of its run along the longest path, from the mean of the recorded
    durations of its tasks: HEFT (Topcuoglu, Hariri, Wu, *Performance-effective and low-complexity task scheduling for
    heterogeneous computing*, IEEE TPDS 13(3), 2002), decided anew in each turn with what is known by then. A priority
    goes above the rank. While a cell waits its rank grows, so that runs which keep coming do not pass it over for ever.

    :param max_in_flight: How many cells may be dispatched or running at once, over all runs of the pool.
    :param ageing: Seconds of rank that a cell gains for each second that it waits.
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
        """Place what fits, by rank."""
        # Whenever two cells are compared both have waited until now, so now itself makes no difference.
        ageing = self.ageing
        ordered = sorted(ready, key=lambda each: (-each.priority, each.ready_at * ageing - each.rank))
        return Packing(workers, running, self.max_in_flight).place(ordered)
