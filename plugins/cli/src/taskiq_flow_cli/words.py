"""Pieces of text that the views and the report share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskiq_flow.terminal import printable

if TYPE_CHECKING:
    from taskiq_flow_cli.progress import Mishap

__all__ = ["mishap_line", "printable", "seconds"]

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


def _bounded(text: str) -> str:
    text = printable(text)
    return text if len(text) <= _LONGEST_MESSAGE else f"{text[:_LONGEST_MESSAGE]}…"


def mishap_line(mishap: Mishap) -> str:
    """Say in one line what went wrong, and whether there will be another attempt."""
    said = _bounded(mishap.failure.summary)
    if mishap.delay is not None:
        then = f"; again in {seconds(mishap.delay)}"
    else:
        # Whoever waits for the end of it wants to know why nobody tries again.
        then = f"; {_bounded(mishap.reason)}" if mishap.reason else ""
        then += "; left out" if mishap.forgiven else ""
    kind = "" if mishap.failure.kind.value == "exception" else f" ({mishap.failure.kind.value})"
    verb = "attempt" if mishap.delay is not None else "failed, attempt"
    return f"{mishap.cell}: {verb} {mishap.attempt}{kind}: {said}{then}"
