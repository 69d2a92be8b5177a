"""Best fit: small cells fill small gaps, so that large ones find room."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from taskiq_flow.scheduler import Placement, ReadyCell, RunningCell, Scheduler, WorkerView
from taskiq_flow_resources.packing import MAX_IN_FLIGHT, Packing, check_bound

__all__ = ["BestFitScheduler"]


class BestFitScheduler(Scheduler):
    """Places cells in the order in which they are shown, each where it leaves the least room.

    That order is: the higher priority, then items of maps that have begun, then the oldest.
    :class:`~taskiq_flow_resources.packing.Packing` has the rule and its sources.

    :param max_in_flight: How many cells may be dispatched or running at once, over all runs of the pool.
    """

    name: ClassVar[str] = "best-fit"
    lookahead: ClassVar[int] = 256

    def __init__(self, max_in_flight: int = MAX_IN_FLIGHT) -> None:
        self.max_in_flight = check_bound(max_in_flight)

    def place(
        self,
        ready: Sequence[ReadyCell],
        workers: Sequence[WorkerView],
        running: Sequence[RunningCell],
    ) -> Iterable[Placement] | None:
        """Place what fits."""
        return Packing(workers, running, self.max_in_flight).place(ready)
