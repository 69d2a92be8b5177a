"""The dead-letter list: what gets there, and what does not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from attrs import evolve
from dead_shop import Shop, cell
from taskiq import InMemoryBroker

from taskiq_flow import Flow, Pipeline
from taskiq_flow.errors import RunNotFound, UsageError
from taskiq_flow.graph import TaskNode, build_graph
from taskiq_flow.machine.events import AttemptFailed
from taskiq_flow.payloads import Failure, FailureKind
from taskiq_flow.store import Lease, RunOutcome, RunRecord, RunStatus
from taskiq_flow_retry import DeadLetter, DeadLetters
from taskiq_flow_retry.dead.letter import cells_given_up, letters_of


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


async def test_a_run_that_was_cancelled_after_a_failure_leaves_no_letter() -> None:
    shop = Shop()
    begun = asyncio.Event()

    @shop.broker.task
    async def fail(x: int) -> int:
        raise ValueError("broken")

    @shop.broker.task
    async def wait(x: int) -> int:
        begun.set()
        await asyncio.Event().wait()
        return x

    handle = await Pipeline(shop.broker).group(fail, wait).on_error("continue").kiq(1)
    await begun.wait()
    while not await handle.failures():
        await asyncio.sleep(0)
    await handle.cancel()
    await handle.wait_result()
    assert len(await handle.failures()) == 1
    assert await shop.dead.list() == []


def test_the_first_end_of_an_attempt_counts() -> None:
    failure = Failure(kind=FailureKind.TIMEOUT, message="too slow")
    late = Failure(kind=FailureKind.EXCEPTION, message="and broken")
    outcome = RunOutcome(status=RunStatus.FAILED, failures={"a": (2, failure)}, at=9.0)
    graph = build_graph([TaskNode(name="a", task="t")], name="slow")
    record = RunRecord(id="run", pool="default", graph=graph, outcome=outcome)
    log = [
        AttemptFailed(cell="a", attempt=1, failure=failure, retry_at=2.0, reason="once more", at=1.0),
        AttemptFailed(cell="a", attempt=2, failure=failure, reason="enough", holds_slot=True, at=3.0),
        # Its thread has come to its end, and nobody waits for that any more.
        AttemptFailed(cell="a", attempt=2, failure=late, retry_at=6.0, reason="once more", at=4.0),
    ]
    [letter] = letters_of(record, log, cells_given_up(record))
    assert (letter.reason, letter.at, letter.summary) == ("enough", 3.0, "timeout: too slow")


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


@pytest.mark.parametrize("limit", ["3", None, 2.5, True])
async def test_a_limit_is_a_whole_number(limit: Any) -> None:
    with pytest.raises(UsageError, match=f"limit is {limit!r}; give a whole number of letters"):
        await Shop().dead.list(limit=limit)


async def test_objects_are_not_taken_for_the_names_of_runs_cells_and_tasks() -> None:
    shop = Shop()
    handle: Any = await shop.end(1)
    [letter] = await shop.dead.list()
    dead: Any = shop.dead
    by_run = (dead.replay, dead.discard, lambda given: dead.list(run=given))
    for call in by_run:
        for wrong in (handle, letter):
            with pytest.raises(UsageError, match=r"run is .*; give the id of a run, such as letter\.run"):
                await call(wrong)
    with pytest.raises(UsageError, match=r"cell is 1; give the path of a cell, such as letter\.cell"):
        await dead.discard(handle.id, 1)
    for call in (dead.list, dead.replay_all, dead.discard_all):
        with pytest.raises(UsageError, match=r"task is .*; give the name of a task, such as letter\.task"):
            await call(task=test_objects_are_not_taken_for_the_names_of_runs_cells_and_tasks)
    assert list(await dead.list()) == [letter]


async def test_reading_the_list_executes_nothing() -> None:
    shop = Shop()
    run = await shop.end(1)
    await shop.flow.shutdown()
    store = shop.flow.store
    # The process of this one has died, and that of the onlooker is not going to last.
    await store.runs.create(evolve(await store.runs.get(run.id), id="left", outcome=None))
    onlooker = Shop(store=store)
    assert await onlooker.places() == [(run.id, cell(1))]
    assert len(await onlooker.dead.discard(run.id)) == 1
    await asyncio.sleep(0.1)
    assert onlooker.calls == {}
    assert isinstance(await store.leases.acquire("pool:default", "somebody", 10), Lease)


async def test_a_letter_goes_with_its_run() -> None:
    shop = Shop()
    run = await shop.end(1)
    await shop.flow.store.runs.delete(run.id)
    assert await shop.dead.list() == []
    with pytest.raises(RunNotFound, match=f"no run '{run.id}' in this store"):
        await shop.dead.list(run=run.id)


async def test_a_run_that_is_deleted_while_the_list_is_read_is_passed_over() -> None:
    shop = Shop()
    first, second = await shop.end(1), await shop.end(1)
    store = shop.flow.store
    read = store.log.read

    class Log(type(store.log)):  # type: ignore[misc]
        async def read(self, run: str, offset: int = 0) -> Any:
            if run == second.id:
                await store.runs.delete(run)
            return await read(run, offset)

    store.log = Log(store._state)  # type: ignore[attr-defined]
    assert await shop.places() == [(first.id, cell(1))]


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
