"""What events bring, decoded."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from taskiq import InMemoryBroker

from taskiq_flow import DataflowPipeline, Flow, pipeline_task
from taskiq_flow.machine import events as ev


class Track(BaseModel):
    name: str


async def test_events_give_their_values_as_the_tasks_made_them(small_blobs: None) -> None:
    broker = InMemoryBroker()
    # Every value is a blob, which is fetched.
    Flow(broker, claim_check=0)

    @broker.task
    @pipeline_task(outputs=["tracks", "count"])
    async def find(first: Track, times: int) -> tuple[list[Track], int]:
        return [first] * times, times

    @broker.task
    async def rename(track: Track, suffix: str) -> Track:
        return Track(name=track.name + suffix)

    pipeline = DataflowPipeline.from_tasks(broker, [find]).map(rename, over="tracks", output="renamed")
    handle = await pipeline.kiq(first=Track(name="a"), times=2, suffix="!")
    found: dict[str, Any] = {}
    async for event in handle.events():
        values = await handle.values_of(event)
        if isinstance(event, ev.RunStarted):
            found["inputs"] = values
        elif isinstance(event, ev.CellSucceeded):
            found[event.cell] = values
        else:
            assert values == {}
    assert found == {
        "inputs": {"first": Track(name="a"), "times": 2, "suffix": "!"},
        "find": {"tracks": [Track(name="a")] * 2, "count": 2},
        "rename[0]/rename": {"rename": Track(name="a!")},
        "rename[1]/rename": {"rename": Track(name="a!")},
    }
