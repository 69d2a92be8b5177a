"""The events that a driver's turn appends to the logs of its runs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from taskiq_flow.driver.active import ActiveRun
from taskiq_flow.driver.run_log import LOGGED, log_events
from taskiq_flow.driver.telling import observes_cells, tell_cells
from taskiq_flow.errors import LeaseLost, RunNotFound
from taskiq_flow.machine.events import Event
from taskiq_flow.plugins import Observers
from taskiq_flow.store import Lease, RunStore

__all__ = ["Journal"]

# After so many failures of one write it is looked for the run whose events the store refuses.
_TRIES = 3


class Journal:
    """Events that are not written yet, and the one write that appends them to all logs.

    :param lease: The lease of the pool; replaced when it is renewed.
    :param runs: The runs that are driven, by id.
    :param notify: The observers; they hear of cells once the events are in the log.
    :param deleted: Callback with the id of a run that was deleted before it was over.
    :param refused: Callback for a run whose events the store does not take, with the store's error.
    """

    def __init__(
        self,
        store: RunStore,
        lease: Lease,
        runs: Mapping[str, ActiveRun],
        *,
        notify: Observers,
        deleted: Callable[[str], None],
        refused: Callable[[ActiveRun, Exception], None],
    ) -> None:
        self.lease = lease
        self._store = store
        self._runs = runs
        self._deleted = deleted
        self._refused = refused
        self._notify = notify
        self._observed = observes_cells(notify)
        # Whether one of the events has a line for operators.
        self._logged = False
        self._events: dict[str, list[Event]] = {}
        # Whether the last write has failed, although the store may have done it.
        self._unsure = False
        self._failures = 0

    def __bool__(self) -> bool:
        """Whether there is anything to write."""
        return bool(self._events)

    def add(self, run: str, event: Event) -> None:
        """Have an event written with the next write."""
        if type(event) in LOGGED:
            self._logged = True
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
            if self._failures >= _TRIES:
                await self._leave_out_refused()
        self._unsure = True
        self._failures += 1
        while True:
            try:
                await self._store.log.append(self._events, lease=self.lease)
                break
            except RunNotFound as error:
                if self._events.pop(error.run, None) is None:
                    raise
                self._deleted(error.run)
        self._unsure = False
        self._failures = 0
        written, self._events = self._events, {}
        for run_id, events in written.items():
            self._count(run_id, events)
        self._logged = False
        return written.keys()

    async def _leave_out_written(self) -> None:
        """Leave out events that a failed write has appended all the same: perhaps only its reply was lost."""
        for run_id, events in self._events.items():
            await self._leave_out_written_of(run_id, events)

    async def _leave_out_written_of(self, run_id: str, events: list[Event]) -> None:
        run = self._runs.get(run_id)
        if run is None:
            return
        try:
            written = len(await self._store.log.read(run_id, run.logged))
        except RunNotFound:
            return
        if written:
            self._count(run_id, events[:written])
            del events[:written]

    async def _leave_out_refused(self) -> None:
        """Write the events of each run by themselves, and end the runs whose events are refused.

        An event may hold what the store cannot write, and the other runs must not wait for that to pass. A store that
        takes nothing at all is away, and refuses nobody.
        """
        for run_id, events in [*self._events.items()]:
            error = None
            for _ in range(_TRIES):
                try:
                    await self._store.log.append({run_id: events}, lease=self.lease)
                except LeaseLost:
                    raise
                except RunNotFound:
                    self._events.pop(run_id)
                    self._deleted(run_id)
                    error = None
                    break
                except Exception as raised:  # noqa: BLE001 - stores raise what their drivers raise
                    error = raised
                    await self._store.log.append({}, lease=self.lease)
                    await self._leave_out_written_of(run_id, events)
                else:
                    self._count(run_id, events[:])
                    events.clear()
                    error = None
                    break
            if error is not None:
                del self._events[run_id]
                if (run := self._runs.get(run_id)) is not None:
                    self._refused(run, error)

    def _count(self, run_id: str, events: list[Event]) -> None:
        if self._observed:
            tell_cells(self._notify, [(run_id, event) for event in events])
        run = self._runs.get(run_id)
        if run is not None:
            run.logged += len(events)
            if self._logged:
                log_events(run, events)
