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
    :param here: The driver's process and event loop.
    :param worker: The worker of this event loop.
    :param apply: Callback that applies an event to the machine of a run and adds it to the journal.
    :param write: Callback that writes the journal.

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
        # Attempts that had to wait for something report here.
        self._inbox = runtime.store.inbox
        self._pool = runtime.pool
        self._clock = runtime.clock
        self._apply = apply
        self._write = write
        self._queue: deque[tuple[ActiveRun, Envelope, TaskFunction]] = deque()
        # The attempt whose start is applied, and stands in the log once the next write has succeeded.
        self._starting: tuple[ActiveRun, Attempt] | None = None

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
        # Nothing begins before this succeeds; after an error the next call tries again.
        await self._write()
        self._starting = None
        run, attempt = starting
        task = start_task(self._worker.run(attempt), self._here.context_of(run.id))
        if not _EAGER:
            await asyncio.sleep(0)
        # Notices of the attempt itself, progress or the request to cancel its run, come before its outcome.
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
        """Begin no more attempts: the next driver begins those that have not begun."""
        self._queue.clear()
        if self._starting is not None:
            self._worker.forget(self._starting[1])
            self._starting = None

    def _start_next(self) -> tuple[ActiveRun, Attempt] | None:
        while self._queue:
            run, envelope, function = self._queue.popleft()
            # A run that has ended begins no more attempts, as it revokes those that go by message.
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
                reason = "its driver stopped before it began"
                failure = Failure(kind=FailureKind.WORKER_LOST, message=reason)
                yield run, do_again(cell, attempt, failure, reason, now)
