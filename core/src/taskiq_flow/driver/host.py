"""A flow's part in an event loop: it opens the store, executes attempts, and drives the pool or stands by.

Each event loop that uses a flow has a :class:`Host`, with a worker and a driver of its own. The pool's lease elects the
one that drives, among the event loops of a process as among processes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import TYPE_CHECKING, Any, Protocol

from taskiq_flow._background import keep_running, wait_within
from taskiq_flow._runtime import Runtime
from taskiq_flow.driver.contexts import RunContexts, create_clean_task, run_in_context
from taskiq_flow.driver.loop import DriverLoop
from taskiq_flow.driver.opened_store import OpenedStore
from taskiq_flow.driver.surroundings import Surroundings
from taskiq_flow.messages.unknown_tasks import UnknownTaskFormatter
from taskiq_flow.store import Lease, WorkerInfo
from taskiq_flow.tasks.options import versions_of
from taskiq_flow.worker.scripts import check_is_no_import
from taskiq_flow.worker.worker import Worker

if TYPE_CHECKING:
    from taskiq_flow.driver.driver import Driver

__all__ = ["Host", "Process"]

_HEARTBEAT_SECONDS = 5.0
_LOST_AFTER_SECONDS = 20.0
_STANDBY_SECONDS = 3.0
# An event loop that ends or stands still wakes nobody, so a standby looks for such loops.
_LOOKS_WHILE_STANDING_BY = 12


class Process(Protocol):
    """All hosts of a process, as far as one of them needs the others."""

    runtime: Runtime
    contexts: RunContexts
    opened_store: OpenedStore

    def is_here(self, worker: str) -> bool:
        """Whether a worker is in a running event loop of this process."""

    def is_dead_incarnation(self, worker: str) -> bool:
        """Whether a worker was in an event loop of this process that has ended or stands still."""

    def tell_others(self, leaving: Host) -> None:
        """Wake the standbys of this process: the lease may be free."""

    async def clean_up_lost(self) -> bool:
        """Revoke the hosts whose event loop has ended or stands still; whether there was one."""


class Host(Surroundings):
    """A flow's part in one event loop.

    :param process: All hosts of the process.
    :param worker: The worker of this event loop.
    :param loop: The event loop, which is running.
    :param make_driver: Callback that makes the driver for a lease.

    :ivar tasks: Its tasks in the event loop.
    :ivar starting: The task that starts the flow here, where nobody else does.
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
        self.starting: asyncio.Task[None] | None = None
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

    @property
    def serving(self) -> bool:
        """Whether it takes part in the pool as a worker process of taskiq does."""
        return self._serving

    @property
    def driving(self) -> asyncio.Task[None] | None:
        """The task that drives here or stands by while there are runs in memory; ``None`` where there are none."""
        return None if self._driving is None or self._driving.done() else self._driving

    # The surroundings of its driver

    def find_worker(self) -> Worker:
        """Return the worker of this event loop."""
        return self.worker

    def is_here(self, worker: str) -> bool:
        """Whether a worker is in a running event loop of this process."""
        return self._process.is_here(worker)

    def is_dead_incarnation(self, worker: str) -> bool:
        """Whether a worker was in an event loop of this process that has ended or stands still."""
        return self._process.is_dead_incarnation(worker)

    def context_of(self, run: str) -> Context:
        """Return a context for an attempt of a run: a copy of the one in which the run was started."""
        return self._process.contexts.copy_of(run)

    def forget_context(self, run: str) -> None:
        """Forget the context of a run that is over."""
        self._process.contexts.forget(run)

    # Starting and stopping

    async def enter(self) -> None:
        """Open the store, before anything else is done in this event loop.

        :raises FlowError: this process imports the script of another one, which has no main guard.
        :raises StoreError: another event loop uses it, and it cannot be shared.
        """
        if self._entered:
            return
        async with self._entering:
            if not self._entered:
                # Tasks that the store starts outlive the first caller, so they must not inherit its context.
                await run_in_context(Context(), self._open())
                self._entered = True

    async def _open(self) -> None:
        check_is_no_import()
        await self._process.opened_store.open(self)
        await self._process.clean_up_lost()

    async def drive(self) -> None:
        """Have the pool driven: a task of this event loop drives or stands by, in memory and in a worker process."""
        if not self._runtime.in_memory:
            await self.start()
            return
        await self.enter()
        if self._serving:
            return
        self._wanted = True
        if self._driving is None or self._driving.done():
            self._driving = self._begin(self._drive_while_wanted())

    async def start(self) -> None:
        """Open the store; in a worker process of taskiq, also listen, announce the worker, and drive or stand by."""
        await self.enter()
        runtime = self._runtime
        if runtime.in_memory or not runtime.broker.is_worker_process or self._serving:
            # In memory there is no other process that could start runs, so a driver lives as long as there are some.
            return
        self._serving = True
        UnknownTaskFormatter.install(
            runtime.broker, worker=self.worker.id, store=runtime.store, clock=runtime.clock
        )
        self._begin(self.worker.listen())
        self._begin(keep_running("announcing this worker", self._announce, runtime.clock))
        self._begin(self._driver_loop().run())

    async def stop(self) -> None:
        """Stop the tasks; called in their event loop. Unfinished runs go on with the next driver."""
        tasks = self._cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def stop_later(self) -> None:
        """Stop as soon as the event loop runs again, if it ever does."""
        with contextlib.suppress(RuntimeError):  # it is closed
            self.loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> list[asyncio.Task[None]]:
        # The newest first: a driver loop looks whether the listening task beside it was cancelled.
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
            listening = self._begin(self.worker.listen())
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
        """Whether there are no notices, and no caller has asked for a driver while the store was searched."""
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
        """Wake this standby from another event loop: the lease may be free."""
        # The event loop may have ended since it was looked at; then nothing waits there any more.
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self._lease_is_free.set)

    async def _hear_of_lease(self) -> bool:
        with contextlib.suppress(asyncio.TimeoutError):
            await wait_within(_STANDBY_SECONDS / _LOOKS_WHILE_STANDING_BY, self._lease_is_free.wait())
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
        """Announce this worker again and again."""
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
    """Suppress the warning about a task that is destroyed with its event loop.

    A client that has its result may close the loop a moment before the host has stopped; nothing is lost.
    """
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    return task
