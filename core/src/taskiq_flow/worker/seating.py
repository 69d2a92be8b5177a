"""The one place that decides whether a synchronous attempt gets a thread or a process."""

from __future__ import annotations

import os

from taskiq import AsyncBroker

from taskiq_flow._logs import open_log
from taskiq_flow.values.codec import Codec
from taskiq_flow.worker.functions import TaskFunction
from taskiq_flow.worker.processes import Processes
from taskiq_flow.worker.references import Reference
from taskiq_flow.worker.seats import Seat, find_receiver
from taskiq_flow.worker.threads import ThreadSeats

__all__ = ["Seating"]

logger = open_log("taskiq_flow")


class Seating:
    """Threads, and processes where the flow has some.

    :param broker: The broker, whose threads it uses.
    :param processes: The processes; ``None`` for threads alone.
    :param codec: The codec of the flow, which processes make again.
    """

    def __init__(self, broker: AsyncBroker, processes: Processes | None, codec: Codec) -> None:
        self.threads = ThreadSeats(broker)
        self.processes = processes
        self._own: Processes | None = None
        self._codec = codec

    async def take(self, function: TaskFunction, nesting: int = 0) -> Seat:
        """Wait for a process that has found a task's function, or for a thread where none can, and take it.

        :param nesting: How many tasks are around the run that it is for.
        """
        if self.processes is None:
            self._follow_receiver()
        if self.processes is None or function.task in self.processes.avoided:
            return await self.threads.take(nesting)
        if isinstance(function.reference, Reference):
            seat = await self.processes.take(function.reference, self._codec.recipe())
            if not isinstance(seat.problem, LookupError):
                return seat
            seat.give_back()
            reason = str(seat.problem)
        else:
            reason = function.reference
        self.keep_here(function, reason)
        return await self.threads.take(nesting)

    def shutdown(self) -> None:
        """End the threads and processes that nobody else ends."""
        self.threads.shutdown()
        if self._own is not None:
            self._own.shutdown()

    def _follow_receiver(self) -> None:
        """Have processes where taskiq's receiver was given a pool of them, whose own know nothing of attempts."""
        receiver = find_receiver()
        if receiver is not None and receiver.is_process_pool:
            count = getattr(receiver.executor, "_max_workers", None) or os.cpu_count() or 1
            self.processes = self._own = Processes(count)

    def keep_here(self, function: TaskFunction, reason: str) -> None:
        """Let a task run in threads from now on, and say so once."""
        if self.processes is not None and function.task not in self.processes.avoided:
            self.processes.avoided.add(function.task)
            logger.warning(
                "task %r runs in threads of this process, and not in one of the flow's own: %s",
                function.task,
                reason,
            )
