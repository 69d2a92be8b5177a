"""The implementations of each hook, found in the loaded plugins, and the answers of registration hooks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pluggy

from taskiq_flow import hookspecs
from taskiq_flow.hookspecs import PROJECT
from taskiq_flow.plugins.calls import Call
from taskiq_flow.plugins.checks import HOOKS
from taskiq_flow.plugins.loading import LoadedPlugin

__all__ = ["answers_of", "calls_of"]


def calls_of(loaded: Sequence[LoadedPlugin]) -> dict[str, list[Call]]:
    """Return the implementations of each hook, in pluggy's order: the last loaded is called first."""
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    owners = {id(each.plugin): each for each in loaded}
    for each in loaded:
        manager.register(each.plugin, name=each.name)
    manager.check_pending()
    return {
        hook: [
            Call(hook, owners[id(found.plugin)], found.function, tuple(found.argnames))
            for found in reversed(getattr(manager.hook, hook).get_hookimpls())
        ]
        for hook in HOOKS
    }


def answers_of(calls: Sequence[Call]) -> tuple[list[tuple[LoadedPlugin, Any]], list[str]]:
    """Call the implementations of a registration hook.

    :returns: Each plugin with its answer, in the order of loading, and a sentence for each that raised.
    """
    answers: list[tuple[LoadedPlugin, Any]] = []
    problems: list[str] = []
    # In the order of loading, so that an error about two plugins begins with the one that was loaded first.
    for call in reversed(calls):
        try:
            answers.append((call.plugin, call.function()))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may raise anything, and all problems are reported
            problems.append(f"{call.hook}() of {call.plugin.origin} failed: {type(error).__name__}: {error}")
    return answers, problems
