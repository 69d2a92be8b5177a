"""What becomes of dead letters: they are replayed, or discarded."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from dead_shop import Shop, cell

from taskiq_flow import Pipeline, RunHandle
from taskiq_flow.errors import BlobNotFound, FlowError, GraphError, ResumeError, RunNotFound
from taskiq_flow_retry import DeadLetters

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
