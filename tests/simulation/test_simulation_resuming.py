"""Worlds in which everything goes wrong, and every run that did not succeed is resumed when its faults are gone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve
from sim_run import simulate
from sim_world import SimulatedRun, World

from taskiq_flow.errors import ResumeError, RunNotFound
from taskiq_flow.machine import events as ev
from taskiq_flow.store import RunStatus
from taskiq_flow.submission.resumption import resumption_of
from taskiq_flow.values.results import read_results

WORLDS = 600
CHUNKS = 4


class ResumingWorld(World):
    """A world in which nobody gives up."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.chaos = evolve(self.chaos, failing=max(self.chaos.failing, 0.15))
        self.kept: dict[str, set[str]] = {}

    def fails(self, run: str, cell: str) -> bool:
        return "~" not in run and super().fails(run, cell)

    async def _client(self, run: SimulatedRun) -> None:
        await super()._client(run)
        if run.record.id.endswith("~3"):
            return  # a map over what is no list has no end
        # No time passes until the next run is there.
        store, now = self.store, self.clock.now()
        try:
            old = await store.runs.get(run.record.id)
            record = await resumption_of(old, store=store, read=self.codec.read, now=now)
        except (ResumeError, RunNotFound):
            return
        self.counts["resumed"] += 1
        kept = self.kept[record.id] = {event.cell async for event in read_results(store, record.id)}
        assert old.outcome is not None
        # What a run was given is handed on, whether it came to it or not, but for what waits for left-out items.
        if not old.outcome.left_out:
            assert self.kept.get(old.id, set()) <= kept, f"{old.id} was given more than {record.id}"
            self.counts["handed on"] += len(self.kept.get(old.id, ()))
        again = SimulatedRun(record, run.values, now)
        again.announced = not self.stormy or self.random.random() >= self.chaos.orphaning
        self.runs.append(again)
        if self.random.random() < 0.5:
            await store.runs.delete(old.id)
            run.deleted = True
        await self._client(again)


@pytest.fixture(scope="module")
def totals() -> Counter[str]:
    """How often each thing happened in the worlds so far."""
    return Counter()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_every_resumed_run_comes_to_its_fault_free_result(
    chunk: int, scaled: Callable[[int], int], totals: Counter[str]
) -> None:
    for seed in range(chunk * 100_000, chunk * 100_000 + scaled(WORLDS // CHUNKS)):
        worlds: list[ResumingWorld] = []

        def make(*args: Any, worlds: list[ResumingWorld] = worlds, **options: Any) -> World:
            worlds.append(ResumingWorld(*args, **options))
            return worlds[0]

        report = simulate(seed, make_world=make)
        assert not report.problems, str(report)
        [world] = worlds
        for run, cells in world.kept.items():
            executed = {cell for other, cell, _ in world.executed if other == run}
            assert executed.isdisjoint(cells), f"seed {seed}: {executed & cells} of {run} were executed again"
            entry = world.store._state.runs.get(run)
            if entry is not None and world.watch.machines[run].status is RunStatus.SUCCEEDED:
                taken = {
                    each.cell
                    for each in entry.history.since(0)
                    if isinstance(each, ev.CellSucceeded) and each.taken_from
                }
                assert taken == cells, f"seed {seed}: {taken ^ cells} of {run}"
                totals["taken"] += len(taken)
        totals.update(report.counts, worlds=1)


def test_the_worlds_had_something_to_take_over(totals: Counter[str]) -> None:
    if totals["worlds"] < WORLDS // 3:
        pytest.skip("in few worlds it may be that nothing is taken over, or handed on")
    assert min(totals["resumed"], totals["taken"]) > 10
    assert totals["handed on"]
