"""A flow: a broker that can run pipelines, with everything that takes."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from taskiq import AsyncBroker, AsyncTaskiqDecoratedTask, InMemoryBroker

from taskiq_flow.admission import Admission
from taskiq_flow.background import persevere
from taskiq_flow.clock import Clock, SystemClock
from taskiq_flow.codec import Codec
from taskiq_flow.driver.driver import Driver
from taskiq_flow.driver.loop import DriverLoop
from taskiq_flow.driver.placing import Placer
from taskiq_flow.errors import PluginError
from taskiq_flow.graph.model import Graph
from taskiq_flow.handle import RunHandle
from taskiq_flow.machine.events import RunStarted
from taskiq_flow.machine.machine import DEFAULT_WINDOW
from taskiq_flow.plugins import FlowConfig, Plugins
from taskiq_flow.policies import Policies
from taskiq_flow.retry import RetryPolicy
from taskiq_flow.scheduler import Scheduler
from taskiq_flow.schedulers.fifo import FifoScheduler
from taskiq_flow.seat import Seat
from taskiq_flow.store import Lease, Letter, RunRecord, RunStore, WorkerInfo
from taskiq_flow.worker.decorated import FlowTask, adopt_tasks
from taskiq_flow.worker.middleware import PipelineMiddleware
from taskiq_flow.worker.processes import Processes
from taskiq_flow.worker.worker import Worker

__all__ = ["Flow"]

_HEARTBEAT_SECONDS = 5.0
_LOST_AFTER_SECONDS = 20.0
_MAKING = threading.Lock()


class Flow:
    """Makes a broker run pipelines.

    With an in-memory broker everything happens in this process, as soon as a pipeline is started. With any other
    broker, the worker processes of taskiq do the work, and one of them drives.

    ::

        broker = InMemoryBroker()
        flow = Flow(broker, processes=4)

    :param broker: The broker; it gets a middleware, and tasks of ours.
    :param store: A store or the URL of one.
    :param scheduler: A scheduler or the name of one.
    :param serializer: The name of the serializer.
    :param retry: The class of retry policies or its name.
    :param plugins: Modules or objects with hooks, besides what is installed.
    :param blocked: Names of plugins that are not loaded.
    :param pool: The pool that its runs belong to.
    :param processes: How many processes execute synchronous tasks; ``None`` for threads.
    :param window: How many items of a map are open at once, where the map does not say.
    :param clock: Tells the time.
    :param middleware: The middleware that it belongs to, when that was there first.
    :raises PluginError: the broker has a flow already, or what is selected cannot be used.
    """

    def __init__(
        self,
        broker: AsyncBroker,
        *,
        store: str | RunStore | None = None,
        scheduler: str | Scheduler | None = None,
        serializer: str | None = None,
        retry: str | type[RetryPolicy] | None = None,
        plugins: Iterable[Any] = (),
        blocked: Iterable[str] | None = None,
        pool: str = "default",
        processes: int | None = None,
        window: int = DEFAULT_WINDOW,
        clock: Clock | None = None,
        middleware: PipelineMiddleware | None = None,
    ) -> None:
        if _flow_on(broker) is not None:
            raise PluginError("the broker has a flow already; use Flow.of(broker) to get it")
        if processes is not None and (isinstance(processes, bool) or processes < 1):
            raise PluginError(f"processes is {processes!r}; give a number of processes, 1 or more, or None")
        config = FlowConfig.load(
            store=store if isinstance(store, str) else None,
            scheduler=scheduler if isinstance(scheduler, str) else None,
            serializer=serializer,
            retry=retry if isinstance(retry, str) else None,
            blocked=blocked,
        )
        self.broker = broker
        self.pool = pool
        self.plugins = Plugins.load(config, explicit=plugins)
        self.clock = SystemClock() if clock is None else clock
        self.store = store if isinstance(store, RunStore) else self.plugins.open_store(config.store)
        self.scheduler = (
            scheduler if isinstance(scheduler, Scheduler) else self.plugins.schedulers[config.scheduler]()
        )
        # Asking the table first makes an unknown name an error that says what there is.
        self.plugins.serializers[config.serializer]
        self.codec = Codec(self.plugins.serializers, config.serializer)
        chosen = self.plugins.retry_policies[config.retry] if not isinstance(retry, type) else retry
        self.policies = Policies(chosen)
        self._window = window
        self._embedded = isinstance(broker, InMemoryBroker)
        self._name = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._processes = None if processes is None else Processes(processes)
        self.worker = Worker(
            broker,
            name=self._name,
            pool=pool,
            store=self.store,
            codec=self.codec,
            policies=self.policies,
            clock=self.clock,
            processes=self._processes,
            wake=self.drive,
        )
        self._placer = Placer(self.scheduler, FifoScheduler())
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._seat = Seat(self.drive)
        self._lives = 0
        self._admission = Admission(broker, self.policies, self.codec, self.scheduler)
        self._install(middleware)

    @classmethod
    def of(cls, broker: AsyncBroker) -> Flow:
        """Give the flow of a broker. A bare in-memory broker gets one with all defaults.

        :raises PluginError: another broker has none.
        """
        flow = _flow_on(broker)
        if flow is not None:
            return flow
        if isinstance(broker, InMemoryBroker):
            # Several threads may start the first pipeline at once.
            with _MAKING:
                return _flow_on(broker) or cls(broker)
        raise PluginError(
            f"{type(broker).__name__} has no flow; add one where the broker is made: "
            "flow = Flow(broker, store='…'), with a store that all processes can reach"
        )

    @property
    def processes(self) -> int | None:
        """How many processes execute synchronous tasks; ``None`` for threads. Can be set before the first run."""
        return None if self._processes is None else self._processes.count

    @processes.setter
    def processes(self, count: int | None) -> None:
        self._processes = None if count is None else Processes(count)
        self.worker.processes = self._processes

    async def submit(
        self,
        graph: Graph,
        inputs: Mapping[str, Any],
        *,
        single: str | None = None,
        returns: Mapping[str, Any] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> RunHandle[Any]:
        """Start a run.

        :param graph: What to run.
        :param inputs: A value for each of the graph's required inputs.
        :param single: The name of the output that is the run's value; ``None`` for a dictionary of all outputs.
        :param returns: The annotation to decode each output by.
        :param labels: Words about the run, for people, tenants and schedulers.
        :raises GraphError: inputs are missing or unknown, or tasks are not registered with the broker.
        :raises PayloadError: an input cannot be encoded.
        :raises PluginError: nodes want retries that no installed policy can give.
        """
        self._admission.check(graph, inputs)
        record = RunRecord(
            id=uuid.uuid4().hex,
            pool=self.pool,
            graph=graph,
            inputs=self._admission.encoded(inputs),
            created_at=self.clock.now(),
            labels={} if labels is None else dict(labels),
        )
        await self.drive()
        await self.store.runs.create(record)
        await self.store.inbox.put(self.pool, [Letter(run=record.id, event=RunStarted(at=record.created_at))])
        await self.drive()
        return RunHandle(self, record, single=single, returns=returns)

    async def drive(self) -> None:
        """See to it that somebody drives: embedded, a task of the running event loop does while there are runs.

        Where the event loop of another thread drives already, it goes on, and this one takes over when that ends.
        """
        loop = asyncio.get_running_loop()
        if not self._embedded:
            await self._enter(loop)
            return
        self._stand_first()
        if self._seat.take(loop):
            try:
                await self._enter(loop)
            except BaseException:
                self._seat.leave(loop)
                raise
            self._tasks = [task for task in self._tasks if not task.done()]
            self._tasks.append(loop.create_task(self._embedded_life()))

    async def startup(self) -> None:
        """Start this process's part, as taskiq starts the broker: a worker process listens, and drives or stands by."""
        adopt_tasks(self.broker)
        loop = asyncio.get_running_loop()
        if not self._embedded or not self._seat.held_beside(loop):
            await self._enter(loop)
        if self.broker.is_worker_process and not self._tasks:
            self._tasks = [
                loop.create_task(persevere("reading letters", self.worker.listen, self.clock)),
                loop.create_task(persevere("announcing this worker", self._beat, self.clock)),
                loop.create_task(self._driver_loop(until_idle=False).run()),
            ]

    async def _enter(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin anew in an event loop: the tasks of an earlier one died with it."""
        self._stand_first()
        if self._loop is not loop:
            self._loop, self._tasks = loop, []
            await self.store.startup()
            self._lives += 1
            if self._lives > 1:
                gone = WorkerInfo(id=self.worker.id, pool=self.pool, expires_at=self.clock.now())
                await self.store.workers.announce(gone)
                self.worker.begin_anew(f"{self._name}-{self._lives}")

    async def shutdown(self) -> None:
        """End this process's part; runs that are not finished go on when somebody drives the pool again."""
        self._seat.forget_heirs()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        if self.broker.is_worker_process:
            await self.store.workers.remove(self.worker.id)
        self.worker.shutdown()
        if self._loop is not None:
            await self.store.shutdown()
            self._loop = None

    def _install(self, middleware: PipelineMiddleware | None) -> None:
        adopt_tasks(self.broker)
        if self.broker.decorator_class is AsyncTaskiqDecoratedTask:
            self.broker.decorator_class = FlowTask
        if middleware is None:
            middleware = PipelineMiddleware.of(self)
            middleware.set_broker(self.broker)
            self.broker.middlewares.insert(0, middleware)
        self._middleware = middleware

    def _stand_first(self) -> None:
        """Go before the other middlewares, first in and last out: what they raise happens within the attempt then."""
        there = self.broker.middlewares
        if not there or there[0] is not self._middleware:
            # A list of its own: taskiq may be going through the old one.
            self.broker.middlewares = [
                self._middleware,
                *(each for each in there if each is not self._middleware),
            ]

    async def _embedded_life(self) -> None:
        listening = asyncio.ensure_future(persevere("reading letters", self.worker.listen, self.clock))
        try:
            while not self._seat.leaving:
                await self._driver_loop(until_idle=True).run()
                # A store in memory answers without a pause, so nobody in this event loop can put a letter between this
                # look and the end; those in others are heirs.
                self._seat.leaving = not await self.store.inbox.take(self.pool, 1)
        finally:
            self._seat.leaving = True
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            self._seat.leave(asyncio.get_running_loop())

    async def _beat(self) -> None:
        """Say again and again that this worker is there."""
        while True:
            info = WorkerInfo(
                id=self.worker.id,
                pool=self.pool,
                tasks=frozenset(self.broker.get_all_tasks()),
                expires_at=self.clock.now() + _LOST_AFTER_SECONDS,
            )
            await self.store.workers.announce(info)
            await self.clock.sleep(_HEARTBEAT_SECONDS)

    def _driver_loop(self, *, until_idle: bool) -> DriverLoop:
        return DriverLoop(
            pool=self.pool,
            holder=self._name,
            store=self.store,
            clock=self.clock,
            make_driver=self.make_driver,
            until_idle=until_idle,
        )

    def make_driver(self, lease: Lease) -> Driver:
        """Make a driver for a lease that was acquired; what a simulation turns by hand."""
        return Driver(
            pool=self.pool,
            lease=lease,
            broker=self.broker,
            store=self.store,
            codec=self.codec,
            policies=self.policies,
            placer=self._placer,
            plugins=self.plugins,
            clock=self.clock,
            window=self._window,
            worker=self.worker.id,
        )


def _flow_on(broker: AsyncBroker) -> Flow | None:
    flows: Iterator[Flow | None] = (
        middleware.flow for middleware in broker.middlewares if isinstance(middleware, PipelineMiddleware)
    )
    return next(flows, None)
