"""What this distribution offers; light, because it is imported whenever a flow is made."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from taskiq_flow.hookspecs import hookimpl

if TYPE_CHECKING:
    from taskiq_flow.retry import RetryPolicy

__all__ = ["flow_register_retry_policies"]


@hookimpl
def flow_register_retry_policies() -> Iterable[type[RetryPolicy]]:
    """Offer the retry policies."""
    return []
