"""Plugins: loading them, and the tables of what they offer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskiq_flow._lazy import lazy_names

if TYPE_CHECKING:
    from taskiq_flow._metadata import unreadable_distributions
    from taskiq_flow.discoverer import Origin
    from taskiq_flow.hookspecs import API_VERSION, hookimpl
    from taskiq_flow.plugins.commands import load_commands
    from taskiq_flow.plugins.config import FlowConfig
    from taskiq_flow.plugins.loading import LoadedPlugin
    from taskiq_flow.plugins.manager import Plugins
    from taskiq_flow.plugins.observers import Observers
    from taskiq_flow.plugins.surveying import SurveyedPlugin, survey
    from taskiq_flow.plugins.tables import OfferTable

__all__ = [
    "API_VERSION",
    "FlowConfig",
    "LoadedPlugin",
    "Observers",
    "OfferTable",
    "Origin",
    "Plugins",
    "SurveyedPlugin",
    "hookimpl",
    "lazy_names",
    "load_commands",
    "survey",
    "unreadable_distributions",
]

# Lazy, because the command line's help needs the commands, and nothing of stores or schedulers.
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "API_VERSION": "taskiq_flow.hookspecs",
        "FlowConfig": ".config",
        "LoadedPlugin": ".loading",
        "Observers": ".observers",
        "OfferTable": ".tables",
        "Origin": "taskiq_flow.discoverer",
        "Plugins": ".manager",
        "SurveyedPlugin": ".surveying",
        "hookimpl": "taskiq_flow.hookspecs",
        "load_commands": ".commands",
        "survey": ".surveying",
        "unreadable_distributions": "taskiq_flow._metadata",
    },
)
