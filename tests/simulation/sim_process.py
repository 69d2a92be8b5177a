"""Processes of a simulated world: each has a flow of its own, and reaches the one store through faults."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from sim_chaos import Fault
from sim_network import attempt_of
from taskiq import AsyncBroker, BrokerMessage
from taskiq.receiver import Receiver

from taskiq_flow import Flow
from taskiq_flow.clock import wake
from taskiq_flow.driver.driver import Driver
from taskiq_flow.errors import StoreError
from taskiq_flow.plugins import FlowConfig, Plugins
from taskiq_flow.store import Lease, RunStore
from taskiq_flow.worker.execution import CURRENT

if TYPE_CHECKING:
    from sim_world import World

__all__ = ["PARTS", "TASKS", "FaultyStore", "Process", "SimulatedCrash", "plugins_loaded_once"]

TASKS = ("task0", "task1", "task2", "task3")
PARTS = ("runs", "log", "inbox", "blobs", "leases", "workers")


@contextmanager
def plugins_loaded_once() -> Iterator[None]:
    """Give all flows the same configuration and plugins: reading them again takes longer than most worlds last."""
    config, plugins = _loaded()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FlowConfig, "load", lambda **_: config)
        patch.setattr(Plugins, "load", lambda *_, **__: plugins)
        yield


@cache
def _loaded() -> tuple[FlowConfig, Plugins]:
    config = FlowConfig.load(store="memory://", scheduler="fifo", serializer="json", retry="none", blocked=())
    return config, Plugins.load(config)


class SimulatedCrash(BaseException):
    """The process is dead: nothing of it does anything any more. No ``except Exception`` may catch it."""


class FaultyStore(RunStore):
    """The store as one process sees it: calls fail, take a while, or are the last that the process makes.

    :param process: Whose view it is.
    :param store: The store that all processes share.
    """

    def __init__(self, process: Process, store: RunStore) -> None:
        self.runs, self.log, self.inbox, self.blobs, self.leases, self.workers = (
            _Part(process, name, getattr(store, name)) for name in PARTS
        )

    @classmethod
    def from_url(cls, url: str) -> RunStore:
        raise StoreError("a simulated store is made by its world")


class _Part:
    def __init__(self, process: Process, name: str, part: Any) -> None:
        self._process = process
        self._name = name
        self._part = part

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._part, name)
        process, called = self._process, f"{self._name}.{name}"

        async def call(*args: Any, **kwargs: Any) -> Any:
            fault = await process.before(called)
            result = await method(*args, **kwargs)
            if fault is not None:
                await process.suffer(called, fault)
            elif process.unwell:
                await process.proceed()
            return result

        setattr(self, name, call)
        return call


class ScriptedBroker(AsyncBroker):
    """A broker that hands messages to the network of the world."""

    def __init__(self, process: Process) -> None:
        super().__init__()
        self.process = process
        self.is_worker_process = True

    async def kick(self, message: BrokerMessage) -> None:
        await self.process.proceed()
        self.process.world.network.accept(message, self.process)

    async def listen(self) -> AsyncGenerator[bytes, None]:
        for message in ():
            yield message


class RecordedFlow(Flow):
    """A flow that remembers its drivers."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.drivers: list[Driver] = []
        super().__init__(*args, **options)

    def make_driver(self, lease: Lease) -> Driver:
        """Make a driver for a lease that was acquired."""
        self.drivers.append(super().make_driver(lease))
        return self.drivers[-1]


