"""Resuming runs: what a user sees of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel
from taskiq import InMemoryBroker

from taskiq_flow import DataflowPipeline, Failure, Flow, Pipeline, RunHandle, pipeline_task
from taskiq_flow.errors import GraphError, ResumeError, RunCancelled, RunNotFound
from taskiq_flow.machine import events as ev
from taskiq_flow.store import RunStatus, id_of_resumption


class Report(BaseModel):
    total: int


class Shop:
    """A pipeline that fails where it is told to, and counts what it executes."""

    def __init__(self, **options: Any) -> None:
        self.calls: Counter[str] = Counter()
        self.broken: set[Any] = set()
        self.broker = InMemoryBroker()
        self.flow = Flow(self.broker, **options)

        @self.broker.task(task_name="load")
        @pipeline_task(output="numbers")
        async def load(count: int) -> list[int]:
            return self.work("load", list(range(count)))

        @self.broker.task(task_name="double")
        async def double(number: int) -> int:
            self.work(f"double {number}", None)
            if number in self.broken:
                raise ValueError(f"cannot double {number}")
            return 2 * number

        @self.broker.task(task_name="summary")
        @pipeline_task(output="report")
        async def summary(doubled: list[int]) -> Report:
            if "report" in self.broken:
                raise ValueError("no ink")
            return self.work("report", Report(total=sum(doubled)))

        self.tasks = (load, double, summary)

    def work(self, what: str, value: Any) -> Any:
        self.calls[what] += 1
        return value

    def pipeline(self, **options: Any) -> DataflowPipeline:
        load, double, summary = self.tasks
        pipeline = DataflowPipeline.from_tasks(self.broker, [load, summary])
        return pipeline.map(double, over="numbers", output="doubled", **options)

    async def failed(self, pipeline: DataflowPipeline, **inputs: Any) -> RunHandle[Any]:
        handle = await self.flow.submit(pipeline.graph, inputs, labels={"team": "sales"})
        with pytest.raises(ValueError, match=r"cannot double|no ink"):
            await handle.result()
        self.calls.clear()
        self.broken.clear()
        return handle


async def test_only_what_had_not_succeeded_is_executed() -> None:
    shop = Shop()
    shop.broken = {3}
    old = await shop.failed(shop.pipeline(max_parallel=1), count=6)
    new = await shop.flow.resume(old)
    assert (await new.result())["report"] == Report(total=30)
    # Items that had not been started are not passed over.
    assert shop.calls == {"double 3": 1, "double 4": 1, "double 5": 1, "report": 1}
    record = await shop.flow.store.runs.get(new.id)
    assert (record.id, record.resumes, record.labels) == (f"{old.id}~2", old.id, {"team": "sales"})
    assert (await shop.flow.store.runs.get(old.id)).outcome.status is RunStatus.FAILED  # type: ignore[union-attr]


async def test_the_value_is_decoded_as_that_of_the_old_run() -> None:
    broker = InMemoryBroker()
    broken = True

    @broker.task
    async def double(number: int) -> Report:
        if broken:
            raise ValueError("broken")
        return Report(total=2 * number)

    old = await Pipeline(broker, double).kiq(4)
    with pytest.raises(ValueError, match="broken"):
        await old.result()
    broken = False
    flow = Flow.of(broker)
    new: RunHandle[Report] = await flow.resume(old)
    assert await new.result() == Report(total=8)


async def test_with_the_id_alone_the_value_is_all_outputs() -> None:
    shop = Shop()
    shop.broken = {"report"}
    old = await shop.failed(shop.pipeline(), count=2)
    new = await shop.flow.resume(old.id)
    assert await new.result() == {"numbers": [0, 1], "doubled": [0, 2], "report": Report(total=2)}
    assert shop.calls == {"report": 1}


async def test_where_a_result_comes_from_stands_in_the_log() -> None:
    shop = Shop()
    shop.broken = {0, "report"}
    first = await shop.failed(shop.pipeline().on_error("continue"), count=2)
    shop.broken = {"report"}
    second = await shop.flow.resume(first)
    await second.wait_result()
    shop.broken = set()
    third = await shop.flow.resume(second)
    await third.result()
    origins = {
        event.cell: event.taken_from
        for event in await shop.flow.store.log.read(third.id)
        if isinstance(event, ev.CellSucceeded)
    }
    assert origins == {
        "load": first.id,
        "double[0]/double": second.id,
        "double[1]/double": first.id,
        "summary": "",
    }


async def test_what_waits_for_items_that_were_left_out_is_done_again() -> None:
    shop = Shop()
    shop.broken = {1}
    old = await shop.flow.submit(shop.pipeline(skip_errors=True).graph, {"count": 3})
    assert (await old.result())["report"] == Report(total=4)
    outcome = (await shop.flow.store.runs.get(old.id)).outcome
    assert outcome is not None
    assert list(outcome.left_out) == ["double[1]/double"]
    shop.calls.clear()
    shop.broken.clear()
    new = await shop.flow.resume(old)
    assert (await new.result())["report"] == Report(total=6)
    assert shop.calls == {"double 1": 1, "report": 1}


async def test_a_cancelled_run_goes_on() -> None:
    broker = InMemoryBroker()
    begun, calls = asyncio.Event(), Counter[str]()
    patient = True

    @broker.task
    async def one(x: int) -> int:
        calls["one"] += 1
        return x + 1

    @broker.task
    async def two(x: int) -> int:
        calls["two"] += 1
        begun.set()
        if patient:
            await asyncio.Event().wait()
        return x * 2

    old = await Pipeline(broker, one).call_next(two).kiq(1)
    await begun.wait()
    await old.cancel("lunch")
    with pytest.raises(RunCancelled):
        await old.result()
    patient = False
    assert await (await Flow.of(broker).resume(old)).result() == 4
    assert calls == {"one": 1, "two": 2}


async def test_what_a_resumed_run_did_not_come_to_is_still_done() -> None:
    shop = Shop()
    shop.broken = {0}
    hangs = asyncio.Event()

    @shop.broker.task(task_name="double")
    async def double(number: int) -> int:
        shop.work(f"double {number}", None)
        if number in shop.broken:
            raise ValueError(f"cannot double {number}")
        if hangs.is_set() and number == 0:
            hangs.clear()
            await asyncio.Event().wait()
        return 2 * number

    load, _, summary = shop.tasks
    shop.tasks = (load, double, summary)
    # The second run waits at the item that the first one has failed at, and ends there.
    first = await shop.failed(shop.pipeline(max_parallel=1).on_error("continue"), count=3)
    hangs.set()
    second = await shop.flow.resume(first)
    while hangs.is_set():
        await asyncio.sleep(0)
    await second.cancel()
    with pytest.raises(RunCancelled):
        await second.result()
    await shop.flow.store.runs.delete(first.id)
    shop.calls.clear()
    third = await shop.flow.resume(second)
    assert (await third.result())["report"] == Report(total=6)
    assert shop.calls == {"double 0": 1, "report": 1}
    origins = {
        event.cell: event.taken_from
        for event in await shop.flow.store.log.read(third.id)
        if isinstance(event, ev.CellSucceeded) and event.taken_from
    }
    assert origins == dict.fromkeys(["load", "double[1]/double", "double[2]/double"], first.id)


async def test_what_cannot_be_resumed_is_refused() -> None:
    shop = Shop()
    flow = shop.flow
    with pytest.raises(RunNotFound, match="no run 'nothing' in this store"):
        await flow.resume("nothing")
    shop.broken = {"report"}
    old = await shop.failed(shop.pipeline(), count=1)
    new = await flow.resume(old)
    with pytest.raises(
        ResumeError, match=f"run '{new.id}' is not over; wait for its end, or cancel it, before"
    ):
        await flow.resume(new)
    await new.result()
    with pytest.raises(ResumeError, match=f"run '{new.id}' has succeeded, so nothing of it is left to do"):
        await flow.resume(new)
    with pytest.raises(
        ResumeError, match=f"'{old.id}' was resumed already, as run '{new.id}'; when that"
    ) as caught:
        await flow.resume(old)
    assert (caught.value.run, caught.value.resumed_as) == (old.id, new.id)


async def test_of_many_who_resume_a_run_at_once_one_does() -> None:
    shop = Shop()
    shop.broken = {"report"}
    old = await shop.failed(shop.pipeline(), count=1)
    answers = await asyncio.gather(*(shop.flow.resume(old) for _ in range(10)), return_exceptions=True)
    [new] = [answer for answer in answers if isinstance(answer, RunHandle)]
    assert sum(isinstance(answer, ResumeError) for answer in answers) == 9
    await new.result()
    assert shop.calls == {"report": 1}


async def test_a_run_of_another_pool_is_refused() -> None:
    shop = Shop()
    shop.broken = {"report"}
    old = await shop.failed(shop.pipeline(), count=2)
    elsewhere = Flow(InMemoryBroker(), store=shop.flow.store, pool="elsewhere")
    text = (
        "is one of pool 'default', and this flow's pool is 'elsewhere'; resume it with a flow of its own pool"
    )
    with pytest.raises(ResumeError, match=text):
        await elsewhere.resume(old.id)
    assert await (await shop.flow.resume(old)).result()


async def test_a_run_whose_tasks_are_gone_is_not_resumed() -> None:
    shop = Shop()
    shop.broken = {"report"}
    old = await shop.failed(shop.pipeline(), count=1)
    del shop.broker.local_task_registry["double"]
    with pytest.raises(GraphError, match="task 'double', which its broker does not have"):
        await shop.flow.resume(old)


@pytest.mark.parametrize(
    ("run", "following"),
    [("a", "a~2"), ("a~2", "a~3"), ("a~9", "a~10"), ("a~b", "a~b~2"), ("a~0", "a~0~2"), ("~2", "~2~2")],
)
def test_ids_count(run: str, following: str) -> None:
    assert id_of_resumption(run) == following


@pytest.mark.parametrize("in_place", [False, True])
async def test_a_long_chain_is_taken_over_without_recursion(
    in_place: bool, scaled: Callable[[int], int]
) -> None:
    broker = InMemoryBroker(await_inplace=in_place)
    broken, calls = True, 0

    @broker.task(task_name="step")
    async def step(x: int) -> int:
        nonlocal calls
        calls += 1
        return x + 1

    @broker.task(task_name="end")
    async def end(x: int) -> int:
        if broken:
            raise ValueError("broken")
        return x

    pipeline: Any = Pipeline(broker, step)
    length = max(3000, scaled(10_000))
    for _ in range(length - 1):
        pipeline = pipeline.call_next(step)
    old = await pipeline.call_next(end).kiq(0)
    with pytest.raises(ValueError, match="broken"):
        await old.result()
    broken = False
    assert await (await Flow.of(broker).resume(old)).result() == length
    assert calls == length


async def test_a_join_that_took_a_failure_is_executed_again_when_the_task_succeeds() -> None:
    shop = Shop()
    load, _, summary = shop.tasks
    broken = [True]

    @shop.broker.task
    @pipeline_task(output="doubled")
    async def double_all(numbers: list[int]) -> list[int]:
        if broken[0]:
            raise ValueError("cannot double")
        return [2 * each for each in numbers]

    @shop.broker.task
    @pipeline_task(output="text")
    async def tell(doubled: list[int] | Failure) -> str:
        return "nothing" if isinstance(doubled, Failure) else str(doubled)

    pipeline = DataflowPipeline.from_tasks(shop.broker, [load, double_all, tell, summary])
    # Without the report the failure would only go on as a value; with it the run fails, too.
    old = await shop.failed(pipeline.on_error("continue"), count=3)
    assert (await old.outputs())["text"] == "nothing"
    broken[0] = False
    new = await shop.flow.resume(old)
    assert await new.result() == {
        "numbers": [0, 1, 2],
        "doubled": [0, 2, 4],
        "text": "[0, 2, 4]",
        "report": Report(total=6),
    }
    assert shop.calls == {"report": 1}
