"""The order in which schedulers are shown ready cells, and what limits keep back."""

from __future__ import annotations

import gc
import logging
from collections.abc import Mapping
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from taskiq_flow.driver.limits import LimitBudget
from taskiq_flow.driver.placing import Placer
from taskiq_flow.driver.ready_queue import ReadyQueue
from taskiq_flow.pools import FreeCapacity, total_of
from taskiq_flow.scheduler import Placement, ReadyCell, RunningCell, Scheduler, WorkerView
from taskiq_flow.schedulers.fifo import FifoScheduler


def cell(path: str, **fields: Any) -> ReadyCell:
    run = fields.pop("run", "r")
    return ReadyCell(run=run, path=path, node=path, task="t", **fields)


def queue_of(*cells: ReadyCell, lane_of: Any = None) -> ReadyQueue:
    queue = ReadyQueue(lane_of)
    for each in cells:
        queue.add(each)
    return queue


def paths(queue: ReadyQueue, count: int = 100, limits: Mapping[str, float] | None = None) -> list[str]:
    room = None if limits is None else LimitBudget(limits, ())
    return [each.path for each in queue.first(count, room)]


def test_priority_then_depth_then_age() -> None:
    queue = queue_of(
        cell("new"),
        cell("begun", depth=1),
        cell("inner", depth=2),
        cell("urgent", priority=1),
        cell("late", priority=-1, depth=5),
        cell("newer"),
    )
    assert paths(queue) == ["urgent", "inner", "begun", "new", "newer", "late"]
    assert paths(queue, 2) == ["urgent", "inner"]


def test_what_a_limit_leaves_no_room_for_is_not_shown() -> None:
    queue = queue_of(
        cell("a", limits={"db": 1}),
        cell("b"),
        cell("c", limits={"db": 1}),
        cell("d", limits={"db": 1}),
        cell("e"),
    )
    assert paths(queue, limits={"db": 2}) == ["a", "b", "c", "e"]
    used = RunningCell(run="r", path="x", task="t", limits={"db": 1})
    assert [each.path for each in queue.first(9, LimitBudget({"db": 2}, [used]))] == ["a", "b", "e"]


def test_nobody_overtakes_the_one_who_waits_for_a_limit() -> None:
    queue = queue_of(
        cell("large", limits={"db": 3}), cell("small", limits={"db": 1}), cell("net", limits={"net": 1})
    )
    assert paths(queue, limits={"db": 2, "net": 1}) == ["net"]
    assert paths(queue, limits={"db": 4, "net": 1}) == ["large", "small", "net"]


def test_lines_are_shown_in_turns() -> None:
    queue = queue_of(
        *(cell(f"a{number}", run="a") for number in range(9)),
        cell("b0", run="b"),
        cell("b1", run="b"),
        lane_of=lambda each: each.run,
    )
    assert paths(queue, 5) == ["a0", "b0", "a1", "b1", "a2"]


@pytest.mark.parametrize("lines", [10, 200])
def test_of_more_lines_than_are_shown_each_has_its_turn(lines: int) -> None:
    # Whoever is taken from has more to come, as a run with a large map does.
    cells = [cell(f"{number}/{item}", run=f"r{number}") for number in range(lines) for item in range(3)]
    queue = queue_of(*cells, lane_of=lambda each: each.run)
    served: list[str] = []
    while len(served) < lines:
        for shown in queue.first(3):
            queue.remove((shown.run, shown.path))
            served.append(shown.run)
            # Other priorities come and go, so that what is empty is cleared away in between.
            queue.add(cell(f"again{len(served)}", run=shown.run, priority=-len(served)))
    assert len(set(served)) >= lines


