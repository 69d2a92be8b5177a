"""First come, first served, with a limit of cells in flight."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from taskiq_flow.errors import PluginError
from taskiq_flow.scheduler import Placement, ReadyCell, RunningCell, Scheduler, WorkerView

__all__ = ["FifoScheduler"]


class FifoScheduler(Scheduler):
    """Sends cells to any worker in the order of the ready queue: the higher priority first, then the oldest.

    It does not look at resources; messages for busy workers wait in the broker's queue.

    :param max_in_flight: The limit of cells that are dispatched or running at once, over all runs of the pool.
    """

    name: ClassVar[str] = "fifo"
    # With the default limit no more cells than this can be placed at once.
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
        """Place the first of the ready cells, up to the limit."""
        slots = self.max_in_flight - len(running)
        if slots <= 0:
            return ()
        return [Placement(run=cell.run, path=cell.path) for cell in ready[:slots]]

    def explain(self, cell: ReadyCell, workers: Sequence[WorkerView], running: Sequence[RunningCell]) -> str:
        """Say how many cells are in flight."""
        if len(running) >= self.max_in_flight:
            return f"{len(running)} of {self.max_in_flight} cells are in flight"
        return "it is placed in the driver's next turn"
