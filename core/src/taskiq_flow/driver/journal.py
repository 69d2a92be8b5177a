"""The events that a driver's turn appends to the logs of its runs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from taskiq_flow.driver.active import ActiveRun
from taskiq_flow.driver.telling import observes_cells, tell_cells
from taskiq_flow.errors import RunNotFound
from taskiq_flow.machine.events import Event
from taskiq_flow.plugins import Observers
from taskiq_flow.store import Lease, RunStore

__all__ = ["Journal"]


class Journal:
    """Events that are not written yet, and the one write that appends them to all logs.

    :param lease: The lease of the pool; replaced when it is renewed.
    :param runs: The runs that are driven, by id.
    :param deleted: Callback with the id of a run that was deleted before it was over.
    :param notify: The observers; they hear of cells once the events are in the log.
    """

    def __init__(
        self,
        store: RunStore,
        lease: Lease,
        runs: Mapping[str, ActiveRun],
        deleted: Callable[[str], None],
        notify: Observers,
    ) -> None:
        self.lease = lease
        self._store = store
        self._runs = runs
        self._deleted = deleted
        self._notify = notify
        self._observed = observes_cells(notify)
        self._events: dict[str, list[Event]] = {}
        # Whether the last write has failed, although the store may have done it.
        self._unsure = False

    def __bool__(self) -> bool:
        """Whether there is anything to write."""
        return bool(self._events)

    def add(self, run: str, event: Event) -> None:
        """Have an event written with the next write."""
        events = self._events.get(run)
        if events is None:
            self._events[run] = [event]
        else:
            events.append(event)

    async def write(self) -> Collection[str]:
        """Append to all logs in one write. After a failure the next turn tries again.

        Without events this only checks the lease: a driver that has lost it must not acknowledge notices of runs that
        it does not know.

        :returns: The runs whose logs have grown.
        :raises LeaseLost: another driver has taken the lease.
        """
        if self._unsure:
            await self._leave_out_written()
        self._unsure = True
        while True:
            try:
                await self._store.log.append(self._events, lease=self.lease)
                break
            except RunNotFound as error:
                if self._events.pop(error.run, None) is None:
                    raise
                self._deleted(error.run)
        self._unsure = False
        written, self._events = self._events, {}
        for run_id, events in written.items():
            self._count(run_id, events)
        return written.keys()

    async def _leave_out_written(self) -> None:
        """Leave out events that a failed write has appended all the same: perhaps only its reply was lost."""
        for run_id, events in self._events.items():
            run = self._runs.get(run_id)
            if run is None:
                continue
            try:
                written = len(await self._store.log.read(run_id, run.logged))
            except RunNotFound:
                continue
            if written:
                self._count(run_id, events[:written])
                del events[:written]

    def _count(self, run_id: str, events: list[Event]) -> None:
        if self._observed:
            tell_cells(self._notify, [(run_id, event) for event in events])
        run = self._runs.get(run_id)
        if run is not None:
            run.logged += len(events)
