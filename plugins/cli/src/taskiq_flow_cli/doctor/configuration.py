"""Findings about the selections, and whether they can be made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from taskiq_flow import PluginError
from taskiq_flow.plugins import FlowConfig, OfferTable, Plugins
from taskiq_flow_cli.doctor.findings import Finding, fine, note, problem
from taskiq_flow_cli.plugins import Inventory, without_password

__all__ = ["configuration_findings"]

_ADVICE = "follow the error, or select another"


def configuration_findings(inventory: Inventory, config: FlowConfig) -> Iterator[Finding]:
    """Make every selected object, as a flow does, without connecting to anything."""
    try:
        plugins = Plugins.load(config)
        makers = _makers(plugins, config)
    except PluginError:
        # The findings about plugins report the problem.
        for axis, choice in inventory.selected.items():
            label = f"{choice['name']} ({choice['source']})"
            yield note(
                "configuration", axis, f"{label}; not tried, because the plugins cannot be used together"
            )
        return
    for axis, choice in inventory.selected.items():
        yield _make(axis, f"{choice['name']} ({choice['source']})", makers[axis])
    for axis in makers.keys() - inventory.selected.keys():
        yield _make(axis, config.sources.get(axis.partition(" ")[0], "configured"), makers[axis])


def _makers(plugins: Plugins, config: FlowConfig) -> Mapping[str, Callable[[], object]]:
    chosen = {axis: plugins.selection(axis).name for axis in ("store", "scheduler", "serializer", "retry")}
    discoverer = plugins.selection("discoverer").name
    makers: dict[str, Callable[[], object]] = {
        "store": lambda: plugins.open_store(chosen["store"]),
        "scheduler": partial(_new, plugins.schedulers, chosen["scheduler"]),
        "serializer": partial(_new, plugins.serializers, chosen["serializer"]),
        "retry": lambda: _policy(plugins, config, chosen["retry"]),
        "discoverer": lambda: plugins.discoverers[discoverer].from_settings(config.tasks),
    }
    for name in config.codecs:
        makers[f"codecs {name}"] = partial(_new, plugins.codecs, name)
    if config.blobs is not None:
        makers[f"blobs {without_password(config.blobs)}"] = lambda: plugins.open_blobs(config.blobs or "")
    return makers


def _new(table: OfferTable[object], name: str) -> object:
    return table[name]()


def _policy(plugins: Plugins, config: FlowConfig, name: str) -> object:
    policies = plugins.retry_policies[name]
    return policies.from_options(config.retry_options or {})


def _make(axis: str, label: str, make: Callable[[], object]) -> Finding:
    try:
        make()
    except Exception as error:  # noqa: BLE001 - a foreign constructor may raise anything
        why = str(error) if isinstance(error, PluginError) else f"{type(error).__name__}: {error}"
        return problem("configuration", axis, f"{label} cannot be used: {why}", _ADVICE)
    return fine("configuration", axis, label)
