"""Names from outside: inputs and outputs that are renamed, put into a scope, or bound; tasks under several names."""

from __future__ import annotations

import re
from typing import Any

import pytest
from taskiq import InMemoryBroker

from taskiq_flow import DataflowPipeline, DataflowRegistry, GraphError, Pipeline, name_task, pipeline_task
from taskiq_flow.graph import Graph

broker = InMemoryBroker()


@broker.task
@pipeline_task(output="tracks")
async def find(folder: str, limit: int = 2) -> list[str]:
    return [f"{folder}{number}" for number in range(limit)]


@broker.task
@pipeline_task(output="features")
def extract(tracks: list[str], rate: int = 8) -> list[str]:
    return [f"{track}@{rate}" for track in tracks]


@broker.task
def measure(track: str, rate: int = 8, *, scale: float = 1) -> float:
    return len(track) * rate * scale


@broker.task
def subtract(left: float, right: float) -> float:
    return left - right


@broker.task
@pipeline_task(inputs=["value"])
def double(number: float, times: int = 2) -> float:
    return number * times


pytestmark = pytest.mark.usefixtures("way")


def audio(**options: Any) -> DataflowPipeline:
    return DataflowPipeline.from_tasks(broker, [find, extract], name="audio", **options)


async def test_inputs_defaults_and_outputs_get_other_names() -> None:
    pipeline = audio(outputs=["features"])
    pipeline.rename({"folder": "path", "rate": "hertz", "features": "spectrum"})
    assert list(pipeline.inputs) == ["path", "limit", "hertz"]
    assert await pipeline.kiq_dataflow(path="a", limit=1, hertz=3) == {"spectrum": ["a0@3"]}
    assert await pipeline.kiq_dataflow(path="a", limit=1) == {"spectrum": ["a0@8"]}
    # What is added later finds the new names, and brings its own.
    pipeline = audio().rename({"tracks": "files", "limit": "most"})
    pipeline.map(measure, over="files", output="sizes")
    assert (await pipeline.kiq_dataflow(folder="a", most=1, rate=1))["sizes"] == [2]
    with pytest.raises(GraphError, match="has no input 'limit'"):
        await pipeline.kiq_dataflow(folder="a", limit=1)


async def test_inputs_that_get_one_name_are_one_input() -> None:
    pipeline = DataflowPipeline.from_tasks(broker, [subtract]).rename({"left": "x", "right": "x"})
    assert list(pipeline.graph.inputs) == ["x"]
    assert await pipeline.kiq_dataflow(x=3) == {"subtract": 0}
    wired = DataflowPipeline.from_tasks(broker, [subtract, double]).rename({"value": "subtract"})
    assert list(wired.graph.inputs) == ["left", "right"]
    assert await wired.kiq_dataflow(left=3, right=1) == {"subtract": 2, "double": 4}


async def test_maps_are_renamed_too() -> None:
    inner = DataflowPipeline.from_tasks(broker, [find], outputs=["sizes"])
    inner.map(measure, over="tracks", output="sizes")
    outer = DataflowPipeline(broker).map(inner, over="folders", output="all")
    outer.rename({"folders": "paths", "rate": "hertz", "all": "found"})
    assert await outer.kiq_dataflow(paths=["a"], hertz=1, scale=2) == {"found": [[4, 4]]}
    outer.rename({"hertz": "rate", "found": "all"})
    assert await outer.kiq_dataflow(paths=["a"], rate=2) == {"all": [[4, 4]]}


async def test_defaults_in_maps_within_parts_are_renamed() -> None:
    inner = DataflowPipeline(broker).map(measure, over="tracks", output="sizes")
    outer = DataflowPipeline(broker).add(inner, "found", name="part").rename({"rate": "hertz"}).scope("s")
    assert list(outer.inputs) == ["s.tracks", "s.hertz", "s.scale"]
    assert await outer.kiq_dataflow(s={"tracks": ["a"], "hertz": 3}) == {"s.found": [3]}
    chain = Pipeline(broker).map(measure, over={"track": "names"}).rename({"rate": "hertz"})
    assert list(chain.inputs) == ["names", "hertz", "scale"]
    assert await (await chain.kiq(names=["ab"], hertz=1)).result() == [2]


