"""A store with its blobs in another place, which are deleted with their runs all the same."""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Sequence

from attrs import field, frozen

from taskiq_flow._logs import open_log
from taskiq_flow.errors import RunNotFound, StoreError
from taskiq_flow.store import Blobs, BlobStore, Lease, RunOutcome, RunRecord, RunStore, RunTable

__all__ = ["StoreWithBlobs"]

logger = open_log("taskiq_flow")

_EVERYTHING = 1_000_000
# The number of finished runs to look up at the end of each run; more than one, so that their queue does not grow.
_LOOKUPS_PER_RUN = 2


class StoreWithBlobs(RunStore):
    """A store, with another place for its blobs.

    :param store: The store for everything else.
    :param place: The place for large values.
    """

    def __init__(self, store: RunStore, place: BlobStore) -> None:
        self.store = store
        self.place = place
        # Places for blobs may be used from anywhere, so the store decides.
        self.shared_by_loops = store.shared_by_loops  # type: ignore[misc]
        self.shared_by_processes = store.shared_by_processes  # type: ignore[misc]
        blobs = _SeenBlobs(place) if store.drops_runs else place
        self.runs = _RunsWithBlobs(store.runs, blobs)
        self.blobs = blobs
        self.log, self.inbox = store.log, store.inbox
        self.leases, self.workers = store.leases, store.workers

    @classmethod
    def from_url(cls, url: str) -> StoreWithBlobs:
        """Refuse, because a URL names only one of the two.

        :raises StoreError: always.
        """
        raise StoreError(
            f"{url!r} names one store, and this one is made of two; use Flow(broker, store=…, blobs=…)"
        )

    async def startup(self) -> None:
        """Connect both."""
        await self.store.startup()
        await self.place.startup()

    async def shutdown(self) -> None:
        """Disconnect both."""
        await self.place.shutdown()
        await self.store.shutdown()


@frozen(eq=False)
class _SeenBlobs(Blobs):
    """Blobs, and the runs that had some, for a store that drops finished runs by itself."""

    _place: BlobStore
    seen: dict[str, None] = field(factory=dict)

    async def put(self, run: str, key: str, data: bytes) -> None:
        self.seen[run] = None
        await self._place.put(run, key, data)

    async def get(self, run: str, key: str) -> bytes:
        return await self._place.get(run, key)

    async def delete_run(self, run: str) -> None:
        await self._place.delete_run(run)
        self.seen.pop(run, None)


@frozen(eq=False)
class _RunsWithBlobs(RunTable):
    """Runs that are deleted with their blobs. Blobs go first: if that fails, the run can be deleted again."""

    _runs: RunTable
    _blobs: Blobs
    _finished: deque[str] = field(factory=deque)

    async def create(self, record: RunRecord) -> bool:
        return await self._runs.create(record)

    async def get(self, run: str) -> RunRecord:
        return await self._runs.get(run)

    async def list(
        self, *, pool: str | None = None, active: bool | None = None, limit: int = 100
    ) -> Sequence[RunRecord]:
        return await self._runs.list(pool=pool, active=active, limit=limit)

    async def finish(self, run: str, outcome: RunOutcome, *, lease: Lease) -> None:
        await self._runs.finish(run, outcome, lease=lease)
        if isinstance(self._blobs, _SeenBlobs):
            await self._sweep(run, self._blobs.seen)

    async def wait(self, run: str) -> RunRecord:
        return await self._runs.wait(run)

    async def delete(self, run: str) -> bool:
        await self._blobs.delete_run(run)
        there = await self._runs.delete(run)
        # Once more, for blobs that were put in between.
        await self._blobs.delete_run(run)
        return there

    async def delete_finished(self, *, before: float) -> int:
        finished = await self._runs.list(active=False, limit=_EVERYTHING)
        old = [record.id for record in finished if record.outcome is not None and record.outcome.at < before]
        return sum([await self.delete(run) for run in old])

    async def _sweep(self, run: str, seen: Container[str]) -> None:
        """Delete the blobs of runs that the store dropped by itself; a memory store keeps only the last ones."""
        if run in seen:
            self._finished.append(run)
        for _ in range(min(_LOOKUPS_PER_RUN, len(self._finished))):
            oldest = self._finished.popleft()
            try:
                await self._runs.get(oldest)
                self._finished.append(oldest)
            except RunNotFound:
                await self._delete_blobs(oldest)
            except Exception:
                logger.exception("cannot tell whether run %s still needs its blobs", oldest)
                self._finished.append(oldest)

    async def _delete_blobs(self, run: str) -> None:
        try:
            await self._blobs.delete_run(run)
        except Exception:
            logger.exception("cannot delete the blobs of run %s yet", run)
            self._finished.append(run)
