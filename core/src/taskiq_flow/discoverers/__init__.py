"""The discoverer of the core."""
