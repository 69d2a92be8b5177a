"""Best fit: small cells fill small gaps, so that large gaps stay for large cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from taskiq_flow.scheduler import Placement, ReadyCell, RunningCell, Scheduler, WorkerView
from taskiq_flow_resources.packing import MAX_IN_FLIGHT, Packing, check_bound

__all__ = ["BestFitScheduler"]


class BestFitScheduler(Scheduler):
    """Places cells in the order of the ready queue, each where it leaves the least free capacity.

    That order is: the higher priority, then items of maps that have begun, then the oldest.
    :class:`~taskiq_flow_resources.packing.Packing` has the rule and its sources.

    :param max_in_flight: The limit of cells that are dispatched or running at once, over all runs of the pool.
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
        """Place the cells that fit."""
        return Packing(workers, running, self.max_in_flight).place(ready)
