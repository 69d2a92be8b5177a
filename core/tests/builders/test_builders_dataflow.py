"""Pipelines wired by name: from tasks and registries, maps, reductions, wanted outputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Union

import pytest
from taskiq import InMemoryBroker

from taskiq_flow.builders.dataflow import DataflowPipeline
from taskiq_flow.builders.pipeline import Pipeline
from taskiq_flow.errors import GraphError
from taskiq_flow.graph.model import Graph, Input, InputSpec, MapNode, NodeOptions, Output, TaskNode
from taskiq_flow.tasks.annotations import pipeline_task
from taskiq_flow.values.readings import read_inputs, reading_of
from taskiq_flow.wiring.registry import DataflowRegistry

broker = InMemoryBroker()


@broker.task
@pipeline_task(output="tracks")
async def list_tracks(folder: str) -> list[str]: ...


@broker.task
@pipeline_task(output="features", description="per track")
async def extract(track: str, rate: int = 22050, *, folder: str = ".") -> dict[str, int]: ...


@broker.task
@pipeline_task(outputs=["low", "high"])
def bounds(track: str) -> tuple[int, float]: ...


@broker.task
def summarise(rows: list[dict[str, int]], folder: str) -> dict[str, int]: ...


@broker.task
def by_name(title: str, features: list[dict[str, int]]) -> str: ...


@broker.task
def save(features: list[dict[str, int]]) -> None: ...


@broker.task
def rename(track: str) -> str: ...


@broker.task
def lonely() -> int: ...


@broker.task
def echo(track: str) -> None: ...


def pipeline(*tasks: Any, **more: Any) -> DataflowPipeline:
    return DataflowPipeline.from_tasks(broker, list(tasks), **more)


LIST_TRACKS = TaskNode(
    name="list_tracks", task=list_tracks.task_name, params={"folder": Input("folder")}, outputs=("tracks",)
)
EXTRACT_BODY = Graph(
    name="extract",
    nodes={
        "extract": TaskNode(
            name="extract",
            task=extract.task_name,
            params={"track": Input("track"), "rate": Input("rate"), "folder": Input("folder")},
            optional=frozenset({"rate", "folder"}),
            outputs=("features",),
            description="per track",
        )
    },
    inputs={
        "track": InputSpec(),
        "rate": InputSpec(required=False),
        "folder": InputSpec(required=False),
    },
    outputs={"features": Output("extract", "features")},
)


def test_map_and_reduce_are_whole_graphs() -> None:
    made = pipeline(list_tracks, name="music")
    made.map(extract, over="tracks", output="features", max_parallel=4, skip_errors=True)
    made.reduce(summarise, over="features", output="report").with_timeout(60).on_error("continue")
    assert made.graph == Graph(
        name="music",
        on_error="continue",
        timeout=60,
        nodes={
            "list_tracks": LIST_TRACKS,
            "extract": MapNode(
                name="extract",
                body=EXTRACT_BODY,
                items=Output("list_tracks", "tracks"),
                item="track",
                # The folder is there anyway, and goes to the default of its name; nobody has a rate.
                params={"folder": Input("folder")},
                optional=frozenset({"folder"}),
                outputs=("features",),
                collects=("features",),
                max_parallel=4,
                skip_errors=True,
                description="per track",
            ),
            "summarise": TaskNode(
                name="summarise",
                task=summarise.task_name,
                params={"rows": Output("extract", "features"), "folder": Input("folder")},
                outputs=("report",),
            ),
        },
        inputs={"folder": InputSpec()},
        outputs={
            "tracks": Output("list_tracks", "tracks"),
            "features": Output("extract", "features"),
            "report": Output("summarise", "report"),
        },
    )


def mapped(made: DataflowPipeline, name: str) -> MapNode:
    node = made.graph.nodes[name]
    assert isinstance(node, MapNode)
    return node


def test_a_map_over_an_input() -> None:
    made = DataflowPipeline(broker).map(extract, over="tracks", item_param="track")
    assert made.graph.inputs == {"tracks": InputSpec()}
    assert made.graph.inputs["tracks"].annotation == Union[list[str], dict[Any, str]]
    assert mapped(made, "extract").items == Input("tracks")


def test_the_item_goes_to_the_parameter_that_was_named() -> None:
    made = DataflowPipeline(broker).map(extract, over="rates", item_param="rate")
    assert mapped(made, "extract").item == "rate"
    assert made.graph.inputs == {"rates": InputSpec(), "track": InputSpec()}


def test_several_lists() -> None:
    every = mapped(pipeline(list_tracks).map(bounds, over="tracks"), "bounds")
    assert (every.outputs, every.collects) == (("low", "high"), ("low", "high"))
    renamed = mapped(pipeline(list_tracks).map(bounds, over="tracks", outputs=["lows", "highs"]), "bounds")
    assert (renamed.outputs, renamed.collects) == (("lows", "highs"), ("low", "high"))
    chosen = mapped(pipeline(list_tracks).map(bounds, over="tracks", output="high"), "bounds")
    assert (chosen.outputs, chosen.collects) == (("high",), ("high",))


def test_a_map_without_results() -> None:
    silent = mapped(pipeline(list_tracks).map(echo, over="tracks"), "echo")
    assert (silent.outputs, silent.collects) == ((), ())
    asked = mapped(pipeline(list_tracks).map(echo, over="tracks", output="done"), "echo")
    assert (asked.outputs, asked.collects) == (("done",), ("echo",))


def test_one_task_mapped_twice() -> None:
    made = (
        pipeline(list_tracks)
        .map(rename, over="tracks", output="once")
        .map(rename, over="once", output="twice")
    )
    assert list(made.graph.nodes) == ["list_tracks", "rename", "rename_2"]
    made.map(rename, over="twice", output="thrice", name="third")
    assert "third" in made.graph.nodes
    with pytest.raises(GraphError, match="node 'third' is registered already"):
        made.map(rename, over="twice", output="more", name="third")


def test_a_pipeline_as_the_body() -> None:
    inner = pipeline(extract, rename, name="each").with_retry(max_attempts=2).on_error("continue")
    made = pipeline(list_tracks).map(inner, over="tracks")
    inner.map(rename, over="more")  # too late to be seen
    node = mapped(made, "each")
    theirs = NodeOptions(retry={"max_attempts": 2}, on_error="continue")
    assert {name: each.options for name, each in node.body.nodes.items()} == {
        "extract": theirs,
        "rename": theirs,
    }
    assert (node.item, node.outputs, node.collects) == (
        "track",
        ("features", "rename"),
        ("features", "rename"),
    )
    # What it leaves at a default takes an input of that name, as a task would.
    assert node.params == {"folder": Input("folder")}
    assert node.optional == {"folder"}
    chained = mapped(
        pipeline(list_tracks).map(Pipeline(broker, rename).call_next(rename), over="tracks"), "map_tracks"
    )
    assert (chained.item, chained.outputs, chained.collects) == ("track", ("rename_2",), ("rename_2",))


def test_maps_in_maps() -> None:
    inner = DataflowPipeline(broker).map(rename, over="album", output="titles")
    made = DataflowPipeline(broker).map(inner, over="albums", output="all_titles")
    node = mapped(made, "map_albums")
    assert (node.item, node.items, node.outputs, node.collects) == (
        "album",
        Input("albums"),
        ("all_titles",),
        ("titles",),
    )
    assert (
        reading_of(made.graph, made.graph.outputs["all_titles"], read_inputs(made.graph, {})).annotation
        == list[list[str]]
    )
    titles = Union[list[str], dict[Any, str]]
    # What is said twice at each level would double with each level, so dictionaries of lists say nothing more.
    assert made.graph.inputs["albums"].annotation == Union[list[titles], dict]  # type: ignore[comparison-overlap]


REDUCED: list[tuple[str, Callable[[DataflowPipeline], DataflowPipeline], dict[str, Any]]] = [
    ("first", lambda made: made.reduce(summarise, over="features"), {"rows": "features", "folder": "folder"}),
    (
        "its name",
        lambda made: made.reduce(by_name, over="features"),
        {"title": "title", "features": "features"},
    ),
    (
        "named",
        lambda made: made.reduce(by_name, over="tracks", param_name="title"),
        {"title": "tracks", "features": "features"},
    ),
]


@pytest.mark.parametrize(("reduce", "params"), [row[1:] for row in REDUCED], ids=[row[0] for row in REDUCED])
def test_the_parameter_that_takes_the_list(
    reduce: Callable[[DataflowPipeline], DataflowPipeline], params: dict[str, str]
) -> None:
    made = reduce(DataflowPipeline(broker))
    (node,) = made.graph.nodes.values()
    assert node.params == {parameter: Input(data) for parameter, data in params.items()}


def test_only_what_is_wanted() -> None:
    made = pipeline(list_tracks, save, lonely, outputs=["tracks"])
    assert list(made.graph.nodes) == ["list_tracks"]
    assert made.graph.outputs == {"tracks": Output("list_tracks", "tracks")}
    everything = pipeline(list_tracks, save, lonely)
    assert list(everything.graph.nodes) == ["list_tracks", "save", "lonely"]
    assert list(everything.graph.outputs) == ["tracks", "lonely"]


def test_retries_reach_the_bodies_but_not_over_what_tasks_say() -> None:
    @broker.task(max_retries=7)
    def stubborn(track: str) -> str: ...

    made = pipeline(list_tracks).map(stubborn, over="tracks").map(rename, over="tracks")
    made.with_retry(max_attempts=3, delay=1.0, backoff=1.5)
    ours = NodeOptions(retry={"max_attempts": 3, "delay": 1.0, "backoff": 1.5})
    assert made.graph.nodes["list_tracks"].options == ours
    assert mapped(made, "stubborn").body.nodes["stubborn"].options.retry == {"max_retries": 7}
    assert mapped(made, "rename").body.nodes["rename"].options == ours


def test_from_a_registry() -> None:
    registry = (
        DataflowRegistry().register_task(list_tracks).register_task(rename, inputs=["title"], output="name")
    )
    made = DataflowPipeline.from_registry(broker, registry, outputs=["name"], name="renames")
    made.map(rename, over="names", output="more")
    registry.register_task(lonely)
    assert set(registry.tasks) == {"list_tracks", "rename", "lonely"}
    assert list(made.graph.nodes) == ["rename"]
    assert made.graph.nodes["rename"].params == {"track": Input("title")}
    assert made.graph.name == "renames"
    whole = DataflowPipeline.from_registry(broker, registry)
    assert list(whole.graph.nodes) == ["list_tracks", "rename", "lonely"]


def test_a_compiled_graph_is_kept_until_the_next_change() -> None:
    made = pipeline(list_tracks)
    first = made.graph
    assert made.graph is first
    assert made.map(rename, over="tracks") is made
    assert list(first.nodes) == ["list_tracks"]
    assert list(made.graph.nodes) == ["list_tracks", "rename"]


other_broker = InMemoryBroker()


@other_broker.task
def foreign(track: str) -> str: ...


FOREIGN = (
    f"task {foreign.task_name!r} belongs to another broker than the pipeline; decorate it with the pipeline's broker, "
    "or make it a shared task"
)

PROBLEMS: list[tuple[str, Callable[[], Any], list[str]]] = [
    ("empty", lambda: pipeline().graph, ["there is no task to build a graph of; register one first"]),
    (
        "one task",
        lambda: DataflowPipeline.from_tasks(broker, list_tracks),  # type: ignore[arg-type]
        ["expected a list of tasks, found AsyncTaskiqDecoratedTask; put the tasks into a list"],
    ),
    (
        "all wrong tasks",
        lambda: pipeline(list_tracks, len, list_tracks, 5),
        [
            "'len' is a plain function; decorate it with @broker.task first",
            "node 'list_tracks' is registered already; "
            "give the other place of the task a name of its own with name=...",
            "expected a task, found int",
        ],
    ),
    ("another broker", lambda: pipeline(foreign).map(foreign, over="tracks").graph, [FOREIGN, FOREIGN]),
    (
        "a pipeline of another broker",
        lambda: (
            pipeline(list_tracks)
            .map(DataflowPipeline.from_tasks(other_broker, [foreign]), over="tracks", output="x")
            .graph
        ),
        ["the pipeline for the items of 'tracks' has another broker; give both the same"],
    ),
    (
        "item_param",
        lambda: pipeline().map(extract, over="tracks", item_param="trak"),
        [
            "task 'extract' has no parameter 'trak' for the item; it takes 'track', 'rate', 'folder' "
            "(did you mean 'track'?)"
        ],
    ),
    (
        "no parameter",
        lambda: pipeline().map(lonely, over="tracks"),
        ["task 'lonely' has no parameter that could take an item of 'tracks'; give it one"],
    ),
    (
        "no parameter for the list",
        lambda: pipeline().reduce(lonely, over="tracks"),
        ["task 'lonely' has no parameter that could take 'tracks'; give it one"],
    ),
    (
        "param_name",
        lambda: pipeline().reduce(summarise, over="tracks", param_name="row"),
        [
            "task 'summarise' has no parameter 'row' for the list; its parameters are 'rows', 'folder' "
            "(did you mean 'rows'?)"
        ],
    ),
    (
        "which input of a pipeline",
        lambda: pipeline().map(pipeline(summarise), over="tables"),
        [
            "the pipeline for the items of 'tables' has the inputs 'rows', 'folder'; "
            "say with item_param which one takes the item"
        ],
    ),
    (
        "outputs that do not fit",
        lambda: pipeline().map(bounds, over="tracks", output="all"),
        [
            "map 'bounds' shall produce 'all', but its body produces 'low', 'high'; "
            "give one name for each of these, or choose among them"
        ],
    ),
    ("over", lambda: pipeline().map(rename, over=lonely), [f"over is {lonely!r}; give the name of the list"]),  # type: ignore[arg-type]
    (
        "a time limit inside",
        lambda: pipeline().map(pipeline(rename).with_timeout(3), over="tracks"),
        [
            "the pipeline for the items of 'tracks' has a time limit, which holds for runs and not for items; "
            "set it on the outer pipeline, or set the timeout of its tasks"
        ],
    ),
    (
        "wanted",
        lambda: pipeline(list_tracks, outputs=["track"]).graph,
        ["output 'track' is wanted, which no node produces (did you mean 'tracks'?)"],
    ),
    (
        "types",
        lambda: pipeline(list_tracks).map(bounds, over="tracks").map(rename, over="low", output="x").graph,
        [
            "input 'track' of the body of map 'rename' takes str, but the items come from 'low' of node 'bounds', "
            "which is list[int]; make the annotations agree, or convert in between"
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


def test_thousands_of_maps_are_linear() -> None:
    made = DataflowPipeline(broker)
    for number in range(2_000):
        made.map(rename, over=f"names_{number}", output=f"names_{number + 1}")
    assert len(made.graph.nodes) == 2_000
    assert list(made.graph.inputs) == ["names_0"]


def test_drawings() -> None:
    made = pipeline(list_tracks)
    assert "list_tracks" in made.render("text")
    assert made.visualize() == made.render("mermaid")
