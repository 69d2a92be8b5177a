"""Places of a dataflow that are more than one node: whole pipelines, branches, groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Union

from attrs import evolve, field, frozen

from taskiq_flow.graph.build import build_graph
from taskiq_flow.graph.model import (
    Graph,
    Guard,
    Input,
    InputSpec,
    ListOf,
    Node,
    Output,
    Source,
)
from taskiq_flow.wiring.binding import Need, rename_needs
from taskiq_flow.wiring.given import free_inputs, graph_given
from taskiq_flow.wiring.inlining import Inlining, SourceOf
from taskiq_flow.wiring.joins import first_of, only_after
from taskiq_flow.wiring.options import graph_with_defaults
from taskiq_flow.wiring.places import MapPlace, Retry, TaskPlace
from taskiq_flow.wiring.values import input_annotations

__all__ = ["GraphPlace", "Member", "Place", "branch_graph", "group_graph"]


@frozen(kw_only=True)
class GraphPlace:
    """A graph whose nodes become nodes of the dataflow.

    :param name: The name of the place.
    :param graph: The graph; its nodes carry its error mode.
    :param data: Names of data in the dataflow for outputs of the graph.
    :param needs: The data that it takes; the parameters are inputs of the graph.
    :param prefix: What stands before the names of its nodes, and a dot; empty for nothing.
    :param names: Names of data in the dataflow for what the graph leaves at a default, where they differ.
    """

    name: str
    graph: Graph
    data: Mapping[str, str]
    needs: tuple[Need, ...]
    prefix: str = ""
    names: Mapping[str, str] = field(factory=dict)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the data that it produces."""
        return tuple(self.data.values())

    def source(self, data: str, source_of: SourceOf) -> Source:
        """Return the source of some data that it produces.

        :param source_of: Returns the source of data in the dataflow, by its name.
        """
        inner = next(name for name, outer in self.data.items() if outer == data)
        return self._inlining(self.graph).output(inner, self._by_input(source_of))

    def nodes(self, source_of: SourceOf, retry: Retry, serializer: str | None) -> list[Node]:
        """Return its nodes, wired to the data that exists.

        :param source_of: Returns the source of data in the dataflow, by its name; ``None`` if there is none.
        """
        opened = [need.parameter for need in self.defaults if isinstance(source_of(need.data), Input)]
        graph = graph_given(self.graph, opened, tuple(self.graph.outputs)) if opened else self.graph
        graph = graph_with_defaults(graph, retry, None, serializer)
        return self._inlining(graph).nodes(self._by_input(source_of, opened))

    def list_names(self) -> tuple[str, ...]:
        """Return the names of all data that it can take, and of what it produces."""
        return (*(need.data for need in self.needs), *self._free_names().values(), *self.outputs)

    def rename(self, names: Mapping[str, str]) -> GraphPlace:
        """Return the place with other names for data.

        :param names: New names by the old ones.
        """
        return evolve(
            self,
            data={inner: names.get(outer, outer) for inner, outer in self.data.items()},
            needs=rename_needs(self.needs, names),
            names={inner: names.get(outer, outer) for inner, outer in self._free_names().items()},
        )

    def _free_names(self) -> dict[str, str]:
        return {name: self.names.get(name, name) for name in free_inputs(self.graph)}

    def _inlining(self, graph: Graph) -> Inlining:
        # An optional input that nothing is given to goes back to what is left at a default, under its name out here.
        names = {**self.names, **{need.parameter: need.data for need in self.needs}}
        return Inlining(graph=graph, prefix=self.prefix, data=self.data, names=names)

    @property
    def defaults(self) -> tuple[Need, ...]:
        """What the graph leaves at a default, which takes an input of that name as a parameter of a task does."""
        return tuple(Need(name, data, required=False) for name, data in self._free_names().items())

    def _by_input(self, source_of: SourceOf, opened: Iterable[str] = ()) -> SourceOf:
        needs = (*self.needs, *(need for need in self.defaults if need.parameter in opened))
        data = {need.parameter: need.data for need in needs}
        return lambda name: source_of(data[name]) if name in data else None


Place = Union[TaskPlace, MapPlace, GraphPlace]
"""A part of a dataflow before it is compiled."""

Member = Union[TaskPlace, GraphPlace]
"""A task or a whole pipeline in a branch or a group."""


def branch_graph(
    predicate: TaskPlace,
    sides: Mapping[bool, Member | str],
    outputs: tuple[str, ...],
) -> tuple[Graph, tuple[Need, ...]]:
    """Return the graph of a branch, and what it needs.

    :param predicate: The task that decides; it has one output.
    :param sides: For each answer a task, a graph, or the name of data.
    :param outputs: Names for the outputs of the side that ran, in order.
    :raises GraphError: the graph has problems.
    """
    draft = _Draft()
    draft.add(predicate, None)
    answer = Output(predicate.name, predicate.outputs[0])
    results: list[list[Source]] = []
    passed: list[list[Source]] = []
    for answered, side in sides.items():
        if isinstance(side, str):
            draft.need(Need(side, side, declared=True))
            passed.append([Input(side)])
        else:
            results.append(draft.add(side, Guard(answer, answered)))
    # Data is always there, so it comes behind what is skipped when the other side runs.
    joined = zip(*results, *passed, strict=True)
    found = {
        name: first_of(*each) if len(each) > 1 else each[0]
        for name, each in zip(outputs, joined, strict=True)
    }
    return draft.graph(found), tuple(draft.needs.values())


def group_graph(members: Iterable[Member], output: str) -> tuple[Graph, tuple[Need, ...]]:
    """Return the graph of a group, and what it needs.

    :param members: Tasks and graphs, each with one output.
    :param output: The name of the list of their results.
    :raises GraphError: the graph has problems.
    """
    draft = _Draft()
    results = tuple(draft.add(member, None)[0] for member in members)
    return draft.graph({output: ListOf(results)}), tuple(draft.needs.values())


class _Draft:
    """A graph of places that take everything from outside, and see nothing of each other."""

    def __init__(self) -> None:
        self.needs: dict[str, Need] = {}
        self._nodes: list[Node] = []

    def need(self, need: Need) -> None:
        known = self.needs.get(need.data)
        self.needs[need.data] = Need(
            need.data,
            need.data,
            need.required or (known is not None and known.required),
            need.declared or (known is not None and known.declared),
        )

    def add(self, place: Member, when: Guard | None) -> list[Source]:
        """Add a place, and return the sources of its outputs."""
        for need in place.needs:
            self.need(need)
        wiring: dict[str, Source] = {need.data: Input(need.data) for need in place.needs}
        if isinstance(place, GraphPlace):
            part = place._inlining(place.graph)
            by_input = place._by_input(wiring.get)
            nodes = part.nodes(by_input, when=when)
            self._nodes += nodes
            results = [part.output(inner, by_input) for inner in place.data]
            if when is None:
                return results
            return [first_of(*only_after(tuple(nodes), each, frozenset())) for each in results]
        self._nodes.append(evolve(place.node(wiring, None), when=when))
        return [Output(place.name, name) for name in place.outputs]

    def graph(self, outputs: Mapping[str, Source]) -> Graph:
        annotations: Mapping[str, Any] = input_annotations(self._nodes)
        inputs = {
            need.data: InputSpec(required=need.required, annotation=annotations.get(need.data))
            for need in self.needs.values()
        }
        return build_graph(self._nodes, inputs=inputs, outputs=outputs)
