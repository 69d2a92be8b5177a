"""A flow's part in an event loop: it opens the store, executes attempts, and drives the pool or stands by.

Whoever uses a flow in an event loop has a :class:`Host` there, with a worker and a driver of its own. The pool's lease
says which of them drives, among the event loops of a process as among processes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import TYPE_CHECKING, Any, Protocol

from taskiq_flow._background import keep_running
from taskiq_flow._runtime import Runtime
from taskiq_flow.driver.contexts import RunContexts, create_clean_task, run_in_context
from taskiq_flow.driver.loop import DriverLoop
from taskiq_flow.driver.opened_store import OpenedStore
from taskiq_flow.driver.surroundings import Surroundings
from taskiq_flow.messages.unknown_tasks import UnknownTaskFormatter
from taskiq_flow.store import Lease, WorkerInfo
from taskiq_flow.tasks.options import versions_of
from taskiq_flow.worker.worker import Worker

if TYPE_CHECKING:
    from taskiq_flow.driver.driver import Driver

__all__ = ["Host", "Process"]

_HEARTBEAT_SECONDS = 5.0
_LOST_AFTER_SECONDS = 20.0
_STANDBY_SECONDS = 3.0
# An event loop that ends or stands still in the middle of something calls nobody, so whoever stands by looks.
_LOOKS_WHILE_STANDING_BY = 12


class Process(Protocol):
    """A flow's part in a process, as far as its part in one event loop needs it."""

    runtime: Runtime
    contexts: RunContexts
    opened_store: OpenedStore

    def is_here(self, worker: str) -> bool:
        """Whether a worker is one of this process, in an event loop that runs."""

    def is_dead_incarnation(self, worker: str) -> bool:
        """Whether a worker was one of this process, in an event loop that has ended or stands still."""

    def tell_others(self, leaving: Host) -> None:
        """Let those look whether the lease is free that stand by."""

    async def clean_up_lost(self) -> bool:
        """Take from hosts whose event loop has ended, or stands still, what they hold; whether there was one."""


