"""Both builders take each other: whole pipelines, filters, branches and groups in a dataflow, dataflows as steps."""

from __future__ import annotations

import re
from typing import Any

import pytest
from taskiq import InMemoryBroker

from nested_pipelines import (
    broker,
    calls,
    count,
    counting,
    fail,
    first,
    glue,
    has_many,
    inc,
    is_long,
    name_pair,
    note,
    show,
    sort,
    split,
)
from taskiq_flow import DataflowPipeline, GraphError, Pipeline, name_task
from taskiq_flow.graph import TaskNode

pytestmark = pytest.mark.usefixtures("way")


@pytest.fixture(autouse=True)
def forget_calls() -> None:
    calls.clear()


def options_of(pipeline: Any, name: str) -> Any:
    node = pipeline.graph.nodes[name]
    assert isinstance(node, TaskNode)
    return node.options


# A dataflow as a step


async def test_a_dataflow_is_a_step() -> None:
    chain = Pipeline(broker, glue).call_next(counting(name="counting")).call_next(inc)
    assert list(chain.graph.nodes) == ["glue", "counting.split", "counting.count", "inc"]
    assert await (await chain.kiq(["a b", "c"], " ")).result() == 4
    assert list(chain.inputs) == ["words", "mark", "limit", "by"]
    assert await (await chain.kiq(["a b", "c"], " ", by=10, limit=2)).result() == 12  # type: ignore[call-arg]


async def test_a_dataflow_is_the_first_step() -> None:
    chain = Pipeline(broker, counting()).call_next(inc)
    assert list(chain.graph.inputs) == ["text"]
    assert list(chain.graph.outputs) == ["inc"]
    assert await (await chain.kiq("a b")).result() == 3
    alone = Pipeline(broker, counting())
    assert list(alone.graph.outputs) == ["count"]
    assert await (await alone.kiq(text="a b", limit=1)).result() == 1


async def test_the_value_goes_where_it_is_told() -> None:
    joined = DataflowPipeline.from_tasks(broker, [glue, first], outputs=["glue"]).rename({"mark": "words2"})
    assert list(joined.inputs) == ["words", "words2"]
    chain = Pipeline(broker, first).call_next(joined, param_name="words2", words=["x", "y"])
    assert await (await chain.kiq(["+", "b"])).result() == "x+y"
    aside = Pipeline(broker, first).call_next(joined, param_name=-1, words=["x", "y"]).call_next(note)
    assert aside.graph.nodes["glue.glue"].after == ("first",)
    assert await (await aside.kiq(["+", "b"])).result() is None
    assert calls[-1] == "note x-y"


async def test_the_value_replaces_the_only_default() -> None:
    @broker.task(task_name="rest")
    def rest(limit: int = 5) -> int:
        return 10 - limit

    part = DataflowPipeline.from_tasks(broker, [rest], name="no word of Python")
    chain = Pipeline(broker, inc).call_next(part)
    assert list(chain.graph.nodes) == ["inc", "rest.rest"]
    assert await (await chain.kiq(1)).result() == 8
    assert await DataflowPipeline(broker).add(part, "n").kiq_dataflow() == {"n": 5}
    assert await DataflowPipeline(broker).add(part, "n").kiq_dataflow(limit=1) == {"n": 9}


async def test_a_dataflow_is_mapped_filtered_grouped_and_branched() -> None:
    @broker.task(task_name="texts")
    async def texts(many: bool) -> list[str]:
        return ["a b", "c", ""] if many else ["d"]

    mapped = Pipeline(broker, texts).map(counting())
    assert await (await mapped.kiq(True)).result() == [2, 1, 0]
    assert await (await mapped.kiq(many=True, limit=1)).result() == [1, 1, 0]  # type: ignore[call-arg]
    kept = Pipeline(broker, texts).filter(counting(), limit=1)
    assert await (await kept.kiq(True)).result() == ["a b", "c"]
    grouped = Pipeline(broker, glue).group(counting(), counting(name="again"), note)
    assert list(grouped.graph.nodes) == [
        "glue",
        "count.split",
        "count.count",
        "again.split",
        "again.count",
        "note",
    ]
    assert await (await grouped.kiq(["a", "b"], " ")).result() == [2, 2, None]
    side = DataflowPipeline.from_tasks(broker, [name_task(glue, "both", bind={"mark": "+"})])
    branched = Pipeline(broker, split).branch(has_many, side, first)
    assert await (await branched.kiq("a b c")).result() == "a+b+c"
    assert await (await branched.kiq("a b")).result() == "a"


