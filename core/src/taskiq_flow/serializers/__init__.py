"""The core's serializer, on which others may build."""

from __future__ import annotations

from taskiq_flow.serializers.json import JsonSerializer

__all__ = ["JsonSerializer"]
