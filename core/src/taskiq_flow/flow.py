"""A flow: makes a broker run pipelines."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from attrs import evolve
from taskiq import AsyncBroker, AsyncTaskiqDecoratedTask, InMemoryBroker

from taskiq_flow._assembly import SizeLimit, assemble, check_processes
from taskiq_flow._runtime import BrokerTraits, Runtime
from taskiq_flow.clock import Clock
from taskiq_flow.discoverer import Discoverer
from taskiq_flow.driver.attaching import serve_while_listening, wait_for_runs_too
from taskiq_flow.driver.driver import Driver
from taskiq_flow.driver.host import Host
from taskiq_flow.driver.hosts import Hosts
from taskiq_flow.errors import GraphError, PluginError, ResumeError, RunNotFound
from taskiq_flow.graph.model import Graph
from taskiq_flow.handle import RunHandle
from taskiq_flow.machine.events import RunStarted
from taskiq_flow.machine.machine import DEFAULT_WINDOW
from taskiq_flow.plugins import Plugins
from taskiq_flow.pools import WorkerPool
from taskiq_flow.retries.policies import Policies
from taskiq_flow.retry import RetryPolicy
from taskiq_flow.scheduler import Scheduler, WorkerView
from taskiq_flow.serializer import ByteCodec
from taskiq_flow.store import BlobStore, Lease, Notice, RunRecord, RunStore
from taskiq_flow.submission.admission import Admission
from taskiq_flow.submission.resumption import error_of_second_resumption, resumption_of
from taskiq_flow.values.claim_checks import ClaimChecks
from taskiq_flow.values.codec import Codec
from taskiq_flow.worker.decorated import FlowTask, wrap_tasks
from taskiq_flow.worker.lending import find_nesting
from taskiq_flow.worker.middleware import WorkerMiddleware
from taskiq_flow.worker.processes import Processes

if TYPE_CHECKING:
    from taskiq_flow.discovery import Catalogue

__all__ = ["Flow", "PipelineMiddleware"]

T = TypeVar("T")

_MAKING = threading.Lock()


class Flow:
    """Makes a broker run pipelines.

    With an in-memory broker everything happens in this process, once a pipeline is started. With any other broker,
    taskiq's worker processes execute the tasks, and one of them drives.

    ::

        broker = InMemoryBroker()
        flow = Flow(broker, processes=4)

    :param broker: The broker; the flow adds a middleware to it, and wraps its tasks.
    :param store: A store or the URL of one. With a broker of several processes it is one that all of them reach; a
        store of this process alone, such as the memory store, is taken as an object only.
    :param scheduler: A scheduler or the name of one.
    :param serializer: The name of the serializer.
    :param codecs: Codecs for encoded values, or their names, in the order of writing.
    :param claim_check: Bytes (or a text such as ``256KiB``) above which a value is stored as a blob, 4 KiB at least;
        ``None`` for never.
    :param blobs: The blob store or its URL; by default the store itself keeps blobs.
    :param max_value_bytes: How many bytes (or a text) a value may have; ``None`` for no limit.
    :param retry: The retry policy for nodes without options of their own: a policy, its options, or the name or class
        of one, which then reads the options of tasks and pipelines too.
    :param plugins: Modules or objects with hooks, in addition to the installed plugins.
    :param blocked: Names of plugins that are not loaded.
    :param discover: Whether the tasks of installed distributions are registered with the broker when a worker process
        starts: ``True`` for those of the configured discoverer; or another discoverer, or its name.
    :param pool: The pool of its runs: a name, or the declaration of a pool.
    :param limits: Limits for all runs of the pool together, by name, such as ``{"db": 5}``; they are added to those of
        the pool, and take precedence.
    :param capacity: The capacity of this process's worker, such as ``{"cpu": 4, "ram_mb": 8192}``; by default a plugin
        detects it.
    :param queue: The queue that only the worker of this process reads; empty for none.
    :param processes: How many processes execute synchronous tasks; ``None`` for threads.
    :param window: How many items may be open at once, over all maps of a run without a limit of their own.
    :param clock: The clock.
    :param middleware: The middleware that makes this flow; ``None`` to add one.
    :raises PluginError: the broker has a flow already, or a selected part cannot be used.
    """

    def __init__(
        self,
        broker: AsyncBroker,
        *,
        store: str | RunStore | None = None,
        scheduler: str | Scheduler | None = None,
        serializer: str | None = None,
        codecs: Sequence[str | ByteCodec] | None = None,
        claim_check: SizeLimit = ...,
        blobs: str | BlobStore | None = None,
        max_value_bytes: SizeLimit = ...,
        retry: str | Mapping[str, Any] | RetryPolicy | type[RetryPolicy] | None = None,
        plugins: Iterable[Any] = (),
        blocked: Iterable[str] | None = None,
        discover: bool | str | Discoverer = False,
        pool: str | WorkerPool = "default",
        limits: Mapping[str, float] | None = None,
        capacity: Mapping[str, float] | None = None,
        queue: str = "",
        processes: int | None = None,
        window: int = DEFAULT_WINDOW,
        clock: Clock | None = None,
        middleware: PipelineMiddleware | None = None,
    ) -> None:
        if _flow_on(broker) is not None:
            raise PluginError("the broker has a flow already; use Flow.of(broker) to get it")
        self.runtime: Runtime = assemble(
            broker,
            store=store,
            scheduler=scheduler,
            serializer=serializer,
            codecs=codecs,
            claim_check=claim_check,
            blobs=blobs,
            max_value_bytes=max_value_bytes,
            retry=retry,
            plugins=plugins,
            blocked=blocked,
            discover=discover,
            pool=pool,
            limits=limits,
            capacity=capacity,
            queue=queue,
            processes=processes,
            window=window,
            clock=clock,
        )
        self.hosts = Hosts(
            self.runtime,
            processes=None if processes is None else Processes(processes),
            make_driver=self.make_driver,
        )
        self._admission = Admission(self.runtime)
        self._install(middleware)

    @classmethod
    def of(cls, broker: AsyncBroker, *, pool: WorkerPool | None = None) -> Flow:
        """Return the flow of a broker. An in-memory broker without a flow gets one with all defaults.

        :param pool: The pool of the flow; a new flow is made with it.
        :raises PluginError: a broker that is not in memory has no flow, or the flow has another pool.
        """
        flow = _flow_on(broker)
        if flow is None and BrokerTraits.of(broker).in_memory:
            # Several threads may start the first pipeline at once.
            with _MAKING:
                flow = _flow_on(broker) or cls(broker, pool="default" if pool is None else pool)
        if flow is not None:
            if pool is not None and flow.runtime.capacity.pool != pool:
                raise PluginError(
                    f"the broker has a flow with another pool ({flow.pool!r}) already; give the pool where that is "
                    "made, Flow(broker, pool=…), or before the first pipeline is started"
                )
            return flow
        raise PluginError(
            f"{type(broker).__name__} has no flow; add one where the broker is made: "
            "flow = Flow(broker, store='…'), with a store that all processes can reach"
        )

    @property
    def broker(self) -> AsyncBroker:
        """The broker."""
        return self.runtime.broker

    @property
    def in_memory(self) -> bool:
        """Whether tasks are executed in this process, because the broker is in memory."""
        return self.runtime.in_memory

    @property
    def pool(self) -> str:
        """The name of the pool that its runs belong to."""
        return self.runtime.pool

    @property
    def plugins(self) -> Plugins:
        """The loaded plugins."""
        return self.runtime.plugins

    @property
    def store(self) -> RunStore:
        """The store of its runs."""
        return self.runtime.store

    @property
    def scheduler(self) -> Scheduler:
        """The scheduler, which places cells."""
        return self.runtime.scheduler

    @property
    def codec(self) -> Codec:
        """The codec, which encodes and decodes values."""
        return self.runtime.codec

    @property
    def claim_checks(self) -> ClaimChecks:
        """The claim checks, which store large values as blobs."""
        return self.runtime.claim_checks

    @property
    def policies(self) -> Policies:
        """The retry policies, which decide about failures."""
        return self.runtime.policies

    @property
    def clock(self) -> Clock:
        """The clock."""
        return self.runtime.clock

    @property
    def discoverer(self) -> Discoverer:
        """The discoverer of tasks in installed distributions.

        :raises PluginError: the configured discoverer does not exist, or refuses its settings.
        """
        return self.runtime.discoverer or self.plugins.make_discoverer()

    @property
    def catalogue(self) -> Catalogue:
        """The tasks of installed distributions; the first access imports their modules.

        :raises PluginError: the configured discoverer does not exist, or it fails.
        """
        return cast("Catalogue", self.runtime.load_catalogue())

    @property
    def limits(self) -> Mapping[str, float]:
        """The limits of all runs of the pool together, by name."""
        return self.runtime.limits

    @property
    def declared_workers(self) -> tuple[WorkerView, ...]:
        """The declared workers of the pool; in memory there are no others."""
        return self.runtime.capacity.workers

    @property
    def capacity(self) -> Mapping[str, float]:
        """The capacity of this process's worker, by resource name; empty if unknown."""
        return self.runtime.capacity.of_worker

    @property
    def processes(self) -> int | None:
        """How many processes execute synchronous tasks; ``None`` for threads. Can be set before the first run."""
        processes = self.hosts.processes
        return None if processes is None else processes.count

    @processes.setter
    def processes(self, count: int | None) -> None:
        check_processes(count, self.codec)
        self.hosts.processes = None if count is None else Processes(count)

    @property
    def host(self) -> Host:
        """The host of the running event loop."""
        return self.hosts.here()

    @property
    def presence(self) -> Host:
        """The same as :attr:`host`, under its earlier name."""
        return self.host

    async def submit(
        self,
        graph: Graph,
        inputs: Mapping[str, Any],
        *,
        single: str | None = None,
        returns: Mapping[str, Any] | None = None,
        labels: Mapping[str, str] | None = None,
        serializer: str | None = None,
        run_id: str | None = None,
        name: str = "",
    ) -> RunHandle[Any]:
        """Start a run.

        :param graph: The graph to run.
        :param inputs: A value for each of the graph's required inputs.
        :param single: The name of the output that is the run's value; ``None`` for a dictionary of all outputs.
        :param returns: The annotation to decode each output by; by default that of the graph.
        :param labels: Labels of the run, for people, tenants and schedulers.
        :param serializer: The serializer of the inputs; by default the flow's.
        :param run_id: The run's id, by default a new one. If there is a run of the same graph with that id, no
            other one is started and the handle is that of the run that is there, whatever its inputs were.
        :param name: The run's name, for people.
        :raises GraphError: inputs are missing or unknown, tasks are not registered with the broker, or the id is that
            of a run of another graph.
        :raises PayloadError: an input cannot be encoded.
        :raises PluginError: no installed policy reads a node's retry options, or a serializer cannot be used.
        :raises StoreError: a large input cannot be stored.
        :raises UnschedulableError: no live worker has some of the tasks, or one has another version of them; or a node
            demands more than any worker or limit has.
        """
        await self.host.enter()
        if run_id is not None and (known := await self._find_run(run_id)) is not None:
            handle = self._handle_of_known(known, graph, returns)
            if known.outcome is None:
                # Whoever created it may have died before its driver was told.
                await self._announce(known)
            return handle
        record = RunRecord(
            id=uuid.uuid4().hex if run_id is None else run_id,
            pool=self.pool,
            graph=graph,
            origins=await self._admission.check(graph, inputs),
            inputs=self._admission.encode_inputs(graph, inputs, serializer),
            created_at=self.clock.now(),
            labels={} if labels is None else dict(labels),
            name=name,
            single=single,
            nesting=find_nesting(),
        )
        async with self.claim_checks.new_run(record.id):
            record = evolve(record, inputs=await self.claim_checks.check_in_inputs(record.id, record.inputs))
            created = await self._announce(record)
        if not created:
            return self._handle_of_known(await self.store.runs.get(record.id), graph, returns)
        return self.handle_of(record, returns=returns, kinds={each: type(inputs[each]) for each in inputs})

    async def run(self, run_id: str) -> RunHandle[Any]:
        """Return the handle of a run that exists, with the shape that its start gave to its value.

        :param run_id: The run's id.
        :raises RunNotFound: there is no run with that id, or the store has forgotten it.
        """
        await self.host.enter()
        return self.handle_of(await self.store.runs.get(run_id))

    @overload
    async def resume(self, run: RunHandle[T]) -> RunHandle[T]: ...
    @overload
    async def resume(self, run: str) -> RunHandle[Any]: ...
    async def resume(self, run: str | RunHandle[Any]) -> RunHandle[Any]:
        """Resume a run that is over: a new run executes only the cells that had not succeeded.

        Cells that depend on a map with left-out items are executed again. The new id follows from the old one
        (``3f2a``, ``3f2a~2``, ``3f2a~3``), and a run is resumed once at most.

        :param run: The run that is over, or its id.
        :raises ResumeError: it is not over, has nothing left to do, was resumed already, or belongs to another pool.
        :raises FlowError: there is no run with that id, or :meth:`submit` would refuse its graph now.
        """
        await self.drive()
        old = await self.store.runs.get(run if isinstance(run, str) else run.id)
        if old.pool != self.pool:
            raise ResumeError(
                f"run {old.id!r} is one of pool {old.pool!r}, and this flow's pool is {self.pool!r}; "
                "resume it with a flow of its own pool",
                run=old.id,
            )
        old = evolve(old, origins=await self._admission.check(old.graph, old.inputs))
        record = await resumption_of(old, store=self.store, read=self.codec.read, now=self.clock.now())
        if not await self._announce(record):
            raise error_of_second_resumption(old.id)
        if isinstance(run, str):
            return self.handle_of(record)
        return run.handle_of_resumption(record)

    def handle_of(
        self,
        record: RunRecord,
        *,
        returns: Mapping[str, Any] | None = None,
        kinds: Mapping[str, type] | None = None,
    ) -> RunHandle[Any]:
        """Return a handle of a run that exists.

        :param record: The run's record in the store.
        :param returns: The annotation to decode each output by; by default those of the graph, or of the tasks that the
            broker has under the names in it.
        :param kinds: The class of each input's value, where it is known.
        """
        return RunHandle(self.runtime, record, drive=self.drive, returns=returns, kinds=kinds)

    async def _find_run(self, run_id: str) -> RunRecord | None:
        try:
            return await self.store.runs.get(run_id)
        except RunNotFound:
            return None

    def _handle_of_known(
        self, record: RunRecord, graph: Graph, returns: Mapping[str, Any] | None
    ) -> RunHandle[Any]:
        """Return the handle of the run that has the id of a start already.

        :raises GraphError: it is a run of another graph or pool.
        """
        if record.pool != self.pool or record.graph.digest != graph.digest:
            raise GraphError(
                f"there is a run {record.id!r} of another pipeline, or one that was given other defaults or produced "
                f"data ({record.graph.name or 'without a name'!r} in pool {record.pool!r}); choose another id, or get "
                f"that run with `await flow.run({record.id!r})`"
            )
        return self.handle_of(record, returns=returns)

    async def _announce(self, record: RunRecord) -> bool:
        """Create a run and notify its driver; ``False`` when there is a run with that id already."""
        created = await self.store.runs.create(record)
        if created:
            # The context of a run is that of whoever started it, and not of whoever came second with its id.
            self.hosts.remember(record.id)
        notice = Notice(run=record.id, event=RunStarted(at=record.created_at))
        await self.store.inbox.put(record.pool, [notice])
        await self.drive()
        return created

    async def drive(self) -> None:
        """Make sure that the pool is driven: in memory, by a task of the running event loop while there are runs.

        If the event loop of another thread drives already, this one stands by and takes over when that loop ends.
        """
        self._middleware.stand_first()
        await self.host.drive()

    async def startup(self) -> None:
        """Start the flow in this process when taskiq starts the broker; a worker process drives or stands by.

        :raises PluginError: tasks of installed distributions shall be registered, and several share a name.
        """
        if self.runtime.discoverer is not None and (self.in_memory or self.broker.is_worker_process):
            self.catalogue.bind(self.broker)
        wrap_tasks(self.broker)
        self._middleware.stand_first()
        await self.host.start()

    async def shutdown(self) -> None:
        """Stop the flow in this process; unfinished runs continue with the pool's next driver."""
        await self.hosts.end()

    def _install(self, middleware: PipelineMiddleware | None) -> None:
        broker = self.broker
        wrap_tasks(broker)
        if broker.decorator_class is AsyncTaskiqDecoratedTask:
            broker.decorator_class = FlowTask
        if middleware is None:
            middleware = PipelineMiddleware()
            middleware.flow = self
            middleware.set_broker(broker)
            broker.middlewares.insert(0, middleware)
        if isinstance(broker, InMemoryBroker):
            wait_for_runs_too(broker, self.hosts.here)
        else:
            serve_while_listening(broker, self.hosts.here, self.startup)
        middleware.serve(self.runtime, lambda: self.hosts.here().worker)
        self._middleware = middleware

    def make_driver(self, lease: Lease) -> Driver:
        """Make a driver for a lease that was acquired in the running event loop; simulations step it by hand."""
        return Driver(self.runtime, lease, self.host)


class PipelineMiddleware(WorkerMiddleware):
    """Makes a broker run pipelines; ``broker.add_middlewares(PipelineMiddleware(...))`` is ``Flow(broker, ...)``.

    :param options: The parameters of :class:`~taskiq_flow.Flow`, without the broker.

    :ivar flow: The flow; ``None`` until the middleware has a broker.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.flow: Flow | None = None
        self._options = options

    def set_broker(self, broker: AsyncBroker) -> None:
        """Take the broker, and make the flow if there is none yet."""
        super().set_broker(broker)
        if self.flow is None:
            self.flow = Flow(broker, middleware=self, **self._options)

    async def startup(self) -> None:
        """Start the flow in this process."""
        if self.flow is not None:
            await self.flow.startup()

    async def shutdown(self) -> None:
        """Stop the flow in this process."""
        if self.flow is not None:
            await self.flow.shutdown()


def _flow_on(broker: AsyncBroker) -> Flow | None:
    flows: Iterator[Flow | None] = (
        middleware.flow for middleware in broker.middlewares if isinstance(middleware, PipelineMiddleware)
    )
    return next(flows, None)
