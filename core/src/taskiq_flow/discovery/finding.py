"""Which discoverer is asked, for which broker."""

from __future__ import annotations

import logging

from taskiq import AsyncBroker, InMemoryBroker, async_shared_broker

from taskiq_flow.discoverer import Discoverer
from taskiq_flow.discovery.catalogue import Catalogue
from taskiq_flow.plugins import Plugins
from taskiq_flow.worker.middleware import PipelineMiddleware

__all__ = ["catalogue_for", "load_catalogue", "usual_broker"]

logger = logging.getLogger("taskiq_flow")


def load_catalogue(discoverer: Discoverer) -> Catalogue:
    """Load everything that a discoverer finds, and log what cannot be used."""
    catalogue = Catalogue.load(discoverer.find())
    for problem in catalogue.problems:
        logger.error("%s", problem)
    return catalogue


def catalogue_for(broker: AsyncBroker, wanted: bool | str | Discoverer = True) -> Catalogue:
    """Give the installed tasks, as the broker's flow finds them; without a flow, as the configuration says.

    :param wanted: Who finds them, in place of the flow's discoverer.
    :raises PluginError: plugins cannot be loaded, or there is no such discoverer.
    """
    flow = next((each.flow for each in broker.middlewares if isinstance(each, PipelineMiddleware)), None)
    if flow is None:
        return load_catalogue(Plugins.load().make_discoverer(wanted))
    return flow.catalogue if wanted is True else load_catalogue(flow.plugins.make_discoverer(wanted))


def usual_broker() -> AsyncBroker:
    """Give the broker that shared tasks are sent with, or a new one in memory where the application said none."""
    said: AsyncBroker | None = getattr(async_shared_broker, "_default_broker", None)
    return InMemoryBroker() if said is None else said
