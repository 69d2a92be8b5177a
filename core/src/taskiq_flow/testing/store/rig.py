"""The rig of a check: a store, a clock, and ways to wait that end even when the store never answers."""

from __future__ import annotations

import asyncio
import unittest
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

from attrs import define, field

from taskiq_flow.clock import Clock
from taskiq_flow.errors import StoreError
from taskiq_flow.store import Lease, RunRecord, RunStore
from taskiq_flow.testing.clock import FakeClock, settle
from taskiq_flow.testing.store import samples

__all__ = ["Rig"]

T = TypeVar("T")

REST = 0.05
"""The time in which a store outside the process could do something forbidden, in seconds."""


@define(kw_only=True)
class Rig:
    """A store under test.

    :param store: The store, started.
    :param clock: The store's clock.
    :param in_process: Whether it answers without waiting for anything outside the event loop.
    :param shared_by_loops: Whether it may be used from several event loops in several threads.
    :param patience: The time in which a store that is not ``in_process`` must wake a waiter, in seconds.
    :param ttl: A time to live for leases and workers that a check can let pass, in seconds.
    :param reopen: Returns another store object on the same data.
    :param residue: Returns the names of a run's remains in the raw data.
    """

    store: RunStore
    clock: Clock
    in_process: bool
    shared_by_loops: bool
    patience: float
    ttl: float
    reopen: Callable[[], Awaitable[RunStore]]
    residue: Callable[[str], Awaitable[Iterable[str]]]
    _tasks: list[asyncio.Future[Any]] = field(factory=list, init=False)

    async def run(self, run: str = "run", **changes: Any) -> RunRecord:
        """Create a run."""
        record = samples.record(run, **changes)
        assert await self.store.runs.create(record), f"create of the new run {run!r} gave False"
        return record

    async def lease(
        self, holder: str = "driver", *, name: str = "pool:pool", ttl: float | None = None
    ) -> Lease:
        """Acquire a lease that must be free."""
        lease = await self.store.leases.acquire(name, holder, self.ttl if ttl is None else ttl)
        assert lease is not None, f"acquire of the free lease {name!r} gave None"
        return lease

    async def takeover(self, holder: str = "second driver") -> Lease:
        """Let the lease of the pool expire, and acquire it for another holder."""
        await self.pass_time(self.ttl * 1.1)
        return await self.lease(holder)

    async def finish(self, run: str, lease: Lease, *, at: float = 200.0) -> None:
        """Give a run its outcome."""
        await self.store.runs.finish(run, samples.outcome(at=at), lease=lease)

    async def check_held(self, lease: Lease, other: str, promise: str) -> None:
        """Check that another holder does not get a lease that has not expired.

        :param promise: The message of the failure when it does.
        :raises unittest.SkipTest: a real clock went past the lease's term meanwhile.
        """
        found = await self.store.leases.acquire(lease.name, other, self.ttl)
        assert found is None or self.clock.now() >= lease.expires_at, promise
        if found is not None:
            raise unittest.SkipTest("the lease expired while it was checked; give the kit a longer ttl")

    async def pass_time(self, seconds: float) -> None:
        """Let time pass: at once where the clock is fake."""
        if isinstance(self.clock, FakeClock):
            self.clock.advance(seconds)
        else:
            await asyncio.sleep(seconds)

    async def rest(self) -> None:
        """Let all other tasks run as far as they can."""
        if self.in_process:
            await settle()
        else:
            await asyncio.sleep(REST)

    async def start(self, awaitable: Awaitable[T]) -> asyncio.Future[T]:
        """Start a task, and let it run until it waits."""
        task = asyncio.ensure_future(awaitable)
        self._tasks.append(task)
        await self.rest()
        return task

    async def soon(self, awaitable: Awaitable[T], promise: str) -> T:
        """Await something that must need no time.

        :param promise: The message of the failure when it still waits.
        """
        task = asyncio.ensure_future(awaitable)
        self._tasks.append(task)
        before = self.clock.now()
        if self.in_process:
            await settle()
        else:
            await asyncio.wait({task}, timeout=self.patience)
        assert task.done(), f"{promise}: it still waits"
        if isinstance(self.clock, FakeClock):
            assert self.clock.now() == before
        return await task

    def waits(self, task: asyncio.Future[Any], promise: str) -> None:
        """Check that a task still waits.

        :param promise: The message of the failure when it does not.
        """
        if task.done():
            found = f"raised {task.exception()!r}" if task.exception() else f"gave {task.result()!r}"
            raise AssertionError(f"{promise}: it {found}")

    async def expect_refusal(
        self, awaitable: Awaitable[Any], error: type[StoreError], promise: str
    ) -> StoreError:
        """Await something that must raise.

        :param promise: The message of the failure when it does not.
        """
        try:
            found = await self.soon(awaitable, promise)
        except error as raised:
            return raised
        raise AssertionError(f"{promise}: expected {error.__name__}, found {found!r}")

    async def close(self) -> None:
        """Cancel the tasks that a check left waiting."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
