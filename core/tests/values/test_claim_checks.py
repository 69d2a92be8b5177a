"""Large values: where they are kept, what carries them, and when they go."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from carried_values import Codecs, Listening, Masked, Recording, Shelf, Shelves, SizeTasks, value_of
from taskiq_flow import Flow, MemoryStore, PayloadError, Pipeline, PluginError
from taskiq_flow.errors import RunNotFound
from taskiq_flow.payloads import ClaimCheck, Payload
from taskiq_flow.stores.external_blobs import StoreWithBlobs

MIB = 1 << 20


@pytest.fixture
def broker_class() -> type[Listening]:
    return Listening


async def test_a_large_value_passes_through_a_chain_without_being_in_any_message(broker: Listening) -> None:
    store = Recording()
    Flow(broker, store=store)
    tasks = SizeTasks(broker)
    pipeline = Pipeline(broker, tasks.make).call_next(tasks.same).call_next(tasks.same).call_next(tasks.size)

    assert await value_of(pipeline, 20 * MIB) == 20 * MIB

    assert len(broker.messages) == 4
    assert max(map(len, broker.messages)) < 1000
    assert max(map(len, store.written)) < 1000


async def test_a_large_input_is_kept_and_given_to_every_cell_by_its_claim_check(broker: Listening) -> None:
    store = Recording()
    flow = Flow(broker, store=store)
    tasks = SizeTasks(broker)
    handle = await Pipeline(broker, tasks.same).group(tasks.size, tasks.size).kiq("z" * MIB)

    assert await handle.result(timeout=20) == [MIB, MIB]
    (value,) = (await flow.store.runs.get(handle.id)).inputs.values()
    assert isinstance(value, ClaimCheck)
    assert value.key.startswith("inputs/value.")
    assert max(map(len, broker.messages)) < 1000


async def test_small_values_need_no_blobs(broker: Listening) -> None:
    shelf = Shelf()
    flow = Flow(broker, blobs=shelf)
    tasks = SizeTasks(broker)
    assert await value_of(Pipeline(broker, tasks.make).call_next(tasks.size), 1000) == 1000
    assert shelf.calls == []
    assert flow.claim_checks.threshold == 256 * 1024


@pytest.mark.parametrize(("setting", "blobs"), [("4KiB", 1), (4098, 0), (4097, 1), (None, 0)])
async def test_the_threshold_is_what_is_set(broker: Listening, setting: Any, blobs: int) -> None:
    shelf = Shelf()
    Flow(broker, blobs=shelf, claim_check=setting)
    tasks = SizeTasks(broker)
    handle = await Pipeline(broker, tasks.make).kiq(4096)  # two quotes more as JSON
    assert await handle.result(timeout=20) == "x" * 4096
    assert len(shelf.kept.get(handle.id, {})) == blobs


async def test_items_of_a_large_list_that_are_large_themselves_are_kept_apart(broker: Listening) -> None:
    store = Recording()
    Flow(broker, store=store)
    tasks = SizeTasks(broker)
    pipeline = Pipeline(broker, tasks.lines).map(tasks.same).map(tasks.twice).call_next(tasks.count)
    assert await value_of(pipeline, 5, MIB) == 10 * MIB
    assert max(map(len, broker.messages)) < 2000
    assert max(map(len, store.written)) < 5000


async def test_a_collected_list_becomes_one_blob_however_many_cells_get_it(broker: Listening) -> None:
    shelf = Shelf()
    Flow(broker, blobs=shelf)
    tasks = SizeTasks(broker)

    @broker.task
    async def pick(item: int, values: list[str]) -> int:
        return len(values[item])

    # A map's results are small, and their list is large: it is put together for those who take it whole.
    pipeline = Pipeline(broker, tasks.lines).map(tasks.same).group(tasks.count, tasks.count, tasks.count)
    handle = await pipeline.kiq(100, 5000)
    assert await handle.result(timeout=20) == [500_000] * 3
    assert len([key for key in shelf.kept[handle.id] if key.startswith("arguments.")]) == 1
    assert max(map(len, broker.messages)) < 10_000


async def test_results_come_out_of_the_blobs(broker: Listening) -> None:
    Flow(broker, claim_check="4KiB")
    tasks = SizeTasks(broker)
    handle = await Pipeline(broker, tasks.lines).map(tasks.twice).kiq(3, 5000)
    assert await handle.result(timeout=20) == ["y" * 10_000] * 3
    assert await handle.outputs() == {"twice": ["y" * 10_000] * 3}


# Deletion


async def test_blobs_elsewhere_go_with_their_run(broker: Listening) -> None:
    shelf = Shelf()
    flow = Flow(broker, blobs=shelf, claim_check="4KiB")
    tasks = SizeTasks(broker)
    handles = [await Pipeline(broker, tasks.make).call_next(tasks.same).kiq(10_000) for _ in range(3)]
    for handle in handles:
        await handle.result(timeout=20)
    assert shelf.open
    assert shelf.kept.keys() == {handle.id for handle in handles}

    assert await flow.store.runs.delete(handles[0].id)
    assert shelf.kept.keys() == {handle.id for handle in handles[1:]}
    assert not await flow.store.runs.delete(handles[0].id)
    at = (await flow.store.runs.get(handles[2].id)).outcome
    assert at is not None
    assert await flow.store.runs.delete_finished(before=at.at + 1) == 2
    assert shelf.kept == {}
    assert await flow.store.runs.list() == []


async def test_runs_that_a_store_drops_by_itself_take_their_blobs_along(broker: Listening) -> None:
    shelf = Shelf()
    flow = Flow(broker, store=MemoryStore(max_finished_runs=2), blobs=shelf, claim_check="4KiB")
    tasks = SizeTasks(broker)
    for _ in range(20):
        await value_of(Pipeline(broker, tasks.make), 10_000)
    there = {record.id for record in await flow.store.runs.list()}
    assert len(shelf.kept) < 8
    assert there <= shelf.kept.keys()


@pytest.mark.parametrize("elsewhere", [True, False])
async def test_nothing_stays_of_a_run_that_is_deleted_while_it_runs(elsewhere: bool) -> None:
    broker, store, shelf = Listening(), Recording(), Shelf()
    flow = Flow(broker, store=store, blobs=shelf if elsewhere else None, claim_check="4KiB")
    tasks = SizeTasks(broker)
    began, may_end = asyncio.Event(), asyncio.Event()

    @broker.task
    async def slow(value: str) -> str:
        began.set()
        await may_end.wait()
        return value * 2

    handle = await Pipeline(broker, tasks.make).call_next(slow).kiq(10_000)
    await asyncio.wait_for(began.wait(), 20)
    assert await flow.store.runs.delete(handle.id)
    may_end.set()
    with pytest.raises(RunNotFound):
        await handle.result(timeout=20)
    await broker.wait_all()
    await flow.shutdown()
    assert (store.kept, shelf.kept) == ({}, {})


# Limits


async def test_an_output_that_is_too_large_is_a_final_failure(broker: Listening) -> None:
    Flow(broker, max_value_bytes="1KiB")
    calls = []

    @broker.task(retry_policy=None)
    async def grow(count: int) -> str:
        calls.append(count)
        return "x" * count

    handle = await Pipeline(broker, grow).kiq(10_000)
    with pytest.raises(PayloadError) as caught:
        await handle.result(timeout=20)
    assert str(caught.value) == (
        f"output 'grow' of task {grow.task_name!r}: "
        "the value has 9.8 KiB as json, more than the 1.0 KiB that a value may have; "
        "return a reference to where it is kept, or raise max_value_bytes"
    )
    (failed,) = await handle.failures()
    assert (failed.kind, failed.cell, calls) == ("rejected", "grow", [10_000])


async def test_an_input_that_is_too_large_is_refused_before_there_is_a_run(broker: Listening) -> None:
    flow = Flow(broker, max_value_bytes=1000)
    tasks = SizeTasks(broker)
    with pytest.raises(
        PayloadError, match=r"^input 'value': the value has 2.0 KiB as json, more than the 1000 B"
    ):
        await Pipeline(broker, tasks.size).kiq("x" * 2046)
    assert await flow.store.runs.list() == []


@pytest.mark.parametrize("claim_check", [4096, None])
async def test_a_list_that_becomes_too_large_is_a_final_failure(
    broker: Listening, claim_check: int | None
) -> None:
    Flow(broker, max_value_bytes=10_000, claim_check=claim_check)
    tasks = SizeTasks(broker)

    @broker.task
    async def big(item: int) -> str:
        return "x" * 5000

    handle = await Pipeline(broker).map(big).call_next(tasks.count).kiq([1, 2, 3])
    with pytest.raises(
        PayloadError, match=r"parameter 'values'.*the value has 14\.7 KiB, more than the 9\.8 KiB"
    ):
        await handle.result(timeout=20)
    (failed,) = await handle.failures()
    assert (failed.kind, failed.cell) == ("rejected", "count")


async def test_no_limit(broker: Listening) -> None:
    flow = Flow(broker, max_value_bytes=None, claim_check=None)
    assert flow.codec.max_value_bytes is None
    assert await value_of(Pipeline(broker, SizeTasks(broker).make), MIB) == "x" * MIB


# Places for blobs


def test_a_place_for_blobs_is_chosen_by_its_url() -> None:
    flow = Flow(Listening(), plugins=[Shelves()], blobs="shelf://here")
    assert isinstance(flow.store, StoreWithBlobs)
    assert isinstance(flow.store.place, Shelf)
    assert flow.store.place.url == "shelf://here"
    with pytest.raises(PluginError, match=r"no blob store 'shlef'; there .*did you mean 'shelf'"):
        Flow(Listening(), plugins=[Shelves()], blobs="shlef://here")
    with pytest.raises(
        PluginError, match="'/tmp/x' is not the URL of a blob store; expected one that begins with"
    ):
        Flow(Listening(), plugins=[Shelves()], blobs="/tmp/x")


def test_what_is_no_place_is_refused() -> None:
    with pytest.raises(
        PluginError, match=r"^blobs is .*Path\('/tmp/x'\); give a URL, such as 'file:///var/lib/blobs'"
    ):
        Flow(Listening(), blobs=Path("/tmp/x"))  # type: ignore[arg-type]


async def test_blobs_elsewhere_in_the_codecs_form() -> None:
    broker, shelf = Listening(), Shelf()
    Flow(broker, plugins=[Codecs()], codecs=["masked"], blobs=shelf, claim_check="4KiB")
    handle = await Pipeline(broker, SizeTasks(broker).make).kiq(5000)
    assert await handle.result(timeout=20) == "x" * 5000
    (data,) = shelf.kept[handle.id].values()
    assert data == Masked().encode(b'"' + b"x" * 5000 + b'"')
    assert Payload("json+masked", data)
