"""What happened to each run, in memory: nothing is encoded, and what is usual is kept small."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

from attrs import frozen

from taskiq_flow.errors import RunNotFound
from taskiq_flow.machine.events import Event
from taskiq_flow.store import Lease, RunLog
from taskiq_flow.stores.memory.state import State

__all__ = ["MemoryRunLog"]


@frozen(eq=False)
class MemoryRunLog(RunLog):
    """One history per run."""

    _state: State

    async def append(self, batch: Mapping[str, Sequence[Event]], *, lease: Lease) -> None:
        """Add events to the logs of several runs, all or nothing."""
        state = self._state
        with state.lock:
            state.fence(lease)
            if len(batch) == 1:
                for run, events in batch.items():
                    entry = state.entry(run)
                    entry.history.extend(events)
                    if entry.readers and events:
                        entry.readers.ring()
                return
            found = [(state.entry(run), events) for run, events in batch.items()]
            for entry, events in found:
                if events:
                    entry.history.extend(events)
                    entry.readers.ring()

    async def read(self, run: str, offset: int = 0) -> Sequence[Event]:
        """Return a run's events from an offset."""
        with self._state.lock:
            return self._state.entry(run).history.since(offset)

    async def follow(self, run: str, offset: int = 0) -> AsyncIterator[Event]:
        """Yield a run's events from an offset, as they come."""
        state = self._state
        entry = state.hold(run)
        try:
            while True:
                with state.lock:
                    if state.runs.get(run) is not entry:
                        raise RunNotFound(run)
                    fresh = entry.history.since(offset)
                    if not fresh and entry.record.outcome is not None:
                        return
                    waiter = None if fresh else entry.readers.enlist()
                for event in fresh:
                    yield event
                offset += len(fresh)
                if waiter is not None:
                    await state.wait(entry.readers, waiter)
        finally:
            state.let_go(entry)