async def test_a_chain_is_renamed() -> None:
    chain = Pipeline(broker, find).map(measure)
    chain.rename({"folder": "path", "rate": "hertz"}).rename({"path": "where", "measure": "sizes"})
    assert list(chain.inputs) == ["where", "limit", "hertz", "scale"]
    assert list(chain.graph.outputs) == ["sizes"]
    assert await (await chain.kiq("a", hertz=1)).result() == [2, 2]
    assert await (await chain.kiq(where="a", hertz=2, limit=1)).result() == [4]
    assert await (await chain.kiq(sizes=[1])).result() == [1]
    with pytest.raises(GraphError, match="there is a 'limit' already; choose another name"):
        chain.rename({"hertz": "limit"})
    chain.rename({"hertz": "limit", "limit": "hertz"})
    assert await (await chain.kiq("a", limit=1)).result() == [2, 2]
    assert await (await chain.kiq("a", 1)).result() == [16]


async def test_a_scope_is_before_all_names() -> None:
    pipeline = audio(outputs=["features"]).scope("left", exclude=["rate"])
    assert list(pipeline.inputs) == ["left.folder", "left.limit", "rate"]
    expected = {"left.features": ["a0@1"]}
    assert await pipeline.kiq_dataflow(left={"folder": "a", "limit": 1}, rate=1) == expected
    assert await pipeline.kiq_dataflow(**{"left.folder": "a", "left.limit": 1}, rate=1) == expected
    pipeline.scope("both", exclude="rate")
    nested = {"left": {"folder": "a", "limit": 1}}
    assert await pipeline.kiq_dataflow(both=nested, rate=1) == {"both.left.features": ["a0@1"]}
    chain = Pipeline(broker, find).map(measure).scope("deep.down")
    assert await (await chain.kiq("a", **{"deep.down.rate": 1})).result() == [2, 2]
    with pytest.raises(GraphError, match=re.escape("input 'left.folder' is given twice; give it once")):
        await audio().scope("left").kiq(left={"folder": "a"}, **{"left.folder": "b"})
    with pytest.raises(
        GraphError, match=re.escape("has no input 'left.foldr'; it takes 'left.folder' (did you")
    ):
        await audio().scope("left").kiq(left={"foldr": "a"})


async def test_inputs_and_defaults_are_bound() -> None:
    pipeline = audio(outputs=["features"]).bind(folder="a", rate=3)
    assert list(pipeline.inputs) == ["limit"]
    assert await pipeline.kiq_dataflow() == {"features": ["a0@3", "a1@3"]}
    assert await pipeline.copy().bind(rate=4).kiq_dataflow(limit=1) == {"features": ["a0@4"]}
    assert Graph.from_json(pipeline.graph.to_json()) == pipeline.graph
    # It holds for what is added later.
    pipeline = audio().bind(rate=1).map(measure, over="tracks", output="sizes")
    assert (await pipeline.kiq_dataflow(folder="a"))["sizes"] == [2, 2]
    with pytest.raises(GraphError) as raised:
        await pipeline.kiq_dataflow(folder="a", rate=2)
    assert (
        str(raised.value) == "'rate' is bound to 1 in this pipeline; bind it to something else, in a copy()"
    )
    scoped = audio(outputs=["features"]).scope("left").bind({"left.rate": 1, "left.folder": "b"})
    assert await scoped.kiq_dataflow() == {"left.features": ["b0@1", "b1@1"]}


async def test_inputs_of_a_chain_are_bound() -> None:
    chain = Pipeline(broker, find).map(measure).bind(folder="a", scale=2)
    assert await (await chain.kiq(1)).result() == [32]
    with pytest.raises(GraphError, match="takes 'limit' by position, found 2 values"):
        await chain.kiq(1, 2)
    constant = Pipeline(broker, find).bind(folder="a", limit=1)
    assert await (await constant.kiq()).result() == ["a0"]


async def test_a_list_that_is_bound_is_mapped() -> None:
    pipeline = DataflowPipeline(broker).map(measure, over="tracks", output="sizes").bind(tracks=["a", "bc"])
    assert await pipeline.kiq_dataflow(rate=1) == {"sizes": [1, 2]}


