"""Threads for synchronous tasks: those of taskiq, and a spare one for each task that waits for a run."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from concurrent.futures import Executor, ThreadPoolExecutor

from taskiq import AsyncBroker

from taskiq_flow.worker.seats import Seat, find_executor

__all__ = ["ThreadSeats"]

_USUAL_THREADS = 4


class _ThreadSeat(Seat):
    """A thread of a pool, or a spare one.

    :param executor: The pool.
    :param nesting: How many tasks are around the run that it is for.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, seats: ThreadSeats, executor: Executor, nesting: int
    ) -> None:
        super().__init__(loop, lambda _: seats.submit(self))
        self.executor = executor
        self.nesting = nesting

    def is_closing(self) -> bool:
        """Whether the pool was shut down: whoever does so waits for all of its threads, often in the event loop."""
        return bool(getattr(self.executor, "_shutdown", False))


class ThreadSeats:
    """Seats in threads: taskiq's own, or others where it has none, and spare ones.

    A task that waits for a run keeps its thread. So that the tasks of that run find one, as many spare threads may be
    occupied as tasks wait. Only tasks of runs that were started within a task get them, and of each nesting as many as
    the pool has threads: otherwise every task that waits would let another one begin that waits as well.

    :param broker: The broker, whose tasks use its threads as well.
    """

    def __init__(self, broker: AsyncBroker) -> None:
        self._broker = broker
        self._own: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()
        self._waiting: dict[int, _ThreadSeat] = {}
        self._lenders = 0
        self._spare: Counter[int] = Counter()

    @property
    def executor(self) -> Executor:
        """The thread pool for what the running task of the event loop executes."""
        found = find_executor(self._broker) or self._own
        if found is None:
            found = self._own = ThreadPoolExecutor(thread_name_prefix="taskiq-flow")
        return found

    async def take(self, nesting: int = 0) -> Seat:
        """Wait for a thread and take it.

        :param nesting: How many tasks are around the run that it is for.
        """
        seat = _ThreadSeat(asyncio.get_running_loop(), self, self.executor, nesting)
        await seat.take()
        return seat

    def lend(self) -> None:
        """Let a spare thread be taken: a task in a thread waits for a run."""
        with self._lock:
            self._lenders += 1
        self._start_spare()

    def take_back(self) -> None:
        """Let no other spare thread be taken; one that is at work goes on."""
        with self._lock:
            self._lenders -= 1

    def submit(self, seat: _ThreadSeat) -> None:
        """Have a seat served by a thread of its pool, or by a spare one if that is there first.

        :raises RuntimeError: the pool was shut down.
        """
        self._waiting[id(seat)] = seat
        try:
            seat.executor.submit(self._serve, seat)
        except RuntimeError:
            self._waiting.pop(id(seat), None)
            raise
        self._start_spare()

    def shutdown(self) -> None:
        """End the threads that are not taskiq's."""
        if self._own is not None:
            self._own.shutdown(wait=False)

    def _serve(self, seat: _ThreadSeat) -> None:
        if self._waiting.pop(id(seat), None) is not None:
            seat.serve()

    def _start_spare(self) -> None:
        if self._lenders > 0 and (seat := self._next_for_spare()) is not None:
            threading.Thread(
                target=self._serve_spare, args=(seat,), name="taskiq-flow-spare", daemon=True
            ).start()

    def _next_for_spare(self) -> _ThreadSeat | None:
        """Take out the waiting seat that a spare thread may serve, of the deepest nesting; ``None`` for none."""
        with self._lock:
            if self._spare.total() >= self._lenders:
                return None
            free = [seat for seat in [*self._waiting.values()] if seat.nesting and self._may_spare(seat)]
            for seat in sorted(free, key=lambda seat: -seat.nesting):
                # A thread of the pool may have taken it meanwhile.
                if self._waiting.pop(id(seat), None) is not None:
                    self._spare[seat.nesting] += 1
                    return seat
            return None

    def _may_spare(self, seat: _ThreadSeat) -> bool:
        # The standard library has the size of its pools nowhere else.
        size: int = getattr(seat.executor, "_max_workers", _USUAL_THREADS)
        return self._spare[seat.nesting] < size

    def _serve_spare(self, seat: _ThreadSeat) -> None:
        serving: _ThreadSeat | None = seat
        while serving is not None:
            try:
                serving.serve()
            finally:
                with self._lock:
                    self._spare[serving.nesting] -= 1
            serving = self._next_for_spare()
