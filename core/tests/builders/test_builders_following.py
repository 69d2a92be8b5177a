"""What runs after a failure, or always, in both builders."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from taskiq import InMemoryBroker

from again import Again
from taskiq_flow import (
    DataflowPipeline,
    Failure,
    Flow,
    GraphError,
    Pipeline,
    RunCancelled,
    RunTimedOut,
    pipeline_task,
)


class Tasks:
    """The tasks of one broker, and what those saw that follow others."""

    def __init__(self, broker: InMemoryBroker) -> None:
        self.broker = broker
        self.seen: list[tuple[Any, ...]] = []
        self.begun = asyncio.Event()
        self.tries = 0

        @broker.task
        @pipeline_task(output="seat")
        async def reserve(guest: str) -> int:
            return 17

        @broker.task
        @pipeline_task(output="receipt")
        async def charge(seat: int) -> str:
            raise PermissionError("refused")

        @broker.task
        async def accept(seat: int) -> str:
            return f"seat {seat}"

        @broker.task
        async def hang(seat: int) -> str:
            self.begun.set()
            await asyncio.sleep(60)
            return "never"

        @broker.task
        async def release(reserve: int, error: Failure) -> None:
            self.seen.append(("release", reserve, error.cell, error.attempt, error.summary))

        @broker.task
        async def free(seat: int, problem: Failure | None) -> None:
            self.seen.append(("free", seat, problem and problem.message))

        @broker.task
        def tell(failure: Failure, whom: str = "me") -> None:
            self.seen.append(("tell", whom, failure.kind.value, failure.message))

        @broker.task
        async def close(failure: Failure | None = None) -> None:
            self.seen.append(("close", failure and failure.kind.value))

        @broker.task
        async def stumble() -> None:
            raise ValueError("oops")

        @broker.task(retry_policy=Again())
        async def insist() -> None:
            self.tries += 1
            if self.tries < 3:
                raise ConnectionError("again")
            self.seen.append(("insist", self.tries))

        @broker.task
        async def halve(number: int) -> int:
            if number % 2:
                raise LookupError(f"{number} is odd")
            return number // 2

        self.reserve, self.charge, self.accept, self.hang, self.halve = reserve, charge, accept, hang, halve
        self.release, self.free, self.tell, self.close = release, free, tell, close
        self.stumble, self.insist = stumble, insist


@pytest.fixture
def tasks() -> Tasks:
    return Tasks(InMemoryBroker())


async def test_nothing_follows_success_but_what_always_does(tasks: Tasks) -> None:
    pipeline = Pipeline(tasks.broker, tasks.reserve).call_next(tasks.accept)
    pipeline.on_failure(tasks.release, of="accept").on_failure(tasks.tell).always(tasks.close)
    handle = await pipeline.kiq("Ada")
    assert await handle.result() == "seat 17"
    assert tasks.seen == [("close", None)]


async def test_a_failure_is_followed_in_order(tasks: Tasks) -> None:
    pipeline = Pipeline(tasks.broker, tasks.reserve).call_next(tasks.charge).always(tasks.close)
    pipeline.on_failure(tasks.tell, whom="boss").on_failure(tasks.release, of="charge")
    handle = await pipeline.kiq("Ada")
    with pytest.raises(PermissionError, match="refused"):
        await handle.result()
    assert tasks.seen == [
        ("release", 17, "charge", 1, "PermissionError: refused"),
        ("tell", "boss", "exception", "refused"),
        ("close", "exception"),
    ]


async def test_a_dataflow_is_followed_by_the_names_of_its_data(tasks: Tasks) -> None:
    pipeline = DataflowPipeline.from_tasks(tasks.broker, [tasks.reserve, tasks.charge])
    pipeline.on_failure(tasks.free, of="receipt").on_failure(tasks.tell, of=["reserve"])
    with pytest.raises(PermissionError):
        await pipeline.kiq_dataflow(guest="Ada")
    assert tasks.seen == [("free", 17, "refused")]
    # With other data in its place the node that is followed is not there, and neither is what follows it.
    tasks.seen.clear()
    assert await pipeline.kiq_dataflow(guest="Ada", receipt="paid") == {"receipt": "paid"}
    assert tasks.seen == []


async def test_the_first_failure_is_the_runs_and_others_are_told_behind_it(tasks: Tasks) -> None:
    pipeline = Pipeline(tasks.broker, tasks.reserve).call_next(tasks.charge)
    pipeline.on_failure(tasks.stumble, of="charge").always(tasks.close)
    handle = await pipeline.kiq("Ada")
    with pytest.raises(PermissionError):
        await handle.result()
    assert [failure.cell for failure in await handle.failures()] == ["charge", "stumble"]
    assert tasks.seen == [("close", "exception")]


async def test_a_clean_up_that_fails_fails_the_run(tasks: Tasks) -> None:
    handle = await Pipeline(tasks.broker, tasks.reserve).always(tasks.stumble).kiq("Ada")
    with pytest.raises(ValueError, match="oops"):
        await handle.result()
    assert (await handle.outputs())["reserve"] == 17


async def test_a_clean_up_is_tried_again(tasks: Tasks) -> None:
    handle = (
        await Pipeline(tasks.broker, tasks.reserve).call_next(tasks.charge).always(tasks.insist).kiq("Ada")
    )
    with pytest.raises(PermissionError):
        await handle.result()
    assert tasks.seen == [("insist", 3)]


async def test_a_run_that_is_cancelled_cleans_up(tasks: Tasks) -> None:
    pipeline = Pipeline(tasks.broker, tasks.reserve).call_next(tasks.hang)
    pipeline.on_failure(tasks.release, of="hang").on_failure(tasks.tell).always(tasks.close)
    handle = await pipeline.kiq("Ada")
    await tasks.begun.wait()
    await handle.cancel("enough")
    with pytest.raises(RunCancelled):
        await handle.result()
    assert tasks.seen == [("tell", "me", "cancelled", "enough"), ("close", "cancelled")]


async def test_a_run_that_takes_too_long_cleans_up(tasks: Tasks) -> None:
    pipeline = (
        Pipeline(tasks.broker, tasks.reserve).call_next(tasks.hang).with_timeout(0.3).on_failure(tasks.tell)
    )
    handle = await pipeline.kiq("Ada")
    with pytest.raises(RunTimedOut):
        await handle.result()
    assert tasks.seen == [("tell", "me", "timeout", "the run did not finish within 0.3 s")]


async def test_each_item_of_a_map_is_followed(tasks: Tasks) -> None:
    body = Pipeline(tasks.broker, tasks.halve).on_failure(tasks.tell, whom="item").always(tasks.close)
    for pipeline in (
        Pipeline(tasks.broker).map(body, skip_errors=True),
        DataflowPipeline(tasks.broker).map(body, "items", "halves", skip_errors=True),
    ):
        tasks.seen.clear()
        found = await (await pipeline.kiq(items=[2, 3, 4])).result()
        assert found in ([1, 2], {"halves": [1, 2]})
        assert sorted(tasks.seen, key=str) == [
            ("close", "exception"), ("close", None), ("close", None), ("tell", "item", "exception", "3 is odd")
        ]  # fmt: skip


@pytest.mark.parametrize("dataflow", [False, True])
async def test_a_part_of_another_pipeline_keeps_what_follows_it(tasks: Tasks, dataflow: bool) -> None:
    part: Any = Pipeline(tasks.broker, tasks.charge).on_failure(tasks.tell, whom="part").always(tasks.close)
    whole: Any = (
        DataflowPipeline.from_tasks(tasks.broker, [tasks.reserve]).add(part, "paid")
        if dataflow
        else Pipeline(tasks.broker, tasks.reserve).call_next(part)
    )
    with pytest.raises(PermissionError):
        await (await whole.kiq(guest="Ada")).result()
    assert tasks.seen == [("tell", "part", "exception", "refused"), ("close", "exception")]


async def test_a_resumed_run_cleans_up_again(tasks: Tasks) -> None:
    flow = Flow.of(tasks.broker)
    handle = (
        await Pipeline(tasks.broker, tasks.reserve).call_next(tasks.charge).always(tasks.close).kiq("Ada")
    )
    with pytest.raises(PermissionError):
        await handle.result()
    again = await flow.resume(handle.id)
    with pytest.raises(PermissionError):
        await again.result()
    assert tasks.seen == [("close", "exception")] * 2


async def test_a_copy_keeps_what_follows_and_adds_its_own(tasks: Tasks) -> None:
    first = Pipeline(tasks.broker, tasks.reserve).always(tasks.close)
    second = first.copy().always(tasks.close, name="close_again")
    await (await first.kiq("Ada")).result()
    assert len(tasks.seen) == 1
    await (await second.kiq("Ada")).result()
    assert len(tasks.seen) == 3


def test_drawings_show_what_follows_what(tasks: Tasks) -> None:
    pipeline = Pipeline(tasks.broker, tasks.reserve).call_next(tasks.charge)
    pipeline.on_failure(tasks.release, of="charge").on_failure(tasks.tell).always(tasks.close, of="charge")
    text = pipeline.render()
    assert "    follows charge\n    error <- the failure\n    after a failure\n" in text
    assert "after a failure of the run" in text
    assert "always, after their end" in text
    assert "after a failure" in pipeline.render("mermaid")


PROBLEMS: list[tuple[str, Callable[[Tasks], Any], str]] = [
    (
        "no such step",
        lambda t: Pipeline(t.broker, t.reserve).on_failure(t.tell, of="reserv").graph,
        "node 'tell' follows 'reserv', which is not in the graph; add that node (did you mean 'reserve'?)",
    ),
    (
        "behind everything",
        lambda t: Pipeline(t.broker, t.reserve).on_failure(t.tell).always(t.close, of="tell").graph,
        "node 'close' follows 'tell', which waits for everything else to end, and so for 'close'; "
        "let it follow a step, or the whole pipeline",
    ),
    (
        "no data",
        lambda t: Pipeline(t.broker, t.reserve).on_failure(t.release).on_failure(t.accept).graph,
        "task 'accept' follows others and requires 'seat', which nothing gives; name the parameter as data of the "
        "pipeline, or give it a value. One for the failure is annotated with Failure",
    ),
    (
        "no parameter",
        lambda t: Pipeline(t.broker, t.reserve).on_failure(t.tell, who="me").graph,
        "task 'tell' has no parameter 'who' (did you mean 'whom'?)",
    ),
    (
        "no name",
        lambda t: Pipeline(t.broker, t.reserve).always(t.close, of=[]),
        "of is empty; name a step, or leave it out for the whole pipeline",
    ),
    (
        "a pipeline",
        lambda t: Pipeline(t.broker, t.reserve).always(Pipeline(t.broker, t.close)),
        "what follows others is a task, found a pipeline; add its tasks one by one",
    ),
    (
        "a name twice",
        lambda t: Pipeline(t.broker, t.reserve).always(t.close, name="reserve").graph,
        "node 'reserve' is there already; give what follows others a name of its own",
    ),
]


@pytest.mark.parametrize(("make", "text"), [row[1:] for row in PROBLEMS], ids=[row[0] for row in PROBLEMS])
def test_what_is_impossible_is_said(tasks: Tasks, make: Callable[[Tasks], Any], text: str) -> None:
    with pytest.raises(GraphError) as caught:
        make(tasks)
    assert text in caught.value.problems


async def test_the_value_of_a_side_is_there_although_what_it_took_had_failed() -> None:
    broker = InMemoryBroker()

    @broker.task
    async def fail() -> int:
        raise ValueError("oops")

    @broker.task
    async def has_failed(found: int | Failure) -> bool:
        return isinstance(found, Failure)

    @broker.task
    async def repair(found: int | Failure) -> str:
        return "repaired"

    handle = await Pipeline(broker, fail).branch(has_failed, repair).kiq()
    assert await handle.result(timeout=20) == "repaired"
    assert list((await handle.outputs()).values()) == ["repaired"]
