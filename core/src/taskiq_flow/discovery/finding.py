"""Finds the discoverer of a broker, and loads its catalogue."""

from __future__ import annotations

from typing import Any, cast

from taskiq import AsyncBroker, InMemoryBroker, async_shared_broker

from taskiq_flow._logs import open_log
from taskiq_flow.discoverer import Discoverer, TaskSource
from taskiq_flow.discovery.catalogue import Catalogue
from taskiq_flow.errors import FlowError, PluginError
from taskiq_flow.plugins import Plugins
from taskiq_flow.worker.middleware import WorkerMiddleware

__all__ = ["catalogue_for", "find_sources", "load_catalogue", "usual_broker"]

logger = open_log("taskiq_flow")


def find_sources(discoverer: Discoverer) -> tuple[TaskSource, ...]:
    """Return the sources of a discoverer, which may be a third party's code.

    :raises PluginError: it fails, or returns other objects than sources.
    """
    subject = (
        f"discoverer {discoverer.name!r} ({type(discoverer).__qualname__} of {type(discoverer).__module__})"
    )
    try:
        found: tuple[Any, ...] = tuple(discoverer.find())
    except FlowError:
        raise
    except Exception as error:
        raise PluginError(f"{subject} failed to find tasks: {type(error).__name__}: {error}") from error
    if wrong := {type(each).__name__ for each in found if not isinstance(each, TaskSource)}:
        raise PluginError(f"{subject} must give objects of type TaskSource, found {', '.join(sorted(wrong))}")
    return found


def load_catalogue(discoverer: Discoverer) -> Catalogue:
    """Load everything that a discoverer finds, and log its problems.

    :raises PluginError: the discoverer fails.
    """
    catalogue = Catalogue.load(find_sources(discoverer))
    for problem in catalogue.problems:
        logger.error("%s", problem)
    return catalogue


def catalogue_for(broker: AsyncBroker, wanted: bool | str | Discoverer = True) -> Catalogue:
    """Return the catalogue of the broker's flow; without a flow, that of the configured discoverer.

    :param wanted: A discoverer in place of the flow's; ``True`` for the flow's.
    :raises PluginError: plugins cannot be loaded, or there is no such discoverer.
    """
    runtime = next((each.runtime for each in broker.middlewares if isinstance(each, WorkerMiddleware)), None)
    if runtime is None:
        return load_catalogue(Plugins.load().make_discoverer(wanted))
    if wanted is True:
        return cast(Catalogue, runtime.load_catalogue())
    return load_catalogue(runtime.plugins.make_discoverer(wanted))


def usual_broker() -> AsyncBroker:
    """Return the broker that shared tasks are sent with, or a new one in memory if the application set none."""
    default: AsyncBroker | None = getattr(async_shared_broker, "_default_broker", None)
    return InMemoryBroker() if default is None else default
