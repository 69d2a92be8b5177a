"""The runtime of a flow: the parts that its driver, workers and hosts share; frozen once the flow is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from attrs import frozen
from taskiq import AsyncBroker, InMemoryBroker

from taskiq_flow._logs import open_log
from taskiq_flow.errors import PluginError
from taskiq_flow.pools import WorkerPool, amounts, check_names
from taskiq_flow.scheduler import Scheduler, WorkerView

if TYPE_CHECKING:
    from taskiq_flow.clock import Clock
    from taskiq_flow.discoverer import Discoverer
    from taskiq_flow.plugins import Plugins
    from taskiq_flow.retries.policies import Policies
    from taskiq_flow.schedulers.durations import Durations
    from taskiq_flow.store import RunStore
    from taskiq_flow.values.claim_checks import ClaimChecks
    from taskiq_flow.values.codec import Codec

__all__ = ["BrokerTraits", "InstalledTasks", "PoolCapacity", "Runtime"]

logger = open_log("taskiq_flow")

_HERE = "this-process"


@frozen(kw_only=True)
class BrokerTraits:
    """The traits of a broker that a flow depends on.

    :param in_memory: Whether tasks are executed in the process and the event loop that send them.
    :param in_place: Whether sending a message executes it before the call returns.
    """

    in_memory: bool
    in_place: bool = False

    @classmethod
    def of(cls, broker: AsyncBroker) -> BrokerTraits:
        """Return the traits of a broker."""
        if not isinstance(broker, InMemoryBroker):
            return cls(in_memory=False)
        return cls(in_memory=True, in_place=bool(getattr(broker, "await_inplace", False)))


@frozen(slots=False, eq=False)
class PoolCapacity:
    """The declared and detected capacity of a pool.

    :param pool: The pool's declaration.
    :param limits: The limits of all runs together, by name.
    :param scheduler: The scheduler.
    :param in_memory: Whether this process is the only one.
    :param given: The capacity that the user gave for this process; ``None`` to detect it.
    :param detect: Callback that detects it.
    :raises PluginError: the capacity is no numbers by name, or one of its names is a limit.
    """

    pool: WorkerPool
    limits: Mapping[str, float]
    scheduler: Scheduler
    in_memory: bool
    given: Mapping[str, float] | None
    detect: Callable[[], Mapping[str, float]]

    def __attrs_post_init__(self) -> None:
        if self.given is not None:
            here = WorkerView(id=_HERE, capacity=amounts("capacity", self.given))
            check_names((here,), self.limits)

    @cached_property
    def of_worker(self) -> Mapping[str, float]:
        """The capacity of this process's worker, by resource name; empty if unknown."""
        if self.given is not None:
            return dict(self.given)
        try:
            return amounts("what a plugin says of this worker's capacity", self.detect())
        except PluginError as error:
            logger.error("the capacity of this worker counts as unknown: %s", error)
            return {}

    @cached_property
    def workers(self) -> tuple[WorkerView, ...]:
        """The declared workers; in memory without any, this process, if the scheduler reads resources."""
        if self.pool.workers or not (self.in_memory and self.scheduler.reads_resources):
            return self.pool.workers
        return (WorkerView(id=_HERE, capacity=self.of_worker),)


class InstalledTasks(Protocol):
    """The tasks of installed distributions; a :class:`~taskiq_flow.discovery.Catalogue`."""

    def bind(self, broker: AsyncBroker) -> object:
        """Register them with a broker.

        :raises PluginError: several of them have one name.
        """


@frozen(kw_only=True, eq=False)
class Runtime:
    """The parts of a flow, for its driver, its workers, its hosts, its handles and its explainers.

    :param broker: The broker.
    :param traits: The traits of the broker.
    :param plugins: The loaded plugins.
    :param store: The store of the runs.
    :param codec: The codec of values.
    :param claim_checks: The claim checks, which store large values as blobs.
    :param policies: The retry policies.
    :param durations: The durations of tasks that this process has seen; the only part that changes.
    :param clock: The clock.
    :param capacity: The capacity of the pool.
    :param queue: The queue that only the worker of this process reads; empty for none.
    :param window: How many items may be open at once, over all maps of a run without a limit of their own.
    :param discoverer: The discoverer whose tasks are registered with the broker; ``None`` if none are.
    :param load_catalogue: Callback that returns the installed tasks; the first call imports their modules.
    """

    broker: AsyncBroker
    traits: BrokerTraits
    plugins: Plugins
    store: RunStore
    codec: Codec
    claim_checks: ClaimChecks
    policies: Policies
    durations: Durations
    clock: Clock
    capacity: PoolCapacity
    queue: str
    window: int
    discoverer: Discoverer | None
    load_catalogue: Callable[[], InstalledTasks]

    @property
    def in_memory(self) -> bool:
        """Whether tasks are executed in the process that sends them."""
        return self.traits.in_memory

    @property
    def pool(self) -> str:
        """The name of the pool."""
        return self.capacity.pool.name

    @property
    def limits(self) -> Mapping[str, float]:
        """The limits of all runs of the pool together, by name."""
        return self.capacity.limits

    @property
    def scheduler(self) -> Scheduler:
        """The scheduler."""
        return self.capacity.scheduler
