"""The selected offer on an axis, and the source of that choice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from taskiq_flow.errors import PluginError
from taskiq_flow.plugins.config import FlowConfig
from taskiq_flow.plugins.tables import OfferTable

__all__ = ["CORE_CHOICES", "Selection", "select"]

#: The core's default on each configurable axis.
CORE_CHOICES: Mapping[str, str] = {
    "store": "memory://",
    "scheduler": "fifo",
    "serializer": "json",
    "retry": "none",
    "discoverer": "entry-points",
}


@frozen(kw_only=True)
class Selection:
    """The selected offer on an axis.

    :param name: The name, or the URL of the store.
    :param source: The source of the choice, for people.
    """

    name: str
    source: str


def select(axis: str, config: FlowConfig, table: OfferTable[Any]) -> Selection:
    """Select the configured name, or else the one preferred class, or else the core's default.

    A class is preferred by ``preferred = True`` in its own body; subclasses do not inherit it.

    :param axis: One of ``store``, ``scheduler``, ``serializer``, ``retry``.
    :param table: The offers on the axis.
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
