"""The options of a node: those of its task, those of a kicker, and the pipeline's defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve
from taskiq import AsyncBroker, AsyncTaskiqDecoratedTask
from taskiq.brokers.shared_broker import AsyncSharedBroker
from taskiq.kicker import AsyncKicker

from taskiq_flow.errors import GraphError
from taskiq_flow.graph.model import ErrorMode, Graph, MapNode, Node, NodeOptions
from taskiq_flow.graph.order import task_nodes
from taskiq_flow.tasks import options as task_options
from taskiq_flow.tasks.annotations import RENAMED, spec_of, task_of

__all__ = [
    "broker_problem",
    "find_functions",
    "find_registered_name",
    "graph_with_defaults",
    "list_replaced",
    "node_options",
    "with_defaults",
]


def find_registered_name(task: object) -> str:
    """Return the name of a task, or of a kicker's task, in a broker with a flow."""
    return task_options.find_registered_name(task_of(task))


def broker_problem(broker: AsyncBroker, task: object) -> str | None:
    """Describe why a broker cannot run a task; ``None`` when it can.

    Tasks of a shared broker belong to every broker, and a kicker may have another broker than its task.
    """
    decorated = task_of(task)
    home = task.broker if isinstance(task, AsyncKicker) else decorated.broker
    if home is not broker and not isinstance(decorated.broker, AsyncSharedBroker):
        return (
            f"task {decorated.task_name!r} belongs to another broker than the pipeline; decorate it with the "
            "pipeline's broker, or make it a shared task"
        )
    name = task_options.find_registered_name(decorated)
    there = broker.find_task(name)
    if there is None or _function_of(there) is _function_of(decorated):
        return None
    return _describe_replacement(name, _function_of(there), _function_of(decorated))


def find_functions(broker: AsyncBroker, graph: Graph) -> dict[str, Any]:
    """Return the functions that a broker has now for the tasks of a graph, by the task's name."""
    names = {node.task for _, node in task_nodes(graph)}
    return {name: _function_of(task) for name in names if (task := broker.find_task(name)) is not None}


def list_replaced(broker: AsyncBroker, functions: Mapping[str, Any]) -> list[str]:
    """Describe each task whose name has gone to another one since :func:`find_functions`."""
    problems = []
    for name, function in functions.items():
        task = broker.find_task(name)
        if task is not None and (there := _function_of(task)) is not function:
            problems.append(_describe_replacement(name, there, function))
    return problems


def _describe_replacement(name: str, there: Any, wanted: Any) -> str:
    # A broker silently keeps the later of two tasks of one name, so the wrong function would run.
    return (
        f"the broker has another task named {name!r} by now, {_describe(there)}, which would run instead of "
        f"{_describe(wanted)}; give one of them another name"
    )


def _function_of(task: AsyncTaskiqDecoratedTask[Any, Any]) -> Any:
    # A flow wraps the original function of its tasks, and keeps the user's own as ``func``.
    return getattr(task, "func", task.original_func)


def _describe(function: Any) -> str:
    name = getattr(function, "__qualname__", type(function).__qualname__)
    return f"{function.__module__}.{name}".replace(RENAMED, "")


def node_options(
    task: object,
    *,
    retry: Mapping[str, Any] | None = None,
    on_error: ErrorMode | None = None,
    serializer: str | None = None,
) -> NodeOptions:
    """Return the options of a node that applies a task.

    :param task: A task or a kicker; labels that were set on a kicker take precedence over those of its task.
    :param retry: The pipeline's retry options; those of the task take precedence.
    :param on_error: The error mode of the pipeline that the step came with, if it differs from the graph's.
    :param serializer: The pipeline's serializer; that of the task takes precedence.
    """
    options = task_options.options_of(task_of(task))
    resources = spec_of(task).resources
    changes: dict[str, Any] = {}
    if resources:
        changes["resources"] = {**options.resources, **resources}
    if isinstance(task, AsyncKicker):
        changes.update(_set_on_kicker(task, options))
    return with_defaults(evolve(options, **changes) if changes else options, retry, on_error, serializer)


def with_defaults(
    options: NodeOptions,
    retry: Mapping[str, Any] | None,
    on_error: ErrorMode | None = None,
    serializer: str | None = None,
) -> NodeOptions:
    """Fill in the pipeline's defaults where the options have no value."""
    changes: dict[str, Any] = {}
    if retry is not None and options.retry is None:
        changes["retry"] = retry
    if on_error is not None and options.on_error is None:
        changes["on_error"] = on_error
    if serializer is not None and options.serializer is None:
        changes["serializer"] = serializer
    return evolve(options, **changes) if changes else options


def _set_on_kicker(kicker: AsyncKicker[Any, Any], options: NodeOptions) -> dict[str, Any]:
    """Return the options that were set on a kicker, under the same names as in a task's decorator.

    :raises GraphError: some are impossible, or one is a policy object, which cannot travel with a graph.
    """
    task = task_of(kicker)
    usual = task.kicker().labels
    own = {name: value for name, value in kicker.labels.items() if name not in usual or usual[name] != value}
    options_on_kicker = task_options.TaskOptions.read(task.task_name, own)
    node, policy = options_on_kicker.node, task_options.policy_of(task)
    # A kicker that was made before there was a flow still has all options of the decorator.
    another = options_on_kicker.policy is not None and options_on_kicker.policy is not policy
    if another or (policy is not None and node.retry is not None):
        raise GraphError(
            f"task {task.task_name!r}: a policy object can neither be set on a kicker nor be replaced there, because "
            "it does not travel with a graph; say it in the task's decorator"
        )
    named = {"timeout": node.timeout, "retry": node.retry, "queue": node.queue, "serializer": node.serializer}
    changes: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
    if node.priority or own.get("priority") == 0:
        changes["priority"] = node.priority
    if node.labels:
        changes["labels"] = {**options.labels, **node.labels}
    return changes


def graph_with_defaults(
    graph: Graph,
    retry: Mapping[str, Any] | None,
    on_error: ErrorMode | None = None,
    serializer: str | None = None,
) -> Graph:
    """Return the body of a map with the defaults of the pipelines around it.

    :param on_error: The error mode of the body. Its nodes carry it, because a run does not read that of an inner graph.
    """
    if retry is None and on_error is None and serializer is None:
        return graph
    nodes: dict[str, Node] = {}
    for name, node in graph.nodes.items():
        if isinstance(node, MapNode):
            body = graph_with_defaults(node.body, retry, on_error, serializer)
            nodes[name] = evolve(node, body=body, options=with_defaults(node.options, None, on_error))
        else:
            nodes[name] = evolve(node, options=with_defaults(node.options, retry, on_error, serializer))
    return evolve(graph, nodes=nodes)