class Host(Surroundings):
    """A flow's part in one event loop.

    :param process: The flow's parts in all event loops of the process.
    :param worker: Executes attempts in this one.
    :param loop: The event loop, which is running.
    :param make_driver: Makes the driver for a lease.

    :ivar tasks: What runs in the event loop.
    """

    def __init__(
        self,
        process: Process,
        worker: Worker,
        loop: asyncio.AbstractEventLoop,
        make_driver: Callable[[Lease], Driver],
    ) -> None:
        self.worker = worker
        self.loop = loop
        self.tasks: list[asyncio.Task[None]] = []
        self._process = process
        self._runtime: Runtime = process.runtime
        self._make_driver = make_driver
        self._entering = asyncio.Lock()
        self._entered = False
        self._serving = False
        self._wanted = False
        self._driving: asyncio.Task[None] | None = None
        self._lease_is_free = asyncio.Event()

    @property
    def alive(self) -> bool:
        """Whether its event loop runs."""
        return self.loop.is_running()

    # What its driver asks

    def find_worker(self) -> Worker:
        """Give the worker of this event loop."""
        return self.worker

    def is_here(self, worker: str) -> bool:
        """Whether a worker is one of this process, in an event loop that runs."""
        return self._process.is_here(worker)

    def is_dead_incarnation(self, worker: str) -> bool:
        """Whether a worker was one of this process, in an event loop that has ended or stands still."""
        return self._process.is_dead_incarnation(worker)

    def context_of(self, run: str) -> Context:
        """Give a context to execute an attempt of a run in: a copy of the one in which the run was started."""
        return self._process.contexts.copy_of(run)

    def forget_context(self, run: str) -> None:
        """Let go of the context of a run that is over."""
        self._process.contexts.forget(run)

    # Its life

    async def enter(self) -> None:
        """Open the store, before anything else is done in this event loop.

        :raises StoreError: another event loop has it, and it cannot be shared.
        """
        if self._entered:
            return
        async with self._entering:
            if not self._entered:
                # What a store begins here goes on for longer than whoever happens to come first.
                await run_in_context(Context(), self._open())
                self._entered = True

    async def _open(self) -> None:
        await self._process.opened_store.open(self)
        await self._process.clean_up_lost()

    async def drive(self) -> None:
        """See to it that somebody drives: in memory, a task of this event loop does, or stands by."""
        await self.enter()
        if self._serving or not self._runtime.in_memory:
            return
        self._wanted = True
        if self._driving is None or self._driving.done():
            self._driving = self._begin(self._drive_while_wanted())

    async def start(self) -> None:
        """Begin; a worker process of taskiq listens, announces itself, and drives or stands by from now on."""
        await self.enter()
        runtime = self._runtime
        if not runtime.broker.is_worker_process or self._serving:
            return
        self._serving = True
        UnknownTaskFormatter.install(
            runtime.broker, worker=self.worker.id, store=runtime.store, clock=runtime.clock
        )
        self._begin(keep_running("reading notices", self.worker.listen, runtime.clock))
        self._begin(keep_running("announcing this worker", self._announce, runtime.clock))
        self._begin(self._driver_loop().run())

    async def stop(self) -> None:
        """Stop what runs here; called in its event loop. Runs that are not finished go on when somebody drives."""
        tasks = self._cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def stop_later(self) -> None:
        """Stop as soon as its event loop runs again, if it ever does."""
        with contextlib.suppress(RuntimeError):  # it is closed
            self.loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> list[asyncio.Task[None]]:
        # Who listens is cancelled first, as who drives looks at that.
        tasks, self.tasks = self.tasks[::-1], []
        for task in tasks:
            task.cancel()
        return tasks

    def _begin(self, action: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = _quiet(create_clean_task(action))
        self.tasks = [*(each for each in self.tasks if not each.done()), task]
        return task

    async def _drive_while_wanted(self) -> None:
        clock = self._runtime.clock
        while self._wanted:
            listening = self._begin(keep_running("reading notices", self.worker.listen, clock))
            driving = self._driver_loop(is_done=self._is_done, beside=listening)
            try:
                while self._wanted:
                    self._wanted = False
                    await keep_running("driving", driving.run, clock)
            finally:
                self._process.tell_others(self)
                if not self.loop.is_closed():
                    listening.cancel()
                    await asyncio.gather(listening, return_exceptions=True)

    async def _is_done(self) -> bool:
        """Whether there are no notices, and nobody has asked for a driver while the store was looking for some."""
        self._wanted = False
        runtime = self._runtime
        return not await runtime.store.inbox.take(runtime.pool, 1) and not self._wanted

    # Standing by

    async def stand_by(self) -> None:
        """Wait until the lease may be free."""
        if not self._runtime.in_memory:
            await self._runtime.clock.sleep(_STANDBY_SECONDS)
            return
        for _ in range(_LOOKS_WHILE_STANDING_BY):
            if await self._hear_of_lease() or await self._process.clean_up_lost():
                return

    def tell(self) -> None:
        """Say that the lease may be free; from another event loop."""
        # Between the question and the call it may have ended; then it waits for nothing any more.
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self._lease_is_free.set)

    async def _hear_of_lease(self) -> bool:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._lease_is_free.wait(), _STANDBY_SECONDS / _LOOKS_WHILE_STANDING_BY)
        heard = self._lease_is_free.is_set()
        self._lease_is_free.clear()
        return heard

    # Driving

    def _driver_loop(
        self,
        *,
        is_done: Callable[[], Coroutine[Any, Any, bool]] | None = None,
        beside: asyncio.Task[None] | None = None,
    ) -> DriverLoop:
        return DriverLoop(
            self._runtime,
            holder=self.worker.id,
            make_driver=self._take_lease,
            stand_by=self.stand_by,
            is_done=is_done,
            beside=beside,
        )

    def _take_lease(self, lease: Lease) -> Driver:
        self.worker.revoked = False
        return self._make_driver(lease)

    async def _announce(self) -> None:
        """Say again and again that this worker is there."""
        runtime = self._runtime
        while True:
            info = WorkerInfo(
                id=self.worker.id,
                pool=runtime.pool,
                capacity=runtime.capacity.of_worker,
                queue=runtime.queue,
                tasks=frozenset(runtime.broker.get_all_tasks()),
                versions=versions_of(runtime.broker),
                expires_at=runtime.clock.now() + _LOST_AFTER_SECONDS,
            )
            await runtime.store.workers.announce(info)
            await runtime.clock.sleep(_HEARTBEAT_SECONDS)


def _quiet(task: asyncio.Task[None]) -> asyncio.Task[None]:
    """Let nobody be warned when a task goes with its event loop.

    Who has the result of the last run may close that a moment before everything has ended here; nothing is lost.
    """
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    return task
