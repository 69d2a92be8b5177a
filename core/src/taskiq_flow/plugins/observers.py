"""The notification hooks as plain functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from attrs import field, fields, frozen

from taskiq_flow.hookspecs import PREFIX
from taskiq_flow.machine.events import (
    AttemptFailed,
    CellCancelled,
    CellDispatched,
    CellProgressed,
    CellStarted,
    CellSucceeded,
)
from taskiq_flow.plugins.calls import Call, observer
from taskiq_flow.store import RunOutcome, RunRecord

__all__ = ["Observers"]


@frozen(kw_only=True)
class Observers:
    """One function for each notification hook, which calls all implementations; ``None`` without any.

    The functions never raise: an observer's exception is logged with its origin. A hook without implementations costs
    one look at an attribute::

        if (tell := plugins.notify.cell_started) is not None:
            tell(run, event)

    Each is described by the hook of its name in :mod:`taskiq_flow.hookspecs`.
    """

    run_started: Callable[[RunRecord], None] | None = field(default=None)
    run_finished: Callable[[RunRecord, RunOutcome], None] | None = field(default=None)
    cell_dispatched: Callable[[str, CellDispatched], None] | None = field(default=None)
    cell_started: Callable[[str, CellStarted], None] | None = field(default=None)
    cell_finished: Callable[[str, CellSucceeded | AttemptFailed | CellCancelled], None] | None = field(
        default=None
    )
    cell_retried: Callable[[str, AttemptFailed], None] | None = field(default=None)
    cell_progressed: Callable[[str, CellProgressed], None] | None = field(default=None)
    worker_lost: Callable[[str, str], None] | None = field(default=None)

    @classmethod
    def of(cls, calls: Mapping[str, Sequence[Call]]) -> Observers:
        """Make the functions.

        :param calls: The implementations of each hook, in the order of calling.
        """
        names = [each.name for each in fields(cls)]
        return cls(**{name: observer(calls.get(f"{PREFIX}{name}", ())) for name in names})
