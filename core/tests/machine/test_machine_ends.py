"""What a machine answers to each event: cancellation, time limits, takeovers, and what cannot happen."""

from __future__ import annotations

import pytest

from machine_tables import (
    Table,
    began,
    broke,
    cancel,
    expanded,
    fired,
    freed,
    gone,
    lost,
    mapped,
    ok,
    pipeline,
    placed,
    play,
    start,
    task,
)
from taskiq_flow.graph import Graph
from taskiq_flow.machine import events as ev


def several() -> Graph:
    """Four cells that are independent, one of a map, and one that never gets its turn."""
    tasks = [task(name, options={"timeout": 5.0}) for name in "abcd"]
    node = mapped("m", [task("f", x="item"), task("g", x="f")], "in1")
    return pipeline(*tasks, node, task("z", x="a"), inputs=["in1"])


IN_EVERY_STATE = (
    start(in1=[1]),
    placed("b", worker="w1"),
    placed("c", worker="w1"),
    began("c", worker="w2"),
    placed("d"),
    broke("d", retry_at=50.0),
)


def test_cancelling_in_every_state() -> None:
    table = Table(several())
    table(*IN_EVERY_STATE)
    states = {"a": "ready", "b": "dispatched", "c": "running", "d": "waiting", "m": "running", "z": "pending"}
    assert table.states == states
    assert table(cancel("enough")) == [
        "withdraw a",
        "stop b#1",
        "stop c#1 to w2",
        "stop retry:d:2",
    ]
    assert table.machine.status.value == "cancelling"
    assert table.states == states | {"a": "cancelled", "d": "cancelled"}
    assert table(gone("b")) == []
    assert table(gone("c")) == ["stop attempt:c:1", "finish cancelled"]
    assert set(table.states.values()) == {"cancelled"}
    assert table.machine.reason == "enough"
    assert table.machine.failures == {}


@pytest.mark.parametrize(
    ("last_words", "state"),
    [
        ([gone("c")], "cancelled"),
        ([ok("c", 1)], "succeeded"),
        ([broke("c")], "failed"),
        ([broke("c", retry_at=9.0)], "failed"),
        ([lost("w2")], "cancelled"),
        ([fired("attempt:c:1")], "cancelled"),
    ],
)
def test_whatever_a_released_attempt_comes_to_ends_it(last_words: list[ev.Event], state: str) -> None:
    table = Table(several())
    table(*IN_EVERY_STATE, cancel(), gone("b"))
    assert table(*last_words)[-1] == "finish cancelled"
    assert table.states["c"] == state
    assert table(*last_words, gone("c"), ok("c", 2)) == []


def test_a_released_attempt_that_hears_nothing_is_given_up_and_occupies_its_worker() -> None:
    table = Table(several())
    table(*IN_EVERY_STATE, cancel(), gone("b"), fired("attempt:c:1"))
    assert table.occupying == ["c#1 on w2"]
    assert table(freed("c")) == []
    assert table.occupying == []


def test_a_thread_that_cannot_be_stopped_occupies_its_worker_after_the_run() -> None:
    table = Table(pipeline(task("a")))
    table(start(), placed("a"), began("a"), cancel())
    assert table(gone("a", holds_slot=True)) == ["finish cancelled"]
    assert table.occupying == ["a#1 on w1"]
    assert table.replayed().outstanding() == ["stop a#1 to w1", "finish cancelled"]
    table(freed("a"))
    assert table.replayed().outstanding() == ["finish cancelled"]


def test_an_attempt_that_starts_after_it_was_released_is_released_again() -> None:
    table = Table(several())
    table(*IN_EVERY_STATE, cancel(), gone("c"))
    assert table(began("b", worker="w3")) == ["stop b#1 to w3"]


