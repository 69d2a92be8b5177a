"""Checks before a run is created; a run that cannot succeed is refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Union

from attrs import define, field
from taskiq import AsyncTaskiqDecoratedTask

from taskiq_flow._logs import open_log
from taskiq_flow._runtime import Runtime
from taskiq_flow.driver.demands import Demands
from taskiq_flow.errors import GraphError, PayloadError, PluginError, UnschedulableError
from taskiq_flow.graph._depth_checks import depth_problems
from taskiq_flow.graph.build import check_inputs
from taskiq_flow.graph.model import Graph, TaskNode
from taskiq_flow.graph.order import task_nodes
from taskiq_flow.payloads import Value
from taskiq_flow.scheduler import WorkerView
from taskiq_flow.store import WorkerInfo
from taskiq_flow.submission.live_workers import LiveWorkers, origins_of
from taskiq_flow.tasks.options import policy_of
from taskiq_flow.values.fitting import check_given
from taskiq_flow.worker.decorated import FlowTask, wrap_task

__all__ = ["Admission"]

logger = open_log("taskiq_flow")

_Need = tuple[tuple[tuple[str, float], ...], Union[str, None]]


@define(eq=False)
class _Survey:
    """The demands of a graph, each with the paths of its nodes; found in one walk over the graph.

    :ivar tasks: Node paths by the task's name.
    :ivar with_policy: The nodes with retry options of their own, by the task's name.
    :ivar serializers: Node paths by the serializer's name.
    :ivar needs: Node paths by resources and queue.
    """

    tasks: dict[str, list[str]] = field(factory=dict)
    with_policy: dict[str, list[tuple[str, TaskNode]]] = field(factory=dict)
    serializers: dict[str, list[str]] = field(factory=dict)
    needs: dict[_Need, list[str]] = field(factory=dict)

    @classmethod
    def of(cls, graph: Graph) -> _Survey:
        found = cls()
        for path, node in task_nodes(graph):
            options = node.options
            found.tasks.setdefault(node.task, []).append(path)
            if options.retry is not None:
                found.with_policy.setdefault(node.task, []).append((path, node))
            if options.serializer is not None:
                found.serializers.setdefault(options.serializer, []).append(path)
            found.needs.setdefault((tuple(options.resources.items()), options.queue), []).append(path)
        return found


class Admission:
    """Checks a graph and its inputs against the flow's tasks, policies, serializers and capacity.

    :param runtime: The parts of the flow.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._live_workers = LiveWorkers(runtime)
        # Discovery is slow, so it waits until a graph has a task that the broker lacks.
        self._may_discover = runtime.discoverer is not None
        self._warned_of_resources = False

    async def check(self, graph: Graph, inputs: Iterable[str]) -> dict[str, str]:
        """Refuse a graph that cannot be run.

        :param graph: The run's graph.
        :param inputs: The names of the run's inputs.
        :returns: The distribution and version of each discovered task, by the task's name.
        :raises GraphError: inputs are missing or unknown, or tasks are not registered with the broker.
        :raises PluginError: no installed policy reads a node's retry options, or a serializer cannot be used.
        :raises UnschedulableError: no live worker has some of the tasks, or a node demands more than any worker or
            limit has.
        """
        if too_deep := list(depth_problems(graph)):
            raise GraphError(too_deep)
        check_inputs(graph, inputs)
        survey = _Survey.of(graph)
        self._check_tasks(survey)
        self._check_resources(survey)
        origins = origins_of(self._runtime.broker, sorted(survey.tasks))
        live: Sequence[WorkerInfo] = ()
        if not self._runtime.in_memory:
            live = await self._live_workers.check(
                {task: paths[0] for task, paths in survey.tasks.items()}, origins
            )
        self._check_capacity(survey, live)
        return {name: str(origin) for name, origin in origins.items()}

    def encode_inputs(
        self, graph: Graph, inputs: Mapping[str, Any], serializer: str | None = None
    ) -> dict[str, Value]:
        """Encode a run's inputs.

        :param graph: The run's graph.
        :param serializer: The name of the serializer; by default the flow's.
        :raises PluginError: it cannot be used.
        :raises PayloadError: one cannot be encoded, or would be taken for one of another class; the error names it.
        """
        if serializer is not None:
            self._runtime.codec.require(serializer)
        return {
            name: self._encode(name, value, graph.inputs[name].annotation, serializer)
            for name, value in inputs.items()
        }

    def _encode(self, name: str, value: Any, annotation: Any, serializer: str | None) -> Value:
        codec = self._runtime.codec
        try:
            encoded = codec.encode(value, serializer)
            if annotation is not None:
                check_given(value, annotation, lambda: codec.decode(encoded, annotation))
            return encoded
        except PayloadError as error:
            raise PayloadError(f"input {name!r}: {error}") from error

    def _check_tasks(self, survey: _Survey) -> None:
        missing: list[str] = []
        unusable: dict[str, list[str]] = {}
        for name, paths in survey.tasks.items():
            task = self._find_task(name)
            if task is None:
                missing += (
                    f"node {path!r} applies task {name!r}, which its broker does not have" for path in paths
                )
                continue
            if not isinstance(task, FlowTask):
                wrap_task(self._runtime.broker, task)
            own = policy_of(task)
            with_policy = survey.with_policy.get(name, [])
            asking: list[tuple[list[str], Any]] = [([path], node.options.retry) for path, node in with_policy]
            if len(with_policy) < len(paths):
                others = {path for path, _ in with_policy}
                asking.append(([path for path in paths if path not in others], None))
            for nodes, options in asking:
                try:
                    self._runtime.policies.find(own, options)
                except PluginError as error:
                    unusable.setdefault(str(error), []).extend(nodes)
        if missing:
            raise GraphError(f"{problem}; import the module that has it" for problem in missing)
        for name, paths in survey.serializers.items():
            try:
                self._runtime.codec.require(name)
            except PluginError as error:
                unusable.setdefault(str(error), []).extend(paths)
        if unusable:
            raise PluginError(
                "\n".join(
                    f"nodes {', '.join(map(repr, paths))}: {error}" for error, paths in unusable.items()
                )
            )

    def _find_task(self, name: str) -> AsyncTaskiqDecoratedTask[Any, Any] | None:
        broker = self._runtime.broker
        task = broker.find_task(name)
        if task is None and self._may_discover:
            self._runtime.load_catalogue().bind(broker)
            self._may_discover = False
            task = broker.find_task(name)
        return task

    def _check_resources(self, survey: _Survey) -> None:
        """Warn once when nodes ask for resources that the scheduler ignores."""
        scheduler, limits = self._runtime.scheduler, self._runtime.limits
        if scheduler.reads_resources or self._warned_of_resources:
            return
        asking = next(
            (
                paths[0]
                for (resources, _), paths in survey.needs.items()
                if dict(resources).keys() - limits.keys()
            ),
            None,
        )
        if asking is not None:
            self._warned_of_resources = True
            logger.warning(
                "node %r asks for resources, which scheduler %r does not look at; choose one that does, such as "
                "'best-fit' of taskiq-flow-resources",
                asking,
                scheduler.name,
            )

    def _check_capacity(self, survey: _Survey, live: Sequence[WorkerInfo]) -> None:
        """Refuse a graph that demands more than any worker or limit has.

        :param live: Workers that have announced themselves.
        :raises UnschedulableError: with every such node.
        """
        runtime = self._runtime
        demands = Demands(runtime.limits, runtime.scheduler)
        there = (WorkerView(id=each.id, capacity=each.capacity, queue=each.queue) for each in live)
        workers = (*runtime.capacity.workers, *there)
        problems: list[str] = []
        for (resources, queue), paths in survey.needs.items():
            problem = demands.problem(dict(resources), queue or "", workers)
            if problem:
                problems += (f"node {path!r} {problem}" for path in paths)
        if problems:
            raise UnschedulableError(
                "\n".join(f"{each}; ask for less, or give pool {runtime.pool!r} more" for each in problems)
            )
