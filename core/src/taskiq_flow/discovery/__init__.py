"""Tasks of installed distributions: loading them, binding them to a broker, choosing among them."""

from __future__ import annotations

from taskiq_flow.discovery.catalogue import Catalogue, SourceProblem
from taskiq_flow.discovery.finding import catalogue_for, find_sources, load_catalogue, usual_broker
from taskiq_flow.discovery.installed import InstalledTask, TaskInput
from taskiq_flow.tasks.options import origin_of

__all__ = [
    "Catalogue",
    "InstalledTask",
    "SourceProblem",
    "TaskInput",
    "catalogue_for",
    "find_sources",
    "load_catalogue",
    "origin_of",
    "usual_broker",
]
