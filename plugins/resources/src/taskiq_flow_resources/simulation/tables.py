"""Texts and tables about simulations, for the terminal and the page."""

from __future__ import annotations

from collections.abc import Sequence

from taskiq_flow_resources.simulation.report import SimulationReport
from taskiq_flow_resources.simulation.words import amounts, ratio, seconds, share

__all__ = ["comparison", "description", "use_of_workers"]

_MOST_BOUNDS, _MOST_CELLS = 5, 6


def description(report: SimulationReport) -> list[str]:
    """Return lines about the simulated run and its lower bounds, the same for every scheduler."""
    kinds: dict[str, int] = {}
    for use in report.workers:
        has = amounts(use.worker.capacity) or "no bound"
        kinds[has] = kinds.get(has, 0) + 1
    pool = "; ".join(f"{count}x {has}" for has, count in kinds.items())
    limits = f"; limits {amounts(report.limits)}" if report.limits else ""
    count = len(report.attempts)
    path = list(report.critical_path)
    if len(path) > _MOST_CELLS:
        half = _MOST_CELLS // 2
        path[half:-half] = [f"… {len(path) - 2 * half} more …"]
    bounds = ", ".join(f"{bound.reason} {seconds(bound.seconds)}" for bound in report.bounds[:_MOST_BOUNDS])
    if len(report.bounds) > _MOST_BOUNDS:
        bounds += f", and {len(report.bounds) - _MOST_BOUNDS} lower ones"
    return [
        f"{count} cell{'s' * (count != 1)}, {seconds(report.serial)} of work; {pool}{limits}",
        f"lower bound {seconds(report.lower_bound)} ({bounds})",
        f"critical path: {' → '.join(path)}",
    ]


def comparison(reports: Sequence[SimulationReport]) -> list[list[str]]:
    """Return a row for each scheduler, below a heading."""
    resources = list(dict.fromkeys(name for report in reports for name in report.used))
    rows = [["scheduler", "makespan", "of the bound", *(f"{name} used" for name in resources), "mean wait"]]
    for report in reports:
        used = report.used
        rows.append(
            [
                report.scheduler,
                seconds(report.makespan),
                ratio(report.ratio),
                *(share(used.get(name, 0.0)) for name in resources),
                seconds(report.waited),
            ]
        )
    return rows


def use_of_workers(report: SimulationReport) -> list[list[str]]:
    """Return a row for each worker, below a heading."""
    resources = list(dict.fromkeys(name for use in report.workers for name in use.used))
    rows = [["worker", "cells", "busy", *(f"{name} used" for name in resources)]]
    for use in report.workers:
        parts = (share(use.used[name]) if name in use.used else "" for name in resources)
        rows.append([use.worker.id, str(use.attempts), share(use.busy), *parts])
    return rows
