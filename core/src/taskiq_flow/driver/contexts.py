"""Context variables for cells: those of the caller who started the run.

A task of an event loop inherits the context of its creator. A driver serves many callers, so without this module all
cells would see the user, the tenant and the trace of the first one.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections.abc import Coroutine, Generator
from types import coroutine
from typing import Any, TypeVar

from attrs import field, frozen

from taskiq_flow.worker.execution import CURRENT

__all__ = ["RunContexts", "create_clean_task", "run_in_context", "start_task"]

T = TypeVar("T")


@frozen(eq=False)
class RunContexts:
    """The contexts of runs that were started in this process, until they are over."""

    _started: dict[str, tuple[asyncio.AbstractEventLoop, contextvars.Context]] = field(
        factory=dict, init=False
    )

    def __len__(self) -> int:
        return len(self._started)

    def remember(self, run: str) -> None:
        """Keep the context of the caller, who is about to start a run."""
        context = contextvars.copy_context()
        if CURRENT in context:
            # A run that is started within a task must not take that task's execution for its own.
            context.run(CURRENT.set, None)
        self._started[run] = asyncio.get_running_loop(), context

    def copy_of(self, run: str) -> contextvars.Context:
        """Return a copy of a run's context, so that no attempt changes it for another.

        A run that was not started in the running event loop gets a clean one, as values in contexts often belong to a
        loop.
        """
        started = self._started.get(run)
        if started is None or started[0] is not asyncio.get_running_loop():
            return contextvars.Context()
        return started[1].copy()

    def forget(self, run: str) -> None:
        """Forget a run that is over; without effect when it is not known."""
        self._started.pop(run, None)

    def forget_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Forget the runs that were started in an event loop which has ended."""
        for run, (other, _) in [*self._started.items()]:
            if other is loop:
                self.forget(run)


def create_clean_task(action: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Create a task of the running event loop that inherits no context variables."""
    return contextvars.Context().run(asyncio.get_running_loop().create_task, action)


def start_task(action: Coroutine[Any, Any, T], context: contextvars.Context) -> asyncio.Task[T]:
    """Create a task of the running event loop in a context; from Python 3.12 on it runs at once until it waits.

    :param context: The context; no other task may be in it meanwhile.
    """
    loop = asyncio.get_running_loop()
    if sys.version_info >= (3, 12):
        return asyncio.Task(action, loop=loop, context=context, eager_start=True)
    if sys.version_info >= (3, 11):
        return loop.create_task(action, context=context)
    return context.run(loop.create_task, action)


@coroutine
def run_in_context(context: contextvars.Context, action: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
    """Await a coroutine within the current task, each step of it in a context of its own.

    :param context: The context; no other task may be in it meanwhile.
    :param action: The coroutine.
    """
    step, argument = action.send, None
    while True:
        try:
            waiting = context.run(step, argument)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        try:
            argument = yield waiting
            step = action.send
        except GeneratorExit:
            context.run(action.close)
            raise
        except BaseException as error:  # noqa: BLE001 - it is for the coroutine, as with ``await``
            step, argument = action.throw, error
