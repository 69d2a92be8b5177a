"""Predecessors, orders and subgraphs."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph_strategies import graphs
from taskiq_flow.errors import GraphError
from taskiq_flow.graph import (
    FirstOf,
    Graph,
    Guard,
    Input,
    InputSpec,
    ListOf,
    Literal,
    MapNode,
    Output,
    TaskNode,
    build_graph,
    leaves,
    predecessors,
    subgraph_for,
    topological_order,
)
from taskiq_flow.graph.order import sources


def link(name: str, *before: str, after: tuple[str, ...] = ()) -> TaskNode:
    params: dict[str, Any] = {f"p{i}": Output(b, f"v_{b}") for i, b in enumerate(before)}
    return TaskNode(name=name, task="t", params=params, outputs=(f"v_{name}",), after=after)


def test_predecessors_come_from_everything_that_is_waited_for() -> None:
    body = build_graph(
        [TaskNode(name="inner", task="t", params={"x": Input("x")})], inputs={"x": InputSpec()}
    )
    node = MapNode(
        name="m",
        body=body,
        items=FirstOf(
            (Output("a", "v"), ListOf((Output("b", "v"), FirstOf((Literal(1), Output("c", "v"))))))
        ),
        params={"p": Output("d", "v"), "q": Input("i"), "r": ListOf((Output("d", "w"),))},
        when=Guard(FirstOf((Output("e", "v"), Output("a", "v")))),
        after=("f",),
    )
    assert predecessors(node) == frozenset("abcdef")
    assert predecessors(TaskNode(name="t", task="t", params={"x": Literal(1)})) == frozenset()


def test_leaves_are_in_order() -> None:
    source = ListOf((Input("a"), FirstOf((Output("b", "v"), ListOf((Literal(1),)))), Input("c")))
    assert list(leaves(source)) == [Input("a"), Output("b", "v"), Literal(1), Input("c")]


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ([], []),
        ([link("c"), link("a"), link("b", "c")], ["c", "a", "b"]),
        ([link("c", "b"), link("b", "a"), link("a"), link("d")], ["a", "b", "c", "d"]),
        ([link("x"), link("late", "z"), link("y"), link("z", "y", "x")], ["x", "y", "z", "late"]),
        ([link("d", "b", "a"), link("a"), link("b")], ["a", "b", "d"]),
        ([link("b", after=("a",)), link("a")], ["a", "b"]),
    ],
)
def test_nodes_stay_where_they_were_declared_unless_they_wait(nodes: list[Any], expected: list[str]) -> None:
    graph = build_graph(nodes)
    assert list(topological_order(graph)) == expected
    assert list(graph.nodes) == [node.name for node in nodes]


def test_a_cycle_that_was_not_checked_is_an_error() -> None:
    graph = Graph(nodes={"a": link("a", "b"), "b": link("b", "a")})
    with pytest.raises(GraphError, match="nodes wait for each other: a -> b -> a"):
        topological_order(graph)


@given(graphs(max_nodes=10, max_depth=1))
def test_every_node_comes_after_what_it_waits_for(graph: Graph) -> None:
    order = topological_order(graph)
    assert sorted(order) == sorted(graph.nodes)
    place = {name: index for index, name in enumerate(order)}
    for name, node in graph.nodes.items():
        assert all(place[before] < place[name] for before in predecessors(node))
    # What is in order already stays so.
    in_order = attrs.evolve(graph, nodes={name: graph.nodes[name] for name in order})
    assert topological_order(in_order) == order


def needed_the_slow_way(graph: Graph, names: list[str]) -> set[str]:
    """Ask of each node whether a wanted output can be reached from it, by following every path."""

    def reaches(name: str) -> bool:
        if any(isinstance(it, Output) and it.node == name for n in names for it in leaves(graph.outputs[n])):
            return True
        return any(reaches(other) for other, node in graph.nodes.items() if name in predecessors(node))

    return {name for name in graph.nodes if reaches(name)}


@given(graphs(max_nodes=7, max_depth=1), st.data())
def test_a_subgraph_has_what_its_outputs_need_and_nothing_else(graph: Graph, data: st.DataObject) -> None:
    names = data.draw(
        st.lists(st.sampled_from(sorted(graph.outputs)), unique=True) if graph.outputs else st.just([])
    )
    found = subgraph_for(graph, names)
    assert set(found.nodes) == needed_the_slow_way(graph, names)
    assert list(found.nodes) == [name for name in graph.nodes if name in found.nodes]
    assert all(found.nodes[name] is graph.nodes[name] for name in found.nodes)
    assert found.outputs == {name: graph.outputs[name] for name in names}
    assert (found.name, found.on_error, found.timeout) == (graph.name, graph.on_error, graph.timeout)
    # It passes all checks, one of which is that every input is needed.
    again = build_graph(
        found.nodes.values(),
        inputs=found.inputs,
        outputs=found.outputs,
        name=found.name,
        on_error=found.on_error,
    )
    assert again == found
    assert graph.subgraph_for(graph.outputs).outputs == graph.outputs


GRAPH = build_graph(
    [
        link("read"),
        attrs.evolve(link("side", "read"), params={"x": Input("where")}),
        link("sum", "read", after=("side",)),
        attrs.evolve(link("plot", "read"), params={"x": Output("read", "v_read"), "size": Input("size")}),
    ],
    inputs={"where": InputSpec(), "size": InputSpec(required=False)},
    outputs={"total": Output("sum", "v_sum"), "picture": Output("plot", "v_plot"), "size": Input("size")},
    name="report",
    timeout=5,
)


@pytest.mark.parametrize(
    ("wanted", "nodes", "inputs"),
    [
        (["total"], ["read", "side", "sum"], ["where"]),
        (["picture"], ["read", "plot"], ["size"]),
        (["picture", "total"], ["read", "side", "sum", "plot"], ["where", "size"]),
        (["size"], [], ["size"]),
        (["v_read"], ["read"], []),
        ("total", ["read", "side", "sum"], ["where"]),
        ([], [], []),
    ],
)
def test_only_what_is_needed_stays(wanted: Any, nodes: list[str], inputs: list[str]) -> None:
    found = GRAPH.subgraph_for(wanted)
    assert list(found.nodes) == nodes
    assert list(found.inputs) == inputs
    assert list(found.outputs) == ([wanted] if isinstance(wanted, str) else wanted)
    for node in found.nodes.values():
        for source in sources(node):
            assert all(it.name in found.inputs for it in leaves(source) if isinstance(it, Input))


def test_unknown_outputs_are_listed_with_close_names() -> None:
    with pytest.raises(GraphError) as caught:
        subgraph_for(GRAPH, ["totl", "total", "nothing"])
    assert list(caught.value.problems) == [
        "output 'totl' is wanted, which no node produces (did you mean 'total'?)",
        "output 'nothing' is wanted, which no node produces",
    ]


def test_long_chains_are_no_trouble() -> None:
    count = 50_000
    nodes = {f"n{i}": link(f"n{i}", *([f"n{i - 1}"] if i else [])) for i in reversed(range(count))}
    graph = Graph(nodes=nodes, outputs={"r": Output(f"n{count - 1}", f"v_n{count - 1}")})
    assert topological_order(graph) == tuple(f"n{i}" for i in range(count))
    assert len(subgraph_for(graph, ["r"]).nodes) == count
