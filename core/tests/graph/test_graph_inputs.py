"""The inputs of a run, checked against its graph."""

from __future__ import annotations

from typing import Any

import pytest

from taskiq_flow.errors import GraphError
from taskiq_flow.graph import Graph, Input, InputSpec, TaskNode, build_graph, check_inputs


def task(name: str, *outputs: str, **more: Any) -> TaskNode:
    return TaskNode(name=name, task="task", outputs=outputs or (name,), **more)


GRAPH = build_graph(
    [task("t", params={name: Input(name) for name in ("folder", "limit", "rate")})],
    inputs={"folder": InputSpec(), "limit": InputSpec(), "rate": InputSpec(required=False)},
    name="audio",
)


@pytest.mark.parametrize("given", [["folder", "limit"], {"limit": 1, "folder": 2, "rate": 3}])
def test_inputs_that_are_complete_pass(given: Any) -> None:
    check_inputs(GRAPH, given)


@pytest.mark.parametrize(
    ("graph", "given", "expected"),
    [
        (
            GRAPH,
            [],
            ["inputs 'folder', 'limit' of pipeline 'audio' are missing; give every required input a value"],
        ),
        (
            GRAPH,
            ["foldr", "limit", "raet", "verbosity"],
            [
                "input 'folder' of pipeline 'audio' is missing; give every required input a value",
                "pipeline 'audio' has no input 'foldr'; it takes 'folder', 'limit', 'rate' (did you mean 'folder'?)",
                "pipeline 'audio' has no input 'raet'; it takes 'folder', 'limit', 'rate' (did you mean 'rate'?)",
                "pipeline 'audio' has no input 'verbosity'; it takes 'folder', 'limit', 'rate'",
            ],
        ),
        (Graph(nodes={}), ["x"], ["the pipeline has no input 'x'; it takes no inputs"]),
    ],
)
def test_inputs_that_are_wrong_are_listed(graph: Graph, given: list[str], expected: list[str]) -> None:
    with pytest.raises(GraphError) as caught:
        check_inputs(graph, given)
    assert list(caught.value.problems) == expected
