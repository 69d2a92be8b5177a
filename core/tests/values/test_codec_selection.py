"""Who says which serializer writes a value: the task, the pipeline, the flow; and what else is configured of values."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

import pool_tasks_of_values as pool
from carried_values import Codecs, Listening, Shelf, Shelves
from taskiq_flow import DataflowPipeline, Flow, GraphError, MemoryStore, Pipeline, PluginError, pipeline_task
from taskiq_flow.errors import PayloadError
from taskiq_flow.hookspecs import hookimpl
from taskiq_flow.machine.events import CellSucceeded
from taskiq_flow.payloads import Payload, Value
from taskiq_flow.plugins import FlowConfig
from taskiq_flow.plugins.value_settings import read_values
from taskiq_flow.serializer import Serializer
from taskiq_flow.serializers.json import JsonSerializer
from taskiq_flow.stores.external_blobs import StoreWithBlobs
from taskiq_flow.testing import FakeClock
from taskiq_flow.values.claim_checks import ClaimChecks
from taskiq_flow.values.sizes import describe_size, parse_size


class Red(JsonSerializer):
    """Writes JSON under another name."""

    name: ClassVar[str] = "red"


class Blue(JsonSerializer):
    """And another."""

    name: ClassVar[str] = "blue"


class Broken(JsonSerializer):
    """Cannot be made here."""

    name: ClassVar[str] = "broken"

    def __init__(self) -> None:
        raise PayloadError("it needs a key")


class Colours:
    """A plugin that offers them."""

    @hookimpl
    def flow_register_serializers(self) -> Iterable[type[Serializer]]:
        return [Red, Blue, Broken]


class Tasks:
    """The tasks of one broker."""

    def __init__(self, broker: Listening) -> None:
        @broker.task
        async def plain(value: int) -> int:
            return value

        @broker.task(serializer="red")
        def red(value: int) -> int:
            return value

        @broker.task
        async def listed(value: int) -> list[int]:
            return [value, value]

        self.plain, self.red, self.listed = plain, red, listed


def ids(values: Mapping[str, Value] | Iterable[Value]) -> list[str]:
    found = values.values() if isinstance(values, Mapping) else values
    return [value.serializer for value in found if isinstance(value, Payload)]


async def written(pipeline: Any, *args: Any, **inputs: Any) -> dict[str, str]:
    """Run it, and give the ids of the inputs and of each cell's output."""
    handle = await pipeline.kiq(*args, **inputs)
    await handle.result(timeout=20)
    flow = Flow.of(pipeline.broker)
    record = await flow.store.runs.get(handle.id)
    found = {f"input {name}": ids([value])[0] for name, value in record.inputs.items()}
    for event in await flow.store.log.read(handle.id):
        if isinstance(event, CellSucceeded):
            found[event.cell] = ids(event.outputs)[0]
    return found


async def test_the_task_goes_over_the_pipeline_and_that_over_the_flow() -> None:
    broker = Listening()
    Flow(broker, plugins=[Colours()])
    tasks = Tasks(broker)
    pipeline = Pipeline(broker, tasks.plain).call_next(tasks.red).call_next(tasks.listed).map(tasks.plain)
    names = ["input value", "plain", "red", "listed", "plain_2[0]/plain", "plain_2[1]/plain"]

    assert await written(pipeline, 1) == dict(
        zip(names, ["json", "json", "red", "json", "json", "json"], strict=True)
    )
    pipeline.with_serializer("blue")
    assert await written(pipeline, 1) == dict(
        zip(names, ["blue", "blue", "red", "blue", "blue", "blue"], strict=True)
    )
    pipeline.with_serializer(None)
    assert (await written(pipeline, 1))["plain"] == "json"


async def test_the_flow_says_it_for_all_that_say_nothing() -> None:
    broker = Listening()
    Flow(broker, plugins=[Colours()], serializer="blue")
    tasks = Tasks(broker)
    assert await written(Pipeline(broker, tasks.plain).call_next(tasks.red), 1) == {
        "input value": "blue",
        "plain": "blue",
        "red": "red",
    }


