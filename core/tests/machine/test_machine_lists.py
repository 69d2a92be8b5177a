"""What a machine answers to each event: maps over several lists, dictionaries and parts of a list, and trees."""

from __future__ import annotations

from typing import Any

import pytest

from machine_model import plain
from machine_tables import Table, broke, expanded, mapped, ok, pipeline, placed, play, start, task
from taskiq_flow.graph import Input, InputSpec, Output, TaskNode, build_graph
from taskiq_flow.machine.machine import RunMachine

PAIR = build_graph(
    [TaskNode(name="f", task="f", params={"x": Input("x"), "y": Input("y")}, outputs=("f",))],
    inputs={"x": InputSpec(), "y": InputSpec()},
    outputs={"f": Output("f", "f")},
)


def pairs(**more: Any) -> Any:
    return pipeline(
        mapped("m", PAIR, "in1", item="x", also={"y": "in2"}, **more),
        inputs=["in1", "in2"],
        on_error="continue",
    )


def tree(size: int, **more: Any) -> Any:
    return pipeline(
        mapped("m", [task("f", xs="item")], "in1", chunk=size, keep="one", **more),
        inputs=["in1"],
        on_error="continue",
    )


def test_lists_are_zipped() -> None:
    play(
        pairs(),
        [
            (start(in1=[1, 2], in2=[3, 4]), ["expand m [1, 2] [3, 4]"]),
            (expanded("m", 1, 2, also=[[3, 4]]), ["enqueue m[0]/f#1", "enqueue m[1]/f#1"]),
            (placed("m[0]/f"), ["dispatch m[0]/f#1 x=1 y=3"]),
            (placed("m[1]/f"), ["dispatch m[1]/f#1 x=2 y=4"]),
            (ok("m[0]/f", 5), []),
            (ok("m[1]/f", 6), ["finish succeeded"]),
        ],
    )


def test_lists_of_different_lengths_fail_the_map_and_say_why() -> None:
    table = Table(pairs())
    table(start(in1=[1, 2], in2=[3]))
    assert table(expanded("m", 1, 2, also=[[3]])) == ["finish failed"]
    (failure,) = table.machine.failures.values()
    assert failure[1].message == (
        "the lists that are mapped over together have different lengths: 2 for 'x', 1 for 'y'; give lists of one "
        "length, or stop at the shortest with strict=False"
    )


def test_the_shortest_list_ends_a_map_that_is_not_strict() -> None:
    table = Table(pairs(strict=False))
    table(start(in1=[1, 2], in2=[3]))
    assert table(expanded("m", 1, 2, also=[[3]])) == ["enqueue m[0]/f#1"]
    assert table(placed("m[0]/f"), ok("m[0]/f", 0))[-1] == "finish succeeded"


def test_the_last_list_of_a_product_changes_fastest() -> None:
    table = Table(pairs(join="product", max_parallel=1))
    table(start(in1=[1, 2], in2=[3, 4, 5]))
    sent = table(expanded("m", 1, 2, also=[[3, 4, 5]]))
    for number in range(6):
        sent += table(placed(f"m[{number}]/f"), ok(f"m[{number}]/f", number))
    found = [words.partition(" x=")[2] for words in sent if words.startswith("dispatch")]
    assert found == ["1 y=3", "1 y=4", "1 y=5", "2 y=3", "2 y=4", "2 y=5"]
    assert plain(table.machine.outputs()["out"]) == [0, 1, 2, 3, 4, 5]


def test_a_product_with_an_empty_list_is_empty() -> None:
    table = Table(pairs(join="product"))
    table(start(in1=[1, 2], in2=[]))
    assert table(expanded("m", 1, 2, also=[[]])) == ["finish succeeded"]
    assert plain(table.machine.outputs()["out"]) == []


def test_parts_of_zipped_lists_belong_together() -> None:
    table = Table(pairs(chunk=2, strict=False))
    table(start(in1=[1, 2, 3, 4], in2=[5, 6, 7]))
    table(expanded("m", 1, 2, 3, 4, also=[[5, 6, 7]]))
    assert table(placed("m[0]/f"), placed("m[1]/f")) == [
        "dispatch m[0]/f#1 x=[1, 2] y=[5, 6]",
        "dispatch m[1]/f#1 x=[3] y=[7]",
    ]


def test_an_empty_list_has_no_parts() -> None:
    table = Table(pipeline(mapped("m", [task("f", xs="item")], "in1", chunk=3), inputs=["in1"]))
    table(start(in1=[]))
    assert table(expanded("m")) == ["finish succeeded"]
    assert plain(table.machine.outputs()["out"]) == []


def test_a_dictionary_keeps_its_keys_and_their_order() -> None:
    graph = pipeline(
        mapped("m", [task("f", x="item")], "in1", skip_errors=True),
        mapped("n", [task("g", x="item")], "m"),
        inputs=["in1"],
    )
    table = Table(graph)
    table(start(in1={"b": 1, "a": 2, "c": 3}))
    table(expanded("m", 1, 2, 3, keys="bac"), *(placed(f"m[{number}]/f") for number in range(3)))
    table(ok("m[2]/f", 30), broke("m[1]/f"))
    # The map over the map is not read again.
    assert table(ok("m[0]/f", 10)) == ["enqueue n[0]/g#1", "enqueue n[1]/g#1"]
    table(*(placed(f"n[{number}]/g") for number in range(2)), ok("n[1]/g", 31), ok("n[0]/g", 11))
    found = plain(table.machine.outputs()["out"])
    assert list(found.items()) == [("b", 11), ("c", 31)]


