"""Small runs whose every attempt is known by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from taskiq_flow.errors import PluginError, UnschedulableError, UsageError
from taskiq_flow.graph import (
    Graph,
    Guard,
    Input,
    InputSpec,
    MapNode,
    NodeOptions,
    Output,
    TaskNode,
    build_graph,
)
from taskiq_flow.pools import FreeCapacity, WorkerPool
from taskiq_flow.scheduler import Placement, Scheduler, WorkerView
from taskiq_flow_resources.best_fit import BestFitScheduler
from taskiq_flow_resources.simulation import Bound, Durations, SimulationReport, compare, simulate
from taskiq_flow_resources.simulation.tables import description

Row = tuple[str, str, float, float]

ONE = [WorkerView(id="w1", capacity={"cpu": 1.0})]
TWO = [*ONE, WorkerView(id="w2", capacity={"cpu": 1.0})]
BIG = [WorkerView(id="w1", capacity={"cpu": 3.0})]


def task(name: str, *after: str, priority: int = 0, **resources: float) -> TaskNode:
    options = NodeOptions(resources=resources, priority=priority)
    return TaskNode(name=name, task=f"app:{name}", after=after, options=options)


def table(report: SimulationReport) -> list[Row]:
    return [(each.cell, each.worker, each.began, each.ended) for each in report.attempts]


DIAMOND = build_graph([task("a"), task("b", "a"), task("c", "a"), task("d", "b", "c")])
SECONDS: Mapping[str, float] = {"a": 2.0, "b": 3.0, "c": 1.0, "d": 1.0}


def test_a_diamond_on_one_worker_is_as_long_as_its_work() -> None:
    report = simulate(DIAMOND, ONE, "fifo", durations=SECONDS)
    assert table(report) == [("a", "w1", 0, 2), ("b", "w1", 2, 5), ("c", "w1", 5, 6), ("d", "w1", 6, 7)]
    assert (report.makespan, report.serial, report.bound) == (7, 7, Bound(7, "work: cpu"))
    assert report.waited == pytest.approx(3 / 4)
    assert report.workers[0].busy == 1
    assert report.workers[0].used == {"cpu": 1.0}


def test_a_diamond_on_two_workers_is_as_long_as_its_critical_path() -> None:
    report = simulate(DIAMOND, TWO, "fifo", durations=SECONDS)
    assert table(report) == [("a", "w1", 0, 2), ("c", "w2", 2, 3), ("b", "w1", 2, 5), ("d", "w1", 5, 6)]
    assert report.bounds == (Bound(6, "critical path"), Bound(3.5, "work: cpu"))
    assert report.critical_path == ("a", "b", "d")
    assert [(use.attempts, use.busy) for use in report.workers] == [(3, 1.0), (1, pytest.approx(1 / 6))]
    assert report.ratio == 1


def test_what_is_first_in_line_is_not_overtaken_by_what_is_sent_to_nobody() -> None:
    graph = build_graph([task("a", cpu=2.0), task("b", cpu=2.0), task("c", cpu=1.0)])
    rows = {
        "fifo": [("a", "w1", 0, 1), ("b", "w1", 1, 2), ("c", "w1", 1, 2)],
        "overtaking": [("a", "w1", 0, 1), ("c", "w1", 0, 1), ("b", "w1", 1, 2)],
    }
    reports = compare(graph, BIG, ["fifo", Overtaking()])
    assert {report.scheduler: table(report) for report in reports} == rows


def test_the_higher_priority_goes_first() -> None:
    graph = build_graph([task("a"), task("b", priority=5), task("c", priority=-1)])
    for scheduler in ("fifo", "best-fit", "fair-share"):
        report = simulate(graph, ONE, scheduler)
        assert [each.cell for each in report.attempts] == ["b", "a", "c"]


def test_the_critical_path_goes_first_where_durations_are_known() -> None:
    graph = build_graph([task("short"), task("long"), task("end", "long")])
    seconds = {"short": 4.0, "long": 3.0, "end": 3.0}
    first, second = compare(graph, ONE, ["fifo", "critical-path"], durations=seconds)
    assert [each.cell for each in first.attempts] == ["short", "long", "end"]
    assert next(each.cell for each in second.attempts) == "long"


def test_a_limit_holds_whatever_the_capacity_is() -> None:
    graph = build_graph([task("a", db=1.0), task("b", db=1.0), task("c")])
    for scheduler in ("fifo", "best-fit", "critical-path", "fair-share"):
        report = simulate(graph, WorkerPool(workers=tuple(BIG), limits={"db": 1}), scheduler)
        assert table(report) == [("a", "w1", 0, 1), ("c", "w1", 0, 1), ("b", "w1", 1, 2)]
        assert report.bound == Bound(2, "limit: db")


@pytest.mark.parametrize("scheduler", ["best-fit", "critical-path", "fair-share"])
def test_cells_that_have_no_room_keep_no_limit_from_those_that_have(scheduler: str) -> None:
    nodes = [task(f"gpu{number}", gpu=1.0, db=1.0) for number in range(6)]
    nodes += [task(f"cpu{number}", db=1.0) for number in range(6)]
    workers = (
        WorkerView(id="w1", capacity={"cpu": 1.0, "gpu": 1.0}),
        WorkerView(id="w2", capacity={"cpu": 4.0}),
    )
    report = simulate(
        build_graph(nodes),
        WorkerPool(workers=workers, limits={"db": 3}),
        scheduler,
        durations={f"gpu{number}": 10.0 for number in range(6)},
    )
    ends = {each.cell: each.ended for each in report.attempts}
    # One is used by a gpu cell, and one kept for the next.
    assert sorted(ends[f"cpu{number}"] for number in range(6)) == [1, 2, 3, 4, 5, 6]
    assert report.makespan == 60


def test_a_scheduler_that_wants_to_be_shown_nothing_ends_in_an_error() -> None:
    class Blind(BestFitScheduler):
        lookahead = 0

    with pytest.raises(UnschedulableError, match="leaves 1 cell waiting for ever"):
        simulate(build_graph([task("a")]), ONE, Blind())


@pytest.mark.parametrize("scheduler", ["best-fit", "critical-path", "fair-share"])
def test_many_cells_that_have_no_room_keep_nobody_waiting_who_has(scheduler: str) -> None:
    nodes = [task(f"gpu{number}", gpu=1.0) for number in range(300)]
    nodes += [task(f"cpu{number}") for number in range(6)]
    workers = [
        WorkerView(id="w1", capacity={"cpu": 1.0, "gpu": 1.0}),
        WorkerView(id="w2", capacity={"cpu": 3.0}),
    ]
    report = simulate(build_graph(nodes), workers, scheduler, durations=Durations(default=10.0))
    ends = {each.cell: each.ended for each in report.attempts}
    assert [ends[f"cpu{number}"] for number in range(6)] == [10, 10, 10, 20, 20, 20]
    assert report.makespan == 3000


def body(**options: Any) -> Graph:
    inner = build_graph(
        [TaskNode(name="work", task="app:work", params={"x": Input("item")}, outputs=("y",))],
        inputs={"item": InputSpec()},
        outputs={"y": Output("work", "y")},
    )
    node = MapNode(name="each", body=inner, items=Input("rows"), outputs=("ys",), collects=("y",), **options)
    return build_graph([node], inputs={"rows": InputSpec()}, outputs={"ys": Output("each", "ys")})


def test_items_have_durations_of_their_own_and_keep_to_the_width_of_their_map() -> None:
    report = simulate(
        body(max_parallel=2), BIG, "fifo", durations={"work": [1.0, 3.0, 1.0]}, items={"rows": 4}
    )
    assert table(report) == [
        ("each[0]/work", "w1", 0, 1),
        ("each[2]/work", "w1", 1, 2),
        ("each[1]/work", "w1", 0, 3),
        ("each[3]/work", "w1", 2, 3),
    ]


def test_the_number_of_items_is_asked_for_by_the_name_that_can_be_given() -> None:
    with pytest.raises(UsageError) as caught:
        simulate(body(), BIG, "fifo")
    assert str(caught.value) == "the number of items of map 'each' is unknown; give it: --items rows=N"
    assert len(simulate(body(), BIG, "fifo", items={"each": 3}).attempts) == 3
    assert len(simulate(body(), BIG, "fifo", items={"each": 0}).attempts) == 0
    assert len(simulate(body(), BIG, "fifo", values={"rows": ["a", "b"]}).attempts) == 2


PAIR = build_graph(
    [TaskNode(name="work", task="app:work", params={"x": Input("x"), "y": Input("y")}, outputs=("z",))],
    inputs={"x": InputSpec(), "y": InputSpec()},
    outputs={"z": Output("work", "z")},
)


def pairs(**more: Any) -> Graph:
    node = MapNode(
        name="each",
        body=PAIR,
        items=Input("xs"),
        item="x",
        also={"y": Input("ys")},
        outputs=("zs",),
        collects=("z",),
        **more,
    )
    return build_graph([node], inputs={"xs": InputSpec(), "ys": InputSpec()})


def test_each_of_several_lists_has_a_number_of_items() -> None:
    product = simulate(pairs(join="product"), BIG, "fifo", items={"xs": 2, "ys": 3})
    assert len(product.attempts) == 6
    assert len(simulate(pairs(), BIG, "fifo", items={"xs": 2, "ys": 2}).attempts) == 2
    assert len(simulate(pairs(), BIG, "fifo", values={"xs": [1, 2], "ys": [3, 4]}).attempts) == 2
    with pytest.raises(UsageError, match="give it: --items ys=N"):
        simulate(pairs(), BIG, "fifo", items={"xs": 2})


def test_the_levels_of_a_tree_follow_each_other() -> None:
    tree = build_graph(
        [
            MapNode(
                name="sum",
                body=build_graph(
                    [TaskNode(name="work", task="app:work", params={"x": Input("x")}, outputs=("z",))],
                    inputs={"x": InputSpec()},
                    outputs={"z": Output("work", "z")},
                ),
                items=Input("xs"),
                item="x",
                outputs=("z",),
                collects=("z",),
                keep="one",
                chunk=2,
            )
        ],
        inputs={"xs": InputSpec()},
    )
    report = simulate(tree, BIG, "fifo", durations={"work": 1.0}, items={"xs": 5})
    assert [(each.cell, each.began) for each in report.attempts] == [
        ("sum[0]/work", 0), ("sum[1]/work", 0), ("sum[2]/work", 0), ("sum[3]/work", 1), ("sum[4]/work", 2)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"items": {"row": 3}},
            "there is a number of items for 'row', which no map goes over (did you mean 'rows'?)",
        ),
        (
            {"items": {"rows": -1}},
            "the number of items of 'rows' is -1; give a whole number from 0 to 1,000,000",
        ),
        (
            {"values": {"zs": 1}},
            "there is a value for 'zs', which is no input or output of a task here; there are 'rows', 'item', "
            "'each[]/item', 'y', 'each[]/y'",
        ),
        (
            {"durations": {"wrk": 1.0}},
            "there is a duration for 'wrk', which is no task, node or cell here (did you mean 'work'?)",
        ),
        ({"durations": {"work": -2.0}}, "'work' takes -2 s; give seconds, from 0 to 1e+15"),
        ({"durations": {"work": []}}, "'work' takes nothing; give seconds, from 0 to 1e+15"),
    ],
)
def test_names_and_numbers_that_cannot_be_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        simulate(body(), BIG, "fifo", **{"items": {"rows": 1}, **given})
    assert str(caught.value) == said


BRANCH = build_graph(
    [
        TaskNode(name="check", task="app:check", outputs=("kind",)),
        TaskNode(name="cheap", task="t", when=Guard(Output("check", "kind"), "small")),
        TaskNode(name="dear", task="t", when=Guard(Output("check", "kind"), "large")),
    ]
)


@pytest.mark.parametrize(
    ("values", "ran"),
    [({}, ["check", "cheap"]), ({"kind": "large"}, ["check", "dear"]), ({"kind": 3}, ["check"])],
)
def test_of_a_branch_the_first_side_is_taken_unless_told_otherwise(
    values: dict[str, Any], ran: list[str]
) -> None:
    report = simulate(BRANCH, BIG, "fifo", values=values)
    assert [each.cell for each in report.attempts] == ran


def test_a_filter_keeps_everything_unless_told_otherwise() -> None:
    inner = build_graph(
        [TaskNode(name="good", task="app:good", params={"x": Input("item")}, outputs=("ok",))],
        inputs={"item": InputSpec()},
        outputs={"ok": Output("good", "ok")},
    )
    again = build_graph(
        [TaskNode(name="use", task="app:use", params={"x": Input("item")}, outputs=("u",))],
        inputs={"item": InputSpec()},
        outputs={"u": Output("use", "u")},
    )
    graph = build_graph(
        [
            MapNode(
                name="sift",
                body=inner,
                items=Input("rows"),
                outputs=("kept",),
                collects=("ok",),
                keep="items",
            ),
            MapNode(name="each", body=again, items=Output("sift", "kept"), outputs=("us",), collects=("u",)),
        ],
        inputs={"rows": InputSpec()},
        outputs={"us": Output("each", "us")},
    )
    tasks = [each.task for each in simulate(graph, BIG, "fifo", items={"rows": 2}).attempts]
    assert sorted(tasks) == ["app:good"] * 2 + ["app:use"] * 2
    none = simulate(graph, BIG, "fifo", items={"rows": 2}, values={"ok": False})
    assert [each.task for each in none.attempts] == ["app:good"] * 2
    with pytest.raises(UsageError, match=r"'kept', whose number follows from what comes before it"):
        simulate(graph, BIG, "fifo", items={"rows": 2, "kept": 1})


def test_what_fits_nowhere_is_refused_with_all_offenders() -> None:
    graph = build_graph([task("a", cpu=4.0), task("b", gpu=1.0), task("c"), task("d", db=9.0)])
    with pytest.raises(UnschedulableError) as caught:
        simulate(graph, WorkerPool(workers=tuple(BIG), limits={"db": 5}), "fifo")
    assert str(caught.value).splitlines() == [
        "node 'a' asks for 4 of 'cpu', and the largest worker ('w1') has 3",
        "node 'b' asks for 1 of 'gpu', and no worker has any",
        "node 'd' asks for 9 of 'db', and the limit is 5",
    ]
    with pytest.raises(UnschedulableError) as caught:
        simulate(build_graph([task(f"n{number}", gpu=1.0) for number in range(12)]), BIG, "fifo")
    assert str(caught.value) == (
        "each of the nodes 'n0', 'n1', 'n2', 'n3', 'n4', 'n5', 'n6', 'n7', 'n8', 'n9' and 2 more asks for 1 of 'gpu', "
        "and no worker has any"
    )
    with pytest.raises(PluginError, match="several workers have the name 'w1'"):
        simulate(graph, [*BIG, *BIG], "fifo")
    with pytest.raises(UnschedulableError, match="the pool has no workers"):
        simulate(graph, [], "fifo")


class Overtaking(Scheduler):
    name = "overtaking"

    def place(self, ready: Sequence[Any], workers: Any, running: Any) -> list[Placement]:
        free_capacity = FreeCapacity(workers, running)
        found = []
        for cell in ready:
            if free_capacity.fits_now(cell, workers[0]):
                free_capacity.take(cell.resources, "w1")
                found.append(Placement(run=cell.run, path=cell.path, worker="w1"))
        return found


class Stubborn(Scheduler):
    name = "stubborn"

    def place(self, ready: Sequence[Any], workers: Any, running: Any) -> list[Placement]:
        return []


class Greedy(Scheduler):
    name = "greedy"

    def place(self, ready: Sequence[Any], workers: Any, running: Any) -> list[Placement]:
        return [Placement(run=cell.run, path=cell.path, worker="w1") for cell in ready]


class Broken(Scheduler):
    name = "broken"

    def place(self, ready: Sequence[Any], workers: Any, running: Any) -> list[Placement]:
        raise KeyError("rank")


class Scalar(Scheduler):
    name = "scalar"

    def place(self, ready: Sequence[Any], workers: Any, running: Any) -> Any:
        return 5


def test_a_scheduler_that_never_places_anything_is_told_so() -> None:
    with pytest.raises(UnschedulableError) as caught:
        simulate(DIAMOND, ONE, Stubborn)
    assert str(caught.value) == (
        "scheduler 'stubborn' leaves 1 cell waiting for ever, with nothing running: 'a'"
    )


@pytest.mark.parametrize(
    ("scheduler", "complaint"),
    [(Greedy, "2 of 'cpu' in use"), (Broken, "it raised"), (Scalar, "it gave int instead of placements")],
)
def test_what_the_core_does_not_accept_is_in_the_report(scheduler: type[Scheduler], complaint: str) -> None:
    report = simulate(DIAMOND, ONE, scheduler, durations=SECONDS)
    assert any(complaint in each for each in report.complaints)
    assert report.makespan == 7, "the default has placed the cells"


def test_tasks_that_say_nothing_occupy_one_core() -> None:
    graph = build_graph([task(name) for name in "abcdef"])
    for scheduler in ("fifo", "best-fit"):
        assert simulate(graph, BIG, scheduler).makespan == 2


def test_the_work_of_what_only_some_workers_can_hold_is_a_bound() -> None:
    pool = [WorkerView(id="w1", capacity={"cpu": 4.0}), WorkerView(id="w2", capacity={"cpu": 1.0})]
    graph = build_graph([task(name, cpu=4.0) for name in "abc"] + [task("d")])
    report = simulate(graph, pool, "best-fit")
    assert report.bound == Bound(3, "work: cpu of w1")
    assert report.makespan == 3


def test_many_bounds_of_many_workers_stay_readable() -> None:
    pool = [WorkerView(id=f"w{n}", capacity={"cpu": 1.0, "ram_mb": float(n)}) for n in range(1, 21)]
    report = simulate(build_graph([task(f"n{n}", ram_mb=float(n)) for n in range(1, 21)]), pool, "best-fit")
    assert {
        "work: ram_mb",
        "work: ram_mb of 19 workers",
        "work: ram_mb of w18, w19, w20",
        "work: ram_mb of w20",
    } <= {bound.reason for bound in report.bounds}
    line = description(report)[1]
    assert line.endswith(f", and {len(report.bounds) - 5} lower ones)")


def test_the_most_particular_duration_counts() -> None:
    node = TaskNode(name="work", task="app:work")
    table = {"app:work": 1.0, "work": 2.0, "each[]/work": [3.0, 4.0], "each[2]/work": 5.0}
    found = [Durations(table).of(f"each[{number}]/work", node) for number in range(4)]
    assert found == [3.0, 4.0, 5.0, 4.0]
    assert Durations(table).of("work", node) == 2.0
    assert Durations(table).of("other[0]/job", TaskNode(name="job", task="app:work")) == 1.0
    assert Durations({}, 7.0).of("work", node) == 7.0
