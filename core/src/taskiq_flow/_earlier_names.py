"""Names that other projects have for what is called differently here; errors say how.

People come with code for the earlier project of this name, and for taskiq-pipelines.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

__all__ = ["ARGUMENTS", "EarlierNames", "explain_arguments", "raise_import_error"]

_F = TypeVar("_F", bound=Callable[..., Any])

_OBSERVE = "a plugin observes runs with the hooks flow_run_started, flow_cell_finished and flow_run_finished"
_SCHEDULE = "schedule a task that starts the pipeline, with taskiq's own scheduler"

ATTRIBUTES: Mapping[str, Mapping[str, str]] = {
    "Builder": {
        "print_dag": "write print(pipeline.render())",
        "visualize_dot": 'write pipeline.render("dot")',
        "kiq_map_reduce": "write pipeline.map(…).reduce(…), and start it with kiq_dataflow(…)",
        "kiq_map_reduce_advanced": "write pipeline.map(…).reduce(…), and start it with kiq_dataflow(…)",
        "kiq_map_sweep": "write pipeline.map(…, product=True), and start it with kiq_dataflow(…)",
        "add_dataflow_task": "give all tasks to DataflowPipeline.from_tasks(broker, tasks)",
        "with_options": "write with_retry(max_attempts=…), with_timeout(…) and on_error('continue')",
        "with_tracking": "every run is tracked: handle.status(), handle.events() and handle.describe()",
        "with_hooks": _OBSERVE,
        "schedule_with_labels": _SCHEDULE,
        "schedule_with_cron": _SCHEDULE,
        "schedule_with_interval": _SCHEDULE,
        "pipeline_id": "each start has an id of its own: handle.id",
        "options": "write with_retry(max_attempts=…), with_timeout(…) and on_error('continue')",
        "steps": "the nodes are in pipeline.graph.nodes",
        "dumpb": "pipeline.graph.to_json() is the graph as text; a pipeline itself does not travel",
        "loadb": "Graph.from_json(text) reads a graph, and flow.submit(graph, inputs) starts it",
        "register_pipeline": "keep pipelines in variables of a module, and name them as MODULE:NAME",
        "get_pipeline": "keep pipelines in variables of a module, and name them as MODULE:NAME",
    },
    "DataflowRegistry": {
        "get_producer": "write registry.producers[name]",
        "get_consumers": "write registry.consumers[name]",
        "get_external_inputs": "write registry.external_inputs",
        "get_outputs": "write list(registry.producers)",
        "get_tasks": "write [place.task for place in registry.places]",
        "get_task_metadata": "the place of each task is in registry.places",
        "get_data_dependencies": "the needs of each task are in registry.places",
        "register_external_input": "a name without a producer is an input by itself",
        "build_dag": "write registry.build_graph()",
        "clear": "make a new DataflowRegistry()",
    },
}
"""What to write instead of an attribute, by the class that does not have it."""

ARGUMENTS: Mapping[str, str] = {
    "input_name": "write over=…, the name of the list",
    "items": "write over=…, the name of the list, and give the list to the run",
    "chunk_config": "write chunk=…, the number of elements that a task gets at once",
    "chunk_size": "write chunk=…, the number of elements that a task gets at once",
    "initial": "give the task's parameter a default instead",
    "param_names": "write a pipeline with its param_name for each member",
    "retries": "write with_retry(max_attempts=…), or max_retries=… in @broker.task(…)",
    "max_retries": "write with_retry(max_retries=…), or max_retries=… in @broker.task(…)",
    "retry_delay": "write with_retry(delay=…), or retry_policy={'delay': …} in @broker.task(…)",
    "timeout": "write with_timeout(…) for a run, or timeout=… in @broker.task(…) for each attempt",
    "continue_on_error": "write on_error('continue')",
    "fail_fast": "write on_error('stop')",
    "skip_failed": "write skip_errors=True",
}
"""What to write instead of an argument."""

_PACKAGE: Mapping[str, str] = {
    "DAG": "a pipeline's graph is in pipeline.graph",
    "DAGBuilder": "write DataflowPipeline.from_tasks(broker, tasks).graph",
    "DAGNode": "a graph's nodes are in graph.nodes",
    "DAGVisualizer": 'write pipeline.render("text"), "mermaid", "dot" or "svg"',
    "visualize_pipeline": 'write pipeline.render("mermaid")',
    "ExecutionEngine": "start a pipeline with kiq(…); the flow drives it",
    "HookManager": _OBSERVE,
    "MapReduce": "write pipeline.map(…).reduce(…)",
    "PipelineScheduler": _SCHEDULE,
    "PipelineTrackingManager": "every run is tracked: handle.status(), handle.events() and handle.describe()",
    "TrackingStorageFactory": "the store of a flow keeps its runs: Flow(broker, store=…)",
    "PipelineRetryMiddleware": "write max_retries=… in @broker.task(…), or pipeline.with_retry(…)",
    "StorageMiddleware": "the store of a flow keeps its runs: Flow(broker, store=…)",
    "get_all_pipeline_outputs": "write list(registry.producers) for a DataflowRegistry of the tasks",
    "get_task_by_output": "write registry.producers[name] for a DataflowRegistry of the tasks",
    "get_task_outputs": "write registry.places for a DataflowRegistry of the tasks",
    "get_pipeline_metadata": "write registry.places for a DataflowRegistry of the tasks",
    "validate_pipeline_outputs": "DataflowPipeline.from_tasks(broker, tasks).graph checks everything",
}

PACKAGE_NAMES = tuple(_PACKAGE)
"""The names of the earlier package that people import."""


def raise_import_error(name: str) -> object:
    """Say what to write instead of a name of the package.

    :raises ImportError: always.
    """
    raise ImportError(f"taskiq_flow has no {name!r}; {_PACKAGE[name]}")


class EarlierNames:
    """Lets the error about an attribute that is missing name what it is called here.

    :cvar ATTRIBUTES_OF: The key of :data:`ATTRIBUTES` with the words for the class.
    """

    ATTRIBUTES_OF: ClassVar[str]

    # Not for type checkers, which would take every name for a good one.
    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            hint = ATTRIBUTES[self.ATTRIBUTES_OF].get(name)
            raise AttributeError(
                f"{type(self).__name__!r} object has no attribute {name!r}{f'; {hint}' if hint else ''}",
                name=name,
                obj=self,
            )


def explain_arguments(method: _F) -> _F:
    """Let a method say what an argument that it does not have is called here.

    :raises TypeError: from the method, as Python does for unknown arguments.
    """
    known = frozenset(inspect.signature(method).parameters)

    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        if not known >= kwargs.keys():
            for name in kwargs:
                if name not in known and name in ARGUMENTS:
                    raise TypeError(f"{method.__name__}() has no argument {name!r}; {ARGUMENTS[name]}")
        return method(*args, **kwargs)

    return call  # type: ignore[return-value]
