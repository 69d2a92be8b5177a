"""Graphs as text, their digest, and what equality and hashes mean."""

from __future__ import annotations

import contextlib
import copy
import json
import pickle
import re
import subprocess
import sys
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph_strategies import graphs
from taskiq_flow.errors import GraphError
from taskiq_flow.graph import (
    FORMATS,
    Conditional,
    FirstOf,
    Follows,
    Graph,
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
    digest,
    from_json,
    to_json,
)

BODY = build_graph(
    [TaskNode(name="t", task="app:t", params={"x": Input("x")}, outputs=("y",))],
    inputs={"x": InputSpec()},
    outputs={"y": Output("t", "y")},
)
FULL_BODY = build_graph(
    [TaskNode(name="t", task="app:t", params={"x": Input("x"), "k": Input("k")}, outputs=("y",))],
    inputs={"x": InputSpec(), "k": InputSpec(required=False)},
    outputs={"y": Output("t", "y")},
)
FULL = build_graph(
    [
        TaskNode(
            name="a",
            task="app:a",
            params={"i": Input("i"), "l": Literal({"b": [1, 2.5, None, True, "é"], "a": {}})},
            optional=frozenset({"i", "l"}),
            outputs=("p", "q"),
            options=NodeOptions(
                timeout=3,
                retry={"max_retries": 2, "on": ("x", "y")},
                queue="slow",
                priority=-1,
                resources={"cpu": 2, "ram_mb": 0.5},
                labels={"team": {"name": "x"}},
                on_error="continue",
                serializer="json",
            ),
            description="reads",
            accepts={"i": int},
            returns=(int, str),
        ),
        MapNode(
            name="m",
            body=FULL_BODY,
            items=ListOf(
                (Output("a", "p"), FirstOf((Conditional(Input("i"), Output("a", "q")), Literal(0))))
            ),
            item="x",
            outputs=("ys",),
            collects=("y",),
            keep="items",
            max_parallel=4,
            skip_errors=True,
            after=("a",),
            when=Guard(Output("a", "p"), [1]),
            params={"k": Input("i")},
            optional=frozenset({"k"}),
            options=NodeOptions(priority=1),
            description="keeps",
        ),
        MapNode(
            name="n",
            body=FULL_BODY,
            items=Input("j"),
            item="x",
            outputs=("zs",),
            collects=("y",),
            skip_errors=True,
            fills="failure",
            params={"k": Input("i")},
        ),
        MapNode(
            name="w",
            body=FULL_BODY,
            items=Input("j"),
            item="x",
            also={"k": Input("j")},
            strict=False,
            chunk=2,
        ),
        MapNode(name="v", body=FULL_BODY, items=Input("j"), item="x", also={"k": Input("j")}, join="product"),
        TaskNode(name="z", task="app:z", after=("m", "a"), when=Guard(Output("a", "q"))),
        TaskNode(name="c", task="app:c", follows=Follows("failure", ("a", "m"), "error")),
        TaskNode(name="j", task="app:j", params={"p": Output("a", "p")}, tolerates=frozenset({"p"})),
    ],
    inputs={"i": InputSpec(required=False, annotation=int), "j": InputSpec()},
    outputs={"ys": Output("m", "ys"), "j": Input("j")},
    name="full",
    on_error="continue",
    timeout=60,
)


@given(graphs())
def test_a_graph_comes_back_from_its_text(graph: Graph) -> None:
    back = from_json(to_json(graph))
    assert back == graph
    assert list(back.nodes) == list(graph.nodes)
    assert hash(back) == hash(graph)
    assert back.digest == graph.digest
    assert to_json(back) == to_json(graph)


@pytest.mark.parametrize("cls", [Graph, TaskNode, MapNode, NodeOptions])
def test_every_field_is_written(cls: Any) -> None:
    """FULL sets every field, so one that is added to the model and not to the codec is found here."""
    nodes = list(FULL.nodes.values())
    there = [one for one in (FULL, *nodes, *(node.options for node in nodes)) if type(one) is cls]
    for field in attrs.fields(cls):
        if field.eq and field.init and field.default is not attrs.NOTHING:
            default = field.default.factory() if hasattr(field.default, "factory") else field.default
            assert any(getattr(one, field.name) != default for one in there), f"FULL leaves {field.name} out"
    assert Graph.from_json(FULL.to_json()) == FULL


