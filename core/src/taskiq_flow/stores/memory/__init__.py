"""The store of embedded runs: everything in this process, and gone with it."""

from __future__ import annotations

from taskiq_flow.stores.memory.store import MemoryStore

__all__ = ["MemoryStore"]
