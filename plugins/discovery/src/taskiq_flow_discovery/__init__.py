"""Discovery for Taskiq-Flow: tasks of installed distributions, found without importing them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskiq_flow.plugins import lazy_names

if TYPE_CHECKING:
    from taskiq_flow_discovery.installed import InstalledTasks

__all__ = ["InstalledTasks"]

# Every flow imports this package for its plugin.
__getattr__, __dir__ = lazy_names(__name__, {"InstalledTasks": ".installed"})
