"""Drivers turned by hand over a store of which chance writes the notices, and a ledger of its own of what is in use.

The ledger knows nothing but the logs: which attempt was placed on which worker, and when it has let go of it. It
is what the drivers' accounting is compared with.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from random import Random
from typing import Any

from attrs import define, evolve, field
from taskiq import AsyncBroker, BrokerMessage, InMemoryBroker

from machine_model import encode, input_values, plain, task_outputs
from taskiq_flow import Flow, GiveUp, Graph, MemoryStore, Retry, RetryPolicy, RunStatus, Scheduler
from taskiq_flow.driver.driver import Driver
from taskiq_flow.graph import MapNode, Node, TaskNode
from taskiq_flow.machine import events as ev
from taskiq_flow.payloads import Failure, FailureKind, ListedValue, Value
from taskiq_flow.pools import WorkerPool
from taskiq_flow.retry import CellView, FailedAttempt
from taskiq_flow.store import Notice, RunRecord, WorkerInfo
from taskiq_flow.testing import FakeClock

__all__ = ["Bench", "QuietBroker", "with_resources"]

DEMANDS: tuple[Mapping[str, float], ...] = (
    {},
    {},
    {"cpu": 0.5},
    {"cpu": 2},
    {"cpu": 4, "ram_mb": 1024},
    {"ram_mb": 3072},
    {"gpu": 1},
    {"cpu": 0, "db": 1},
    {"db": 2},
    {"gpu": 1, "db": 1},
    {"db": 1, "net": 1, "cpu": 0.1},
)
REAL = ("host-a", "host-b")


def with_resources(graph: Graph, random: Random) -> Graph:
    """Let the tasks of a graph, and of the bodies in it, ask for resources, limits and priorities."""

    def asking(node: Node) -> Node:
        if isinstance(node, MapNode):
            return evolve(node, body=with_resources(node.body, random))
        options = evolve(
            node.options,
            resources=dict(random.choice(DEMANDS)),
            priority=random.choice((0, 0, 0, 1)),
            timeout=random.choice((None, None, 5.0)),
            retry=None,
            queue=None,
        )
        return evolve(node, options=options)

    return evolve(graph, nodes={name: asking(node) for name, node in graph.nodes.items()})


class QuietBroker(AsyncBroker):
    """A broker with worker processes somewhere else, which keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[BrokerMessage] = []

    async def kick(self, message: BrokerMessage) -> None:
        self.messages.append(message)

    async def listen(self) -> AsyncGenerator[bytes, None]:
        for message in ():
            yield message


class Whimsical(RetryPolicy):
    """Tries again, mostly, and often with other resources, which nobody may have."""

    name = "whimsical"
    random = Random(0)

    def decide(self, failed: FailedAttempt, attempt: int, cell: CellView) -> Retry | GiveUp:
        if attempt > 3 or self.random.random() < 0.2:
            return GiveUp(reason="enough")
        resources = self.random.choice((None, *DEMANDS, {"cpu": 5}, {"db": 9}, {"ram_mb": 4096}))
        return Retry(delay=self.random.choice((0.0, 3.0)), resources=resources)


@define
class Ledger:
    """What each attempt occupies, from a run's log alone.

    :ivar held: The worker that an attempt was placed on, and what it asks for there, by cell and attempt.
    :ivar claimed: The process that executes it.
    :ivar lingering: What was given up, and occupies its worker all the same.
    """

    graph: Graph
    held: dict[tuple[str, int], tuple[str, Mapping[str, float]]] = field(factory=dict)
    claimed: dict[tuple[str, int], str] = field(factory=dict)
    asks: dict[str, Mapping[str, float]] = field(factory=dict)
    held_slots: set[tuple[str, int]] = field(factory=set)

    def read(self, event: ev.Event) -> None:
        if isinstance(event, ev.CellDispatched):
            asked = self.asks.get(event.cell)
            if asked is None:
                asked = _node(self.graph, event.cell).options.resources
            self.held[(event.cell, event.attempt)] = (event.worker, {"cpu": 1.0, **asked})
        elif isinstance(event, ev.CellStarted):
            self.claimed[(event.cell, event.attempt)] = event.worker
        elif isinstance(event, (ev.CellSucceeded, ev.SlotFreed)):
            self.held.pop((event.cell, event.attempt), None)
        elif isinstance(event, (ev.AttemptFailed, ev.CellCancelled)):
            if event.holds_slot and (event.cell, event.attempt) in self.held:
                self.held_slots.add((event.cell, event.attempt))
            else:
                self.held.pop((event.cell, event.attempt), None)
            if isinstance(event, ev.AttemptFailed) and event.resources is not None:
                self.asks[event.cell] = event.resources
        elif isinstance(event, ev.WorkerLost):
            for key in [key for key, worker in self.claimed.items() if worker == event.worker]:
                self.held.pop(key, None)


