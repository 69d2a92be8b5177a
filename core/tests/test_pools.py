"""Pools as they are declared, and the arithmetic of room."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from taskiq_flow.errors import PluginError
from taskiq_flow.pools import FreeCapacity, WorkerPool, fits, shortage, suits
from taskiq_flow.scheduler import ReadyCell, RunningCell, Scheduler, WorkerView
from taskiq_flow.schedulers.fifo import FifoScheduler
from taskiq_flow.schedulers.first_fit import FirstFitScheduler, default_for
from taskiq_flow.testing import SchedulerKit

SMALL = WorkerView(id="small", capacity={"cpu": 2.0, "ram_mb": 8192.0})
LARGE = WorkerView(id="large", capacity={"cpu": 4.0, "ram_mb": 1024.0}, queue="big")


class TestFirstFit(SchedulerKit):
    def make(self) -> Scheduler:
        return FirstFitScheduler()


def test_capacity_is_kept_where_a_scheduler_that_reads_it_fails() -> None:
    assert isinstance(default_for(FirstFitScheduler()), FirstFitScheduler)
    assert isinstance(default_for(FifoScheduler()), FifoScheduler)


@pytest.mark.parametrize(
    ("demand", "room", "expected"),
    [
        ({}, {}, True),
        ({"cpu": 1.0}, {"cpu": 1.0}, True),
        ({"cpu": 0.1 + 0.2}, {"cpu": 0.3}, True),
        ({"cpu": 1.1}, {"cpu": 1.0}, False),
        ({"gpu": 1.0}, {"cpu": 1.0}, False),
        ({"gpu": 0.0}, {"cpu": 1.0}, True),
        ({"cpu": 0.0}, {"cpu": -1.0}, True),
    ],
)
def test_fits(demand: Mapping[str, float], room: Mapping[str, float], expected: bool) -> None:
    assert fits(demand, room) is expected


@pytest.mark.parametrize(
    ("demand", "queue", "expected"),
    [
        ({"cpu": 4.0}, "", ""),
        ({"cpu": 8.0}, "", "asks for 8 of 'cpu', and the largest worker ('large') has 4"),
        ({"cpu": 4.001}, "", "asks for 4.001 of 'cpu', and the largest worker ('large') has 4"),
        (
            {"ram_mb": 12345678},
            "",
            "asks for 12345678 of 'ram_mb', and the largest worker ('small') has 8192",
        ),
        ({"ram": 5.0}, "", "asks for 5 of 'ram', and no worker has any (did you mean 'ram_mb'?)"),
        ({"cpu": 3.0}, "other", "asks for 3 of 'cpu', and the largest worker ('small') has 2"),
        (
            {"cpu": 4.0, "ram_mb": 4096.0},
            "",
            "asks for 4 of 'cpu' with 4096 of 'ram_mb', which no worker has together",
        ),
        (
            {"gpu": 1.0, "cpu": 5.0},
            "",
            "asks for 1 of 'gpu', and no worker has any; and for 5 of 'cpu', and the largest worker ('large') has 4",
        ),
    ],
)
def test_a_shortage_says_what_is_missing_and_who_has_most(
    demand: Mapping[str, float], queue: str, expected: str
) -> None:
    assert shortage(demand, queue, [SMALL, LARGE]) == expected


def test_a_queue_that_nobody_reads_is_a_shortage() -> None:
    assert shortage({}, "other", [LARGE]) == "asks for queue 'other', which no worker of the pool reads"
    assert suits("other", SMALL)
    assert suits("", LARGE)
    assert not suits("other", LARGE)


def test_a_worker_without_bounds_holds_everything() -> None:
    anything = WorkerView(id="any")
    assert shortage({"gpu": 9.0}, "", [SMALL, anything]) == ""
    free_capacity = FreeCapacity(
        [anything], [RunningCell(run="r", path="p", task="t", worker="any", resources={"cpu": 9.0})]
    )
    assert free_capacity.fits_now(
        ReadyCell(run="r", path="q", node="q", task="t", resources={"gpu": 9.0}), anything
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": ""}, "the name of the pool is ''"),
        ({"limits": {"db": -1}}, "'db' of limits is -1; give a number, 0 or more"),
        ({"limits": {"db": float("nan"), "": 1}}, "'' of limits is no name"),
        ({"limits": [("db", 1)]}, "give numbers by name"),
        ({"limits": {"cpu": 2}}, "'cpu' is a limit of the pool and a resource of worker 'large'"),
        ({"workers": ({"cpu": 1},)}, "a worker of the pool is {'cpu': 1}; give a WorkerView"),
        (
            {"workers": (WorkerView(id="odd", capacity={"cpu": float("nan")}),)},
            "'cpu' of the capacity of worker 'odd' is nan",
        ),
        ({"scheduler": 5}, "the scheduler of the pool is 5; give the name of one, or None"),
        ({"workers": (SMALL, SMALL)}, "several workers have the name 'small'"),
        (
            {"workers": (LARGE, WorkerView(id="other", queue="big"))},
            "several workers have the queue 'big'; give each its own",
        ),
    ],
)
def test_a_pool_that_cannot_be(options: dict[str, Any], words: str) -> None:
    with pytest.raises(PluginError) as caught:
        WorkerPool(**{"workers": (SMALL, LARGE), **options})
    assert words in str(caught.value)
