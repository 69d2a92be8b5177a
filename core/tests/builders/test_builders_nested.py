"""Both builders take each other: whole pipelines, filters, branches and groups in a dataflow, dataflows as steps."""

from __future__ import annotations

import re
from typing import Any

import pytest
from taskiq import InMemoryBroker

from taskiq_flow import DataflowPipeline, GraphError, Pipeline, name_task, pipeline_task
from taskiq_flow.graph import FORMATS, Graph, TaskNode, render

broker = InMemoryBroker()
calls: list[str] = []


@broker.task
@pipeline_task(output="words")
async def split(text: str, limit: int = 9) -> list[str]:
    calls.append("split")
    return text.split()[:limit]


@broker.task
@pipeline_task(output="count")
def count(words: list[str]) -> int:
    calls.append("count")
    return len(words)


@broker.task
@pipeline_task(outputs=["short", "long"])
def sort(words: list[str], width: int = 3) -> tuple[list[str], list[str]]:
    return [word for word in words if len(word) < width], [word for word in words if len(word) >= width]


@broker.task
def is_long(word: str, width: int = 3) -> bool:
    return len(word) >= width


@broker.task
def has_many(words: list[str]) -> bool:
    return len(words) > 2


@broker.task
def first(words: list[str]) -> str:
    calls.append("first")
    return words[0]


@broker.task
def glue(words: list[str], mark: str = "-") -> str:
    calls.append("glue")
    return mark.join(words)


@broker.task
def inc(number: int, by: int = 1) -> int:
    return number + by


@broker.task
def show(value: Any) -> Any:
    return value


@broker.task
def fail(words: list[str]) -> str:
    raise LookupError(f"no {words}")


@broker.task
async def note(text: str) -> None:
    calls.append(f"note {text}")


pytestmark = pytest.mark.usefixtures("way")


@pytest.fixture(autouse=True)
def forget_calls() -> None:
    calls.clear()


def counting(**options: Any) -> DataflowPipeline:
    return DataflowPipeline.from_tasks(broker, [split, count], **options)


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


# Filters, branches and groups in a dataflow


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


def name_pair() -> DataflowPipeline:
    @broker.task(task_name="pair")
    def pair(one: int, two: int) -> int:
        return one + two

    return DataflowPipeline.from_tasks(broker, [pair], name="pair")


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
