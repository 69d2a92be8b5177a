"""Tells a task which cell it is executed for."""

from __future__ import annotations

import contextvars

from attrs import frozen

from taskiq_flow.worker.execution import CURRENT, Execution

__all__ = ["CurrentCell", "current_cell", "enter_cell"]


@frozen
class CurrentCell:
    """The cell that a task is executed for.

    ``f"{run}/{cell}"`` is the same for every attempt of a cell, and different for any two cells: a key by which a task
    can make sure that what it does elsewhere is done once.

    :param run: The run's id.
    :param cell: The cell's path, such as ``tracks[3]/features``.
    :param attempt: The number of the attempt, counted from 1.
    """

    run: str
    cell: str
    attempt: int


_IN_PROCESS: contextvars.ContextVar[CurrentCell | None] = contextvars.ContextVar(
    "taskiq_flow_cell", default=None
)


def current_cell() -> CurrentCell | None:
    """Return the cell that the calling task is executed for; ``None`` outside of a pipeline.

    It works in asynchronous tasks, in threads, and in processes.
    """
    execution = CURRENT.get()
    if isinstance(execution, Execution) and execution.key is not None:
        return CurrentCell(*execution.key)
    return _IN_PROCESS.get()


def enter_cell(key: tuple[str, str, int]) -> None:
    """Let the current context be that of an attempt, in a process."""
    _IN_PROCESS.set(CurrentCell(*key))
