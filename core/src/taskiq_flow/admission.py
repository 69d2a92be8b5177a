"""What is looked at before a run is created, so that one that cannot end well is refused."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from attrs import define, field
from taskiq import AsyncBroker

from taskiq_flow.codec import Codec
from taskiq_flow.errors import GraphError, PayloadError, PluginError
from taskiq_flow.graph.build import check_inputs
from taskiq_flow.graph.model import Graph, MapNode, TaskNode
from taskiq_flow.payloads import Value
from taskiq_flow.policies import Policies
from taskiq_flow.scheduler import Scheduler
from taskiq_flow.task_options import policy_of
from taskiq_flow.worker.decorated import FlowTask, adopt_task

__all__ = ["Admission", "task_nodes"]

logger = logging.getLogger("taskiq_flow")


@define
class Admission:
    """Checks a graph and its inputs against what the flow has.

    :param limits: What is counted whoever schedules.
    :param find_installed: Registers the tasks of installed distributions, called when one is missing; ``None`` where
        the application did not ask for them.
    """

    broker: AsyncBroker
    policies: Policies
    codec: Codec
    scheduler: Scheduler
    find_installed: Callable[[], None] | None = None
    limits: Mapping[str, float] = field(factory=dict)
    _told_of_resources: bool = field(default=False, init=False)

    def check(self, graph: Graph, inputs: Mapping[str, Any]) -> None:
        """Refuse what cannot be run.

        :raises GraphError: inputs are missing or unknown, or tasks are not registered with the broker.
        :raises PluginError: nodes want retries that no installed policy can give, or serializers that cannot be used.
        """
        check_inputs(graph, inputs)
        self._check_tasks(graph)
        self._check_resources(graph)

    def encoded(self, inputs: Mapping[str, Any], serializer: str | None = None) -> dict[str, Value]:
        """Encode a run's inputs.

        :param serializer: The serializer to do so; by default that of the flow.
        :raises PluginError: it cannot be used.
        :raises PayloadError: one cannot be encoded; the error names it.
        """
        if serializer is not None:
            self.codec.require(serializer)
        return {name: self._encoded(name, value, serializer) for name, value in inputs.items()}

    def _encoded(self, name: str, value: Any, serializer: str | None) -> Value:
        try:
            return self.codec.encode(value, serializer)
        except PayloadError as error:
            raise PayloadError(f"input {name!r}: {error}") from error

    def _check_tasks(self, graph: Graph) -> None:
        missing: list[str] = []
        unusable: dict[str, list[str]] = {}
        serializers: dict[str, list[str]] = {}
        fine: set[str] = set()
        for path, node in task_nodes(graph):
            if node.options.serializer is not None:
                serializers.setdefault(node.options.serializer, []).append(path)
            if node.task in fine and node.options.retry is None:
                continue
            task = self.broker.find_task(node.task)
            if task is None and self.find_installed is not None:
                self.find_installed()
                self.find_installed = None
                task = self.broker.find_task(node.task)
            if task is None:
                missing.append(f"node {path!r} applies task {node.task!r}, which its broker does not have")
                continue
            if not isinstance(task, FlowTask):
                adopt_task(self.broker, task)
            try:
                self.policies.find(policy_of(task), node.options.retry)
                fine.add(node.task)
            except PluginError as error:
                unusable.setdefault(str(error), []).append(path)
        if missing:
            raise GraphError(f"{problem}; import the module that has it" for problem in missing)
        for name, paths in serializers.items():
            try:
                self.codec.require(name)
            except PluginError as error:
                unusable.setdefault(str(error), []).extend(paths)
        if unusable:
            raise PluginError(
                "\n".join(
                    f"nodes {', '.join(map(repr, paths))}: {error}" for error, paths in unusable.items()
                )
            )

    def _check_resources(self, graph: Graph) -> None:
        """Say once that resources are asked for which the scheduler does not look at."""
        if self.scheduler.reads_resources or self._told_of_resources:
            return
        asking = next(
            (path for path, node in task_nodes(graph) if node.options.resources.keys() - self.limits.keys()),
            None,
        )
        if asking is not None:
            self._told_of_resources = True
            logger.warning(
                "node %r asks for resources, which scheduler %r does not look at; choose one that does, such as "
                "'best-fit' of taskiq-flow-resources",
                asking,
                self.scheduler.name,
            )


def task_nodes(graph: Graph, prefix: str = "") -> Iterator[tuple[str, TaskNode]]:
    """Give every task node of a graph and of the bodies in it, each with its path (``tracks[]/features``)."""
    for node in graph.nodes.values():
        if isinstance(node, MapNode):
            yield from task_nodes(node.body, f"{prefix}{node.name}[]/")
        else:
            yield f"{prefix}{node.name}", node
