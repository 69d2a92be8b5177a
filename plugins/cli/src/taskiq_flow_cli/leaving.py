"""How the process ends: when it is interrupted, and when threads of tasks do not want it to end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

from attrs import define, field

__all__ = ["GRACE_SECONDS", "Leaving", "leave_after", "leaving_after"]

GRACE_SECONDS = 5.0
"""How long a run that was interrupted may take to end."""

_SIGNALLED = 128


@define(eq=False)
class Leaving:
    """Whether somebody wants the command to end.

    :ivar code: The exit code that the signal asks for; 0 when there was none.
    :ivar asked: Set by the first signal.
    """

    code: int = 0
    asked: asyncio.Event = field(factory=asyncio.Event)

    @contextlib.contextmanager
    def watch(self) -> Iterator[None]:
        """Listen to the signals that end a command, from within an event loop.

        The first one asks; after a while, or with a second one, the process ends whatever goes on in it.
        """
        loop = asyncio.get_running_loop()
        timers: list[threading.Timer] = []

        def ask(number: int, frame: FrameType | None) -> None:
            if self.code:
                _end(self.code)
            self.code = _SIGNALLED + number
            # A task may block the event loop, and then nobody there sees the request.
            timers.append(leave_after(GRACE_SECONDS, self.code))
            loop.call_soon_threadsafe(self.asked.set)

        before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            for timer in timers:
                timer.cancel()


@contextlib.contextmanager
def leaving_after(delay: float, code: int) -> Iterator[None]:
    """End the process when what is done here takes longer than it may.

    :param delay: Seconds.
    :param code: The exit code.
    """
    timer = leave_after(delay, code)
    try:
        yield
    finally:
        timer.cancel()


def leave_after(delay: float, code: int) -> threading.Timer:
    """End the process after a while, unless it has ended by itself: a thread cannot be stopped.

    :param delay: Seconds.
    :param code: The exit code.
    :returns: What can be cancelled.
    """
    timer = threading.Timer(delay, _end_orderly, (code,))
    timer.daemon = True
    timer.start()
    return timer


def _end_orderly(code: int) -> None:
    # Whoever holds the locks of the output may hold them for ever; then a signal still ends the process.
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    _end(code)


def _end(code: int) -> None:
    """End the process at once; takes no lock, because a signal may have interrupted whoever holds it."""
    if (multiprocessing := sys.modules.get("multiprocessing")) is not None:
        for process in multiprocessing.active_children():
            process.terminate()
    # The live view puts itself in the place of the standard error, and would show the escape as text.
    terminal = sys.__stderr__
    if terminal is not None:
        with contextlib.suppress(OSError, ValueError):
            if terminal.isatty():
                # The live view hides the cursor.
                os.write(terminal.fileno(), b"\x1b[?25h\n")
    os._exit(code)
