"""Discovery for Taskiq-Flow: tasks of installed distributions, found without importing them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taskiq_flow_discovery.installed import InstalledTasks


def __getattr__(name: str) -> object:
    # Imported when somebody asks, because every flow imports this package for its plugin.
    if name != "InstalledTasks":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from taskiq_flow_discovery.installed import InstalledTasks

    return InstalledTasks


__all__ = ["InstalledTasks"]
