"""Which of the offers on an axis is used, and who said so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from taskiq_flow.errors import PluginError
from taskiq_flow.plugins.config import FlowConfig
from taskiq_flow.plugins.tables import OfferTable

__all__ = ["CORE_CHOICES", "Selection", "select"]

#: What the core has on each axis that is configured.
CORE_CHOICES: Mapping[str, str] = {
    "store": "memory://",
    "scheduler": "fifo",
    "serializer": "json",
    "retry": "none",
    "discoverer": "entry-points",
}


@frozen(kw_only=True)
class Selection:
    """What is selected on an axis.

    :param name: The name, or the URL of the store.
    :param source: Who said so, for people.
    """

    name: str
    source: str


def select(axis: str, config: FlowConfig, table: OfferTable[Any]) -> Selection:
    """Give what the configuration names, or else the one class that says it is preferred, or else the core's.

    A class says so itself, with ``preferred = True`` in its own body: what is derived from it does not inherit that.

    :param axis: One of ``store``, ``scheduler``, ``serializer``, ``retry``.
    :param table: What is offered there.
    :raises PluginError: nothing is named, and several classes are preferred.
    """
    named: str | None = getattr(config, axis)
    if named is not None:
        return Selection(name=named, source=config.sources.get(axis) or "configured")
    preferred: dict[type[Any], tuple[str, str]] = {}
    for name, cls in table.items():
        if vars(cls).get("preferred") is True:
            preferred.setdefault(cls, (name, table.plugin_of(name).origin.release))
    if len(preferred) > 1:
        listed = " and ".join(f"{name!r} ({release})" for name, release in preferred.values())
        name, _ = next(iter(preferred.values()))
        raise PluginError(
            f"nothing selects a {table.kind}, and each of {listed} wants to be preferred; name one: "
            f'Flow(broker, {axis}={name!r}), TASKIQ_FLOW_{axis.upper()}={name}, or {axis} = "{name}" in '
            "[tool.taskiq-flow] of pyproject.toml"
        )
    for name, release in preferred.values():
        return Selection(name=f"{name}://" if axis == "store" else name, source=f"preferred by {release}")
    return Selection(name=CORE_CHOICES[axis], source="default")
