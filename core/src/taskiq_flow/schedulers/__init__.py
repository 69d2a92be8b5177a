"""The core's schedulers."""
