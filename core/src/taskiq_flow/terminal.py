"""For commands: text that a terminal only shows, and a standard output that nobody else writes to."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import TextIO

__all__ = ["printable", "reserve_stdout"]


def printable(text: str, *, lines: bool = False) -> str:
    """Write what a terminal would obey, or what would break the line, as an escape.

    :param text: Somebody else's: a name, a description, the message of an exception.
    :param lines: Let it have several lines.
    """
    return "".join(
        it if it.isprintable() or (lines and it == "\n") else it.encode("unicode_escape").decode("ascii")
        for it in text
    )


@contextlib.contextmanager
def reserve_stdout(reserve: bool) -> Iterator[TextIO]:
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
        # Whoever wrote has seen the error already.
        with contextlib.suppress(OSError):
            stream.close()
        sys.stdout.flush()
        os.dup2(kept, descriptor)
        os.close(kept)
