"""The shared state of a memory store's parts: the data, one lock, and the waiters.

Every method of the parts does its work under the lock, without awaiting in it, so each is one step for
every thread and event loop. The lock is reentrant, because an abandoned coroutine that waits here may be
garbage-collected at any allocation, and its clean-up needs the lock too. A waiter's future belongs to the
event loop of its caller, which may be another one for every call.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import weakref
from collections import OrderedDict, deque
from contextlib import AbstractContextManager

from attrs import define, field, frozen

from taskiq_flow.clock import Clock, wake
from taskiq_flow.errors import LeaseLost, RunNotFound
from taskiq_flow.store import Lease, Notice, RunRecord, WorkerInfo
from taskiq_flow.stores.memory.history import History, size_in_memory

__all__ = ["Claims", "Entry", "NoticeBox", "State", "Waiters"]

logger = logging.getLogger("taskiq_flow")

Claims = dict[tuple[str, int], "str | None"]
"""The worker that claimed each attempt, by cell and number; ``None`` for a revoked attempt."""

_IN_USE_PER_TRIM = 8
"""The most runs in use that trimming passes over at a time, so that it stays cheap."""


@define(eq=False)
class Waiters:
    """Futures that wait for one thing."""

    # Most runs have two of these where nobody waits, which is what a shared empty tuple is enough for.
    _futures: list[asyncio.Future[bool]] | tuple[()] = ()

    def __len__(self) -> int:
        """Return the number of waiters."""
        return len(self._futures)

    def enlist(self) -> asyncio.Future[bool]:
        """Make a future on the running loop, which the next :meth:`ring` sets to true."""
        waiter: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if self._futures:
            self._futures.append(waiter)
        else:
            self._futures = [waiter]
        return waiter

    def ring(self) -> None:
        """Wake all waiters."""
        if self._futures:
            woken, self._futures = self._futures, ()
            for waiter in woken:
                wake(waiter, True)

    def dismiss(self, waiter: asyncio.Future[bool]) -> None:
        """Forget one who waits no more; it may have been woken already."""
        if self._futures and waiter in self._futures:
            self._futures.remove(waiter)


@define(eq=False)
class Entry:
    """One run with its log, claims and waiters.

    :ivar size: About how many bytes it takes, once it has finished.
    """

    record: RunRecord
    created_with: weakref.ref[RunRecord]
    history: History = field(factory=History)
    claims: Claims = field(factory=dict)
    readers: Waiters = field(factory=Waiters)
    watchers: Waiters = field(factory=Waiters)
    uses: int = 0
    size: int = 0

    @property
    def in_use(self) -> bool:
        """Whether a caller waits for it, follows it, or holds the record that it was created with."""
        return self.uses > 0 or self.created_with() is not None

    def ring(self) -> None:
        """Wake all that wait for the run or follow its log."""
        self.readers.ring()
        self.watchers.ring()


@define(eq=False)
class NoticeBox:
    """The notices of one pool, each with its token; the first is never an acknowledged one."""

    notices: deque[tuple[int, Notice]] = field(factory=deque)
    next_token: int = 0
    acknowledged: set[int] = field(factory=set)
    waiters: Waiters = field(factory=Waiters)

    def deliver(self, notice: Notice) -> None:
        """Add one notice, without waking anybody."""
        self.notices.append((self.next_token, notice))
        self.next_token += 1


@frozen(eq=False)
class State:
    """All that a memory store holds."""

    clock: Clock
    max_finished_runs: int
    max_finished_bytes: int
    lock: AbstractContextManager[bool] = field(factory=threading.RLock)
    runs: dict[str, Entry] = field(factory=dict)
    finished: OrderedDict[str, Entry] = field(factory=OrderedDict)
    blobs: dict[str, dict[str, bytes]] = field(factory=dict)
    boxes: dict[str, NoticeBox] = field(factory=dict)
    leases: dict[str, Lease] = field(factory=dict)
    lease_ends: dict[str, float] = field(factory=dict)
    numbers: dict[str, int] = field(factory=dict)
    workers: dict[str, WorkerInfo] = field(factory=dict)
    # How many bytes the finished runs take, and whether somebody was told that some were forgotten.
    _totals: dict[str, int] = field(factory=lambda: {"bytes": 0, "told": 0})

    def entry(self, run: str) -> Entry:
        """Return a run.

        :raises RunNotFound: there is none of that id.
        """
        entry = self.runs.get(run)
        if entry is None:
            raise RunNotFound(run)
        return entry

    def hold(self, run: str) -> Entry:
        """Give a run, which is not dropped only because it has finished, until :meth:`let_go`."""
        with self.lock:
            entry = self.entry(run)
            entry.uses += 1
            return entry

    def let_go(self, entry: Entry) -> None:
        """Hold a run no longer."""
        with self.lock:
            entry.uses -= 1

    async def wait(
        self, waiters: Waiters, waiter: asyncio.Future[bool], timeout: float | None = None
    ) -> None:
        """Wait with an enlisted future; the only place where a part awaits."""
        try:
            if timeout is None:
                await waiter
            else:
                await self.clock.wait(waiter, timeout)
        finally:
            with self.lock:
                waiters.dismiss(waiter)

    def box(self, pool: str) -> NoticeBox:
        """Return the notices of a pool."""
        box = self.boxes.get(pool)
        if box is None:
            box = self.boxes[pool] = NoticeBox()
        return box

    def forget_unused(self, pool: str) -> None:
        """Forget a box that never had a notice and has no waiter.

        Each event loop's worker has an inbox of its own, and few of them ever get a notice.
        """
        box = self.boxes.get(pool)
        if box is not None and not box.next_token and not box.waiters:
            del self.boxes[pool]

    def fence(self, lease: Lease) -> None:
        """Refuse a lost lease.

        :raises LeaseLost: another holder took it over, or it was released.
        """
        current = self.leases.get(lease.name)
        if current is None:
            raise LeaseLost(
                f"lease {lease.name!r} number {lease.number} of {lease.holder!r} is held by nobody; "
                "stop writing, and acquire it again"
            )
        if current.number != lease.number or current.holder != lease.holder:
            raise LeaseLost(
                f"lease {lease.name!r} number {lease.number} of {lease.holder!r} was taken over by "
                f"{current.holder!r} with number {current.number}; stop writing"
            )

    def drop(self, run: str) -> bool:
        """Delete a run with its blobs, and wake its waiters; return whether it was there."""
        self.blobs.pop(run, None)
        if (finished := self.finished.pop(run, None)) is not None:
            self._totals["bytes"] -= finished.size
        entry = self.runs.pop(run, None)
        if entry is None:
            return False
        entry.ring()
        return True

    def keep_finished(self, run: str, entry: Entry) -> None:
        """Count a run among the finished ones, and forget those that are too many."""
        outcome = entry.record.outcome
        values = [*entry.record.inputs.values(), *(() if outcome is None else outcome.outputs.values())]
        blobs = self.blobs.get(run, {}).values()
        entry.size = entry.history.size() + sum(map(size_in_memory, values)) + sum(map(len, blobs))
        self._totals["bytes"] += entry.size
        self.finished[run] = entry
        self._trim()

    def _trim(self) -> None:
        """Delete the runs that finished first, beyond the limits; a run in use counts as new."""
        in_use = 0
        while self._are_too_many() and in_use < _IN_USE_PER_TRIM:
            run, entry = next(iter(self.finished.items()))
            if entry.in_use:
                self.finished.move_to_end(run)
                in_use += 1
                continue
            self.drop(run)
            if not self._totals["told"]:
                self._totals["told"] = 1
                logger.warning(
                    "the memory store begins to forget the oldest finished runs, as it keeps %d runs and %d MiB; raise "
                    "max_finished_runs or max_finished_bytes, or use another store",
                    self.max_finished_runs,
                    self.max_finished_bytes >> 20,
                )

    def _are_too_many(self) -> bool:
        if not self.finished:
            return False
        return len(self.finished) > self.max_finished_runs or self._totals["bytes"] > self.max_finished_bytes
