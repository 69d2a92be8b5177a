"""What a machine answers to each event: how data flow through a graph."""

from __future__ import annotations

import pytest

from machine_tables import Table, began, ok, pipeline, placed, play, source, start, task
from taskiq_flow.graph import FirstOf, Guard, ListOf, Literal, Output


def test_a_chain() -> None:
    graph = pipeline(task("a", x="in1"), task("b", y="a", z=Literal([1, None])), inputs=["in1"])
    table = play(
        graph,
        [
            (start(in1="v"), ["enqueue a#1"]),
            (placed("a"), ['dispatch a#1 x="v"']),
            (began("a"), []),
            (ok("a", 5), ["enqueue b#1"]),
            (placed("b", worker="w2"), ["dispatch b#1 y=5 z=[1, null] to w2"]),
            (began("b", worker="w2"), []),
            (ok("b", 6), ["finish succeeded"]),
        ],
    )
    assert table.outputs == {"out": 6}
    assert table.states == {"a": "succeeded", "b": "succeeded"}
    assert table.machine.version == 7


def test_fan_out_and_in() -> None:
    graph = pipeline(task("a"), task("b", x="a"), task("c", x="a"), task("d", left="b", right="c"))
    table = play(
        graph,
        [
            (start(), ["enqueue a#1"]),
            (placed("a"), ["dispatch a#1"]),
            (ok("a", 1), ["enqueue b#1", "enqueue c#1"]),
            (placed("c"), ["dispatch c#1 x=1"]),
            (ok("c", 3), []),
            (placed("b"), ["dispatch b#1 x=1"]),
            (ok("b", 2), ["enqueue d#1"]),
            (placed("d"), ["dispatch d#1 left=2 right=3"]),
            (ok("d", 4), ["finish succeeded"]),
        ],
    )
    assert table.outputs == {"out": 4}


def test_several_outputs() -> None:
    graph = pipeline(
        task("a", node={"outputs": ("left", "right")}),
        task("b", x=Output("a", "right")),
        task("c", y=Output("a", "left"), z=Output("a", "right")),
        gives={"l": Output("a", "left"), "c": source("c")},
    )
    table = play(
        graph,
        [
            (start(), ["enqueue a#1"]),
            (placed("a"), ["dispatch a#1"]),
            (ok("a", "L", "R"), ["enqueue b#1", "enqueue c#1"]),
            (placed("b"), ['dispatch b#1 x="R"']),
            (placed("c"), ['dispatch c#1 y="L" z="R"']),
            (ok("b", None), []),
            (ok("c", None), ["finish succeeded"]),
        ],
    )
    assert table.outputs == {"l": "L", "c": None}


def test_a_node_without_outputs_keeps_nothing_and_still_counts() -> None:
    graph = pipeline(task("a", node={"outputs": ()}), task("b", node={"after": ("a",)}))
    table = Table(graph)
    assert table(start(), placed("a"), ok("a")) == ["enqueue a#1", "dispatch a#1", "enqueue b#1"]


@pytest.mark.parametrize("outputs", [(), (1,), (1, 2, 3)])
def test_outputs_of_a_wrong_number_fail_the_cell(outputs: tuple[int, ...]) -> None:
    table = Table(pipeline(task("a", node={"outputs": ("l", "r")})))
    assert table(start(), placed("a"), ok("a", *outputs))[2:] == ["finish failed"]
    assert table.failures == {"a": f"#1 the attempt gave {len(outputs)} outputs instead of 2"}


@pytest.mark.parametrize(
    ("given", "dispatched"),
    [({"in1": 1, "in2": 2}, "dispatch a#1 x=1 y=2"), ({"in1": 1}, "dispatch a#1 x=1")],
)
def test_an_optional_input_may_be_left_out(given: dict[str, int], dispatched: str) -> None:
    graph = pipeline(task("a", x="in1", y="in2", node={"optional": frozenset({"y"})}), inputs=["in1", "in2?"])
    play(graph, [(start(**given), ["enqueue a#1"]), (placed("a"), [dispatched])])


def test_a_cell_that_misses_a_required_input_is_skipped_and_so_is_what_needs_it() -> None:
    graph = pipeline(
        task("a", x="in1"),
        task("b", y="a"),
        task("c", z="b", node={"optional": frozenset({"z"})}),
        task("d", node={"after": ("b",)}),
        inputs=["in1?"],
        gives={"a": source("a"), "c": source("c")},
    )
    table = play(
        graph,
        [
            (start(), ["enqueue c#1", "enqueue d#1"]),
            (placed("c"), ["dispatch c#1"]),
            (placed("d"), ["dispatch d#1"]),
            (ok("d", 0), []),
            (ok("c", 1), ["finish succeeded"]),
        ],
    )
    assert table.states == {"a": "skipped", "b": "skipped", "c": "succeeded", "d": "succeeded"}
    assert table.outputs == {"c": 1}


