"""Seats: threads that attempts have taken, and where they are taken.

A limit of time measures a task, so an attempt begins when a thread is there for it, and not when it begins to wait for
one. Others use a broker's threads too, so that a count of our own would not say whether one is free: the thread itself
does, and waits for the call.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import Any, Union

from taskiq import AsyncBroker, InMemoryBroker
from taskiq.receiver import Receiver

__all__ = ["Outcome", "Seat", "carry", "find_executor", "find_receiver", "renew_executor"]

Outcome = tuple[Any, Union[BaseException, None]]
"""What a call gave: its value, and the exception that it raised, which no future is to translate."""

_SECONDS_BETWEEN_LOOKS = 0.25


class Seat:
    """A thread that an attempt has taken, and that waits for its call.

    :param loop: The event loop of the attempt, which is running.
    :param submit: Has :meth:`serve` called in a thread.

    :ivar problem: Why nothing can be called here, where that is so.
    """

    problem: BaseException | None = None

    def __init__(self, loop: asyncio.AbstractEventLoop, submit: Callable[[Seat], None]) -> None:
        self._loop = loop
        self._submit = submit
        self._taken: asyncio.Future[None] = loop.create_future()
        self._calls: SimpleQueue[Callable[..., Outcome] | None] = SimpleQueue()
        self._outcome: Future[Outcome] = Future()
        # Whoever gives up the waiting does not end the call.
        self._outcome.set_running_or_notify_cancel()
        self._lock = threading.Lock()
        self._left = self._used = False

    async def take(self) -> None:
        """Wait until the thread is there."""
        try:
            self._submit(self)
        except RuntimeError as error:  # the pool was shut down, or no thread can be started
            self.problem = error
            return
        try:
            await self._taken
        except BaseException:
            self.give_back()
            raise

    def call(self, function: Callable[..., Outcome]) -> Future[Outcome]:
        """Let the thread call a function; the seat is given back when that is over."""
        with self._lock:
            self._used = True
            self._calls.put(function)
            left, self._left = self._left, False
        if left:
            # The event loop has stood still meanwhile, so that the thread did not wait any longer.
            try:
                self._submit(self)
            except RuntimeError as error:  # the pool was shut down
                self._outcome.set_result((None, error))
        return self._outcome

    def give_back(self) -> None:
        """Let the thread do something else; without effect where it was let call."""
        with self._lock:
            if not self._used:
                self._used = True
                self._calls.put(None)

    def is_closing(self) -> bool:
        """Whether somebody waits until the thread is free, and may keep the event loop from calling meanwhile."""
        return False

    def stop(self) -> bool:
        """Stop the call, where that is possible; whether it was."""
        return False

    # In the thread

    def serve(self, *given: Any) -> None:
        """Wait for the call and make it; called in the thread.

        :param given: What the function gets.
        """
        if not self._used:
            try:
                self._loop.call_soon_threadsafe(self._be_taken)
            except RuntimeError:  # it is closed
                return
        call = self._next_call(0 if self.is_closing() else _SECONDS_BETWEEN_LOOKS)
        if call is not None:
            try:
                outcome = call(*given)
            except BaseException as error:  # noqa: BLE001 - whoever waits must hear of it
                outcome = None, error
            with self._lock:
                self._outcome.set_result(outcome)

    def _be_taken(self) -> None:
        if not self._taken.done():
            self._taken.set_result(None)

    def _next_call(self, seconds: float) -> Callable[..., Outcome] | None:
        while True:
            try:
                return self._calls.get(timeout=seconds)
            except Empty:
                if self._loop.is_running() and not self.is_closing():
                    continue
            with self._lock:
                if self._calls.empty():
                    self._left = True
                    return None


def carry(call: Callable[[], Any]) -> Outcome:
    """Call in a thread, and give what came of it."""
    try:
        return call(), None
    except (StopIteration, GeneratorExit) as error:
        # An event loop cannot carry them over to whoever waits; Python does so for generators.
        other = RuntimeError(f"the task raised {type(error).__name__}")
        other.__cause__ = error
        return None, other
    except BaseException as error:  # noqa: BLE001 - whatever a task raises is its outcome, SystemExit included
        return None, error


def find_executor(broker: AsyncBroker) -> Executor | None:
    """Return taskiq's threads: those of a broker, or of the receiver that executes the current task."""
    if isinstance(broker, InMemoryBroker):
        return broker.executor
    receiver = find_receiver()
    executor = None if receiver is None else receiver.executor
    return executor if isinstance(executor, ThreadPoolExecutor) else None


def find_receiver() -> Receiver | None:
    """Return the receiver that executes the current task: taskiq hands it to nobody."""
    # It executes each message in a task of its own.
    task: Any = asyncio.current_task()
    frame = getattr(task.get_coro(), "cr_frame", None) if task is not None else None
    receiver = None if frame is None else frame.f_locals.get("self")
    return receiver if isinstance(receiver, Receiver) else None


def renew_executor(broker: AsyncBroker) -> None:
    """Give a broker other threads after a fork, which has left its threads behind."""
    if isinstance(broker, InMemoryBroker):
        former: Any = broker.executor
        broker.executor = ThreadPoolExecutor(getattr(former, "_max_workers", None))
        if broker.receiver.executor is former:
            broker.receiver.executor = broker.executor
