"""Inline execution: cells run in their driver's event loop, without message or notice, but with the same events.

An embedded flow executes a cell so when nothing of taskiq's is to be in between: no other middleware, no formatter, no
dependency. The promises stay:

- ``CellDispatched`` and ``CellStarted`` are in the log before the function begins. That write is refused when the lease
  is lost, so it takes the place of a claim: of two drivers only one begins an attempt.
- An attempt that waits for something goes on as a task of the event loop beside all others, and reports by notice.
- Each attempt runs in a copy of its run's context.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Callable, Iterator

from taskiq_flow._runtime import Runtime
from taskiq_flow.driver.active import ActiveRun
from taskiq_flow.driver.contexts import start_task
from taskiq_flow.driver.decisions import do_again
from taskiq_flow.driver.journal import Journal
from taskiq_flow.driver.surroundings import Surroundings
from taskiq_flow.machine import events as ev
from taskiq_flow.machine.transitions import RunStatus
from taskiq_flow.messages.envelope import Envelope
from taskiq_flow.payloads import Failure, FailureKind
from taskiq_flow.values.failures import failure_of
from taskiq_flow.worker.attempts import Attempt, AttemptKey
from taskiq_flow.worker.functions import TaskFunction
from taskiq_flow.worker.outcomes import CallResult
from taskiq_flow.worker.worker import Worker

__all__ = ["InlineQueue", "UncertainStarts"]

_RUNNING = RunStatus.RUNNING
_NOT_BEGUN = Failure(kind=FailureKind.WORKER_LOST, message="its driver stopped before it began")
_EAGER = sys.version_info >= (3, 12)


class InlineQueue:
    """Dispatched cells that wait for their turn in the driver's own event loop.

    :param runtime: The parts of the flow.
    :param here: The driver's process and event loop.
    :param worker: The worker of this event loop.
    :param apply: Gives an event to the machine of a run, and has it logged.
    :param journal: Writes what is to be logged.

    :ivar has_notices: Whether there are notices to be read, as far as this process knows.
    """

    def __init__(
        self,
        runtime: Runtime,
        here: Surroundings,
        worker: Worker,
        apply: Callable[[ActiveRun, ev.Event], None],
        journal: Journal,
    ) -> None:
        self.has_notices = False
        self._here = here
        self._worker = worker
        # Attempts that had to wait for something report here.
        self._inbox = runtime.store.inbox
        self._log = runtime.store.log
        self._pool = runtime.pool
        self._clock = runtime.clock
        self._apply = apply
        self._journal = journal
        self._queue: deque[tuple[ActiveRun, Envelope, TaskFunction]] = deque()
        # The attempt whose start is applied, and stands in the log once the next write has succeeded.
        self._starting: tuple[ActiveRun, Attempt] | None = None
        # What came of the attempt before, which may stand in the log by now.
        self._outcome: tuple[AttemptKey, ev.Event] | None = None

    def __bool__(self) -> bool:
        return bool(self._queue) or self._starting is not None

    def add(self, run: ActiveRun, envelope: Envelope, function: TaskFunction) -> None:
        """Queue an attempt."""
        self._queue.append((run, envelope, function))

    async def execute_next(self) -> float:
        """Execute the next attempt, until it is over or waits for something.

        :returns: The time then, in seconds since the epoch.
        :raises LeaseLost: another driver has taken the pool over; nothing was executed.
        """
        starting = self._starting or self._start_next()
        if starting is None:
            return self._clock.now()
        # Until this succeeds nothing begins; what was raised here is tried again by the next call.
        await self._journal.write()
        self._starting = self._outcome = None
        run, attempt = starting
        if not run.awaits(attempt.envelope.cell, attempt.envelope.attempt):
            # Somebody has deleted the run, or it is broken: its start is in no log.
            self._worker.forget(attempt)
            return self._clock.now()
        task = start_task(self._worker.run(attempt), self._here.context_of(run.id))
        if not _EAGER:
            try:
                await asyncio.sleep(0)
            except BaseException:
                # Only the driver is asked to end.
                if task.done():
                    self._worker.forget(attempt)
                else:
                    self._worker.leave_aside(attempt, task)
                raise
        if not task.done():
            self._worker.leave_aside(attempt, task)
            self.has_notices = self._inbox.has_notices(self._pool)
            return self._clock.now()
        if attempt.refused:
            return self._clock.now()
        try:
            result: CallResult = task.result()
        except BaseException as error:  # noqa: BLE001 - whatever it is, it came out of the attempt
            result = CallResult(error=error)
        try:
            # What an attempt has put there itself, progress or a wish to cancel, comes before its outcome.
            self.has_notices = self._inbox.has_notices(self._pool)
            if self.has_notices or attempt.task_function.reports_progress:
                await self._worker.conclude_aside(attempt, result)
                self.has_notices = True
                return self._clock.now()
            event = await self._worker.outcome_of(attempt, result)
        except Exception as error:  # noqa: BLE001 - a store's or a codec's; without an outcome the run would hang
            self._worker.report_orphan(attempt, failure_of(error), error)
            return self._clock.now()
        except BaseException:
            self._worker.forget(attempt)
            raise
        if event is None:
            return self._clock.now()
        self._outcome = attempt.key, event
        self._apply(run, event)
        return event.at

    async def leave(self) -> None:
        """Execute nothing more.

        Whoever drives next begins what has not begun, and hears what came of the last attempt.
        """
        starting, outcome = self._starting, self._outcome
        self._starting = self._outcome = None
        self._queue.clear()
        if starting is not None:
            self._worker.forget(starting[1])
        if not self._journal:
            return
        if outcome is not None:
            await self._worker.hand_over(*outcome)
        if starting is not None:
            await self._take_back(*starting)

    async def _take_back(self, run: ActiveRun, attempt: Attempt) -> None:
        """Say that an attempt has not begun, where its start stands in the log although the write has failed."""
        cell, number = attempt.envelope.cell, attempt.envelope.attempt
        mine = cell, number, self._worker.id
        for event in await self._log.read(run.id):
            if type(event) is ev.CellStarted and (event.cell, event.attempt, event.worker) == mine:
                failed = do_again(cell, number, _NOT_BEGUN, _NOT_BEGUN.message, self._clock.now())
                await self._worker.hand_over(attempt.key, failed)

    def _start_next(self) -> tuple[ActiveRun, Attempt] | None:
        while self._queue:
            run, envelope, function = self._queue.popleft()
            # A run that has ended begins no more attempts, as it revokes those that go by message.
            machine, cell = run.machine, envelope.cell
            if (machine.status is _RUNNING or machine.wants(cell)) and run.awaits(cell, envelope.attempt):
                attempt = self._worker.take_up(envelope, function)
                self._starting = run, attempt
                self._apply(
                    run,
                    ev.CellStarted(
                        cell=envelope.cell,
                        attempt=envelope.attempt,
                        worker=self._worker.id,
                        at=attempt.started_at,
                    ),
                )
                return self._starting
        return None


class UncertainStarts:
    """Attempts that have begun by the log, and perhaps not in fact, because their driver was replaced in between.

    :param worker: The worker of this event loop, which the previous driver had as well; ``None`` where there is none.
    """

    def __init__(self, worker: Worker | None) -> None:
        self._worker = worker
        self._attempts: list[tuple[ActiveRun, str, int]] = []

    def __len__(self) -> int:
        return len(self._attempts)

    def note(self, run: ActiveRun) -> None:
        """Note the attempts of a run that the worker should hold and does not."""
        worker = self._worker
        if worker is None:
            return
        for cell in run.machine.cells.in_flight.values():
            if cell.worker == worker.id and not worker.holds(run.id, cell.path, cell.attempt):
                self._attempts.append((run, cell.path, cell.attempt))

    def settle(self, now: float) -> Iterator[tuple[ActiveRun, ev.AttemptFailed]]:
        """Yield the events that retry the attempts that had not begun; the others have reported by now.

        :param now: Seconds since the epoch.
        """
        attempts, self._attempts = self._attempts, []
        for run, cell, attempt in attempts:
            if run.awaits(cell, attempt):
                yield run, do_again(cell, attempt, _NOT_BEGUN, _NOT_BEGUN.message, now)
