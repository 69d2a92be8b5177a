"""What a flow does in its process besides answering: it listens, announces its worker, and drives or stands by."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from functools import partial

from taskiq import AsyncBroker, InMemoryBroker

from taskiq_flow.background import persevere
from taskiq_flow.clock import Clock
from taskiq_flow.driver.driver import Driver
from taskiq_flow.driver.loop import DriverLoop, depose
from taskiq_flow.seat import Seat
from taskiq_flow.staffing import versions_of
from taskiq_flow.store import Lease, RunStore, WorkerInfo
from taskiq_flow.worker.strangers import StrangerFormatter
from taskiq_flow.worker.worker import Worker

__all__ = ["Presence"]

_HEARTBEAT_SECONDS = 5.0
_LOST_AFTER_SECONDS = 20.0


class Presence:
    """The part of a flow that lives in an event loop; when another one comes, it begins a new life there.

    :param pool: The pool that it drives.
    :param queue: The queue that only this worker reads; empty for none.
    :param worker: The worker of this process; each life gives it another id, which is the driver's name too.
    :param capacity: Says what this worker has.
    :param make_driver: Makes the driver for a lease.

    :ivar tasks: What runs in the current event loop.
    """

    def __init__(
        self,
        broker: AsyncBroker,
        *,
        pool: str,
        queue: str,
        store: RunStore,
        clock: Clock,
        worker: Worker,
        capacity: Callable[[], Mapping[str, float]],
        make_driver: Callable[[Lease], Driver],
    ) -> None:
        self.tasks: list[asyncio.Task[None]] = []
        self._broker = broker
        self._pool = pool
        self._queue = queue
        self._store = store
        self._clock = clock
        self._worker = worker
        self._capacity = capacity
        self._make_driver = make_driver
        self._embedded = isinstance(broker, InMemoryBroker)
        self._seat = Seat(lambda: persevere("driving as an heir", self.drive, clock))
        self._loop: asyncio.AbstractEventLoop | None = None
        self._entering: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = None
        self._name = worker.id
        self._lives = 0

    def is_former(self, worker: str) -> bool:
        """Whether a worker was this one in an event loop that it has left."""
        return worker != self._worker.id and f"{worker}-".startswith(f"{self._name}-")

    async def drive(self) -> None:
        """See to it that somebody drives: embedded, a task of the running event loop does while there are runs.

        Where the event loop of another thread drives already, it goes on, and this one takes over when that ends.
        """
        loop = asyncio.get_running_loop()
        if not self._embedded:
            await self._enter(loop)
        elif self._seat.take(loop):
            try:
                await self._enter(loop)
            except BaseException:
                self._seat.leave(loop)
                raise
            self.tasks = [task for task in self.tasks if not task.done()]
            self.tasks.append(_quiet(loop.create_task(self._embedded_life(loop))))
        elif self._loop is not loop and not self._seat.held_beside(loop):
            # Somebody in this event loop is about to drive; the store cannot be used before it has started.
            await self._enter(loop)

    async def start(self) -> None:
        """Begin; a worker process of taskiq listens, announces itself, and drives or stands by from now on."""
        loop = asyncio.get_running_loop()
        if not self._embedded or not self._seat.held_beside(loop):
            await self._enter(loop)
        if self._broker.is_worker_process and not self.tasks:
            StrangerFormatter.install(
                self._broker, worker=self._worker.id, store=self._store, clock=self._clock
            )
            self.tasks = [
                loop.create_task(persevere("reading letters", self._worker.listen, self._clock)),
                loop.create_task(persevere("announcing this worker", self._beat, self._clock)),
                loop.create_task(self._driver_loop(until_idle=False).run()),
            ]

    async def end(self) -> None:
        """Stop; runs that are not finished go on when somebody drives the pool again."""
        self._seat.forget_heirs()
        tasks = self._retire()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._broker.is_worker_process:
            await self._store.workers.remove(self._worker.id)
        self._worker.shutdown()
        if self._loop is not None:
            await self._store.shutdown()
            self._loop = None

    async def _enter(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin anew in an event loop: the tasks of an earlier one died with it, or stand still."""
        if self._loop is loop:
            return
        if self._entering is None or self._entering[0] is not loop:
            self._entering = loop, asyncio.Lock()
        async with self._entering[1]:
            if self._loop is loop:
                return
            await self._store.startup()
            self._retire()
            if self._lives:
                if self._worker.busy:
                    gone = WorkerInfo(id=self._worker.id, pool=self._pool, expires_at=self._clock.now())
                    await self._store.workers.announce(gone)
                if self._embedded:
                    await depose(self._worker.id, pool=self._pool, store=self._store)
                self._worker.begin_anew(f"{self._name}-{self._lives + 1}")
            self._lives += 1
            # Only now: one who fails, or is cancelled, leaves everything to be done by the next.
            self._loop = loop

    def _retire(self) -> list[asyncio.Task[None]]:
        """Cancel what runs, and give what of it is to be waited for: another event loop may stand still for ever."""
        here = asyncio.get_running_loop()
        # Who listens is cancelled first, as who drives looks at that.
        tasks, self.tasks = self.tasks[::-1], []
        for task in tasks:
            if (loop := task.get_loop()) is here:
                task.cancel()
            else:
                with contextlib.suppress(RuntimeError):  # it is closed
                    loop.call_soon_threadsafe(task.cancel)
        return [task for task in tasks if task.get_loop() is here]

    async def _embedded_life(self, loop: asyncio.AbstractEventLoop) -> None:
        listening = _quiet(loop.create_task(persevere("reading letters", self._worker.listen, self._clock)))
        self.tasks.append(listening)
        try:
            await persevere("driving", partial(self._drive_until_idle, loop, listening), self._clock)
        finally:
            self._seat.get_up(loop)
            if not loop.is_closed():
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)
            self._seat.leave(loop)

    async def _drive_until_idle(self, loop: asyncio.AbstractEventLoop, listening: asyncio.Task[None]) -> None:
        while True:
            self._seat.sit_down(loop)
            await self._driver_loop(until_idle=True, beside=listening).run()
            # In this order: whoever puts a letter after this look is an heir, however long the store takes to answer.
            self._seat.get_up(loop)
            if not await self._store.inbox.take(self._pool, 1):
                return

    async def _beat(self) -> None:
        """Say again and again that this worker is there."""
        while True:
            info = WorkerInfo(
                id=self._worker.id,
                pool=self._pool,
                capacity=self._capacity(),
                queue=self._queue,
                tasks=frozenset(self._broker.get_all_tasks()),
                versions=versions_of(self._broker),
                expires_at=self._clock.now() + _LOST_AFTER_SECONDS,
            )
            await self._store.workers.announce(info)
            await self._clock.sleep(_HEARTBEAT_SECONDS)

    def _driver_loop(self, *, until_idle: bool, beside: asyncio.Task[None] | None = None) -> DriverLoop:
        return DriverLoop(
            pool=self._pool,
            holder=self._worker.id,
            store=self._store,
            clock=self._clock,
            make_driver=self._make_driver,
            until_idle=until_idle,
            beside=beside,
        )


def _quiet(task: asyncio.Task[None]) -> asyncio.Task[None]:
    """Let nobody be warned when a task goes with its event loop.

    Who has the result of the last run may close that a moment before everything has ended here; nothing is lost.
    """
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    return task
