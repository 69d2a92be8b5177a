"""Blobs that fail, are gone, or were changed; late outcomes."""

from __future__ import annotations

import asyncio
import random
import re
from typing import Any

import pytest
from attrs import evolve

from carried_values import Listening, Recording, Shelf, SizeTasks, value_of
from taskiq_flow import Flow, Pipeline, StoreError
from taskiq_flow.errors import BlobNotFound, PayloadError
from taskiq_flow.graph import Input, InputSpec, Output, TaskNode, build_graph
from taskiq_flow.machine import events as ev
from taskiq_flow.machine.events import CellSucceeded
from taskiq_flow.retry import CellView, FailedAttempt, Retry, RetryDecision, RetryPolicy
from taskiq_flow.store import Notice
from taskiq_flow.testing import FakeClock


@pytest.fixture
def broker_class() -> type[Listening]:
    return Listening


# Faults


async def test_blobs_that_fail_for_a_moment_are_asked_again(broker: Listening) -> None:
    clock, shelf = FakeClock(), Shelf()
    Flow(broker, blobs=shelf, claim_check="4KiB", clock=clock)
    tasks = SizeTasks(broker)
    shelf.failures = [OSError("away")] * 3
    handle = await clock.run(Pipeline(broker, tasks.same).call_next(tasks.size).kiq("x" * 10_000))
    shelf.failures = [OSError("away")] * 3
    assert await clock.run(handle.result()) == 10_000


async def test_outputs_that_cannot_be_kept_fail_the_attempt_which_may_be_retried(broker: Listening) -> None:
    clock, shelf = FakeClock(), Shelf()
    Flow(broker, blobs=shelf, claim_check="4KiB", clock=clock)
    tasks = SizeTasks(broker)
    shelf.failures = [OSError("disk full")] * 4

    handle = await clock.run(Pipeline(broker, tasks.make).kiq(10_000))
    with pytest.raises(StoreError) as caught:
        await clock.run(handle.result())

    assert str(caught.value) == (
        f"outputs/make/1/make of run {handle.id} cannot be kept as a blob: "
        "failed 4 times, at last with OSError: disk full"
    )
    (failed,) = await handle.failures()
    assert (failed.kind, failed.attempt) == ("exception", 1)


class Again(RetryPolicy):
    """Try again after a second, whatever happened."""

    name = "again"

    def decide(self, failure: FailedAttempt, attempt: int, cell: CellView) -> RetryDecision:
        return Retry(delay=1.0)


async def test_an_attempt_that_failed_for_its_blobs_is_for_the_retry_policy_to_judge(
    broker: Listening,
) -> None:
    clock, shelf = FakeClock(), Shelf()
    Flow(broker, blobs=shelf, claim_check="4KiB", clock=clock, retry=Again)
    tasks = SizeTasks(broker)
    shelf.failures = [OSError("disk full")] * 4
    handle = await clock.run(Pipeline(broker, tasks.make).call_next(tasks.size).kiq(10_000))
    shelf.failures = [OSError("disk full")] * 4
    assert await clock.run(handle.result()) == 10_000
    retried = [
        event
        for event in await Flow.of(broker).store.log.read(handle.id)
        if isinstance(event, ev.AttemptFailed)
    ]
    assert {event.cell for event in retried} <= {"make", "size_2"}
    assert retried
    assert all(event.retry_at is not None and "disk full" in event.failure.message for event in retried)


