"""Everything that building a graph checks, and what it says."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from taskiq_flow.errors import GraphError
from taskiq_flow.graph import (
    FirstOf,
    Guard,
    Input,
    InputSpec,
    ListOf,
    Literal,
    MapNode,
    NodeOptions,
    Output,
    TaskNode,
    build_graph,
)


def task(name: str, *outputs: str, **more: Any) -> TaskNode:
    params = more.pop("params", {})
    return TaskNode(name=name, task=f"app:{name}", outputs=outputs, params=params, **more)


BODY = build_graph(
    [task("square", "sq", params={"x": Input("x"), "by": Input("by")}, accepts={"x": int}, returns=(int,))],
    inputs={"x": InputSpec(annotation=int), "by": InputSpec(annotation=str)},
    outputs={"sq": Output("square", "sq"), "echo": Input("x")},
)
LOOSE_BODY = build_graph(
    [task("t", "y", params={"x": Input("x"), "k": Input("k")})],
    inputs={"x": InputSpec(), "k": InputSpec(required=False)},
    outputs={"y": Output("t", "y")},
)


def mapped(**more: Any) -> MapNode:
    base: dict[str, Any] = {
        "name": "m",
        "body": BODY,
        "items": Literal([1]),
        "item": "x",
        "params": {"by": Literal("k")},
        "outputs": ("ys",),
        "collects": ("sq",),
    }
    return MapNode(**{**base, **more})


def problems(nodes: list[Any], **more: Any) -> list[str]:
    with pytest.raises(GraphError) as caught:
        build_graph(nodes, **more)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return list(caught.value.problems)


JSON_WORDS = "use texts, finite numbers, booleans, None, lists, and dictionaries with texts as keys"

REFERENCES: list[Any] = [
    pytest.param(
        [task("a", "row"), *(task(name, params={"raw": Input("raw")}) for name in "bd")],
        {},
        [
            "nodes 'b', 'd' wait for 'raw', which no node produces; produce it, or declare it as a pipeline input "
            "(did you mean 'row'?)"
        ],
        id="unknown input of several nodes",
    ),
    pytest.param(
        [task("a", params={"x": Input("zzz")})],
        {"outputs": {"r": Input("zzz")}},
        [
            "node 'a' and pipeline output 'r' wait for 'zzz', which no node produces; produce it, or declare it as a "
            "pipeline input"
        ],
        id="unknown input of a node and an output",
    ),
    pytest.param(
        [task("a", "x"), task("b", params={"x": Input("x")})],
        {},
        [
            "node 'b' waits for the pipeline input 'x', which is not one but is produced by node 'a'; take it from "
            "there"
        ],
        id="an output taken for an input",
    ),
    pytest.param(
        [task("loader", "x"), task("b", params={"x": FirstOf((Output("laoder", "x"), Literal(1)))})],
        {},
        [
            "node 'b' waits for 'x' of node 'laoder', which is not in the graph; add that node (did you mean 'loader'?)"
        ],
        id="unknown node inside a join",
    ),
    pytest.param(
        [task("a", "rows", "sum"), task("b", when=Guard(ListOf((Output("a", "rosw"),))))],
        {},
        [
            "node 'b' waits for 'rosw' of node 'a', which produces 'rows', 'sum'; take one of these "
            "(did you mean 'rows'?)"
        ],
        id="unknown output in a guard",
    ),
    pytest.param(
        [task("a")],
        {"outputs": {"r": Output("a", "x")}},
        ["pipeline output 'r' waits for 'x' of node 'a', which declares no outputs; declare 'x' there"],
        id="output of a node without any",
    ),
    pytest.param(
        [task("clean"), task("b", after=("cleam", "clean")), task("c", after=("cleam",))],
        {},
        [
            "nodes 'b', 'c' come after 'cleam', which is not in the graph; add that node (did you mean 'clean'?)"
        ],
        id="unknown order",
    ),
    pytest.param(
        [mapped(items=Input("lines"), params={"by": Output("x", "y")})],
        {},
        [
            "node 'm' waits for 'lines', which no node produces; produce it, or declare it as a pipeline input",
            "node 'm' waits for 'y' of node 'x', which is not in the graph; add that node",
        ],
        id="sources of a map",
    ),
    pytest.param(
        [task("a", params={"raw": Input("raw")})],
        {"inputs": {"raw": InputSpec(), "rwa": InputSpec(), "other": InputSpec(required=False)}},
        [
            "pipeline input 'rwa' is needed by no node; remove it, or name it as the parameter that it is meant for "
            "(did you mean 'raw'?)",
            "pipeline input 'other' is needed by no node; remove it, or name it as the parameter that it is meant for",
        ],
        id="inputs that nothing needs",
    ),
]

NAMING: list[Any] = [
    pytest.param(
        [task("a"), task("b"), task("a"), task("a"), task("b")],
        {},
        [
            "3 nodes are named 'a'; give each node a name of its own",
            "2 nodes are named 'b'; give each node a name of its own",
        ],
        id="duplicate nodes",
    ),
    pytest.param(
        [task("a", "x"), task("b", "x", "y"), task("c", "y", "x")],
        {},
        [
            "'x' is produced by the nodes 'a', 'b', 'c'; rename all but one of these outputs",
            "'y' is produced by the nodes 'b', 'c'; rename all but one of these outputs",
        ],
        id="two producers",
    ),
    pytest.param(
        [task("a", "x", "x")],
        {},
        ["node 'a' has 2 outputs named 'x'; rename all but one of them"],
        id="one node producing twice",
    ),
    pytest.param(
        [task("a", "x"), task("b", params={"x": Input("x")})],
        {"inputs": {"x": InputSpec()}},
        ["'x' is a pipeline input and also produced by node 'a'; rename one of them"],
        id="input and output of one name",
    ),
    pytest.param(
        [task("", "o"), task("p/q"), task("r[0]"), task("s", "")],
        {"outputs": {"": Literal(1)}},
        [
            "node number 1 has an empty name; every node needs one",
            "node name 'p/q' has '/', '[' or ']' in it, which separate the parts of a cell's path; rename it",
            "node name 'r[0]' has '/', '[' or ']' in it, which separate the parts of a cell's path; rename it",
            "node 's' has an output with an empty name; every output needs one",
            "a pipeline output has an empty name; every output needs one",
        ],
        id="unusable names",
    ),
]

NODES: list[Any] = [
    pytest.param(
        [TaskNode(name="a", task="")], {}, ["node 'a' names no task; give it a task's name"], id="no task"
    ),
    pytest.param(
        [task("a", "x", "y", returns=(int, int, int))],
        {},
        [
            "node 'a' declares 2 outputs ('x', 'y'), but its task returns 3 values; name one output for each value"
        ],
        id="arity of several outputs",
    ),
    pytest.param(
        [task("a", options=NodeOptions(timeout=0, resources={"cpu": -1, "gpu": 0}, on_error="explode"))],  # type: ignore[arg-type]
        {"timeout": float("nan"), "on_error": "never"},
        [
            "the pipeline's timeout is nan; it must be a positive number of seconds, or None",
            "the pipeline's on_error is 'never'; it must be 'stop' or 'continue'",
            "node 'a' has the timeout 0; it must be a positive number of seconds, or None",
            "node 'a' has on_error='explode'; it must be 'stop', 'continue' or None",
            "node 'a' needs -1 of 'cpu'; it must be a number from 0",
        ],
        id="limits",
    ),
    pytest.param(
        [
            task(
                "a",
                params={
                    "x": Literal({"k": [1, datetime(2024, 1, 1)]}),
                    "y": ListOf((Literal(float("inf")),)),
                },
            ),
            task(
                "b",
                when=Guard(Literal(True), {1: 2}),
                options=NodeOptions(labels={"l": {1}}, retry={"on": ValueError}),
            ),
            task("c", params={"x": FirstOf(())}),
        ],
        {"outputs": {"r": Literal(b"")}},
        [
            "pipeline output 'r' is not plain JSON: found bytes; " + JSON_WORDS,
            f"parameter 'x' of node 'a' is not plain JSON: found datetime at ['k'][1]; {JSON_WORDS}",
            f"parameter 'y' of node 'a' is not plain JSON: found inf; {JSON_WORDS}",
            f"option retry of node 'b' is not plain JSON: found type at ['on']; {JSON_WORDS}",
            f"option labels of node 'b' is not plain JSON: found set at ['l']; {JSON_WORDS}",
            f"the value that the guard of node 'b' compares with is not plain JSON: found the key 1; {JSON_WORDS}",
            "parameter 'x' of node 'c' is the first of no sources; name one at least",
        ],
        id="values that are not plain JSON",
    ),
    pytest.param(
        [mapped(outputs=("a", "b"), max_parallel=0)],
        {},
        [
            "map 'm' has 2 outputs but collects 1 of its body's; name one output of the body for each output of the "
            "map",
            "map 'm' has max_parallel=0; it must be a whole number from 1, or None",
        ],
        id="map: arity and window",
    ),
    pytest.param(
        [mapped(outputs=("a", "b"), collects=("sq", "ehco"), keep="items")],
        {},
        [
            "map 'm' keeps items but collects 2 outputs of its body; a filter collects exactly one, which says whether "
            "an item stays",
            "map 'm' collects 'ehco', but its body has the outputs 'sq', 'echo' (did you mean 'echo'?)",
        ],
        id="map: filter and unknown output",
    ),
    pytest.param(
        [mapped(item="item", params={"bye": Literal("k")})],
        {},
        [
            "map 'm' hands each item to input 'item', but its body takes 'x', 'by'",
            "map 'm' binds input 'bye', but its body takes 'x', 'by' (did you mean 'by'?)",
            "map 'm' does not bind the inputs 'x', 'by' of its body; give each a source in params",
        ],
        id="map: inputs of the body",
    ),
    pytest.param(
        [mapped(params={"x": Literal(1), "by": Literal("k")})],
        {},
        ["map 'm' binds input 'x' of its body to a source, but the items go there; bind another"],
        id="map: item bound twice",
    ),
    pytest.param(
        [mapped(keep="both")],
        {},
        ["map 'm' keeps 'both'; it must be 'values', 'items' or 'one'"],
        id="map: unknown keep",
    ),
]


def out(node: str, name: str | None = None) -> Output:
    return Output(node, name or node)


FITS: list[Any] = [
    pytest.param(
        [task("a", "n", returns=(int,)), task("b", params={"s": Output("a", "n")}, accepts={"s": str})],
        {},
        [
            "parameter 's' of node 'b' takes str, but 'n' of node 'a' is int; make the annotations agree, or convert "
            "in between"
        ],
        id="int into str",
    ),
    pytest.param(
        [task("b", params={"s": Input("n"), "t": Literal([1])}, accepts={"s": str, "t": dict})],
        {"inputs": {"n": InputSpec(annotation=int)}},
        [
            "parameter 's' of node 'b' takes str, but pipeline input 'n' is int; make the annotations agree, or "
            "convert in between",
            "parameter 't' of node 'b' takes dict, but the value [1] is list; make the annotations agree, or convert "
            "in between",
        ],
        id="input and literal",
    ),
    pytest.param(
        [
            task("a", "n", "s", returns=(int, str)),
            task("b", params={"x": ListOf((Output("a", "n"), Output("a", "s")))}, accepts={"x": list[str]}),
            task("c", params={"x": FirstOf((Output("a", "n"), Output("a", "s")))}, accepts={"x": list}),
            task("d", params={"x": FirstOf((Output("a", "n"), Output("a", "s")))}, accepts={"x": str}),
        ],
        {},
        [
            "parameter 'x' of node 'b' takes list[str], but the list of its sources is tuple[int, str]; make the "
            "annotations agree, or convert in between",
            "parameter 'x' of node 'c' takes list, but each of its sources is Union[int, str]; make the annotations "
            "agree, or convert in between",
        ],
        id="groups and joins",
    ),
    pytest.param(
        [task("a", "n", returns=(int,)), mapped(items=out("a", "n"), params={"by": Output("a", "n")})],
        {},
        [
            "map 'm' goes over 'n' of node 'a', which is int; map over something that is a list or a dictionary",
            "input 'by' of the body of map 'm' takes str, but 'n' of node 'a' is int; make the annotations agree, or "
            "convert in between",
        ],
        id="map over a number",
    ),
    pytest.param(
        [task("a", "d", returns=(list[dict[str, int]],)), mapped(items=out("a", "d"))],
        {},
        [
            "input 'x' of the body of map 'm' takes int, but the items come from 'd' of node 'a', which is "
            "list[dict[str, int]]; make the annotations agree, or convert in between"
        ],
        id="items that do not fit",
    ),
    pytest.param(
        [mapped(), task("b", params={"s": out("m", "ys")}, accepts={"s": list[str]})],
        {},
        [
            "parameter 's' of node 'b' takes list[str], but 'ys' of node 'm' is list[int]; make the annotations agree, "
            "or convert in between"
        ],
        id="what a map produces",
    ),
    pytest.param(
        [
            mapped(keep="items", name="f2", items=out("f1", "k1"), outputs=("k2",)),
            mapped(keep="items", name="f1", items=out("a", "ns"), outputs=("k1",)),
            task("a", "ns", returns=(list[int],)),
            task("b", params={"s": out("f2", "k2")}, accepts={"s": list[str]}),
        ],
        {},
        [
            "parameter 's' of node 'b' takes list[str], but 'k2' of node 'f2' is list[int]; make the annotations "
            "agree, or convert in between"
        ],
        id="what a row of filters produces",
    ),
]


@pytest.mark.parametrize(("nodes", "more", "expected"), [*REFERENCES, *NAMING, *NODES, *FITS])
def test_every_offender_is_named(nodes: list[Any], more: dict[str, Any], expected: list[str]) -> None:
    assert problems(nodes, **more) == expected


def link(name: str, *before: str) -> TaskNode:
    return task(name, f"v_{name}", params={f"p{i}": Output(b, f"v_{b}") for i, b in enumerate(before)})


@pytest.mark.parametrize(
    ("nodes", "cycles"),
    [
        ([link("a", "a")], ["a -> a"]),
        ([link("a", "b"), link("b", "a")], ["a -> b -> a"]),
        ([link("x"), link("c", "b", "x"), link("b", "a"), link("a", "c")], ["c -> a -> b -> c"]),
        (
            [link("a", "b"), link("b", "a"), link("c", "d", "a"), link("d", "c")],
            ["a -> b -> a", "c -> d -> c"],
        ),
        ([task("a", after=("b",)), task("b", after=("a",))], ["a -> b -> a"]),
        (
            [task("a", "v", when=Guard(Output("b", "w"))), task("b", "w", params={"p": Output("a", "v")})],
            ["a -> b -> a"],
        ),
        (
            [mapped(params={"by": Output("a", "v")}), task("a", "v", params={"p": Output("m", "ys")})],
            ["m -> a -> m"],
        ),
    ],
)
def test_a_cycle_is_shown_as_a_path(nodes: list[Any], cycles: list[str]) -> None:
    assert problems(nodes) == [
        f"nodes wait for each other in a circle: {cycle}; take one of these links out" for cycle in cycles
    ]


def test_a_long_cycle_is_shortened() -> None:
    count = 100_000
    nodes = [task(f"n{i}", after=(f"n{(i - 1) % count}",)) for i in range(count)]
    (only,) = problems(nodes)
    assert only.startswith("nodes wait for each other in a circle: n0 -> n1 -> n2 -> ")
    assert " -> (99989 more) -> " in only
    assert "n99999 -> n0; take" in only


def test_problems_of_all_kinds_come_together() -> None:
    found = problems(
        [
            task("a", "x"),
            task("a", "y", after=("nowhere",)),
            task("b", params={"p": Input("q")}, after=("b",)),
        ],
        inputs={"unused": InputSpec()},
        timeout=-1,
    )
    assert len(found) == 6


def test_many_wrong_names_cost_little() -> None:
    nodes = [task(f"node{i}", params={"x": Input(f"inptu{i}")}) for i in range(3_000)]
    found = problems(nodes, inputs={f"input{i}": InputSpec() for i in range(3_000)})
    assert len(found) == 6_000
    assert "did you mean" in found[0]


def test_a_chain_of_many_nodes_is_no_trouble_in_any_order() -> None:
    nodes = [link("n0"), *(link(f"n{i}", f"n{i - 1}") for i in range(1, 50_000))]
    assert build_graph(nodes) == build_graph(reversed(nodes))


def test_a_row_of_many_filters_and_joins_is_no_trouble() -> None:
    filters = [
        mapped(
            name=f"f{i}",
            keep="items",
            items=Output(f"f{i - 1}", f"k{i - 1}") if i else Literal([1]),
            outputs=(f"k{i}",),
        )
        for i in range(3_000)
    ]
    join: Any = Literal("end")
    for _ in range(3_000):
        join = FirstOf((Literal(1), join))
    last = task("t", params={"x": Output("f2999", "k2999"), "y": join}, accepts={"x": str, "y": str})
    (only,) = problems([*reversed(filters), last])
    assert only.startswith("parameter 'x' of node 't' takes str, but 'k2999' of node 'f2999' is list;")


def test_what_is_right_is_left_alone() -> None:
    graph = build_graph(
        [
            task(
                "a", "x", "y", params={"i": Input("i")}, returns=(list[int], str), optional=frozenset({"i"})
            ),
            mapped(items=out("a", "x"), params={"by": out("a", "y")}),
            MapNode(name="loose", body=LOOSE_BODY, items=out("a", "x"), item="x"),
            task("side", after=("a",), returns=(int,)),
        ],
        inputs={"i": InputSpec(required=False), "through": InputSpec()},
        outputs={"ys": out("m", "ys"), "through": Input("through"), "fixed": Literal((1, {"k": None}))},
        name="fine",
        on_error="continue",
        timeout=1,
    )
    assert list(graph.nodes) == ["a", "m", "loose", "side"]
    assert (graph.name, graph.on_error, graph.timeout) == ("fine", "continue", 1)


def test_a_graph_does_not_share_mappings_with_whoever_built_it() -> None:
    inputs = {"i": InputSpec()}
    graph = build_graph([task("a", params={"i": Input("i")})], inputs=inputs)
    inputs.clear()
    assert list(graph.inputs) == ["i"]
