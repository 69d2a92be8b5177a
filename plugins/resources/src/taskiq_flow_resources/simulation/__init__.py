"""Simulation of runs with any graph, pool and scheduler, on a clock that jumps."""

from __future__ import annotations

from taskiq_flow_resources.simulation.bounds import Bound
from taskiq_flow_resources.simulation.durations import Durations
from taskiq_flow_resources.simulation.past import Past, read_events
from taskiq_flow_resources.simulation.report import SimulationReport, WorkerUse
from taskiq_flow_resources.simulation.simulate import compare, simulate
from taskiq_flow_resources.simulation.wfformat import Trace, read_trace

__all__ = [
    "Bound",
    "Durations",
    "Past",
    "SimulationReport",
    "Trace",
    "WorkerUse",
    "compare",
    "read_events",
    "read_trace",
    "simulate",
]