async def test_one_task_stands_under_several_names() -> None:
    pipeline = DataflowPipeline.from_tasks(
        broker,
        [
            name_task(measure, "left", inputs={"track": "old"}, bind={"rate": 2}),
            name_task(measure, "right", inputs=["new"]),
            subtract,
            name_task(double, "twice", output="result", inputs={"number": "subtract", "times": "factor"}),
        ],
        outputs=["result"],
    )
    assert list(pipeline.graph.nodes) == ["left", "right", "subtract", "twice"]
    assert list(pipeline.inputs) == ["old", "new", "factor", "scale", "rate"]
    assert await pipeline.kiq_dataflow(old="abc", new="a") == {"result": -4}
    # The value of "left" is bound, the one of "right" is not.
    assert await pipeline.kiq_dataflow(old="abc", new="a", rate=3, factor=10) == {"result": 30}
    registry = DataflowRegistry().register_task(
        double, name="triple", inputs={"number": "x"}, bind={"times": 3}
    )
    assert await DataflowPipeline.from_registry(broker, registry).kiq_dataflow(x=2) == {"triple": 6}


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (
            lambda: audio().rename({"foldr": "path", "limit": "a-b"}),
            [
                "there is no 'foldr' to rename; its data is 'folder', 'limit', 'tracks', 'rate', 'features' (did you "
                "mean 'folder'?)",
                "the new name of 'limit' is 'a-b'; a name is a word that a parameter could have, or several with dots "
                "between them",
            ],
        ),
        (
            lambda: audio().rename("x"),
            ["the new names are 'x'; give them by the old ones, such as {'raw': 'audio'}"],
        ),
        (
            lambda: audio().bind(rate=1).rename({"limit": "rate"}),
            ["'rate' is bound to a value in this pipeline; choose another name"],
        ),
        (
            lambda: audio().bind(tracks=[], rat=1, limit=object()),
            [
                "'tracks' is produced by a task, so it cannot be bound; give it to a run instead",
                "there is no input 'rat' to bind (did you mean 'rate'?)",
                "argument 'limit' of 'the pipeline' has no JSON form: cannot encode a value of "
                "type object as json; give plain data, a dataclass or a pydantic model, or choose a serializer that "
                "carries it, or let a task produce it",
            ],
        ),
        (
            lambda: audio().scope("a b"),
            ["the scope is 'a b'; give a word that a parameter could have, such as 'left'"],
        ),
        (
            lambda: audio().scope("a", exclude=["rat"]),
            ["there is no 'rat' to exclude (did you mean 'rate'?)"],
        ),
        (
            lambda: audio().scope("a", exclude=3),  # type: ignore[arg-type]
            ["what is excluded is 3; give a list of names, such as ['rate']"],
        ),
        (
            lambda: audio().bind({3: 1}),  # type: ignore[dict-item]
            ["the values are {3: 1}; give them by name, such as {'rate': 8000}"],
        ),
        (
            lambda: DataflowPipeline.from_tasks(broker, [name_task(measure, "x", bind=[1])]),  # type: ignore[arg-type]
            ["the values are [1]; give them by name, such as {'rate': 8000}"],
        ),
        (lambda: name_task(measure, ""), ["the node's name is ''; give a text, such as 'left'"]),
        (
            lambda: DataflowPipeline.from_tasks(
                broker,
                [
                    name_task(measure, "x", inputs={"trak": "y", "rate": "a b"}, bind={"rate": 1}),
                    name_task(measure, "y", bind={"scale": object()}),
                ],
            ),
            [
                "node 'x' has no parameter 'trak'; its parameters are 'track', 'rate', 'scale' (did you mean 'track'?)",
                "parameter 'rate' of node 'x' has data and a value; give it one of them",
                "parameter 'rate' of node 'x' takes 'a b'; give the name of data, such as 'raw'",
                "argument 'scale' of 'y' has no JSON form: cannot encode a value of "
                "type object as json; give plain data, a dataclass or a pydantic model, or choose a serializer that "
                "carries it, or let a task produce it",
            ],
        ),
    ],
)
def test_what_does_not_fit_is_refused(make: Any, expected: list[str]) -> None:
    with pytest.raises(GraphError) as raised:
        make()
    assert raised.value.problems == tuple(expected)


def test_a_copy_has_names_and_values_of_its_own() -> None:
    for one in (audio(), Pipeline(broker, find).map(measure)):
        other = one.copy()
        other.rename({"folder": "path"}).bind(rate=1)
        assert "path" not in one.inputs
        assert "rate" in one.inputs
        assert "rate" not in other.inputs


@pytest.mark.parametrize(
    "use",
    [
        lambda task: Pipeline(broker, task),
        lambda task: Pipeline(broker).map(task),
        lambda task: Pipeline(broker).reduce(task, tree=True),
        lambda task: Pipeline(broker, find).always(task),
        lambda task: DataflowPipeline(broker).map(task, "xs"),
        lambda task: DataflowPipeline(broker).filter(task, "xs"),
        lambda task: DataflowRegistry().register_task(task, output="y"),
    ],
)
def test_a_named_task_says_where_it_can_stand(use: Any) -> None:
    with pytest.raises(GraphError, match="found NamedTask; name_task is for the tasks of a DataflowPipeline"):
        use(name_task(measure, "left"))
