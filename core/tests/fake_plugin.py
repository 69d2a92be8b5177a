"""A plugin that can be imported by its name."""

from __future__ import annotations

from taskiq_flow.hookspecs import hookimpl


@hookimpl
def flow_worker_lost(worker: str) -> None:
    """Do nothing."""
