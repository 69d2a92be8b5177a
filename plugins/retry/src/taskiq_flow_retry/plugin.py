"""The plugin of this distribution; light, because every flow imports it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from taskiq_flow.hookspecs import hookimpl

if TYPE_CHECKING:
    from taskiq_flow.command import Command
    from taskiq_flow.retry import RetryPolicy

__all__ = ["flow_register_commands", "flow_register_retry_policies"]


@hookimpl
def flow_register_commands() -> Iterable[type[Command]]:
    """Offer ``taskiq flow dead``."""
    from taskiq_flow_retry.commands import DeadCommand

    return [DeadCommand]


@hookimpl
def flow_register_retry_policies() -> Iterable[type[RetryPolicy]]:
    """Offer ``standard``."""
    from taskiq_flow_retry.standard import StandardRetry

    return [StandardRetry]
