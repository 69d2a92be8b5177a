"""What a machine answers to each event: nodes that run after a failure, or always."""

from __future__ import annotations

from typing import Any

import pytest

from machine_model import encode, plain
from machine_tables import (
    Table,
    began,
    broke,
    cancel,
    expanded,
    fired,
    gone,
    lost,
    mapped,
    ok,
    pipeline,
    placed,
    start,
    task,
)
from taskiq_flow.graph import Follows, Graph, Input, InputSpec, Output, TaskNode, build_graph
from taskiq_flow.machine.machine import RunMachine
from taskiq_flow.machine.wire import decode_failure
from taskiq_flow.payloads import Payload


def after(
    name: str, when: Any, *nodes: str, failure: str = "", optional: bool = False, **params: Any
) -> TaskNode:
    follows = Follows(when, nodes, failure)
    loose = frozenset({failure}) if optional else frozenset()
    sources = {each: Output(node, node) for each, node in params.items()}
    return TaskNode(name=name, task=name, params=sources, follows=follows, optional=loose)


def failure_of(table: Table, cell: str) -> Any:
    value = table.machine.cells.in_flight[cell].params["error"]
    assert isinstance(value, Payload)
    return decode_failure(value.data) if value.serializer == "failure" else plain(value)


def chain(*followers: TaskNode, **more: Any) -> Graph:
    return pipeline(task("a"), task("b", a="a"), *followers, gives={"out": Output("b", "b")}, **more)


def run_to(table: Table, *events: Any) -> list[str]:
    return table(start(), *events)


def test_what_follows_a_failure_is_skipped_where_there_is_none() -> None:
    table = Table(chain(after("undo", "failure", "a"), after("tell", "failure"), after("close", "always")))
    table(start(), placed("a"), ok("a", 1), placed("b"))
    assert table(ok("b", 2)) == ["enqueue close#1"]
    assert table(placed("close"), ok("close"))[-1] == "finish succeeded"
    assert table.states["undo"] == table.states["tell"] == "skipped"


def test_a_failure_that_stops_the_run_does_not_stop_what_follows_it() -> None:
    table = Table(
        chain(
            after("undo", "failure", "a", failure="error"), after("tell", "failure"), after("close", "always")
        )
    )
    table(start(), placed("a"))
    # First what follows the node, then what follows the run after a failure, then what follows it always.
    assert table(broke("a")) == ["enqueue undo#1"]
    table(placed("undo"))
    assert (failure_of(table, "undo").cell, failure_of(table, "undo").message) == ("a", "broken")
    assert table(ok("undo")) == ["enqueue tell#1"]
    assert table(placed("tell"), ok("tell"))[-1] == "enqueue close#1"
    assert table(placed("close"), ok("close"))[-1] == "finish failed"
    assert table.failures == {"a": "#1 broken"}
    assert table.states == {
        "a": "failed",
        "b": "cancelled",
        "undo": "succeeded",
        "tell": "succeeded",
        "close": "succeeded",
    }


def test_other_attempts_are_stopped_before_the_run_cleans_up() -> None:
    graph = pipeline(task("a"), task("b"), after("close", "always"), gives={"out": Output("b", "b")})
    table = Table(graph)
    table(start(), placed("a"), placed("b", worker="w"), began("b", worker="w"))
    assert table(broke("a")) == ["stop b#1 to w"]
    assert table(gone("b")) == ["enqueue close#1"]
    assert table(placed("close"), ok("close"))[-1] == "finish failed"


def test_the_run_goes_on_while_a_node_is_followed() -> None:
    graph = pipeline(
        task("a"),
        task("b"),
        after("undo", "failure", "a"),
        gives={"out": Output("b", "b")},
        on_error="continue",
    )
    table = Table(graph)
    table(start(), placed("a"), placed("b"))
    assert table(broke("a")) == ["enqueue undo#1"]
    assert table(placed("undo"), ok("undo"), ok("b", 1))[-1] == "finish failed"
    assert plain(table.machine.outputs()["out"]) == 1


def test_a_failure_while_cleaning_up_is_told_behind_the_first_one() -> None:
    table = Table(chain(after("undo", "failure", "a"), after("close", "always")))
    table(start(), placed("a"), broke("a"), placed("undo"))
    assert table(broke("undo")) == ["enqueue close#1"]
    assert table(placed("close"), broke("close"))[-1] == "finish failed"
    assert list(table.failures) == ["a", "undo", "close"]


