"""Results that a run takes over from the one that it resumes, in place of executing their cells."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from attrs import evolve

from taskiq_flow.driver.active import ActiveRun
from taskiq_flow.errors import BlobNotFound, PayloadError, ResumeError
from taskiq_flow.machine import events as ev
from taskiq_flow.machine import instructions as do
from taskiq_flow.machine.transitions import CellState
from taskiq_flow.store import RunStore
from taskiq_flow.values.results import read_results

__all__ = ["ResumedResults"]

# A run that resumes a hundred thousand cells must not hold up the other runs of the pool.
_CELLS_PER_TURN = 1000


class ResumedResults:
    """Applies results of the old run to cells of the new one that become ready."""

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._waiting: deque[tuple[ActiveRun, do.Enqueue]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    async def load(self, run: ActiveRun) -> None:
        """Read the results that a run was created with.

        :raises ResumeError: they are lost. The run cannot go on, as nobody asked to execute everything again.
        """
        if not run.record.resumes:
            return
        try:
            run.resumed = {event.cell: event async for event in read_results(self._store, run.id)}
        except (BlobNotFound, PayloadError) as error:
            raise ResumeError(
                f"the results that it resumes from run {run.record.resumes!r} are lost: {error}",
                run=run.record.resumes,
            ) from error

    def answers(self, run: ActiveRun, instruction: do.Enqueue) -> bool:
        """Whether there is a result for a cell; if so, :meth:`take` yields its events."""
        if instruction.cell not in run.resumed:
            return False
        self._waiting.append((run, instruction))
        return True

    def take(self, now: float) -> Iterator[tuple[ActiveRun, ev.Event]]:
        """Yield the events that stand for execution, for as many cells as fit in one turn.

        Cells that become ready by these events may be answered in the same turn.

        :param now: Seconds since the epoch.
        """
        for _ in range(_CELLS_PER_TURN):
            if not self._waiting:
                return
            run, instruction = self._waiting.popleft()
            result = run.resumed.pop(instruction.cell, None)
            cell = run.machine.cells.active.get(instruction.cell)
            if result is None or cell is None or cell.state is not CellState.READY:
                continue  # the run has ended meanwhile
            attempt = instruction.attempt
            yield run, ev.CellDispatched(cell=instruction.cell, attempt=attempt, at=now)
            yield run, evolve(result, attempt=attempt, at=now)