async def test_a_renamed_or_bound_chain_is_a_step() -> None:
    inner = Pipeline(broker, split).call_next(glue).rename({"text": "line", "mark": "sign"}).bind(limit=2)
    outer = Pipeline(broker, glue).call_next(inner, sign="+").call_next(note)
    assert await (await outer.kiq(["a", "b", "c"], " ")).result() is None
    assert calls[-1] == "note a+b"
    assert list(outer.inputs) == ["words", "mark"]


# Whole pipelines in a dataflow


async def test_a_chain_is_a_part_of_a_dataflow() -> None:
    chain = Pipeline(broker, first).call_next(split).call_next(glue, mark="+")
    flow = DataflowPipeline.from_tasks(broker, [split])
    flow.add(chain, output="line", name="join").add(note, inputs={"text": "line"})
    assert list(flow.graph.nodes) == ["split", "join.first", "join.split", "join.glue", "note"]
    assert await flow.kiq_dataflow(text="ab c") == {"words": ["ab", "c"], "line": "ab"}
    assert calls[-1] == "note ab"
    assert list(flow.inputs) == ["text", "limit"]
    assert await flow.kiq_dataflow(text="unneeded", limit=0, line="x") == {"line": "x"}
    # A name means the same data inside and outside, so the value goes to both.
    flow.add(inc, "total", inputs={"number": "limit"})
    assert await flow.kiq_dataflow(text="ab c", limit=1) == {"words": ["ab"], "line": "ab", "total": 2}


async def test_one_pipeline_stands_in_a_dataflow_twice() -> None:
    flow = DataflowPipeline.from_tasks(
        broker,
        [
            name_task(counting(), "left", outputs={"count": "one"}, inputs={"text": "old"}),
            name_task(counting(), "right", output="two", inputs={"text": "new", "limit": "most"}),
            name_task(inc, "sum", inputs={"number": "one", "by": "two"}),
        ],
        outputs=["sum"],
    )
    assert list(flow.graph.nodes) == ["left.split", "left.count", "right.split", "right.count", "sum"]
    assert {name: spec.required for name, spec in flow.inputs.items()} == {
        "old": True, "new": True, "most": False, "limit": False,
    }  # fmt: skip
    assert await flow.kiq_dataflow(old="a b", new="c d e") == {"sum": 5}
    assert await flow.kiq_dataflow(old="a b", new="c d e", most=1) == {"sum": 3}
    assert await flow.kiq_dataflow(old="a b", new="c d e", limit=1) == {"sum": 4}
    assert await flow.kiq_dataflow(one=10, new="c d e") == {"sum": 13}
    bound = DataflowPipeline(broker).add(counting(), "n", bind={"limit": 1}, name="x")
    assert await bound.kiq_dataflow(text="a b") == {"n": 1}
    assert list(bound.inputs) == ["text"]


async def test_parts_see_only_inputs_and_show_only_outputs() -> None:
    inner = DataflowPipeline.from_tasks(broker, [split, sort], name="inner")
    # The inner "words" are its own; the outer ones come from elsewhere.
    flow = DataflowPipeline(broker).add(inner, outputs={"long": "long"}).add(count)
    assert list(flow.graph.inputs) == ["text", "words"]
    assert await flow.kiq_dataflow(text="a bcd", words=["x"]) == {"long": ["bcd"], "count": 1}
    everything = DataflowPipeline(broker).add(inner)
    assert list(everything.graph.outputs) == ["words", "short", "long"]
    # An input with a default is fed by what is produced under its name.
    fed = DataflowPipeline(broker).add(name_task(inc, "limit", bind={"number": 0})).add(counting(), "n")
    assert await fed.kiq_dataflow(text="a b", by=1) == {"limit": 1, "n": 2}


