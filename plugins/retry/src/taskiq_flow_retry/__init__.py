"""Retry policies for Taskiq-Flow: backoff, jitter, budgets, tenacity's strategies, and the dead-letter list."""
