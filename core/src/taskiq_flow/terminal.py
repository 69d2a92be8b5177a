"""Terminal output of commands: text without control characters, and a standard output for the command alone."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import TextIO

__all__ = ["printable", "reserve_stdout"]


def printable(text: str, *, lines: bool = False) -> str:
    """Escape the control characters and line breaks of a text.

    :param text: A text from a third party: a name, a description, the message of an exception.
    :param lines: Keep line breaks.
    """
    return "".join(
        it if it.isprintable() or (lines and it == "\n") else it.encode("unicode_escape").decode("ascii")
        for it in text
    )


@contextlib.contextmanager
def reserve_stdout(reserve: bool) -> Iterator[TextIO]:
    """Return the standard output, as a context manager.

    :param reserve: Redirect all other output to the standard error meanwhile: that of imported modules, and that of
        tasks, in pool processes too.
    """
    if not reserve:
        yield sys.stdout
        return
    sys.stdout.flush()
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, io.UnsupportedOperation):
        # Under a test runner it is no file, so only the object can be replaced.
        original = sys.stdout
        with contextlib.redirect_stdout(sys.stderr):
            yield original
        return
    original_descriptor = os.dup(descriptor)
    # Child processes inherit the descriptor, so the redirection must happen there.
    os.dup2(sys.stderr.fileno(), descriptor)
    stream = os.fdopen(os.dup(original_descriptor), "w", encoding="utf-8", errors="backslashreplace")
    try:
        yield stream
    finally:
        # An error of writing was raised to the writer already.
        with contextlib.suppress(OSError):
            stream.close()
        sys.stdout.flush()
        os.dup2(original_descriptor, descriptor)
        os.close(original_descriptor)
