"""Runs whose values travel in each of the formats, through maps, filters, branches and other processes."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from taskiq_flow import Flow, PayloadError, Pipeline
from taskiq_flow_serializers.pickle import KEY_VARIABLE

pytestmark = pytest.mark.timeout(90)

CARRY_ANYTHING = ["msgpack", "cbor", "numpy", "arrow", "pickle"]


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module of the tasks, as fresh as other processes find it."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.setenv(KEY_VARIABLE, "a key for the tests of runs")
    sys.modules.pop("serializer_tasks", None)
    yield importlib.import_module("serializer_tasks")
    sys.modules.pop("serializer_tasks", None)


async def value_of(pipeline: Pipeline[Any, Any], *arguments: Any) -> Any:
    return await (await pipeline.kiq(*arguments)).result(timeout=60)


@pytest.mark.parametrize("serializer", CARRY_ANYTHING)
async def test_models_go_through_maps_and_filters(tasks: Any, serializer: str) -> None:
    Flow(tasks.broker, serializer=serializer)
    pipeline = (
        Pipeline(tasks.broker, tasks.people).map(tasks.stamped).filter(tasks.wanted).call_next(tasks.names)
    )
    assert await value_of(pipeline, 4) == ["p0", "p2", "p3"]


async def test_arrays_go_through_maps_filters_and_branches(tasks: Any) -> None:
    Flow(tasks.broker, serializer="numpy")
    pipeline = (
        Pipeline(tasks.broker, tasks.matrix)
        .map(tasks.scaled)
        .filter(tasks.large)
        .call_next(tasks.total)
        .branch(tasks.positive, tasks.yes, tasks.no)
    )
    assert await value_of(pipeline, 3) == "yes 28.0"
    assert await value_of(pipeline, 0) == "no 0.0"


async def test_tables_travel(tasks: Any) -> None:
    Flow(tasks.broker, serializer="arrow")
    pipeline = Pipeline(tasks.broker, tasks.table).call_next(tasks.longer).call_next(tasks.rows)
    assert await value_of(pipeline, 5) == 10


async def test_formats_meet_in_one_run(tasks: Any) -> None:
    Flow(tasks.broker)
    pipeline = Pipeline(tasks.broker, tasks.matrix).map(tasks.scaled).call_next(tasks.total)
    with pytest.raises(PayloadError, match="type ndarray as json"):
        await value_of(pipeline, 2)
    # The input was written as JSON, what follows with the other format.
    assert await value_of(pipeline.with_serializer("numpy"), 2) == 12.0


@pytest.mark.skipif(sys.platform == "win32", reason="its processes are started in another way")
@pytest.mark.parametrize("serializer", ["msgpack", "numpy", "pickle"])
async def test_other_processes_read_and_write_the_format(tasks: Any, serializer: str) -> None:
    flow = Flow(tasks.broker, serializer=serializer, processes=1)
    assert flow.processes == 1
    if serializer != "numpy":
        pipeline = Pipeline(tasks.broker, tasks.people).map(tasks.stamped).call_next(tasks.names)
        assert await value_of(pipeline, 2) == ["p0", "p1"]
    else:
        found = await value_of(Pipeline(tasks.broker, tasks.matrix).map(tasks.scaled), 2)
        pids = {each["name"] if isinstance(each, dict) else each.name for each in found}
        assert str(os.getpid()) not in pids
    await tasks.broker.shutdown()
