"""A survey of the installed plugins, each examined alone, so that a broken one hides no other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import field, frozen

from taskiq_flow._metadata import find_entry_points, same_name
from taskiq_flow.discoverer import Origin
from taskiq_flow.plugins.config import FlowConfig
from taskiq_flow.plugins.loading import GROUP, LoadedPlugin, is_blocked, origin_of, sort_plugins
from taskiq_flow.plugins.manager import AXES
from taskiq_flow.plugins.registration import answers_of, calls_of
from taskiq_flow.plugins.tables import offers_on

__all__ = ["SurveyedPlugin", "survey"]


@frozen(kw_only=True)
class SurveyedPlugin:
    """A plugin that is installed.

    :param name: Its name.
    :param origin: Where it comes from.
    :param blocked: Whether the configuration blocks it.
    :param problems: Why it cannot be used, as sentences; empty when it can.
    :param offers: The names that it offers, by the attribute of :class:`Plugins` with the table.
    """

    name: str
    origin: Origin
    blocked: bool = False
    problems: tuple[str, ...] = ()
    offers: Mapping[str, tuple[str, ...]] = field(factory=dict)


def survey(config: FlowConfig) -> Sequence[SurveyedPlugin]:
    """Survey the installed plugins: the defaults first, then by name.

    :param config: The configuration; plugins that it blocks are not imported.
    :raises PluginError: the defaults are blocked.
    """
    blocked = {same_name(name) for name in config.blocked}
    loaded, refused = sort_plugins((), config.blocked)
    found = [
        *map(_alone, loaded),
        *(SurveyedPlugin(name=each.name, origin=each.origin, problems=each.problems) for each in refused),
        *(
            SurveyedPlugin(name=each.name, origin=origin_of(each), blocked=True)
            for each in find_entry_points(GROUP)
            if is_blocked(each, blocked)
        ),
    ]
    return sorted(
        found, key=lambda each: (each.origin != found[0].origin, each.name, each.origin.distribution)
    )


def _alone(plugin: LoadedPlugin) -> SurveyedPlugin:
    calls = calls_of([plugin])
    offers: dict[str, tuple[str, ...]] = {}
    problems: list[str] = []
    for attribute, axis in AXES.items():
        answers, failed = answers_of(calls[axis.hook])
        offered, wrong = offers_on(axis, answers)
        problems += failed + wrong
        if offered:
            offers[attribute] = tuple(sorted(offered))
    return SurveyedPlugin(
        name=plugin.name,
        origin=plugin.origin,
        problems=tuple(problems),
        offers={} if problems else offers,
    )
