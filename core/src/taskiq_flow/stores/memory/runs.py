"""Runs, in memory."""

from __future__ import annotations

import weakref
from collections.abc import Sequence

from attrs import evolve, frozen

from taskiq_flow.errors import RunNotFound
from taskiq_flow.store import Lease, RunOutcome, RunRecord, RunTable
from taskiq_flow.stores.memory.state import Entry, State

__all__ = ["MemoryRunTable"]


@frozen(eq=False)
class MemoryRunTable(RunTable):
    """Runs as they were created, not encoded."""

    _state: State

    async def create(self, record: RunRecord) -> bool:
        """Keep a new run."""
        state = self._state
        with state.lock:
            if record.id in state.runs:
                return False
            # A copy, so that the caller's own record lives only as long as a caller holds it.
            entry = Entry(evolve(record), weakref.ref(record))
            state.runs[record.id] = entry
            if record.outcome is not None:
                state.keep_finished(record.id, entry)
            return True

    async def get(self, run: str) -> RunRecord:
        """Return a run."""
        with self._state.lock:
            return self._state.entry(run).record

    async def list(
        self, *, pool: str | None = None, active: bool | None = None, limit: int = 100
    ) -> Sequence[RunRecord]:
        """Return runs, the newest first."""
        with self._state.lock:
            found = [
                entry.record
                for entry in reversed(self._state.runs.values())
                if (pool is None or entry.record.pool == pool)
                and (active is None or (entry.record.outcome is None) is active)
            ]
        found.sort(key=lambda record: record.created_at, reverse=True)
        return found[: max(0, limit)]

    async def finish(self, run: str, outcome: RunOutcome, *, lease: Lease) -> None:
        """Store the outcome of a run, and wake waiters and followers."""
        state = self._state
        with state.lock:
            state.fence(lease)
            entry = state.entry(run)
            if entry.record.outcome is not None:
                return
            entry.record = evolve(entry.record, outcome=outcome)
            entry.ring()
            state.keep_finished(run, entry)

    async def wait(self, run: str) -> RunRecord:
        """Return the run once it has an outcome."""
        state = self._state
        entry = state.hold(run)
        try:
            while True:
                with state.lock:
                    if state.runs.get(run) is not entry:
                        raise RunNotFound(run)
                    if entry.record.outcome is not None:
                        return entry.record
                    waiter = entry.watchers.enlist()
                await state.wait(entry.watchers, waiter)
        finally:
            state.let_go(entry)

    async def delete(self, run: str) -> bool:
        """Forget a run with its log, claims and blobs."""
        with self._state.lock:
            return self._state.drop(run)

    async def delete_finished(self, *, before: float) -> int:
        """Forget all runs that finished before a time."""
        state = self._state
        with state.lock:
            old = [
                run
                for run, entry in state.finished.items()
                if entry.record.outcome is not None and entry.record.outcome.at < before
            ]
            for run in old:
                state.drop(run)
        return len(old)
