"""The output streams: a standard output for the command alone, and the file of events."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

from taskiq_flow.errors import FlowError, UsageError
from taskiq_flow.machine.wire import encode_event
from taskiq_flow.terminal import reserve_stdout

if TYPE_CHECKING:
    from taskiq_flow.machine.events import Event

__all__ = ["EventLines", "reserve_stdout"]


class EventLines:
    """Writes events as lines of JSON, in the form of the run's log.

    :param stream: The stream to write to.
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
        """Write an event; when that fails or the reader is gone, the run goes on without."""
        if self._stream is None:
            return
        try:
            self._stream.write(f"{encode_event(event)}\n")
            self._stream.flush()
        except BrokenPipeError:
            self._stream = None
        except FlowError as error:
            # Only this event cannot be written, and it is not the end of the run.
            sys.stderr.write(f"an event is not written: {error}; the run goes on\n")
        except OSError as error:
            # Closing the file would try to write the buffered rest again.
            with contextlib.suppress(OSError):
                self._stream.close()
            self._stream = None
            sys.stderr.write(f"events are no longer written: {error.strerror or error}; the run goes on\n")
