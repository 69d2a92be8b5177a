"""Hand-chained pipelines: the whole graph that each step compiles to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from builder_tasks import broker, helped, inc, is_even, keywords, load, log, lonely, out, pair, split, total
from taskiq_flow.builders.pipeline import Pipeline
from taskiq_flow.graph.model import (
    FirstOf,
    Graph,
    Guard,
    Input,
    InputSpec,
    ListOf,
    Literal,
    MapNode,
    Source,
    TaskNode,
)


def node(task: Any, name: str, params: dict[str, Source], **more: Any) -> TaskNode:
    return TaskNode(name=name, task=task.task_name, params=params, outputs=(name,), **more)


def graph(*nodes: Any, inputs: dict[str, InputSpec] | None = None, output: Any = None, **more: Any) -> Graph:
    last = nodes[-1].name if output is None else output
    return Graph(
        nodes={each.name: each for each in nodes},
        inputs={"x": InputSpec()} if inputs is None else inputs,
        outputs={last: out(last)} if isinstance(last, str) else last,
        **more,
    )


def each(task: Any, name: str, items: Source, item: str, *, params: Any = None, **more: Any) -> MapNode:
    function = task.__name__.removesuffix("__taskiq_original")
    body = graph(
        node(task, function, {item: Input("item"), **(params or {})}),
        inputs={"item": InputSpec()},
        name=function,
    )
    return MapNode(
        name=name, body=body, items=items, item="item", outputs=(name,), collects=(function,), **more
    )


FIRST = node(inc, "inc", {"x": Input("x"), "by": Input("by")}, optional=frozenset({"by"}))
INPUTS = {"x": InputSpec(), "by": InputSpec(required=False)}

GRAPHS: list[tuple[str, Callable[[], Pipeline[Any, Any]], Graph]] = [
    ("one task", lambda: Pipeline(broker, inc), graph(FIRST, inputs=INPUTS)),
    ("call_next first", lambda: Pipeline(broker).call_next(inc), graph(FIRST, inputs=INPUTS)),
    (
        "the same task again, and a name that is an input",
        lambda: Pipeline(broker, inc).call_next(inc).call_next(inc),
        graph(
            FIRST,
            node(inc, "inc_2", {"x": out("inc")}),
            node(inc, "inc_3", {"x": out("inc_2")}),
            inputs=INPUTS,
        ),
    ),
    (
        "arguments of the first task",
        lambda: Pipeline(broker).call_next(inc, by=5),
        graph(node(inc, "inc", {"x": Input("x"), "by": Literal(5)})),
    ),
    (
        "the value goes to the first parameter that is free",
        lambda: Pipeline(broker).call_next(inc, by=1).call_next(pair, first=3),
        graph(
            node(inc, "inc", {"x": Input("x"), "by": Literal(1)}),
            node(pair, "pair", {"first": Literal(3), "second": out("inc")}),
        ),
    ),
    (
        "param_name",
        lambda: Pipeline(broker, is_even).call_next(pair, param_name="second", first=3),
        graph(
            node(is_even, "is_even", {"x": Input("x")}),
            node(pair, "pair", {"first": Literal(3), "second": out("is_even")}),
        ),
    ),
    (
        "a default takes the value too",
        lambda: Pipeline(broker, is_even).call_next(inc, "by", x=1),
        graph(
            node(is_even, "is_even", {"x": Input("x")}),
            node(inc, "inc", {"x": Literal(1), "by": out("is_even")}, optional=frozenset({"by"})),
        ),
    ),
    (
        "without the value",
        lambda: Pipeline(broker, is_even).call_next(lonely, param_name=-1).call_next(inc),
        graph(
            node(is_even, "is_even", {"x": Input("x")}),
            node(lonely, "lonely", {}, after=("is_even",)),
            node(inc, "inc", {"x": out("lonely")}),
        ),
    ),
    (
        "dependencies and progress are not wired",
        lambda: Pipeline(broker, is_even).call_next(helped),
        graph(
            node(is_even, "is_even", {"x": Input("x")}),
            node(helped, "helped", {"value": out("is_even")}, optional=frozenset({"value"})),
        ),
    ),
    (
        "any keyword",
        lambda: Pipeline(broker, is_even).call_next(keywords, "flag", other=2),
        graph(
            node(is_even, "is_even", {"x": Input("x")}),
            node(keywords, "keywords", {"other": Literal(2), "flag": out("is_even")}),
        ),
    ),
    (
        "several declared outputs are one value",
        lambda: Pipeline(broker, split).call_next(total),
        graph(node(split, "split", {"x": Input("x")}), node(total, "total", {"xs": out("split")})),
    ),
    (
        "side effects",
        lambda: (
            Pipeline(broker, is_even)
            .call_after(log, message="one")
            .call_after(log, "value", message="two")
            .call_next(inc)
        ),
        graph(
            node(is_even, "is_even", {"x": Input("x")}),
            node(log, "log", {"message": Literal("one")}, after=("is_even",)),
            node(
                log,
                "log_2",
                {"message": Literal("two"), "value": out("is_even")},
                optional=frozenset({"value"}),
                after=("log",),
            ),
            node(inc, "inc", {"x": out("is_even")}, after=("log_2",)),
        ),
    ),
    (
        "a side effect in the end",
        lambda: Pipeline(broker, is_even).call_after(log, message="done"),
        graph(
            node(is_even, "is_even", {"x": Input("x")}),
            node(log, "log", {"message": Literal("done")}, after=("is_even",)),
            output="is_even",
        ),
    ),
    (
        "a side effect in the beginning",
        lambda: Pipeline(broker).call_after(log, message="begin").call_next(is_even),
        graph(
            node(log, "log", {"message": Literal("begin")}),
            node(is_even, "is_even", {"x": Input("value")}, after=("log",)),
            inputs={"value": InputSpec()},
        ),
    ),
    (
        "map",
        lambda: (
            Pipeline(broker)
            .call_next(load, limit=1, strict=True)
            .map(inc, "by", max_parallel=3, skip_errors=True, x=2)
        ),
        graph(
            node(load, "load", {"limit": Literal(1), "strict": Literal(True), "path": Input("path")}),
            MapNode(
                name="inc",
                body=graph(
                    node(inc, "inc", {"x": Literal(2), "by": Input("item")}, optional=frozenset({"by"})),
                    inputs={"item": InputSpec()},
                    name="inc",
                ),
                items=out("load"),
                outputs=("inc",),
                collects=("inc",),
                max_parallel=3,
                skip_errors=True,
            ),
            inputs={"path": InputSpec()},
        ),
    ),
    (
        "map in the beginning, then filter",
        lambda: Pipeline(broker).map(inc).filter(is_even, max_parallel=2),
        graph(
            each(inc, "inc", Input("items"), "x"),
            each(is_even, "is_even", out("inc"), "x", keep="items", max_parallel=2),
            inputs={"items": InputSpec()},
        ),
    ),
    (
        "map over a pipeline, in a pipeline",
        lambda: Pipeline(broker).map(Pipeline(broker).map(Pipeline(broker, inc, name="rise").call_next(inc))),
        graph(
            MapNode(
                name="each",
                body=graph(
                    MapNode(
                        name="rise",
                        body=graph(
                            node(inc, "inc", {"x": Input("item")}),
                            node(inc, "inc_2", {"x": out("inc")}),
                            inputs={"item": InputSpec()},
                            name="rise",
                        ),
                        items=Input("item"),
                        outputs=("rise",),
                        collects=("inc_2",),
                    ),
                    inputs={"item": InputSpec()},
                    name="each",
                ),
                items=Input("items"),
                outputs=("each",),
                collects=("rise",),
            ),
            inputs={"items": InputSpec()},
        ),
    ),
    (
        "group",
        lambda: (
            Pipeline(broker, is_even)
            .call_after(log, message="first")
            .group(inc, Pipeline(broker, inc).call_after(log, message="x"), is_even)
            .call_next(total)
        ),
        graph(
            node(is_even, "is_even", {"x": Input("x")}),
            node(log, "log", {"message": Literal("first")}, after=("is_even",)),
            node(inc, "inc", {"x": out("is_even")}, after=("log",)),
            node(inc, "inc_2", {"x": out("is_even")}, after=("log",)),
            node(log, "log_2", {"message": Literal("x")}, after=("inc_2",)),
            node(is_even, "is_even_2", {"x": out("is_even")}, after=("log",)),
            node(
                total,
                "total",
                {"xs": ListOf((out("inc"), out("inc_2"), out("is_even_2")))},
                after=("log_2",),
            ),
        ),
    ),
    (
        "group in the beginning and in the end",
        lambda: Pipeline(broker).group(inc, inc),
        graph(
            node(inc, "inc", {"x": Input("value")}),
            node(inc, "inc_2", {"x": Input("value")}),
            inputs={"value": InputSpec()},
            output={"result": ListOf((out("inc"), out("inc_2")))},
        ),
    ),
    (
        "branch with two sides",
        lambda: (
            Pipeline(broker)
            .branch(is_even, inc, Pipeline(broker, inc).call_next(lonely, -1))
            .call_next(is_even)
        ),
        graph(
            node(is_even, "is_even", {"x": Input("value")}),
            node(inc, "inc", {"x": Input("value")}, when=Guard(out("is_even"), True)),
            node(inc, "inc_2", {"x": Input("value")}, when=Guard(out("is_even"), False)),
            node(lonely, "lonely", {}, after=("inc_2",), when=Guard(out("is_even"), False)),
            node(is_even, "is_even_2", {"x": FirstOf((out("inc"), out("lonely")))}),
            inputs={"value": InputSpec()},
        ),
    ),
    (
        "branches without another side, in a row",
        lambda: Pipeline(broker).branch(is_even, inc).branch(is_even, inc),
        graph(
            node(is_even, "is_even", {"x": Input("value")}),
            node(inc, "inc", {"x": Input("value")}, when=Guard(out("is_even"), True)),
            node(is_even, "is_even_2", {"x": FirstOf((out("inc"), Input("value")))}),
            node(
                inc, "inc_2", {"x": FirstOf((out("inc"), Input("value")))}, when=Guard(out("is_even_2"), True)
            ),
            inputs={"value": InputSpec()},
            output={"result": FirstOf((out("inc_2"), out("inc"), Input("value")))},
        ),
    ),
    (
        "a branch in a branch, and a map in a side",
        lambda: Pipeline(broker).branch(is_even, Pipeline(broker).branch(is_even, lonely_map())),
        graph(
            node(is_even, "is_even", {"x": Input("value")}),
            node(is_even, "is_even_2", {"x": Input("value")}, when=Guard(out("is_even"), True)),
            node(
                load,
                "load",
                {"path": Input("value"), "limit": Literal(3)},
                when=Guard(out("is_even_2"), True),
            ),
            each(inc, "inc", out("load"), "x", when=Guard(out("is_even_2"), True)),
            inputs={"value": InputSpec()},
            output={"result": FirstOf((out("inc"), Input("value")))},
        ),
    ),
    (
        "a pipeline as a step",
        lambda: Pipeline(broker, is_even).call_next(
            Pipeline(broker, pair).call_next(inc), param_name="second", first=1
        ),
        graph(
            node(is_even, "is_even", {"x": Input("x")}),
            node(pair, "pair", {"first": Literal(1), "second": out("is_even")}),
            node(inc, "inc", {"x": out("pair")}),
        ),
    ),
    (
        "a pipeline as the first step",
        lambda: Pipeline(broker, Pipeline(broker, pair).call_next(inc)).call_next(inc),
        graph(
            node(pair, "pair", {"first": Input("first"), "second": Input("second")}),
            node(inc, "inc", {"x": out("pair")}),
            node(inc, "inc_2", {"x": out("inc")}),
            inputs={"first": InputSpec(), "second": InputSpec()},
        ),
    ),
    (
        "a pipeline of a map as the first step",
        lambda: Pipeline(broker).call_next(Pipeline(broker).map(inc)).call_next(total),
        graph(
            each(inc, "inc", Input("items"), "x"),
            node(total, "total", {"xs": out("inc")}),
            inputs={"items": InputSpec()},
        ),
    ),
    (
        "settings",
        lambda: Pipeline(broker, is_even, name="settled").with_timeout(5).on_error("continue"),
        graph(node(is_even, "is_even", {"x": Input("x")}), name="settled", timeout=5, on_error="continue"),
    ),
]


def lonely_map() -> Pipeline[Any, Any]:
    return Pipeline(broker).call_next(load, "path", limit=3).map(inc)


@pytest.mark.parametrize(("make", "expected"), [row[1:] for row in GRAPHS], ids=[row[0] for row in GRAPHS])
def test_graphs(make: Callable[[], Pipeline[Any, Any]], expected: Graph) -> None:
    assert make().graph == expected
