"""Which of a process's event loops drives the pool of an embedded flow."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable

__all__ = ["Seat"]

# An event loop that ends or stands still in the middle of something calls nobody, so heirs look now and then.
_SECONDS_BETWEEN_LOOKS = 0.25


class Seat:
    """A place for one event loop.

    Others that want it meanwhile are heirs: one of them is next when it is left, or when who has it stands still.

    :param drive: What an heir does in its own event loop.
    """

    def __init__(self, drive: Callable[[], Awaitable[None]]) -> None:
        self._drive = drive
        self._lock = threading.Lock()
        self._holder: asyncio.AbstractEventLoop | None = None
        self._leaving = False
        self._heirs: set[asyncio.AbstractEventLoop] = set()
        self._inheriting: set[asyncio.Task[None]] = set()

    def held_beside(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether another event loop has the seat, and is alive."""
        other = self._holder
        return other is not None and other is not loop and other.is_running()

    def take(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether this event loop, which is the running one, is to begin to drive.

        If not, somebody drives who will read what was put before; should that one stop, this one is called.
        """
        with self._lock:
            if self.held_beside(loop) or (self._holder is loop and self._leaving):
                if loop not in self._heirs:
                    self._heirs.add(loop)
                    loop.call_later(_SECONDS_BETWEEN_LOOKS, self._look, loop)
                return False
            if self._holder is loop:
                return False
            self._holder, self._leaving = loop, False
            return True

    def sit_down(self, loop: asyncio.AbstractEventLoop) -> None:
        """Read letters again: who wants the seat in the same event loop need not be called any more."""
        with self._lock:
            if self._holder is loop:
                self._leaving = False

    def get_up(self, loop: asyncio.AbstractEventLoop) -> None:
        """Read no further letters; who wants the seat from now on is an heir, even in the same event loop."""
        with self._lock:
            if self._holder is loop:
                self._leaving = True

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

    def _look(self, heir: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            if heir not in self._heirs:
                return
            if self.held_beside(heir):
                heir.call_later(_SECONDS_BETWEEN_LOOKS, self._look, heir)
                return
            self._heirs.discard(heir)
        self._inherit(heir)

    def _inherit(self, loop: asyncio.AbstractEventLoop) -> None:
        task = asyncio.ensure_future(self._drive(), loop=loop)
        self._inheriting.add(task)
        task.add_done_callback(self._inheriting.discard)
