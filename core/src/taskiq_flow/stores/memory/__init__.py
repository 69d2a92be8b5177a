"""The store for embedded runs: all data is in this process, and is lost with it."""

from __future__ import annotations

from taskiq_flow.stores.memory.store import MemoryStore

__all__ = ["MemoryStore"]
