"""A flow's hosts in all event loops of a process, even those that have ended or stand still."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

from taskiq_flow._runtime import Runtime
from taskiq_flow.driver.contexts import RunContexts
from taskiq_flow.driver.host import Host
from taskiq_flow.driver.loop import revoke
from taskiq_flow.driver.opened_store import OpenedStore, wait_elsewhere
from taskiq_flow.store import Lease, WorkerInfo
from taskiq_flow.worker.processes import Processes
from taskiq_flow.worker.seats import renew_executor
from taskiq_flow.worker.worker import Worker

if TYPE_CHECKING:
    from taskiq_flow.driver.driver import Driver

__all__ = ["Hosts"]


class Hosts:
    """The hosts of a flow, by event loop.

    Each of them has an incarnation of the process's worker: ``host-4711-1f2e3d4c``, ``host-4711-1f2e3d4c-2`` and so on.

    :param runtime: The runtime that they share.
    :param processes: The process pool for synchronous tasks; ``None`` for threads.
    :param make_driver: Callback that makes the driver for a lease, in the event loop that has acquired it.

    :ivar contexts: The contexts of the runs that were started in this process.
    :ivar opened_store: The store and its users.
    """

    def __init__(
        self, runtime: Runtime, *, processes: Processes | None, make_driver: Callable[[Lease], Driver]
    ) -> None:
        self.runtime = runtime
        self._processes = processes
        self._make_driver = make_driver
        self._lock = threading.Lock()
        self._begin()

    def _begin(self) -> None:
        """Begin without hosts, in a new process."""
        self.contexts = RunContexts()
        self.opened_store = OpenedStore(self.runtime.store)
        self._pid = os.getpid()
        self._name = f"{socket.gethostname()}-{self._pid}-{uuid.uuid4().hex[:8]}"
        self._count = 0
        self._by_loop: dict[asyncio.AbstractEventLoop, Host] = {}

    @property
    def processes(self) -> Processes | None:
        """The process pool for synchronous tasks; ``None`` for threads."""
        return self._processes

    @processes.setter
    def processes(self, processes: Processes | None) -> None:
        with self._lock:
            former, self._processes = self._processes, processes
            for host in self._by_loop.values():
                host.worker.seating.processes = processes
        if former is not None:
            former.shutdown()

    def here(self) -> Host:
        """Return the host of the running event loop; the first time, make it."""
        loop = asyncio.get_running_loop()
        host = self._by_loop.get(loop)
        return self._make(loop) if host is None else host

    def _make(self, loop: asyncio.AbstractEventLoop) -> Host:
        with self._lock:
            if self._pid != os.getpid():
                # A forked child: the hosts that it remembers are its parent's.
                self._begin()
                renew_executor(self.runtime.broker)
            self._count += 1
            name = self._name if self._count == 1 else f"{self._name}-{self._count}"
            worker = Worker(self.runtime, name, processes=self._processes, wake=self._drive_adopted)
            host = self._by_loop[loop] = Host(self, worker, loop, self._make_driver)
        return host

    async def _drive_adopted(self, run: str) -> None:
        self.remember(run)
        await self.here().drive()

    def remember(self, run: str) -> None:
        """Keep the caller's context for the run that it starts, if cells are executed in this process."""
        if self.runtime.in_memory:
            self.contexts.remember(run)

    def is_here(self, worker: str) -> bool:
        """Whether a worker is in a running event loop of this process."""
        return any(host.worker.id == worker and host.alive for host in [*self._by_loop.values()])

    def is_dead_incarnation(self, worker: str) -> bool:
        """Whether a worker was in an event loop of this process that has ended or stands still."""
        return f"{worker}-".startswith(f"{self._name}-") and not self.is_here(worker)

    def tell_others(self, leaving: Host) -> None:
        """Wake the standbys of this process: the lease may be free."""
        for host in [*self._by_loop.values()]:
            if host is not leaving and host.alive:
                host.tell()

    async def clean_up_lost(self) -> bool:
        """Revoke the hosts whose event loop has ended or stands still.

        A host that goes on later finds its lease lost, and stands by.

        :returns: Whether one was revoked.
        """
        lost = [host for host in [*self._by_loop.values()] if not host.alive]
        found = False
        for host in lost:
            if not host.worker.revoked:
                found = host.worker.revoked = True
                await self._revoke(host)
            if host.loop.is_closed():
                with self._lock:
                    self._by_loop.pop(host.loop, None)
                self.contexts.forget_loop(host.loop)
                host.worker.shutdown()
        return found

    async def _revoke(self, host: Host) -> None:
        runtime, worker = self.runtime, host.worker
        try:
            await revoke(worker.id, pool=runtime.pool, store=runtime.store)
            if worker.busy and runtime.broker.is_worker_process:
                gone = WorkerInfo(id=worker.id, pool=runtime.pool, expires_at=runtime.clock.now())
                await runtime.store.workers.announce(gone)
        except BaseException:
            # The next look tries again.
            host.worker.revoked = False
            raise

    async def end(self) -> None:
        """Stop all hosts, and shut the store down. Unfinished runs go on with the next driver."""
        with self._lock:
            hosts, self._by_loop = [*self._by_loop.values()], {}
        here = asyncio.get_running_loop()
        own = [host for host in hosts if host.loop is here]
        elsewhere = [host for host in hosts if host.loop is not here and host.alive]
        stopping = [asyncio.run_coroutine_threadsafe(host.stop(), host.loop) for host in elsewhere]
        for host in hosts:
            if not host.alive:
                host.stop_later()
        for host in own:
            await host.stop()
        await wait_elsewhere(stopping)
        for host in hosts:
            if self.runtime.broker.is_worker_process:
                await self.runtime.store.workers.remove(host.worker.id)
            host.worker.shutdown()
        if self._processes is not None:
            self._processes.shutdown()
        await self.opened_store.close(hosts)
