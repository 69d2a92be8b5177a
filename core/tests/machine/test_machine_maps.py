"""What a machine answers to each event: maps, their windows, nesting, filters and errors."""

from __future__ import annotations

from typing import Any

import pytest

from machine_tables import (
    Table,
    broke,
    cancel,
    expanded,
    mapped,
    ok,
    pipeline,
    placed,
    play,
    source,
    start,
    task,
)
from taskiq_flow.graph import Guard, Input, InputSpec, ListOf, Literal, Output, build_graph


def squares(items: Any = "in1", **more: Any) -> Any:
    return mapped("m", [task("f", x="item")], items, **more)


def body(*nodes: Any, gives: Any, inputs: tuple[str, ...] = ("item",)) -> Any:
    specs = {name.rstrip("?"): InputSpec(required=not name.endswith("?")) for name in inputs}
    return build_graph(nodes, inputs=specs, outputs=gives)


def test_a_map_over_an_encoded_list() -> None:
    table = play(
        pipeline(squares(), task("z", xs="m"), inputs=["in1"]),
        [
            (start(in1=[4, 5]), ["expand m [4, 5]"]),
            (expanded("m", 4, 5), ["enqueue m[0]/f#1", "enqueue m[1]/f#1"]),
            (placed("m[1]/f"), ["dispatch m[1]/f#1 x=5"]),
            (ok("m[1]/f", 25), []),
            (placed("m[0]/f"), ["dispatch m[0]/f#1 x=4"]),
            (ok("m[0]/f", 16), ["enqueue z#1"]),
            (placed("z"), ["dispatch z#1 xs=[16, 25]"]),
            (ok("z", 0), ["finish succeeded"]),
        ],
    )
    assert table.states == {"m": "succeeded", "z": "succeeded"}


def test_a_list_that_is_kept_as_its_elements_needs_no_reading() -> None:
    graph = pipeline(task("a"), squares(ListOf((source("a"), Literal(9)))))
    table = Table(graph)
    table(start(), placed("a"))
    assert table(ok("a", 1)) == ["enqueue m[0]/f#1", "enqueue m[1]/f#1"]


def test_the_output_of_a_map_is_mapped_without_reading() -> None:
    graph = pipeline(squares(), mapped("n", [task("g", y="item")], "m"), inputs=["in1"])
    table = Table(graph)
    table(start(in1=[1]), expanded("m", 1), placed("m[0]/f"))
    assert table(ok("m[0]/f", 10), placed("n[0]/g"))[1:] == ["dispatch n[0]/g#1 y=10"]


@pytest.mark.parametrize("items", [Literal([]), ListOf(())])
def test_a_map_over_nothing(items: Any) -> None:
    table = Table(pipeline(squares(items)))
    table(start(), *([expanded("m")] if isinstance(items, Literal) else []))
    assert table.machine.status.value == "succeeded"
    assert table.outputs == {"out": []}


def test_a_map_over_no_list_fails() -> None:
    table = play(
        pipeline(squares(), task("z", xs="m"), inputs=["in1"]),
        [
            (start(in1=3), ["expand m 3"]),
            (broke("m", kind="rejected", retry_at=1.0, holds_slot=True), ["finish failed"]),
        ],
    )
    assert table.failures == {"m": "#1 broken"}
    assert table.states == {"m": "failed", "z": "cancelled"}
    assert table.occupying == []


@pytest.mark.parametrize(("limit", "window", "opened"), [(2, 9, 2), (3, 1, 3), (None, 2, 2), (None, 9, 4)])
def test_no_more_items_are_open_than_the_window_lets(limit: int | None, window: int, opened: int) -> None:
    table = Table(pipeline(squares(max_parallel=limit), inputs=["in1"]), window=window)
    cells = [f"m[{number}]/f" for number in range(4)]
    assert table(start(in1=[]), expanded("m", *"abcd")) == [
        "expand m []",
        *(f"enqueue {cell}#1" for cell in cells[:opened]),
    ]
    following = [f"enqueue {cell}#1" for cell in cells[opened:]]
    assert [table(placed(cell), ok(cell, 0))[1:] for cell in cells[:-1]] == [
        [following.pop(0)] if following else [] for _ in cells[:-1]
    ]
    assert table(placed(cells[-1]), ok(cells[-1], 0))[1:] == ["finish succeeded"]


def test_the_window_of_the_log_counts_and_not_that_of_the_machine() -> None:
    """Whoever replays a log has to open the same items, whatever it is configured with."""
    table = Table(pipeline(squares(), inputs=["in1"]), window=1)
    assert table(start(in1=[], window=2), expanded("m", 1, 2, 3))[1:] == [
        "enqueue m[0]/f#1",
        "enqueue m[1]/f#1",
    ]


