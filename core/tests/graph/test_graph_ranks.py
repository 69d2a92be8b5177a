from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given

from graph_strategies import graphs
from taskiq_flow.graph import (
    Graph,
    Input,
    InputSpec,
    MapNode,
    Output,
    TaskNode,
    build_graph,
    predecessors,
    upward_ranks,
)


def _task(name: str, *before: str) -> TaskNode:
    return TaskNode(name=name, task=f"task-{name}", outputs=(f"{name}_out",), after=before)


def test_the_rank_is_the_longest_path_to_the_end_with_the_nodes_own_cost() -> None:
    graph = build_graph([_task("a"), _task("b", "a"), _task("c", "a"), _task("d", "b", "c")])
    costs = {"a": 1.0, "b": 5.0, "c": 2.0, "d": 3.0}
    assert upward_ranks(graph, lambda path, node: costs[path]) == {"a": 9.0, "b": 8.0, "c": 5.0, "d": 3.0}


def test_what_follows_a_map_counts_for_the_nodes_in_it() -> None:
    body = build_graph(
        [
            TaskNode(name="load", task="load", params={"item": Input("item")}, outputs=("raw",)),
            TaskNode(name="work", task="work", params={"raw": Output("load", "raw")}, outputs=("done",)),
        ],
        inputs={"item": InputSpec()},
        outputs={"done": Output("work", "done")},
    )
    tracks = MapNode(name="tracks", body=body, items=Input("names"), outputs=("all",), collects=("done",))
    end = TaskNode(name="end", task="end", params={"all": Output("tracks", "all")}, outputs=("report",))
    graph = build_graph([tracks, end], inputs={"names": InputSpec()})
    assert upward_ranks(graph, lambda path, node: 10.0 if node.task == "work" else 1.0) == {
        "end": 1.0,
        "tracks[]/work": 11.0,
        "tracks[]/load": 12.0,
        "tracks": 12.0,
    }


def test_a_chain_of_thousands_does_not_recurse() -> None:
    graph = build_graph([_task("n0"), *(_task(f"n{i}", f"n{i - 1}") for i in range(1, 5000))])
    assert upward_ranks(graph, lambda path, node: 0.5)["n0"] == 2500.0


@given(graphs())
def test_ranks_agree_with_their_definition(graph: Graph) -> None:
    found = upward_ranks(graph, lambda path, node: float(len(path)))
    _agree(graph, found, "", 0.0)


def _agree(graph: Graph, found: Mapping[str, float], prefix: str, behind: float) -> None:
    for name, node in graph.nodes.items():
        after = [found[prefix + it.name] for it in graph.nodes.values() if name in predecessors(it)]
        tail = max(after, default=behind)
        path = prefix + name
        if isinstance(node, MapNode):
            _agree(node.body, found, f"{path}[]/", tail)
            assert found[path] == max((found[f"{path}[]/{each}"] for each in node.body.nodes), default=tail)
        else:
            assert found[path] == float(len(path)) + tail