def test_a_filter_drops_keys_with_their_values() -> None:
    graph = pipeline(mapped("m", [task("f", x="item")], "in1", keep="items"), inputs=["in1"])
    table = Table(graph)
    table(start(in1={"b": 1, "a": 2}), expanded("m", 1, 2, keys="ba"), placed("m[0]/f"), placed("m[1]/f"))
    table(ok("m[0]/f", False), ok("m[1]/f", True))
    assert plain(table.machine.outputs()["out"]) == {"a": 2}


@pytest.mark.parametrize(
    ("graph", "reason"),
    [
        (
            pairs(),
            "the map goes over several lists, and found a dictionary; let a task before it make a list",
        ),
        (
            tree(2),
            "the map goes over chunks of a list, and found a dictionary; let a task before it make a list",
        ),
    ],
)
def test_a_dictionary_has_no_parts_and_is_not_zipped(graph: Any, reason: str) -> None:
    table = Table(graph)
    table(start(**{name: {"a": 1} for name in graph.inputs}))
    also = [[1]] if len(graph.inputs) > 1 else []
    assert table(expanded("m", 1, also=also, keys="a")) == ["finish failed"]
    assert table.machine.failures["m"][1].message == reason


def test_a_tree_combines_level_by_level_in_order() -> None:
    """Five values in pairs: three groups, then one group and a value that goes on as it is, then the last group."""
    play(
        tree(2),
        [
            (start(in1=list("abcde")), ['expand m ["a", "b", "c", "d", "e"]']),
            (expanded("m", *"abcde"), [f"enqueue m[{number}]/f#1" for number in range(3)]),
            (placed("m[0]/f"), ['dispatch m[0]/f#1 xs=["a", "b"]']),
            (placed("m[1]/f"), ['dispatch m[1]/f#1 xs=["c", "d"]']),
            (placed("m[2]/f"), ['dispatch m[2]/f#1 xs=["e"]']),
            (ok("m[2]/f", "E"), []),
            (ok("m[1]/f", "CD"), []),
            (ok("m[0]/f", "AB"), ["enqueue m[3]/f#1"]),
            (placed("m[3]/f"), ['dispatch m[3]/f#1 xs=["AB", "CD"]']),
            (ok("m[3]/f", "ABCD"), ["enqueue m[4]/f#1"]),
            (placed("m[4]/f"), ['dispatch m[4]/f#1 xs=["ABCD", "E"]']),
            (ok("m[4]/f", "all"), ["finish succeeded"]),
        ],
    )


@pytest.mark.parametrize("items", [[], ["a"]])
def test_a_tree_over_nothing_or_one_value_applies_the_task_once(items: list[str]) -> None:
    table = Table(tree(2))
    table(start(in1=items))
    assert table(expanded("m", *items)) == ["enqueue m[0]/f#1"]
    (sent,) = table(placed("m[0]/f"))
    assert plain(table.machine.cells.active["m[0]/f"].params["xs"]) == items, sent
    assert table(ok("m[0]/f", "end")) == ["finish succeeded"]
    assert plain(table.machine.outputs()["out"]) == "end"


@pytest.mark.parametrize("size", [2, 3, 7])
@pytest.mark.parametrize("count", [2, 3, 8, 9, 50])
def test_a_tree_has_a_logarithmic_depth_and_loses_nothing(count: int, size: int) -> None:
    table = Table(tree(size))
    table(start(in1=list(range(count))), expanded("m", *range(count)))
    levels, done = 0, 0
    while not table.machine.status.final:
        levels += 1
        for path in list(table.machine.cells.active):
            if path.startswith("m["):
                table(placed(path))
                parts = plain(table.machine.cells.active[path].params["xs"])
                assert 1 <= len(parts) <= size
                table(
                    ok(
                        path,
                        [each for part in parts for each in (part if isinstance(part, list) else [part])],
                    )
                )
                done += 1
    assert plain(table.machine.outputs()["out"]) == list(range(count))
    depth = 1
    while size**depth < count:
        depth += 1
    assert levels == depth


def test_a_group_that_fails_fails_the_tree() -> None:
    table = Table(tree(2))
    table(start(in1=[1, 2, 3]), expanded("m", 1, 2, 3), placed("m[0]/f"), placed("m[1]/f"))
    table(broke("m[0]/f"))
    assert table(ok("m[1]/f", 3)) == ["finish failed"]
    assert table.states == {"m": "failed"}


def test_a_driver_that_takes_over_goes_on_in_the_middle_of_a_tree() -> None:
    table = Table(tree(2))
    table(start(in1=[1, 2, 3]), expanded("m", 1, 2, 3), placed("m[0]/f"), placed("m[1]/f"))
    table(ok("m[1]/f", 30), ok("m[0]/f", 12))
    other = RunMachine(table.graph, read=plain)
    for event in table.logged:
        other.apply(event)
    (order,) = other.outstanding()
    assert order.cell == "m[2]/f"


def test_a_driver_that_takes_over_reads_all_lists_again() -> None:
    table = Table(pairs())
    table(start(in1=[1], in2=[2]))
    other = RunMachine(table.graph, read=plain)
    for event in table.logged:
        other.apply(event)
    (order,) = other.outstanding()
    assert [plain(each) for each in (order.items, *order.also)] == [[1], [2]]
