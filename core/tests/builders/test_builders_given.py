"""What a run may be given beside the inputs of its graph: defaults, and data that a task would produce."""

from __future__ import annotations

from typing import Any

import pytest
from taskiq import InMemoryBroker

from taskiq_flow import DataflowPipeline, DataflowRegistry, GraphError, Pipeline, pipeline_task
from taskiq_flow.graph import Graph, render
from taskiq_flow.wiring.restoring import restore_annotations


class Tasks:
    """The tasks of one broker, and what they were called with."""

    def __init__(self, broker: InMemoryBroker) -> None:
        self.broker = broker
        self.calls: list[str] = []

        @broker.task
        @pipeline_task(output="tracks")
        async def find(folder: str, limit: int = 2) -> list[str]:
            self.calls.append("find")
            return [f"{folder}{number}" for number in range(limit)]

        @broker.task
        @pipeline_task(output="features")
        def extract(tracks: list[str], rate: int = 8) -> list[str]:
            self.calls.append("extract")
            return [f"{track}@{rate}" for track in tracks]

        @broker.task
        def measure(track: str, rate: int = 8, *, scale: float = 1) -> float:
            return len(track) * rate * scale

        @broker.task
        @pipeline_task(outputs=["low", "high"])
        def span(features: list[str]) -> tuple[str, str]:
            self.calls.append("span")
            return features[0], features[-1]

        @broker.task
        @pipeline_task(output="report")
        def report(low: str, high: str, title: str = "span", rate: int = 0) -> str:
            self.calls.append("report")
            return f"{title}({rate}): {low}-{high}"

        @broker.task
        async def note(tracks: list[str]) -> None:
            self.calls.append(f"note {len(tracks)}")

        self.find, self.extract, self.measure = find, extract, measure
        self.span, self.report, self.note = span, report, note

    def pipeline(self, *, outputs: list[str] | None = None) -> DataflowPipeline:
        tasks = [self.find, self.extract, self.span, self.report]
        return DataflowPipeline.from_tasks(self.broker, tasks, outputs=outputs, name="audio")

    def chain(self) -> Pipeline[Any, Any]:
        return Pipeline(self.broker, self.find).map(self.measure)


pytestmark = pytest.mark.usefixtures("way")


@pytest.fixture
def tasks() -> Tasks:
    return Tasks(InMemoryBroker())


async def test_a_default_can_be_given_and_goes_to_every_task_with_a_parameter_of_its_name(
    tasks: Tasks,
) -> None:
    pipeline = tasks.pipeline(outputs=["report"])
    assert await pipeline.kiq_dataflow(folder="a") == {"report": "span(0): a0@8-a1@8"}
    assert await pipeline.kiq_dataflow(folder="a", rate=3, limit=1) == {"report": "span(3): a0@3-a0@3"}
    assert await pipeline.kiq_dataflow(folder="a", title="all") == {"report": "all(0): a0@8-a1@8"}


def test_defaults_that_are_not_given_are_no_part_of_the_graph(tasks: Tasks) -> None:
    pipeline = tasks.pipeline()
    graph = pipeline.graph
    assert list(graph.inputs) == ["folder"]
    assert {name: spec.required for name, spec in pipeline.inputs.items()} == {
        "folder": True, "limit": False, "rate": False, "title": False,
    }  # fmt: skip
    assert pipeline.inputs["rate"].annotation is int
    assert Graph.from_json(graph.to_json()) == graph
    assert "rate" not in graph.to_json()
    assert "rate" not in render(graph, "text")
    assert pipeline.graph_given(["folder"]) is graph
    given = pipeline.graph_given(["folder", "rate"])
    assert {name: spec.required for name, spec in given.inputs.items()} == {"folder": True, "rate": False}
    assert "rate  (optional)" in render(given, "text")
    assert pipeline.graph_given(["rate", "folder"]) is given
    assert Graph.from_json(given.to_json()).digest == given.digest != graph.digest


def test_given_inputs_have_annotations_after_they_were_stored(tasks: Tasks) -> None:
    given = tasks.pipeline().graph_given(["rate", "tracks"])
    assert (given.inputs["rate"].annotation, given.inputs["tracks"].annotation) == (int, list[str])
    restored = restore_annotations(Graph.from_json(given.to_json()), tasks.broker)
    assert (restored.inputs["rate"].annotation, restored.inputs["tracks"].annotation) == (int, list[str])


