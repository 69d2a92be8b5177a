"""Where output goes: a standard output that only we write to, and the file of events."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

from taskiq_flow.errors import UsageError
from taskiq_flow.machine.codec import encode_event

if TYPE_CHECKING:
    from taskiq_flow.machine.events import Event

__all__ = ["EventLines", "reserved_stdout"]


@contextlib.contextmanager
def reserved_stdout(reserve: bool) -> Iterator[TextIO]:
    """Give the standard output.

    :param reserve: Let everything that others print go to the standard error meanwhile: what modules print when
        they are imported, and what tasks print, in pool processes too.
    """
    if not reserve:
        yield sys.stdout
        return
    sys.stdout.flush()
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, io.UnsupportedOperation):
        # Not a file, as under a test runner: then there is only the object to put aside.
        original = sys.stdout
        with contextlib.redirect_stdout(sys.stderr):
            yield original
        return
    kept = os.dup(descriptor)
    # Processes that are started inherit the descriptor, so that is what has to be turned away.
    os.dup2(sys.stderr.fileno(), descriptor)
    stream = os.fdopen(os.dup(kept), "w", encoding="utf-8", errors="backslashreplace")
    try:
        yield stream
    finally:
        with contextlib.suppress(BrokenPipeError):
            stream.close()
        sys.stdout.flush()
        os.dup2(kept, descriptor)
        os.close(kept)


class EventLines:
    """Writes events as lines of JSON, in the form of the run's log.

    :param stream: Where they go.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream: TextIO | None = stream

    @classmethod
    @contextlib.contextmanager
    def open(cls, target: str | None, stdout: TextIO) -> Iterator[EventLines | None]:
        """Open the file of events.

        :param target: Its path, or ``-`` for the standard output; ``None`` for no file.
        :param stdout: The standard output.
        :raises UsageError: it cannot be written.
        """
        if target is None:
            yield None
        elif target == "-":
            yield cls(stdout)
        else:
            try:
                stream = open(target, "w", encoding="utf-8", buffering=1)  # noqa: SIM115 - closed below
            except OSError as error:
                raise UsageError(f"cannot write events to {target!r}: {error.strerror or error}") from error
            with stream:
                yield cls(stream)

    def write(self, event: Event) -> None:
        """Write an event; when nobody reads any more, the run goes on without it."""
        if self._stream is None:
            return
        try:
            self._stream.write(f"{encode_event(event)}\n")
            self._stream.flush()
        except BrokenPipeError:
            self._stream = None