def test_what_reading_changes() -> None:
    back = Graph.from_json(FULL.to_json())
    assert back.nodes["a"].options.retry == {"max_retries": 2, "on": ["x", "y"]}
    assert back.inputs["i"].annotation is None


def test_the_text_is_what_it_was() -> None:
    """What one version wrote the next must read: a change here needs a new version number."""
    graph = build_graph(
        [
            TaskNode(name="a", task="app:a", params={"x": Input("x"), "k": Literal(1)}, outputs=("o",)),
            MapNode(
                name="m",
                body=BODY,
                items=Output("a", "o"),
                item="x",
                when=Guard(Output("a", "o")),
                after=("a",),
            ),
        ],
        inputs={"x": InputSpec(required=False)},
    )
    assert json.loads(to_json(graph)) == {
        "format": "taskiq-flow/graph",
        "version": 1,
        "graph": {
            "nodes": [
                {
                    "name": "a",
                    "task": "app:a",
                    "params": {"x": {"input": "x"}, "k": {"literal": 1}},
                    "outputs": ["o"],
                },
                {
                    "name": "m",
                    "body": {
                        "nodes": [
                            {"name": "t", "task": "app:t", "params": {"x": {"input": "x"}}, "outputs": ["y"]}
                        ],
                        "inputs": {"x": {}},
                        "outputs": {"y": {"output": ["t", "y"]}},
                    },
                    "items": {"output": ["a", "o"]},
                    "item": "x",
                    "after": ["a"],
                    "when": {"source": {"output": ["a", "o"]}, "equals": True},
                },
            ],
            "inputs": {"x": {"required": False}},
        },
    }
    assert graph.digest == "8ca780d411d8cb20da795b96345bc1241759886e887e2eea0bf6a190dec230d7"


@given(graphs(), st.randoms(use_true_random=False))
def test_the_digest_does_not_depend_on_order(graph: Graph, random: Any) -> None:
    def turned(mapping: Any) -> Any:
        pairs = list(mapping.items())
        random.shuffle(pairs)
        return dict(pairs)

    nodes = turned(
        {name: attrs.evolve(node, params=turned(node.params)) for name, node in graph.nodes.items()}
    )
    other = attrs.evolve(graph, nodes=nodes, inputs=turned(graph.inputs), outputs=turned(graph.outputs))
    assert other == graph
    assert other.digest == graph.digest
    assert hash(other) == hash(graph)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"timeout": 61},
        {"on_error": "stop"},
        {"outputs": {}},
        {"inputs": {"i": InputSpec(), "j": InputSpec()}},
        {"nodes": {"a": FULL.nodes["a"]}},
        {"nodes": {**FULL.nodes, "a": attrs.evolve(FULL.nodes["a"], task="app:b")}},
        {"nodes": {**FULL.nodes, "a": attrs.evolve(FULL.nodes["a"], description="")}},
        {"nodes": {**FULL.nodes, "m": attrs.evolve(FULL.nodes["m"], when=Guard(Output("a", "p"), [1.0]))}},
        {"nodes": {**FULL.nodes, "m": attrs.evolve(FULL.nodes["m"], body=attrs.evolve(BODY, name="b"))}},
        {
            "nodes": {
                **FULL.nodes,
                "a": attrs.evolve(FULL.nodes["a"], params={"i": Literal(True), "l": Literal(1)}),
            }
        },
        {
            "nodes": {
                **FULL.nodes,
                "a": attrs.evolve(FULL.nodes["a"], params={"i": Literal(True), "l": Literal(True)}),
            }
        },
    ],
)
def test_the_digest_depends_on_everything_else(change: dict[str, Any]) -> None:
    other = attrs.evolve(FULL, **change)
    assert other != FULL
    assert other.digest != FULL.digest


