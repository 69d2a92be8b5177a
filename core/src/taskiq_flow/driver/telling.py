"""Telling observers of events, once these are in the log."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from taskiq_flow.machine import events as ev
from taskiq_flow.plugins import Observers

__all__ = ["observes_cells", "tell_cells"]


def observes_cells(notify: Observers) -> bool:
    """Whether any observer wants to hear of cells."""
    tellers = (
        notify.cell_dispatched,
        notify.cell_started,
        notify.cell_finished,
        notify.cell_retried,
        notify.cell_progressed,
    )
    return any(teller is not None for teller in tellers)


def tell_cells(notify: Observers, happened: Iterable[tuple[str, ev.Event]]) -> None:
    """Tell the observers of cells.

    :param happened: Runs and events, in the order in which they were logged.
    """
    for run, event in happened:
        _tell(notify, run, event)


def _tell(notify: Observers, run: str, event: ev.Event) -> None:
    tell: Callable[[str, Any], None] | None = None
    if isinstance(event, ev.CellDispatched):
        tell = notify.cell_dispatched
    elif isinstance(event, ev.CellStarted):
        tell = notify.cell_started
    elif isinstance(event, ev.CellProgressed):
        tell = notify.cell_progressed
    elif isinstance(event, ev.AttemptFailed) and event.retry_at is not None:
        tell = notify.cell_retried
    elif isinstance(event, (ev.CellSucceeded, ev.AttemptFailed, ev.CellCancelled)):
        tell = notify.cell_finished
    if tell is not None:
        tell(run, event)
