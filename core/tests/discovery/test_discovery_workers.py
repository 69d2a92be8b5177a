"""Workers register what is installed, and announce it; runs that none of them could work on are refused."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from attrs import evolve
from taskiq import AsyncBroker, BrokerMessage, InMemoryBroker
from taskiq.receiver import Receiver

from installed_packages import TEXT, Shelf
from taskiq_flow import DataflowPipeline, Flow, MemoryStore
from taskiq_flow.clock import SystemClock
from taskiq_flow.errors import CellFailed, GraphError, PluginError, UnschedulableError
from taskiq_flow.graph import Graph
from taskiq_flow.machine.events import CellStarted
from taskiq_flow.messages.envelope import ENVELOPE, Envelope
from taskiq_flow.messages.unknown_tasks import UnknownTaskFormatter
from taskiq_flow.store import Notice, RunRecord, WorkerInfo

pytestmark = pytest.mark.usefixtures("alone")

SHARED = """
    from taskiq import async_shared_broker
    @async_shared_broker.task(task_name="sum")
    def total(x: int): ...
"""


class Wire(AsyncBroker):
    """One end of a queue: a client writes to it, a worker process reads from it."""

    def __init__(self, queue: asyncio.Queue[bytes], *, worker: bool = False) -> None:
        super().__init__()
        self.queue = queue
        self.is_worker_process = worker

    async def kick(self, message: BrokerMessage) -> None:
        await self.queue.put(message.message)

    async def listen(self) -> AsyncGenerator[bytes, None]:
        while True:
            yield await self.queue.get()


@asynccontextmanager
async def working(broker: Wire) -> AsyncIterator[None]:
    """A worker process, as taskiq starts it."""
    stop = asyncio.Event()
    receiver = Receiver(broker, run_startup=True)
    listening = asyncio.create_task(receiver.listen(stop))
    try:
        yield
    finally:
        stop.set()
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        await broker.shutdown()


async def announced(store: MemoryStore) -> list[WorkerInfo]:
    """The workers of the pool, once there are any."""
    while not (found := await store.workers.list("default")):
        await asyncio.sleep(0)
    return list(found)


def ends() -> tuple[Wire, Wire, MemoryStore]:
    queue: asyncio.Queue[bytes] = asyncio.Queue()
    return Wire(queue), Wire(queue, worker=True), MemoryStore()


async def test_a_worker_works_on_what_is_installed(shelf: Shelf) -> None:
    shelf.offer("acme-text", "1.2", acme_text=TEXT)
    client, worker, store = ends()
    flow = Flow(client, store=store, discover=True)
    Flow(worker, store=store, discover=True)
    assert worker.local_task_registry == {}
    async with working(worker):
        [info] = await announced(store)
        assert info.tasks is not None
        assert {"acme_text:load", "acme_text:report", "count_words"} <= info.tasks
        assert info.versions == dict.fromkeys(
            ["acme_text:load", "acme_text:report", "count_words"], "acme-text 1.2"
        )
        pipeline = DataflowPipeline.from_installed(client, outputs=["report"])
        handle = await pipeline.kiq(book="Emma")
        assert await handle.result(timeout=20) == {"report": "Report: 2 pages, 4 words"}
        assert (await flow.store.runs.get(handle.id)).origins == {
            "acme_text:load": "acme-text 1.2 (acme_text:load)",
            "acme_text:report": "acme-text 1.2 (acme_text:report)",
            "count_words": "acme-text 1.2 (acme_text:count)",
        }


async def test_a_message_waits_for_a_worker_that_has_its_task(
    shelf: Shelf, caplog: pytest.LogCaptureFixture
) -> None:
    shelf.offer("acme-text", "1.2", acme_text=TEXT)
    client, worker, store = ends()
    Flow(client, store=store, discover=True)
    # There is no worker yet, so the run is accepted; the only one that comes has none of its tasks.
    handle = await DataflowPipeline.from_installed(client, outputs=["pages"]).kiq(book="Emma")
    flow = Flow(worker, store=store)
    async with working(worker):
        while "no live worker of pool 'default' has task 'acme_text:load'" not in caplog.text:
            await asyncio.sleep(0.01)
        assert client.queue.empty()
        # It gets them, and says so with its next heartbeat.
        DataflowPipeline.from_installed(worker, outputs=["pages"])
        [info] = await store.workers.list("default")
        await store.workers.announce(evolve(info, tasks=frozenset(worker.get_all_tasks())))
        assert await handle.result(timeout=20) == {"pages": ["Emma 0", "Emma 1"]}
        assert flow.host.worker.id == info.id


async def test_a_worker_that_gets_a_message_about_a_task_it_does_not_have_says_so(shelf: Shelf) -> None:
    shelf.offer("acme-text", "1.2", acme_text=TEXT)
    client, worker, store = ends()
    # Another worker has the task; but both read the same queue.
    await store.workers.announce(having(worker="elsewhere", acme_text__load="acme-text 1.2"))
    Flow(client, store=store, discover=True)
    lacking = Flow(worker, store=store)
    async with working(worker):
        handle = await DataflowPipeline.from_installed(client, outputs=["pages"]).kiq(book="Emma")
        name = lacking.host.worker.id
        with pytest.raises(CellFailed) as caught:
            await handle.result(timeout=20)
    assert (caught.value.cell, caught.value.kind) == ("load", "rejected")
    assert caught.value.failure.message.startswith(
        f"worker {name} does not have task 'acme_text:load', and reads a queue that its messages come to"
    )


async def test_a_message_too_many_changes_nothing() -> None:
    _, worker, store = ends()
    graph = Graph(nodes={}, inputs={}, outputs={})
    await store.runs.create(RunRecord(id="run", pool="default", graph=graph))
    notice = Notice(run="run", event=CellStarted(cell="load", attempt=1, worker="w2", at=0.0))
    assert await store.inbox.claim("default", notice, worker="w2")
    formatter = UnknownTaskFormatter(worker, worker="w1", store=store, clock=SystemClock())
    claimed = {ENVELOPE: Envelope("default", "run", "load", 1).to_wire()}
    for kwargs in (claimed, {ENVELOPE: "damaged"}, {}):
        fields = {"task_id": "x", "task_name": "gone", "labels": {}, "args": [], "kwargs": kwargs}
        assert formatter.loads(json.dumps(fields).encode()).task_name == "gone"
        await asyncio.gather(*formatter._refusing)
    assert [found for _, found in await store.inbox.take("default")] == [notice]


async def test_a_worker_does_not_start_with_two_tasks_of_one_name(shelf: Shelf) -> None:
    shelf.offer("acme-a", "1", acme_a=SHARED)
    shelf.offer("acme-b", "1", acme_b=SHARED)
    _, worker, store = ends()
    Flow(worker, store=store, discover=True)
    with pytest.raises(PluginError, match=r"offered by acme-a 1 \(acme_a:total\) and by acme-b 1"):
        await worker.startup()


async def test_a_worker_starts_beside_a_broken_distribution(
    shelf: Shelf, caplog: pytest.LogCaptureFixture
) -> None:
    shelf.offer("acme-text", "1.2", acme_text=TEXT)
    shelf.offer("acme-broken", "0.1", acme_broken="raise SystemExit(1)")
    _, worker, store = ends()
    Flow(worker, store=store, discover=True)
    await worker.startup()
    assert "count_words" in worker.local_task_registry
    assert "tasks 'acme_broken' of acme-broken 0.1 (acme_broken) cannot be used: SystemExit: 1" in caplog.text
    await worker.shutdown()


async def test_a_graph_of_installed_tasks_brings_them_in(shelf: Shelf) -> None:
    shelf.offer("acme-text", "1.2", acme_text=TEXT)
    graph = DataflowPipeline.from_installed(outputs=["counts"]).graph
    with pytest.raises(GraphError, match="applies task 'acme_text:load', which its broker does not have"):
        await Flow(InMemoryBroker()).submit(graph, {"book": "Emma"})
    handle = await Flow(InMemoryBroker(), discover="entry-points").submit(graph, {"book": "Emma"})
    assert await handle.result(timeout=20) == {"counts": {"words": 4}}


def having(*tasks: str, worker: str = "w1", **versions: str) -> WorkerInfo:
    names = frozenset(name.replace("__", ":") for name in (*tasks, *versions))
    said = {name.replace("__", ":"): release for name, release in versions.items()}
    return WorkerInfo(id=worker, pool="default", tasks=names, versions=said, expires_at=float("inf"))


async def submit(*workers: WorkerInfo, outputs: str = "pages", **options: Any) -> None:
    client, _, store = ends()
    for worker in workers:
        await store.workers.announce(worker)
    Flow(client, store=store, discover=True, **options)

    @client.task
    def own(x: int) -> int: ...

    if outputs == "own":
        pipeline = DataflowPipeline.from_tasks(client, [own])
        await pipeline.kiq(x=1)
    else:
        await DataflowPipeline.from_installed(client, outputs=[outputs]).kiq(book="Emma")
    assert len(await store.runs.list()) == 1


REFUSED = {
    "no worker has it": (
        (having("other"), having("other", worker="w2")),
        "node 'load' applies task 'acme_text:load' of acme-text 1.2, unknown to any of the 2 live workers of pool "
        "'default'; install acme-text 1.2 there, and make their flow with discover=True and the same settings",
    ),
    "in another version": (
        (having(acme_text__load="acme-text 1.3"), having(worker="w2", acme_text__load="acme-text 1.1")),
        "node 'load' applies task 'acme_text:load' of acme-text 1.2, and a message may reach the live workers of pool "
        "'default', which have it of acme-text 1.1 and acme-text 1.3; install the same version on both sides",
    ),
    "one of them in another version": (
        (
            having(acme_text__load="acme-text 1.2"),
            having(worker="w2", acme_text__load="acme-text 1.3"),
            having("other", worker="w3"),
        ),
        "node 'load' applies task 'acme_text:load' of acme-text 1.2, and a message may reach w2 of pool 'default', "
        "which has it of acme-text 1.3; install the same version on both sides",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_workers_cannot_work_on_is_refused(shelf: Shelf, name: str) -> None:
    shelf.offer("acme-text", "1.2", acme_text=TEXT)
    workers, said = REFUSED[name]
    with pytest.raises(UnschedulableError) as caught:
        await submit(*workers)
    assert str(caught.value) == said


async def test_every_task_that_is_missing_is_named(shelf: Shelf) -> None:
    shelf.offer("acme-text", "1.2", acme_text=TEXT)
    with pytest.raises(UnschedulableError) as caught:
        await submit(having(acme_text__load="acme-text 1.2"), outputs="report")
    assert [line.split(",")[0] for line in str(caught.value).splitlines()] == [
        "node 'count' applies task 'count_words' of acme-text 1.2",
        "node 'report' applies task 'acme_text:report' of acme-text 1.2",
    ]


async def test_a_task_of_the_application_is_missed_as_well() -> None:
    with pytest.raises(UnschedulableError, match=r"unknown to the only live worker .*; import the module"):
        await submit(having("other"), outputs="own")


ACCEPTED = {
    "nobody is there yet": (),
    "only those who are gone lack it": (evolve(having("other"), expires_at=0.0),),
    "one does not say what it has": (evolve(having(), tasks=None),),
    "the same version": (having(acme_text__load="acme-text 1.2"),),
    "the worker's application has it": (having("acme_text__load"),),
    "one of two has it": (having("other"), having(worker="w2", acme_text__load="acme-text 1.2")),
}


@pytest.mark.parametrize("name", ACCEPTED)
async def test_what_some_worker_can_work_on_is_accepted(
    shelf: Shelf, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    shelf.offer("acme-text", "1.2", acme_text=TEXT)
    with caplog.at_level(logging.WARNING, "taskiq_flow"):
        await submit(*ACCEPTED[name])
    said = {
        "nobody is there yet": "pool 'default' has no live worker; runs wait until one starts",
        "only those who are gone lack it": "pool 'default' has no live worker; runs wait until one starts",
        "one of two has it": "task 'acme_text:load' is unknown to some workers of pool 'default': w1",
    }
    assert [record.getMessage() for record in caplog.records] == ([said[name]] if name in said else [])


async def test_in_memory_nobody_else_is_asked(shelf: Shelf) -> None:
    shelf.offer("acme-text", "1.2", acme_text=TEXT)
    broker, store = InMemoryBroker(), MemoryStore()
    await store.workers.announce(having("other"))
    Flow(broker, store=store)
    pipeline = DataflowPipeline.from_installed(broker, outputs=["pages"])
    assert await pipeline.kiq_dataflow(book="Emma") == {"pages": ["Emma 0", "Emma 1"]}
