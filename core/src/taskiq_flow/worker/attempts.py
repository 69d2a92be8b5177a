"""An attempt of a cell, as a worker executes it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from typing import Any

from taskiq_flow.messages.envelope import Envelope
from taskiq_flow.payloads import Failure, FailureKind, Payload
from taskiq_flow.values.failures import revive
from taskiq_flow.worker.execution import Execution
from taskiq_flow.worker.functions import TaskFunction
from taskiq_flow.worker.jobs import Job, JobResult
from taskiq_flow.worker.processes import Processes, ProcessLost

__all__ = ["Attempt", "AttemptKey"]

AttemptKey = tuple[str, str, int]
"""Run, cell and attempt."""


class Attempt(Execution):
    """An attempt of a cell.

    :param envelope: What the message carried.
    :param task_function: The task's function.
    :param executor: Where a synchronous function runs, unless there is a job for a process.

    :ivar key: What tells this attempt from all others.
    :ivar refused: Whether another worker has claimed the attempt.
    :ivar started_at: When it was claimed, in seconds since the epoch.
    :ivar job: The attempt as a process gets it, where it is to run in one.
    :ivar processes: Those processes.
    :ivar outputs: What a process gave, encoded.
    :ivar failure: What is known to have gone wrong before or besides what the function raises.
    :ivar seconds: How long the function ran, where a process has measured it.
    :ivar slot: The slot that it occupies, where it is synchronous.
    :ivar concluded: Whether the outcome was put into the inbox.
    :ivar aside: Whether it goes on as a task beside its driver, and reports by notice.
    :ivar let_go: Makes the worker forget it.
    """

    refused = False
    started_at = 0.0
    job: Job | None = None
    processes: Processes | None = None
    outputs: tuple[Payload, ...] | None = None
    failure: Failure | None = None
    seconds = 0.0
    slot: asyncio.Semaphore | None = None
    concluded = False
    aside = False
    let_go: Callable[[Attempt], None] | None = None

    def __init__(self, envelope: Envelope, task_function: TaskFunction, executor: Executor) -> None:
        self.executor = executor
        self.envelope = envelope
        self.task_function = task_function
        self.key: AttemptKey = (envelope.run, envelope.cell, envelope.attempt)

    def reject(self, failure: Failure) -> None:
        """Do not call the function; this is what went wrong."""
        self.failure = failure
        self.skip = True

    def give_back_slot(self) -> None:
        """Let another synchronous task begin."""
        if self.slot is not None:
            self.slot.release()
            self.slot = None

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
        if self.job is None or self.processes is None:
            return super().call(function, args, kwargs)
        return self._call_in_process(self.job, self.processes)

    async def _call_in_process(self, job: Job, processes: Processes) -> None:
        try:
            result: JobResult = await self.wait_for(processes.submit(job))
        except ProcessLost as lost:
            self.failure = Failure(kind=FailureKind.WORKER_LOST, message=str(lost))
            raise
        self.seconds = result.seconds
        if isinstance(result.outcome, Failure):
            self.failure = result.outcome
            envelope = self.envelope
            raise revive(envelope.cell, envelope.attempt, result.outcome, envelope.run, result.attributes)
        self.outputs = result.outcome
