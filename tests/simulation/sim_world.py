"""A world under a fake clock: one store, one network, and processes that come and go; one seed decides everything."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

from attrs import define, evolve, frozen
from sim_chaos import Chaos, Fault, chaos_of
from sim_network import Network
from sim_process import Process, SimulatedCrash
from sim_watch import Watch, WatchedLog

from machine_graphs import random_graph
from machine_model import Expected, evaluate, input_values, task_outputs
from taskiq_flow.errors import RunNotFound
from taskiq_flow.graph import Graph, MapNode, TaskNode
from taskiq_flow.machine import events as ev
from taskiq_flow.messages.envelope import Envelope
from taskiq_flow.payloads import FailureKind
from taskiq_flow.retry import CellView, FailedAttempt, GiveUp, Retry, RetryDecision, RetryPolicy
from taskiq_flow.schedulers.fifo import FifoScheduler
from taskiq_flow.serializers.json import JsonSerializer
from taskiq_flow.store import Notice, RunRecord
from taskiq_flow.stores.memory import MemoryStore
from taskiq_flow.testing import FakeClock
from taskiq_flow.values.codec import Codec

__all__ = ["POOL", "Broken", "Flaky", "SimulatedRun", "World"]

POOL = "default"
START = 1_000_000.0
PATIENCE = 600.0
"""Seconds that a world has to come to an end once the storm is over."""

_TOO_LONG = 100_000.0
_ENOUGH_ATTEMPTS = 80


class Flaky(Exception):
    """An attempt that failed; the next one may not."""


class Broken(Exception):
    """A cell whose every attempt fails."""


class SimulatedPolicy(RetryPolicy):
    """Tries again after a while, whatever happened, unless the task is broken for good."""

    name = "simulated"

    def decide(self, failed: FailedAttempt, attempt: int, cell: CellView) -> RetryDecision:
        failure = failed.failure
        if failure.type.endswith("Broken") or failure.kind is FailureKind.REJECTED:
            return GiveUp(reason="broken for good")
        if attempt >= _ENOUGH_ATTEMPTS:
            return GiveUp(reason="no end in sight")
        delay = Random(f"{cell.run}|{cell.path}|{attempt}").choice([0.0, 0.0, 0.5, 2.0, 7.0])
        return Retry(delay=delay, reason=failure.kind.value)


@define(eq=False)
class SimulatedRun:
    """A run, and what is to become of it."""

    record: RunRecord
    values: dict[str, Any]
    begins: float
    announced: bool = True
    cancelled: bool = False
    deleted: bool = False
    done: bool = False


@frozen
class Script:
    """What an attempt does."""

    seconds: float
    error: type[Exception] | None
    deaf: float


class World:
    """Everything there is in one simulation.

    :param seed: Decides everything.
    :param chaos: What goes wrong; by the seed when it is not given.
    :param graphs: What is run; by the seed when it is not given.
    :param trace: Print what happens.
    """

    policy: type[RetryPolicy] = SimulatedPolicy

    def __init__(
        self,
        seed: int,
        *,
        chaos: Chaos | None = None,
        graphs: list[Graph] | None = None,
        trace: bool = False,
    ) -> None:
        self.seed = seed
        self.random = random = Random(seed)
        self.chaos = chaos_of(random) if chaos is None else chaos
        self.trace = trace
        self.clock = FakeClock(START)
        self.codec = Codec({"json": JsonSerializer}, "json")
        self.bound = random.choice([1, 2, 3, 5, 20])
        self.pace = random.choice([0.1, 1.0, 4.0])
        self.window = random.randint(1, 6)
        self.watch = Watch(self.codec, self.bound)
        self.store = self.make_store()
        self.network = Network(self)
        self.processes: list[Process] = []
        self.everybody: list[Process] = []
        self.executing: dict[tuple[str, str, int], str] = {}
        self.executed: Counter[tuple[str, str, int]] = Counter()
        self.counts: Counter[str] = Counter()
        self.storm_ends = START + self.chaos.storm
        self.stormy = self.chaos.storm > 0
        self._faults = self._fault_kinds()
        self._background: set[asyncio.Task[None]] = set()
        self._size = random.randint(2, 4)
        self.runs = [self._run(number, graph) for number, graph in enumerate(graphs or self._graphs())]

    def make_store(self) -> MemoryStore:
        """Make the store that all processes share."""
        store = MemoryStore(self.clock)
        store.log = WatchedLog(store.log, self.watch)
        return store

    def scheduler(self) -> FifoScheduler:
        """Make a scheduler for a process."""
        return FifoScheduler(max_in_flight=self.bound)

    def _graphs(self) -> list[Graph]:
        random = self.random
        found = []
        for _ in range(random.choice([1, 1, 2, 3])):
            graph = random_graph(random, depth=random.choice([0, 1, 1, 2]), most=random.choice([3, 5, 8]))
            # Time limits of runs would end most of them in the storm, which hides everything else.
            limit = self.chaos.storm + 30.0 if random.random() < 0.05 else None
            found.append(evolve(graph, timeout=limit))
        return found

    def _run(self, number: int, graph: Graph) -> SimulatedRun:
        random, chaos = self.random, self.chaos
        values = input_values(graph, random.randrange(1000))
        begins = START if random.random() < 0.5 else START + random.uniform(0, chaos.storm)
        record = RunRecord(
            id=f"run{number}",
            pool=POOL,
            graph=graph,
            inputs={name: self.codec.encode(value) for name, value in values.items()},
            created_at=begins,
        )
        run = SimulatedRun(record, values, begins)
        run.announced = random.random() >= chaos.orphaning
        run.cancelled = random.random() < chaos.cancelling
        run.deleted = random.random() < chaos.deleting
        return run

    # What goes wrong

    def _fault_kinds(self) -> list[tuple[float, str]]:
        chaos, kinds, total = self.chaos, [], 0.0
        for name, kind in (
            ("blips", "blip"),
            ("lost_replies", "lost reply"),
            ("latencies", "latency"),
            ("pauses", "pause"),
            ("deaths", "death"),
        ):
            total += getattr(chaos, name)
            kinds.append((total, kind))
        return kinds

    def fault(self) -> Fault | None:
        """Draw what goes wrong with a call of a store's method."""
        if not self.stormy:
            return None
        drawn = self.random.random()
        for below, kind in self._faults:
            if drawn < below:
                self.counts[kind] += 1
                after = {"blip": False, "lost reply": True}.get(kind, self.random.random() < 0.5)
                seconds = self.random.choice([0.01, 0.3, 2.0])
                if kind == "pause":
                    seconds = self.random.choice([1.0, 10.0, 20.0, 40.0])
                return Fault(kind, after, seconds)
        return None

    def tell(self, what: str) -> None:
        """Say what happens, to whoever traces it."""
        if self.trace:
            print(f"{self.clock.now() - START:9.3f}  {what}")

    # Processes

    def launch(self) -> None:
        """Start one more process."""
        number = len(self.everybody)
        process = Process(
            self, f"p{number}", works=self.random.random() < 0.8 or not any(it.works for it in self.processes)
        )
        self.processes.append(process)
        self.everybody.append(process)
        self.do(process.start())

    def clean_up_lost(self, process: Process) -> None:
        """Take a dead process out, and start another one after a while."""
        self.counts["gone"] += 1
        self.processes.remove(process)
        self.clock.call_later(self.random.uniform(0.1, 5.0) if self.stormy else 0.1, self.launch)

    def driver(self) -> Process | None:
        """Give the process that holds the lease of the pool, if it is alive."""
        lease = self.store._state.leases.get(f"pool:{POOL}")
        if lease is None:
            return None
        return next((each for each in self.processes if each.name == lease.holder), None)

    def do(self, coroutine: Any) -> None:
        """Let something go on beside the rest."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    # Tasks

    def node_of(self, run: str, cell: str) -> TaskNode:
        """Give the node of a cell."""
        graph = next(each.record.graph for each in self.runs if each.record.id == run)
        *scopes, name = cell.split("/")
        for scope in scopes:
            node = graph.nodes[scope.partition("[")[0]]
            assert isinstance(node, MapNode)
            graph = node.body
        found = graph.nodes[name]
        assert isinstance(found, TaskNode)
        return found

    def fails(self, run: str, cell: str) -> bool:
        """Whether every attempt of a cell raises."""
        return Random(f"{self.seed}|{run}|{cell}").random() < self.chaos.failing

    def script(self, run: str, cell: str, attempt: int) -> Script:
        """Say what an attempt does; depends on nothing but the seed."""
        random, chaos = Random(f"{self.seed}|{run}|{cell}|{attempt}"), self.chaos
        limit = self.node_of(run, cell).options.timeout
        seconds = random.choice([0.0, 0.01, 0.2, 1.0, 4.0]) * self.pace
        if limit is not None and attempt > 1:
            seconds = min(seconds, limit / 2)
        error: type[Exception] | None = None
        if self.fails(run, cell):
            error = Broken
        elif random.random() < chaos.flaky and attempt < 6:
            error = Flaky
        if random.random() < chaos.hanging and attempt == 1 and limit is not None:
            seconds = _TOO_LONG
        return Script(seconds, error, random.choice([1.0, 8.0]) if random.random() < chaos.deaf else 0.0)

    async def execute(self, process: Process, envelope: Envelope, task: str, values: dict[str, Any]) -> Any:
        """Be the function of a task."""
        key = (envelope.run, envelope.cell, envelope.attempt)
        name = f"{envelope.run}:{envelope.cell}#{envelope.attempt}"
        if key in self.executing:
            self.watch.problems.append(f"{name} is executed by {self.executing[key]} and by {process.name}")
        self.executing[key] = process.name
        self.executed[key] += 1
        if self.executed[key] > 1:
            self.watch.problems.append(f"{name} was executed {self.executed[key]} times")
        script = self.script(*key)
        try:
            try:
                await self.clock.sleep(script.seconds)
            except asyncio.CancelledError:
                if not script.deaf or process.dead:
                    raise
                await self.clock.sleep(script.deaf)
            if script.error is not None:
                raise script.error("scripted")
        finally:
            self.executing.pop(key, None)
        node = self.node_of(envelope.run, envelope.cell)
        if node.follows is not None:
            return None
        outputs = task_outputs(evolve(node, task=task), values)
        return outputs[0] if len(outputs) == 1 else outputs

    # The course of the world

    async def run(self) -> None:
        """Let everything happen, until all runs are over or something is wrong."""
        self.begin()
        try:
            if not await self.until(lambda: all(run.done for run in self.runs), self.storm_ends + PATIENCE):
                late = [run.record.id for run in self.runs if not run.done]
                self.watch.problems.append(f"{', '.join(late)} did not finish within {PATIENCE:g} s of calm")
            if not self.watch.problems:
                await self._aftermath()
        finally:
            await self.end()

    def begin(self) -> None:
        """Start the processes and the clients."""
        asyncio.get_running_loop().set_exception_handler(self._unheard)
        for _ in range(self._size):
            self.launch()
        for run in self.runs:
            self.do(self._client(run))
        if self.stormy:
            self.do(self._weather())
            self.clock.call_later(self.chaos.storm, self._calm_down)

    async def until(self, over: Callable[[], bool], deadline: float) -> bool:
        """Let time pass until something is true, or wrong.

        :returns: Whether it came so far before the deadline.
        """
        while True:
            await self.clock.settle()
            if self.watch.problems or over():
                return True
            due = self.clock.next_due
            if due is None or due > deadline:
                return False
            self.clock.jump()

    async def end(self) -> None:
        """Stop everything."""
        for process in self.everybody:
            process.dead = process.unwell = True
            for task in [*process.flow.host.tasks, *process.messages]:
                task.cancel()
        for task in list(self._background):
            task.cancel()
        await self.clock.settle()

    async def _aftermath(self) -> None:
        """Wait until every notice is read and every dead worker is noticed."""
        self._calm_down()
        end = self.clock.now() + (90.0 if self.random.random() < 0.25 else 5.0)
        await self.until(lambda: self.clock.now() >= end, end + 60.0)
        thorough = self.clock.now() > self.storm_ends + 60.0
        self._check_leftovers(thorough=thorough)

    def _check_leftovers(self, *, thorough: bool) -> None:
        state, problems = self.store._state, self.watch.problems
        driver = self.driver()
        if thorough and driver is not None and not driver.drivers[-1].idle:
            problems.append(f"{driver.name} still drives {list(driver.drivers[-1]._runs)}")
        for name, box in state.boxes.items():
            if box.notices and (thorough or (name == POOL and driver is not None)):
                problems.append(f"inbox {name!r} still has {[notice for _, notice in box.notices]}")

    def _calm_down(self) -> None:
        """End the storm; what only a takeover brings back needs one."""
        if not self.stormy:
            return
        self.tell("the storm is over")
        self.stormy = False
        for process in list(self.processes):
            process.revive()
        if self.network.lost or not all(run.announced for run in self.runs):
            holder = self.driver()
            if holder is not None:
                holder.die()

    async def _weather(self) -> None:
        """Kill and retire processes at any moment."""
        chaos, random = self.chaos, self.random
        while self.stormy:
            await self.clock.sleep(1.0)
            for process in list(self.processes):
                if process.dead or process.retiring:
                    continue
                if random.random() < chaos.kills:
                    process.die()
                elif random.random() < chaos.retirements:
                    self.do(process.retire())

    async def _client(self, run: SimulatedRun) -> None:
        """Start a run, and wait for its outcome; cancel it or delete it on the way."""
        store, clock, random = self.store, self.clock, Random(f"{self.seed}|{run.record.id}")
        await clock.sleep(run.begins - clock.now())
        self.watch.created(run.record)
        await store.runs.create(run.record)
        self.tell(f"{run.record.id} is created")
        if run.announced:
            notice = Notice(run=run.record.id, event=ev.RunStarted(at=clock.now()))
            await store.inbox.put(POOL, [notice])
        if run.cancelled:
            self.do(self._cancel(run, random.uniform(0, 15)))
        if run.deleted:
            self.do(self._delete(run, random.uniform(0, 15)))
        with contextlib.suppress(RunNotFound):
            await store.runs.wait(run.record.id)
        self.watch.over(run.record.id)
        self.tell(f"{run.record.id} is over")
        run.done = True

    async def _cancel(self, run: SimulatedRun, seconds: float) -> None:
        await self.clock.sleep(seconds)
        self.tell(f"{run.record.id} is to be cancelled")
        event = ev.CancelRequested(reason="enough", at=self.clock.now())
        await self.store.inbox.put(POOL, [Notice(run=run.record.id, event=event)])

    async def _delete(self, run: SimulatedRun, seconds: float) -> None:
        await self.clock.sleep(seconds)
        if not run.done:
            self.tell(f"{run.record.id} is deleted")
            await self.store.runs.delete(run.record.id)
            self.watch.over(run.record.id)

    def expected(self, run: SimulatedRun, *, given_up: frozenset[str] = frozenset()) -> Expected:
        """Evaluate a run as if nothing went wrong but what its own tasks do.

        :param given_up: Cells that get no further attempt because their run is being ended.
        """
        return evaluate(
            run.record.graph,
            run.values,
            lambda path: path in given_up or self.fails(run.record.id, path),
        )

    def _unheard(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, (SimulatedCrash, asyncio.CancelledError)):
            return
        self.watch.problems.append(f"nobody has heard of: {context.get('message')}: {error!r}")
