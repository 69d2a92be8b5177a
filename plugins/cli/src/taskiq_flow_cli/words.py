"""Texts that the views and the report share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskiq_flow.terminal import printable

if TYPE_CHECKING:
    from taskiq_flow_cli.progress import AttemptFailure

__all__ = ["failure_line", "printable", "seconds"]

_LONGEST_MESSAGE = 200


def seconds(value: float) -> str:
    """Write a time: ``0.42 s``, ``12.3 s``, ``4 min 05 s``, ``2 h 03 min``."""
    if value < 10:
        return f"{value:.2f} s"
    if value < 100:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def _shorten(text: str) -> str:
    text = printable(text)
    return text if len(text) <= _LONGEST_MESSAGE else f"{text[:_LONGEST_MESSAGE]}…"


def failure_line(attempt_failure: AttemptFailure, longest_cell: int = _LONGEST_MESSAGE) -> str:
    """Write one line about a failure, with the time of the next attempt.

    :param longest_cell: How many characters the cell's path may take; a longer one keeps its end, the node.
    """
    cell = attempt_failure.cell
    cell = cell if len(cell) <= longest_cell else f"…{cell[-longest_cell + 1 :]}"
    message = _shorten(attempt_failure.failure.summary)
    if attempt_failure.delay is not None:
        then = f"; again in {seconds(attempt_failure.delay)}"
    else:
        # For a final failure people want to know why there is no further attempt.
        then = f"; {_shorten(attempt_failure.reason)}" if attempt_failure.reason else ""
        then += "; left out" if attempt_failure.forgiven else ""
    kind = (
        ""
        if attempt_failure.failure.kind.value == "exception"
        else f" ({attempt_failure.failure.kind.value})"
    )
    verb = "attempt" if attempt_failure.delay is not None else "failed, attempt"
    return f"{cell}: {verb} {attempt_failure.attempt}{kind}: {message}{then}"
