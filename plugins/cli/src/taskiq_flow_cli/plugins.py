"""``taskiq flow plugins``."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence

from attrs import asdict, field, frozen

from taskiq_flow import PluginError
from taskiq_flow.errors import UsageError
from taskiq_flow.plugins import FlowConfig, Plugins, survey
from taskiq_flow.terminal import printable

__all__ = ["InstalledPlugin", "Inventory", "list_offers", "list_plugins", "take_stock", "without_password"]

_TABLES = {
    "store": "stores",
    "scheduler": "schedulers",
    "serializer": "serializers",
    "retry": "retry_policies",
    "discoverer": "discoverers",
}
_MOST_NAMES = 12
_WORDS = {"retry_policies": "retry policies", "blob_stores": "blob stores"}


@frozen(kw_only=True)
class InstalledPlugin:
    """A plugin that is installed.

    :param name: Its name.
    :param distribution: Its distribution.
    :param version: The distribution's version.
    :param target: The loaded module or object.
    :param blocked: Whether the configuration blocks it.
    :param problem: The reason why it cannot be used; empty when it can.
    :param offers: The names that it offers, by axis.
    """

    name: str
    distribution: str
    version: str
    target: str
    blocked: bool = False
    problem: str = ""
    offers: Mapping[str, Sequence[str]] = field(factory=dict)


@frozen(kw_only=True)
class Inventory:
    """The installed plugins and the selections among them.

    :param plugins: The plugins, defaults first, then by name.
    :param selected: The selected name on each axis, with its source.
    :param problems: The reasons why the plugins cannot be used together.
    """

    plugins: tuple[InstalledPlugin, ...]
    selected: Mapping[str, Mapping[str, str]]
    problems: tuple[str, ...] = ()


def list_plugins(*, as_json: bool) -> int:
    """List the installed plugins.

    :param as_json: Write one JSON object.
    :returns: The exit code: 1 when something cannot be used.
    :raises UsageError: the configuration cannot be read.
    """
    try:
        inventory = take_stock(FlowConfig.load())
    except PluginError as error:
        raise UsageError(str(error)) from error
    if as_json:
        from taskiq_flow_cli.report import as_json as written

        sys.stdout.write(f"{written(asdict(inventory))}\n")
    else:
        _write(inventory)
    return int(bool(inventory.problems) or any(each.problem for each in inventory.plugins))


def take_stock(config: FlowConfig) -> Inventory:
    """Examine each plugin alone, so that a broken one hides no other.

    :param config: The configuration, with the selections and the blocked plugins.
    """
    plugins = tuple(
        InstalledPlugin(
            name=each.name,
            distribution=each.origin.distribution,
            version=each.origin.version,
            target=each.origin.target,
            blocked=each.blocked,
            problem="\n".join(each.problems),
            offers=each.offers,
        )
        for each in survey(config)
    )
    return Inventory(
        plugins=plugins,
        selected=_describe_selection(config),
        problems=() if any(each.problem for each in plugins) else _problems(config),
    )


def _problems(config: FlowConfig) -> tuple[str, ...]:
    """Return the problems of loading all plugins together, and of the selections."""
    try:
        plugins = Plugins.load(config)
    except PluginError as error:
        return tuple(str(error).splitlines())
    found: list[str] = []
    for axis, table in _TABLES.items():
        try:
            name = plugins.selection(axis).name
            chosen = getattr(plugins, table)[name.partition("://")[0]]
            if axis == "retry" and config.retry_options is not None:
                chosen.from_options(config.retry_options)
        except PluginError as error:
            found.append(f"the selection cannot be used: {error}")
    return tuple(found)


def _describe_selection(config: FlowConfig) -> Mapping[str, Mapping[str, str]]:
    try:
        plugins = Plugins.load(config)
    except PluginError:
        # A broken plugin's preferences are not known, so only the configuration is shown.
        return {
            axis: _choice(getattr(config, axis) or "?", config.sources.get(axis) or "unknown")
            for axis in _TABLES
        }
    chosen: dict[str, Mapping[str, str]] = {}
    for axis in _TABLES:
        try:
            selection = plugins.selection(axis)
        except PluginError:
            chosen[axis] = _choice("?", "several are preferred")
        else:
            options = (
                f"; options: {config.sources['retry']}" if axis == "retry" and config.retry_options else ""
            )
            chosen[axis] = _choice(selection.name, selection.source + options)
    return chosen


def _choice(name: str, source: str) -> Mapping[str, str]:
    return {"name": without_password(name), "source": source}


def without_password(url: str) -> str:
    """Return a URL with its password hidden; a plain name stays as it is."""
    scheme, separator, rest = url.partition("://")
    credentials, at, place = rest.rpartition("@")
    return (
        f"{scheme}{separator}{credentials.partition(':')[0]}:…@{place}" if at and ":" in credentials else url
    )


def _write(inventory: Inventory) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console()

    def line(*parts: str | tuple[str, str]) -> None:
        # The terminal wraps long lines: text in columns can neither be searched nor copied.
        # Names are foreign text; control characters in them are shown, not obeyed.
        shown = [
            printable(part, lines=True)
            if isinstance(part, str)
            else (printable(part[0], lines=True), part[1])
            for part in parts
        ]
        console.print(Text.assemble(*shown), soft_wrap=True)

    for each in inventory.plugins:
        line((each.name, "bold"), f"  {each.distribution} {each.version} ({each.target})")
        if each.blocked:
            line(("  blocked", "yellow"))
        elif each.problem:
            line(("  cannot be used", "bold red"))
        else:
            for offered in list_offers(each.offers) or ["nothing by name"]:
                line(f"  {offered}")
    line(("\nselected", "bold"))
    for axis, choice in inventory.selected.items():
        line(f"  {axis}: {choice['name']}  ({choice['source']})")
    # Two plugins of one name share one sentence.
    problems: Iterable[str] = dict.fromkeys(
        (*(each.problem for each in inventory.plugins if each.problem), *inventory.problems)
    )
    errors = Console(stderr=True)
    for problem in problems:
        errors.print(Text(printable(problem, lines=True), style="red"), soft_wrap=True)


def list_offers(offers: Mapping[str, Sequence[str]]) -> list[str]:
    """Return a line for each axis with its offered names; of very many only the first."""
    return [f"{_WORDS.get(axis, axis)}: {_names(names)}" for axis, names in offers.items()]


def _names(names: Sequence[str]) -> str:
    rest = len(names) - _MOST_NAMES
    return ", ".join(names) if rest <= 0 else f"{', '.join(names[:_MOST_NAMES])} and {rest} more"
