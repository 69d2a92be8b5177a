"""The door for plugins: loading them, and what they together offer."""

from __future__ import annotations

from taskiq_flow.hookspecs import API_VERSION, hookimpl
from taskiq_flow.plugins.config import FlowConfig
from taskiq_flow.plugins.loading import LoadedPlugin
from taskiq_flow.plugins.manager import Plugins
from taskiq_flow.plugins.observers import Observers
from taskiq_flow.plugins.origins import PluginOrigin
from taskiq_flow.plugins.tables import OfferTable

__all__ = [
    "API_VERSION",
    "FlowConfig",
    "LoadedPlugin",
    "Observers",
    "OfferTable",
    "PluginOrigin",
    "Plugins",
    "hookimpl",
]
