"""Makes graphs, and runs every check that a graph must pass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from taskiq_flow._words import Suggestions, quote
from taskiq_flow.errors import GraphError
from taskiq_flow.graph._fit_checks import misfits
from taskiq_flow.graph._name_checks import (
    ambiguous_names,
    circular_waits,
    superfluous_inputs,
    unknown_references,
    unusable_names,
)
from taskiq_flow.graph._node_checks import graph_problems, node_problems
from taskiq_flow.graph.follows import follow_problems
from taskiq_flow.graph.model import ErrorMode, Graph, InputSpec, Node, Source

__all__ = ["build_graph", "check_inputs"]


def build_graph(
    nodes: Iterable[Node],
    *,
    inputs: Mapping[str, InputSpec] | None = None,
    outputs: Mapping[str, Source] | None = None,
    name: str = "",
    on_error: ErrorMode = "stop",
    timeout: float | None = None,
) -> Graph:
    """Make a graph, and check everything that can be checked before a run.

    The bodies of map nodes are graphs, which were checked when they were made. All checks are linear in nodes and
    edges. How deep maps may be nested is checked where a graph as a whole is needed: by the builders, when a run is
    submitted, and when a graph is read from text.

    Example::

        graph = build_graph(
            [
                TaskNode(name="load", task="app:load", params={"path": Input("path")}, outputs=("rows",)),
                TaskNode(name="count", task="app:count", params={"rows": Output("load", "rows")}, outputs=("n",)),
            ],
            inputs={"path": InputSpec()},
            outputs={"n": Output("count", "n")},
        )

    :param nodes: Nodes in the order of declaration, which decides between nodes that are equal otherwise.
    :param inputs: The inputs of a run, by name.
    :param outputs: The outputs of a run: a source for each name.
    :param name: For people.
    :param on_error: The effect of a final failure on the rest of the run.
    :param timeout: Seconds that a run may take; ``None`` for no limit.
    :raises GraphError: the graph has problems; all of them are listed.
    """
    declared = tuple(nodes)
    graph = Graph(
        nodes={node.name: node for node in declared},
        inputs=dict(inputs or {}),
        outputs=dict(outputs or {}),
        name=name,
        on_error=on_error,
        timeout=timeout,
    )
    problems = [
        *unusable_names(declared, graph),
        *ambiguous_names(declared, graph),
        *unknown_references(graph),
        *circular_waits(graph),
        *graph_problems(graph),
        *node_problems(declared),
        *misfits(graph),
        *follow_problems(graph),
        *superfluous_inputs(graph),
    ]
    if problems:
        raise GraphError(problems)
    return graph


def check_inputs(graph: Graph, given: Iterable[str], *, others: Iterable[str] = ()) -> None:
    """Check the names of a run's inputs.

    :param graph: The run's graph.
    :param given: The names.
    :param others: Further names that may be given.
    :raises GraphError: required ones are missing, or some are unknown; all of them are listed.
    """
    names = dict.fromkeys(given)
    missing = [name for name, spec in graph.inputs.items() if spec.required and name not in names]
    known = {**graph.inputs, **dict.fromkeys(others)}
    unknown = [name for name in names if name not in known]
    if not missing and not unknown:
        return
    subject = f"pipeline {graph.name!r}" if graph.name else "the pipeline"
    problems = []
    if missing:
        noun, verb = ("input", "is") if len(missing) == 1 else ("inputs", "are")
        problems.append(
            f"{noun} {quote(missing)} of {subject} {verb} missing; give every required input a value"
        )
    if unknown:
        takes = f"it takes {quote(graph.inputs)}" if graph.inputs else "it takes no inputs"
        # An unknown name is most likely a misspelt missing one.
        likely, like = Suggestions(missing), Suggestions(known)
        problems += [
            f"{subject} has no input {name!r}; {takes}{likely.hint(name) or like.hint(name)}"
            for name in unknown
        ]
    raise GraphError(problems)