def test_cancelling_twice_is_cancelling_once() -> None:
    table = Table(several())
    table(*IN_EVERY_STATE, cancel("first"))
    version = table.machine.version
    assert table(cancel("second")) == []
    table(gone("b"), gone("c"))
    assert table(cancel("third")) == []
    assert table.machine.reason == "first"
    assert table.machine.version == version + 2


def test_a_run_that_is_cancelled_before_it_starts_never_starts() -> None:
    play(pipeline(task("a")), [(cancel(), ["finish cancelled"]), (start(), [])])


def test_a_run_that_takes_too_long() -> None:
    table = play(
        pipeline(task("a"), task("b", x="a"), timeout=60.0),
        [
            (start(at=100.0), ["start run due 160", "enqueue a#1"]),
            (placed("a"), ["dispatch a#1"]),
            (fired("run"), ["stop a#1"]),
            (cancel(), []),
            (gone("a"), ["finish failed"]),
        ],
    )
    assert table.machine.timed_out
    assert table.machine.reason == "the run did not finish within 60 s"


def test_a_run_in_time_stops_its_timer() -> None:
    table = Table(pipeline(task("a"), timeout=60.0))
    table(start(), placed("a"))
    assert table(ok("a", 1)) == ["stop run", "finish succeeded"]
    assert table(fired("run"), cancel()) == []
    assert table.machine.status.value == "succeeded"


def test_a_run_that_fails_while_items_of_several_maps_run() -> None:
    maps = [mapped(name, [task(f"f{name}", x="item")], "in1") for name in ("m", "n")]
    table = Table(pipeline(*maps, task("a"), inputs=["in1"], gives={}, timeout=9.0), window=2)
    table(start(in1=[]), placed("a"), expanded("m", 1, 2), expanded("n", 1, 2))
    cells = ["m[0]/fm", "m[1]/fm", "n[0]/fn"]
    table(*map(placed, cells))
    assert table(broke("a")) == ["stop run", *(f"stop {cell}#1" for cell in cells)]
    assert table(broke(cells[0]), gone(cells[1])) == []
    assert table(ok(cells[2], 0)) == ["finish failed"]
    assert list(table.failures) == ["a", "m[0]/fm"]
    assert table.states == {"m": "cancelled", "n": "cancelled", "a": "failed"}
    assert table(gone(cells[0]), ok("m[1]/fm", 3), expanded("n", 1)) == []


# After a takeover


def test_what_is_outstanding_in_every_state() -> None:
    table = Table(several())
    table(*IN_EVERY_STATE)
    assert table.replayed().outstanding() == [
        "start attempt:c:1 due 5",
        "start retry:d:2 due 50",
        "enqueue a#1",
        "dispatch b#1 to w1",
        "expand m [1]",
    ]
    table(cancel())
    assert table.replayed().outstanding() == [
        "start attempt:c:1 due 5",
        "stop b#1",
        "stop c#1 to w2",
    ]


@pytest.mark.parametrize(
    ("event", "question"),
    [
        (fired("attempt:c:1"), "ask c#1 about timeout holds_slot"),
        (lost("w2"), "ask c#1 about worker_lost"),
        (gone("c", holds_slot=True), "ask c#1 about cancelled holds_slot"),
    ],
)
def test_a_question_that_was_not_answered_is_asked_again(event: ev.Event, question: str) -> None:
    table = Table(several())
    table(*IN_EVERY_STATE, event)
    assert table.replayed().outstanding()[-1] == question
    table(cancel())
    assert table.replayed().outstanding()[-1] == question
    table(broke("c", kind="timeout", retry_at=3.0), gone("b"))
    assert table.machine.status.value == "cancelled"


def test_what_a_lost_worker_was_sent_is_not_sent_again_without_asking() -> None:
    table = Table(pipeline(task("a")))
    table(start(), placed("a", worker="w1"), lost("w1"))
    assert table.replayed().outstanding() == ["ask a#1 about worker_lost"]


def test_nothing_is_outstanding_before_the_start() -> None:
    assert Table(several()).outstanding() == []
