"""The retry policy of the core."""
