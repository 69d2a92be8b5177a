"""What the parts of a flow share, decided once when the flow is made and never changed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from attrs import frozen
from taskiq import AsyncBroker, InMemoryBroker

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

logger = logging.getLogger("taskiq_flow")

_HERE = "this-process"


@frozen(kw_only=True)
class BrokerTraits:
    """What matters of how a broker sends messages.

    :param in_memory: Whether tasks are executed in the process that sends them, in the event loop that sends them.
    :param in_place: Whether sending a message is executing it, and returns after that.
    :param executor: The threads that execute synchronous tasks; ``None`` where a worker is to have its own.
    """

    in_memory: bool
    in_place: bool = False
    executor: Executor | None = None

    @classmethod
    def of(cls, broker: AsyncBroker) -> BrokerTraits:
        """Give those of a broker."""
        if not isinstance(broker, InMemoryBroker):
            return cls(in_memory=False)
        return cls(
            in_memory=True, in_place=bool(getattr(broker, "await_inplace", False)), executor=broker.executor
        )


@frozen(slots=False, eq=False)
class PoolCapacity:
    """What a pool has, as far as it is known beforehand.

    :param pool: The pool as it was declared.
    :param limits: How much of these names all runs together may occupy.
    :param scheduler: Who places the cells.
    :param in_memory: Whether this process is the only one.
    :param given: What this process was said to have; ``None`` where it is to be found out.
    :param detect: Finds it out.
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
        """What the worker of this process has, by resource name; empty where that is not known."""
        if self.given is not None:
            return dict(self.given)
        try:
            return amounts("what a plugin says of this worker's capacity", self.detect())
        except PluginError as error:
            logger.error("the capacity of this worker counts as unknown: %s", error)
            return {}

    @cached_property
    def workers(self) -> tuple[WorkerView, ...]:
        """The workers that are known beforehand; in memory without any, this process, if anybody looks at it."""
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
    """What a flow was made of, for its driver, its workers, its hosts and whoever asks.

    :param broker: Sends messages.
    :param traits: How it does.
    :param plugins: What is loaded.
    :param store: Keeps the runs.
    :param codec: Encodes and decodes values.
    :param claim_checks: Keeps large values apart.
    :param policies: Decides about failures.
    :param durations: How long tasks take, as far as this process knows; gets to know more.
    :param clock: Tells the time.
    :param capacity: What the pool has.
    :param queue: The queue that only the worker of this process reads; empty for none.
    :param window: How many items of a map are open at once, where the map does not say.
    :param discoverer: Who finds tasks of installed distributions for the broker; ``None`` where nobody asked for them.
    :param load_catalogue: Gives those tasks; their modules are imported when it is called first.
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
        """How much of these names all runs of the pool together may occupy."""
        return self.capacity.limits

    @property
    def scheduler(self) -> Scheduler:
        """Who places the cells."""
        return self.capacity.scheduler
