"""Attempts that are no longer wanted: revoked before they begin, stopped by their worker, or given up."""

from __future__ import annotations

from collections import deque

from taskiq_flow.driver.active import ActiveRun
from taskiq_flow.driver.timers import Timers
from taskiq_flow.driver.watch import WorkerWatch
from taskiq_flow.machine import events as ev
from taskiq_flow.machine import instructions as do
from taskiq_flow.store import Notice, RunStore

__all__ = ["Cancellations"]

# How long a worker may take to stop an attempt, before the run goes on without its answer.
_SECONDS_TO_STOP = 5.0
_LET_GO = "let go:"


class Cancellations:
    """Carries out the machines' instructions to stop attempts.

    :param pool: The pool's name.
    :param timers: The driver's timers; one runs for each attempt that a worker was asked to stop.
    :param watch: The worker watch, which clears the inboxes of workers that are gone.
    """

    def __init__(self, pool: str, store: RunStore, timers: Timers, watch: WorkerWatch) -> None:
        self._pool = pool
        self._store = store
        self._timers = timers
        self._watch = watch
        self._instructions: deque[tuple[ActiveRun, do.Stop]] = deque()

    def __len__(self) -> int:
        return len(self._instructions)

    def add(self, run: ActiveRun, instruction: do.Stop) -> None:
        """Keep an instruction until :meth:`carry_out`."""
        self._instructions.append((run, instruction))

    async def carry_out(self, now: float) -> None:
        """Revoke unclaimed attempts, and ask the workers of claimed ones to stop them.

        :param now: Seconds since the epoch.
        """
        while self._instructions:
            run, instruction = self._instructions[0]
            cell, attempt = instruction.cell, instruction.attempt
            # An attempt with a worker in the log has begun, whether or not the store has a claim of it.
            if not instruction.worker and await self._store.inbox.revoke(run.id, cell, attempt):
                cancelled = ev.CellCancelled(cell=cell, attempt=attempt, at=now)
                await self._store.inbox.put(self._pool, [Notice(run=run.id, event=cancelled)])
            elif instruction.worker:
                request = ev.StopRequested(cell=cell, attempt=attempt, at=now)
                address = self._watch.write_to(instruction.worker)
                await self._store.inbox.put(address, [Notice(run=run.id, event=request)])
                self._timers.start(run.id, f"{_LET_GO}{attempt}:{cell}", now + _SECONDS_TO_STOP)
            self._instructions.popleft()

    def give_up(self, timer: str, now: float) -> ev.CellCancelled | None:
        """Return the event that gives up an attempt which its worker has not stopped; ``None`` for other timers.

        :param timer: The timer that fired.
        :param now: Seconds since the epoch.
        """
        if not timer.startswith(_LET_GO):
            return None
        attempt, _, cell = timer.removeprefix(_LET_GO).partition(":")
        return ev.CellCancelled(cell=cell, attempt=int(attempt), holds_slot=True, at=now)