def test_nested_maps_share_one_window_and_go_depth_first() -> None:
    inner = body(mapped("n", [task("f", x="item")], "item"), gives={"n": source("n")})
    outer = mapped("m", inner, "in1")
    table = Table(pipeline(outer, inputs=["in1"]), window=3)
    assert table(start(in1=[]), expanded("m", [1], [2], [3])) == [
        "expand m []",
        "expand m[0]/n [1]",
        "expand m[1]/n [2]",
        "expand m[2]/n [3]",
    ]
    # A map may always have one item open, or nothing would go on; another one waits for the window.
    assert table(expanded("m[0]/n", *range(5))) == ["enqueue m[0]/n[0]/f#1"]
    assert table(expanded("m[1]/n", 9)) == ["enqueue m[1]/n[0]/f#1"]
    for number in range(4):
        cell = f"m[0]/n[{number}]/f"
        assert table(placed(cell), ok(cell, number))[1:] == [f"enqueue m[0]/n[{number + 1}]/f#1"]
    assert table(expanded("m[2]/n", 7)) == ["enqueue m[2]/n[0]/f#1"]
    for cell, result in (("m[1]/n[0]/f", "b"), ("m[0]/n[4]/f", 4), ("m[2]/n[0]/f", "c")):
        table(placed(cell), ok(cell, result))
    assert table.outputs == {"out": [[0, 1, 2, 3, 4], ["b"], ["c"]]}


def test_inner_items_come_before_outer_ones() -> None:
    """With lists that need no reading: the window is filled with the first outer item's items."""
    inner = body(
        mapped("n", [task("f", x="item")], ListOf(tuple(Literal(n) for n in range(4))), params={}),
        task("g", y="item"),
        gives={"n": source("n")},
    )
    table = Table(pipeline(mapped("m", inner, ListOf((Literal("a"), Literal("b")))), gives={}), window=3)
    assert table(start()) == ["enqueue m[0]/n[0]/f#1", "enqueue m[0]/n[1]/f#1", "enqueue m[0]/g#1"]
    for number in range(2):
        cell = f"m[0]/n[{number}]/f"
        assert table(placed(cell), ok(cell, 0))[1:] == [f"enqueue m[0]/n[{number + 2}]/f#1"]
    # Nothing is left to be opened in there, so the outer map gets its turn.
    assert table(placed("m[0]/n[2]/f"), ok("m[0]/n[2]/f", 0))[1:] == [
        "enqueue m[1]/n[0]/f#1",
        "enqueue m[1]/g#1",
    ]


def test_inputs_that_are_the_same_for_every_item() -> None:
    inside = body(task("f", x="item", k="inner"), gives={"f": source("f")}, inputs=("item", "inner"))
    graph = pipeline(mapped("m", inside, "in1", params={"inner": "in2"}), inputs=["in1", "in2"])
    table = Table(graph)
    table(start(in1=[], in2="K"), expanded("m", 1, 2))
    assert table(placed("m[1]/f")) == ['dispatch m[1]/f#1 x=2 k="K"']


def test_a_body_with_a_guard_gives_null_where_it_was_skipped() -> None:
    inside = body(
        task("p", x="item"),
        task("f", x="item", node={"when": Guard(source("p"), True)}),
        gives={"f": source("f")},
    )
    table = Table(pipeline(mapped("m", inside, "in1"), inputs=["in1"]))
    table(start(in1=[]), expanded("m", 1, 2), placed("m[0]/p"), placed("m[1]/p"))
    table(ok("m[0]/p", False), ok("m[1]/p", True), placed("m[1]/f"), ok("m[1]/f", 4))
    assert table.outputs == {"out": [None, 4]}


def test_several_outputs_are_several_lists() -> None:
    inside = body(
        task("f", x="item", node={"outputs": ("l", "r")}),
        gives={"l": Output("f", "l"), "r": Output("f", "r"), "i": Input("item")},
    )
    node = mapped("m", inside, "in1", outputs=("ls", "is"), collects=("l", "i"))
    table = Table(pipeline(node, inputs=["in1"], gives={"ls": Output("m", "ls"), "is": Output("m", "is")}))
    table(start(in1=[]), expanded("m", 1, 2), placed("m[0]/f"), placed("m[1]/f"))
    assert table(ok("m[1]/f", "L1", "R1"), ok("m[0]/f", "L0", "R0")) == ["finish succeeded"]
    assert table.outputs == {"ls": ["L0", "L1"], "is": [1, 2]}


def test_a_filter_keeps_the_items_that_its_body_likes() -> None:
    table = Table(pipeline(squares(keep="items"), inputs=["in1"]))
    table(start(in1=[]), expanded("m", *"abcde"), *(placed(f"m[{n}]/f") for n in range(5)))
    for number, verdict in enumerate([True, 0, [1], None, ""]):
        table(ok(f"m[{number}]/f", verdict))
    assert table.outputs == {"out": ["a", "c"]}