async def test_a_pipeline_that_is_a_step_keeps_its_own() -> None:
    broker = Listening()
    Flow(broker, plugins=[Colours()])
    tasks = Tasks(broker)
    inner = Pipeline(broker, tasks.plain).with_serializer("red")
    outer = Pipeline(broker, tasks.plain).call_next(inner).call_next(tasks.plain).with_serializer("blue")
    found = await written(outer, 1)
    assert found == {"input value": "blue", "plain": "blue", "plain_2": "red", "plain_3": "blue"}


async def test_a_kicker_says_it_for_one_place() -> None:
    broker = Listening()
    Flow(broker, plugins=[Colours()])
    tasks = Tasks(broker)
    kicker = tasks.plain.kicker().with_labels(serializer="blue")
    pipeline = Pipeline(broker, tasks.plain).call_next(kicker)
    assert await written(pipeline, 1) == {"input value": "json", "plain": "json", "plain_2": "blue"}
    assert "serializer" not in pipeline.graph.nodes["plain_2"].options.labels


async def test_a_dataflow_says_it_the_same_way() -> None:
    broker = Listening()
    Flow(broker, plugins=[Colours()])

    @broker.task
    @pipeline_task(output="numbers")
    async def numbers(count: int) -> list[int]:
        return list(range(count))

    @broker.task(serializer="red")
    @pipeline_task(output="half")
    async def half(number: int) -> float:
        return number / 2

    @broker.task
    @pipeline_task(output="doubled")
    async def double(number: int) -> int:
        return number * 2

    pipeline = (
        DataflowPipeline.from_tasks(broker, [numbers])
        .map(half, over="numbers", output="halves")
        .map(double, over="numbers", output="doubles")
        .with_serializer("blue")
    )
    found = await written(pipeline, count=1)
    assert sorted(found.values()) == ["blue", "blue", "blue", "red"]
    assert found["input count"] == "blue"


async def test_processes_write_what_is_chosen() -> None:
    broker = Listening()
    Flow(broker, plugins=[Colours()], processes=1, codecs=[pool.Reversed()], claim_check="4KiB")
    grow = broker.task("grow", serializer="red")(pool.grow)
    where = broker.task("where")(pool.where)
    pipeline = Pipeline(broker, grow).call_next(where)
    handle = await pipeline.kiq("abcdef")
    pid, length = await handle.result(timeout=50)
    assert pid != os.getpid()
    assert length == 6000
    await broker.shutdown()


async def test_names_that_do_not_exist_are_refused_at_submit_with_their_nodes() -> None:
    broker = Listening()
    Flow(broker, plugins=[Colours()])
    tasks = Tasks(broker)
    pipeline = Pipeline(broker, tasks.plain).call_next(tasks.red).call_next(tasks.plain)
    with pytest.raises(PluginError) as caught:
        await pipeline.with_serializer("bleu").kiq(1)
    assert str(caught.value).startswith("nodes 'plain', 'plain_2': no serializer 'bleu'; there are ")
    assert str(caught.value).endswith("(did you mean 'blue'?)")


async def test_a_serializer_that_cannot_be_made_is_refused_at_submit() -> None:
    broker = Listening()
    flow = Flow(broker, plugins=[Colours()])
    tasks = Tasks(broker)
    with pytest.raises(
        PluginError, match=r"^nodes 'plain': serializer 'broken' cannot be used: it needs a key$"
    ):
        await Pipeline(broker, tasks.plain).with_serializer("broken").kiq(1)
    with pytest.raises(PluginError, match=r"no serializer 'rde'.*did you mean 'red'"):
        await flow.submit(Pipeline(broker, tasks.plain).graph, {"value": 1}, serializer="rde")
    assert await flow.store.runs.list() == []


@pytest.mark.parametrize("name", ["", 3, ["json"]])
def test_what_is_no_name_is_refused_where_it_is_said(name: Any) -> None:
    broker = Listening()
    Flow(broker)
    with pytest.raises(GraphError, match=r"serializer is .*; give the name of one, such as 'json'"):
        Pipeline(broker).with_serializer(name)
    with pytest.raises(GraphError, match=r"serializer is .*; give the name of one, such as 'json'"):

        @broker.task(serializer=name)
        async def task() -> None: ...


