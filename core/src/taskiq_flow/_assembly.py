"""Makes the parts of a flow from a user's options and the configuration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from types import EllipsisType
from typing import TYPE_CHECKING, Any, Union

from taskiq import AsyncBroker

from taskiq_flow._runtime import BrokerTraits, PoolCapacity, Runtime
from taskiq_flow.clock import Clock, SystemClock
from taskiq_flow.discoverer import Discoverer
from taskiq_flow.errors import PluginError
from taskiq_flow.plugins import FlowConfig, Plugins
from taskiq_flow.plugins.selection import Selection
from taskiq_flow.pools import WorkerPool, amounts, check_names
from taskiq_flow.retries.policies import Policies
from taskiq_flow.retry import RetryPolicy
from taskiq_flow.scheduler import Scheduler
from taskiq_flow.schedulers.durations import Durations
from taskiq_flow.serializer import ByteCodec
from taskiq_flow.store import BlobStore, RunStore
from taskiq_flow.stores.external_blobs import StoreWithBlobs
from taskiq_flow.values.claim_checks import ClaimChecks
from taskiq_flow.values.codec import Codec

if TYPE_CHECKING:
    from taskiq_flow.discovery import Catalogue

__all__ = ["SizeLimit", "assemble", "check_processes"]

SizeLimit = Union[int, str, EllipsisType, None]
"""Bytes, or a text such as ``256KiB``; ``None`` for no limit, and ``...`` for the configured one."""


def assemble(
    broker: AsyncBroker,
    *,
    store: str | RunStore | None,
    scheduler: str | Scheduler | None,
    serializer: str | None,
    codecs: Sequence[str | ByteCodec] | None,
    claim_check: SizeLimit,
    blobs: str | BlobStore | None,
    max_value_bytes: SizeLimit,
    retry: str | Mapping[str, Any] | RetryPolicy | type[RetryPolicy] | None,
    plugins: Iterable[Any],
    blocked: Iterable[str] | None,
    discover: bool | str | Discoverer,
    pool: str | WorkerPool,
    limits: Mapping[str, float] | None,
    capacity: Mapping[str, float] | None,
    queue: str,
    processes: int | None,
    window: int,
    clock: Clock | None,
) -> Runtime:
    """Make the parts of a flow; the parameters are those of :class:`~taskiq_flow.Flow`.

    :raises PluginError: an option or a part cannot be used.
    """
    _check_options(processes=processes, window=window, queue=queue)
    config = FlowConfig.load(
        store=store if isinstance(store, str) else None,
        scheduler=scheduler if isinstance(scheduler, str) else None,
        serializer=serializer,
        retry=retry if isinstance(retry, (str, Mapping)) else None,
        blocked=blocked,
        codecs=_names_of(codecs),
        claim_check=_setting_of(claim_check),
        blobs=blobs if isinstance(blobs, str) else None,
        max_value_bytes=_setting_of(max_value_bytes),
        discoverer=discover if isinstance(discover, str) else None,
    )
    loaded = Plugins.load(config, explicit=plugins)
    declared = _read_pool(pool)
    selected = {axis: loaded.selection(axis).name for axis in ("store", "scheduler", "serializer")}
    if config.scheduler is None and declared.scheduler is not None:
        selected["scheduler"] = declared.scheduler
    chosen_clock = SystemClock() if clock is None else clock
    chosen_store = store if isinstance(store, RunStore) else loaded.open_store(selected["store"])
    traits = BrokerTraits.of(broker)
    if not (isinstance(store, RunStore) or traits.in_memory or chosen_store.shared_by_processes):
        raise PluginError(_describe_unshared(broker, chosen_store, loaded.selection("store")))
    chosen_scheduler = (
        scheduler if isinstance(scheduler, Scheduler) else loaded.schedulers[selected["scheduler"]]()
    )
    codec = _make_codec(loaded, selected["serializer"], codecs)
    # A codec that cannot be sent to the processes fails here, and not with the first attempt.
    check_processes(processes, codec)
    chosen_store = _add_blobs(chosen_store, blobs, loaded)
    policies = Policies.choose(loaded, retry)
    discoverer = loaded.make_discoverer(discover) if discover else None
    effective_limits = _effective_limits(declared, limits)
    _check_lookahead(chosen_scheduler)
    return Runtime(
        broker=broker,
        traits=traits,
        plugins=loaded,
        store=chosen_store,
        codec=codec,
        claim_checks=ClaimChecks(chosen_store, chosen_clock, config.claim_check),
        policies=policies,
        durations=Durations(),
        clock=chosen_clock,
        capacity=PoolCapacity(
            declared, effective_limits, chosen_scheduler, traits.in_memory, capacity, loaded.worker_capacity
        ),
        queue=queue,
        window=window,
        discoverer=discoverer,
        load_catalogue=lru_cache(maxsize=None)(lambda: _load_catalogue(loaded, discoverer)),
    )


def _load_catalogue(plugins: Plugins, discoverer: Discoverer | None) -> Catalogue:
    # Imported late: discovery imports the builders, which most flows never need.
    from taskiq_flow.discovery import load_catalogue

    return load_catalogue(discoverer or plugins.make_discoverer())


# Values


def _setting_of(size: SizeLimit) -> int | str | None:
    # In the configuration, None means unset, and "none" means no limit.
    if isinstance(size, EllipsisType):
        return None
    return "none" if size is None else size


def _names_of(codecs: Sequence[str | ByteCodec] | None) -> list[str] | None:
    if isinstance(codecs, (str, ByteCodec)):
        raise PluginError(f"codecs is a list, found {codecs!r}; write [{codecs!r}]")
    if codecs is None:
        return None
    wrong = [each for each in codecs if not isinstance(each, (str, ByteCodec))]
    if wrong:
        raise PluginError(
            f"codecs has {', '.join(map(repr, wrong))}; each one is a name, or an object of a subclass of ByteCodec"
        )
    return [each if isinstance(each, str) else str(getattr(each, "name", each)) for each in codecs]


def _make_codec(plugins: Plugins, serializer: str, codecs: Sequence[str | ByteCodec] | None) -> Codec:
    """Make the codec of a flow.

    :raises PluginError: the serializer or a codec is not installed, or cannot be used.
    """
    # The lookup raises an error for an unknown name that lists the known ones.
    plugins.serializers[serializer]
    return Codec(
        plugins.serializers,
        serializer,
        codecs=plugins.config.codecs if codecs is None else tuple(codecs),
        installed=plugins.codecs,
        max_value_bytes=plugins.config.max_value_bytes,
    )


def _add_blobs(store: RunStore, blobs: str | BlobStore | None, plugins: Plugins) -> RunStore:
    """Return the store with its blobs in the chosen place; by default the store itself.

    :raises PluginError: no plugin offers the URL's scheme.
    """
    if isinstance(blobs, BlobStore):
        return StoreWithBlobs(store, blobs)
    if blobs is not None and not isinstance(blobs, str):
        raise PluginError(f"blobs is {blobs!r}; give a URL, such as 'file:///var/lib/blobs', or a BlobStore")
    url = plugins.config.blobs
    return store if url is None else StoreWithBlobs(store, plugins.open_blobs(url))


def _describe_unshared(broker: AsyncBroker, store: RunStore, selected: Selection) -> str:
    """Say why a store of one process does not do for a broker of several."""
    return (
        f"{type(broker).__name__} hands tasks to other processes, and store {selected.name!r} ({selected.source}) is "
        "one of this process alone: no worker would find the runs of a client. Name a store that all processes reach, "
        "Flow(broker, store='…') (a plugin offers it; the core has none); or, where this process is the only one, give "
        f"the object, Flow(broker, store={type(store).__name__}())"
    )


# The pool and this process


def _read_pool(pool: str | WorkerPool) -> WorkerPool:
    """Return the declaration of a pool; for a name, one with all defaults.

    :raises PluginError: it is neither a pool nor a name.
    """
    if isinstance(pool, WorkerPool):
        return pool
    if isinstance(pool, str) and pool:
        return WorkerPool(name=pool)
    raise PluginError(
        f"pool is {pool!r}; give a name, or a WorkerPool such as ResourceAwareWorkerPool(workers=[…])"
    )


def _effective_limits(pool: WorkerPool, limits: Mapping[str, float] | None) -> dict[str, float]:
    """Return the limits of a pool together with those of a flow, which take precedence.

    :raises PluginError: they are no numbers by name, or a worker of the pool has a resource of the same name.
    """
    found = {**pool.limits, **amounts("limits", limits or {})}
    check_names(pool.workers, found)
    return found


def _check_lookahead(scheduler: Scheduler) -> None:
    lookahead = scheduler.lookahead
    if not _is_count(lookahead):
        raise PluginError(
            f"scheduler {scheduler.name!r} has a lookahead of {lookahead!r}; give a number of cells, 1 or more"
        )


def check_processes(count: object, codec: Codec) -> None:
    """Check whether a flow can have a number of processes.

    :raises PluginError: it is no such number, or the codec cannot be sent to processes.
    """
    if count is None:
        return
    if problem := _describe_count(count):
        raise PluginError(problem)
    codec.recipe()


def _describe_count(processes: object) -> str:
    if processes is None or _is_count(processes):
        return ""
    return f"processes is {processes!r}; give a number of processes, 1 or more, or None"


def _check_options(*, processes: object, window: object, queue: object) -> None:
    """Check the options of a flow about this process.

    :raises PluginError: with every problem.
    """
    problems: list[str] = []
    if problem := _describe_count(processes):
        problems.append(problem)
    if not _is_count(window):
        problems.append(f"window is {window!r}; give a number of items, 1 or more")
    if not isinstance(queue, str):
        problems.append(
            f"queue is {queue!r}; give the name of the queue that only this worker reads, or leave it out"
        )
    if problems:
        raise PluginError("\n".join(problems))


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
