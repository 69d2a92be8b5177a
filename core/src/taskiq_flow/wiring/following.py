"""Tasks that follow others in a pipeline: after a failure, or always."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from typing import Literal as OneOf

from attrs import evolve, field, frozen

from taskiq_flow._words import Suggestions, quote
from taskiq_flow.errors import GraphError
from taskiq_flow.graph.build import build_graph
from taskiq_flow.graph.model import Follows, Graph, Input, Literal, Output, Source, TaskNode
from taskiq_flow.graph.types import comparable_or_any, members
from taskiq_flow.payloads import Failure
from taskiq_flow.tasks.annotations import name_of, signature_of, spec_of, task_of
from taskiq_flow.tasks.signatures import TaskSignature
from taskiq_flow.wiring.binding import needs_of
from taskiq_flow.wiring.naming import Names
from taskiq_flow.wiring.options import find_registered_name, node_options
from taskiq_flow.wiring.values import literal

__all__ = ["FollowUp", "graph_followed"]

_FAILURE = "failure"


@frozen(kw_only=True)
class FollowUp:
    """A task that follows others.

    :param task: A task or a kicker.
    :param when: ``failure`` or ``always``.
    :param of: The nodes or the data that it follows; empty for the whole pipeline.
    :param name: The node's name; ``None`` for the task's.
    :param arguments: Values for its parameters.
    :param names: Names of data that was renamed since, by the names that the task knows.
    """

    task: Any
    when: OneOf["failure", "always"]
    of: tuple[str, ...]
    name: str | None
    arguments: Mapping[str, Literal]
    names: Mapping[str, str] = field(factory=dict)

    def list_defaults(self) -> dict[str, str]:
        """Return the parameters that may stay at a default, each with the name of the data that replaces it."""
        signature = signature_of(self.task)
        takes = _parameter_for_failure(signature, self.arguments)
        return {
            each.name: self.names.get(each.name, each.name)
            for each in signature.parameters
            if each.has_default and each.name not in self.arguments and each.name != takes
        }

    def rename(self, names: Mapping[str, str]) -> FollowUp:
        """Return what follows the same, where data has other names.

        :param names: New names by the old ones.
        """
        later = {old: names.get(name, name) for old, name in self.names.items()}
        new = {old: name for old, name in names.items() if old not in self.names.values()}
        return evolve(self, of=tuple(names.get(each, each) for each in self.of), names={**new, **later})

    @classmethod
    def read(
        cls, task: Any, when: OneOf["failure", "always"], of: Any, name: str | None, extra: Mapping[str, Any]
    ) -> FollowUp:
        """Read what a user gave.

        :raises GraphError: it is no task, a value has no JSON form, or ``of`` is no name.
        """
        task_of(task)
        names = () if of is None else (of,) if isinstance(of, str) else of
        if not isinstance(names, Iterable) or not all(isinstance(each, str) and each for each in names):
            raise GraphError(
                f"of is {of!r}; give the name of a step, several of them, or None for the whole pipeline"
            )
        names = tuple(names)
        if of is not None and not names:
            raise GraphError("of is empty; name a step, or leave it out for the whole pipeline")
        arguments = {
            each: literal(value, parameter=each, task=name_of(task)) for each, value in extra.items()
        }
        return cls(task=task, when=when, of=names, name=name, arguments=arguments)


def graph_followed(
    graph: Graph, steps: Iterable[FollowUp], *, retry: Mapping[str, Any] | None, serializer: str | None
) -> Graph:
    """Return a graph with what follows its nodes.

    :param retry: The pipeline's retry options.
    :param serializer: The pipeline's serializer.
    :raises GraphError: names are unknown, or parameters cannot be filled; all of them are listed.
    """
    names, problems = Names((*graph.nodes, *graph.inputs)), list[str]()
    nodes = list(graph.nodes.values())
    for step in steps:
        name = names.give(step.name or name_of(step.task))
        if step.name is not None and name != step.name:
            problems.append(
                f"node {step.name!r} is there already; give what follows others a name of its own"
            )
        nodes.append(_node_of(graph, step, name, retry, serializer, problems))
    if problems:
        raise GraphError(problems)
    return build_graph(
        nodes,
        inputs=graph.inputs,
        outputs=graph.outputs,
        name=graph.name,
        on_error=graph.on_error,
        timeout=graph.timeout,
    )


def _node_of(
    graph: Graph,
    step: FollowUp,
    name: str,
    retry: Mapping[str, Any] | None,
    serializer: str | None,
    problems: list[str],
) -> TaskNode:
    task, signature = step.task, signature_of(step.task)
    params: dict[str, Source] = dict(step.arguments)
    unknown = [each for each in params if each not in signature.by_name and not signature.extra_keywords]
    problems += [
        f"task {name!r} has no parameter {each!r}{Suggestions(signature.names).hint(each)}"
        for each in unknown
    ]
    takes = _parameter_for_failure(signature, params)
    there: dict[str, Source] = {each: Input(each) for each in graph.inputs}
    there.update((each, Output(node.name, each)) for node in graph.nodes.values() for each in node.outputs)
    missing = []
    for need in needs_of(name, signature, spec_of(task).inputs):
        if need.parameter == takes or need.parameter in params:
            continue
        data = step.names.get(need.data, need.data)
        if data in there:
            params[need.parameter] = there[data]
        elif need.required:
            missing.append(need.parameter)
    if missing:
        problems.append(
            f"task {name!r} follows others and requires {quote(missing)}, which nothing gives; name the parameter as "
            "data of the pipeline, or give it a value. One for the failure is annotated with Failure"
        )
    return TaskNode(
        name=name,
        task=find_registered_name(task),
        params=params,
        optional=frozenset(
            each.name for each in signature.parameters if each.has_default and each.name not in step.arguments
        ),
        options=node_options(task, retry=retry, serializer=serializer),
        description=spec_of(task).description,
        accepts=signature.accepts,
        free={each: data for each, data in step.list_defaults().items() if each not in params},
        follows=Follows(step.when, tuple(dict.fromkeys(_node_named(graph, each) for each in step.of)), takes),
    )


def _node_named(graph: Graph, name: str) -> str:
    """Return the node of a name, or the one that produces data of it."""
    if name in graph.nodes:
        return name
    return next((node.name for node in graph.nodes.values() if name in node.outputs), name)


def _parameter_for_failure(signature: TaskSignature, given: Mapping[str, Any]) -> str:
    """Return the parameter that takes the failure: one with its annotation, or else its name; empty for none."""
    free = [each for each in signature.names if each not in given]
    for name in free:
        annotation = signature.accepts.get(name)
        if any(comparable_or_any(each) is Failure for each in members(comparable_or_any(annotation))):
            return name
    return _FAILURE if _FAILURE in free else ""
