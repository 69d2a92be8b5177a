"""The door for plugins: loading them, and what they together offer."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taskiq_flow.hookspecs import API_VERSION, hookimpl
    from taskiq_flow.plugins.commands import load_commands
    from taskiq_flow.plugins.config import FlowConfig
    from taskiq_flow.plugins.loading import LoadedPlugin
    from taskiq_flow.plugins.manager import Plugins
    from taskiq_flow.plugins.metadata import unreadable_distributions
    from taskiq_flow.plugins.observers import Observers
    from taskiq_flow.plugins.origins import PluginOrigin
    from taskiq_flow.plugins.surveying import SurveyedPlugin, survey
    from taskiq_flow.plugins.tables import OfferTable

# Imported when somebody asks: the command line's help needs the commands, and nothing of stores or schedulers.
_HOMES = {
    "API_VERSION": "taskiq_flow.hookspecs",
    "FlowConfig": "taskiq_flow.plugins.config",
    "LoadedPlugin": "taskiq_flow.plugins.loading",
    "Observers": "taskiq_flow.plugins.observers",
    "OfferTable": "taskiq_flow.plugins.tables",
    "PluginOrigin": "taskiq_flow.plugins.origins",
    "Plugins": "taskiq_flow.plugins.manager",
    "SurveyedPlugin": "taskiq_flow.plugins.surveying",
    "hookimpl": "taskiq_flow.hookspecs",
    "load_commands": "taskiq_flow.plugins.commands",
    "survey": "taskiq_flow.plugins.surveying",
    "unreadable_distributions": "taskiq_flow.plugins.metadata",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = found
    return found


__all__ = [
    "API_VERSION",
    "FlowConfig",
    "LoadedPlugin",
    "Observers",
    "OfferTable",
    "PluginOrigin",
    "Plugins",
    "SurveyedPlugin",
    "hookimpl",
    "load_commands",
    "survey",
    "unreadable_distributions",
]