class Process:
    """A process with a worker and a driver loop, as taskiq starts them; it can stand still and it can die.

    :param works: Whether it receives messages; otherwise it only drives or stands by.

    :ivar unwell: Whether it is dead or stands still.
    :ivar retiring: Whether it takes no messages any more, because it is being shut down.
    """

    def __init__(self, world: World, name: str, *, works: bool) -> None:
        self.world = world
        self.name = name
        self.works = works
        self.dead = False
        self.unwell = False
        self.retiring = False
        self.broker = ScriptedBroker(self)
        self.flow = RecordedFlow(
            self.broker,
            store=FaultyStore(self, world.store),
            scheduler=world.scheduler(),
            retry=world.policy,
            clock=world.clock,
            window=world.window,
        )
        self.flow.host.worker.id = name
        for task in TASKS:
            self.broker.register_task(self._function(task), task)
        self.receiver = Receiver(self.broker, run_startup=False, max_async_tasks=1000)
        self.messages: dict[asyncio.Task[None], bytes] = {}
        self._paused_until = 0.0
        self._waiters: list[asyncio.Future[bool]] = []

    @property
    def drivers(self) -> list[Driver]:
        """All drivers that it has had."""
        return self.flow.drivers

    def _function(self, task: str) -> Callable[..., Any]:
        # Without annotations, which taskiq would read for each process anew.
        async def function(**values):  # type: ignore[no-untyped-def]
            return await self.world.execute(self, CURRENT.get().envelope, task, values)

        return function

    async def start(self) -> None:
        """Do what taskiq does in a worker process."""
        self.world.tell(f"{self.name} starts")
        while True:
            try:
                await self.flow.startup()
                return
            except StoreError:
                await self.world.clock.sleep(1.0)

    def receive(self, message: bytes) -> None:
        """Execute a message, as taskiq's receiver does."""
        task = asyncio.get_running_loop().create_task(self.receiver.callback(message))
        self.messages[task] = message
        task.add_done_callback(self._handled)

    def _handled(self, task: asyncio.Task[None]) -> None:
        """Acknowledge a message, or give it back to the broker when it was not handled to its end."""
        message = self.messages.pop(task, None)
        if message is not None and (task.cancelled() or task.exception() is not None):
            self.world.tell(f"{self.name} gives {attempt_of(message)} back")
            self.world.network.again(message)

    # What goes wrong

    async def before(self, called: str) -> Fault | None:
        """Be about to call a method of the store.

        :returns: What goes wrong once that has done its work.
        """
        if self.unwell:
            await self.proceed()
        fault = self.world.fault()
        if fault is None or called == "inbox.wait":
            return None
        if fault.after:
            return fault
        await self.suffer(called, fault)
        return None

    async def suffer(self, called: str, fault: Fault) -> None:
        """Let a fault happen."""
        world = self.world
        world.tell(f"{self.name} {called}: {fault.kind} {'after' if fault.after else 'before'}")
        if fault.kind == "death":
            self.die()
        elif fault.kind == "pause":
            self.pause(fault.seconds)
        elif fault.kind == "latency":
            await world.clock.sleep(fault.seconds)
        await self.proceed()
        if fault.kind in ("blip", "lost reply"):
            raise StoreError(f"simulated {fault.kind} of {called}")

    async def proceed(self) -> None:
        """Go on, unless the process is dead; wait as long as it stands still."""
        clock = self.world.clock
        while self.unwell:
            if self.dead:
                raise SimulatedCrash
            if clock.now() >= self._paused_until:
                self.unwell = False
            else:
                waiter = asyncio.get_running_loop().create_future()
                self._waiters.append(waiter)
                await clock.wait(waiter, self._paused_until - clock.now())

    def pause(self, seconds: float) -> None:
        """Stand still, as for a garbage collection or on a laptop that was closed."""
        self._paused_until = self.world.clock.now() + seconds
        self.unwell = True

    def revive(self) -> None:
        """Stand still no longer."""
        self._paused_until = 0.0
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            wake(waiter, True)

    def die(self) -> None:
        """Be gone from one moment to the next."""
        if self.dead:
            return
        self.world.tell(f"{self.name} dies")
        self.dead = self.unwell = True
        handling, self.messages = self.messages, {}
        for task in [*self.flow.host.tasks, *handling]:
            task.cancel()
        for message in handling.values():
            self.world.network.drop(message)
        self.world.clean_up_lost(self)

    async def retire(self) -> None:
        """Be shut down in order: finish what was begun, for a while, and go."""
        world = self.world
        world.tell(f"{self.name} retires")
        self.retiring = True
        give_up_at = world.clock.now() + world.random.choice([0.0, 2.0, 10.0])
        while self.messages and world.clock.now() < give_up_at:
            await world.clock.sleep(0.5)
        if world.random.random() < 0.5:
            for task in list(self.messages):
                task.cancel()
            await asyncio.gather(*self.messages, return_exceptions=True)
        # Otherwise they end with the event loop: nobody hears what came of them.
        try:
            await self.flow.shutdown()
        except (StoreError, SimulatedCrash):
            world.tell(f"{self.name} could not say goodbye")
        self.die()
