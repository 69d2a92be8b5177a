"""The core's own discoverer."""

from taskiq_flow.discoverers.entry_points import EntryPointDiscoverer

__all__ = ["EntryPointDiscoverer"]