def test_a_run_fails_where_only_its_clean_up_does() -> None:
    table = Table(chain(after("close", "always")))
    table(start(), placed("a"), ok("a", 1), placed("b"), ok("b", 2), placed("close"))
    assert table(broke("close")) == ["finish failed"]
    assert plain(table.machine.outputs()["out"]) == 2


def test_what_cleans_up_is_tried_again() -> None:
    table = Table(chain(after("close", "always")))
    table(start(), placed("a"), broke("a"), placed("close"))
    assert table(broke("close", retry_at=5.0)) == ["start retry:close:2 due 5"]
    assert table(fired("retry:close:2"), placed("close", 2))[0] == "enqueue close#2"
    assert table(ok("close", attempt=2)) == ["finish failed"]


def test_a_request_to_end_the_run_lets_it_clean_up() -> None:
    table = Table(
        chain(
            after("undo", "failure", "a"), after("tell", "failure", failure="error"), after("close", "always")
        )
    )
    table(start(), placed("a"), began("a"))
    assert table(cancel("enough")) == ["stop a#1 to w1"]
    assert table(gone("a")) == ["enqueue tell#1"]
    table(placed("tell"))
    found = failure_of(table, "tell")
    assert (found.kind.value, found.message, found.cell) == ("cancelled", "enough", "")
    assert table(ok("tell"), placed("close"), ok("close"))[-1] == "finish cancelled"
    # The node itself did not fail.
    assert table.states["undo"] == "skipped"
    assert table.failures == {}


def test_a_copy_of_the_request_changes_nothing_and_another_one_stops_the_clean_up() -> None:
    from attrs import evolve

    table = Table(chain(after("close", "always")))
    table(start(), placed("a"))
    first = evolve(cancel("enough"), at=1.0)
    table(first, gone("a"), placed("close", worker="w"), began("close", worker="w"))
    assert table(first) == []
    assert table(evolve(first, at=2.0)) == ["stop close#1 to w"]
    assert table(gone("close")) == ["finish cancelled"]


def test_a_run_that_takes_too_long_cleans_up() -> None:
    table = Table(chain(after("tell", "failure", failure="error"), timeout=10.0))
    table(start(), placed("a"), began("a"))
    assert table(fired("run")) == ["stop a#1 to w1"]
    table(gone("a"), placed("tell"))
    assert failure_of(table, "tell").kind.value == "timeout"
    assert table(ok("tell")) == ["finish failed"]
    assert table.machine.timed_out


def test_what_follows_others_is_not_stopped_when_the_run_ends_meanwhile() -> None:
    graph = pipeline(
        task("a", options={"on_error": "continue"}),
        task("b"),
        after("undo", "failure", "a"),
        gives={"out": Output("b", "b")},
    )
    table = Table(graph)
    table(start(), placed("a"), placed("b"), broke("a"), placed("undo"), began("undo"))
    assert table(broke("b")) == []
    assert table(ok("undo")) == ["finish failed"]
    assert list(table.failures) == ["a", "b"]


def test_a_lost_worker_while_cleaning_up_is_a_matter_for_the_policy() -> None:
    table = Table(chain(after("close", "always")))
    table(start(), placed("a"), cancel(), gone("a"), placed("close", worker="w"), began("close", worker="w"))
    assert table(lost("w")) == ["ask close#1 about worker_lost"]


def test_a_parameter_without_a_failure_is_null_or_left_at_its_default() -> None:
    table = Table(
        chain(after("x", "always", failure="error"), after("y", "always", failure="error", optional=True))
    )
    table(start(), placed("a"), ok("a", 1), placed("b"), ok("b", 2), placed("x"), placed("y"))
    assert failure_of(table, "x") is None
    assert "error" not in table.machine.cells.in_flight["y"].params


def test_a_compensation_takes_what_earlier_nodes_gave() -> None:
    table = Table(chain(after("refund", "failure", "b", charge="a")))
    table(start(), placed("a"), ok("a", 7), placed("b"), broke("b"))
    assert table(placed("refund")) == ["dispatch refund#1 charge=7"]


def test_a_compensation_is_skipped_where_its_data_is_missing() -> None:
    table = Table(chain(after("refund", "failure", failure="", charge="b")))
    assert table(start(), placed("a"), broke("a"))[-1] == "finish failed"
    assert table.states["refund"] == "skipped"


