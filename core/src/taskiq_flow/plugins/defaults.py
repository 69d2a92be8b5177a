"""The core's own implementations, as a plugin like any other that is called after all others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from taskiq_flow.hookspecs import hookimpl

if TYPE_CHECKING:
    from taskiq_flow.discoverer import Discoverer
    from taskiq_flow.retry import RetryPolicy
    from taskiq_flow.scheduler import Scheduler
    from taskiq_flow.serializer import Serializer
    from taskiq_flow.store import RunStore, WorkerInfo

__all__ = [
    "flow_register_discoverers",
    "flow_register_retry_policies",
    "flow_register_schedulers",
    "flow_register_serializers",
    "flow_register_stores",
    "flow_route_cell",
]


@hookimpl(trylast=True)
def flow_register_retry_policies() -> Iterable[type[RetryPolicy]]:
    """Offer ``none``."""
    from taskiq_flow.retries.none import NoRetry

    return [NoRetry]


@hookimpl(trylast=True)
def flow_register_schedulers() -> Iterable[type[Scheduler]]:
    """Offer ``fifo``."""
    from taskiq_flow.schedulers.fifo import FifoScheduler

    return [FifoScheduler]


@hookimpl(trylast=True)
def flow_register_serializers() -> Iterable[type[Serializer]]:
    """Offer ``json``."""
    from taskiq_flow.serializers.json import JsonSerializer

    return [JsonSerializer]


@hookimpl(trylast=True)
def flow_register_stores() -> Iterable[type[RunStore]]:
    """Offer ``memory://``."""
    from taskiq_flow.stores.memory import MemoryStore

    return [MemoryStore]


@hookimpl(trylast=True)
def flow_register_discoverers() -> Iterable[type[Discoverer]]:
    """Offer ``entry-points``."""
    from taskiq_flow.discoverers.entry_points import EntryPointDiscoverer

    return [EntryPointDiscoverer]


@hookimpl(trylast=True)
def flow_route_cell(worker: WorkerInfo | None, queue: str) -> Mapping[str, Any]:
    """Send to the worker's own queue, or else to the requested one."""
    name = (worker.queue if worker is not None else "") or queue
    return {"queue_name": name} if name else {}