async def test_options_of_a_part_stay_its_own() -> None:
    inner = counting(name="inner").with_retry(max_attempts=2).with_serializer("other").on_error("continue")
    for outer in (
        DataflowPipeline.from_tasks(broker, [inner, first]).with_retry(max_attempts=5),
        Pipeline(broker, inner).call_next(inc).with_retry(max_attempts=5),
    ):
        options = options_of(outer, "inner.count")
        assert options.retry == {"max_attempts": 2}
        assert (options.serializer, options.on_error) == ("other", "continue")
        last = options_of(outer, "first" if isinstance(outer, DataflowPipeline) else "inc")
        assert (last.retry, last.serializer, last.on_error) == ({"max_attempts": 5}, None, None)
    plain = DataflowPipeline.from_tasks(broker, [counting(name="inner")]).with_retry(max_attempts=5)
    assert options_of(plain, "inner.count").retry == {"max_attempts": 5}


async def test_parts_of_parts_have_paths() -> None:
    deep = Pipeline(
        broker, DataflowPipeline(broker).add(counting(name="a")).rename({"count": "n"})
    ).call_next(inc)
    flow = DataflowPipeline(broker).add(deep, output="m", name="b")
    assert list(flow.graph.nodes) == ["b.n.a.split", "b.n.a.count", "b.inc"]
    assert await flow.kiq_dataflow(text="a b", limit=1, by=5) == {"m": 6}
    handle = (
        await DataflowPipeline(broker)
        .add(Pipeline(broker, split).call_next(fail), "x", name="part")
        .kiq(text="a")
    )
    with pytest.raises(LookupError) as raised:
        await handle.result()
    assert "part.fail" in "".join(raised.value.__notes__)


