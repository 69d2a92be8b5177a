"""Messages for tasks that a worker does not have: taskiq drops them, so their runs would wait for ever."""

from __future__ import annotations

import asyncio
from functools import partial

from taskiq import AsyncBroker, BrokerMessage, TaskiqMessage
from taskiq.abc.formatter import TaskiqFormatter

from taskiq_flow._background import keep_running
from taskiq_flow.clock import Clock
from taskiq_flow.errors import PayloadError
from taskiq_flow.machine.events import AttemptFailed
from taskiq_flow.messages.envelope import ENVELOPE, Envelope
from taskiq_flow.payloads import Failure, FailureKind
from taskiq_flow.store import Notice, RunStore

__all__ = ["UnknownTaskFormatter"]


class UnknownTaskFormatter(TaskiqFormatter):
    """Reads messages with the broker's formatter, and fails the attempts whose task is unknown here.

    A formatter is the only place for that: taskiq drops such a message before any middleware sees it.

    :param worker: The id of the worker, for people.

    :ivar inner: The broker's own formatter.
    """

    def __init__(self, broker: AsyncBroker, *, worker: str, store: RunStore, clock: Clock) -> None:
        self.inner = broker.formatter
        self._broker = broker
        self._worker = worker
        self._store = store
        self._clock = clock
        self._refusing: set[asyncio.Task[None]] = set()

    @classmethod
    def install(cls, broker: AsyncBroker, *, worker: str, store: RunStore, clock: Clock) -> None:
        """Wrap a broker's formatter, unless it is wrapped already."""
        if not isinstance(broker.formatter, cls):
            broker.formatter = cls(broker, worker=worker, store=store, clock=clock)

    def dumps(self, message: TaskiqMessage) -> BrokerMessage:
        """Write a message."""
        return self.inner.dumps(message)

    def loads(self, message: bytes) -> TaskiqMessage:
        """Read a message."""
        found = self.inner.loads(message)
        wire = found.kwargs.get(ENVELOPE)
        if wire is not None and self._broker.find_task(found.task_name) is None:
            try:
                envelope = Envelope.from_wire(wire)
            except PayloadError:
                return found
            refusing = partial(self._refuse, envelope, found.task_name)
            task = asyncio.get_running_loop().create_task(
                keep_running(f"refusing cell {envelope.cell!r}", refusing, self._clock)
            )
            self._refusing.add(task)
            task.add_done_callback(self._refusing.discard)
        return found

    async def _refuse(self, envelope: Envelope, task: str) -> None:
        # Revoked, so that no worker begins the attempt. If one has claimed it, this message is a duplicate.
        if not await self._store.inbox.revoke(envelope.run, envelope.cell, envelope.attempt):
            return
        failure = Failure(
            kind=FailureKind.REJECTED,
            message=f"worker {self._worker} does not have task {task!r}, and reads a queue that its messages come to; "
            "import the module that has it where the worker starts, or let it discover the same packages as others",
        )
        event = AttemptFailed(
            cell=envelope.cell,
            attempt=envelope.attempt,
            failure=failure,
            reason="the worker that got the message does not have the task",
            at=self._clock.now(),
        )
        await self._store.inbox.put(envelope.pool, [Notice(run=envelope.run, event=event)])
