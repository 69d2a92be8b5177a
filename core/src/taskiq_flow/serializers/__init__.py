"""The serializer of the core, which others may build on."""

from __future__ import annotations

from taskiq_flow.serializers.json import JsonSerializer

__all__ = ["JsonSerializer"]
