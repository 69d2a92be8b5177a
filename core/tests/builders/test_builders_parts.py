"""Filters, branches, groups and whole pipelines as parts of a dataflow."""

from __future__ import annotations

import pytest

from nested_pipelines import (
    broker,
    calls,
    count,
    counting,
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
from taskiq_flow.graph import FORMATS, Graph, render

pytestmark = pytest.mark.usefixtures("way")


@pytest.fixture(autouse=True)
def forget_calls() -> None:
    calls.clear()


async def test_a_dataflow_filters() -> None:
    flow = DataflowPipeline.from_tasks(broker, [split]).filter(is_long, over="words", output="long")
    assert (await flow.kiq_dataflow(text="a bcd ef"))["long"] == ["bcd"]
    assert (await flow.kiq_dataflow(text="a bcd ef", width=2))["long"] == ["bcd", "ef"]
    inner = DataflowPipeline.from_tasks(broker, [name_task(is_long, "answer")])
    flow = DataflowPipeline(broker).filter(inner, over="words", name="keep", max_parallel=1)
    assert await flow.kiq_dataflow(words=["a", "bcd"]) == {"keep": ["bcd"]}
    chosen = DataflowPipeline(broker).filter(counting(), over="texts", output="full")
    assert await chosen.kiq_dataflow(texts=["", "a"]) == {"full": ["a"]}


async def test_a_list_goes_to_a_whole_pipeline() -> None:
    flow = DataflowPipeline.from_tasks(broker, [split])
    flow.reduce(Pipeline(broker, glue).call_next(note), over="words", output="told", name="tell")
    assert await flow.kiq_dataflow(text="a b", mark="+") == {"words": ["a", "b"], "told": None}
    assert calls[-1] == "note a+b"
    with pytest.raises(
        GraphError, match="'pair' has the inputs 'one', 'two'; say with param_name which one takes 'x'"
    ):
        DataflowPipeline(broker).reduce(name_pair(), over="x")
    flow = DataflowPipeline(broker).reduce(name_pair(), over="x", param_name="two")
    assert await flow.kiq_dataflow(one=1, x=2) == {"pair": 3}


async def test_several_lists_are_mapped_within_parts() -> None:
    inner = DataflowPipeline(broker).map(inc, over={"number": "xs", "by": "ys"}, output="sums", product=True)
    flow = (
        DataflowPipeline(broker).add(inner, "all", inputs={"xs": "left"}, name="part").rename({"ys": "right"})
    )
    assert await flow.kiq_dataflow(left=[1, 2], right=[10, 20]) == {"all": [11, 21, 12, 22]}
    assert await flow.bind(right=[5]).kiq_dataflow(left=[1, 2]) == {"all": [6, 7]}
    chain = Pipeline(broker, split).call_next(inner, param_name="xs", ys=[1])
    assert "the list" not in str(chain.graph)
    # The result of a pipeline has a name, as that of a task has one.
    sizes = DataflowPipeline(broker).map(count, over="texts", item_param="words", output="sizes")
    later = Pipeline(broker, sizes).call_next(show).map(inc, over={"number": "sizes", "by": "show"})
    assert await (await later.kiq(texts=[["a"], ["b", "c"]])).result() == [2, 4]


async def test_a_dataflow_branches() -> None:
    flow = DataflowPipeline.from_tasks(broker, [split]).branch(has_many, glue, first, output="line")
    assert list(flow.graph.nodes) == ["split", "has_many", "glue", "first"]
    assert await flow.kiq_dataflow(text="a b c") == {"words": ["a", "b", "c"], "line": "a-b-c"}
    assert (await flow.kiq_dataflow(text="a b c", mark="+"))["line"] == "a+b+c"
    assert await flow.kiq_dataflow(text="a b") == {"words": ["a", "b"], "line": "a"}
    assert await flow.kiq_dataflow(line="given") == {"line": "given"}
    flow.add(note, inputs={"text": "line"})
    await flow.kiq_dataflow(text="a b")
    assert calls[-1] == "note a"
    again = Graph.from_json(flow.graph.to_json())
    assert again == flow.graph
    for format in FORMATS:  # noqa: A001 - the word that users give
        render(flow.graph, format)


async def test_sides_of_a_branch_are_data_and_pipelines() -> None:
    flow = DataflowPipeline.from_tasks(broker, [split])
    side = DataflowPipeline.from_tasks(
        broker, [sort, name_task(glue, "joined", inputs={"words": "long"})], outputs=["joined"]
    )
    flow.branch(has_many, "words", name_task(side, "side"), output="found")
    assert (await flow.kiq_dataflow(text="a b c"))["found"] == ["a", "b", "c"]
    assert (await flow.kiq_dataflow(text="abc d"))["found"] == "abc"
    assert list(flow.graph.nodes) == ["split", "has_many", "side.sort", "side.joined"]
    chain = Pipeline(broker).branch(has_many, glue)
    other = DataflowPipeline(broker).branch(
        name_task(has_many, "judge"), name_task(chain, "c", inputs={"value": "words"}), first, output="x"
    )
    assert await other.kiq_dataflow(words=["a"]) == {"x": "a"}
    assert await other.kiq_dataflow(words=["a", "b", "c"]) == {"x": "a-b-c"}


async def test_a_branch_without_another_side_has_no_output() -> None:
    flow = DataflowPipeline.from_tasks(broker, [split]).branch(has_many, glue, output="line")
    flow.add(note, inputs={"text": "line"})
    assert await flow.kiq_dataflow(text="a b") == {"words": ["a", "b"]}
    assert calls == ["split"]
    effects = DataflowPipeline(broker).branch(
        name_task(has_many, "judge"), name_task(note, "tell", inputs=["line"])
    )
    assert await effects.kiq_dataflow(words=["a", "b", "c"], line="x") == {}
    assert calls[-1] == "note x"


async def test_branches_agree_about_several_outputs() -> None:
    flow = DataflowPipeline(broker).branch(
        has_many, sort, name_task(sort, "loose", bind={"width": 1}), name="choice"
    )
    assert list(flow.graph.nodes) == ["choice.has_many", "choice.sort", "choice.loose"]
    assert await flow.kiq_dataflow(words=["a", "bcd", "e"]) == {"short": ["a", "e"], "long": ["bcd"]}
    assert await flow.kiq_dataflow(words=["a"]) == {"short": [], "long": ["a"]}


async def test_a_dataflow_groups() -> None:
    flow = DataflowPipeline.from_tasks(broker, [split]).group(count, first, glue, output="facts")
    assert (await flow.kiq_dataflow(text="a b", mark="+"))["facts"] == [2, "a", "a+b"]
    flow.group(counting(), name_task(counting(), "c", inputs={"text": "other"}), output="more", name="g")
    assert (await flow.kiq_dataflow(text="a b", other="c"))["more"] == [2, 1]
    assert list(flow.graph.nodes)[-4:] == ["g.count_2.split", "g.count_2.count", "g.c.split", "g.c.count"]


async def test_branches_follow_each_other_and_are_renamed() -> None:
    flow = DataflowPipeline(broker).branch(has_many, glue, first, output="line")
    flow.branch(name_task(is_long, "wide", inputs={"word": "line"}), name_task(split, "cut", inputs={"text": "line"}),
                name_task(split, "whole", inputs={"text": "line"}), output="parts")  # fmt: skip
    flow.rename({"line": "text", "words": "given", "mark": "sign"})
    assert await flow.kiq_dataflow(given=["a", "b", "c"], sign=" ") == {
        "text": "a b c",
        "parts": ["a", "b", "c"],
    }
    assert await flow.kiq_dataflow(given=["a"]) == {"text": "a", "parts": ["a"]}
    scoped = flow.copy().scope("s", exclude=["sign"])
    assert await scoped.kiq_dataflow(s={"given": ["a", "b", "c"]}, sign=" ") == {
        "s.text": "a b c", "s.parts": ["a", "b", "c"],
    }  # fmt: skip
    nested = DataflowPipeline(broker).add(flow, inputs={"given": "words"}, outputs={"parts": "end"}, name="n")
    assert await nested.kiq_dataflow(words=["a", "b", "c"], sign=" ") == {"end": ["a", "b", "c"]}
