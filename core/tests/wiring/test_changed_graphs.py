"""Random graphs that are put into others, renamed, bound, or given things: they stay sound, and lose no source."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from graph_strategies import graphs
from taskiq_flow.graph import Graph, Input, InputSpec, Literal, MapNode, build_graph, leaves
from taskiq_flow.graph.order import sources
from taskiq_flow.wiring.given import find_known_names, graph_given
from taskiq_flow.wiring.inlining import Inlining
from taskiq_flow.wiring.renaming import graph_bound, graph_renamed


def rebuild(graph: Graph) -> Graph:
    """Check a graph as a new one is checked; types aside, because what changes is without annotations."""
    return build_graph(
        graph.nodes.values(),
        inputs=graph.inputs,
        outputs=graph.outputs,
        name=graph.name,
        on_error=graph.on_error,
    )


def shape(graph: Graph) -> list[Any]:
    """Return what each node waits for, by the kinds of its sources."""
    return [
        (
            [type(leaf).__name__ for source in sources(node) for leaf in leaves(source)],
            len(node.after),
            len(node.outputs),
            shape(node.body) if isinstance(node, MapNode) else None,
        )
        for node in graph.nodes.values()
    ]


@given(graphs())
def test_a_graph_within_another_keeps_all_its_sources(graph: Graph) -> None:
    part = Inlining(graph=graph, prefix="part", data={name: f"out_{name}" for name in graph.outputs})
    nodes = part.nodes(Input)
    whole = build_graph(
        nodes,
        inputs=graph.inputs,
        outputs={f"out_{name}": part.output(name, Input) for name in graph.outputs},
    )
    assert shape(whole) == shape(graph)
    assert all(name.startswith("part.") for name in whole.nodes)


@given(graphs())
def test_renaming_there_and_back_changes_nothing(graph: Graph) -> None:
    names = {name: f"new_{name}" for name in find_known_names(graph)}
    renamed = graph_renamed(graph, names)
    rebuild(renamed)
    assert set(find_known_names(renamed)) == set(names.values())
    assert graph_renamed(renamed, {new: old for old, new in names.items()}) == graph


@given(graphs(), st.data())
def test_what_is_bound_is_no_input_any_more(graph: Graph, data: st.DataObject) -> None:
    names = data.draw(st.sets(st.sampled_from(sorted(graph.inputs) or ["none"])))
    bound = graph_bound(graph, {name: Literal([1, 2]) for name in names})
    rebuild(bound)
    assert graph.inputs.keys() - bound.inputs.keys() == names & graph.inputs.keys()
    assert graph_bound(graph, {}) == graph


@given(graphs(), st.data())
def test_what_is_given_is_an_input_and_is_not_made(graph: Graph, data: st.DataObject) -> None:
    produced = sorted({name for node in graph.nodes.values() for name in node.outputs})
    names = data.draw(st.sets(st.sampled_from(produced or ["none"]), max_size=3))
    wanted = data.draw(st.none() | st.sets(st.sampled_from(sorted(graph.outputs) or ["none"])))
    if wanted is not None and not wanted <= graph.outputs.keys():
        wanted = None
    made = graph_given(graph, names, wanted)
    rebuild(made)
    assert not names & {name for node in made.nodes.values() for name in node.outputs}
    assert made.inputs.keys() <= graph.inputs.keys() | names
    assert made.nodes.keys() <= graph.nodes.keys()
    assert wanted is None or made.outputs.keys() >= wanted
    idle = {node.name for node in graph.nodes.values() if node.outputs and set(node.outputs) <= names}
    assert not idle & made.nodes.keys()
    assert graph_given(graph, []) is graph
    assert graph_given(graph, ["nowhere"]) == graph
    assert all(isinstance(spec, InputSpec) for spec in made.inputs.values())