@pytest.mark.parametrize(
    ("value", "equals", "runs"),
    [
        (True, True, True),
        (False, True, False),
        (False, False, True),
        ("x", "x", True),
        ([1, {"k": []}], [1, {"k": []}], True),
        ([1, 2], (1, 2), True),
        (None, None, True),
        (None, False, True),
        (5, True, True),
        ([], True, False),
    ],
)
def test_a_guard(value: object, equals: object, runs: bool) -> None:
    graph = pipeline(task("p"), task("a", node={"when": Guard(source("p"), equals)}))
    table = Table(graph)
    table(start(), placed("p"))
    assert table(ok("p", value)) == (["enqueue a#1"] if runs else ["finish succeeded"])


@pytest.mark.parametrize("side", [True, False])
def test_the_sides_of_a_branch_meet_again(side: bool) -> None:
    graph = pipeline(
        task("p"),
        task("yes", node={"when": Guard(source("p"), True)}),
        task("no", node={"when": Guard(source("p"), False)}),
        task("join", x=FirstOf((source("yes"), source("no")))),
    )
    name = "yes" if side else "no"
    table = play(
        graph,
        [
            (start(), ["enqueue p#1"]),
            (placed("p"), ["dispatch p#1"]),
            (ok("p", side), [f"enqueue {name}#1"]),
            (placed(name), [f"dispatch {name}#1"]),
            (ok(name, 7), ["enqueue join#1"]),
            (placed("join"), ["dispatch join#1 x=7"]),
            (ok("join", 8), ["finish succeeded"]),
        ],
    )
    assert table.states["no" if side else "yes"] == "skipped"


def test_a_join_waits_for_all_of_its_sides_and_takes_the_first() -> None:
    graph = pipeline(task("a"), task("b"), task("join", x=FirstOf((source("a"), source("b")))))
    table = Table(graph)
    table(start(), placed("a"), placed("b"))
    assert table(ok("b", 2)) == []
    assert table(ok("a", 1), placed("join")) == ["enqueue join#1", "dispatch join#1 x=1"]


def test_a_join_of_nothing_is_skipped() -> None:
    never = {"when": Guard(Literal(1), 2)}
    graph = pipeline(
        task("a", node=never), task("b", node=never), task("join", x=FirstOf((source("a"), source("b"))))
    )
    table = play(graph, [(start(), ["finish succeeded"])])
    assert set(table.states.values()) == {"skipped"}
    assert table.outputs == {}


def test_a_group_is_handed_over_in_its_order() -> None:
    graph = pipeline(task("a"), task("b"), task("c", xs=ListOf((source("b"), source("a"), Literal(0)))))
    table = Table(graph)
    table(start(), placed("a"), placed("b"))
    assert table(ok("a", "A"), ok("b", "B"), placed("c"))[1:] == ['dispatch c#1 xs=["B", "A", 0]']


def test_a_group_with_a_skipped_member_is_skipped() -> None:
    graph = pipeline(
        task("a"),
        task("b", node={"when": Guard(Literal(1), 2)}),
        task("c", xs=ListOf((source("a"), source("b")))),
    )
    table = Table(graph)
    assert table(start(), placed("a"), ok("a", 1)) == ["enqueue a#1", "dispatch a#1", "finish succeeded"]
    assert table.states["c"] == "skipped"


def test_order_without_data() -> None:
    graph = pipeline(task("a"), task("b"), task("c", node={"after": ("a", "b")}))
    play(
        graph,
        [
            (start(), ["enqueue a#1", "enqueue b#1"]),
            (placed("b"), ["dispatch b#1"]),
            (ok("b", 1), []),
            (placed("a"), ["dispatch a#1"]),
            (ok("a", 1), ["enqueue c#1"]),
        ],
    )


def test_what_a_node_asks_for_is_handed_to_the_scheduler() -> None:
    options = {"queue": "slow", "priority": 2, "resources": {"cpu": 4.0}}
    graph = pipeline(task("a", options=options))
    play(
        graph,
        [
            (start(), ["enqueue a#1 cpu=4 queue=slow priority=2"]),
            (placed("a"), ["dispatch a#1 via slow"]),
        ],
    )


def test_an_output_of_several_sources_is_there_when_all_of_them_are_decided() -> None:
    """A later source must not stand in for an earlier one that has failed, or has not come yet."""
    both = FirstOf((source("a"), source("b")))
    graph = pipeline(task("a"), task("b"), gives={"one": source("b"), "any": both}, on_error="continue")
    table = Table(graph)
    table(start(), placed("a"), placed("b"))
    table(ok("b", 2))
    assert table.outputs == {"one": 2}
    done = table.replayed()
    done(ok("a", 1))
    assert done.outputs == {"one": 2, "any": 1}


def test_graphs_without_nodes_are_done_at_once() -> None:
    graph = pipeline(task("a"))
    empty = type(graph)(nodes={}, outputs={"out": Literal(3)})
    table = play(empty, [(start(), ["finish succeeded"])])
    assert table.outputs == {"out": 3}
