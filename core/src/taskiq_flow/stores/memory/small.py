"""The small parts of the memory store: blobs, leases and workers."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve, frozen

from taskiq_flow.errors import BlobNotFound
from taskiq_flow.store import Blobs, Lease, Leases, WorkerInfo, WorkerTable
from taskiq_flow.stores.memory.state import State

__all__ = ["MemoryBlobs", "MemoryLeases", "MemoryWorkerTable"]


@frozen(eq=False)
class MemoryBlobs(Blobs):
    """Bytes by run and key."""

    _state: State

    async def put(self, run: str, key: str, data: bytes) -> None:
        """Keep bytes under a key of a run."""
        with self._state.lock:
            self._state.blobs.setdefault(run, {})[key] = bytes(data)

    async def get(self, run: str, key: str) -> bytes:
        """Return the bytes."""
        with self._state.lock:
            data = self._state.blobs.get(run, {}).get(key)
        if data is None:
            raise BlobNotFound(run, key)
        return data

    async def delete_run(self, run: str) -> None:
        """Forget all blobs of a run."""
        with self._state.lock:
            self._state.blobs.pop(run, None)


@frozen(eq=False)
class MemoryLeases(Leases):
    """Leases by name; a name keeps its last number when the lease is released.

    They expire by the steady time of this process, whatever its clock is set to.
    """

    _state: State

    async def acquire(self, name: str, holder: str, ttl: float) -> Lease | None:
        """Take a lease that is free or has expired."""
        state = self._state
        with state.lock:
            now, steady = state.clock.now(), state.clock.monotonic()
            current = state.leases.get(name)
            if current is not None and current.holder == holder:
                lease = evolve(current, expires_at=now + ttl)
            elif current is not None and state.lease_ends[name] > steady:
                return None
            else:
                number = state.numbers[name] = state.numbers.get(name, 0) + 1
                lease = Lease(name=name, holder=holder, number=number, expires_at=now + ttl)
            state.leases[name], state.lease_ends[name] = lease, steady + ttl
            return lease

    async def renew(self, lease: Lease, ttl: float) -> Lease | None:
        """Keep a lease for another ``ttl`` seconds from now."""
        state = self._state
        with state.lock:
            if not self._holds(lease):
                return None
            renewed = evolve(lease, expires_at=state.clock.now() + ttl)
            state.leases[lease.name] = renewed
            state.lease_ends[lease.name] = state.clock.monotonic() + ttl
            return renewed

    async def release(self, lease: Lease) -> None:
        """Release a lease."""
        with self._state.lock:
            if self._holds(lease):
                del self._state.leases[lease.name]

    def _holds(self, lease: Lease) -> bool:
        current = self._state.leases.get(lease.name)
        return current is not None and (current.number, current.holder) == (lease.number, lease.holder)


@frozen(eq=False)
class MemoryWorkerTable(WorkerTable):
    """Workers by id."""

    _state: State

    async def announce(self, worker: WorkerInfo) -> None:
        """Store a worker's announcement."""
        with self._state.lock:
            self._state.workers[worker.id] = worker

    async def list(self, pool: str) -> Sequence[WorkerInfo]:
        """Return the pool's workers, expired ones too, by id."""
        with self._state.lock:
            found = [worker for worker in self._state.workers.values() if worker.pool == pool]
        return sorted(found, key=lambda worker: worker.id)

    async def remove(self, worker: str) -> None:
        """Forget a worker."""
        with self._state.lock:
            self._state.workers.pop(worker, None)
