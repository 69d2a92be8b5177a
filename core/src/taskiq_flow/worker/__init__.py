"""The worker: what happens around a task's function."""
