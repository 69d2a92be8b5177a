"""Hand-chained pipelines: what is refused, options, changes, annotations, size."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any, Union

import pytest
from taskiq import InMemoryBroker, async_shared_broker

from builder_tasks import (
    broker,
    helped,
    inc,
    is_even,
    keywords,
    load,
    log,
    lonely,
    out,
    pair,
    split,
    total,
    untyped,
)
from taskiq_flow.builders.chain import compile_chain
from taskiq_flow.builders.pipeline import Pipeline
from taskiq_flow.errors import GraphError
from taskiq_flow.graph.model import FirstOf, Literal, MapNode, NodeOptions, TaskNode
from taskiq_flow.tasks.annotations import CPUProfile
from taskiq_flow.values.readings import read_inputs, reading_of

PROBLEMS: list[tuple[str, Callable[[], Any], list[str]]] = [
    (
        "empty",
        lambda: Pipeline(broker).graph,
        ["the pipeline has no steps; add one with call_next, map, filter, group or branch"],
    ),
    (
        "empty step",
        lambda: Pipeline(broker, is_even).call_next(Pipeline(broker)).graph,
        ["a pipeline that is a step of this one has no steps; give it one"],
    ),
    (
        "everything at once",
        lambda: (
            Pipeline(broker, is_even)
            .call_next(inc, param_name="why", buy=3)
            .map(lonely)
            .call_next(pair)
            .call_after(log)
            .call_next(helped, ctx=1)
            .call_next(inc, "by", by=2)
            .branch(total, inc)
            .branch(log, inc, inc)
            .graph
        ),
        [
            "task 'inc' has no parameter 'buy'; its parameters are 'x', 'by' (did you mean 'by'?)",
            "task 'inc' has no parameter 'why'; its parameters are 'x', 'by'",
            "task 'inc' requires 'x', which the step does not give; add it as an extra argument of the step",
            "task 'lonely' has no parameter left for the value of the step before; give it one, "
            "or run it without the value (call_after, or param_name=-1)",
            "task 'pair' requires 'second', which the step does not give; add it as an extra argument of the step",
            "task 'log' requires 'message', which the step does not give; add it as an extra argument of the step",
            "parameter 'ctx' of task 'helped' is filled in by its dependency; leave it out",
            "parameter 'by' of task 'inc' is given both the value and an argument; give it one of them",
            "task 'inc' requires 'x', which the step does not give; add it as an extra argument of the step",
            "task 'log' decides a branch but returns None; let it return a bool",
        ],
    ),
    (
        "nothing is left",
        lambda: Pipeline(broker, is_even).call_next(pair, first=1, second=2).graph,
        [
            "task 'pair' has no parameter left for the value of the step before; give it one, "
            "or run it without the value (call_after, or param_name=-1)",
        ],
    ),
    (
        "a plain function",
        lambda: Pipeline(broker).call_next(len),  # type: ignore[call-overload]
        ["'len' is a plain function; decorate it with @broker.task first"],
    ),
    (
        "no members",
        lambda: Pipeline(broker).group(),
        ["the group has no members; give it tasks or pipelines"],
    ),
    (
        "a pipeline on the side",
        lambda: Pipeline(broker).call_after(Pipeline(broker, inc)),
        ["call_after takes a task, found a pipeline; add its tasks one by one"],
    ),
    (
        "a pipeline that decides",
        lambda: Pipeline(broker).branch(Pipeline(broker, inc), inc),
        ["the predicate of a branch is a task, found a pipeline; let one task decide"],
    ),
    (
        "arguments for a pipeline that begins with a map",
        lambda: Pipeline(broker, load).call_next(Pipeline(broker).map(inc), by=2).graph,
        [
            "param_name and extra arguments go to the first step of the pipeline, which must be a task for that; "
            "give them where that pipeline is built"
        ],
    ),
    (
        "a time limit inside",
        lambda: Pipeline(broker, load).map(Pipeline(broker, inc).with_timeout(3)).graph,
        [
            "a pipeline that is a step of this one has a time limit (3 seconds), which holds for runs; "
            "set it on the outer pipeline, or set the timeout of its tasks"
        ],
    ),
    (
        "types",
        lambda: Pipeline(broker, load).call_next(inc).graph,
        [
            "parameter 'x' of node 'inc' takes int, but 'load' of node 'load' is list[int]; "
            "make the annotations agree, or convert in between"
        ],
    ),
    (
        "no list",
        lambda: Pipeline(broker, inc).map(inc).graph,
        [
            "map 'inc_2' goes over 'inc' of node 'inc', which is int; map over something that is a list or a dictionary"
        ],
    ),
    (
        "windows",
        lambda: Pipeline(broker).map(inc, max_parallel=0).graph,
        ["map 'inc' has max_parallel=0; it must be a whole number from 1, or None"],
    ),
    (
        "limit",
        lambda: Pipeline(broker).with_timeout(0),
        ["the time limit is 0; give a number of seconds above 0, or None"],
    ),
    (
        "mode",
        lambda: Pipeline(broker).on_error("ignore"),  # type: ignore[arg-type]
        ["the error mode is 'ignore'; give 'stop' or 'continue'"],
    ),
    (
        "retry",
        lambda: Pipeline(broker).with_retry(max_attempts=0, delay=-1, backoff=0, max_retries=3),
        [
            "max_attempts is 0; give a whole number from 1",
            "max_attempts and max_retries are both given; give one of them",
            "delay is -1; give a number of seconds, 0 or more",
            "backoff is 0; give a factor above 0, such as 2",
        ],
    ),
]


@pytest.mark.parametrize(
    ("make", "problems"), [row[1:] for row in PROBLEMS], ids=[row[0] for row in PROBLEMS]
)
def test_problems(make: Callable[[], Any], problems: list[str]) -> None:
    with pytest.raises(GraphError) as caught:
        make()
    assert list(caught.value.problems) == problems


def test_arguments_become_plain_data_at_once() -> None:
    given = [datetime.date(2024, 5, 1)]
    pipeline = Pipeline(broker, is_even).call_next(keywords, "flag", days=given)
    given.append(datetime.date(2024, 5, 2))
    last = pipeline.graph.nodes["keywords"]
    assert last.params["days"] == Literal(["2024-05-01"])
    with pytest.raises(GraphError, match=r"argument 'first' of 'pair' has no JSON form: .* type object"):
        pipeline.call_next(pair, first=object())


def test_tasks_of_other_brokers() -> None:
    other = InMemoryBroker()

    @async_shared_broker.task
    def shared(x: int) -> int: ...

    @other.task
    def foreign(x: int) -> int: ...

    assert list(Pipeline(broker, inc).call_next(shared).graph.nodes) == ["inc", "shared"]
    with pytest.raises(GraphError) as caught:
        _ = Pipeline(broker, foreign).map(foreign).graph
    assert caught.value.problems == (
        f"task {foreign.task_name!r} belongs to another broker than the pipeline; decorate it with the pipeline's "
        "broker, or make it a shared task",
    )


def test_tasks_by_position_only() -> None:
    @broker.task
    def fixed(x: int, /) -> int: ...

    with pytest.raises(GraphError, match=r"takes 'x' by position only, but values are handed over by name"):
        _ = Pipeline(broker, fixed).graph


def test_options_of_tasks_kickers_and_pipelines() -> None:
    @broker.task(timeout=3, queue="slow", max_retries=0, labels={"kind": "io"})
    @CPUProfile(cpu_units=2)
    def own(x: int) -> int: ...

    inner = Pipeline(broker, inc).with_retry(max_retries=9).on_error("continue")
    pipeline = (
        Pipeline(broker, inc)
        .call_next(own)
        .call_next(own.kicker().with_labels(queue_name="fast", color="red"))
    )
    pipeline.call_next(inner).branch(is_even, inner).group(inc).map(inner)
    pipeline.with_retry(max_attempts=3, delay=1.0, backoff=1.5, jitter=False)
    options = {name: each.options for name, each in pipeline.graph.nodes.items()}
    outer_retry = {"max_attempts": 3, "delay": 1.0, "backoff": 1.5, "jitter": False}
    theirs = NodeOptions(retry={"max_retries": 9}, on_error="continue")
    assert options["inc"] == NodeOptions(retry=outer_retry)
    assert options["own"] == NodeOptions(
        timeout=3, queue="slow", retry={"max_retries": 0}, labels={"kind": "io"}, resources={"cpu": 2}
    )
    assert options["own_2"] == NodeOptions(
        timeout=3,
        queue="fast",
        retry={"max_retries": 0},
        labels={"kind": "io", "color": "red"},
        resources={"cpu": 2},
    )
    assert options["inc_2"] == options["inc_3"] == theirs
    assert options["is_even"] == options["inc_4"] == NodeOptions(retry=outer_retry)
    mapped = pipeline.graph.nodes["inc_5"]
    assert isinstance(mapped, MapNode)
    assert mapped.body.nodes["inc"].options == theirs
    assert options["inc"] is options["inc_4"]


def test_a_name_that_is_an_option() -> None:
    @broker.task(name="shown_name")
    def renamed(x: int) -> int: ...

    only = Pipeline(broker, renamed).graph.nodes["renamed"]
    assert isinstance(only, TaskNode)
    assert only.task == "shown_name"


def test_methods_change_the_pipeline_and_return_it() -> None:
    pipeline: Pipeline[Any, Any] = Pipeline(broker, load)
    for changed in (
        pipeline.map(inc),
        pipeline.filter(is_even),
        pipeline.call_next(total),
        pipeline.call_after(log, message=""),
        pipeline.branch(is_even, inc),
        pipeline.group(inc),
        pipeline.with_retry(max_attempts=1),
        pipeline.with_timeout(1),
        pipeline.on_error("stop"),
    ):
        assert changed is pipeline


def test_a_compiled_graph_is_kept_until_the_next_change() -> None:
    pipeline = Pipeline(broker, inc)
    first = pipeline.graph
    assert pipeline.graph is first
    pipeline.call_next(inc)
    assert list(first.nodes) == ["inc"]
    assert list(pipeline.graph.nodes) == ["inc", "inc_2"]
    assert pipeline.graph is not first


def test_a_pipeline_in_a_pipeline_is_taken_as_it_was() -> None:
    inner = Pipeline(broker, inc)
    outer = Pipeline(broker, inc).call_next(inner)
    inner.call_next(inc)
    assert list(outer.graph.nodes) == ["inc", "inc_2"]
    outer.call_next(outer)
    assert list(outer.graph.nodes) == ["inc", "inc_2", "inc_3", "inc_4"]


ANNOTATIONS: list[tuple[str, Callable[[], Pipeline[Any, Any]], Any]] = [
    ("task", lambda: Pipeline(broker, inc), int),
    ("map", lambda: Pipeline(broker, load).map(is_even), list[bool]),
    ("filter", lambda: Pipeline(broker, load).filter(is_even), list[int]),
    ("side effect", lambda: Pipeline(broker, inc).call_after(log, message=""), int),
    ("group", lambda: Pipeline(broker).group(inc, inc), list[int]),
    (
        "group of several kinds",
        lambda: Pipeline(broker).group(inc, load, untyped),
        list[Any],
    ),
    ("branch", lambda: Pipeline(broker, inc).branch(is_even, split), Union[tuple[int, int], int]),
    ("unknown", lambda: Pipeline(broker).group(untyped, untyped), list[Any]),
    (
        "maps in maps",
        lambda: Pipeline(broker).map(Pipeline(broker, load).map(is_even)),
        list[list[bool]],
    ),
]


@pytest.mark.parametrize(
    ("make", "expected"), [row[1:] for row in ANNOTATIONS], ids=[row[0] for row in ANNOTATIONS]
)
def test_the_annotation_of_the_result(make: Callable[[], Pipeline[Any, Any]], expected: Any) -> None:
    made = make().graph
    (source,) = made.outputs.values()
    assert reading_of(made, source, read_inputs(made, {})).annotation == expected


def test_the_annotations_of_the_inputs() -> None:
    def inputs(pipeline: Pipeline[Any, Any]) -> dict[str, Any]:
        return {name: spec.annotation for name, spec in pipeline.graph.inputs.items()}

    assert inputs(Pipeline(broker, load)) == {"path": str, "limit": int, "strict": bool}
    assert inputs(Pipeline(broker).map(inc)) == {"items": Union[list[int], dict[Any, int]]}
    assert inputs(Pipeline(broker).group(inc, is_even)) == {"value": int}
    assert inputs(Pipeline(broker).group(inc, total)) == {"value": None}


def test_what_may_be_given_by_position() -> None:
    assert compile_chain(broker, Pipeline(broker, load)._chain()).positional == ("path", "limit")
    assert compile_chain(broker, Pipeline(broker).map(inc)._chain()).positional == ("items",)


def test_a_chain_of_ten_thousand() -> None:
    pipeline: Pipeline[Any, Any] = Pipeline(broker, inc)
    for _ in range(9_999):
        pipeline.call_next(inc)
    nodes = pipeline.graph.nodes
    assert len(nodes) == 10_000
    assert nodes["inc_10000"].params == {"x": out("inc_9999")}
    assert len({id(each.options) for each in nodes.values()}) == 1


def test_branches_in_a_row_do_not_recurse() -> None:
    pipeline: Pipeline[Any, Any] = Pipeline(broker)
    for _ in range(300):
        pipeline.branch(is_even, inc)
    (source,) = pipeline.graph.outputs.values()
    assert isinstance(source, FirstOf)
    assert len(source.sources) == 301


def test_drawings() -> None:
    pipeline = Pipeline(broker, inc)
    assert "inc" in pipeline.render()
    assert pipeline.visualize() == pipeline.render("mermaid")
    with pytest.raises(GraphError):
        pipeline.render("crayon")
