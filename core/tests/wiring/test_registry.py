"""Registered tasks: who produces what, who takes it, and the graph that follows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from taskiq import InMemoryBroker

from taskiq_flow.errors import GraphError
from taskiq_flow.graph.model import Graph, Input, InputSpec, Output, TaskNode
from taskiq_flow.tasks.annotations import pipeline_task
from taskiq_flow.wiring.registry import DataflowRegistry

broker = InMemoryBroker()


@broker.task
def load(path: str) -> list[int]: ...


@broker.task
@pipeline_task(output="clean", description="without zeros")
def clean_up(load: list[int], strict: bool = False) -> list[int]: ...


@broker.task
@pipeline_task(outputs=["low", "high"])
def bounds(clean: list[int]) -> tuple[int, int]: ...


@broker.task
def notify(high: int, *, channel: str = "news") -> None: ...


@broker.task
def count(path: str) -> int: ...


@broker.task
def process_data(data: list[int]) -> list[int]: ...


@broker.task
def process_two(first: int, second: int, third: int = 0) -> int: ...


@broker.task
def both_optional(first: int = 0, second: int = 0) -> int: ...


@broker.task
def gather(**parts: int) -> int: ...


@broker.task
def keyword(data: int, *, raw: int) -> int: ...


@broker.task
def fixed(data: int, /) -> int: ...


def registry(*tasks: Any) -> DataflowRegistry:
    made = DataflowRegistry()
    for task in tasks:
        made.register_task_from_object(task)
    return made


def test_the_whole_graph() -> None:
    assert registry(bounds, clean_up, load, notify).build_graph(name="numbers") == Graph(
        name="numbers",
        nodes={
            "bounds": TaskNode(
                name="bounds",
                task=bounds.task_name,
                params={"clean": Output("clean_up", "clean")},
                outputs=("low", "high"),
            ),
            "clean_up": TaskNode(
                name="clean_up",
                task=clean_up.task_name,
                params={"load": Output("load", "load")},
                outputs=("clean",),
                description="without zeros",
            ),
            "load": TaskNode(
                name="load", task=load.task_name, params={"path": Input("path")}, outputs=("load",)
            ),
            "notify": TaskNode(
                name="notify", task=notify.task_name, params={"high": Output("bounds", "high")}
            ),
        },
        inputs={"path": InputSpec()},
        outputs={
            "low": Output("bounds", "low"),
            "high": Output("bounds", "high"),
            "clean": Output("clean_up", "clean"),
            "load": Output("load", "load"),
        },
    )


def test_annotations_go_along() -> None:
    graph = registry(bounds, clean_up, load).graph
    assert graph.inputs["path"].annotation is str
    node = graph.nodes["bounds"]
    assert isinstance(node, TaskNode)
    assert (node.accepts, node.returns) == ({"clean": list[int]}, (int, int))


def test_questions_to_a_registry() -> None:
    asked = registry(bounds, clean_up, load, notify)
    assert dict(asked.tasks) == {"bounds": bounds, "clean_up": clean_up, "load": load, "notify": notify}
    assert dict(asked.producers) == {"low": "bounds", "high": "bounds", "clean": "clean_up", "load": "load"}
    assert dict(asked.consumers) == {
        "clean": ("bounds",),
        "load": ("clean_up",),
        "path": ("load",),
        "high": ("notify",),
    }
    assert asked.external_inputs == ("path",)
    assert registry(process_two, keyword).external_inputs == ("first", "second", "data", "raw")


def test_the_views_cannot_be_changed() -> None:
    asked = registry(load)
    for view in (asked.tasks, asked.producers, asked.consumers):
        with pytest.raises(TypeError):
            view["new"] = load  # type: ignore[index]


def test_only_what_is_wanted_is_kept() -> None:
    graph = registry(bounds, clean_up, load, notify, process_data).build_graph(outputs=["clean"])
    assert list(graph.nodes) == ["clean_up", "load"]
    assert graph.outputs == {"clean": Output("clean_up", "clean")}
    assert list(graph.inputs) == ["path"]


def test_explicit_names_go_over_the_decorators() -> None:
    made = DataflowRegistry().register_task(
        task=clean_up, output="tidy", inputs=["raw"], name="tidy_up", description="mine"
    )
    assert made.graph.nodes == {
        "tidy_up": TaskNode(
            name="tidy_up",
            task=clean_up.task_name,
            params={"load": Input("raw")},
            outputs=("tidy",),
            description="mine",
        )
    }


def test_one_task_at_several_nodes() -> None:
    made = registry(load)
    with pytest.raises(GraphError, match="node 'load' is registered already; give the other place"):
        made.register_task(load, output="again")
    made.register_task(load, output="again", inputs=["other_path"], name="load_again")
    assert made.external_inputs == ("path", "other_path")
    assert set(made.tasks.values()) == {load}


BOUND: list[tuple[str, Any, list[str] | None, dict[str, str]]] = [
    ("signature", process_two, None, {"first": "first", "second": "second"}),
    ("one by position", process_data, ["raw"], {"data": "raw"}),
    ("two by position", process_two, ["x", "y"], {"first": "x", "second": "y"}),
    ("all by position", process_two, ["x", "y", "z"], {"first": "x", "second": "y", "third": "z"}),
    ("one by name, one by position", process_two, ["second", "x"], {"second": "second", "first": "x"}),
    (
        "a default that is declared",
        process_two,
        ["first", "second", "third"],
        dict.fromkeys(("first", "second", "third")),
    ),  # type: ignore[arg-type]
    ("defaults by position", both_optional, ["x", "y"], {"first": "x", "second": "y"}),
    ("nothing", both_optional, [], {}),
    ("any keyword", gather, ["x", "y"], {"x": "x", "y": "y"}),
    ("keyword by name", keyword, ["x", "raw"], {"raw": "raw", "data": "x"}),
]


@pytest.mark.parametrize(
    ("task", "inputs", "bound"), [row[1:] for row in BOUND], ids=[row[0] for row in BOUND]
)
def test_inputs_are_bound_to_parameters(task: Any, inputs: list[str] | None, bound: dict[str, Any]) -> None:
    graph = DataflowRegistry().register_task(task, output="out", inputs=inputs, name="node").graph
    assert graph.nodes["node"].params == {
        parameter: Input(data or parameter) for parameter, data in bound.items()
    }
    assert set(graph.inputs) == {data or parameter for parameter, data in bound.items()}


NOT_BOUND: list[tuple[str, Any, list[str], str]] = [
    (
        "too few",
        process_two,
        ["x"],
        "inputs 'x' of node 'node' cannot be told apart by position among its parameters 'first', 'second', 'third'; "
        "name the parameters like the data they take",
    ),
    (
        "one of two defaults",
        both_optional,
        ["x"],
        "inputs 'x' of node 'node' cannot be told apart by position among its parameters 'first', 'second'; "
        "name the parameters like the data they take",
    ),
    (
        "too many",
        process_data,
        ["x", "y"],
        "inputs 'x', 'y' of node 'node' cannot be told apart by position among its parameters 'data'; "
        "name the parameters like the data they take",
    ),
    (
        "left out",
        process_two,
        ["first"],
        "node 'node' requires 'second', which inputs=['first'] leaves out; "
        "add it there, or give the parameter a default",
    ),
    (
        "nothing",
        process_data,
        [],
        "node 'node' requires 'data', which inputs=[] leaves out; add it there, or give the parameter a default",
    ),
    (
        "a keyword has no position",
        keyword,
        ["x"],
        "node 'node' requires 'raw', which inputs=['x'] leaves out; add it there, or give the parameter a default",
    ),
    (
        "by position only",
        fixed,
        ["data"],
        "node 'node' takes 'data' by position only, but data is handed over by name; "
        "remove the '/' from the task's parameters",
    ),
]


@pytest.mark.parametrize(
    ("task", "inputs", "problem"), [row[1:] for row in NOT_BOUND], ids=[row[0] for row in NOT_BOUND]
)
def test_inputs_that_fit_no_parameter(task: Any, inputs: list[str], problem: str) -> None:
    with pytest.raises(GraphError) as caught:
        DataflowRegistry().register_task(task, output="out", inputs=inputs, name="node")
    assert caught.value.problems == (problem,)


DEFAULTS: list[tuple[str, list[tuple[Any, dict[str, Any]]], dict[str, Any], dict[str, bool]]] = [
    ("nobody has it", [(both_optional, {})], {}, {}),
    (
        "produced",
        [(both_optional, {}), (count, {"output": "first"})],
        {"first": Output("count", "first")},
        {"path": True},
    ),
    (
        "an input anyway",
        [(both_optional, {}), (process_data, {"inputs": ["second"]})],
        {"second": Input("second")},
        {"second": True},
    ),
    (
        "declared",
        [(both_optional, {"inputs": ["second"]})],
        {"second": Input("second")},
        {"second": False},
    ),
    (
        "left out",
        [(both_optional, {"inputs": []}), (count, {"output": "first"})],
        {},
        {"path": True},
    ),
    ("its own product", [(both_optional, {"output": "first"})], {}, {}),
]


@pytest.mark.parametrize(
    ("tasks", "params", "inputs"), [row[1:] for row in DEFAULTS], ids=[row[0] for row in DEFAULTS]
)
def test_parameters_with_a_default(
    tasks: list[tuple[Any, dict[str, Any]]], params: dict[str, Any], inputs: dict[str, bool]
) -> None:
    made = DataflowRegistry()
    for task, options in tasks:
        made.register_task(task, **options)
    graph = made.graph
    node = graph.nodes["both_optional"]
    assert node.params == params
    assert node.optional == frozenset(params)
    assert {name: spec.required for name, spec in graph.inputs.items()} == inputs


PROBLEMS: list[tuple[str, Callable[[], Any], str]] = [
    ("empty", lambda: DataflowRegistry().graph, "there is no task to build a graph of; register one first"),
    (
        "wanted text",
        lambda: registry(load).build_graph("load"),
        "outputs is 'load'; give a list of names, such as ['load']",
    ),
    (
        "wanted nothing",
        lambda: registry(load).build_graph([]),
        "outputs is empty; name what is wanted, or leave outputs out to get everything",
    ),
    (
        "arity",
        lambda: DataflowRegistry().register_task(bounds, outputs=["a", "b", "c"]),
        "node 'bounds' produces 3 outputs ('a', 'b', 'c'), but its task returns tuple[int, int], which has 2 elements; "
        "let it return one element for each output",
    ),
    (
        "no sequence",
        lambda: DataflowRegistry().register_task(process_two, outputs=["a", "b"]),
        "node 'process_two' produces 2 outputs ('a', 'b'), but its task returns int, which is no sequence; "
        "let it return one element for each output",
    ),
    (
        "no task",
        lambda: DataflowRegistry().register_task(len),
        "'len' is a plain function; decorate it with @broker.task first",
    ),
    (
        "both names",
        lambda: DataflowRegistry().register_task(load, "a", ["b"]),
        "output='a' and outputs=['b'] are both given; give one of them",
    ),
    (
        "unknown",
        lambda: registry(load).build_graph(["lod"]),
        "output 'lod' is wanted, which no node produces (did you mean 'load'?)",
    ),
]


@pytest.mark.parametrize(("make", "problem"), [row[1:] for row in PROBLEMS], ids=[row[0] for row in PROBLEMS])
def test_problems(make: Callable[[], Any], problem: str) -> None:
    with pytest.raises(GraphError) as caught:
        make()
    assert caught.value.problems == (problem,)


def test_all_problems_of_a_graph_are_in_one_error() -> None:
    made = DataflowRegistry()
    made.register_task(load, output="x", name="one").register_task(load, output="x", name="two")
    made.register_task(process_data, output="data")
    with pytest.raises(GraphError) as caught:
        made.build_graph()
    assert len(caught.value.problems) == 2
    assert "'x' is produced by the nodes 'one', 'two'" in caught.value.problems[0]
    assert "process_data -> process_data" in caught.value.problems[1]


def test_annotations_that_never_fit() -> None:
    made = registry(load)
    made.register_task(process_two, inputs=["load", "second"])
    with pytest.raises(
        GraphError, match=r"parameter 'first' of node 'process_two' takes int, but 'load' of node"
    ):
        made.build_graph()


def test_a_large_registry_is_linear() -> None:
    made = DataflowRegistry()
    made.register_task(process_data, output="data_0", inputs=["start"], name="node_0")
    for number in range(1, 3000):
        made.register_task(
            process_data, output=f"data_{number}", inputs=[f"data_{number - 1}"], name=f"node_{number}"
        )
    assert len(made.graph.nodes) == 3000
    assert made.external_inputs == ("start",)
