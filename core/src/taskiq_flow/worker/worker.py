"""The worker: claims attempts, lets taskiq run the task, and puts the outcome into the inbox."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Any

from taskiq.exceptions import NoResultError
from taskiq.message import TaskiqMessage
from taskiq.result import TaskiqResult

from taskiq_flow._background import backoffs, keep_running
from taskiq_flow._logs import open_log
from taskiq_flow._runtime import Runtime
from taskiq_flow.errors import PayloadError, RunNotFound, StoreError
from taskiq_flow.machine import events as ev
from taskiq_flow.messages.envelope import ENVELOPE, Envelope, address_of
from taskiq_flow.payloads import Failure, FailureKind, Payload
from taskiq_flow.store import Notice
from taskiq_flow.tasks.labels import RETRY_ON_ERROR
from taskiq_flow.values.failures import failure_of, text_of
from taskiq_flow.worker.adoption import Adoption
from taskiq_flow.worker.attempts import Attempt, AttemptKey
from taskiq_flow.worker.functions import TaskFunction, task_function_of
from taskiq_flow.worker.lending import Lending, ReceiverPlace
from taskiq_flow.worker.outcomes import CallResult, failure_event, outcome_of
from taskiq_flow.worker.preparation import Preparation
from taskiq_flow.worker.processes import Processes
from taskiq_flow.worker.requeueing import CellLabels
from taskiq_flow.worker.seating import Seating
from taskiq_flow.worker.standalone import StandaloneMessage

__all__ = ["Worker"]

logger = open_log("taskiq_flow")
# What is executed without taskiq's receiver is told where the receiver tells it.
receiver_logger = open_log("taskiq.receiver.receiver")

# This is how taskiq is told not to store a result. Making one anew is a good part of what a cell costs.
_NO_RESULT = NoResultError()

_MOST_UNKNOWN_RUNS = 1_000


class Worker:
    """What happens around a task's function in an event loop of a worker process.

    :param runtime: The parts of the flow.
    :param name: Its id, unique among all workers of the store.
    :param processes: Where synchronous tasks run; ``None`` for threads.
    :param wake: Sees to it that somebody drives; called with the run that a task has become which was sent on its own.

    :ivar revoked: Whether what it held was given to others, because its event loop did not run.
    """

    def __init__(
        self,
        runtime: Runtime,
        name: str,
        *,
        processes: Processes | None = None,
        wake: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        self.id = name
        self.revoked = False
        self.broker = runtime.broker
        self._pool = runtime.pool
        self._store = runtime.store
        self._codec = runtime.codec
        self._checks = runtime.claim_checks
        self._policies = runtime.policies
        self._clock = runtime.clock
        self.preparation = Preparation(runtime)
        self._adoption = Adoption(runtime, name, wake)
        self.seating = Seating(runtime.broker, processes, runtime.codec)
        self._lending = Lending(runtime, self.seating.threads)
        self._running: dict[AttemptKey, Attempt] = {}
        # Those that are about to begin, or are over, as long as the store has not answered.
        self._unsettled: set[AttemptKey] = set()
        self._threads: set[AttemptKey] = set()
        self._unknown_runs: set[str] = set()
        self._listens = False
        self._followups: set[asyncio.Task[None]] = set()
        # With a broker that executes in place, the sender hears of what goes wrong around an attempt.
        self._in_place = runtime.traits.in_place

    async def begin(self, message: TaskiqMessage) -> None:
        """Prepare to execute the attempt that a message is about; taskiq calls the task's function next."""
        wire = message.kwargs.pop(ENVELOPE)
        task = self.broker.find_task(message.task_name)
        assert task is not None, "taskiq drops messages of unknown tasks before it asks middlewares"
        try:
            envelope = Envelope.from_wire(wire)
        except PayloadError:
            logger.exception("message %s of task %r is dropped", message.task_id, message.task_name)
            envelope = Envelope("", "", "", 0)
        message.labels[RETRY_ON_ERROR] = False
        attempt = Attempt(envelope, task_function_of(task))
        if self.broker.is_worker_process:
            attempt.receiver_place = ReceiverPlace.find()
        if attempt.task_function.injected:
            message.labels = CellLabels(message.labels, attempt)
        await self._begin(attempt)

    async def _begin(self, attempt: Attempt) -> None:
        attempt.enter()
        attempt.lending = self._lending
        if not attempt.task_function.is_async:
            await self._take_seat(attempt)
        if await self._claim(attempt):
            await self.preparation.get_ready(attempt)

    async def conclude(self, attempt: Attempt, result: TaskiqResult[Any]) -> None:
        """Put what came of an attempt into the inbox; its result is not for the result backend."""
        await self._conclude(attempt, result)
        result.error = _NO_RESULT

    async def adopt(
        self, begun: StandaloneMessage, message: TaskiqMessage, result: TaskiqResult[Any]
    ) -> None:
        """Make a run of a message that was sent on its own and has failed, where a policy wants a retry."""
        if result.error is not None and await self._adoption.adopt(begun, message, result.error):
            result.error = _NO_RESULT

    async def _conclude(self, attempt: Attempt, result: TaskiqResult[Any] | CallResult) -> None:
        attempt.leave()
        if attempt.refused:
            return
        event = await self.outcome_of(attempt, result)
        if event is None:
            return
        self._unsettled.add(attempt.key)
        await self._report(attempt.key, attempt.envelope.pool, self._notices_of(attempt, event))

    async def _report(self, key: AttemptKey, pool: str, notices: list[Notice]) -> None:
        try:
            await self._store.inbox.put(pool, notices)
        except Exception:  # noqa: BLE001 - stores raise what their drivers raise; it is logged there
            await self._retry(pool, notices)
        finally:
            self._unsettled.discard(key)

    async def outcome_of(self, attempt: Attempt, result: TaskiqResult[Any] | CallResult) -> ev.Event | None:
        """Give what came of an attempt; ``None`` where everything goes down, so that its worker is lost."""
        if result.error is not None and await self._goes_down(attempt, result.error):
            return None
        attempt.seconds = attempt.seconds or self._clock.monotonic() - attempt.began
        event = outcome_of(attempt, result, self._codec, self._policies, self._clock.now())
        threshold = self._checks.threshold
        if type(event) is ev.CellSucceeded and threshold is not None:
            for output in event.outputs:
                if type(output) is Payload and len(output.data) > threshold:
                    event = await self._lighten(attempt, event)
                    break
        if not attempt.aside:
            # What is executed in the driver's own hands reports to nobody else.
            attempt.concluded = True
            self._running.pop(attempt.key, None)
        return event

    # Attempts that no message was sent about

    def take_up(self, envelope: Envelope, function: TaskFunction) -> Attempt:
        """Begin an attempt whose start its driver, in the same event loop, writes into the log."""
        attempt = Attempt(envelope, function)
        attempt.take()
        attempt.lending = self._lending
        attempt.started_at, attempt.began = self._clock.now(), self._clock.monotonic()
        self._running[attempt.key] = attempt
        return attempt

    def forget(self, attempt: Attempt) -> None:
        """Forget an attempt that was taken up and not begun."""
        self._running.pop(attempt.key, None)

    def holds(self, run: str, cell: str, attempt: int) -> bool:
        """Whether an attempt is being executed here, or is about to be, or was and is about to be reported."""
        key = (run, cell, attempt)
        return key in self._running or key in self._unsettled

    async def run(self, attempt: Attempt) -> CallResult:
        """Execute an attempt that was taken up, in a task of its own; if that has to wait, report what came of it."""
        attempt.enter()
        if self.revoked:
            # The event loop has stood still between the start in the log and this, and another one does it again.
            attempt.refused = attempt.skip = True
            self.forget(attempt)
        arguments = self.preparation.read(attempt.task_function, attempt.envelope)
        if arguments is None:
            await self.preparation.get_ready(attempt)
        else:
            attempt.arguments = arguments
        result = await self._call(attempt)
        if attempt.aside:
            await self._conclude(attempt, result)
        return result

    def leave_aside(self, attempt: Attempt, task: asyncio.Task[Any]) -> None:
        """Let an attempt that waits for something go on by itself."""
        attempt.aside = True
        attempt.let_go = self._let_go
        task.add_done_callback(functools.partial(self._look_for_orphan, attempt))
        self.accompany(task)

    async def conclude_aside(self, attempt: Attempt, result: CallResult) -> None:
        """Report what came of an attempt behind what it has reported itself."""
        attempt.aside = True
        await self._conclude(attempt, result)

    async def hand_over(self, key: AttemptKey, event: ev.Event) -> None:
        """Report what came of an attempt whose driver has ended before it could write that."""
        notice = Notice(run=key[0], event=event)
        try:
            await self._store.inbox.put(self._pool, [notice])
        except Exception:  # noqa: BLE001 - as above; whoever ends does not wait until the store is back
            self._follow_up(key, self._pool, notice)

    def accompany(self, task: asyncio.Task[Any]) -> None:
        """Let whoever waits for all that a broker executes wait for a task, too."""
        # taskiq's in-memory broker has no other way to be told.
        running: set[asyncio.Task[Any]] = getattr(self.broker, "_running_tasks", self._followups)
        running.add(task)
        task.add_done_callback(running.discard)

    async def execute(self, envelope: Envelope, function: TaskFunction) -> None:
        """Execute an attempt as if its message had come: wait for a slot, claim it, and report what came of it.

        :param envelope: What the message would have carried.
        """
        attempt = Attempt(envelope, function)
        attempt.take()
        attempt.aside = True
        await self._begin(attempt)
        await self._conclude(attempt, await self._call(attempt))

    async def _call(self, attempt: Attempt) -> CallResult:
        """Do what taskiq's receiver does for a task without dependencies and labels."""
        task_function, envelope, result = attempt.task_function, attempt.envelope, CallResult()
        if receiver_logger.isEnabledFor(logging.INFO):
            receiver_logger.info("Executing task %s with ID: %s", task_function.task, envelope.message_id)
        try:
            result.return_value = await attempt.run(task_function.function, (), {})
        except NoResultError as error:
            result.error = error
            receiver_logger.warning(
                "Task %s with id %s skipped setting result.", task_function.task, envelope.message_id
            )
        except BaseException as error:
            result.error = error
            receiver_logger.exception("Exception found while executing function.")
        return result

    @property
    def busy(self) -> bool:
        """Whether attempts of it have no outcome yet, or occupy threads."""
        return bool(self._running or self._threads)

    async def listen(self) -> None:
        """Read notices about attempts that are not wanted any more, for ever; survives whatever the store raises."""
        self._listens = True
        try:
            await keep_running("reading notices", self._read_notices, self._clock)
        finally:
            self._listens = False

    async def _read_notices(self) -> None:
        address = address_of(self.id)
        while True:
            taken = await self._store.inbox.take(address)
            for _, notice in taken:
                if isinstance(notice.event, ev.StopRequested):
                    await self._stop(notice.run, notice.event)
            if taken:
                await self._store.inbox.acknowledge(address, [token for token, _ in taken])
            else:
                await self._store.inbox.wait(address, None)

    def shutdown(self) -> None:
        """End the threads that this worker has started."""
        self.seating.shutdown()

    # The way in

    async def _take_seat(self, attempt: Attempt) -> None:
        attempt.seat = await self.seating.take(attempt.task_function, attempt.envelope.nesting)
        attempt.bring_here = self._bring_here

    async def _bring_here(self, attempt: Attempt, reason: str) -> None:
        attempt.give_back_seat()
        self.seating.keep_here(attempt.task_function, reason)
        attempt.seat = await self.seating.threads.take(attempt.envelope.nesting)
        self.preparation.prepare_here(attempt)

    async def _claim(self, attempt: Attempt) -> bool:
        envelope = attempt.envelope
        if self.holds(*attempt.key):
            # It was sent again, by a driver that did not know yet that it has come.
            attempt.refused = attempt.skip = True
            attempt.give_back_seat()
            return False
        attempt.started_at, attempt.began = self._clock.now(), self._clock.monotonic()
        event = ev.CellStarted(
            cell=envelope.cell, attempt=envelope.attempt, worker=self.id, at=attempt.started_at
        )
        claimed = False
        notice = Notice(run=envelope.run, event=event)
        self._unsettled.add(attempt.key)
        try:
            try:
                claimed = await self._store.inbox.claim(envelope.pool, notice, worker=self.id)
            except Exception:  # noqa: BLE001 - stores raise what their drivers raise; it is logged there
                claimed = await self._claim_again(attempt, notice)
        finally:
            self._unsettled.discard(attempt.key)
            if not claimed:
                attempt.refused = attempt.skip = True
                attempt.give_back_seat()
        if not claimed:
            await self._warn_of_unknown_run(envelope)
        if claimed:
            self._running[attempt.key] = attempt
            attempt.let_go = self._let_go
            current = None if self._in_place and not attempt.aside else asyncio.current_task()
            if current is not None:
                current.add_done_callback(functools.partial(self._look_for_orphan, attempt))
        return claimed

    async def _warn_of_unknown_run(self, envelope: Envelope) -> None:
        """Say once that a message is about a run that this worker's store does not have."""
        try:
            await self._store.runs.get(envelope.run)
        except RunNotFound:
            if envelope.run not in self._unknown_runs and len(self._unknown_runs) < _MOST_UNKNOWN_RUNS:
                self._unknown_runs.add(envelope.run)
                logger.warning(
                    "a message for cell %r of run %s is dropped, because the run is not in the store of this worker; "
                    "either it was deleted, or whoever started it uses another store",
                    envelope.cell,
                    envelope.run,
                )
        except Exception as error:  # noqa: BLE001 - stores raise what their drivers raise
            logger.warning("cannot tell whether run %s is in the store: %s", envelope.run, text_of(error))

    async def _claim_again(self, attempt: Attempt, notice: Notice) -> bool:
        """Claim an attempt after the store has failed to say whether it is ours."""
        envelope = attempt.envelope
        for seconds in backoffs():
            logger.warning("cannot claim cell %r; trying again in %g s", envelope.cell, seconds)
            await self._clock.sleep(seconds)
            try:
                if await self._store.inbox.claim(envelope.pool, notice, worker=self.id):
                    return True
            except Exception:
                logger.exception("the store failed to claim cell %r", envelope.cell)
                continue
            break
        # Most likely the first claim was done and only the answer got lost. Nobody would ever execute the attempt.
        failure = Failure(
            kind=FailureKind.WORKER_LOST, message="the store failed while the worker claimed the attempt"
        )
        event = failure_event(attempt, failure, None, self._policies, self._clock.now())
        await self._retry(envelope.pool, [Notice(run=envelope.run, event=event)])
        return False

    # The way out

    async def _lighten(self, attempt: Attempt, event: ev.CellSucceeded) -> ev.Event:
        """Keep large outputs as blobs; where that cannot be done, the attempt has failed."""
        envelope = attempt.envelope
        try:
            return await self._checks.check_in_outputs(envelope.run, event, envelope.outputs)
        except StoreError as error:
            failure, now = failure_of(error), self._clock.now()
            return failure_event(attempt, failure, error, self._policies, now)

    def _notices_of(self, attempt: Attempt, event: ev.Event) -> list[Notice]:
        """Let go of an attempt that is over, and give what its driver is to hear."""
        attempt.concluded = True
        self._running.pop(attempt.key, None)
        envelope = attempt.envelope
        notices = [Notice(run=envelope.run, event=event)]
        if attempt.thread is not None:
            self._threads.add(attempt.key)
            done = functools.partial(self._thread_done, asyncio.get_running_loop(), attempt)
            attempt.thread.add_done_callback(done)
        else:
            attempt.give_back_seat()
            if attempt.stopped:
                notices.append(self._notice_of_free_slot(attempt))
        return notices

    async def _retry(self, pool: str, notices: list[Notice]) -> None:
        """Put notices however long the store is away: nobody else knows what came of an attempt."""
        for seconds in backoffs():
            try:
                await self._store.inbox.put(pool, notices)
                return
            except Exception:
                logger.exception("cannot report what came of an attempt; trying again in %g s", seconds)
                await self._clock.sleep(seconds)

    def _notice_of_free_slot(self, attempt: Attempt) -> Notice:
        envelope = attempt.envelope
        event = ev.SlotFreed(cell=envelope.cell, attempt=envelope.attempt, at=self._clock.now())
        return Notice(run=envelope.run, event=event)

    def _thread_done(self, loop: asyncio.AbstractEventLoop, attempt: Attempt, _: Future[Any]) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._thread_ended, attempt)

    def _thread_ended(self, attempt: Attempt) -> None:
        self._threads.discard(attempt.key)
        attempt.give_back_seat()
        self._follow_up(attempt.key, attempt.envelope.pool, self._notice_of_free_slot(attempt))

    async def _goes_down(self, attempt: Attempt, error: BaseException | None) -> bool:
        """Whether an attempt was cancelled because everything is: then it has no outcome, and its worker is lost."""
        if not isinstance(error, asyncio.CancelledError) or attempt.stopped:
            return False
        # The one who listens has been cancelled as well, and finds that out within this turn of the event loop.
        await asyncio.sleep(0)
        attempt.concluded = not self._listens
        return attempt.concluded

    def _look_for_orphan(self, attempt: Attempt, task: asyncio.Task[Any]) -> None:
        """Something around the function failed, and taskiq went no further with the message."""
        if attempt.concluded:
            return
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.report_orphan(attempt, failure_of(error), error)
            return
        attempt.give_back_seat()
        # Where everything is cancelled, the one who listens finds that out within this turn of the event loop.
        asyncio.get_running_loop().call_soon(self._report_stopped, attempt)

    def _report_stopped(self, attempt: Attempt) -> None:
        # In an event loop that goes down it stays among those that run, and is lost with this worker.
        if self._listens:
            message = "the worker stopped before the attempt had an outcome"
            self.report_orphan(attempt, Failure(kind=FailureKind.CANCELLED, message=message), None)

    def report_orphan(self, attempt: Attempt, failure: Failure, error: BaseException | None) -> None:
        """Let an attempt fail that nobody else will report about.

        :param failure: What went wrong.
        :param error: The exception itself, where there is one.
        """
        self._let_go(attempt)
        event = failure_event(attempt, failure, error, self._policies, self._clock.now())
        notice = Notice(run=attempt.envelope.run, event=event)
        self._follow_up(attempt.key, attempt.envelope.pool, notice)

    def _let_go(self, attempt: Attempt) -> None:
        attempt.concluded = True
        self._running.pop(attempt.key, None)
        attempt.give_back_seat()

    def _follow_up(self, key: AttemptKey, pool: str, notice: Notice) -> None:
        loop = asyncio.get_running_loop()
        if loop.is_closed():
            return
        self._unsettled.add(key)
        task = loop.create_task(self._report(key, pool, [notice]))
        self._followups.add(task)
        task.add_done_callback(self._followups.discard)

    async def _stop(self, run: str, wish: ev.StopRequested) -> None:
        key = (run, wish.cell, wish.attempt)
        attempt = self._running.get(key)
        if attempt is not None:
            attempt.stop()
        elif key not in self._threads:
            # It ended by itself meanwhile; the driver may count its slot as occupied until it hears of that.
            event = ev.SlotFreed(cell=wish.cell, attempt=wish.attempt, at=self._clock.now())
            await self._store.inbox.put(self._pool, [Notice(run=run, event=event)])
