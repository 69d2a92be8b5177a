"""A bound on the synchronous tasks that run at once, so that no time limit begins before its task does."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor

__all__ = ["Slots"]

_USUAL_THREADS = 4


class Slots:
    """Semaphores of the running event loop: one for threads, one for processes.

    :param executor: The thread pool for synchronous tasks that do not run in processes.
    """

    def __init__(self, executor: Executor) -> None:
        # The standard library has the size of its pools nowhere else.
        self._threads: int = getattr(executor, "_max_workers", _USUAL_THREADS)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._slots: dict[int | None, asyncio.Semaphore] = {}

    async def take(self, processes: int | None) -> asyncio.Semaphore:
        """Wait for a slot and take it; it is given back with ``release()``.

        :param processes: How many jobs the process pool takes at once; ``None`` for a task that runs in a thread.
        """
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._slots = loop, {}
        slot = self._slots.get(processes)
        if slot is None:
            slot = self._slots[processes] = asyncio.Semaphore(processes or self._threads)
        await slot.acquire()
        return slot