@define
class Bench:
    """A pool with an in-memory broker whose tasks are executed by nobody but chance.

    :ivar peak: The most that was in use of each resource of each worker, and of each limit.
    """

    pool: WorkerPool
    scheduler: Scheduler | None
    random: Random
    clock: FakeClock = field(factory=FakeClock)
    runs: dict[str, Ledger] = field(factory=dict)
    peak: dict[tuple[str, str], float] = field(factory=dict)
    flow: Flow = field(init=False)
    driver: Driver = field(init=False)
    store: MemoryStore = field(init=False)
    drivers: int = 0
    notices: list[Notice] = field(factory=list)
    read: dict[str, int] = field(factory=dict)

    async def open(self) -> None:
        self.store = MemoryStore(self.clock)
        broker = InMemoryBroker()
        self.flow = Flow(
            broker,
            store=self.store,
            pool=self.pool,
            scheduler=self.scheduler,
            retry=Whimsical,
            clock=self.clock,
            window=5,
        )
        Whimsical.random = Random(self.random.random())

        async def nothing(message: Any) -> None:
            return None

        broker.kick = nothing  # type: ignore[method-assign]
        await self.store.startup()
        await self.take_over()

    async def submit(self, graph: Graph, name: str) -> None:
        values = input_values(graph, self.random.randrange(1000))
        record = RunRecord(
            id=name,
            pool=self.pool.name,
            graph=graph,
            inputs={key: encode(value) for key, value in values.items()},
            created_at=self.clock.now(),
            labels={"tenant": self.random.choice("ab")},
        )
        self.runs[name] = Ledger(graph)
        await self.store.runs.create(record)
        await self.put(name, ev.RunStarted(at=self.clock.now()))

    async def take_over(self) -> None:
        """Let another driver go on with the log alone."""
        if self.drivers:
            await self.store.leases.release(self.driver.lease)
        self.drivers += 1
        lease = await self.store.leases.acquire(f"pool:{self.pool.name}", f"driver-{self.drivers}", 1e9)
        assert lease is not None
        self.driver = self.flow.make_driver(lease)
        await self.driver.resume()

    async def turn(self) -> None:
        await self.driver.turn()
        for name, ledger in self.runs.items():
            events = await self.store.log.read(name, self.read.get(name, 0))
            self.read[name] = self.read.get(name, 0) + len(events)
            for event in events:
                ledger.read(event)
        self.measure()

    def measure(self) -> None:
        """Compare what the ledger says with what there is."""
        used: dict[tuple[str, str], float] = {}
        for ledger in self.runs.values():
            for worker, asked in ledger.held.values():
                for name, amount in asked.items():
                    key = ("", name) if name in self.pool.limits else (worker, name)
                    used[key] = used.get(key, 0.0) + amount
        there = {("", name): limit for name, limit in self.pool.limits.items()}
        for worker_view in self.flow.declared_workers:
            there |= {(worker_view.id, name): amount for name, amount in worker_view.capacity.items()}
        for key, amount in used.items():
            if amount and amount > there.get(key, 0.0) + 1e-9:
                held = {name: ledger.held for name, ledger in self.runs.items()}
                raise AssertionError(f"{amount} of {key} in use, of {there}: {held}")
            self.peak[key] = max(self.peak.get(key, 0.0), amount)

    async def over(self) -> bool:
        return all([(await self.store.runs.get(name)).outcome is not None for name in self.runs])

    async def put(self, run: str, event: ev.Event) -> None:
        notice = Notice(run=run, event=event)
        self.notices.append(notice)
        await self.store.inbox.put(self.pool.name, [notice])

    # What may happen

    async def step(self, *, faults: bool = True) -> None:
        kinds = [self.claim, self.succeed, self.succeed]
        if faults:
            kinds += [
                self.fail,
                self.hold_slot,
                self.let_go,
                self.lose,
                self.repeat,
                self.wait,
                self.take_over,
            ]
            if self.random.random() < 0.03:
                kinds = [self.cancel]
        await self.random.choice(kinds)()
        await self.turn()

    async def claim(self) -> None:
        key = self.choose(claimed=False)
        if key is not None:
            worker = self.random.choice(REAL)
            await self.store.workers.announce(WorkerInfo(id=worker, pool=self.pool.name, expires_at=1e12))
            event = ev.CellStarted(cell=key[1], attempt=key[2], worker=worker, at=self.clock.now())
            await self.store.inbox.claim(self.pool.name, Notice(run=key[0], event=event), worker=worker)

    async def succeed(self) -> None:
        key = self.choose(claimed=True)
        if key is None:
            await self.claim()
            return
        run, cell, attempt = key
        node = _node(self.runs[run].graph, cell)
        values = task_outputs(node, {"cell": cell})
        outputs: tuple[Value, ...] = tuple(
            ListedValue(tuple(map(encode, value))) if isinstance(value, list) else encode(value)
            for value in values
        )
        assert plain(ListedValue(outputs)) == list(values)
        await self.put(
            run, ev.CellSucceeded(cell=cell, attempt=attempt, outputs=outputs, at=self.clock.now())
        )

    async def fail(self, *, holds_slot: bool = False) -> None:
        key = self.choose(claimed=True)
        if key is None:
            return
        run, cell, attempt = key
        judged = self.flow.policies.decide(
            FailedAttempt(failure=Failure(kind=FailureKind.EXCEPTION, message="no luck")),
            CellView(run=run, path=cell, task="task"),
            own=None,
            options=None,
            attempt=attempt,
            now=self.clock.now(),
            holds_slot=holds_slot,
        )
        await self.put(run, judged)

    async def hold_slot(self) -> None:
        await self.fail(holds_slot=True)

    async def let_go(self) -> None:
        """Let a thread end that was given up, if it was."""
        held = [
            (run, *key)
            for run, ledger in self.runs.items()
            for key in ledger.held
            if key in ledger.held_slots
        ]
        if held:
            run, cell, attempt = self.random.choice(held)
            await self.put(run, ev.SlotFreed(cell=cell, attempt=attempt, at=self.clock.now()))

    async def lose(self) -> None:
        worker = self.random.choice(REAL)
        info = WorkerInfo(id=worker, pool=self.pool.name, expires_at=self.clock.now() - 1)
        await self.store.workers.announce(info)
        self.clock.advance(1.5)

    async def repeat(self) -> None:
        if self.notices:
            await self.store.inbox.put(self.pool.name, [self.random.choice(self.notices)])

    async def wait(self) -> None:
        self.clock.advance(self.random.choice((1.0, 6.0)))

    async def cancel(self) -> None:
        await self.put(self.random.choice(sorted(self.runs)), ev.CancelRequested(reason="enough"))

    def choose(self, *, claimed: bool) -> tuple[str, str, int] | None:
        found = [
            (run, *key)
            for run, ledger in self.runs.items()
            for key in ledger.held
            if (key in ledger.claimed) is claimed and key not in ledger.held_slots
        ]
        return self.random.choice(found) if found else None

    async def finish(self) -> None:
        """Let everything end well from now on."""
        for _ in range(3000):
            if await self.over():
                return
            for run, ledger in self.runs.items():
                for cell, attempt in [key for key in ledger.held if key in ledger.held_slots]:
                    await self.put(run, ev.SlotFreed(cell=cell, attempt=attempt, at=self.clock.now()))
            await self.step(faults=False)
            self.clock.advance(0.5)
        states = {name: (await self.store.runs.get(name)).outcome for name in self.runs}
        raise AssertionError(f"runs wait for nothing: {states}, {self.runs}")

    async def outcomes(self) -> list[RunStatus]:
        records = [await self.store.runs.get(name) for name in self.runs]
        return [record.outcome.status for record in records if record.outcome is not None]


def _node(graph: Graph, cell: str) -> TaskNode:
    *maps, name = cell.split("/")
    for each in maps:
        inner = graph.nodes[each.partition("[")[0]]
        assert isinstance(inner, MapNode)
        graph = inner.body
    node = graph.nodes[name]
    assert isinstance(node, TaskNode)
    return node
