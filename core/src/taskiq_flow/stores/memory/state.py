"""What the parts of a memory store share: the data, one lock, and those who wait.

Every method of the parts does its work under the lock and without awaiting in it, so each is one
step for every thread and event loop. The lock is a reentrant one, because an abandoned coroutine that
waits here may be collected at any allocation, and its clean-up needs the lock too. Futures belong to
whoever waits; they are made on the running loop, which may be another one for every call.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections import OrderedDict, deque
from contextlib import AbstractContextManager

from attrs import define, field, frozen

from taskiq_flow.clock import Clock, wake
from taskiq_flow.errors import LeaseLost, RunNotFound
from taskiq_flow.store import Lease, Notice, RunRecord, WorkerInfo
from taskiq_flow.stores.memory.history import History

__all__ = ["Claims", "Entry", "NoticeBox", "State", "Waiters"]

Claims = dict[tuple[str, int], "str | None"]
"""Who has claimed which attempt, by cell and number; ``None`` where it was revoked."""

KEPT_PER_TURN = 8
"""How many runs that are still in use one finishing run looks past, so that trimming stays cheap."""


@define(eq=False)
class Waiters:
    """Futures of those who wait for one thing."""

    # Most runs have two of these where nobody waits, which is what a shared empty tuple is enough for.
    _futures: list[asyncio.Future[bool]] | tuple[()] = ()

    def __len__(self) -> int:
        """Give how many wait."""
        return len(self._futures)

    def enlist(self) -> asyncio.Future[bool]:
        """Make a future on the running loop, which the next :meth:`ring` makes true."""
        waiter: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if self._futures:
            self._futures.append(waiter)
        else:
            self._futures = [waiter]
        return waiter

    def ring(self) -> None:
        """Wake everybody."""
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
    """One run."""

    record: RunRecord
    created_with: weakref.ref[RunRecord]
    history: History = field(factory=History)
    claims: Claims = field(factory=dict)
    readers: Waiters = field(factory=Waiters)
    watchers: Waiters = field(factory=Waiters)
    uses: int = 0

    @property
    def in_use(self) -> bool:
        """Whether somebody waits for it, follows it, or holds the record that it was created with."""
        return self.uses > 0 or self.created_with() is not None

    def ring(self) -> None:
        """Wake all who wait for the run or read its log."""
        self.readers.ring()
        self.watchers.ring()


@define(eq=False)
class NoticeBox:
    """The notices of one pool, each after its token; the first of them is never an acknowledged one."""

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
    lock: AbstractContextManager[bool] = field(factory=threading.RLock)
    runs: dict[str, Entry] = field(factory=dict)
    finished: OrderedDict[str, Entry] = field(factory=OrderedDict)
    blobs: dict[str, dict[str, bytes]] = field(factory=dict)
    boxes: dict[str, NoticeBox] = field(factory=dict)
    leases: dict[str, Lease] = field(factory=dict)
    numbers: dict[str, int] = field(factory=dict)
    workers: dict[str, WorkerInfo] = field(factory=dict)

    def entry(self, run: str) -> Entry:
        """Give a run, or say that there is none."""
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
        """Wait as one who was enlisted; the only place where a part awaits."""
        try:
            if timeout is None:
                await waiter
            else:
                await self.clock.wait(waiter, timeout)
        finally:
            with self.lock:
                waiters.dismiss(waiter)

    def box(self, pool: str) -> NoticeBox:
        """Give the notices of a pool."""
        box = self.boxes.get(pool)
        if box is None:
            box = self.boxes[pool] = NoticeBox()
        return box

    def forget_unused(self, pool: str) -> None:
        """Forget a box that never had a notice and where nobody waits.

        Each event loop's worker has an address of its own, and few of them ever get a notice.
        """
        box = self.boxes.get(pool)
        if box is not None and not box.next_token and not box.waiters:
            del self.boxes[pool]

    def fence(self, lease: Lease) -> None:
        """Refuse a writer whose lease is lost."""
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
        """Forget a run and all that hangs on it."""
        self.blobs.pop(run, None)
        self.finished.pop(run, None)
        entry = self.runs.pop(run, None)
        if entry is None:
            return False
        entry.ring()
        return True

    def trim(self) -> None:
        """Forget the runs that finished first beyond the number that is kept; those in use count as new."""
        kept = 0
        while len(self.finished) > self.max_finished_runs and kept < KEPT_PER_TURN:
            run, entry = next(iter(self.finished.items()))
            if entry.in_use:
                self.finished.move_to_end(run)
                kept += 1
            else:
                self.drop(run)
