"""One call of a task's function on behalf of a message: how it is made, stopped and given up."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor, Future
from types import MappingProxyType
from typing import Any, Protocol

from taskiq_flow.worker.seats import Outcome, Seat, carry

__all__ = ["CURRENT", "Current", "Execution", "is_async"]


class Current(Protocol):
    """What is executed in a task of the event loop."""

    @property
    def previous(self) -> Current | None:
        """What was executed in the same task of the event loop when this began."""

    def abandon(self) -> None:
        """End without an outcome: something around the function has failed."""


class Execution:
    """One call of a task's function.

    :ivar key: The run, the cell and the attempt; ``None`` where it is for no cell.
    :ivar seat: The thread that was taken for a synchronous function.
    :ivar executor: Where it runs without one.
    :ivar arguments: Arguments that go over those that taskiq passes.
    :ivar skip: Do not call the function at all: the attempt belongs to another worker, or its arguments are bad.
    :ivar stopped: Whether nobody wants the outcome any more.
    :ivar thread: The call that goes on in a thread although it was given up.
    :ivar previous: What was executed in the same task of the event loop when this began.
    """

    key: tuple[str, str, int] | None = None
    seat: Seat | None = None
    executor: Executor | None = None
    arguments: Mapping[str, Any] = MappingProxyType({})
    skip = False
    stopped = False
    thread: Future[Any] | None = None
    previous: Current | None = None
    _taken = False
    _task: asyncio.Task[Any] | None = None

    def enter(self) -> None:
        """Become the current execution of this task of the event loop."""
        self.previous = CURRENT.get()
        CURRENT.set(self)

    def leave(self) -> None:
        """Let the execution that was current before be so again: a task may run others in place."""
        CURRENT.set(self.previous)
        self.previous = None

    def abandon(self) -> None:
        """End without an outcome: something around the function has failed."""
        self.leave()

    def take(self) -> bool:
        """Whether the function is called for this execution: the first call is, calls from within it are not."""
        if self._taken:
            return False
        self._taken = True
        return True

    async def run(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        """Call the function, in the event loop or where synchronous functions run."""
        if self.skip:
            return None
        self._task = asyncio.current_task()
        try:
            if self.stopped:
                return None
            result = await self.call(
                function, args, {**kwargs, **self.arguments} if kwargs else self.arguments
            )
            if _is_to_be_cancelled(self._task):
                # A task that cancelled itself and then returned fails here, and not somewhere within taskiq.
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            if not self.stopped:
                raise
            _uncancel(self._task)
            return None
        finally:
            if _is_to_be_cancelled(self._task):
                # One that cancelled itself and then raised has its outcome; executed in place, it is the driver that
                # would be cancelled next.
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(0)
                _uncancel(self._task)
            self._task = None
            CURRENT.set(self)
        return result

    def call(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Awaitable[Any]:
        """Call the function; what it gives is awaited."""
        if is_async(function):
            awaitable: Awaitable[Any] = function(*args, **kwargs)
            return awaitable
        return self._call_in_thread(function, args, kwargs)

    async def _call_in_thread(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        context = contextvars.copy_context()
        call = functools.partial(context.run, carry, functools.partial(function, *args, **kwargs))
        if self.seat is None:
            assert self.executor is not None, "what is synchronous has a seat, or an executor"
            future = self.executor.submit(call)
        elif self.seat.problem is None:
            future = self.seat.call(call)
        else:
            raise self.seat.problem
        result, error = await self.wait_for(future)
        if error is not None:
            raise error
        return await result if inspect.isawaitable(result) else result

    async def wait_for(self, future: Future[Outcome]) -> Outcome:
        """Wait for a call that goes on elsewhere; when released, forget it or let it go on unheeded."""
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            # Cancelling the wrapper has cancelled a call that had not begun; one that has cannot be stopped.
            if not future.cancelled() and not future.done() and not (self.seat and self.seat.stop()):
                self.thread = future
            raise

    def stop(self) -> None:
        """Make the function stop: a coroutine is cancelled, a thread is given up."""
        self.stopped = True
        if self._task is not None:
            self._task.cancel()


@functools.lru_cache(maxsize=4096)
def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling the function gives a coroutine."""
    # An object that can be called is as asynchronous as its class says.
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(type(function), "__call__", None)  # noqa: B004
    )


def _is_to_be_cancelled(task: asyncio.Task[Any] | None) -> bool:
    """Whether a task that runs has cancelled itself, and has not waited for anything since."""
    return task is not None and task._must_cancel  # type: ignore[attr-defined]


def _uncancel(task: asyncio.Task[Any] | None) -> None:
    """Tell the event loop that the cancellation was ours and is over; before 3.11 there is nothing to tell."""
    uncancel = getattr(task, "uncancel", None)
    if uncancel is not None:
        uncancel()


CURRENT: contextvars.ContextVar[Current | None] = contextvars.ContextVar(
    "taskiq_flow_execution", default=None
)
