"""Known-bad tables of runs and logs: each is the memory store's with one defect that a store could have."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, ClassVar

from attrs import evolve

from taskiq_flow.errors import LeaseLost
from taskiq_flow.machine.events import AttemptFailed, Event
from taskiq_flow.store import Lease, RunOutcome, RunRecord
from taskiq_flow.stores.memory.log import MemoryRunLog
from taskiq_flow.stores.memory.runs import MemoryRunTable


class CreateOverwrites(MemoryRunTable):
    async def create(self, record: RunRecord) -> bool:
        known = record.id in self._state.runs
        await self.delete(record.id)
        await super().create(record)
        return not known


class CreateLooksFirst(MemoryRunTable):
    async def create(self, record: RunRecord) -> bool:
        if record.id in self._state.runs:
            return False
        await asyncio.sleep(0)
        self._state.drop(record.id)
        return await super().create(record)


class LosesLabels(MemoryRunTable):
    async def create(self, record: RunRecord) -> bool:
        return await super().create(evolve(record, labels={}))


class ListsAsCreated(MemoryRunTable):
    async def list(self, **wanted: Any) -> Sequence[RunRecord]:
        limit = wanted.pop("limit", 100)
        found = {record.id: record for record in await super().list(limit=10**6, **wanted)}
        return [found[run] for run in self._state.runs if run in found][:limit]


class LimitsBeforeChoosing(MemoryRunTable):
    async def list(self, *, limit: int = 100, **wanted: Any) -> Sequence[RunRecord]:
        newest = {record.id for record in await super().list(limit=limit)}
        return [record for record in await super().list(**wanted) if record.id in newest]


class FinishIgnoresFence(MemoryRunTable):
    async def finish(self, run: str, outcome: RunOutcome, *, lease: Lease) -> None:
        current = self._state.leases.get(lease.name, lease)
        self._state.leases.setdefault(lease.name, lease)
        await super().finish(run, outcome, lease=current)


class FinishReplaces(MemoryRunTable):
    async def finish(self, run: str, outcome: RunOutcome, *, lease: Lease) -> None:
        entry = self._state.entry(run)
        entry.record = evolve(entry.record, outcome=None)
        await super().finish(run, outcome, lease=lease)


class FinishWakesOne(MemoryRunTable):
    async def finish(self, run: str, outcome: RunOutcome, *, lease: Lease) -> None:
        entry = self._state.entry(run)
        entry.watchers._futures = entry.watchers._futures[:1]
        await super().finish(run, outcome, lease=lease)


class WaitPollsTheClock(MemoryRunTable):
    async def wait(self, run: str) -> RunRecord:
        while (record := await self.get(run)).outcome is None:
            await self._state.clock.sleep(0.2)
        return record


class WaitPollsTheMachine(MemoryRunTable):
    async def wait(self, run: str) -> RunRecord:
        while (record := await self.get(run)).outcome is None:
            await asyncio.sleep(0.01)
        return record


class DeleteLeavesBlobs(MemoryRunTable):
    async def delete(self, run: str) -> bool:
        kept = self._state.blobs.get(run)
        gone = await super().delete(run)
        if kept is not None:
            self._state.blobs[run] = kept
        return gone


class DeleteLeavesClaims(MemoryRunTable):
    kept: ClassVar[dict[str, Any]] = {}

    async def create(self, record: RunRecord) -> bool:
        made = await super().create(record)
        self._state.runs[record.id].claims.update(self.kept.pop(record.id, {}))
        return made

    async def delete(self, run: str) -> bool:
        if run in self._state.runs:
            self.kept[run] = self._state.runs[run].claims
        return await super().delete(run)


class DeleteByPrefix(MemoryRunTable):
    async def delete(self, run: str) -> bool:
        return any(
            [await super(DeleteByPrefix, self).delete(each) for each in _starting(self._state.runs, run)]
        )


def _starting(names: Iterable[str], prefix: str) -> list[str]:
    return [name for name in names if name.startswith(prefix)]


class DeleteForgetsWaiters(MemoryRunTable):
    async def delete(self, run: str) -> bool:
        return self._state.runs.pop(run, None) is not None


class DeletesByCreation(MemoryRunTable):
    async def delete_finished(self, *, before: float) -> int:
        old = [run for run, entry in self._state.runs.items() if entry.record.created_at < before]
        return sum([await self.delete(run) for run in old])


class AppendIgnoresFence(MemoryRunLog):
    async def append(self, batch: Mapping[str, Sequence[Event]], *, lease: Lease) -> None:
        held = self._state.leases.get(lease.name)
        self._state.leases[lease.name] = lease
        await super().append(batch, lease=lease)
        self._state.leases.pop(lease.name)
        if held is not None:
            self._state.leases[lease.name] = held


class AppendSkipsNothing(MemoryRunLog):
    async def append(self, batch: Mapping[str, Sequence[Event]], *, lease: Lease) -> None:
        if batch:
            await super().append(batch, lease=lease)


class FencesByHolder(MemoryRunLog):
    async def append(self, batch: Mapping[str, Sequence[Event]], *, lease: Lease) -> None:
        held = self._state.leases.get(lease.name)
        same = held is not None and held.holder == lease.holder
        await super().append(batch, lease=held if same and held is not None else lease)


class FencesByTime(MemoryRunLog):
    async def append(self, batch: Mapping[str, Sequence[Event]], *, lease: Lease) -> None:
        if self._state.leases[lease.name].expires_at <= self._state.clock.now():
            raise LeaseLost("expired")
        await super().append(batch, lease=lease)


class ChecksThenWrites(MemoryRunLog):
    async def append(self, batch: Mapping[str, Sequence[Event]], *, lease: Lease) -> None:
        self._state.fence(lease)
        await asyncio.sleep(0)
        for run, events in batch.items():
            entry = self._state.entry(run)
            entry.history.extend(events)
            entry.readers.ring()


class AppendsHalf(MemoryRunLog):
    async def append(self, batch: Mapping[str, Sequence[Event]], *, lease: Lease) -> None:
        self._state.fence(lease)
        for run, events in batch.items():
            await super().append({run: events}, lease=lease)


class ReversesBatches(MemoryRunLog):
    async def append(self, batch: Mapping[str, Sequence[Event]], *, lease: Lease) -> None:
        await super().append({run: list(reversed(events)) for run, events in batch.items()}, lease=lease)


class LosesTracebacks(MemoryRunLog):
    async def read(self, run: str, offset: int = 0) -> Sequence[Event]:
        return [_without_traceback(event) for event in await super().read(run, offset)]


def _without_traceback(event: Event) -> Event:
    return (
        evolve(event, failure=evolve(event.failure, traceback=""))
        if isinstance(event, AttemptFailed)
        else event
    )


class ReadsFromOne(MemoryRunLog):
    async def read(self, run: str, offset: int = 0) -> Sequence[Event]:
        return await super().read(run, max(0, offset - 1))


class FollowPolls(MemoryRunLog):
    async def follow(self, run: str, offset: int = 0) -> AsyncIterator[Event]:
        while True:
            done = self._state.entry(run).record.outcome is not None
            for event in await self.read(run, offset):
                yield event
                offset += 1
            if done:
                return
            await self._state.clock.sleep(0.2)


class FollowMisses(MemoryRunLog):
    """Waits for the next ring after it gave what there was: what came meanwhile is not seen."""

    async def follow(self, run: str, offset: int = 0) -> AsyncIterator[Event]:
        entry = self._state.entry(run)
        while entry.record.outcome is None or offset < len(entry.history):
            for event in entry.history.since(offset):
                yield event
                offset += 1
            if entry.record.outcome is None:
                await self._state.wait(entry.readers, entry.readers.enlist())


class FollowEndsWhenIdle(MemoryRunLog):
    async def follow(self, run: str, offset: int = 0) -> AsyncIterator[Event]:
        for event in await self.read(run, offset):
            yield event


class FollowEndsEarly(MemoryRunLog):
    """Ends at the outcome, without what a slow reader has not got yet."""

    async def follow(self, run: str, offset: int = 0) -> AsyncIterator[Event]:
        entry = self._state.entry(run)
        async for event in super().follow(run, offset):
            if entry.record.outcome is not None:
                return
            yield event