async def test_a_part_that_passes_its_input_on() -> None:
    chain = Pipeline(broker).branch(has_many, glue)
    flow = DataflowPipeline.from_tasks(broker, [split]).add(
        chain, "joined", inputs={"value": "words"}, name="maybe"
    )
    flow.add(name_task(Pipeline(broker).group(show), "again", output="more", inputs={"value": "joined"}))
    assert await flow.kiq_dataflow(text="a b c") == {
        "words": ["a", "b", "c"],
        "joined": "a-b-c",
        "more": ["a-b-c"],
    }
    assert await flow.kiq_dataflow(text="a b") == {
        "words": ["a", "b"],
        "joined": ["a", "b"],
        "more": [["a", "b"]],
    }


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (
            lambda: Pipeline(broker, glue).call_next(
                DataflowPipeline.from_tasks(broker, [sort], name="sort")
            ),
            "pipeline 'sort' has the outputs 'short', 'long', and a step has one value; choose it, such as with "
            "outputs=[...] where the pipeline is made",
        ),
        (
            lambda: Pipeline(broker, glue).map(counting(name="c").with_timeout(3)),
            "pipeline 'c' is a part of another one and has a time limit (3 seconds), which holds for runs; set it on "
            "the outer pipeline, or set the timeout of its tasks",
        ),
        (
            lambda: DataflowPipeline(broker).add(DataflowPipeline(InMemoryBroker(), name="far")),
            "pipeline 'far' in this pipeline: there is no task to build a graph of; register one first",
        ),
        (
            lambda: DataflowPipeline(InMemoryBroker()).add(counting()),
            "a pipeline has another broker than the pipeline that it is a part of; give both the same",
        ),
        (
            lambda: Pipeline(broker, glue).call_next(counting(), txt="x").graph,
            "a pipeline has no input 'txt'; it takes 'text' (did you mean 'text'?)",
        ),
        (
            lambda: (
                Pipeline(broker, glue)
                .call_next(
                    DataflowPipeline.from_tasks(
                        broker, [name_task(inc, "x", inputs=["number", "by"])], name="d"
                    )
                )
                .call_next(name_pair())
                .graph
            ),
            "pipeline 'pair' has the inputs 'one', 'two' for the value of the step before; say which one with "
            "param_name, and give the others as extra arguments, or run it without the value (param_name=-1)",
        ),
        (
            lambda: Pipeline(broker, glue).call_next(name_pair(), param_name="one").graph,
            "pipeline 'pair' requires 'two', which the step does not give; add it as an extra argument of the step",
        ),
        (
            lambda: DataflowPipeline(broker).add(counting(name="c"), inputs={"txt": "x"}),
            "pipeline 'c' has no input 'txt'; it takes 'text', 'limit' (did you mean 'text'?)",
        ),
        (
            lambda: DataflowPipeline(broker).add(
                counting(name="c"), inputs={"text": "a b"}, bind={"text": 1}
            ),
            "input 'text' of pipeline 'c' takes 'a b'; give the name of data, such as 'raw'",
        ),
        (
            lambda: DataflowPipeline(broker).add(counting(name="c"), bind=[1]),  # type: ignore[arg-type]
            "the values are [1]; give them by name, such as {'rate': 8000}",
        ),
        (
            lambda: DataflowPipeline(broker).add(counting(name="c"), inputs=["text"]),
            "inputs of pipeline 'c' is ['text']; give names of data by the pipeline's inputs, such as {'raw': 'audio'}",
        ),
        (
            lambda: DataflowPipeline(broker).add(counting(name="c"), outputs={"cont": "n"}),
            "pipeline 'c' has no output 'cont'; it has 'words', 'count' (did you mean 'count'?)",
        ),
        (
            lambda: DataflowPipeline(broker).add(counting(name="c"), outputs=["a", "b", "d"]),
            "pipeline 'c' shall produce 'a', 'b', 'd', but it has the outputs 'words', 'count'; give one name for each "
            "of these, or choose with outputs={...}, by its own names",
        ),
        (
            lambda: DataflowPipeline.from_tasks(broker, [split, count]).add(counting()).graph,
            "'words' is produced by 'split' and 'count_2'; rename one of these outputs",
        ),
        (
            lambda: DataflowPipeline(broker).branch(counting(), glue),
            "the predicate of a branch is a task, found a pipeline; let one task decide",
        ),
        (
            lambda: DataflowPipeline(broker).branch(glue, glue, output="x"),
            "task 'glue' decides a branch but returns str; let it return a bool",
        ),
        (
            lambda: DataflowPipeline(broker).branch(has_many, "a", "b", output="x"),
            "the sides of a branch are 'a', 'b'; let one of them be a task",
        ),
        (
            lambda: DataflowPipeline(broker).branch(has_many, glue, first),
            "the sides of the branch produce 'first' and 'glue'; name what the branch produces with output=...",
        ),
        (
            lambda: DataflowPipeline(broker).group(output="x"),
            "the group has no members; give it tasks or pipelines",
        ),
        (
            lambda: DataflowPipeline(broker).branch(has_many, glue, "line", output="line").graph,
            "data is passed on in a circle: line -> line; take one of these links out",
        ),
    ],
)
def test_what_does_not_fit_is_refused(make: Any, expected: str) -> None:
    with pytest.raises(GraphError) as raised:
        make()
    assert str(raised.value).splitlines()[0] == expected


def test_a_pipeline_is_copied_when_it_is_added() -> None:
    inner = counting()
    flow = DataflowPipeline(broker).add(inner, "n")
    chain = Pipeline(broker, inner)
    inner.map(is_long, over="words", output="wide")
    assert len(flow.graph.nodes) == len(chain.graph.nodes) == 2


def test_problems_of_an_inner_pipeline_name_it() -> None:
    broken = counting(name="broken").map(is_long, over="words", output="count")
    with pytest.raises(
        GraphError, match=re.escape("pipeline 'broken' in this pipeline: 'count' is produced by")
    ):
        Pipeline(broker, glue).call_next(broken)
