"""Other names for what a graph takes and produces, and values that are fixed when it is built."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import evolve

from taskiq_flow._words import Suggestions, quote
from taskiq_flow.errors import GraphError
from taskiq_flow.graph.model import Graph, Input, Literal, Node, Output, Source
from taskiq_flow.graph.sources import change_parts, change_sources
from taskiq_flow.tasks.names import normalise
from taskiq_flow.wiring.given import free_inputs, free_names, graph_given
from taskiq_flow.wiring.naming import is_data_name

__all__ = ["check_new_names", "check_prefix", "check_values", "graph_bound", "graph_renamed"]


def check_new_names(names: object, known: Iterable[str]) -> dict[str, str]:
    """Return new names by the old ones.

    :param names: What the user gave.
    :param known: The names that there are.
    :raises GraphError: it is no mapping of names, or an old one is unknown; all of them are listed.
    """
    if not isinstance(names, Mapping):
        raise GraphError(
            f"the new names are {names!r}; give them by the old ones, such as {{'raw': 'audio'}}"
        )
    known = dict.fromkeys(known)
    like = Suggestions(known)
    has = f"its data is {quote(known)}" if known else "it has no data"
    problems = [
        f"there is no {old!r} to rename; {has}{like.hint(str(old))}" for old in names if old not in known
    ]
    problems += [
        f"the new name of {old!r} is {new!r}; a name is a word that a parameter could have, or several with dots "
        "between them"
        for old, new in names.items()
        if not is_data_name(new)
    ]
    if problems:
        raise GraphError(problems)
    return {old: normalise(new) for old, new in names.items()}


def check_values(values: object) -> dict[str, Any]:
    """Return values by the names of what they are for.

    :param values: What the user gave; ``None`` for nothing.
    :raises GraphError: it is no mapping, or a name is no text.
    """
    if values is None:
        return {}
    if not isinstance(values, Mapping) or not all(isinstance(name, str) for name in values):
        raise GraphError(f"the values are {values!r}; give them by name, such as {{'rate': 8000}}")
    return dict(values)


def check_prefix(prefix: object, exclude: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """Return the names in a scope, by the names without it.

    :param prefix: What stands before each name and a dot.
    :param exclude: Names that stay as they are.
    :param known: The names that there are.
    :raises GraphError: the prefix is no name, or what is excluded is unknown.
    """
    if not is_data_name(prefix):
        raise GraphError(f"the scope is {prefix!r}; give a word that a parameter could have, such as 'left'")
    if not isinstance(exclude, Iterable):
        raise GraphError(f"what is excluded is {exclude!r}; give a list of names, such as ['rate']")
    known = dict.fromkeys(known)
    prefix = normalise(prefix)
    kept = [exclude] if isinstance(exclude, str) else list(exclude)
    like = Suggestions(known)
    unknown = [f"there is no {name!r} to exclude{like.hint(str(name))}" for name in kept if name not in known]
    if unknown:
        raise GraphError(unknown)
    return {name: f"{prefix}.{name}" for name in known if name not in kept}


def graph_renamed(graph: Graph, names: Mapping[str, str]) -> Graph:
    """Return a graph whose inputs, defaults and outputs have other names.

    :param names: New names by the old ones, which need not be all there.
    :raises GraphError: two inputs, or two outputs, would have one name.
    """

    def change(source: Source) -> Source:
        if isinstance(source, Input):
            return Input(names.get(source.name, source.name))
        if isinstance(source, Output):
            return Output(source.node, names.get(source.name, source.name))
        return change_parts(source, change)

    free = [name for name in free_inputs(graph) if name not in graph.inputs]
    _refuse_clashes((*graph.inputs, *free), names)
    _refuse_clashes([name for node in graph.nodes.values() for name in node.outputs], names)
    return evolve(
        graph,
        nodes={name: _rename_data(change_sources(node, change), names) for name, node in graph.nodes.items()},
        inputs={names.get(name, name): spec for name, spec in graph.inputs.items()},
        outputs={names.get(name, name): change(source) for name, source in graph.outputs.items()},
    )


def _refuse_clashes(there: Iterable[str], names: Mapping[str, str]) -> None:
    became: dict[str, list[str]] = {}
    for name in there:
        became.setdefault(names.get(name, name), []).append(name)
    problems = [
        f"{quote(old)} would all be {new!r}; give each a name of its own"
        for new, old in became.items()
        if len(old) > 1
    ]
    if problems:
        raise GraphError(problems)


def _rename_data(node: Node, names: Mapping[str, str]) -> Node:
    return evolve(
        node,
        outputs=tuple(names.get(name, name) for name in node.outputs),
        free={parameter: names.get(name, name) for parameter, name in free_names(node).items()},
    )


def graph_bound(graph: Graph, values: Mapping[str, Literal]) -> Graph:
    """Return a graph in which some inputs, or parameters with a default, have a fixed value.

    :param values: The values, by name.
    """

    def change(source: Source) -> Source:
        if isinstance(source, Input):
            return values.get(source.name, source)
        return change_parts(source, change)

    graph = graph_given(graph, values)
    nodes: dict[str, Node] = {}
    for name, node in graph.nodes.items():
        changed = change_sources(node, change)
        fixed = {each for each, source in changed.params.items() if source != node.params[each]}
        changes: dict[str, Any] = {"optional": changed.optional - fixed}
        nodes[name] = evolve(changed, **changes) if fixed else changed
    return evolve(
        graph,
        nodes=nodes,
        inputs={name: spec for name, spec in graph.inputs.items() if name not in values},
        outputs={name: change(source) for name, source in graph.outputs.items()},
    )