@pytest.mark.parametrize("seed", range(5))
async def test_a_place_that_fails_now_and_then_loses_and_leaves_nothing(broker: Listening, seed: int) -> None:
    choice = random.Random(seed)
    clock, shelf = FakeClock(), Shelf()
    flow = Flow(broker, blobs=shelf, claim_check=choice.choice([4096, 5000, 9000]), clock=clock, retry=Again)
    tasks = SizeTasks(broker)

    @broker.task
    async def is_long(value: str) -> bool:
        return len(value) > 4000

    def fail_sometimes(what: str) -> None:
        shelf.calls.append(what)
        if what != "delete" and choice.random() < 0.3:
            raise OSError(f"cannot {what}")

    shelf._called = fail_sometimes  # type: ignore[method-assign]
    inner = Pipeline(broker, tasks.twice).branch(is_long, tasks.same, tasks.twice)
    pipeline = Pipeline(broker).filter(is_long).map(inner).call_next(tasks.count)
    values = ["x" * choice.randrange(10_000) for _ in range(12)]

    for _ in range(50):
        try:
            handle = await clock.run(pipeline.kiq(values))
            break
        except StoreError:
            assert shelf.kept == {}, "of an input that could not be kept nothing stays"
    found = await clock.run(handle.wait_result())

    if found.error is None:
        assert found.return_value == sum(2 * len(value) for value in values if len(value) > 4000)
    else:
        # What the driver itself must read is asked for a few times only.
        assert "cannot" in str(found.error)
    assert await clock.run(flow.store.runs.delete(handle.id))
    assert shelf.kept == {}


async def test_a_result_of_a_task_sent_on_its_own_that_is_gone_is_an_error_to_its_sender(
    broker: Listening,
) -> None:
    shelf = Shelf()
    Flow(broker, blobs=shelf, claim_check="4KiB")
    calls: list[str] = []

    class Once(Again):
        def decide(self, failure: FailedAttempt, attempt: int, cell: CellView) -> RetryDecision:
            return Retry(delay=0.0)

    @broker.task(retry_policy=Once())
    async def second_time(word: str) -> str:
        calls.append(word)
        if len(calls) == 1:
            raise ValueError("not yet")
        return word * 2000

    put = shelf.put

    async def lose(run: str, key: str, data: bytes) -> None:
        if not key.startswith("outputs/"):
            await put(run, key, data)

    shelf.put = lose  # type: ignore[method-assign]
    sent = await second_time.kiq("word")
    while not await broker.result_backend.is_result_ready(sent.task_id):
        await asyncio.sleep(0)
    result = await broker.result_backend.get_result(sent.task_id)
    assert result.is_err
    assert isinstance(result.error, BlobNotFound)
    assert len(calls) == 2


async def test_a_large_input_that_cannot_be_kept_starts_no_run(broker: Listening) -> None:
    clock, shelf = FakeClock(), Shelf()
    flow = Flow(broker, blobs=shelf, claim_check="4KiB", clock=clock)
    tasks = SizeTasks(broker)
    shelf.failures = [OSError("away")] * 4
    with pytest.raises(StoreError, match="cannot be kept as a blob: failed 4 times"):
        await clock.run(Pipeline(broker, tasks.size).kiq("x" * 10_000))
    assert await flow.store.runs.list() == []
    assert shelf.kept == {}


async def test_a_result_that_was_deleted_by_hand_is_named(broker: Listening) -> None:
    shelf = Shelf()
    Flow(broker, blobs=shelf, claim_check="4KiB")
    handle = await Pipeline(broker, SizeTasks(broker).make).kiq(10_000)
    await handle.wait_result()
    shelf.kept.clear()
    with pytest.raises(BlobNotFound) as caught:
        await handle.result()
    assert re.fullmatch(
        r"no blob 'outputs/make/1/make\.[0-9a-f]{32}' of run '\w+' in shelf://; it goes when its run is deleted",
        str(caught.value),
    )


