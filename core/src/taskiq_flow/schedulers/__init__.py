"""The scheduler of the core."""
