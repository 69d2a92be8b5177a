"""The dead-letter list: what gets there, what does not, and what becomes of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from taskiq import InMemoryBroker

from taskiq_flow import DataflowPipeline, Flow, Pipeline, RunHandle, pipeline_task
from taskiq_flow.errors import BlobNotFound, FlowError, GraphError, ResumeError, RunNotFound
from taskiq_flow.store import RunStatus
from taskiq_flow_retry import DeadLetter, DeadLetters

ONCE = {"max_retries": 1, "delay": 0.0}


class Shop:
    """Pipelines whose tasks fail where they are told to."""

    def __init__(self, **options: Any) -> None:
        self.broker = InMemoryBroker()
        self.flow = Flow(self.broker, **options)
        self.dead = DeadLetters(self.flow)
        self.broken: set[Any] = set()
        self.calls: Counter[Any] = Counter()

        @self.broker.task(task_name="shop:load")
        @pipeline_task(output="orders")
        async def load(count: int) -> list[int]:
            return list(range(count))

        @self.broker.task(task_name="shop:charge", retry_policy=ONCE)
        async def charge(order: int) -> int:
            self.calls[order] += 1
            if order in self.broken:
                raise ValueError(f"card of order {order}")
            return order * 10

        @self.broker.task(task_name="shop:report")
        @pipeline_task(output="report")
        async def report(charged: list[int]) -> int:
            self.calls["report"] += 1
            if "report" in self.broken:
                raise OSError("no paper")
            return sum(charged)

        self.load, self.charge, self.report = load, charge, report

    def pipeline(self, **options: Any) -> DataflowPipeline:
        pipeline = DataflowPipeline.from_tasks(self.broker, [self.load, self.report], name="shop")
        return pipeline.map(self.charge, over="orders", output="charged", **options).on_error("continue")

    async def end(self, *broken: Any, count: int = 3, **options: Any) -> RunHandle[Any]:
        """Let a run end in which something is broken."""
        self.broken = set(broken)
        handle = await self.flow.submit(
            self.pipeline(**options).graph, {"count": count}, labels={"team": "sales"}
        )
        await handle.wait_result()
        self.broken.clear()
        self.calls.clear()
        return handle

    async def places(self, **options: Any) -> list[tuple[str, str]]:
        return [(letter.run, letter.cell) for letter in await self.dead.list(**options)]


def cell(number: int) -> str:
    return f"charge[{number}]/charge"


# What is on the list


async def test_a_letter_says_all_about_what_was_given_up() -> None:
    shop = Shop()
    run = await shop.end(1)
    [letter] = await shop.dead.list()
    assert letter.traceback.rstrip().endswith("ValueError: card of order 1")
    record = await shop.flow.store.runs.get(run.id)
    assert record.outcome is not None
    assert record.created_at <= letter.at <= record.outcome.at
    assert letter == DeadLetter(
        run=run.id,
        pipeline="shop",
        cell="charge[1]/charge",
        task="shop:charge",
        attempt=2,
        kind="exception",
        type="builtins:ValueError",
        message="card of order 1",
        traceback=letter.traceback,
        reason="gave up: 1 of 1 retries used",
        at=letter.at,
        labels={"team": "sales"},
    )
    assert letter.summary == "ValueError: card of order 1"


async def test_what_succeeded_or_was_cancelled_leaves_no_letter() -> None:
    shop = Shop()
    await shop.end()
    begun = asyncio.Event()

    @shop.broker.task
    async def wait(x: int) -> int:
        begun.set()
        await asyncio.Event().wait()
        return x

    handle = await Pipeline(shop.broker, wait).kiq(1)
    await begun.wait()
    assert await shop.dead.list() == []
    assert await shop.dead.list(run=handle.id) == []
    await handle.cancel()
    await handle.wait_result()
    assert await shop.dead.list() == []


async def test_items_that_a_map_left_out_are_given_up_as_well() -> None:
    shop = Shop()
    run = await shop.end(0, 2, skip_errors=True)
    assert await run.status() is RunStatus.SUCCEEDED
    letters = await shop.dead.list()
    assert {(letter.cell, letter.left_out, letter.attempt) for letter in letters} == {
        (cell(0), True, 2),
        (cell(2), True, 2),
    }


async def test_a_run_whose_time_was_up_is_a_letter_of_its_own() -> None:
    shop = Shop()

    @shop.broker.task
    async def wait(x: int) -> int:
        await asyncio.Event().wait()
        return x

    handle = await Pipeline(shop.broker, wait).with_timeout(0.01).kiq(1)
    await handle.wait_result()
    [letter] = await shop.dead.list()
    assert (letter.run, letter.cell, letter.task, letter.attempt, letter.kind) == (
        handle.id,
        "",
        "",
        0,
        "timeout",
    )
    assert letter.summary == "timeout: the run did not finish within 0.01 s"


async def test_the_newest_run_is_first_and_the_newest_letter_in_it() -> None:
    shop = Shop()
    first = await shop.end(0, 1, 2, max_parallel=1)
    second = await shop.end(1)
    expected = [(second.id, cell(1)), (first.id, cell(2)), (first.id, cell(1)), (first.id, cell(0))]
    assert await shop.places() == expected
    assert await shop.places(limit=2) == expected[:2]
    assert await shop.places(limit=0) == []
    assert await shop.places(run=first.id) == expected[1:]
    assert await shop.places(run=first.id, limit=1) == expected[1:2]


async def test_letters_of_one_task() -> None:
    shop = Shop()
    first = await shop.end("report")
    second = await shop.end(1)
    assert await shop.places(task="shop:report") == [(first.id, "report")]
    assert await shop.places(task="shop:charge") == [(second.id, cell(1))]
    assert await shop.places(task="shop:load") == []


async def test_among_many_runs_the_old_ones_are_found() -> None:
    shop = Shop()
    run = await shop.end(1, count=2)
    for _ in range(130):  # more than a page of the store
        await shop.end(count=0)
    assert await shop.places() == [(run.id, cell(1))]


async def test_other_pools_have_lists_of_their_own() -> None:
    shop = Shop()
    await shop.end(1)
    other = Flow(InMemoryBroker(), store=shop.flow.store, pool="other")
    assert await DeadLetters(other).list() == []


async def test_a_letter_goes_with_its_run() -> None:
    shop = Shop()
    run = await shop.end(1)
    await shop.flow.store.runs.delete(run.id)
    assert await shop.dead.list() == []
    with pytest.raises(RunNotFound, match=f"no run '{run.id}' in this store"):
        await shop.dead.list(run=run.id)


# Replaying


async def test_replaying_executes_what_had_not_succeeded() -> None:
    shop = Shop()
    run = await shop.end(1)
    new = await shop.dead.replay(run.id)
    assert await shop.dead.list() == []
    assert (await new.result())["report"] == 30
    assert shop.calls == {1: 1, "report": 1}
    assert await shop.dead.list() == []
    [letter] = await shop.dead.list(replayed=True)
    assert (letter.run, letter.resumed_as) == (run.id, new.id)


async def test_what_is_given_up_again_is_a_letter_of_the_new_run() -> None:
    shop = Shop()
    run = await shop.end(1)
    shop.broken = {1}
    new = await shop.dead.replay(run.id)
    await new.wait_result()
    assert await shop.places() == [(new.id, cell(1))]
    assert await shop.places(replayed=True) == [(new.id, cell(1)), (run.id, cell(1))]
    shop.broken.clear()
    assert (await (await shop.dead.replay(new.id)).result())["report"] == 30


async def test_left_out_items_come_back() -> None:
    shop = Shop()
    run = await shop.end(1, skip_errors=True)
    assert (await run.result())["report"] == 20
    assert (await (await shop.dead.replay(run.id)).result())["report"] == 30
    assert await shop.dead.list() == []


async def test_of_many_replays_at_once_one_starts_a_run() -> None:
    shop = Shop()
    run = await shop.end(1)
    answers = await asyncio.gather(
        *(DeadLetters(shop.flow).replay(run.id) for _ in range(8)), return_exceptions=True
    )
    [new] = [answer for answer in answers if isinstance(answer, RunHandle)]
    await new.result()
    refusals = [answer for answer in answers if isinstance(answer, ResumeError)]
    assert {str(refusal) for refusal in refusals} == {
        f"run '{run.id}' was resumed already, as run '{new.id}'; when that is over, resume that one"
    }
    assert len(refusals) == 7
    assert shop.calls == {1: 1, "report": 1}


async def test_what_has_no_letters_is_not_replayed() -> None:
    shop = Shop()
    good = await shop.end()
    with pytest.raises(ResumeError, match=f"run '{good.id}' has no dead letters: it has succeeded"):
        await shop.dead.replay(good.id)
    bad = await shop.end(1)
    await shop.dead.discard(bad.id)
    with pytest.raises(
        ResumeError, match=r"no dead letters: they were discarded; Flow.resume tries it again all the"
    ):
        await shop.dead.replay(bad.id)
    assert (await (await shop.flow.resume(bad.id)).result())["report"] == 30
    with pytest.raises(RunNotFound):
        await shop.dead.replay("nothing")


async def test_all_are_replayed_and_one_that_cannot_be_hinders_none() -> None:
    shop = Shop()
    first, second = await shop.end(1), await shop.end("report")

    @shop.broker.task(task_name="shop:gone")
    async def gone(x: int) -> int:
        raise ValueError("gone")

    third = await Pipeline(shop.broker, gone).kiq(1)
    await third.wait_result()
    del shop.broker.local_task_registry["shop:gone"]
    answers: Mapping[str, RunHandle[Any] | FlowError] = await shop.dead.replay_all()
    assert list(answers) == [first.id, second.id, third.id]
    assert isinstance(answers[third.id], GraphError)
    for run in (first.id, second.id):
        handle = answers[run]
        assert isinstance(handle, RunHandle)
        assert (await handle.result())["report"] == 30
    assert await shop.places() == [(third.id, "gone")]


async def test_all_of_one_task_are_replayed() -> None:
    shop = Shop()
    first, second = await shop.end(1), await shop.end("report")
    answers = await shop.dead.replay_all(task="shop:report")
    assert list(answers) == [second.id]
    assert await shop.places() == [(first.id, cell(1))]


# Discarding


async def test_a_discarded_letter_is_gone_and_its_run_is_not() -> None:
    shop = Shop()
    run = await shop.end(0, 1, 2)
    gone = await shop.dead.discard(run.id, cell(1))
    assert [letter.cell for letter in gone] == [cell(1)]
    assert {path for _, path in await shop.places()} == {cell(0), cell(2)}
    assert await shop.dead.discard(run.id, cell(1)) == []
    assert len(await shop.dead.discard(run.id)) == 2
    assert await shop.dead.list(replayed=True) == []
    assert await shop.dead.discard(run.id) == []
    assert await run.outputs() == {"orders": [0, 1, 2]}
    assert len(await run.failures()) == 3


async def test_those_who_discard_at_once_do_not_undo_each_other() -> None:
    shop = Shop()
    run = await shop.end(*range(6), count=6)
    await asyncio.gather(*(DeadLetters(shop.flow).discard(run.id, cell(number)) for number in range(5)))
    assert await shop.places() == [(run.id, cell(5))]


async def test_all_are_discarded_or_those_of_one_task() -> None:
    shop = Shop()
    first, second = await shop.end(0, 1), await shop.end("report")
    assert [letter.run for letter in await shop.dead.discard_all(task="shop:report")] == [second.id]
    assert {run for run, _ in await shop.places()} == {first.id}
    assert len(await shop.dead.discard_all()) == 2
    assert await shop.dead.list() == []
    assert await shop.dead.discard_all() == []


async def test_marks_go_with_their_run() -> None:
    shop = Shop()
    run = await shop.end(1)
    store = shop.flow.store
    await shop.dead.discard(run.id)
    assert store._state.blobs[run.id]  # type: ignore[attr-defined]
    await store.runs.delete(run.id)
    assert run.id not in store._state.blobs  # type: ignore[attr-defined]
    with pytest.raises(RunNotFound):
        await shop.dead.discard(run.id)


async def test_a_run_that_is_deleted_while_a_letter_is_discarded_leaves_nothing() -> None:
    shop = Shop()
    run = await shop.end(1)
    store = shop.flow.store
    put = store.blobs.put

    class Blobs(type(store.blobs)):  # type: ignore[misc]
        async def put(self, run: str, key: str, data: bytes) -> None:
            await store.runs.delete(run)
            await put(run, key, data)

    store.blobs = Blobs(store._state)  # type: ignore[attr-defined]
    with pytest.raises(RunNotFound):
        await shop.dead.discard(run.id)
    with pytest.raises(BlobNotFound):
        await store.blobs.get(run.id, "taskiq_flow.dead.discarded")
    assert store._state.blobs == {}  # type: ignore[attr-defined]


# Messages on their own


async def test_a_message_on_its_own_is_on_the_list_and_replayed_under_its_own_id() -> None:
    shop = Shop()
    shop.broken = {7}
    message = await shop.charge.kiq(7)
    assert (await message.wait_result(timeout=10)).is_err
    [letter] = await shop.dead.list()
    assert (letter.pipeline, letter.cell, letter.task, letter.attempt) == (
        "shop:charge",
        "charge",
        "shop:charge",
        2,
    )
    assert letter.labels == {"taskiq_flow.adopted": message.task_id}
    shop.broken.clear()
    handle = await shop.dead.replay(letter.run)
    assert await handle.result() == {"result": 70}
    result = await message.wait_result(timeout=10)
    assert (result.is_err, result.return_value) == (False, 70)
    assert await shop.dead.list() == []


async def test_a_message_that_is_given_up_at_once_is_on_the_list_too() -> None:
    shop = Shop()
    attempts = 0

    @shop.broker.task(task_name="strict", retry_policy={"max_retries": 3, "never_on": [ValueError]})
    async def strict(x: int) -> int:
        nonlocal attempts
        attempts += 1
        raise ValueError(f"never {x}")

    message = await strict.kiq(1)
    result = await message.wait_result(timeout=10)
    assert isinstance(result.error, ValueError)
    [letter] = await shop.dead.list()
    assert (letter.cell, letter.task, letter.attempt, letter.message) == ("strict", "strict", 1, "never 1")
    assert "ValueError" in letter.reason
    assert attempts == 1


async def test_a_message_has_its_result_even_when_no_letter_can_be_kept(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shop = Shop()

    @shop.broker.task(task_name="strict", max_retries=0)
    async def strict() -> None:
        raise ValueError("strict")

    async def fail(*_: Any) -> bool:
        raise OSError("the store is away")

    monkeypatch.setattr(type(shop.flow.store.runs), "create", fail)
    result = await (await strict.kiq()).wait_result(timeout=10)
    assert isinstance(result.error, ValueError)
    assert "task 'strict' is not among the dead letters, because no run can be made" in caplog.text


async def test_messages_of_one_id_have_their_results_each() -> None:
    shop = Shop()
    failure = "first"

    @shop.broker.task(task_name="strict", max_retries=0)
    async def strict() -> None:
        raise ValueError(failure)

    for text in ("first", "second"):
        failure = text
        message = await strict.kicker().with_task_id("nightly").kiq()
        while True:
            result = await message.wait_result(timeout=10)
            if str(result.error) == text:
                break
            await asyncio.sleep(0)
    assert [letter.message for letter in await shop.dead.list()] == ["first"]


async def test_a_message_for_which_nobody_wanted_retries_is_not() -> None:
    shop = Shop()

    @shop.broker.task(task_name="plain")
    async def plain(x: int) -> int:
        raise ValueError("plain")

    result = await (await plain.kiq(1)).wait_result(timeout=10)
    assert isinstance(result.error, ValueError)
    assert await shop.flow.store.runs.list() == []