def test_a_line_that_cannot_be_named_is_the_common_one(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, logger="taskiq_flow"):
        queue = queue_of(cell("a"), cell("b"), lane_of=lambda each: 1 // 0)
    assert paths(queue) == ["a", "b"]
    assert len(caplog.records) == 1


def test_many_lines_that_came_and_went_leave_nothing_behind() -> None:
    queue = ReadyQueue(lambda each: each.run)
    for number in range(1000):
        queue.add(cell("x", run=f"r{number}"))
        queue.remove((f"r{number}", "x"))
    assert len(queue) == 0
    assert len(queue._buckets) < 200
    queue.add(cell("y"))
    assert paths(queue) == ["y"]


CELLS = st.lists(
    st.builds(
        lambda priority, depth, db, run: {"priority": priority, "depth": depth, "limits": db, "run": run},
        st.integers(-1, 1),
        st.integers(0, 2),
        st.sampled_from([{}, {"db": 1.0}, {"db": 2.0}, {"db": 1.0, "net": 1.0}]),
        st.sampled_from("ab"),
    ),
    max_size=30,
)


@given(CELLS, st.data())
def test_the_queue_agrees_with_a_list(described: list[dict[str, Any]], data: st.DataObject) -> None:
    cells = [cell(f"c{number}", **fields) for number, fields in enumerate(described)]
    queue = queue_of(*cells)
    gone = data.draw(st.sets(st.integers(0, len(cells) - 1))) if cells else set()
    for number in gone:
        assert queue.remove((cells[number].run, cells[number].path)) is cells[number]
    left = [each for number, each in enumerate(cells) if number not in gone]
    expected = sorted(left, key=lambda each: (-each.priority, -each.depth))
    assert list(queue.first(100)) == expected
    shown = list(queue.first(100, LimitBudget({"db": 3.0, "net": 1.0}, ())))
    total = total_of(each.limits for each in shown)
    assert total.get("db", 0) <= 3
    assert total.get("net", 0) <= 1
    places = [expected.index(each) for each in shown]
    assert places == sorted(places)
    assert {each.path for each in expected if not each.limits} <= {each.path for each in shown}


def test_of_cells_that_have_no_room_only_the_first_keeps_its_part_of_a_limit() -> None:
    workers = [WorkerView(id="w1", capacity={"cpu": 2, "gpu": 1}), WorkerView(id="w2", capacity={"cpu": 8})]
    gpu, cpu, tpu = {"cpu": 1.0, "gpu": 1.0}, {"cpu": 1.0}, {"cpu": 1.0, "tpu": 1.0}
    running = [RunningCell(run="r", path="g0", task="t", worker="w1", resources=gpu, limits={"db": 1})]
    cells = [("t1", tpu), ("g1", gpu), ("g2", gpu), ("c1", cpu), ("g3", gpu), ("c2", cpu), ("c3", cpu)]
    queue = queue_of(*(cell(path, resources=needs, limits={"db": 1}) for path, needs in cells))

    def shown(db: int) -> list[str]:
        return [each.path for each in queue.first(9, LimitBudget({"db": db}, running))]

    assert shown(4) == ["t1", "g1", "g2"]
    queue.free_capacity = FreeCapacity(workers, running)
    assert shown(4) == ["g1", "c1", "c2"]
    assert shown(2) == ["g1"]
    assert shown(9) == ["g1", "c1", "c2", "c3"]


def test_where_not_all_can_be_shown_those_without_room_keep_nobody_out_of_sight() -> None:
    workers = [WorkerView(id="w1", capacity={"cpu": 2, "gpu": 1}), WorkerView(id="w2", capacity={"cpu": 8})]
    gpu, cpu = {"cpu": 1.0, "gpu": 1.0}, {"cpu": 1.0}
    running = [RunningCell(run="r", path="g", task="t", worker="w1", resources=gpu)]
    queue = queue_of(
        *(cell(f"g{number}", resources=gpu) for number in range(8)),
        *(cell(f"c{number}", resources=cpu) for number in range(4)),
    )
    assert paths(queue, 4) == ["g0", "g1", "g2", "g3"]
    queue.free_capacity = FreeCapacity(workers, running)
    assert paths(queue, 4) == ["g0", "g1", "c0", "c1"]
    assert len(paths(queue, 12)) == 12
    # Where nothing has room there is nothing to look for.
    queue.free_capacity = FreeCapacity(workers[:1], [*running, evolve(running[0], path="o")])
    assert paths(queue, 4) == ["g0", "g1", "g2", "g3"]
    for number in range(4):
        queue.remove(("r", f"c{number}"))
    assert not queue.mixed


def test_it_is_not_looked_for_room_without_end() -> None:
    gpu, cpu = {"gpu": 1.0}, {"cpu": 1.0}
    queue = queue_of(*(cell(f"g{number}", resources=gpu) for number in range(40)), cell("c", resources=cpu))
    queue.free_capacity = FreeCapacity([WorkerView(id="w", capacity={"cpu": 1})], ())
    assert paths(queue, 2) == ["g0"]
    assert paths(queue, 4) == ["g0", "g1", "c"]
    kinds = [cell(f"k{number}", resources={"gpu": float(number + 1)}) for number in range(100)]
    assert paths(queue_of(*kinds), 2) == ["k0", "k1"]
    assert not queue_of(*kinds).mixed


@given(CELLS)
def test_of_several_lines_one_cell_each_is_shown_in_turns(described: list[dict[str, Any]]) -> None:
    cells = [cell(f"c{number}", **fields) for number, fields in enumerate(described)]
    queue = queue_of(*cells, lane_of=lambda each: each.run)
    lines = [
        sorted((each for each in cells if each.run == run), key=lambda each: (-each.priority, -each.depth))
        for run in dict.fromkeys(each.run for each in cells)
    ]
    expected = [line[place] for place in range(len(cells)) for line in lines if place < len(line)]
    assert list(queue.first(100)) == expected
    plenty = LimitBudget({"db": 1000.0, "net": 1000.0}, ())
    assert list(queue.first(100, plenty)) == expected


def test_looking_at_the_first_cell_of_each_of_many_lines_leaves_no_iterators() -> None:
    queue = queue_of(
        *(cell(f"c{number}", run=f"r{run}") for number in range(3) for run in range(256)),
        lane_of=lambda each: each.run,
    )
    tracked = 0

    def count(seen: ReadyCell) -> None:
        nonlocal tracked
        tracked = max(tracked, len(gc.get_objects()) - before)

    gc.collect()
    gc.disable()
    try:
        before = len(gc.get_objects())
        shown = queue.first(256)
        for number in (0, 100, 255):
            count(shown[number])
    finally:
        gc.enable()
    assert tracked < 50


class Greedy(Scheduler):
    """Places cells that it was not shown."""

    name = "greedy"
    reads_resources = False

    def __init__(self, *keys: str) -> None:
        self.keys = keys

    def place(self, ready: Any, workers: Any, running: Any) -> list[Placement]:
        return [Placement(run="r", path=key) for key in self.keys]


def test_limits_are_checked_in_the_answer_too(caplog: pytest.LogCaptureFixture) -> None:
    queue = queue_of(cell("a", limits={"db": 1}), cell("b", limits={"db": 1}))
    placer = Placer(Greedy("a", "b"), FifoScheduler(), {"db": 1})
    assert [each.path for each in placer.place(queue, (), ())] == ["a"]
    assert "it would have 2 of 'db' in use, and the limit is 1" in caplog.text


def test_a_scheduler_that_is_always_wrong_is_not_complained_of_for_ever(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scheduler = Greedy()
    placer = Placer(scheduler, FifoScheduler())
    for number in range(1000):
        scheduler.keys = (f"x{number}",)
        placer.place(queue_of(cell("a")), (), ())
    assert len(placer.complaints) == len(caplog.records) == 100


def test_a_scheduler_that_reads_resources_cannot_fill_the_pool_without_naming_workers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Anywhere(Greedy):
        reads_resources = True

    workers = [WorkerView(id="w1", capacity={"cpu": 1.0}), WorkerView(id="w2", capacity={"cpu": 1.0})]
    queue = queue_of(*(cell(name, resources={"cpu": 1.0}) for name in "abc"))
    placer = Placer(Anywhere("a", "b", "c"), FifoScheduler(1))
    assert [each.path for each in placer.place(queue, workers, ())] == ["a"]
    assert "it would have 3 of 'cpu' in use, and all workers together have 2" in caplog.text