def test_an_error_in_an_item_stops_the_run() -> None:
    play(
        pipeline(squares(), inputs=["in1"]),
        [
            (start(in1=[1, 2, 3]), ["expand m [1, 2, 3]"]),
            (expanded("m", 1, 2, 3), [f"enqueue m[{n}]/f#1" for n in range(3)]),
            (placed("m[0]/f", worker="w"), ["dispatch m[0]/f#1 x=1 to w"]),
            (placed("m[1]/f"), ["dispatch m[1]/f#1 x=2"]),
            (broke("m[0]/f"), ["stop m[1]/f#1", "withdraw m[2]/f"]),
            (ok("m[1]/f", 4), ["finish failed"]),
        ],
    )


def test_with_continue_the_other_items_go_on_and_the_map_fails_in_the_end() -> None:
    graph = pipeline(squares(), task("z", xs="m"), task("y"), inputs=["in1"], on_error="continue")
    table = Table(graph)
    table(start(in1=[]), expanded("m", 1, 2), placed("m[0]/f"), placed("m[1]/f"), placed("y"), ok("y", 0))
    assert table(broke("m[0]/f")) == []
    assert table(ok("m[1]/f", 4)) == ["finish failed"]
    assert table.states == {"m": "failed", "z": "cancelled", "y": "succeeded"}
    assert table.failures == {"m[0]/f": "#1 broken"}


def test_skipped_errors_leave_their_items_out() -> None:
    table = Table(pipeline(squares(skip_errors=True), inputs=["in1"]))
    table(start(in1=[]), expanded("m", 1, 2, 3), *(placed(f"m[{n}]/f") for n in range(3)))
    assert table(ok("m[0]/f", 1), broke("m[1]/f"), ok("m[2]/f", 9)) == ["finish succeeded"]
    assert table.outputs == {"out": [1, 9]}
    assert table.machine.failures == {}
    assert list(table.machine.suppressed) == ["m[1]/f"]


def test_an_error_deep_inside_a_tolerant_map_stays_there() -> None:
    inner = body(mapped("n", [task("f", x="item")], "item"), task("g", x="n"), gives={"g": source("g")})
    table = Table(pipeline(mapped("m", inner, "in1", skip_errors=True), inputs=["in1"]))
    table(start(in1=[]), expanded("m", [1, 2], [3]), expanded("m[0]/n", 1, 2), expanded("m[1]/n", 3))
    cells = ["m[0]/n[0]/f", "m[0]/n[1]/f", "m[1]/n[0]/f"]
    table(*map(placed, cells))
    assert table(broke(cells[0])) == []
    assert table(ok(cells[1], 0)) == []
    assert table(ok(cells[2], 0), placed("m[1]/g"), ok("m[1]/g", "G"))[-1] == "finish succeeded"
    assert table.outputs == {"out": ["G"]}
    assert table.failures == {"m[0]/n[0]/f": "#1 broken"}


@pytest.mark.parametrize(
    ("graph_mode", "map_mode", "node_mode", "stops"),
    [
        ("stop", None, None, True),
        ("continue", None, None, False),
        ("stop", "continue", None, False),
        ("continue", "stop", None, True),
        ("continue", None, "stop", True),
        ("stop", "continue", "stop", True),
    ],
)
def test_the_nearest_error_mode_counts(graph_mode: Any, map_mode: Any, node_mode: Any, stops: bool) -> None:
    node = mapped(
        "m", [task("f", x="item", options={"on_error": node_mode})], "in1", options={"on_error": map_mode}
    )
    table = Table(pipeline(node, task("y"), inputs=["in1"], on_error=graph_mode, gives={}))
    table(start(in1=[]), expanded("m", 1), placed("m[0]/f"))
    assert table(broke("m[0]/f")) == (["withdraw y", "finish failed"] if stops else [])


def test_a_map_that_fails_late_can_stop_the_run_as_well() -> None:
    node = mapped("m", [task("f", x="item", options={"on_error": "continue"})], "in1")
    table = Table(pipeline(node, task("y"), inputs=["in1"], gives={}))
    table(start(in1=[]), expanded("m", 1, 2), placed("m[0]/f"), placed("m[1]/f"))
    assert table(broke("m[0]/f")) == []
    assert table(ok("m[1]/f", 0)) == ["withdraw y", "finish failed"]


def test_a_run_that_was_cancelled_does_not_expand_its_maps() -> None:
    table = Table(pipeline(squares(), task("y"), inputs=["in1"], gives={}))
    table(start(in1=[1]), placed("y"))
    assert table(cancel()) == ["stop y#1"]
    assert table(expanded("m", 1)) == []
    assert table(ok("y", 0)) == ["finish cancelled"]
    assert table(expanded("m", 1), broke("m")) == []
    assert table.states == {"m": "cancelled", "y": "succeeded"}
