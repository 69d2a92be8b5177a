"""Finding, importing and checking plugins, in the order of loading."""

from __future__ import annotations

import importlib
import types
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from attrs import field, frozen

from taskiq_flow._metadata import InstalledEntryPoint, find_entry_points, same_name, version_of
from taskiq_flow.discoverer import Origin
from taskiq_flow.errors import PluginError
from taskiq_flow.plugins.checks import problems_of

__all__ = [
    "DEFAULTS",
    "GROUP",
    "LoadedPlugin",
    "RefusedPlugin",
    "is_blocked",
    "load_plugins",
    "origin_of",
    "sort_plugins",
]

GROUP = "taskiq_flow"
DEFAULTS = "defaults"

_DEFAULTS_MODULE = "taskiq_flow.plugins.defaults"
_CORE = "taskiq-flow-core"


@frozen
class LoadedPlugin:
    """A plugin that passed the checks.

    :param name: Its name: that of the entry point, or of the module or class that was given in code.
    :param origin: Where it comes from.
    :param plugin: The module or object with the hooks.
    """

    name: str
    origin: Origin
    plugin: Any = field(repr=False)


@frozen
class RefusedPlugin:
    """A plugin that cannot be used.

    :param name: The name that it would have.
    :param origin: Where it comes from.
    :param problems: Sentences, each with the plugin's name and origin.
    :param cause: The exception that importing it raised.
    """

    name: str
    origin: Origin
    problems: tuple[str, ...]
    cause: BaseException | None = field(default=None, repr=False)


def load_plugins(explicit: Iterable[Any], blocked: Iterable[str]) -> list[LoadedPlugin]:
    """Load the defaults, then the installed plugins by name, then those given in code.

    :param explicit: Modules, their names, or objects.
    :param blocked: Names of plugins or distributions to skip.
    :raises PluginError: plugins cannot be loaded; names each of them with its origin.
    """
    loaded, refused = sort_plugins(explicit, blocked)
    if refused:
        # Two plugins of one name share one sentence.
        problems = dict.fromkeys(problem for each in refused for problem in each.problems)
        cause = next((each.cause for each in refused if each.cause is not None), None)
        raise PluginError("\n".join(problems)) from cause
    return loaded


def sort_plugins(
    explicit: Iterable[Any], blocked: Iterable[str]
) -> tuple[list[LoadedPlugin], list[RefusedPlugin]]:
    """Load the usable plugins in the order of :func:`load_plugins`, and collect the broken ones.

    :param explicit: Modules, their names, or objects.
    :param blocked: Names of plugins or distributions to skip.
    :returns: The loaded plugins, and the refused ones.
    :raises PluginError: the defaults would be blocked.
    """
    blocked = {same_name(name) for name in blocked}
    if DEFAULTS in blocked or _CORE in blocked:
        raise PluginError(
            f"the plugin {DEFAULTS!r} of {_CORE} cannot be blocked; select other implementations by name"
        )
    found = [each for each in find_entry_points(GROUP) if not is_blocked(each, blocked)]
    found, refused = _without_duplicates(found)
    loaded: list[LoadedPlugin] = []
    for name, origin, source in (_defaults(), *_from_entry_points(found), *_from_code(explicit, blocked)):
        try:
            plugin = source()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may raise anything when it is imported
            refused.append(
                RefusedPlugin(name, origin, (_cannot_load(name, origin, _describe_error(error)),), error)
            )
            continue
        if any(plugin is each.plugin for each in loaded):
            # An installed plugin that is also given in code is loaded once.
            continue
        if problems := tuple(_cannot_load(name, origin, problem) for problem in problems_of(plugin)):
            refused.append(RefusedPlugin(name, origin, problems))
            continue
        loaded.append(LoadedPlugin(_find_free_name(name, loaded), origin, plugin))
    return loaded, refused


def is_blocked(found: InstalledEntryPoint, blocked: Container[str]) -> bool:
    """Whether a plugin is blocked.

    :param blocked: Names of plugins or distributions, as :func:`~taskiq_flow._metadata.same_name` spells them.
    """
    return same_name(found.name) in blocked or same_name(found.distribution) in blocked


_Source = tuple[str, Origin, Callable[[], Any]]


def _defaults() -> _Source:
    # Not an entry point: so the defaults come first, exist in a source tree, and cannot be shadowed.
    return (
        DEFAULTS,
        Origin(_CORE, version_of(_CORE), _DEFAULTS_MODULE),
        partial(importlib.import_module, _DEFAULTS_MODULE),
    )


def _without_duplicates(
    found: Iterable[InstalledEntryPoint],
) -> tuple[list[InstalledEntryPoint], list[RefusedPlugin]]:
    by_name: dict[str, list[InstalledEntryPoint]] = {}
    for each in found:
        by_name.setdefault(each.name, []).append(each)
    single: list[InstalledEntryPoint] = []
    refused: list[RefusedPlugin] = []
    for name, those in by_name.items():
        if len(those) == 1 and name != DEFAULTS:
            single += those
            continue
        owners = [f"{_CORE} itself"] * (name == DEFAULTS) + [
            f"{each.distribution} {each.version}" for each in those
        ]
        users = " and ".join(owners)
        problem = f"the plugin name {name!r} is used by {users}; block or remove one of these distributions"
        refused += [RefusedPlugin(name, origin_of(each), (problem,)) for each in those]
    return single, refused


def origin_of(found: InstalledEntryPoint) -> Origin:
    """Return the origin of an installed plugin."""
    return Origin(found.distribution, found.version, found.target)


def _from_entry_points(found: Iterable[InstalledEntryPoint]) -> Iterator[_Source]:
    for each in found:
        yield each.name, origin_of(each), each.entry_point.load


def _from_code(explicit: Iterable[Any], blocked: set[str]) -> Iterator[_Source]:
    if isinstance(explicit, (str, types.ModuleType)):
        raise PluginError(f"plugins is a list, found {explicit!r}; write [{explicit!r}]")
    for each in explicit:
        source: Callable[[], Any] = partial(_give, each)
        if isinstance(each, str):
            name, source = each, partial(importlib.import_module, each)
        elif isinstance(each, types.ModuleType):
            name = each.__name__
        else:
            kind = each if isinstance(each, type) else type(each)
            name = f"{kind.__module__}.{kind.__qualname__}"
        if same_name(name) not in blocked:
            yield name, Origin("", "", name), source


def _give(plugin: Any) -> Any:
    return plugin


def _find_free_name(name: str, loaded: Sequence[LoadedPlugin]) -> str:
    taken = {each.name for each in loaded}
    candidate, number = name, 2
    while candidate in taken:
        candidate, number = f"{name}#{number}", number + 1
    return candidate


def _cannot_load(name: str, origin: Origin, why: str) -> str:
    of = f"of {origin}" if origin.distribution else str(origin)
    return f"cannot load plugin {name!r} {of}: {why}"


def _describe_error(error: BaseException) -> str:
    # "No module named 'x'" says enough; "1" or "'key'" of other classes does not.
    return str(error) if isinstance(error, ImportError) and str(error) else f"{type(error).__name__}: {error}"
