"""Known-bad inboxes, blobs, leases and workers: each is the memory store's with one defect that a store could have."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from attrs import evolve

from taskiq_flow.errors import BlobNotFound
from taskiq_flow.machine.events import CellStarted
from taskiq_flow.store import Lease, Notice, WorkerInfo
from taskiq_flow.stores.memory.inbox import MemoryInbox
from taskiq_flow.stores.memory.small import MemoryBlobs, MemoryLeases, MemoryWorkerTable


class PutsInFront(MemoryInbox):
    async def put(self, pool: str, notices: Iterable[Notice]) -> None:
        await super().put(pool, notices)
        self._state.box(pool).notices.reverse()


class PutWakesNobody(MemoryInbox):
    async def put(self, pool: str, notices: Iterable[Notice]) -> None:
        self._state.box(pool).waiters._futures = ()
        await super().put(pool, notices)


class PutWakesForeignLoopsDirectly(MemoryInbox):
    async def put(self, pool: str, notices: Iterable[Notice]) -> None:
        for waiter in self._state.box(pool).waiters._futures:
            waiter.set_result(True)
        await super().put(pool, notices)


class TakeForgets(MemoryInbox):
    async def take(self, pool: str, limit: int = 1000) -> Sequence[tuple[Any, Notice]]:
        taken = await super().take(pool, limit)
        await self.acknowledge(pool, [token for token, _ in taken])
        return taken


class TokensArePlaces(MemoryInbox):
    async def take(self, pool: str, limit: int = 1000) -> Sequence[tuple[Any, Notice]]:
        return [(place, notice) for place, (_, notice) in enumerate(await super().take(pool, limit))]

    async def acknowledge(self, pool: str, tokens: Iterable[Any]) -> None:
        here = [token for token, _ in await super().take(pool)]
        await super().acknowledge(pool, [here[place] for place in tokens if place < len(here)])


class AcknowledgesUpTo(MemoryInbox):
    async def acknowledge(self, pool: str, tokens: Iterable[Any]) -> None:
        last = max(tokens, default=-1)
        here = [token for token, _ in await super().take(pool)]
        await super().acknowledge(pool, [token for token in here if token <= last])


class AcknowledgesAll(MemoryInbox):
    async def acknowledge(self, pool: str, tokens: Iterable[Any]) -> None:
        if list(tokens):
            self._state.box(pool).notices.clear()


class OnePool(MemoryInbox):
    async def put(self, pool: str, notices: Iterable[Notice]) -> None:
        await super().put("all", notices)

    async def take(self, pool: str, limit: int = 1000) -> Sequence[tuple[Any, Notice]]:
        return await super().take("all", limit)


class WaitsForNewOnly(MemoryInbox):
    async def wait(self, pool: str, timeout: float | None) -> None:
        box = self._state.box(pool)
        await self._state.wait(box.waiters, box.waiters.enlist(), timeout)


class WaitIgnoresItsTime(MemoryInbox):
    async def wait(self, pool: str, timeout: float | None) -> None:
        await super().wait(pool, None)


class WaitGivesUp(MemoryInbox):
    async def wait(self, pool: str, timeout: float | None) -> None:
        await super().wait(pool, 100.0 if timeout is None else timeout)


class ClaimLooksFirst(MemoryInbox):
    async def claim(self, pool: str, notice: Notice, *, worker: str) -> bool:
        assert isinstance(notice.event, CellStarted)
        attempt = (notice.event.cell, notice.event.attempt)
        entry = self._state.entry(notice.run)
        if attempt in entry.claims:
            return False
        await asyncio.sleep(0)
        entry.claims[attempt] = worker
        await self.put(pool, [notice])
        return True


class ClaimIsReentrant(MemoryInbox):
    async def claim(self, pool: str, notice: Notice, *, worker: str) -> bool:
        if await super().claim(pool, notice, worker=worker):
            return True
        entry, event = self._state.runs.get(notice.run), notice.event
        assert isinstance(event, CellStarted)
        return entry is not None and entry.claims.get((event.cell, event.attempt)) == worker


class ClaimPutsAlways(MemoryInbox):
    async def claim(self, pool: str, notice: Notice, *, worker: str) -> bool:
        won = await super().claim(pool, notice, worker=worker)
        if not won:
            await self.put(pool, [notice])
        return won


class ClaimIgnoresAttempts(MemoryInbox):
    async def claim(self, pool: str, notice: Notice, *, worker: str) -> bool:
        assert isinstance(notice.event, CellStarted)
        entry = self._state.runs.get(notice.run)
        if entry and any(cell == notice.event.cell for cell, _ in entry.claims):
            return False
        return await super().claim(pool, notice, worker=worker)


class ClaimsOfFinishedRuns(MemoryInbox):
    async def claim(self, pool: str, notice: Notice, *, worker: str) -> bool:
        entry = self._state.runs.get(notice.run)
        if entry is not None:
            entry.record = evolve(entry.record, outcome=None)
        return await super().claim(pool, notice, worker=worker)


class ClaimsAnything(MemoryInbox):
    async def claim(self, pool: str, notice: Notice, *, worker: str) -> bool:
        if not isinstance(notice.event, CellStarted):
            await self.put(pool, [notice])
            return True
        return await super().claim(pool, notice, worker=worker)


class RevokeOverrules(MemoryInbox):
    async def revoke(self, run: str, cell: str, attempt: int) -> bool:
        self._state.entry(run).claims[cell, attempt] = None
        return True


class RevokeForgets(MemoryInbox):
    async def revoke(self, run: str, cell: str, attempt: int) -> bool:
        return self._state.entry(run).claims.get((cell, attempt)) is None


class BlobsAreKeptOnce(MemoryBlobs):
    async def put(self, run: str, key: str, data: bytes) -> None:
        self._state.blobs.setdefault(run, {}).setdefault(key, data)


class BlobsNeedTheirRun(MemoryBlobs):
    async def put(self, run: str, key: str, data: bytes) -> None:
        if run in self._state.runs:
            await super().put(run, key, data)


class BlobsOfAllRuns(MemoryBlobs):
    async def get(self, run: str, key: str) -> bytes:
        for held in self._state.blobs.values():
            if key in held:
                return held[key]
        return await super().get(run, key)


class BlobsIgnoreCase(MemoryBlobs):
    async def put(self, run: str, key: str, data: bytes) -> None:
        await super().put(run, key.lower(), data)

    async def get(self, run: str, key: str) -> bytes:
        return await super().get(run, key.lower())


class BlobsJoinNames(MemoryBlobs):
    async def put(self, run: str, key: str, data: bytes) -> None:
        await super().put(f"{run}:{key}", "", data)

    async def get(self, run: str, key: str) -> bytes:
        try:
            return await super().get(f"{run}:{key}", "")
        except BlobNotFound:
            raise BlobNotFound(run, key) from None


class BlobsAreText(MemoryBlobs):
    async def put(self, run: str, key: str, data: bytes) -> None:
        await super().put(run, key, data.decode(errors="replace").encode())


class LeaseNumbersStartAgain(MemoryLeases):
    async def release(self, lease: Lease) -> None:
        await super().release(lease)
        if lease.name not in self._state.leases:
            self._state.numbers.pop(lease.name, None)


class LeasesNeverExpire(MemoryLeases):
    async def acquire(self, name: str, holder: str, ttl: float) -> Lease | None:
        held = self._state.leases.get(name)
        return None if held and held.holder != holder else await super().acquire(name, holder, ttl)


class LeaseLooksFirst(MemoryLeases):
    async def acquire(self, name: str, holder: str, ttl: float) -> Lease | None:
        held = self._state.leases.get(name)
        if held is not None and held.holder != holder and held.expires_at > self._state.clock.now():
            return None
        await asyncio.sleep(0)
        self._state.leases.pop(name, None)
        return await super().acquire(name, holder, ttl)


class LeaseRenumbered(MemoryLeases):
    async def acquire(self, name: str, holder: str, ttl: float) -> Lease | None:
        held = self._state.leases.get(name)
        if held is not None and held.holder == holder:
            await self.release(held)
        return await super().acquire(name, holder, ttl)


class RenewTakesBack(MemoryLeases):
    async def renew(self, lease: Lease, ttl: float) -> Lease | None:
        self._state.leases[lease.name] = lease
        return await super().renew(lease, ttl)


class RenewForgetsTheTerm(MemoryLeases):
    async def renew(self, lease: Lease, ttl: float) -> Lease | None:
        held, term = self._state.leases.get(lease.name), self._state.lease_ends.get(lease.name, 0.0)
        renewed = await super().renew(lease, ttl)
        if held is not None:
            self._state.leases[lease.name], self._state.lease_ends[lease.name] = held, term
        return renewed


class ReleaseByName(MemoryLeases):
    async def release(self, lease: Lease) -> None:
        self._state.leases.pop(lease.name, None)


class WorkersExpire(MemoryWorkerTable):
    async def list(self, pool: str) -> Sequence[WorkerInfo]:
        now = self._state.clock.now()
        return [worker for worker in await super().list(pool) if worker.expires_at > now]


class NoTasksIsUnknownTasks(MemoryWorkerTable):
    async def announce(self, worker: WorkerInfo) -> None:
        await super().announce(evolve(worker, tasks=worker.tasks or None))


class WorkersAsTheyCome(MemoryWorkerTable):
    async def list(self, pool: str) -> Sequence[WorkerInfo]:
        return [worker for worker in self._state.workers.values() if worker.pool == pool]
