"""What this distribution offers; light, because it is imported whenever a flow is made."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from taskiq_flow.hookspecs import hookimpl

if TYPE_CHECKING:
    from taskiq_flow.scheduler import Scheduler

__all__ = ["flow_register_schedulers"]


@hookimpl
def flow_register_schedulers() -> Iterable[type[Scheduler]]:
    """Offer the schedulers."""
    return []
