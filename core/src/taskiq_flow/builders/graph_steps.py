"""Whole pipelines as steps of a hand-chained one, after they are compiled."""

from __future__ import annotations

from collections.abc import Mapping

from taskiq_flow._words import Suggestions, quote
from taskiq_flow.builders.builder import Builder
from taskiq_flow.builders.steps import GraphStep, ParamName
from taskiq_flow.errors import GraphError
from taskiq_flow.graph.model import Graph, Literal, Source
from taskiq_flow.tasks.names import normalise
from taskiq_flow.wiring.given import free_inputs, graph_given
from taskiq_flow.wiring.inlining import find_last_outputs

__all__ = ["describe_pipeline", "enter", "open_extra", "read_graph", "sources_of", "step_of"]


def describe_pipeline(name: str) -> str:
    """Return what an error calls a pipeline within another one."""
    return f"pipeline {name!r}" if name else "a pipeline"


def read_graph(pipeline: Builder, broker: object) -> Graph:
    """Return the graph of a pipeline for a place in another one.

    :param pipeline: The pipeline.
    :param broker: The broker of the other one.
    :raises GraphError: the pipeline has problems, a time limit, or another broker; the error names it.
    """
    who = describe_pipeline(pipeline.name)
    try:
        graph = pipeline.body()
    except GraphError as error:
        raise GraphError([f"{who} in this pipeline: {problem}" for problem in error.problems]) from None
    if pipeline.broker is not broker:
        raise GraphError(
            f"{who} has another broker than the pipeline that it is a part of; give both the same"
        )
    if graph.timeout is not None:
        raise GraphError(
            f"{who} is a part of another one and has a time limit ({graph.timeout:g} seconds), which holds for runs; "
            "set it on the outer pipeline, or set the timeout of its tasks"
        )
    return graph


def step_of(
    pipeline: Builder, broker: object, param_name: ParamName, extra: Mapping[str, Literal]
) -> GraphStep:
    """Return the step that inserts a pipeline.

    :param broker: The broker of the pipeline that gets the step.
    :param param_name: The input that takes the value of the step before.
    :param extra: Values for other inputs.
    :raises GraphError: the pipeline cannot be a step; the error names it.
    """
    graph, param_name = read_graph(pipeline, broker), normalise(param_name)
    last = find_last_outputs(graph)
    if len(last) != 1:
        has = f"the outputs {quote(last)}" if last else "no outputs"
        raise GraphError(
            f"{describe_pipeline(pipeline.name)} has {has}, and a step has one value; choose it, such as with "
            "outputs=[...] where the pipeline is made"
        )
    return GraphStep(graph=graph, result=last[0], name=pipeline.name, param_name=param_name, extra=extra)


def open_extra(step: GraphStep, problems: list[str]) -> Graph:
    """Return the graph of a step with an input for each parameter with a default that it uses.

    :param problems: A list that problems are added to.
    """
    entry = [step.param_name] if isinstance(step.param_name, str) else []
    produced = {name for node in step.graph.nodes.values() for name in node.outputs}
    graph = graph_given(step.graph, [name for name in (*step.extra, *entry) if name not in produced])
    like = Suggestions([*graph.inputs, *free_inputs(graph)])
    takes = f"it takes {quote(graph.inputs)}" if graph.inputs else "it takes no inputs"
    problems += [
        f"{describe_pipeline(step.name)} has no input {name!r}; {takes}{like.hint(name)}"
        for name in (*step.extra, *entry)
        if name not in graph.inputs
    ]
    return graph


def enter(step: GraphStep, problems: list[str]) -> tuple[Graph, str | None]:
    """Return the graph of a step that follows a value, and the input that takes it; ``None`` if none does.

    :param problems: A list that problems are added to.
    """
    graph = open_extra(step, problems)
    if step.param_name is not None:
        return graph, None if step.param_name == -1 else step.param_name
    left = {name: spec for name, spec in graph.inputs.items() if name not in step.extra}
    required = [name for name, spec in left.items() if spec.required]
    candidates = required or [*left] or [*free_inputs(graph)]
    if len(candidates) == 1:
        return graph_given(graph, candidates), candidates[0]
    takes = f"the inputs {quote(candidates)}" if candidates else "no input"
    problems.append(
        f"{describe_pipeline(step.name)} has {takes} for the value of the step before; say which one with param_name, "
        "and give the others as extra arguments, or run it without the value (param_name=-1)"
    )
    return graph, None


def sources_of(
    step: GraphStep, graph: Graph, value: Source, entry: str | None, problems: list[str]
) -> dict[str, Source]:
    """Return the sources of the inputs of a step.

    :param graph: The graph of the step, from :func:`enter`.
    :param value: The value of the step before.
    :param entry: The input that takes it.
    :param problems: A list that problems are added to.
    """
    found: dict[str, Source] = dict(step.extra)
    if entry is not None:
        if entry in found:
            problems.append(
                f"input {entry!r} of {describe_pipeline(step.name)} is given both the value and an argument; give it "
                "one of them"
            )
        found[entry] = value
    missing = [name for name, spec in graph.inputs.items() if spec.required and name not in found]
    if missing and not problems:
        problems.append(
            f"{describe_pipeline(step.name)} requires {quote(missing)}, which the step does not give; "
            "add it as an extra argument of the step"
        )
    return found
