"""The schedulers: the kit, and what each of them promises beyond it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskiq_flow import PluginError, Scheduler
from taskiq_flow.scheduler import Placement, ReadyCell, RunningCell, WorkerView
from taskiq_flow.testing import SchedulerKit
from taskiq_flow_resources.best_fit import BestFitScheduler
from taskiq_flow_resources.critical_path import CriticalPathScheduler
from taskiq_flow_resources.fair_share import FairShareScheduler

SMALL = WorkerView(id="small", capacity={"cpu": 2.0, "ram_mb": 2048.0})
LARGE = WorkerView(id="large", capacity={"cpu": 8.0, "ram_mb": 8192.0})
GPU = WorkerView(id="gpu", capacity={"cpu": 2.0, "ram_mb": 2048.0, "gpu": 1.0})
ALL: tuple[type[Any], ...] = (BestFitScheduler, CriticalPathScheduler, FairShareScheduler)


class TestBestFit(SchedulerKit):
    def make(self) -> Scheduler:
        return BestFitScheduler()


class TestCriticalPath(SchedulerKit):
    def make(self) -> Scheduler:
        return CriticalPathScheduler()


class TestFairShare(SchedulerKit):
    def make(self) -> Scheduler:
        return FairShareScheduler()


class TestFairShareByLabel(SchedulerKit):
    def make(self) -> Scheduler:
        return FairShareScheduler(by="tenant", weights={"a": 3})


def cell(path: str, cpu: float = 1.0, run: str = "r", **fields: Any) -> ReadyCell:
    resources = {"cpu": cpu, **fields.pop("resources", {})}
    return ReadyCell(run=run, path=path, node=path, task="t", resources=resources, **fields)


def busy(worker: str, cpu: float, run: str = "other", **fields: Any) -> RunningCell:
    return RunningCell(
        run=run, path=f"{worker}-{cpu}-{run}", task="t", worker=worker, resources={"cpu": cpu}, **fields
    )


def placed(
    scheduler: Scheduler,
    ready: Sequence[ReadyCell],
    workers: Sequence[WorkerView],
    running: Sequence[RunningCell] = (),
) -> list[tuple[str, str]]:
    answer: Any = scheduler.place(ready, workers, running)
    assert all(isinstance(each, Placement) for each in answer)
    return [(each.path, each.worker) for each in answer]


@pytest.mark.parametrize("kind", ALL)
def test_a_cell_goes_where_the_least_room_stays(kind: Callable[[], Scheduler]) -> None:
    assert placed(kind(), [cell("a", 2.0)], [LARGE, SMALL]) == [("a", "small")]
    assert placed(kind(), [cell("a", 2.0)], [LARGE, SMALL], [busy("large", 5.0)]) == [("a", "small")]
    # What asks for no gpu leaves the one with the gpu alone.
    assert placed(kind(), [cell("a", 1.0)], [GPU, SMALL]) == [("a", "small")]
    assert placed(kind(), [cell("a", 2.0)], [GPU, LARGE]) == [("a", "large")]
    assert placed(kind(), [cell("a", 1.0)], [GPU, LARGE], [busy("gpu", 1.0)]) == [("a", "large")]
    assert placed(kind(), [cell("a", 2.0)], [GPU, LARGE], [busy("large", 7.0)]) == [("a", "gpu")]
    anything = WorkerView(id="anything")
    assert placed(kind(), [cell("a", 1.0)], [anything, LARGE]) == [("a", "large")]


@pytest.mark.parametrize("kind", ALL)
def test_what_waits_for_room_gets_it_reserved(kind: Callable[[], Scheduler]) -> None:
    waits = cell("waits", 8.0, run="r1")
    small = [cell(f"s{number}", 1.0, run="r2", ready_at=1.0) for number in range(3)]
    # The large worker is kept free; what fits elsewhere goes on.
    running = [busy("large", 1.0)]
    assert placed(kind(), [waits, *small], [LARGE, SMALL], running) == [("s0", "small"), ("s1", "small")]
    # And as soon as it is free, it is used.
    assert ("waits", "large") in placed(kind(), [waits, *small], [LARGE, SMALL])


@pytest.mark.parametrize("kind", ALL)
def test_later_cells_may_take_what_the_reserved_one_leaves_over(kind: Callable[[], Scheduler]) -> None:
    waits = cell("waits", 1.0, run="r1", resources={"gpu": 1.0})
    worker = WorkerView(id="w", capacity={"cpu": 4.0, "gpu": 1.0})
    holder = RunningCell(run="o", path="o", task="t", worker="w", resources={"cpu": 1.0, "gpu": 1.0})
    small = [cell(f"s{number}", 1.0, run="r2", ready_at=1.0) for number in range(5)]
    assert placed(kind(), [waits, *small], [worker], [holder]) == [("s0", "w"), ("s1", "w")]


@pytest.mark.parametrize("kind", ALL)
def test_a_queue_of_its_own_takes_nothing_else(kind: Callable[[], Scheduler]) -> None:
    routed = WorkerView(id="routed", capacity={"cpu": 8.0}, queue="big")
    assert placed(kind(), [cell("a", queue="other")], [routed]) == []
    assert placed(kind(), [cell("a", queue="big")], [routed, SMALL]) != []
    assert placed(kind(), [cell("a")], [routed]) == [("a", "routed")]


@pytest.mark.parametrize("kind", ALL)
def test_nothing_is_placed_while_there_is_no_worker(kind: Callable[[], Scheduler]) -> None:
    assert placed(kind(), [cell("a")], []) == []


@pytest.mark.parametrize("kind", ALL)
def test_cells_in_flight_are_bounded_where_nothing_else_bounds_them(kind: Callable[..., Scheduler]) -> None:
    anything = WorkerView(id="anything")
    cells = [cell(f"c{number}", 0.0) for number in range(10)]
    assert len(placed(kind(max_in_flight=4), cells, [anything], [busy("anything", 0.0)])) == 3


def test_the_longest_way_to_the_end_goes_first() -> None:
    cells = [cell("short", rank=1.0), cell("long", rank=9.0), cell("urgent", rank=0.0, priority=1)]
    one = WorkerView(id="one", capacity={"cpu": 1.0})
    two = WorkerView(id="two", capacity={"cpu": 2.0})
    assert placed(CriticalPathScheduler(), cells, [one]) == [("urgent", "one")]
    assert placed(CriticalPathScheduler(), cells, [two]) == [("urgent", "two"), ("long", "two")]


def test_waiting_makes_up_for_rank_in_the_end() -> None:
    one = WorkerView(id="one", capacity={"cpu": 1.0})
    old = cell("old", rank=1.0, ready_at=0.0)
    assert placed(CriticalPathScheduler(), [old, cell("new", rank=9.0, ready_at=70.0)], [one]) == [
        ("new", "one")
    ]
    assert placed(CriticalPathScheduler(), [old, cell("new", rank=9.0, ready_at=90.0)], [one]) == [
        ("old", "one")
    ]


def test_who_has_the_least_gets_the_next_place() -> None:
    cells = [cell(f"a{number}", run="a") for number in range(6)] + [
        cell(f"b{number}", run="b") for number in range(6)
    ]
    found = placed(FairShareScheduler(), cells, [LARGE], [busy("large", 2.0, run="a")])
    assert [path[0] for path, _ in found] == ["b", "b", "a", "b", "a", "b"]


@given(
    st.lists(st.sampled_from("abcdef"), max_size=40),
    st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 3)),
    st.dictionaries(st.sampled_from("abcdef"), st.sampled_from([0.5, 2.0, 3.0])),
)
def test_each_place_goes_to_whoever_has_the_least(
    runs: list[str], held: dict[str, int], weights: dict[str, float]
) -> None:
    cells = [cell(f"{run}{number}", run=run) for number, run in enumerate(runs)]
    running = [busy("w", 1.0, run=run) for run, number in held.items() for _ in range(number)]
    pool = WorkerView(id="w", capacity={"cpu": 24.0})
    found = [path for path, _ in placed(FairShareScheduler(weights=weights), cells, [pool], running)]
    assert len(found) == min(len(runs), 24 - len(running))
    waiting = {run: [each.path for each in cells if each.run == run] for run in set(runs)}
    count = {run: held.get(run, 0) for run in "abcdef"}
    for path in found:
        run = path[0]
        has = {each: count[each] / weights.get(each, 1.0) for each, paths in waiting.items() if paths}
        assert has[run] == pytest.approx(min(has.values()))
        assert waiting[run].pop(0) == path
        count[run] += 1


def test_shares_go_by_the_dominant_resource() -> None:
    # The example of the paper: 9 cores and 18 GB; A asks for 1 core and 4 GB, B for 3 cores and 1 GB.
    pool = WorkerView(id="w", capacity={"cpu": 9.0, "ram_mb": 18.0})
    cells = [cell(f"a{n}", 1.0, run="a", resources={"ram_mb": 4.0}) for n in range(9)]
    cells += [cell(f"b{n}", 3.0, run="b", resources={"ram_mb": 1.0}) for n in range(9)]
    found = [path[0] for path, _ in placed(FairShareScheduler(), cells, [pool])]
    assert (found.count("a"), found.count("b")) == (3, 2)


def test_shares_go_by_a_label_and_its_weight() -> None:
    cells = [
        cell(f"{tenant}{run}{number}", run=f"{tenant}{run}", labels={"tenant": tenant})
        for tenant, runs in (("gold", 1), ("iron", 3))
        for run in range(runs)
        for number in range(8)
    ]
    even = [path[:4] for path, _ in placed(FairShareScheduler(by="tenant"), cells, [LARGE])]
    assert (even.count("gold"), even.count("iron")) == (4, 4)
    weighted = FairShareScheduler(by="tenant", weights={"gold": 3})
    found = [path[:4] for path, _ in placed(weighted, cells, [LARGE])]
    assert (found.count("gold"), found.count("iron")) == (6, 2)
    assert weighted.lane_of(cells[0]) == "gold"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: BestFitScheduler(0), "max_in_flight must be a whole number of at least 1, found 0"),
        (lambda: BestFitScheduler(max_in_flight=True), "found True"),
        (lambda: CriticalPathScheduler(ageing=0), "ageing must be a number above 0, found 0"),
        (lambda: FairShareScheduler(by=3), "by must be the name of a label, or None for runs, found 3"),  # type: ignore[arg-type]
        (
            lambda: FairShareScheduler(weights={"a": 0, "b": 1}),
            "weights must be numbers above 0, found 'a': 0",
        ),
        (
            lambda: FairShareScheduler(weights={"a": 10**400}),
            "weights must be numbers above 0, found 'a': 1000",
        ),
        (lambda: FairShareScheduler(weights="gold"), "weights are numbers by name"),  # type: ignore[arg-type]
        (lambda: CriticalPathScheduler(ageing=10**400), "ageing must be a number above 0, found 1000"),
    ],
)
def test_options_that_cannot_be(make: Callable[[], Scheduler], words: str) -> None:
    with pytest.raises(PluginError, match=words):
        make()
