"""Why the cells of a run wait, and how a run stands, as data."""

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
    :param since: Since when, in seconds since the epoch; for what is ``pending`` or ``running`` since the run began.
    :param reason: Why, in one sentence without a period.
    :param holders: The cells, of any run of the pool, that have what it lacks.
    """

    path: str
    state: str
    since: float
    reason: str
    holders: tuple[RunningCell, ...] = ()


@frozen(kw_only=True)
class RunDescription:
    """How a run stands.

    :param id: The run's id.
    :param status: Its status.
    :param reason: Why it ended, or ends, otherwise than by its cells; empty where they say it.
    :param counts: How many cells are in which state, where their scope is open: those of items that are done, or have
        not begun, are not counted.
    :param waiting: The cells that wait, and why: those that could run first, then those for which something is missing.
    """

    id: str
    status: RunStatus
    reason: str = ""
    counts: Mapping[str, int] = field(factory=dict)
    waiting: tuple[WaitingCell, ...] = ()
