"""The plugin of this distribution: the standard commands of ``taskiq flow``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from taskiq_flow.hookspecs import hookimpl

if TYPE_CHECKING:
    from taskiq_flow.command import Command

__all__ = ["flow_register_commands"]


@hookimpl
def flow_register_commands() -> Iterable[type[Command]]:
    """Offer the standard commands."""
    from taskiq_flow_cli.commands import COMMANDS

    return COMMANDS
