"""Taskiq-Flow: pipelines of taskiq tasks."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from taskiq_flow._earlier_names import PACKAGE_NAMES, raise_import_error
from taskiq_flow._lazy import lazy_names
from taskiq_flow._taskiq import offer_retry_exception

if TYPE_CHECKING:
    from taskiq_flow.builders.dataflow import DataflowPipeline
    from taskiq_flow.builders.kicker import RunKicker
    from taskiq_flow.builders.named import name_task
    from taskiq_flow.builders.pipeline import Pipeline
    from taskiq_flow.errors import (
        AbortPipeline,
        BlobNotFound,
        CellFailed,
        FlowError,
        GraphError,
        InvalidTransition,
        LeaseLost,
        PayloadError,
        PipelineError,
        PluginError,
        ResumeError,
        RetryException,
        RunCancelled,
        RunError,
        RunNotFound,
        RunTimedOut,
        StoreError,
        UnschedulableError,
    )
    from taskiq_flow.flow import Flow, PipelineMiddleware
    from taskiq_flow.graph import Graph
    from taskiq_flow.handle import RunHandle
    from taskiq_flow.hookspecs import hookimpl
    from taskiq_flow.machine.transitions import RunStatus
    from taskiq_flow.payloads import Failure
    from taskiq_flow.retry import GiveUp, Retry, RetryPolicy
    from taskiq_flow.scheduler import Placement, Scheduler
    from taskiq_flow.serializer import ByteCodec, Serializer
    from taskiq_flow.store import BlobStore, RunStore
    from taskiq_flow.stores.memory import MemoryStore
    from taskiq_flow.tasks.annotations import (
        CPUProfile,
        RAMProfile,
        ResourceProfile,
        TaskInfo,
        pipeline_task,
        pipeline_task_multi_output,
    )
    from taskiq_flow.wiring.registry import DataflowRegistry
    from taskiq_flow.worker.current import current_cell

offer_retry_exception()

# What plugins have and people expect to find here: their entry points of this group say where it is.
_NAMES = "taskiq_flow.names"


def _find_offered(name: str, distribution: str) -> object:
    from taskiq_flow._metadata import find_entry_points

    for offer in find_entry_points(_NAMES):
        if offer.name == name:
            return offer.entry_point.load()
    # Only an ImportError keeps its text in ``from taskiq_flow import …``.
    raise ImportError(f"{name} is not part of the core; install {distribution}")


__all__ = [
    "AbortPipeline",
    "BlobNotFound",
    "BlobStore",
    "ByteCodec",
    "CPUProfile",
    "CellFailed",
    "DataflowPipeline",
    "DataflowRegistry",
    "Failure",
    "Flow",
    "FlowError",
    "GiveUp",
    "Graph",
    "GraphError",
    "InvalidTransition",
    "LeaseLost",
    "MemoryStore",
    "PayloadError",
    "Pipeline",
    "PipelineError",
    "PipelineMiddleware",
    "Placement",
    "PluginError",
    "RAMProfile",
    "ResourceProfile",
    "ResumeError",
    "Retry",
    "RetryException",
    "RetryPolicy",
    "RunCancelled",
    "RunError",
    "RunHandle",
    "RunKicker",
    "RunNotFound",
    "RunStatus",
    "RunStore",
    "RunTimedOut",
    "Scheduler",
    "Serializer",
    "StoreError",
    "TaskInfo",
    "UnschedulableError",
    "current_cell",
    "hookimpl",
    "name_task",
    "pipeline_task",
    "pipeline_task_multi_output",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "AbortPipeline": ".errors",
        "BlobNotFound": ".errors",
        "BlobStore": ".store",
        "ByteCodec": ".serializer",
        "CPUProfile": ".tasks.annotations",
        "CellFailed": ".errors",
        "DataflowPipeline": ".builders.dataflow",
        "DataflowRegistry": ".wiring.registry",
        "Failure": ".payloads",
        "Flow": ".flow",
        "FlowError": ".errors",
        "GiveUp": ".retry",
        "Graph": ".graph",
        "GraphError": ".errors",
        "InvalidTransition": ".errors",
        "LeaseLost": ".errors",
        "MemoryStore": ".stores.memory",
        "PayloadError": ".errors",
        "PipelineError": ".errors",
        "Pipeline": ".builders.pipeline",
        "PipelineMiddleware": ".flow",
        "Placement": ".scheduler",
        "PluginError": ".errors",
        "RAMProfile": ".tasks.annotations",
        "ResourceProfile": ".tasks.annotations",
        "ResumeError": ".errors",
        "Retry": ".retry",
        "RetryException": ".errors",
        "RetryPolicy": ".retry",
        "RunCancelled": ".errors",
        "RunError": ".errors",
        "RunHandle": ".handle",
        "RunKicker": ".builders.kicker",
        "RunNotFound": ".errors",
        "RunStatus": ".machine.transitions",
        "RunStore": ".store",
        "RunTimedOut": ".errors",
        "Scheduler": ".scheduler",
        "Serializer": ".serializer",
        "StoreError": ".errors",
        "TaskInfo": ".tasks.annotations",
        "UnschedulableError": ".errors",
        "current_cell": ".worker.current",
        "hookimpl": ".hookspecs",
        "name_task": ".builders.named",
        "pipeline_task": ".tasks.annotations",
        "pipeline_task_multi_output": ".tasks.annotations",
    },
    elsewhere={
        "ResourceAwareWorkerPool": partial(_find_offered, "ResourceAwareWorkerPool", "taskiq-flow-resources"),
        **{name: partial(raise_import_error, name) for name in PACKAGE_NAMES},
    },
)
