"""The plugins of one flow: loaded, checked, and laid out in tables."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from attrs import field, frozen

from taskiq_flow.command import Command
from taskiq_flow.discoverer import Discoverer, Origin
from taskiq_flow.errors import PluginError
from taskiq_flow.plugins.calls import Call, decider
from taskiq_flow.plugins.commands import COMMANDS
from taskiq_flow.plugins.config import FlowConfig
from taskiq_flow.plugins.loading import DEFAULTS, LoadedPlugin, load_plugins
from taskiq_flow.plugins.observers import Observers
from taskiq_flow.plugins.registration import answers_of, calls_of
from taskiq_flow.plugins.selection import Selection, select
from taskiq_flow.plugins.tables import Axis, OfferTable, offers_on
from taskiq_flow.retry import RetryPolicy
from taskiq_flow.scheduler import Scheduler
from taskiq_flow.serializer import ByteCodec, Serializer
from taskiq_flow.store import BlobStore, RunStore, WorkerInfo

__all__ = ["AXES", "Plugins"]

#: The axes on which plugins offer classes, by the attribute of :class:`Plugins` with the table.
AXES = {
    "retry_policies": Axis("retry policy", "flow_register_retry_policies", RetryPolicy),
    "schedulers": Axis("scheduler", "flow_register_schedulers", Scheduler),
    "serializers": Axis("serializer", "flow_register_serializers", Serializer),
    "codecs": Axis("codec", "flow_register_codecs", ByteCodec),
    "blob_stores": Axis("blob store", "flow_register_blob_stores", BlobStore, key="schemes"),
    "stores": Axis("store", "flow_register_stores", RunStore, key="schemes"),
    "discoverers": Axis("discoverer", "flow_register_discoverers", Discoverer),
    "commands": COMMANDS,
}

# The settings that select among the offers, and the tables that they select from.
_SELECTED = {
    "store": "stores",
    "scheduler": "schedulers",
    "serializer": "serializers",
    "retry": "retry_policies",
    "discoverer": "discoverers",
}

_Router = Callable[[str, str, str, "WorkerInfo | None", str], Mapping[str, Any]]


@frozen(kw_only=True, eq=False)
class Plugins:
    """The offers of all plugins together; the core calls plugins only through it.

    :param config: The configuration, which selects among the offers.
    :param loaded: The plugins, in the order in which they were loaded: defaults, installed by name, given in code.
    :param retry_policies: Classes by name.
    :param schedulers: Classes by name.
    :param serializers: Classes by name.
    :param codecs: Classes by name.
    :param blob_stores: Classes by URL scheme.
    :param stores: Classes by URL scheme.
    :param discoverers: Classes by name.
    :param commands: Classes by name.
    :param notify: The observers.
    :param route_cell: Returns the labels of a cell's message, as the hook ``flow_route_cell`` describes.
    :param worker_capacity: Returns the capacity of this process, as the hook ``flow_worker_capacity`` describes.
    """

    config: FlowConfig
    loaded: tuple[LoadedPlugin, ...]
    retry_policies: OfferTable[RetryPolicy]
    schedulers: OfferTable[Scheduler]
    serializers: OfferTable[Serializer]
    codecs: OfferTable[ByteCodec]
    blob_stores: OfferTable[BlobStore]
    stores: OfferTable[RunStore]
    discoverers: OfferTable[Discoverer]
    commands: OfferTable[Command]
    notify: Observers
    route_cell: _Router = field(repr=False)
    worker_capacity: Callable[[], Mapping[str, float]] = field(repr=False)
    _explicit: tuple[Any, ...] = field(default=(), repr=False)

    @classmethod
    def load(cls, config: FlowConfig | None = None, *, explicit: Iterable[Any] = ()) -> Plugins:
        """Load the defaults, the installed plugins, and those that are given here.

        :param config: The configuration; read from environment and file when it is not given.
        :param explicit: Modules, their names, or objects with hooks.
        :raises PluginError: a plugin cannot be loaded, or two offer the same name; names their origins.
        """
        config = FlowConfig.load() if config is None else config
        if not isinstance(explicit, (str, types.ModuleType)):
            explicit = tuple(explicit)
        loaded = tuple(load_plugins(explicit, config.blocked))
        calls = calls_of(loaded)
        tables: dict[str, Any] = {}
        problems: list[str] = []
        for attribute, axis in AXES.items():
            answers, failed = answers_of(calls[axis.hook])
            offers, wrong = offers_on(axis, answers)
            problems += failed + wrong
            tables[attribute] = OfferTable(axis.kind, offers)
        if problems:
            raise PluginError("\n".join(problems))
        return cls(
            config=config,
            loaded=loaded,
            notify=Observers.of(calls),
            route_cell=_router(calls["flow_route_cell"]),
            worker_capacity=decider(calls["flow_worker_capacity"], dict),
            explicit=tuple(explicit),
            **tables,
        )

    @property
    def origins(self) -> Mapping[str, Origin]:
        """Where each plugin comes from, by the plugin's name, in the order of loading."""
        return {each.name: each.origin for each in self.loaded}

    def selection(self, axis: str) -> Selection:
        """Return the choice on an axis: from the configuration, or preferred by a plugin, or the core's default.

        :param axis: One of ``store``, ``scheduler``, ``serializer``, ``retry``, ``discoverer``.
        :raises PluginError: nothing is named, and several classes are preferred.
        """
        return select(axis, self.config, getattr(self, _SELECTED[axis]))

    def open_store(self, url: str) -> RunStore:
        """Make a store from its URL, without connecting yet.

        :raises PluginError: no plugin offers the URL's scheme.
        """
        return self.stores[_scheme(url, "store", self.stores)].from_url(url)

    def make_discoverer(self, wanted: bool | str | Discoverer = True) -> Discoverer:
        """Make a discoverer with the settings that the configuration has for it.

        :param wanted: A discoverer, returned as it is; the name of one; or ``True`` for the selected one.
        :raises PluginError: no discoverer has that name, it refuses its settings, or ``wanted`` is something else.
        """
        if isinstance(wanted, Discoverer):
            return wanted
        if not isinstance(wanted, str) and wanted is not True:
            raise PluginError(
                f"expected True, a discoverer or the name of one to discover with, found {wanted!r}"
            )
        name = wanted if isinstance(wanted, str) else self.selection("discoverer").name
        return self.discoverers[name].from_settings(self.config.tasks)

    def open_blobs(self, url: str) -> BlobStore:
        """Make a place for large values from its URL, without connecting yet.

        :raises PluginError: no plugin offers the URL's scheme.
        """
        return self.blob_stores[_scheme(url, "blob store", self.blob_stores)].from_url(url)

    def __reduce__(self) -> tuple[Any, ...]:
        # Modules and functions cannot be pickled. Their names can, and the other process loads them again.
        given = tuple(
            each.__name__ if isinstance(each, types.ModuleType) else each for each in self._explicit
        )
        return _load_again, (self.config, given)


def _scheme(url: str, kind: str, offered: Iterable[str]) -> str:
    scheme, separator, _ = url.partition("://")
    if not separator or not scheme:
        known = ", ".join(f"{each}://" for each in offered) or "nothing, as no plugin offers any"
        raise PluginError(f"{url!r} is not the URL of a {kind}; expected one that begins with one of {known}")
    return scheme


def _load_again(config: FlowConfig, explicit: tuple[Any, ...]) -> Plugins:
    return Plugins.load(config, explicit=explicit)


def _router(calls: Sequence[Call]) -> _Router:
    default = next(call for call in calls if call.plugin.name == DEFAULTS)
    return decider([call for call in calls if call is not default], default.positional())
