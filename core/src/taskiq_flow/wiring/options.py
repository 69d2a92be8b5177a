"""What a builder puts into the options of a node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve
from taskiq import AsyncBroker, AsyncTaskiqDecoratedTask
from taskiq.brokers.shared_broker import AsyncSharedBroker
from taskiq.kicker import AsyncKicker

from taskiq_flow.errors import GraphError
from taskiq_flow.graph.model import ErrorMode, Graph, MapNode, Node, NodeOptions
from taskiq_flow.tasks import options as task_options
from taskiq_flow.tasks.annotations import RENAMED, spec_of, task_of

__all__ = ["broker_problem", "find_registered_name", "graph_with_defaults", "node_options", "with_defaults"]


def find_registered_name(task: object) -> str:
    """Give the name under which a broker with a flow knows the task that a task or a kicker stands for."""
    return task_options.find_registered_name(task_of(task))


def broker_problem(broker: AsyncBroker, task: object) -> str | None:
    """Say that a task cannot be run by a broker; ``None`` when it can.

    Tasks of a shared broker belong to every broker, and a kicker may have been given another one.
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
    # Brokers keep the later one without a word, and it would run wherever the earlier one was meant.
    return (
        f"the broker has another task named {name!r} by now, {_describe_task(there)}, which would run instead of "
        f"{_describe_task(decorated)}; give one of them another name"
    )


def _function_of(task: AsyncTaskiqDecoratedTask[Any, Any]) -> Any:
    # The task of a flow has the user's function under this name, and something around it as the original one.
    return getattr(task, "func", task.original_func)


def _describe_task(task: AsyncTaskiqDecoratedTask[Any, Any]) -> str:
    function = _function_of(task)
    return f"{function.__module__}.{function.__qualname__}".replace(RENAMED, "")


def node_options(
    task: object,
    *,
    retry: Mapping[str, Any] | None = None,
    on_error: ErrorMode | None = None,
    serializer: str | None = None,
) -> NodeOptions:
    """Give the options of a node that applies a task.

    :param task: A task or a kicker; labels that were set on a kicker go over those of its task.
    :param retry: What the pipeline says of retries; a task that says something itself keeps that.
    :param on_error: The error mode of the pipeline that the step came with, where it differs from the graph's.
    :param serializer: The serializer that the pipeline chose; a task that chose one itself keeps that.
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
    """Fill in what a pipeline says for all of its nodes, where the options say nothing."""
    changes: dict[str, Any] = {}
    if retry is not None and options.retry is None:
        changes["retry"] = retry
    if on_error is not None and options.on_error is None:
        changes["on_error"] = on_error
    if serializer is not None and options.serializer is None:
        changes["serializer"] = serializer
    return evolve(options, **changes) if changes else options


def _set_on_kicker(kicker: AsyncKicker[Any, Any], options: NodeOptions) -> dict[str, Any]:
    """Give the options that were set on a kicker: the same words as in a task's decorator.

    :raises GraphError: some are impossible, or are a policy object, which cannot travel with a graph.
    """
    task = task_of(kicker)
    usual = task.kicker().labels
    own = {name: value for name, value in kicker.labels.items() if name not in usual or usual[name] != value}
    said = task_options.TaskOptions.read(task.task_name, own)
    node, policy = said.node, task_options.policy_of(task)
    # A kicker that was made before there was a flow still has all that the decorator said.
    another = said.policy is not None and said.policy is not policy
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
    """Give the body of a map with what the pipelines around it say for all of its nodes.

    :param on_error: The error mode that was chosen for the body: a run asks its outermost graph and its nodes only.
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
