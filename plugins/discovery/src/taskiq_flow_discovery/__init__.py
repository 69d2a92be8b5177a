"""Discovery for Taskiq-Flow: tasks of installed distributions, found without importing them."""
