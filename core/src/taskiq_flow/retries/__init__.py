"""The core's retry policy."""