async def test_an_argument_that_was_deleted_by_hand_is_a_final_failure_of_its_cell(broker: Listening) -> None:
    shelf = Shelf()
    flow = Flow(broker, blobs=shelf, claim_check="4KiB")
    tasks = SizeTasks(broker)

    @broker.task
    async def lose() -> None:
        shelf.kept.clear()

    def node(name: str, task: Any, after: tuple[str, ...] = ()) -> TaskNode:
        params = {"value": Input("value")} if after else {}
        return TaskNode(name=name, task=task.task_name, params=params, after=after, outputs=(f"{name}_out",))

    graph = build_graph(
        [node("lose", lose), node("size", tasks.size, ("lose",))],
        inputs={"value": InputSpec()},
        outputs={"out": Output("size", "size_out")},
    )
    handle = await flow.submit(graph, {"value": "x" * 10_000}, single="out")

    expected = r"^parameter 'value' of task '.*size' in cell 'size': no blob 'inputs/value\.\w+' of run"
    with pytest.raises(StoreError, match=expected):
        await handle.result(timeout=20)
    (failed,) = await handle.failures()
    assert (failed.cell, failed.kind) == ("size", "rejected")


async def test_a_blob_that_was_cut_is_refused(broker: Listening) -> None:
    clock, shelf = FakeClock(), Shelf()
    Flow(broker, blobs=shelf, claim_check="4KiB", clock=clock)
    tasks = SizeTasks(broker)
    handle = await clock.run(Pipeline(broker, tasks.make).kiq(10_000))
    await clock.run(handle.wait_result())
    blobs = shelf.kept[handle.id]
    blobs.update({key: data[:-1] for key, data in blobs.items()})
    with pytest.raises(StoreError, match=r"has 10001 bytes instead of 10002; it was cut or changed"):
        await clock.run(handle.result())


async def test_a_blob_that_was_changed_is_refused_although_it_can_be_read(broker: Listening) -> None:
    clock, shelf = FakeClock(), Shelf()
    Flow(broker, blobs=shelf, claim_check="4KiB", clock=clock)
    tasks = SizeTasks(broker)
    handle = await clock.run(Pipeline(broker, tasks.make).kiq(10_000))
    await clock.run(handle.wait_result())
    blobs = shelf.kept[handle.id]
    blobs.update({key: b'"' + b"y" * (len(data) - 2) + b'"' for key, data in blobs.items()})
    with pytest.raises(PayloadError, match=r"does not match its key; it was changed"):
        await clock.run(handle.result())


async def test_a_guard_whose_value_is_gone_decides_all_the_same(broker: Listening) -> None:
    shelf = Shelf()
    Flow(broker, blobs=shelf, claim_check="4KiB")
    tasks = SizeTasks(broker)
    get = shelf.get

    async def lossy(run: str, key: str) -> bytes:
        if key.startswith("outputs/ask/"):
            raise BlobNotFound(run, key, "the shelf")
        return await get(run, key)

    shelf.get = lossy  # type: ignore[method-assign]

    @broker.task
    async def ask(value: str) -> Any:
        return {"so": value}

    pipeline = Pipeline(broker, tasks.make).branch(ask, tasks.size, tasks.same)
    assert await value_of(pipeline, 5000) == 5000
    assert [call for call in shelf.calls if call.startswith("put outputs/ask/")]


# Duplicates and late outcomes


async def test_what_another_attempt_gives_does_not_change_what_a_claim_check_stands_for() -> None:
    broker, store = Listening(await_inplace=True), Recording()
    flow = Flow(broker, store=store, claim_check="4KiB")
    tasks = SizeTasks(broker)
    handle = await Pipeline(broker, tasks.make).kiq(10_000)
    assert await handle.result(timeout=20) == "x" * 10_000

    (good,) = [event for event in await store.log.read(handle.id) if isinstance(event, CellSucceeded)]
    for attempt in (1, 2):
        late = evolve(good, attempt=attempt, outputs=(flow.codec.encode("another value " * 500),))
        late = await flow.claim_checks.check_in_outputs(handle.id, late, ("make",))
        assert late.outputs != good.outputs
        await store.inbox.put(flow.pool, [Notice(run=handle.id, event=late)])
    await flow.drive()

    assert await handle.result(timeout=20) == "x" * 10_000
    assert len(store.kept[handle.id]) == 3
    await store.runs.delete(handle.id)
    assert store.kept == {}