def body_of(*nodes: Any) -> Graph:
    return build_graph(nodes, inputs={"item": InputSpec()}, outputs={"f": Output("f", "f")})


WORK = TaskNode(name="f", task="f", params={"x": Input("item")}, outputs=("f",))


@pytest.mark.parametrize("skip", [False, True])
def test_items_clean_up_for_themselves(skip: bool) -> None:
    body = body_of(WORK, after("undo", "failure", "f", failure="error"), after("close", "always"))
    graph = pipeline(
        mapped("m", body, "in1", skip_errors=skip, max_parallel=1), inputs=["in1"], on_error="continue"
    )
    table = Table(graph)
    table(start(in1=[1, 2]), expanded("m", 1, 2), placed("m[0]/f"))
    assert table(broke("m[0]/f")) == ["enqueue m[0]/undo#1"]
    table(placed("m[0]/undo"))
    assert failure_of(table, "m[0]/undo").cell == "m[0]/f"
    assert table(ok("m[0]/undo"), placed("m[0]/close"), ok("m[0]/close"))[-1] == "enqueue m[1]/f#1"
    table(placed("m[1]/f"), ok("m[1]/f", 5), placed("m[1]/close"))
    assert table(ok("m[1]/close")) == [f"finish {'succeeded' if skip else 'failed'}"]


def test_open_items_of_a_run_that_is_broken_off_clean_up_and_others_are_not_begun() -> None:
    body = body_of(WORK, after("close", "always"))
    graph = pipeline(
        mapped("m", body, "in1", max_parallel=2),
        task("z", m="m"),
        after("end", "always", failure="error"),
        inputs=["in1"],
        gives={"out": Output("z", "z")},
    )
    table = Table(graph)
    table(start(in1=[1, 2, 3]), expanded("m", 1, 2, 3), placed("m[0]/f"), placed("m[1]/f"))
    assert table(broke("m[0]/f")) == ["stop m[1]/f#1"]
    assert sorted(table(gone("m[1]/f"))) == ["enqueue m[0]/close#1", "enqueue m[1]/close#1"]
    assert table(placed("m[0]/close"), placed("m[1]/close"), ok("m[0]/close"))[-1].startswith("dispatch")
    assert table(ok("m[1]/close")) == ["enqueue end#1"]
    table(placed("end"))
    assert failure_of(table, "end").cell == "m[0]/f"
    assert table(ok("end")) == ["finish failed"]
    assert table.states == {"m": "failed", "z": "cancelled", "end": "succeeded"}


def test_an_item_that_has_succeeded_has_nothing_to_do_with_what_broke_the_run_off() -> None:
    body = body_of(WORK, after("undo", "failure"))
    graph = pipeline(mapped("m", body, "in1"), task("z"), inputs=["in1"], gives={"out": Output("z", "z")})
    table = Table(graph)
    table(start(in1=[1, 2]), expanded("m", 1, 2), placed("m[0]/f"), placed("m[1]/f"), placed("z"))
    table(broke("z"), ok("m[0]/f", 5))
    assert table(gone("m[1]/f")) == ["enqueue m[1]/undo#1"]


def test_a_driver_that_takes_over_cleans_up() -> None:
    table = Table(chain(after("undo", "failure", "a"), after("close", "always")))
    table(start(), placed("a"), broke("a"), placed("undo"), ok("undo"))
    for count in range(len(table.logged) + 1):
        other = RunMachine(table.graph, read=plain)
        for event in table.logged[:count]:
            other.apply(event)
        orders = [type(order).__name__ for order in other.outstanding()]
        assert len(orders) == (0 if count == 0 else 1), (count, orders)
    assert encode is not None


PROBLEMS = [
    (
        [after("x", "sometimes", "a")],
        "node 'x' follows others with when='sometimes'; it must be 'failure' or 'always'",
    ),
    ([after("x", "always", "nobody")], "node 'x' follows 'nobody', which is not in the graph; add that node"),
    (
        [after("x", "always", "a"), TaskNode(name="y", task="y", after=("x",))],
        "node 'y' waits for 'x', which runs only after others have ended; wait for those",
    ),
]


@pytest.mark.parametrize(("nodes", "text"), PROBLEMS)
def test_what_is_impossible_is_said(nodes: list[TaskNode], text: str) -> None:
    from taskiq_flow.errors import GraphError

    with pytest.raises(GraphError) as caught:
        chain(*nodes)
    assert text in caught.value.problems
