"""The discoverer of the core."""

from taskiq_flow.discoverers.entry_points import EntryPointDiscoverer

__all__ = ["EntryPointDiscoverer"]
