"""What follows others, where data is renamed, given, or in a pipeline within another one."""

from __future__ import annotations

import pytest
from taskiq import InMemoryBroker

from taskiq_flow import DataflowPipeline, Failure, Pipeline

pytestmark = pytest.mark.usefixtures("way")

broker = InMemoryBroker()
seen: list[str] = []


@broker.task
async def load(folder: str) -> list[str]:
    if folder == "bad":
        raise LookupError(folder)
    return [folder]


@broker.task
async def size(load: list[str]) -> int:
    return len(load)


@broker.task
async def tell(folder: str, channel: str = "mail", failure: Failure | None = None) -> None:
    seen.append(f"{folder} by {channel}: {failure.message if failure else 'fine'}")


@pytest.fixture(autouse=True)
def forget() -> None:
    seen.clear()


async def test_what_follows_is_given_defaults() -> None:
    for pipeline in (
        DataflowPipeline.from_tasks(broker, [load, size]).always(tell),
        Pipeline(broker, load).call_next(size).always(tell),
    ):
        assert list(pipeline.inputs) == ["folder", "channel"]
        await (await pipeline.kiq(folder="a", channel="phone")).wait_result()
        await (await pipeline.kiq(folder="bad")).wait_result()
        assert seen == ["a by phone: fine", "bad by mail: bad"]
        seen.clear()


async def test_what_follows_finds_data_under_new_names() -> None:
    flow = DataflowPipeline.from_tasks(broker, [load, size]).on_failure(tell, of="load")
    flow.rename({"folder": "path", "channel": "way", "load": "files"}).rename({"path": "where"})
    chain = Pipeline(broker, load).on_failure(tell, of="load").rename({"folder": "path", "channel": "way"})
    await (await flow.kiq(where="bad", way="phone")).wait_result()
    await (await chain.kiq(path="bad", way="phone")).wait_result()
    scoped = flow.copy().scope("s")
    await (await scoped.kiq(s={"where": "bad"})).wait_result()
    assert seen == ["bad by phone: bad", "bad by phone: bad", "bad by mail: bad"]


async def test_what_follows_an_inner_pipeline_stays_with_it() -> None:
    inner = DataflowPipeline.from_tasks(broker, [load, size], outputs=["size"]).always(tell)
    flow = DataflowPipeline(broker).add(inner, "n", inputs={"folder": "path"}, name="part")
    assert list(flow.graph.nodes) == ["part.load", "part.size", "part.tell"]
    assert list(flow.inputs) == ["path", "channel"]
    assert await flow.kiq_dataflow(path="a", channel="phone") == {"n": 1}
    chain = Pipeline(broker).map(inner)
    assert await (await chain.kiq(["a", "b"])).result() == [1, 1]  # type: ignore[call-arg]
    assert sorted(seen) == ["a by mail: fine", "a by phone: fine", "b by mail: fine"]
