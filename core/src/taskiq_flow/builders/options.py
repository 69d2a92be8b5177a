"""What a builder puts into the options of a node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve
from taskiq import AsyncBroker
from taskiq.brokers.shared_broker import AsyncSharedBroker
from taskiq.kicker import AsyncKicker

from taskiq_flow.builders.annotations import spec_of, task_of
from taskiq_flow.graph.model import ErrorMode, Graph, MapNode, Node, NodeOptions

__all__ = ["broker_problem", "graph_with_defaults", "node_options", "registered_name", "with_defaults"]


def registered_name(task: object) -> str:
    """Give the name under which a broker with a flow knows a task.

    taskiq keeps ``name=`` of ``@broker.task(name=...)`` as a label; installing a flow makes it the task's name and
    removes the label. Graphs may be compiled before that.
    """
    decorated = task_of(task)
    name = decorated.labels.get("name")
    adopted = hasattr(decorated, "options") or hasattr(decorated, "flow_options")
    return name if isinstance(name, str) and name and not adopted else decorated.task_name


def broker_problem(broker: AsyncBroker, task: object) -> str | None:
    """Say that a task cannot be run by a broker; ``None`` when it can.

    Tasks of a shared broker belong to every broker, and a kicker may have been given another one.
    """
    decorated = task_of(task)
    home = task.broker if isinstance(task, AsyncKicker) else decorated.broker
    if home is broker or isinstance(decorated.broker, AsyncSharedBroker):
        return None
    return (
        f"task {decorated.task_name!r} belongs to another broker than the pipeline; decorate it with the pipeline's "
        "broker, or make it a shared task"
    )


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
    # The worker's side imports the builders' annotations; at the top of the module this would be a circle.
    from taskiq_flow.task_options import options_of

    options: NodeOptions = options_of(task_of(task))
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
    usual = task_of(kicker).kicker().labels
    own = {name: value for name, value in kicker.labels.items() if name not in usual or usual[name] != value}
    changes: dict[str, Any] = {}
    queue = own.get("queue", own.get("queue_name"))
    if queue is not None:
        changes["queue"] = str(queue)
    if own.get("timeout") is not None:
        changes["timeout"] = float(own["timeout"])
    if isinstance(own.get("serializer"), str):
        changes["serializer"] = own.pop("serializer")
    if isinstance(own.get("priority"), int):
        changes["priority"] = own.pop("priority")
    labels = {name: value for name, value in own.items() if name not in ("queue", "queue_name", "timeout")}
    if labels:
        changes["labels"] = {**options.labels, **labels}
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
