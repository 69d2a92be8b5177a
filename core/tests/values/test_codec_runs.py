"""Runs whose values are compressed and hidden: wherever they are written, and whatever is done with them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel

from again import Again
from carried_values import Codecs, Listening, Masked, Recording, Shorter
from taskiq_flow import DataflowPipeline, Flow, Pipeline, PluginError, pipeline_task

SECRET = "the-secret-word"
CHAIN = ["shorter", "masked"]


class Person(BaseModel):
    name: str
    notes: list[str] = []


class Tasks:
    """The tasks of one broker, which carry a secret around."""

    def __init__(self, broker: Listening) -> None:
        self.calls = 0

        @broker.task
        async def people(word: str, count: int) -> list[Person]:
            return [Person(name=f"{word}-{number}", notes=[word] * number) for number in range(count)]

        @broker.task
        def greet(person: Person) -> Person:
            return Person(name=person.name, notes=[*person.notes, "hello"])

        @broker.task
        async def has_notes(person: Person) -> bool:
            return len(person.notes) > 1

        @broker.task
        def names(people: list[Person]) -> list[str]:
            return [person.name for person in people]

        @broker.task
        async def many(names: list[str]) -> bool:
            return len(names) > 2

        @broker.task
        async def same(value: list[str]) -> list[str]:
            return value

        @broker.task(retry_policy=Again())
        async def second_time(word: str) -> str:
            self.calls += 1
            if self.calls == 1:
                raise ValueError("not yet")
            return word

        self.people, self.greet, self.has_notes, self.names = people, greet, has_notes, names
        self.many, self.same, self.second_time = many, same, second_time


@pytest.fixture
def broker_class() -> type[Listening]:
    return Listening


# What has_notes and many answer stays below all of these: they decide.
@pytest.mark.usefixtures("small_blobs")
@pytest.mark.parametrize("claim_check", [20, 50, None])
async def test_nothing_that_is_written_shows_a_value(broker: Listening, claim_check: int | None) -> None:
    store = Recording()
    Flow(broker, store=store, plugins=[Codecs()], codecs=CHAIN, claim_check=claim_check)
    tasks = Tasks(broker)
    pipeline = (
        Pipeline(broker, tasks.people)
        .map(tasks.greet)
        .filter(tasks.has_notes)
        .call_next(tasks.names)
        .branch(tasks.many, tasks.same)
    )

    handle = await pipeline.kiq(SECRET, 6)

    assert await handle.result(timeout=20) == [f"{SECRET}-{number}" for number in range(1, 6)]
    assert store.written
    assert broker.messages
    blobs = [data for blobs in store.kept.values() for data in blobs.values()]
    assert bool(blobs) is (claim_check is not None)
    everything = [*(text.encode() for text in store.written), *broker.messages, *blobs]
    assert [data for data in everything if SECRET.encode() in data] == []
    assert [data for data in everything if b'"json"' in data and b"null" not in data] == []


async def test_the_test_above_can_see_a_value(broker: Listening) -> None:
    store = Recording()
    Flow(broker, store=store)
    tasks = Tasks(broker)
    await (await Pipeline(broker, tasks.people).map(tasks.greet).kiq(SECRET, 2)).result(timeout=20)
    assert any(SECRET in text for text in store.written)
    assert any(SECRET.encode() in message for message in broker.messages)


@pytest.mark.usefixtures("small_blobs")
async def test_a_dataflow_with_maps_and_several_outputs(broker: Listening) -> None:
    Flow(broker, plugins=[Codecs()], codecs=CHAIN, claim_check=100)

    @broker.task
    @pipeline_task(outputs=["short", "long"])
    async def both(word: str) -> tuple[str, list[str]]:
        return word, [word] * 50

    @broker.task
    @pipeline_task(output="sizes")
    async def size(long: str) -> int:
        return len(long)

    @broker.task
    @pipeline_task(output="told")
    async def tell(short: str, sizes: list[int], long: list[str]) -> str:
        return f"{short} {sum(sizes)} {len(long)}"

    pipeline = DataflowPipeline.from_tasks(broker, [both, tell]).map(size, over="long", output="sizes")
    assert (await pipeline.kiq_dataflow(word="word"))["told"] == "word 200 50"


@pytest.mark.usefixtures("small_blobs")
async def test_a_task_sent_on_its_own_that_becomes_a_run(broker: Listening) -> None:
    store = Recording()
    Flow(broker, store=store, codecs=[Masked()], claim_check=10)
    tasks = Tasks(broker)

    sent = await tasks.second_time.kiq(SECRET)
    while not await broker.result_backend.is_result_ready(sent.task_id):
        await asyncio.sleep(0)
    result = await broker.result_backend.get_result(sent.task_id)

    assert result.return_value == SECRET
    assert store.kept[f"adopted-{sent.task_id}"]
    assert [text for text in store.written if SECRET in text] == []


async def test_two_flows_with_different_codecs_share_a_store() -> None:
    store = Recording()
    first, second = Listening(), Listening()
    one = Flow(first, store=store, codecs=[Masked()], pool="one")
    two = Flow(second, store=store, plugins=[Codecs()], pool="two")
    tasks = Tasks(first)
    handle = await Pipeline(first, tasks.people).kiq(SECRET, 1)
    await handle.result(timeout=20)

    record = await two.store.runs.get(handle.id)
    assert record.outcome is not None
    (value,) = record.outcome.outputs.values()
    assert two.codec.decode(value)[0]["name"] == f"{SECRET}-0"
    assert one.codec.codecs == ("masked",)


def test_unknown_codecs_are_refused_with_what_there_is() -> None:
    with pytest.raises(PluginError) as caught:
        Flow(Listening(), plugins=[Codecs()], codecs=["shortre"])
    assert "no codec 'shortre'; there are" in str(caught.value)
    assert "did you mean 'shorter'?" in str(caught.value)


@pytest.mark.parametrize(
    ("codecs", "message"),
    [
        ("shorter", r"^codecs is a list, found 'shorter'; write \['shorter'\]$"),
        (Shorter(), r"^codecs is a list, found <"),
        ([3, "masked"], "^codecs has 3; each one is a name, or an object of a subclass of ByteCodec$"),
    ],
)
def test_codecs_that_are_none_are_refused(codecs: Any, message: str) -> None:
    with pytest.raises(PluginError, match=message):
        Flow(Listening(), plugins=[Codecs()], codecs=codecs)
