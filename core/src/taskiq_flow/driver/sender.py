"""Sends the messages of dispatched cells through the user's broker."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from attrs import define
from pydantic_core import to_json
from taskiq import BrokerMessage, TaskiqMessage
from taskiq.abc.middleware import TaskiqMiddleware
from taskiq.exceptions import UnknownTaskError
from taskiq.labels import prepare_label
from taskiq.utils import maybe_awaitable

from taskiq_flow._background import is_asked_to_stop
from taskiq_flow._logs import open_log
from taskiq_flow._runtime import Runtime
from taskiq_flow.driver.contexts import start_task
from taskiq_flow.driver.send_errors import may_pass
from taskiq_flow.driver.surroundings import Surroundings
from taskiq_flow.errors import UnschedulableError
from taskiq_flow.machine.events import AttemptFailed
from taskiq_flow.messages.envelope import ENVELOPE, Envelope
from taskiq_flow.payloads import FailureKind
from taskiq_flow.store import Notice
from taskiq_flow.tasks.labels import from_plain
from taskiq_flow.values.failures import failure_of
from taskiq_flow.worker.execution import CURRENT
from taskiq_flow.worker.ways import speaks_json

__all__ = ["Outgoing", "Sender"]

logger = open_log("taskiq_flow")

_CONCURRENCY = 64
_FIRST_BACKOFF = 0.1
# After so many, within two seconds, an error that is not about the way to the broker counts as its answer.
_MOST_REFUSALS = 5
_LONGEST_BACKOFF = 10.0


@define
class Outgoing:
    """A message to be sent.

    :param task: The name of the task.
    :param envelope: The envelope of the attempt.
    :param labels: The message's labels.
    :param wanted: Whether the attempt is still the current one; asked just before sending.
    :param taken: Whether the broker has taken it.
    """

    task: str
    envelope: Envelope
    labels: Mapping[str, Any]
    wanted: Callable[[str, int], bool]
    taken: bool = False


class Sender:
    """Sends messages in order, and again while the broker cannot be reached.

    An in-memory broker may execute a message while it is sent, so each message has a task of its own. With other
    brokers one task sends all.

    :param runtime: The parts of the flow.
    :param here: The driver's process and event loop, which has the contexts of runs.
    :param lacks: Callback that says whether no worker has a task. taskiq's receiver drops messages of unknown tasks, so
        such a message waits for a worker with the task. In memory the broker itself refuses it.
    """

    def __init__(self, runtime: Runtime, here: Surroundings, lacks: Callable[..., bool]) -> None:
        self._lacks = lacks
        self._here = here
        self._broker = runtime.broker
        self._store = runtime.store
        self._clock = runtime.clock
        self._in_memory = runtime.in_memory
        self._queue: deque[Outgoing] = deque()
        self._emptying: asyncio.Task[None] | None = None
        self._later: set[asyncio.Task[None]] = set()
        self._executing: set[asyncio.Task[None]] = set()
        self._failures: dict[tuple[str, str, int], int] = {}

    async def send(self, messages: Iterable[Outgoing]) -> None:
        """Send messages, now or later; never raises an error of the broker."""
        if self._in_memory:
            for message in messages:
                task = start_task(self._kick(message), self._here.context_of(message.envelope.run))
                if not task.done():
                    # The task may be executing the attempt, which outlives this driver.
                    self._executing.add(task)
                    task.add_done_callback(self._executing.discard)
            return
        self._queue.extend(messages)
        if self._emptying is None or self._emptying.done():
            self._emptying = asyncio.get_running_loop().create_task(self._empty())

    async def close(self) -> None:
        """Send nothing more."""
        self._queue.clear()
        tasks = [*self._later] if self._emptying is None else [*self._later, self._emptying]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._emptying = None

    async def _empty(self) -> None:
        while self._queue:
            batch = [self._queue.popleft() for _ in range(min(_CONCURRENCY, len(self._queue)))]
            await asyncio.gather(*(self._kick(message) for message in batch))

    async def _kick(self, outgoing: Outgoing) -> None:
        """Send a message. If that fails it is sent again later, and holds up no other message."""
        envelope = outgoing.envelope
        if not outgoing.wanted(envelope.cell, envelope.attempt):
            if self._failures:
                self._forget_failures(envelope)
            return
        try:
            try:
                if not self._in_memory and self._is_lacking(outgoing.task):
                    raise UnschedulableError(
                        f"no live worker of pool {envelope.pool!r} has task {outgoing.task!r}"
                    )
                await self._kick_uncancelled(outgoing)
            except UnknownTaskError as error:
                await self._report(envelope, error, FailureKind.REJECTED)
            except Exception as error:
                if not self._in_memory:
                    raise
                await self._report(envelope, error, FailureKind.EXCEPTION)
        except Exception as error:  # noqa: BLE001 - a broker's driver, a middleware or a store may raise anything
            if outgoing.taken and not self._in_memory:
                logger.warning("a middleware failed after cell %r was sent: %r", envelope.cell, error)
                self._forget_failures(envelope)
            else:
                await self._postpone(outgoing, error)
        else:
            if self._failures:
                self._forget_failures(envelope)

    def _forget_failures(self, envelope: Envelope) -> None:
        self._failures.pop((envelope.run, envelope.cell, envelope.attempt), None)

    async def _postpone(self, outgoing: Outgoing, error: Exception) -> None:
        envelope = outgoing.envelope
        key = (envelope.run, envelope.cell, envelope.attempt)
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        if failures >= _MOST_REFUSALS and not may_pass(error) and await self._give_up(outgoing, error):
            return
        seconds = min(_FIRST_BACKOFF * 2 ** min(failures - 1, 20), _LONGEST_BACKOFF)
        logger.warning("cannot send cell %r: %s; trying again in %g s", envelope.cell, error, seconds)
        context = self._here.context_of(envelope.run)
        self._keep(start_task(self._kick_later(outgoing, seconds), context))

    async def _give_up(self, outgoing: Outgoing, error: Exception) -> bool:
        """Fail the attempt of a message that the broker does not take; whether the store could be told."""
        envelope = outgoing.envelope
        try:
            await self._report(
                envelope, error, FailureKind.EXCEPTION, reason="the broker does not take its message"
            )
        except Exception:
            logger.exception("the store cannot be told that cell %r cannot be sent", envelope.cell)
            return False
        self._forget_failures(envelope)
        return True

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def _kick_later(self, outgoing: Outgoing, seconds: float) -> None:
        await self._clock.sleep(seconds)
        await self._kick(outgoing)

    async def _kick_uncancelled(self, outgoing: Outgoing) -> None:
        """Send a message; if that fails around an attempt that it has executed in place, abandon the attempt."""
        current = CURRENT.get()
        try:
            await self._kick_once(outgoing)
        except BaseException as error:
            cancelled = isinstance(error, asyncio.CancelledError)
            if cancelled and is_asked_to_stop():
                raise
            execution = CURRENT.get()
            if execution is not None and execution is not current:
                execution.abandon()
            if cancelled:
                raise RuntimeError("CancelledError came out of the broker or a middleware") from error
            raise

    async def _kick_once(self, outgoing: Outgoing) -> None:
        """Do the work of taskiq's kicker, without the parts that are for its callers."""
        envelope, broker = outgoing.envelope, self._broker
        labels: dict[str, Any] = {}
        types: dict[str, int] = {}
        for name, value in outgoing.labels.items():
            labels[name], types[name] = prepare_label(from_plain(value))
        fields: dict[str, Any] = {
            "task_id": envelope.message_id,
            "task_name": outgoing.task,
            "labels": labels,
            "labels_types": types,
            "args": [],
            "kwargs": {ENVELOPE: envelope.to_wire()},
        }
        middlewares = broker.middlewares
        sending = [each for each in middlewares if type(each).pre_send is not TaskiqMiddleware.pre_send]
        if not sending and speaks_json(broker):
            # The same message as taskiq would make, without the models in between.
            wire = BrokerMessage(
                task_id=fields["task_id"], task_name=outgoing.task, message=to_json(fields), labels=labels
            )
            await broker.kick(wire)
            outgoing.taken = True
            message: TaskiqMessage | None = None
        else:
            message = TaskiqMessage(**fields)
            for middleware in sending:
                message = await maybe_awaitable(middleware.pre_send(message))
            await broker.kick(broker.formatter.dumps(message))
            outgoing.taken = True
        for middleware in reversed(middlewares):
            if type(middleware).post_send is not TaskiqMiddleware.post_send:
                message = TaskiqMessage(**fields) if message is None else message
                await maybe_awaitable(middleware.post_send(message))

    def _is_lacking(self, task: str) -> bool:
        return self._lacks(task, here=self._broker.find_task(task) is not None)

    async def _report(
        self,
        envelope: Envelope,
        error: BaseException,
        kind: FailureKind,
        *,
        reason: str = "the message could not be executed",
    ) -> None:
        event = AttemptFailed(
            cell=envelope.cell,
            attempt=envelope.attempt,
            failure=failure_of(error, kind),
            reason=reason,
            at=self._clock.now(),
        )
        await self._store.inbox.put(envelope.pool, [Notice(run=envelope.run, event=event)])
