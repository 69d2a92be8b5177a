"""First come, first served, with a bound on what is in flight."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from taskiq_flow.errors import PluginError
from taskiq_flow.scheduler import Placement, ReadyCell, RunningCell, Scheduler, WorkerView

__all__ = ["FifoScheduler"]


class FifoScheduler(Scheduler):
    """Sends cells to any worker in the order in which they are shown: the higher priority first, then the oldest.

    It does not look at resources; workers that are busy find their messages in the broker's queue.

    :param max_in_flight: How many cells may be dispatched or running at once, over all runs of the pool.
    """

    name: ClassVar[str] = "fifo"
    # More than this could not be placed at once with the usual bound, so showing more would be work for nothing.
    lookahead: ClassVar[int] = 256
    reads_resources: ClassVar[bool] = False

    def __init__(self, max_in_flight: int = 256) -> None:
        if type(max_in_flight) is not int or max_in_flight < 1:
            raise PluginError(f"max_in_flight must be a whole number of at least 1, found {max_in_flight!r}")
        self.max_in_flight = max_in_flight

    def place(
        self,
        ready: Sequence[ReadyCell],
        workers: Sequence[WorkerView],
        running: Sequence[RunningCell],
    ) -> Iterable[Placement] | None:
        """Place the first of the ready cells, as many as the bound leaves room for."""
        room = self.max_in_flight - len(running)
        if room <= 0:
            return ()
        return [Placement(run=cell.run, path=cell.path) for cell in ready[:room]]

    def explain(self, cell: ReadyCell, workers: Sequence[WorkerView], running: Sequence[RunningCell]) -> str:
        """Say how many cells are in flight."""
        if len(running) >= self.max_in_flight:
            return f"{len(running)} of {self.max_in_flight} cells are in flight"
        return "it is placed in the driver's next turn"
