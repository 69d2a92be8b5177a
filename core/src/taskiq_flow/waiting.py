"""The waiting cells of a run, and the state of a run, as data."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from taskiq_flow.machine.transitions import RunStatus
from taskiq_flow.scheduler import RunningCell

__all__ = ["RunDescription", "WaitingCell"]


@frozen(kw_only=True)
class WaitingCell:
    """A cell that waits.

    :param path: The cell's path; empty for the run itself.
    :param state: ``pending`` (for inputs), ``ready`` (for a place), ``dispatched`` (for a worker), ``waiting`` (for
        another attempt), or ``running`` for a map with items that have not begun.
    :param since: When the wait began, in seconds since the epoch; for ``pending`` and ``running`` the run's start.
    :param reason: The reason, in one sentence without a period.
    :param holders: The cells, of any run of the pool, that hold the resources or limits it lacks.
    """

    path: str
    state: str
    since: float
    reason: str
    holders: tuple[RunningCell, ...] = ()


@frozen(kw_only=True)
class RunDescription:
    """The state of a run.

    :param id: The run's id.
    :param status: Its status.
    :param reason: Why it ended or ends; empty when its cells decide the end.
    :param counts: The number of cells in each state. Cells of map items that are finished or have not begun are not
        counted.
    :param waiting: The waiting cells: those that could run first, then those that lack an input.
    """

    id: str
    status: RunStatus
    reason: str = ""
    counts: Mapping[str, int] = field(factory=dict)
    waiting: tuple[WaitingCell, ...] = ()