async def test_a_default_in_the_body_of_a_map_can_be_given(tasks: Tasks) -> None:
    pipeline = DataflowPipeline.from_tasks(tasks.broker, [tasks.find])
    pipeline.map(tasks.measure, over="tracks", output="sizes")
    assert (await pipeline.kiq_dataflow(folder="a"))["sizes"] == [16, 16]
    assert (await pipeline.kiq_dataflow(folder="a", rate=2, scale=0.5))["sizes"] == [2, 2]


async def test_a_default_inside_a_pipeline_that_is_mapped_can_be_given(tasks: Tasks) -> None:
    inner = DataflowPipeline.from_tasks(tasks.broker, [tasks.find], outputs=["sizes"])
    inner.map(tasks.measure, over="tracks", output="sizes")
    outer = DataflowPipeline(tasks.broker).map(inner, over="folders", output="all")
    assert await outer.kiq_dataflow(folders=["a", "b"]) == {"all": [[16, 16], [16, 16]]}
    assert await outer.kiq_dataflow(folders=["a", "bc"], limit=1, rate=1) == {"all": [[2], [3]]}
    assert list(outer.inputs) == ["folders", "limit", "rate", "scale"]


async def test_defaults_of_later_steps_can_be_given(tasks: Tasks) -> None:
    chain = Pipeline(tasks.broker, tasks.find).map(tasks.measure)
    assert list(chain.inputs) == ["folder", "limit", "rate", "scale"]
    assert await (await chain.kiq("a", 1)).result() == [16]
    assert await (await chain.kiq("a", 1, rate=1, scale=0.5)).result() == [1.0]  # type: ignore[call-arg]


async def test_an_input_of_the_first_step_stays_its_own(tasks: Tasks) -> None:
    @tasks.broker.task
    def cut(tracks: list[str], limit: int = 1) -> list[str]:
        return tracks[:limit]

    chain = Pipeline(tasks.broker, tasks.find).call_next(cut)
    assert await (await chain.kiq("a", limit=3)).result() == ["a0"]
    assert await (await Pipeline(tasks.broker, tasks.find).call_next(cut, limit=2).kiq("a", limit=3)).result() == [
        "a0", "a1",
    ]  # fmt: skip


async def test_what_only_given_data_needs_is_not_run(tasks: Tasks) -> None:
    pipeline = tasks.pipeline()
    assert await pipeline.kiq_dataflow(features=["x", "y"]) == {
        "features": ["x", "y"], "low": "x", "high": "y", "report": "span(0): x-y",
    }  # fmt: skip
    assert tasks.calls == ["span", "report"]


async def test_what_something_else_needs_is_run(tasks: Tasks) -> None:
    pipeline = DataflowPipeline.from_tasks(tasks.broker, [tasks.find, tasks.extract, tasks.span, tasks.note])
    found = await pipeline.kiq_dataflow(folder="a", features=["x"])
    assert found == {"tracks": ["a0", "a1"], "features": ["x"], "low": "x", "high": "x"}
    assert sorted(tasks.calls) == ["find", "note 2", "span"]


async def test_wanted_outputs_are_produced_whatever_is_given(tasks: Tasks) -> None:
    pipeline = tasks.pipeline(outputs=["tracks", "report"])
    found = await pipeline.kiq_dataflow(folder="a", low="l", high="h")
    assert found == {"tracks": ["a0", "a1"], "report": "span(0): l-h"}
    assert sorted(tasks.calls) == ["find", "report"]


async def test_one_of_several_outputs_can_be_given(tasks: Tasks) -> None:
    found = await tasks.pipeline(outputs=["report"]).kiq_dataflow(folder="a", low="l")
    assert found == {"report": "span(0): l-a1@8"}
    everything = await tasks.pipeline().kiq_dataflow(folder="a", low="l")
    assert everything.keys() == {"tracks", "features", "low", "high", "report"}
    assert everything["low"] == "l"


