"""The loop around the driver, under a fake clock: stores that are away, drivers that die, stand still or end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from attrs import evolve
from sim_chaos import CALM, Fault
from sim_network import Network, attempt_of
from sim_process import Process
from sim_world import START, Flaky, Script, SimulatedPolicy, World
from taskiq import BrokerMessage

from taskiq_flow.driver.driver import Driver
from taskiq_flow.errors import StoreError
from taskiq_flow.graph import Graph, Input, InputSpec, MapNode, Output, Source, TaskNode, build_graph
from taskiq_flow.machine.events import AttemptFailed, CellStarted, Event
from taskiq_flow.payloads import ClaimCheck, FailureKind
from taskiq_flow.retry import CellView, FailedAttempt, Retry, RetryDecision
from taskiq_flow.store import RunStatus
from taskiq_flow.stores.memory.small import MemoryBlobs

LEASE = 15.0
STANDBY = 3.0


def chain(length: int) -> Graph:
    nodes = []
    for number in range(length):
        params: dict[str, Source] = {"a": Output(nodes[-1].name, nodes[-1].outputs[0])} if nodes else {}
        nodes.append(TaskNode(name=f"n{number}", task="task0", params=params, outputs=(f"x{number}_0",)))
    return build_graph(nodes, outputs={"out": Output(nodes[-1].name, nodes[-1].outputs[0])})


def mapped() -> Graph:
    body = build_graph(
        [TaskNode(name="n0", task="task0", params={"a": Input("item")}, outputs=("x0_0",))],
        inputs={"item": InputSpec()},
        outputs={"out": Output("n0", "x0_0")},
    )
    node = MapNode(name="m", body=body, items=Input("list_in"), outputs=("list0_0",), collects=("out",))
    return build_graph([node], inputs={"list_in": InputSpec()}, outputs={"out": Output("m", "list0_0")})


class RetryInAHundredSeconds(SimulatedPolicy):
    def decide(self, failed: FailedAttempt, attempt: int, cell: CellView) -> RetryDecision:
        return Retry(delay=100.0)


class Stage(World):
    """A world in which only that goes wrong what the test does.

    :param seconds: How long every attempt takes.
    """

    policy = SimulatedPolicy

    def __init__(self, *graphs: Graph, size: int = 2, bound: int = 20, seconds: float = 2.0) -> None:
        super().__init__(1, chaos=CALM, graphs=list(graphs))
        self._size = size
        self.bound = self.watch._bound = bound
        self.seconds = seconds
        self.away: tuple[float, float] = (0.0, 0.0)
        self.refused = 0
        self.first_attempt_fails = False
        self.replace_the_dead = True

    def fault(self) -> Fault | None:
        begin, end = self.away
        if not begin <= self.clock.now() - START < end:
            return None
        self.refused += 1
        return Fault("blip", False, 0.0)

    def script(self, run: str, cell: str, attempt: int) -> Script:
        return Script(self.seconds, Flaky if self.first_attempt_fails and attempt == 1 else None, 0.0)

    def clean_up_lost(self, process: Process) -> None:
        if self.replace_the_dead:
            super().clean_up_lost(process)
        else:
            self.processes.remove(process)

    @property
    def seconds_gone(self) -> float:
        return self.clock.now() - START

    async def pass_until(self, over: Callable[[], bool], within: float = 300.0) -> float:
        """Let time pass until something is true, and say how long that took."""
        before = self.clock.now()
        assert await self.until(over, before + within), f"not within {within} s"
        assert not self.watch.problems
        return self.clock.now() - before

    async def pass_seconds(self, seconds: float) -> None:
        end = self.clock.now() + seconds
        self.clock.call_later(seconds, lambda: None)
        await self.until(lambda: self.clock.now() >= end, end)

    def over(self, number: int = 0) -> bool:
        return self.runs[number].done

    def events(self, kind: type[Event], number: int = 0) -> list[Any]:  # type: ignore[valid-type]
        return [each for each in self.watch.events.get(f"run{number}", []) if isinstance(each, kind)]

    async def status(self, number: int = 0) -> RunStatus:
        outcome = (await self.store.runs.get(f"run{number}")).outcome
        assert outcome is not None
        return outcome.status

    def at_work(self) -> Process:
        driver = self.driver()
        assert driver is not None
        return driver

    def others(self) -> list[Process]:
        return [each for each in self.processes if each is not self.driver()]


@asynccontextmanager
async def begun(stage: Stage) -> AsyncIterator[Stage]:
    stage.begin()
    try:
        yield stage
    finally:
        await stage.end()
    assert not stage.watch.problems


@pytest.mark.parametrize("begin", [0.0, 0.5, 2.05, 3.0, 4.1])
@pytest.mark.parametrize("length", [1.0, 30.0, 120.0])
async def test_a_store_that_is_away_for_a_while_strands_nothing(begin: float, length: float) -> None:
    stage = Stage(chain(4), chain(2))
    stage.away = (begin, begin + length)
    async with begun(stage):
        await stage.pass_until(lambda: stage.over(0) and stage.over(1))
        assert await stage.status(0) is await stage.status(1) is RunStatus.SUCCEEDED
        assert stage.seconds_gone < begin + length + 60
    # Whoever is refused waits before it asks again: four loops in each of two processes.
    assert stage.refused < 8 * (length / 2 + 10)


async def test_one_drives_and_the_others_stand_by() -> None:
    async with begun(Stage(chain(4), size=3)) as stage:
        await stage.pass_until(stage.over)
        assert sorted(len(process.drivers) for process in stage.processes) == [0, 0, 1]
        assert stage.watch.refusals == 0


async def test_a_driver_that_dies_is_replaced_when_its_lease_has_expired() -> None:
    async with begun(Stage(chain(3))) as stage:
        await stage.pass_until(lambda: bool(stage.events(CellStarted)))
        first = stage.at_work()
        first.die()
        seconds = await stage.pass_until(lambda: stage.driver() not in (None, first))
        assert seconds <= LEASE + STANDBY
        await stage.pass_until(stage.over)
        assert await stage.status() is RunStatus.SUCCEEDED


async def test_a_driver_that_is_stopped_hands_over_at_once() -> None:
    async with begun(Stage(chain(3))) as stage:
        await stage.pass_until(lambda: bool(stage.events(CellStarted)))
        first = stage.at_work()
        for task in first.flow.host.tasks:
            task.cancel()
        seconds = await stage.pass_until(lambda: stage.driver() not in (None, first))
        assert seconds <= STANDBY
        await stage.pass_until(stage.over)
        assert await stage.status() is RunStatus.SUCCEEDED


async def test_a_driver_that_stood_still_and_was_replaced_stands_by_again() -> None:
    """It is not enough to notice at the next notice: there may be none, only a timer that nobody watches."""
    stage = Stage(chain(1))
    stage.policy = RetryInAHundredSeconds
    stage.first_attempt_fails = True
    stage.runs[0].begins = START + 60.0
    async with begun(stage):
        await stage.pass_until(lambda: stage.driver() is not None)
        first = stage.at_work()
        first.pause(80.0)
        await stage.pass_until(lambda: bool(stage.events(AttemptFailed)))
        second = stage.at_work()
        assert second is not first
        stage.replace_the_dead = False
        await stage.pass_until(lambda: not first.unwell)
        await stage.pass_seconds(1.0)
        second.die()
        await stage.pass_until(stage.over)
        assert stage.at_work() is first
        assert await stage.status() is RunStatus.SUCCEEDED


async def test_a_worker_that_dies_is_noticed_although_nobody_writes_a_notice() -> None:
    async with begun(Stage(chain(1), seconds=50.0)) as stage:
        await stage.pass_until(lambda: bool(stage.events(CellStarted)))
        holder = next(each for each in stage.processes if each.name == stage.events(CellStarted)[0].worker)
        while holder is stage.at_work():
            # The worker shall die, not the driver.
            for task in holder.flow.host.tasks:
                task.cancel()
            await stage.pass_until(lambda: stage.driver() not in (None, holder))
        holder.die()
        seconds = await stage.pass_until(lambda: bool(stage.events(AttemptFailed)))
        assert seconds <= 20.0 + 5.0
        assert stage.events(AttemptFailed)[0].failure.kind.value == "worker_lost"
        await stage.pass_until(stage.over)


class Selective(Network):
    """Refuses or swallows the messages of the first run."""

    refuses = False

    def accept(self, message: BrokerMessage, sender: Process) -> None:
        if attempt_of(message.message).startswith("run0:"):
            if self.refuses:
                raise ConnectionError("this message is too large")
            return
        super().accept(message, sender)


async def test_a_run_that_is_deleted_while_it_waits_gives_its_place_back() -> None:
    stage = Stage(chain(1), chain(2), bound=1)
    stage.network = Selective(stage)
    async with begun(stage):
        await stage.pass_seconds(5.0)
        assert not stage.over(1)
        await stage.store.runs.delete("run0")
        stage.watch.over("run0")
        assert await stage.pass_until(lambda: stage.over(1)) < 90.0
        await stage.pass_until(lambda: stage.at_work().drivers[-1].idle)


async def test_a_message_that_cannot_be_sent_keeps_no_other_waiting() -> None:
    stage = Stage(chain(1), chain(2))
    stage.network = Selective(stage)
    stage.network.refuses = True
    async with begun(stage):
        assert await stage.pass_until(lambda: stage.over(1)) < 10.0
        assert not stage.over(0)
        stage.network.refuses = False
        stage.network.__class__ = Network
        assert await stage.pass_until(lambda: stage.over(0)) < 30.0


async def test_a_run_whose_client_died_before_it_was_announced_is_found_by_the_next_driver() -> None:
    stage = Stage(chain(1))
    stage.runs[0].announced = False
    async with begun(stage):
        await stage.pass_seconds(30.0)
        assert not stage.over()
        stage.at_work().die()
        await stage.pass_until(stage.over)
        assert await stage.status() is RunStatus.SUCCEEDED


async def test_a_log_that_cannot_be_replayed_ends_its_run_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original = Driver._replay

    def replay(self: Driver, run: Any, events: Sequence[Event]) -> None:
        if run.id == "run0":
            raise RuntimeError("a newer version wrote this")
        original(self, run, events)

    monkeypatch.setattr(Driver, "_replay", replay)
    async with begun(Stage(chain(2), chain(2), seconds=20.0)) as stage:
        await stage.pass_until(lambda: bool(stage.events(CellStarted, 1)))
        stage.at_work().die()
        await stage.pass_until(lambda: stage.over(0) and stage.over(1))
        assert await stage.status(0) is RunStatus.FAILED
        assert await stage.status(1) is RunStatus.SUCCEEDED
        reason = (await stage.store.runs.get("run0")).outcome.reason
        assert reason == "internal error: RuntimeError: a newer version wrote this"


@pytest.mark.parametrize(("failures", "status"), [(0, "succeeded"), (3, "succeeded"), (1000, "failed")])
async def test_items_that_cannot_be_read_are_asked_for_again_a_few_times(
    failures: int, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [failures]
    original = MemoryBlobs.get

    async def get(self: MemoryBlobs, run: str, key: str) -> bytes:
        if left[0]:
            left[0] -= 1
            raise StoreError("simulated: the blob cannot be read now")
        return await original(self, run, key)

    monkeypatch.setattr(MemoryBlobs, "get", get)
    stage = Stage(mapped(), chain(2))
    large = ClaimCheck("json", "large", 7)
    stage.runs[0].record = evolve(stage.runs[0].record, inputs={"list_in": large})
    await stage.store.blobs.put("run0", "large", b"[1,2,0]")
    async with begun(stage):
        assert await stage.pass_until(lambda: stage.over(1)) < 10.0, "one run's blob keeps another waiting"
        await stage.pass_until(stage.over)
        assert (await stage.status(0)).value == status
        assert len(stage.events(CellStarted)) == (3 if status == "succeeded" else 0)
        if status == "failed":
            _, failure = (await stage.store.runs.get("run0")).outcome.failures["m"]
            assert failure.kind is FailureKind.REJECTED
