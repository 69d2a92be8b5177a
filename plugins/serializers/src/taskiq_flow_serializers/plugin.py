"""What this distribution offers; light, because it is imported whenever a flow is made."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from taskiq_flow.hookspecs import hookimpl

if TYPE_CHECKING:
    from taskiq_flow.serializer import Serializer

__all__ = ["flow_register_serializers"]


@hookimpl
def flow_register_serializers() -> Iterable[type[Serializer]]:
    """Offer the serializers."""
    return []