def test_annotations_are_not_part_of_the_identity() -> None:
    bare = attrs.evolve(FULL.nodes["a"], accepts={}, returns=())
    other = attrs.evolve(
        FULL, nodes={**FULL.nodes, "a": bare}, inputs={"i": InputSpec(required=False), "j": InputSpec()}
    )
    assert other == FULL
    assert other.digest == FULL.digest


def test_the_digest_is_the_same_in_another_process() -> None:
    code = "import sys; from taskiq_flow.graph import from_json; print(from_json(sys.stdin.read()).digest)"
    found = subprocess.run(
        [sys.executable, "-c", code], input=to_json(FULL), capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == FULL.digest
    assert re.fullmatch("[0-9a-f]{64}", FULL.digest)


def test_the_digest_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = copy.copy(BODY)
    first = graph.digest
    monkeypatch.setattr("taskiq_flow.graph.wire.digest", lambda graph: pytest.fail("computed again"))
    assert graph.digest == first


def test_equal_things_are_equal_keys() -> None:
    back = from_json(to_json(FULL))
    assert {FULL: 1}[back] == 1
    assert {FULL.nodes["a"]: 1, FULL.nodes["m"]: 2}[back.nodes["m"]] == 2
    assert len({Literal([1, {}]), Literal((1, {})), Literal([True, {}]), Literal([1.0, {}])}) == 3
    assert {NodeOptions(labels={"a": []}), NodeOptions(labels={"a": []})} == {NodeOptions(labels={"a": []})}


def test_graphs_can_be_pickled_and_copied() -> None:
    assert FULL.digest
    assert pickle.loads(pickle.dumps(FULL)) == FULL
    assert copy.deepcopy(FULL) == FULL


def test_what_is_not_json_is_not_written() -> None:
    graph = Graph(nodes={"a": TaskNode(name="a", task="t", params={"x": Literal(object())})})
    for write in (to_json, digest):
        with pytest.raises(GraphError, match="cannot write the graph: a value in it is not plain JSON"):
            write(graph)


def changed(path: str, value: Any) -> str:
    """Give FULL's text with one place changed; ``None`` in the path stands for its first key or element."""
    data = json.loads(to_json(FULL))
    place = data["graph"]
    *way, last = path.split("/")
    for step in way:
        place = place[int(step)] if isinstance(place, list) else place[step]
    place[int(last) if isinstance(place, list) else last] = value
    return json.dumps(data)


SOURCE = "a source, which is one of input, output, literal, first_of, list_of, conditional"
DAMAGED = [
    ("", "cannot read a graph: the text is not JSON"),
    ("{", "cannot read a graph: the text is not JSON"),
    ("[" * 100_000, "cannot read a graph: the text is not JSON"),
    ("[]", "cannot read a graph: the text has no format 'taskiq-flow/graph'; pass what to_json gave"),
    (
        '{"graph": {}}',
        "cannot read a graph: the text has no format 'taskiq-flow/graph'; pass what to_json gave",
    ),
    ('{"format": "taskiq-flow/graph", "version": 2}', "version 2; this taskiq-flow reads version 1"),
    ('{"format": "taskiq-flow/graph", "version": true}', "version True; this taskiq-flow reads version 1"),
    (
        '{"format": "taskiq-flow/graph", "version": 1}',
        "expected an object with the fields of Graph, found None",
    ),
    (changed("nodes", {}), "at nodes expected a list, found {}"),
    (changed("nodes/0", "a"), "at nodes[0] expected an object with the fields of TaskNode, found 'a'"),
    (changed("nodes/0/name", 1), "at nodes[0].name expected text, found 1"),
    (changed("nodes/0/name", "m"), "at nodes[1].name expected a name that no other node has, found 'm'"),
    (changed("nodes/0/task", None), "at nodes[0].task expected text, found None"),
    (
        changed("nodes/0/tsak", "x"),
        "at nodes[0] expected no other fields than name, task, params, optional, outputs, after, when, follows, "
        "tolerates, options, description in TaskNode, found ['tsak']",
    ),
    (changed("nodes/0/outputs", ["a", 1]), "at nodes[0].outputs[1] expected text, found 1"),
    (changed("nodes/0/params", []), "at nodes[0].params expected an object, found []"),
    (
        changed("nodes/0/params/i", 5),
        f"at nodes[0].params['i'] expected {SOURCE}, found 5",
    ),
    (changed("nodes/0/params/i", {"input": 5}), "at nodes[0].params['i'].input expected text, found 5"),
    (
        changed("nodes/0/params/i", {"output": ["a"]}),
        "at nodes[0].params['i'].output expected a list of 2, found ['a']",
    ),
    (
        changed("nodes/0/params/i", {"when": 5}),
        f"at nodes[0].params['i'] expected {SOURCE}, found {{'when': 5}}",
    ),
    (changed("nodes/0/options/timeout", "3"), "at nodes[0].options.timeout expected a number, found '3'"),
    (
        changed("nodes/0/options/resources", {"cpu": True}),
        "at nodes[0].options.resources['cpu'] expected a number, found True",
    ),
    (
        changed("nodes/0/options/priority", 1.5),
        "at nodes[0].options.priority expected a whole number, found 1.5",
    ),
    (
        changed("nodes/0/options/on_error", "x"),
        "at nodes[0].options.on_error expected one of stop, continue, found 'x'",
    ),
    (
        changed("nodes/1/items", None),
        f"at nodes[1].items expected {SOURCE}, found None",
    ),
    (
        changed("nodes/1/items/list_of/1", {}),
        f"at nodes[1].items.list_of[1] expected {SOURCE}, found {{}}",
    ),
    (changed("nodes/1/skip_errors", 1), "at nodes[1].skip_errors expected true or false, found 1"),
    (changed("nodes/1/body/nodes/0/task", 1), "at nodes[1].body.nodes[0].task expected text, found 1"),
    (
        changed("nodes/1/when", {"source": {"input": "i"}}),
        "at nodes[1].when expected an object with source and equals, found {'source': {'input': 'i'}}",
    ),
    (changed("inputs/i", {"required": "no"}), "at inputs['i'].required expected true or false, found 'no'"),
    (
        changed("outputs/ys", "x" * 500),
        f"at outputs['ys'] expected {SOURCE}, found '{'x' * 56}...",
    ),
    (changed("on_error", "maybe"), "at on_error expected one of stop, continue, found 'maybe'"),
    (to_json(FULL).replace('"timeout":60.0', '"timeout":NaN'), "the text is not JSON (NaN is not JSON)"),
    (changed("nodes/0/after", ["y"]), "node 'a' comes after 'y', which is not in the graph; add that node"),
    (changed("nodes/0/after", ["m"]), "nodes wait for each other in a circle: a -> m -> a; take one"),
    (changed("nodes/1/collects", ["nothing"]), "map 'm' collects 'nothing', but its body has the outputs "),
    (changed("nodes/1/body/nodes/0/params", {"p": {"input": "q"}}), "node 't' waits for 'q', which no node"),
]


@pytest.mark.parametrize(("text", "expected"), DAMAGED)
def test_damaged_text_is_refused_with_the_place(text: str, expected: str) -> None:
    with pytest.raises(GraphError) as caught:
        from_json(text)
    assert expected in str(caught.value)
    assert str(caught.value).startswith("cannot read a graph")


@given(st.data())
def test_no_damage_leads_to_another_exception(data: st.DataObject) -> None:
    text = to_json(FULL)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 20)))
    damaged = (
        text[:start] + data.draw(st.sampled_from(["", "{}", "[]", "null", '"', "1", ":", ","])) + text[end:]
    )
    with contextlib.suppress(GraphError):
        graph = from_json(damaged)
        for form in FORMATS:
            graph.render(form)


def test_deep_nesting_is_refused_clearly() -> None:
    source: Any = Literal(1)
    for _ in range(100_000):
        source = FirstOf((source,))
    graph = Graph(nodes={}, outputs={"x": source})
    with pytest.raises(GraphError, match="cannot write the graph: it is nested too deeply; split it"):
        to_json(graph)