# What is configured


def load(
    tmp_path: Path, text: str = "", environment: Mapping[str, str] | None = None, **given: Any
) -> FlowConfig:
    (tmp_path / "pyproject.toml").write_text(f"[tool.taskiq-flow]\n{text}", encoding="utf-8")
    return FlowConfig.load(environment=environment or {}, directory=tmp_path, **given)


def test_what_is_said_of_values_and_by_whom(tmp_path: Path) -> None:
    nothing = load(tmp_path)
    assert (nothing.codecs, nothing.claim_check, nothing.blobs) == ((), 256 * 1024, None)
    assert nothing.max_value_bytes == 256 * 1024 * 1024
    text = 'codecs = ["zstd"]\nclaim_check = "1MiB"\nblobs = "s3://b"\nmax_value_bytes = "none"'
    file = load(tmp_path, text)
    assert (file.codecs, file.claim_check, file.blobs) == (("zstd",), 1 << 20, "s3://b")
    assert file.max_value_bytes is None
    environment = {
        "TASKIQ_FLOW_CODECS": "zstd, encrypted",
        "TASKIQ_FLOW_CLAIM_CHECK": "none",
        "TASKIQ_FLOW_BLOBS": "file:///tmp/b",
        "TASKIQ_FLOW_MAX_VALUE_BYTES": "1000",
    }
    variables = load(tmp_path, text, environment)
    assert (variables.codecs, variables.claim_check) == (("zstd", "encrypted"), None)
    assert (variables.blobs, variables.max_value_bytes) == ("file:///tmp/b", 1000)
    given = load(tmp_path, text, environment, codecs=[], claim_check=4096, max_value_bytes="8 KiB")
    assert (given.codecs, given.claim_check, given.max_value_bytes) == ((), 4096, 8192)
    assert given.sources["claim_check"] == "argument"
    assert load(tmp_path, text, {"TASKIQ_FLOW_CODECS": ""}).codecs == ()


def test_every_mistake_about_values_is_told(tmp_path: Path) -> None:
    text = 'codecs = "zstd"\nclaim_check = -1\nblobs = 3\nmax_value_bytes = "much"'
    with pytest.raises(PluginError) as caught:
        load(tmp_path, text)
    assert str(caught.value).endswith(
        "cannot be used: 'codecs' must be a list of names, found 'zstd'; "
        "'claim_check' must be a number of bytes, such as 262144 or '256KiB', or 'none', found -1; "
        "'blobs' must be a URL, found 3; "
        "'max_value_bytes' must be a number of bytes, such as 262144 or '256KiB', or 'none', found 'much'"
    )
    with pytest.raises(PluginError, match=r"found '5x' \(environment\); .*found True \(argument\)"):
        load(tmp_path, environment={"TASKIQ_FLOW_CLAIM_CHECK": "5x"}, max_value_bytes=True)


def test_a_threshold_that_no_value_can_reach_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PluginError) as caught:
        load(tmp_path, 'claim_check = "1MiB"', {"TASKIQ_FLOW_MAX_VALUE_BYTES": "1000"})
    assert str(caught.value) == (
        f"'claim_check' is 1.0 MiB ({tmp_path / 'pyproject.toml'}) and 'max_value_bytes' is 1000 B (environment), so "
        "no value could ever become a blob; lower the first, raise the second, or say 'none' to keep no blobs"
    )
    with pytest.raises(PluginError, match=r"'max_value_bytes' is 256.0 MiB \(default\)"):
        load(tmp_path, claim_check="1GiB")
    for fine in ({"max_value_bytes": 1000}, {"claim_check": "1GiB", "max_value_bytes": "none"}):
        load(tmp_path, **fine)
    load(tmp_path, claim_check=5000, max_value_bytes=5000)


