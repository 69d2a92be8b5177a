"""Ending the process: after a signal, and although threads of tasks still run."""

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
"""The time limit for ending an interrupted run."""

_SIGNALLED = 128


@define(eq=False)
class Leaving:
    """A request by signal to end the command.

    :ivar code: The exit code for the signal; 0 when there was none.
    :ivar asked: Set by the first signal.
    """

    code: int = 0
    asked: asyncio.Event = field(factory=asyncio.Event)

    @contextlib.contextmanager
    def watch(self) -> Iterator[None]:
        """Handle the signals that end a command, from within an event loop.

        The first one is a request. After a while, or with a second one, the process ends in any case.
        """
        loop = asyncio.get_running_loop()
        timers: list[threading.Timer] = []

        def ask(number: int, frame: FrameType | None) -> None:
            if self.code:
                _end(self.code)
            self.code = _SIGNALLED + number
            # A task may block the event loop, so that the request is not seen there.
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
    """End the process when the context takes longer than the delay.

    :param delay: Seconds.
    :param code: The exit code.
    """
    timer = leave_after(delay, code)
    try:
        yield
    finally:
        timer.cancel()


def leave_after(delay: float, code: int) -> threading.Timer:
    """End the process after a while, unless it has ended by itself; threads cannot be stopped otherwise.

    :param delay: Seconds.
    :param code: The exit code.
    :returns: The timer, which can be cancelled.
    """
    timer = threading.Timer(delay, _end_orderly, (code,))
    timer.daemon = True
    timer.start()
    return timer


def _end_orderly(code: int) -> None:
    # A thread may hold the locks of the output for ever; then a signal still ends the process.
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    _end(code)


def _end(code: int) -> None:
    """End the process at once; takes no lock, because the signal may have interrupted its holder."""
    if (multiprocessing := sys.modules.get("multiprocessing")) is not None:
        for process in multiprocessing.active_children():
            process.terminate()
    # The live view replaces the standard error, and would show the escape as text.
    terminal = sys.__stderr__
    if terminal is not None:
        with contextlib.suppress(OSError, ValueError):
            if terminal.isatty():
                # The live view hides the cursor.
                os.write(terminal.fileno(), b"\x1b[?25h\n")
    os._exit(code)
