"""Drivers, workers and stores that are broken on purpose: the simulation has to find each of them out."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from attrs import frozen
from sim_chaos import Chaos
from sim_run import simulate

from taskiq_flow.driver import watch
from taskiq_flow.driver.arrivals import ArrivalQueue
from taskiq_flow.driver.driver import Driver
from taskiq_flow.driver.journal import Journal
from taskiq_flow.driver.scheduling import PoolScheduling
from taskiq_flow.driver.watch import WorkerWatch
from taskiq_flow.machine import instructions as do
from taskiq_flow.machine.cells import Cells
from taskiq_flow.machine.machine import RunMachine
from taskiq_flow.stores.memory.inbox import MemoryInbox
from taskiq_flow.stores.memory.state import State
from taskiq_flow.worker.worker import Worker

SEEDS = 250
"""Within so many worlds a mutant has to be found; most are found within ten."""

Patch = pytest.MonkeyPatch


@frozen
class Mutant:
    """Something broken, and the weather in which that matters."""

    apply: Callable[[Patch], None]
    chaos: Chaos


MUTANTS: dict[str, Mutant] = {}


def mutant(**chaos: float) -> Callable[[Callable[[Patch], None]], Callable[[Patch], None]]:
    def keep(apply: Callable[[Patch], None]) -> Callable[[Patch], None]:
        MUTANTS[apply.__name__] = Mutant(apply, Chaos(storm=30.0, **chaos))
        return apply

    return keep


@mutant(deaths=0.03)
def messages_are_sent_before_the_append(patch: Patch) -> None:
    original = Driver._append

    async def append(self: Driver) -> None:
        if self._outbox:
            await self._send()
            if self.sender._emptying is not None:
                await self.sender._emptying
        await original(self)

    patch.setattr(Driver, "_append", append)


@mutant(deaths=0.03)
def notices_are_acknowledged_before_the_append(patch: Patch) -> None:
    original = MemoryInbox.take

    async def take(self: MemoryInbox, pool: str, limit: int = 1000) -> Any:
        taken = await original(self, pool, limit)
        await self.acknowledge(pool, [token for token, _ in taken])
        return taken

    patch.setattr(MemoryInbox, "take", take)


@mutant(pauses=0.05)
def a_driver_acknowledges_without_knowing_that_it_still_is_one(patch: Patch) -> None:
    original = Driver._append

    async def append(self: Driver) -> None:
        if self._log:
            await original(self)

    patch.setattr(Driver, "_append", append)


@mutant(duplicates=0.5)
def every_claim_wins(patch: Patch) -> None:
    original = MemoryInbox.claim

    async def claim(self: MemoryInbox, pool: str, notice: Any, *, worker: str) -> bool:
        entry = self._state.runs.get(notice.run)
        if entry is not None:
            entry.claims.pop((notice.event.cell, notice.event.attempt), None)
        return await original(self, pool, notice, worker=worker)

    patch.setattr(MemoryInbox, "claim", claim)


@mutant(pauses=0.05)
def nobody_is_fenced(patch: Patch) -> None:
    patch.setattr(State, "fence", lambda self, lease: None)


@mutant(hanging=0.3, deaf=0.5, pauses=0.03)
def late_outcomes_count(patch: Patch) -> None:
    original = Cells.current

    def current(self: Cells, event: Any) -> Any:
        return self.in_flight.get(event.cell) or original(self, event)

    patch.setattr(Cells, "current", current)


@mutant()
def a_cell_that_waits_for_room_is_forgotten(patch: Patch) -> None:
    original = ArrivalQueue.pop

    def pop(self: ArrivalQueue) -> Any:
        if len(self) > 1:
            original(self)
        return original(self)

    patch.setattr(ArrivalQueue, "pop", pop)


def without(*kinds: type) -> Callable[[Patch], None]:
    def apply(patch: Patch) -> None:
        original = RunMachine.outstanding
        patch.setattr(
            RunMachine,
            "outstanding",
            lambda self: [order for order in original(self) if not isinstance(order, kinds)],
        )

    return apply


@mutant(deaths=0.02)
def nothing_is_sent_again_after_a_takeover(patch: Patch) -> None:
    without(do.Dispatch)(patch)


@mutant(deaths=0.02, flaky=0.5)
def timers_die_with_their_driver(patch: Patch) -> None:
    without(do.StartTimer)(patch)


@mutant(deaths=0.02)
def ready_cells_are_forgotten_in_a_takeover(patch: Patch) -> None:
    without(do.Enqueue)(patch)


@mutant(deaths=0.06, kills=0.1)
def a_lost_worker_is_forgotten_before_that_is_logged(patch: Patch) -> None:
    original = WorkerWatch.find_lost

    async def lost(self: WorkerWatch, now: float, holders: Any) -> Any:
        found = await original(self, now, holders)
        await self.clean_up_lost()
        return found

    patch.setattr(WorkerWatch, "find_lost", lost)
    patch.setattr(watch, "_SECONDS_UNKNOWN", float("inf"))


@mutant(kills=0.1)
def lost_workers_are_not_looked_for(patch: Patch) -> None:
    async def lost(self: WorkerWatch, now: float, holders: Any) -> Any:
        self.next_look = now + 1.0
        return ()

    patch.setattr(WorkerWatch, "find_lost", lost)


@mutant(retirements=0.2)
def a_worker_that_nobody_knows_is_believed(patch: Patch) -> None:
    patch.setattr(watch, "_SECONDS_UNKNOWN", float("inf"))


@mutant(lost_replies=0.05)
def an_append_is_repeated_blindly(patch: Patch) -> None:
    async def leave_out(self: Journal) -> None:
        return None

    patch.setattr(Journal, "_leave_out_written", leave_out)


@mutant(blips=0.05)
def an_outcome_is_put_once(patch: Patch) -> None:
    async def give_up(self: Worker, pool: str, notices: Any) -> None:
        return None

    patch.setattr(Worker, "_retry", give_up)


@mutant()
def the_scheduler_forgets_what_runs(patch: Patch) -> None:
    next_arrival = PoolScheduling.next_arrival
    patch.setattr(PoolScheduling, "next_arrival", lambda self, in_flight: next_arrival(self, 0))


@mutant(deleting=0.7, delay=10.0)
def deleted_runs_are_driven_on(patch: Patch) -> None:
    patch.setattr("taskiq_flow.driver.active._SECONDS_OF_SILENCE", float("inf"))


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", MUTANTS)
def test_the_simulation_bites(name: str, monkeypatch: Patch) -> None:
    MUTANTS[name].apply(monkeypatch)
    assert caught(MUTANTS[name].chaos) is not None, f"{name} was not found in {SEEDS} worlds"


def caught(chaos: Chaos) -> int | None:
    return next((seed for seed in range(SEEDS) if simulate(seed, chaos=chaos).problems), None)


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTANTS)
def test_in_the_weather_of_a_mutant_the_real_one_is_fine(name: str, scaled: Callable[[int], int]) -> None:
    for seed in range(scaled(20)):
        report = simulate(seed, chaos=MUTANTS[name].chaos)
        assert not report.problems, str(report)


def test_every_mutant_is_in_the_table() -> None:
    module = inspect.getmodule(caught)
    found = [name for name, each in vars(module).items() if inspect.isfunction(each) and _is_mutant(each)]
    assert sorted(found) == sorted(MUTANTS)


def _is_mutant(function: Any) -> bool:
    return list(inspect.signature(function).parameters) == ["patch"]