@pytest.mark.parametrize("size", [0, "1KiB", 4095])
def test_a_threshold_below_what_guards_rely_on_is_refused_with_who_said_it(
    tmp_path: Path, size: int | str
) -> None:
    wrong = (
        "'claim_check' must be at least 4.0 KiB, because no shorter value becomes a blob, or 'none', found "
    )
    with pytest.raises(PluginError) as caught:
        load(tmp_path, claim_check=size)
    assert str(caught.value) == f"{wrong}{size!r} (argument)"
    with pytest.raises(PluginError) as caught:
        load(tmp_path, environment={"TASKIQ_FLOW_CLAIM_CHECK": str(size)})
    assert str(caught.value) == f"{wrong}{str(size)!r} (environment)"
    with pytest.raises(PluginError) as caught:
        load(tmp_path, f"claim_check = {json.dumps(size)}")
    path = tmp_path / "pyproject.toml"
    assert str(caught.value) == f"[tool.taskiq-flow] of {path} cannot be used: {wrong}{size!r}"
    with pytest.raises(PluginError, match=r"must be at least 4\.0 KiB"):
        Flow(Listening(), claim_check=size)


@pytest.mark.parametrize("size", [4096, "4KiB", "4097"])
def test_the_least_threshold_is_allowed(tmp_path: Path, size: int | str) -> None:
    assert load(tmp_path, claim_check=size).claim_check in (4096, 4097)
    assert load(tmp_path, f"claim_check = {json.dumps(size)}").claim_check in (4096, 4097)


def test_nothing_makes_blobs_of_short_values() -> None:
    ClaimChecks(MemoryStore(), FakeClock(), None)
    checks = ClaimChecks(MemoryStore(), FakeClock(), 4096)
    assert [checks.is_large(Payload("json", b"x" * size)) for size in (4096, 4097)] == [False, True]
    with pytest.raises(ValueError, match=r"^the threshold of blobs must be at least 4.0 KiB.*, found 4095$"):
        ClaimChecks(MemoryStore(), FakeClock(), 4095)


def test_a_flow_takes_what_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKIQ_FLOW_CODECS", "shorter,masked")
    monkeypatch.setenv("TASKIQ_FLOW_CLAIM_CHECK", "8KiB")
    monkeypatch.setenv("TASKIQ_FLOW_BLOBS", "shelf://somewhere")
    monkeypatch.setenv("TASKIQ_FLOW_MAX_VALUE_BYTES", "1 MiB")
    plugins = [Codecs(), Shelves()]
    flow = Flow(Listening(), plugins=plugins)
    assert flow.codec.codecs == ("shorter", "masked")
    assert flow.claim_checks.threshold == 8192
    assert flow.codec.max_value_bytes == 1 << 20
    assert isinstance(flow.store, StoreWithBlobs)
    assert isinstance(flow.store.place, Shelf)
    assert flow.store.place.url == "shelf://somewhere"
    other = Flow(
        Listening(), plugins=plugins, codecs=[], claim_check=None, blobs=Shelf(), max_value_bytes=None
    )
    assert (other.codec.codecs, other.claim_checks.threshold, other.codec.max_value_bytes) == ((), None, None)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1000", 1000),
        ("1b", 1),
        ("256KiB", 1 << 18),
        (" 2 MiB ", 2 << 20),
        ("1gib", 1 << 30),
        ("1.5KiB", 1536),
        ("1KB", 1000),
    ],
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "KiB", "-1", "1 KiB 3", "256,000", "1.000.000", "8kbit", "1XB", "1ib", "ten"]
)
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a number of bytes, such as 262144 or 256KiB"):
        parse_size(text)
    with pytest.raises(
        PluginError, match="must be a number of bytes, such as 262144 or '256KiB', or 'none', found "
    ):
        read_values({"claim_check": text}, {"claim_check": "a test"})


def test_sizes_are_shown() -> None:
    assert [describe_size(size) for size in (0, 1023, 1024, 1536, 5 << 20, 3 << 30)] == [
        "0 B",
        "1023 B",
        "1.0 KiB",
        "1.5 KiB",
        "5.0 MiB",
        "3.0 GiB",
    ]
