"""What a graph refuses of maps over several lists, parts of a list, and trees; and how many items they have."""

from __future__ import annotations

from typing import Any

import pytest

from taskiq_flow.errors import GraphError
from taskiq_flow.graph import Input, InputSpec, Literal, MapNode, Output, TaskNode, build_graph, count_items

PART = build_graph(
    [TaskNode(name="square", task="square", params={"x": Input("x")}, outputs=("sq",))],
    inputs={"x": InputSpec()},
    outputs={"sq": Output("square", "sq")},
)

PROBLEMS = [
    pytest.param(
        [
            MapNode(
                name="m",
                body=PART,
                items=Literal([1]),
                item="x",
                also={"x": Literal([1])},
                join="both",
                chunk=0,
            )
        ],
        [
            "map 'm' hands the items of two lists to input 'x' of its body; give each an input",
            "map 'm' has join='both'; it must be 'zip' or 'product'",
            "map 'm' has chunk=0; it must be a whole number from 1, or None",
        ],
        id="map: two lists for one input",
    ),
    pytest.param(
        [MapNode(name="m", body=PART, items=Literal([1]), item="x", join="product", chunk=2)],
        ["map 'm' goes over a product in chunks; do one of the two"],
        id="map: a product in chunks",
    ),
    pytest.param(
        [
            MapNode(
                name="m",
                body=PART,
                items=Literal([1]),
                item="x",
                keep="items",
                chunk=2,
                collects=("sq",),
                outputs=("z",),
            )
        ],
        ["map 'm' is a filter, which goes over the items of one list; leave the other lists and chunks out"],
        id="map: a filter in chunks",
    ),
    pytest.param(
        [MapNode(name="m", body=PART, items=Literal([1]), item="x", keep="one", skip_errors=True)],
        [
            "map 'm' reduces in a tree with chunk=None; it must be a whole number from 2",
            "map 'm' reduces in a tree, which takes one list, collects one output of its body, and cannot leave out "
            "what failed",
        ],
        id="map: a tree of nothing",
    ),
]


@pytest.mark.parametrize(("nodes", "expected"), PROBLEMS)
def test_every_offender_is_named(nodes: list[Any], expected: list[str]) -> None:
    with pytest.raises(GraphError) as caught:
        build_graph(nodes)
    assert list(caught.value.problems) == expected


def mapped(**more: Any) -> MapNode:
    return MapNode(name="m", body=PART, items=Literal([]), item="x", **more)


def test_how_many_items_a_map_has() -> None:
    assert count_items(mapped(), [5]) == 5
    assert count_items(mapped(strict=False), [5, 3]) == 3
    assert count_items(mapped(join="product"), [5, 3, 2]) == 30
    assert [count_items(mapped(chunk=2), [count]) for count in range(4)] == [0, 1, 1, 2]
    tree = mapped(chunk=2, keep="one")
    assert [count_items(tree, [count]) for count in (0, 1, 2, 3, 4, 5, 8)] == [1, 1, 1, 3, 3, 5, 7]


def test_a_graph_without_the_new_words_is_written_as_before() -> None:
    from taskiq_flow.graph import to_json

    plain = build_graph([mapped()])
    assert not {"also", "join", "strict", "chunk", "keep"} & set(to_json(plain).replace('"', " ").split())
