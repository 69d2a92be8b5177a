"""The plugin of this distribution; light, because every flow imports it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from taskiq_flow.hookspecs import hookimpl

if TYPE_CHECKING:
    from taskiq_flow.command import Command
    from taskiq_flow.scheduler import Scheduler

__all__ = ["flow_register_commands", "flow_register_schedulers", "flow_worker_capacity"]


@hookimpl
def flow_register_schedulers() -> Iterable[type[Scheduler]]:
    """Offer the schedulers."""
    from taskiq_flow_resources.best_fit import BestFitScheduler
    from taskiq_flow_resources.critical_path import CriticalPathScheduler
    from taskiq_flow_resources.fair_share import FairShareScheduler

    return [BestFitScheduler, CriticalPathScheduler, FairShareScheduler]


@hookimpl
def flow_register_commands() -> Iterable[type[Command]]:
    """Offer the commands."""
    from taskiq_flow_resources.commands import ExplainCommand, SimulateCommand

    return [SimulateCommand, ExplainCommand]


@hookimpl
def flow_worker_capacity() -> Mapping[str, float]:
    """Return the capacity that the control group, or else the machine, gives this process."""
    from taskiq_flow_resources.capacity import detect

    return detect()
