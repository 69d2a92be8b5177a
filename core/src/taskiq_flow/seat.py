"""Which of a process's event loops drives the pool of an embedded flow."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable

__all__ = ["Seat"]


class Seat:
    """A place for one event loop. Others that want it meanwhile are heirs: they are called when it is left.

    :param drive: What an heir does in its own event loop.

    :ivar leaving: Whether the one who has the seat will read no further letters.
    """

    def __init__(self, drive: Callable[[], Awaitable[None]]) -> None:
        self.leaving = False
        self._drive = drive
        self._lock = threading.Lock()
        self._holder: asyncio.AbstractEventLoop | None = None
        self._heirs: set[asyncio.AbstractEventLoop] = set()
        self._inheriting: set[asyncio.Task[None]] = set()

    def held_beside(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether another event loop has the seat, and is alive."""
        other = self._holder
        return other is not None and other is not loop and other.is_running()

    def take(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether this event loop is to begin to drive; if not, somebody drives who will read what was put before."""
        with self._lock:
            if self.held_beside(loop) or (self._holder is loop and self.leaving):
                self._heirs.add(loop)
                return False
            if self._holder is loop:
                return False
            self._holder, self.leaving = loop, False
            return True

    def leave(self, loop: asyncio.AbstractEventLoop) -> None:
        """Drive no more, and let those event loops do so that have asked for it meanwhile."""
        with self._lock:
            if self._holder is not loop:
                return
            self._holder = None
            heirs, self._heirs = self._heirs, set()
        for heir in heirs:
            if heir.is_running():
                # Between the question and the call it may have ended; then it waits for nothing any more.
                with contextlib.suppress(RuntimeError):
                    heir.call_soon_threadsafe(self._inherit, heir)

    def forget_heirs(self) -> None:
        """Call nobody when the seat is left."""
        with self._lock:
            self._heirs.clear()

    def _inherit(self, loop: asyncio.AbstractEventLoop) -> None:
        task = asyncio.ensure_future(self._drive(), loop=loop)
        self._inheriting.add(task)
        task.add_done_callback(self._inheriting.discard)
