"""An attempt of a cell, as a worker executes it."""

from __future__ import annotations

import pickle
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from attrs import evolve

from taskiq_flow.errors import FlowError
from taskiq_flow.messages.envelope import Envelope
from taskiq_flow.payloads import Failure, FailureKind, Payload
from taskiq_flow.values.failures import revive
from taskiq_flow.worker.execution import Execution
from taskiq_flow.worker.functions import TaskFunction
from taskiq_flow.worker.jobs import Job, JobResult
from taskiq_flow.worker.lending import Lending, ReceiverPlace
from taskiq_flow.worker.process import ProcessLost
from taskiq_flow.worker.processes import ProcessSeat

__all__ = ["Attempt", "AttemptKey"]

AttemptKey = tuple[str, str, int]
"""Run, cell and attempt."""


class Attempt(Execution):
    """An attempt of a cell.

    :param envelope: What the message carried.
    :param task_function: The task's function.

    :ivar key: What tells this attempt from all others.
    :ivar refused: Whether another worker has claimed the attempt.
    :ivar started_at: When it was claimed, in seconds since the epoch.
    :ivar began: The same by the steady time of the clock.
    :ivar job: The attempt as a process gets it, where it is to run in one.
    :ivar report: Takes the progress that the process reports.
    :ivar bring_here: Takes a thread instead of the process, for the reason that it is given.
    :ivar outputs: What a process gave, encoded.
    :ivar failure: What is known to have gone wrong before or besides what the function raises.
    :ivar seconds: How long the function ran, where a process has measured it.
    :ivar concluded: Whether the outcome was put into the inbox.
    :ivar requeued: Whether the task has requeued its message.
    :ivar aside: Whether it goes on as a task beside its driver, and reports by notice.
    :ivar lending: Lends its place while it waits for a run; ``None`` where it has none to lend.
    :ivar receiver_place: Its place among the messages that taskiq's receiver executes at once.
    :ivar waits: For how many runs it waits.
    :ivar let_go: Makes the worker forget it.
    """

    refused = False
    started_at = 0.0
    began = 0.0
    job: Job | None = None
    report: Callable[[float], None] | None = None
    bring_here: Callable[[Attempt, str], Awaitable[None]] | None = None
    outputs: tuple[Payload, ...] | None = None
    failure: Failure | None = None
    seconds = 0.0
    concluded = False
    requeued = False
    aside = False
    lending: Lending | None = None
    receiver_place: ReceiverPlace | None = None
    waits = 0
    let_go: Callable[[Attempt], None] | None = None

    def __init__(self, envelope: Envelope, task_function: TaskFunction) -> None:
        self.envelope = envelope
        self.task_function = task_function
        self.key: AttemptKey = (envelope.run, envelope.cell, envelope.attempt)

    def reject(self, failure: Failure) -> None:
        """Do not call the function; this is what went wrong."""
        self.failure = failure
        self.skip = True

    def give_back_seat(self) -> None:
        """Let another synchronous task begin, where this one has not."""
        if self.seat is not None:
            self.seat.give_back()
            self.seat = None

    def abandon(self) -> None:
        """End without an outcome, which somebody else reports."""
        super().abandon()
        if self.let_go is not None and not self.concluded:
            self.let_go(self)

    def call(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Awaitable[Any]:
        """Call the function here, or let a process do so."""
        if self.task_function.is_async:
            awaitable: Awaitable[Any] = function(*args, **kwargs)
            return awaitable
        if self.job is None or not isinstance(self.seat, ProcessSeat):
            return super().call(function, args, kwargs)
        return self._call_in_process(self.job, self.seat, function, kwargs)

    async def _call_in_process(
        self, job: Job, seat: ProcessSeat, function: Callable[..., Any], given: Mapping[str, Any]
    ) -> Any:
        if seat.problem is not None:
            lost = not isinstance(seat.problem, FlowError)
            kind = FailureKind.WORKER_LOST if lost else FailureKind.REJECTED
            self.failure = Failure(kind=kind, message=str(seat.problem))
            raise seat.problem
        for name, value in given.items():
            problem = _refusal_of(value)
            if problem is not None and self.bring_here is not None:
                await self.bring_here(self, f"what is injected as {name!r} cannot be sent there: {problem}")
                return None if self.skip else await super().call(function, (), {**given, **self.arguments})
        result: JobResult
        result, error = await self.wait_for(seat.call_job(evolve(job, given=dict(given)), self.report))
        if isinstance(error, ProcessLost):
            self.failure = Failure(kind=FailureKind.WORKER_LOST, message=str(error))
        if error is not None:
            raise error
        self.seconds = result.seconds
        if isinstance(result.outcome, Failure):
            self.failure = result.outcome
            envelope = self.envelope
            raise revive(envelope.cell, envelope.attempt, result.outcome, envelope.run, result.attributes)
        self.outputs = result.outcome
        return None


def _refusal_of(value: Any) -> str | None:
    """Return why a value cannot be sent to a process; ``None`` where it can."""
    try:
        pickle.dumps(value)
    except Exception as error:  # noqa: BLE001 - the value's own code runs here
        return f"{type(error).__name__}: {error}"
    return None
