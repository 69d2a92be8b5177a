"""Cells that are executed where they are driven: no message and no notice, but the same events.

An embedded flow executes in this way what nobody else has to see: no other middleware, no formatter, no dependency of
taskiq's. What is promised stays so:

- ``CellDispatched`` and ``CellStarted`` are in the log before anything of the cell begins. That write is refused when
  the lease is lost, so it takes the place of a claim: of two drivers only one begins an attempt.
- An attempt that waits for something goes on as a task of the event loop beside all others, and reports by notice.
- Each attempt runs in a copy of the context of whoever started its run.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from taskiq_flow._runtime import Runtime
from taskiq_flow.driver.active import ActiveRun
from taskiq_flow.driver.contexts import start_task
from taskiq_flow.driver.decisions import do_again
from taskiq_flow.driver.surroundings import Surroundings
from taskiq_flow.machine import events as ev
from taskiq_flow.machine.transitions import RunStatus
from taskiq_flow.messages.envelope import Envelope
from taskiq_flow.payloads import Failure, FailureKind
from taskiq_flow.values.failures import failure_of
from taskiq_flow.worker.attempts import Attempt
from taskiq_flow.worker.functions import TaskFunction
from taskiq_flow.worker.outcomes import CallResult
from taskiq_flow.worker.worker import Worker

__all__ = ["InlineQueue", "UncertainStarts"]

_RUNNING = RunStatus.RUNNING
_EAGER = sys.version_info >= (3, 12)


class InlineQueue:
    """Dispatched cells that wait for their turn in the driver's own event loop.

    :param runtime: The parts of the flow.
    :param here: Gives the contexts of runs.
    :param worker: The worker of this event loop.
    :param apply: Gives an event to the machine of a run, and has it logged.
    :param write: Writes what is to be logged.

    :ivar has_notices: Whether there are notices to be read, as far as this process knows.
    """

    def __init__(
        self,
        runtime: Runtime,
        here: Surroundings,
        worker: Worker,
        apply: Callable[[ActiveRun, ev.Event], None],
        write: Callable[[], Coroutine[Any, Any, object]],
    ) -> None:
        self.has_notices = False
        self._here = here
        self._worker = worker
        # Where attempts report that have waited for something.
        self._inbox = runtime.store.inbox
        self._pool = runtime.pool
        self._clock = runtime.clock
        self._apply = apply
        self._write = write
        self._queue: deque[tuple[ActiveRun, Envelope, TaskFunction]] = deque()
        # Its start is applied, and stands in the log once the next write has succeeded.
        self._starting: tuple[ActiveRun, Attempt] | None = None

    def __bool__(self) -> bool:
        return bool(self._queue) or self._starting is not None

    def add(self, run: ActiveRun, envelope: Envelope, function: TaskFunction) -> None:
        """Let an attempt wait for its turn."""
        self._queue.append((run, envelope, function))

    async def execute_next(self) -> float:
        """Execute the attempt that is next, until it is over or waits for something.

        :returns: The time when it was, in seconds since the epoch.
        :raises LeaseLost: another driver has taken the pool over; nothing was executed.
        """
        starting = self._starting or self._start_next()
        if starting is None:
            return self._clock.now()
        # Until this succeeds nothing begins; what was raised here is tried again by the next call.
        await self._write()
        self._starting = None
        run, attempt = starting
        task = start_task(self._worker.run(attempt), self._here.context_of(run.id))
        if not _EAGER:
            await asyncio.sleep(0)
        # What an attempt has put there itself, progress or a wish to cancel, comes before its outcome.
        self.has_notices = self._inbox.has_notices(self._pool)
        if not task.done():
            self._worker.leave_aside(attempt, task)
            return self._clock.now()
        try:
            result: CallResult = task.result()
        except BaseException as error:  # noqa: BLE001 - whatever it is, it came out of the attempt
            result = CallResult(error=error)
        try:
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
        self._apply(run, event)
        return event.at

    def leave(self) -> None:
        """Execute nothing more: whoever drives next begins what has not begun."""
        self._queue.clear()
        if self._starting is not None:
            self._worker.forget(self._starting[1])
            self._starting = None

    def _start_next(self) -> tuple[ActiveRun, Attempt] | None:
        while self._queue:
            run, envelope, function = self._queue.popleft()
            # A run that ends revokes what has not begun, as it does with messages.
            if run.machine.status is _RUNNING and run.awaits(envelope.cell, envelope.attempt):
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
    """Attempts that the log says a worker has begun, and that it may not have: its driver was replaced in between.

    :param worker: The worker of this event loop, which the driver before this one had as well; ``None`` where there is
        none.
    """

    def __init__(self, worker: Worker | None) -> None:
        self._worker = worker
        self._attempts: list[tuple[ActiveRun, str, int]] = []

    def __len__(self) -> int:
        return len(self._attempts)

    def note(self, run: ActiveRun) -> None:
        """Keep in mind which attempts of a run the worker should have and has not."""
        worker = self._worker
        if worker is None:
            return
        for cell in run.machine.cells.in_flight.values():
            if cell.worker == worker.id and not worker.holds(run.id, cell.path, cell.attempt):
                self._attempts.append((run, cell.path, cell.attempt))

    def settle(self, now: float) -> Iterator[tuple[ActiveRun, ev.AttemptFailed]]:
        """Return the events by which the attempts are done again that had not begun; the others have reported by now.

        :param now: Seconds since the epoch.
        """
        attempts, self._attempts = self._attempts, []
        for run, cell, attempt in attempts:
            if run.awaits(cell, attempt):
                reason = "its driver stopped before it began"
                failure = Failure(kind=FailureKind.WORKER_LOST, message=reason)
                yield run, do_again(cell, attempt, failure, reason, now)
