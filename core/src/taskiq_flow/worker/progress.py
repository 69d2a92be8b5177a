"""The ``progress_callback`` of a task."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from concurrent.futures import wait
from typing import Any

from taskiq import AsyncBroker
from taskiq.depends.progress_tracker import TaskProgress, TaskState

from taskiq_flow._logs import open_log
from taskiq_flow.clock import Clock
from taskiq_flow.machine.events import CellProgressed
from taskiq_flow.messages.envelope import Envelope
from taskiq_flow.store import Notice, RunStore
from taskiq_flow.values.failures import text_of

__all__ = ["Progress", "reporter"]

logger = open_log("taskiq_flow")

_SECONDS_BETWEEN_LOOKS = 1.0


class Progress:
    """Reports how far a task has come.

    A coroutine awaits the call. In a thread the call returns when the report is made.

    :param report: Callback that reports a fraction.
    :param awaited: Whether the task runs in the event loop.
    """

    def __init__(self, report: Callable[[float], Awaitable[None]], *, awaited: bool) -> None:
        self._report = report
        self._awaited = awaited
        self._loop = asyncio.get_running_loop()

    def __call__(self, progress: float) -> Any:
        """Report a fraction between 0 and 1."""
        if self._awaited:
            return self._report(progress)
        self._report_from_thread(progress)
        return None

    def _report_from_thread(self, progress: float) -> None:
        """Report, unless the event loop is closed or stands still, for which the thread must not wait for ever."""
        if self._loop.is_closed():
            return
        answer = asyncio.run_coroutine_threadsafe(self._send(progress), self._loop)
        while not wait([answer], _SECONDS_BETWEEN_LOOKS).done:
            if not self._loop.is_running():
                answer.cancel()
                return
        answer.result()

    async def _send(self, progress: float) -> None:
        await self._report(progress)


def reporter(
    broker: AsyncBroker, store: RunStore, clock: Clock, task_id: str, envelope: Envelope | None
) -> Callable[[float], Awaitable[None]]:
    """Return a function that puts a task's progress where taskiq has it, and tells the driver of a cell's progress.

    What cannot be reported is logged, once for each attempt, and changes nothing for the task.

    :param task_id: The message's id.
    :param envelope: The attempt's envelope; ``None`` for a task that was sent on its own.
    """
    told = False

    async def report(progress: float) -> None:
        nonlocal told
        try:
            await put(_read_fraction(progress))
        except Exception as error:  # noqa: BLE001 - a store or a result backend may raise anything
            if not told:
                told = True
                logger.warning("the progress of task %s is not reported: %s", task_id, text_of(error))

    async def put(progress: float) -> None:
        state: TaskProgress[float] = TaskProgress(state=TaskState.STARTED, meta=progress)
        await broker.result_backend.set_progress(task_id, state)
        if envelope is not None:
            event = CellProgressed(
                cell=envelope.cell, attempt=envelope.attempt, progress=progress, at=clock.now()
            )
            await store.inbox.put(envelope.pool, [Notice(run=envelope.run, event=event)])

    return report


def _read_fraction(progress: object) -> float:
    """Return a fraction that can be stored.

    :raises ValueError: it is no finite number.
    """
    try:
        fraction = float(progress)  # type: ignore[arg-type]  # whatever a task hands over
        found = str(fraction)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # noqa: BLE001 - the value's own code may raise anything
        fraction, found = math.nan, f"a {type(progress).__qualname__}"
    if not math.isfinite(fraction):
        raise ValueError(f"expected a number from 0 to 1, found {found}")
    return fraction