async def test_given_inputs_that_nothing_needs_any_more_are_no_error(tasks: Tasks) -> None:
    found = await tasks.pipeline(outputs=["report"]).kiq_dataflow(
        folder="a", rate=1, tracks=[], low="l", high="h"
    )
    assert found == {"report": "span(1): l-h"}
    assert await tasks.pipeline(outputs=["report"]).kiq_dataflow(report="done") == {"report": "done"}


async def test_the_value_of_a_step_can_be_given(tasks: Tasks) -> None:
    chain = Pipeline(tasks.broker, tasks.find).call_after(tasks.note, "tracks").call_next(tasks.extract)
    chain = chain.call_next(tasks.span)
    handle = await chain.kiq(extract=["x", "y"])  # type: ignore[call-arg]
    assert await handle.result() == ("x", "y")
    assert tasks.calls == ["span"]
    tasks.calls.clear()
    assert await (await chain.kiq(find=["b"])).result() == ("b@8", "b@8")  # type: ignore[call-arg]
    assert tasks.calls == ["note 1", "extract", "span"]


async def test_a_given_side_of_a_branch_is_the_value(tasks: Tasks) -> None:
    @tasks.broker.task
    async def many(tracks: list[str]) -> bool:
        return len(tracks) > 1

    @tasks.broker.task
    async def first(tracks: list[str]) -> str:
        return tracks[0]

    @tasks.broker.task
    async def none(tracks: list[str]) -> str:
        return "none"

    chain = Pipeline(tasks.broker, tasks.find).branch(many, first, none)
    assert await (await chain.kiq(result="joined")).result() == "joined"  # type: ignore[call-arg]
    assert not chain.graph_given(["result"]).nodes
    assert list(chain.graph_given(["many"]).nodes) == ["find", "first", "none"]
    assert await (await chain.kiq("a", many=False)).result() == "none"  # type: ignore[call-arg]
    assert await (await chain.kiq("a", first="given")).result() == "given"  # type: ignore[call-arg]
    assert await (await chain.kiq("a", 1)).result() == "none"


async def test_a_registered_task_has_defaults_that_can_be_given(tasks: Tasks) -> None:
    registry = DataflowRegistry().register_task(tasks.measure, output="size", inputs=["name"])
    pipeline = DataflowPipeline.from_registry(tasks.broker, registry)
    assert await pipeline.kiq_dataflow(name="abc", scale=2) == {"size": 48}


async def test_unknown_inputs_are_refused_with_everything_that_can_be_given(tasks: Tasks) -> None:
    with pytest.raises(GraphError) as raised:
        await tasks.pipeline().kiq_dataflow(folder="a", rat=3)
    assert (
        str(raised.value) == "pipeline 'audio' has no input 'rat'; it takes 'folder' (did you mean 'rate'?)"
    )
    with pytest.raises(GraphError, match=r"has no input 'fetures'.*did you mean 'features'") as raised:
        await tasks.pipeline().kiq_dataflow(folder="a", fetures=[])
    with pytest.raises(GraphError) as raised:
        await tasks.pipeline().kiq_dataflow(tracks=[], nothing=1)
    assert str(raised.value) == "pipeline 'audio' has no input 'nothing'; it takes 'tracks'"
    with pytest.raises(GraphError, match="'folder' of pipeline 'audio' is missing"):
        await tasks.pipeline().kiq_dataflow(rate=3)


async def test_a_name_of_a_step_and_of_a_default_is_refused(tasks: Tasks) -> None:
    @tasks.broker.task
    async def rate(tracks: list[str]) -> list[str]:
        return tracks

    chain = Pipeline(tasks.broker, tasks.find).call_next(rate).call_next(tasks.extract)
    with pytest.raises(GraphError) as raised:
        await chain.kiq("a", rate=3)  # type: ignore[call-arg]
    assert str(raised.value) == (
        "'rate' is what a step produces, and also a parameter of node 'extract' that is left at its default; "
        "give that parameter its value where the pipeline is built"
    )


async def test_a_value_that_does_not_fit_fails_the_cell_and_names_the_parameter(tasks: Tasks) -> None:
    handle = await tasks.pipeline().kiq(folder="a", rate="fast")
    failures = (await handle.wait_result()).error
    assert "rate" in str(failures)
