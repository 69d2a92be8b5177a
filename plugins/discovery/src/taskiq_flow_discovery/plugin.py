"""The plugin of this distribution; light, because every flow imports it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from taskiq_flow.hookspecs import hookimpl

if TYPE_CHECKING:
    from taskiq_flow.command import Command
    from taskiq_flow.discoverer import Discoverer

__all__ = ["flow_register_commands", "flow_register_discoverers"]


@hookimpl
def flow_register_discoverers() -> Iterable[type[Discoverer]]:
    """Offer ``installed``."""
    from taskiq_flow_discovery.installed import InstalledTasks

    return [InstalledTasks]


@hookimpl
def flow_register_commands() -> Iterable[type[Command]]:
    """Offer ``taskiq flow tasks``."""
    from taskiq_flow_discovery.commands import TasksCommand

    return [TasksCommand]
