"""Lending: while a task waits for another run, others get what it occupies, so that nested runs cannot starve.

A task that waits for a run holds a place that the cells of that run may need. So the place is lent: the driver counts
neither the cell nor its core, and places the cells of the other run first. When the wait is over the task goes on at
once, even where its place is taken; then a little more than usual runs for a while.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from taskiq_flow._runtime import Runtime
from taskiq_flow.errors import RunError
from taskiq_flow.machine.events import PlaceLent, PlaceTakenBack
from taskiq_flow.messages.envelope import Envelope
from taskiq_flow.store import Notice
from taskiq_flow.values.failures import text_of
from taskiq_flow.worker.execution import CURRENT
from taskiq_flow.worker.seats import find_receiver
from taskiq_flow.worker.threads import ThreadSeats

if TYPE_CHECKING:
    from taskiq_flow.worker.attempts import Attempt

__all__ = ["Lending", "ReceiverPlace", "find_nesting", "lend_place", "refuse_own_run"]

logger = logging.getLogger("taskiq_flow")


class ReceiverPlace:
    """The place of a message among those that taskiq's receiver executes at once (``--max-async-tasks``).

    :param turns: The receiver's semaphores, which it releases when the message is done with.
    """

    def __init__(self, *turns: asyncio.Semaphore) -> None:
        self._turns = turns
        self._loop = asyncio.get_running_loop()
        self._taking: set[asyncio.Task[bool]] = set()

    @classmethod
    def find(cls) -> ReceiverPlace | None:
        """Return the place of the message that the running task executes; ``None`` where nobody counts them."""
        receiver = find_receiver()
        if receiver is None or receiver.sem is None:
            return None
        # Those that it has taken from the broker are bounded as well.
        return cls(receiver.sem, receiver.sem_prefetch)

    def lend(self) -> None:
        """Let the receiver execute another message."""
        for turn in self._turns:
            self._loop.call_soon_threadsafe(turn.release)

    def take_back(self) -> None:
        """Let it execute one less again, as soon as one is done with."""
        self._loop.call_soon_threadsafe(self._take_later)

    def _take_later(self) -> None:
        for turn in self._turns:
            task = self._loop.create_task(turn.acquire())
            self._taking.add(task)
            task.add_done_callback(self._taking.discard)


class Lending:
    """Lends the places of the attempts of one worker.

    :param runtime: The parts of the flow.
    :param threads: The threads of the worker.
    """

    def __init__(self, runtime: Runtime, threads: ThreadSeats) -> None:
        self.runtime = runtime
        self._threads = threads
        self._lock = threading.Lock()

    async def lend(self, attempt: Attempt, run: str) -> None:
        """Lend the place of an attempt whose task waits for a run, unless it is lent already."""
        with self._lock:
            attempt.waits += 1
            first = attempt.waits == 1
        if first:
            if not attempt.task_function.is_async:
                self._threads.lend()
            if attempt.receiver_place is not None:
                attempt.receiver_place.lend()
            envelope, now = attempt.envelope, self.runtime.clock.now()
            await self._tell(
                attempt, PlaceLent(cell=envelope.cell, attempt=envelope.attempt, run=run, at=now)
            )

    async def take_back(self, attempt: Attempt) -> None:
        """Take the place of an attempt back, once its task waits for nothing more."""
        with self._lock:
            attempt.waits -= 1
            last = attempt.waits == 0
        if last:
            if not attempt.task_function.is_async:
                self._threads.take_back()
            if attempt.receiver_place is not None:
                attempt.receiver_place.take_back()
            envelope, now = attempt.envelope, self.runtime.clock.now()
            await self._tell(attempt, PlaceTakenBack(cell=envelope.cell, attempt=envelope.attempt, at=now))

    async def _tell(self, attempt: Attempt, event: PlaceLent | PlaceTakenBack) -> None:
        envelope = attempt.envelope
        try:
            await self.runtime.store.inbox.put(envelope.pool, [Notice(run=envelope.run, event=event)])
        except Exception as error:  # noqa: BLE001 - stores raise what their drivers raise; the task waits all the same
            logger.warning(
                "the place of cell %r of run %s is not lent: %s", envelope.cell, envelope.run, text_of(error)
            )


def find_nesting() -> int:
    """Return how many tasks are around a run that is started here."""
    envelope: Envelope | None = getattr(CURRENT.get(), "envelope", None)
    return 0 if envelope is None else envelope.nesting + 1


def refuse_own_run(run: str) -> None:
    """Refuse to wait for a run within one of its own cells.

    :raises RunError: the run that is waited for cannot end before the cell that waits.
    """
    envelope: Envelope | None = getattr(CURRENT.get(), "envelope", None)
    if envelope is not None and envelope.run == run:
        raise RunError(
            f"cell {envelope.cell!r} waits for its own run {run}, which cannot end before the cell; give a timeout, "
            "or wait outside of the run"
        )


@asynccontextmanager
async def lend_place(runtime: Runtime, run: str) -> AsyncIterator[None]:
    """Lend the place of the attempt that waits here for a run of its own flow; elsewhere without effect.

    :param runtime: The parts of the run's flow.
    :param run: The run's id.
    :raises RunNotFound: there is no such run.
    """
    attempt = CURRENT.get()
    lending: Lending | None = getattr(attempt, "lending", None)
    if (
        lending is None
        or lending.runtime is not runtime
        or (await runtime.store.runs.get(run)).outcome is not None
    ):
        yield
        return
    await lending.lend(attempt, run)  # type: ignore[arg-type]
    try:
        yield
    finally:
        await lending.take_back(attempt)  # type: ignore[arg-type]
