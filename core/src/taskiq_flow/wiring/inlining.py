"""A graph inside another one: its nodes among those of the other, under names of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import evolve, field, frozen

from taskiq_flow._words import quote
from taskiq_flow.errors import GraphError
from taskiq_flow.graph.follows import find_watched
from taskiq_flow.graph.model import (
    Conditional,
    FirstOf,
    Follows,
    Graph,
    Guard,
    Input,
    ListOf,
    Literal,
    MapNode,
    Node,
    Output,
    Source,
    TaskNode,
)
from taskiq_flow.graph.order import leaves, predecessors, sources
from taskiq_flow.wiring.given import free_names

__all__ = ["Inlining", "find_last_outputs"]

SourceOf = Callable[[str], "Source | None"]
"""Returns the source of an input of the inner graph, by its name; ``None`` if it stays at its default."""


def find_last_outputs(graph: Graph) -> tuple[str, ...]:
    """Return the outputs of a graph that no node in it takes; all of them if there is none."""
    taken: set[Source] = set()
    for node in graph.nodes.values():
        for source in sources(node):
            taken.add(source)
            taken.update(leaves(source))
    last = tuple(name for name, source in graph.outputs.items() if source not in taken)
    return last or tuple(graph.outputs)


@frozen(kw_only=True)
class Inlining:
    """A graph that becomes a part of another one.

    :param graph: The inner graph; its nodes have their final options.
    :param prefix: What stands before the names of its nodes, and a dot; empty for nothing.
    :param data: Names in the outer graph for those of its outputs that are data there.
    :param names: Names in the outer graph for what it takes and can take, where they differ.
    """

    graph: Graph
    prefix: str
    data: Mapping[str, str]
    names: Mapping[str, str] = field(factory=dict)
    _exported: Mapping[Source, str] = field(init=False)

    @_exported.default
    def _index(self) -> Mapping[Source, str]:
        found: dict[Source, str] = {}
        for inner, outer in self.data.items():
            found.setdefault(self.graph.outputs[inner], outer)
        return found

    def output(self, name: str, source_of: SourceOf) -> Source:
        """Return the source of one of its outputs in the outer graph.

        :raises GraphError: it is an input that is not there.
        """
        found = self._convert(self.graph.outputs[name], source_of)
        if found is None:
            raise GraphError(
                f"{name!r} of pipeline {self.prefix!r} is what an input of it is given, and that is left out; give it"
            )
        return found

    def nodes(
        self, source_of: SourceOf, *, when: Guard | None = None, after: tuple[str, ...] = ()
    ) -> list[Node]:
        """Return the nodes for the outer graph.

        :param when: A guard for all of them.
        :param after: Nodes that come before all of them.
        :raises GraphError: an input that cannot stay at a default is left out; all of them are listed.
        """
        problems: list[str] = []
        nodes = [self._node(node, source_of, when, after, problems) for node in self.graph.nodes.values()]
        if problems:
            raise GraphError(problems)
        return nodes

    def _node(
        self,
        node: Node,
        source_of: SourceOf,
        when: Guard | None,
        after: tuple[str, ...],
        problems: list[str],
    ) -> Node:
        params: dict[str, Source] = {}
        free = {parameter: self.names.get(name, name) for parameter, name in free_names(node).items()}
        missing: list[str] = []
        for parameter, source in node.params.items():
            found = self._convert(source, source_of)
            if found is not None:
                params[parameter] = found
            elif parameter in node.optional:
                name = source.name if isinstance(source, Input) else parameter
                free[parameter] = self.names.get(name, name)
            else:
                missing.append(parameter)
        inner_before = predecessors(node)
        changes: dict[str, Any] = {
            "name": self._path(node.name),
            "params": params,
            "free": free,
            # A fixed value never falls back to the default.
            "optional": frozenset(
                each for each in node.optional if each in params and not isinstance(params[each], Literal)
            ),
            "outputs": tuple(self._data_name(node.name, name) for name in node.outputs),
            "after": (*(self._path(name) for name in node.after), *(() if inner_before else after)),
            "when": when,
        }
        if isinstance(node, TaskNode) and node.follows is not None:
            # What happens around the inner graph has no part in what follows it, nor has an outer guard.
            changes["follows"] = self._follows(node.follows, node.name)
            changes["when"] = None
            changes["after"] = ()
        if node.when is not None:
            # The predicate of an inner branch is guarded by the outer one, so an inner guard needs no second condition.
            condition = self._convert(node.when.source, source_of)
            if condition is None:
                missing.append("the guard")
            else:
                changes["when"] = Guard(condition, node.when.equals)
        if isinstance(node, MapNode):
            lists = {
                name: self._convert(source, source_of)
                for name, source in {node.item: node.items, **node.also}.items()
            }
            missing += [f"the list for {name}" for name, source in lists.items() if source is None]
            changes["items"] = lists.pop(node.item)
            changes["also"] = lists
        if missing:
            problems.append(
                f"node {node.name!r} of pipeline {self.prefix!r} requires {quote(missing)}, which an input of the "
                "pipeline is for that nothing is given to; give it that input"
            )
        return evolve(node, **changes)

    def _convert(self, source: Source, source_of: SourceOf) -> Source | None:
        if isinstance(source, Input):
            return source_of(source.name)
        if isinstance(source, Output):
            return Output(self._path(source.node), self._data_name(source.node, source.name))
        if isinstance(source, Literal):
            return source
        if isinstance(source, Conditional):
            value, given = self._convert(source.source, source_of), self._convert(source.given, source_of)
            return None if value is None or given is None else Conditional(value, given)
        members = [self._convert(each, source_of) for each in source.sources]
        there = tuple(each for each in members if each is not None)
        if isinstance(source, FirstOf):
            return FirstOf(there) if there else None
        return ListOf(there) if len(there) == len(members) else None

    def _follows(self, follows: Follows, name: str) -> Follows:
        return evolve(follows, nodes=tuple(map(self._path, find_watched(self.graph, name))))

    def _path(self, node: str) -> str:
        return f"{self.prefix}.{node}" if self.prefix else node

    def _data_name(self, node: str, name: str) -> str:
        outer = self._exported.get(Output(node, name))
        if outer is not None:
            return outer
        return f"{self.prefix}.{name}" if self.prefix else name
