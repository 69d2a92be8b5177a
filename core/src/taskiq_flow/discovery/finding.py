"""Which discoverer is asked, for which broker."""

from __future__ import annotations

import logging
from typing import Union

from taskiq import AsyncBroker, InMemoryBroker, async_shared_broker

from taskiq_flow.discoverer import Discoverer
from taskiq_flow.discovery.catalogue import Catalogue
from taskiq_flow.errors import PluginError
from taskiq_flow.plugins import FlowConfig, Plugins
from taskiq_flow.worker.middleware import PipelineMiddleware

__all__ = ["Wanted", "catalogue_for", "load_catalogue", "make_discoverer", "usual_broker"]

logger = logging.getLogger("taskiq_flow")

Wanted = Union[bool, str, Discoverer]
"""A discoverer, the name of one, or ``True`` for the one that the configuration selects."""


def make_discoverer(plugins: Plugins, wanted: Wanted = True) -> Discoverer:
    """Give the discoverer that is wanted, with the settings that the configuration has for it.

    :raises PluginError: there is none of that name, it does not have these settings, or it is something else.
    """
    if isinstance(wanted, Discoverer):
        return wanted
    if not isinstance(wanted, str) and wanted is not True:
        raise PluginError(
            f"expected True, a discoverer or the name of one to discover with, found {wanted!r}"
        )
    name = wanted if isinstance(wanted, str) else plugins.selection("discoverer").name
    return plugins.discoverers[name].from_settings(plugins.config.tasks)


def load_catalogue(discoverer: Discoverer) -> Catalogue:
    """Load everything that a discoverer finds, and log what cannot be used."""
    catalogue = Catalogue.load(discoverer.find())
    for problem in catalogue.problems:
        logger.error("%s", problem)
    return catalogue


def catalogue_for(broker: AsyncBroker, wanted: Wanted = True) -> Catalogue:
    """Give the installed tasks, as the broker's flow finds them; without a flow, as the configuration says.

    :param wanted: Who finds them, in place of the flow's discoverer.
    :raises PluginError: plugins cannot be loaded, or there is no such discoverer.
    """
    flow = next((each.flow for each in broker.middlewares if isinstance(each, PipelineMiddleware)), None)
    if flow is None:
        return load_catalogue(make_discoverer(Plugins.load(FlowConfig.load()), wanted))
    return flow.catalogue if wanted is True else load_catalogue(make_discoverer(flow.plugins, wanted))


def usual_broker() -> AsyncBroker:
    """Give the broker that shared tasks are sent with, or a new one in memory where the application said none."""
    said: AsyncBroker | None = getattr(async_shared_broker, "_default_broker", None)
    return InMemoryBroker() if said is None else said
