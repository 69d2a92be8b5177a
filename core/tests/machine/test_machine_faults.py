"""What a machine answers to each event: retries, timeouts, lost workers, and slots that stay occupied."""

from __future__ import annotations

from typing import Any

import pytest

from machine_tables import (
    Table,
    began,
    broke,
    cancel,
    fired,
    freed,
    gone,
    lost,
    ok,
    pipeline,
    placed,
    play,
    source,
    start,
    task,
)
from taskiq_flow.graph import Graph
from taskiq_flow.machine import events as ev

RUNNING = (start(), placed("a", worker="w1"), began("a", at=10.0))


def timed(**options: Any) -> Graph:
    return pipeline(task("a", options={"timeout": 5.0, **options}))


def test_a_retry_waits_until_it_is_due() -> None:
    graph = pipeline(task("a", options={"queue": "q", "resources": {"cpu": 1.0}}))
    table = play(
        graph,
        [
            (start(), ["enqueue a#1 cpu=1 queue=q"]),
            (placed("a", worker="w1"), ["dispatch a#1 via q to w1"]),
            (began("a"), []),
            (broke("a", retry_at=7.5), ["start retry:a:2 due 7.5"]),
            (fired("retry:a:2"), ["enqueue a#2 cpu=1 queue=q"]),
            (placed("a", 2), ["dispatch a#2 via q"]),
            (ok("a", 1, attempt=2), ["finish succeeded"]),
        ],
    )
    assert table.failures == {}


def test_a_retry_may_change_what_the_attempt_asks_for() -> None:
    graph = pipeline(task("a", options={"queue": "q", "resources": {"cpu": 1.0}, "priority": 1}))
    table = Table(graph)
    table(start(), placed("a"))
    table(broke("a", retry_at=1.0, resources={"cpu": 2.0}, queue="big", priority=5), fired("retry:a:2"))
    table(placed("a", 2))
    assert table(broke("a", 2, retry_at=1.0), fired("retry:a:3"))[1:] == [
        "enqueue a#3 cpu=2 queue=big priority=5"
    ]


def test_where_a_scheduler_sent_an_attempt_is_not_what_the_next_one_asks_for() -> None:
    table = Table(pipeline(task("a", options={"queue": "q"})))
    assert table(start(), placed("a", worker="w1", queue="only-w1"))[1:] == ["dispatch a#1 via only-w1 to w1"]
    assert table(broke("a", retry_at=1.0), fired("retry:a:2"), placed("a", 2)) == [
        "start retry:a:2 due 1",
        "enqueue a#2 queue=q",
        "dispatch a#2 via q",
    ]


def test_the_last_attempt_is_named_in_the_failure() -> None:
    table = Table(pipeline(task("a")))
    table(start(), placed("a"), broke("a", retry_at=1.0), fired("retry:a:2"), placed("a", 2))
    assert table(broke("a", 2)) == ["finish failed"]
    assert table.failures == {"a": "#2 broken"}


@pytest.mark.parametrize(
    "late",
    [
        began("a"),
        ok("a", 1),
        broke("a"),
        broke("a", retry_at=9.0),
        gone("a"),
        freed("a"),
        placed("a"),
        ev.CellProgressed(cell="a", attempt=1, progress=0.5),
        ev.PlaceLent(cell="a", attempt=1, run="other"),
        ev.PlaceTakenBack(cell="a", attempt=1),
    ],
    ids=lambda event: type(event).__name__,
)
def test_news_of_an_old_attempt_change_nothing(late: ev.Event) -> None:
    table = Table(pipeline(task("a"), task("b", x="a")))
    table(start(), placed("a"), broke("a", retry_at=1.0))
    version = table.machine.version
    assert table(late) == []
    table(fired("retry:a:2"))
    assert table(late) == []
    table(placed("a", 2))
    assert table(late) == []
    assert table.machine.version == version + 2
    table(ok("a", "second", attempt=2))
    if not isinstance(late, ev.CellDispatched):
        assert table(late, ok("a", "other", attempt=2)) == []
    assert table(placed("b")) == ['dispatch b#1 x="second"']


def test_an_outcome_may_overtake_the_news_of_the_start() -> None:
    table = Table(timed())
    table(start(), placed("a"), ok("a", 1))
    assert table(began("a")) == []
    assert table.states == {"a": "succeeded"}


def test_a_second_start_of_an_attempt_is_ignored() -> None:
    table = Table(timed())
    table(*RUNNING)
    version = table.machine.version
    assert table(began("a", worker="w2", at=99.0)) == []
    assert table.machine.version == version
    assert table.occupying == ["a#1 on w1"]


def test_progress_is_logged_and_changes_nothing_else() -> None:
    table = Table(pipeline(task("a")))
    table(start(), placed("a"))
    version = table.machine.version
    assert table(ev.CellProgressed(cell="a", attempt=1, progress=0.5)) == []
    assert table.machine.version == version + 1


def test_an_attempt_that_takes_too_long_and_is_given_up() -> None:
    table = play(
        timed(),
        [
            (start(), ["enqueue a#1"]),
            (placed("a", worker="w1"), ["dispatch a#1 to w1"]),
            (began("a", at=10.0), ["start attempt:a:1 due 15"]),
            (fired("attempt:a:1"), ["ask a#1 about timeout holds_slot"]),
            (broke("a", kind="timeout", holds_slot=True), ["stop a#1 to w1", "finish failed"]),
        ],
    )
    assert table.failures == {"a": "#1 broken"}
    assert table.occupying == ["a#1 on w1"]
    assert table(freed("a")) == []
    assert table.occupying == []


def test_an_attempt_that_takes_too_long_and_is_tried_again() -> None:
    table = Table(timed())
    table(*RUNNING)
    assert table(fired("attempt:a:1"), broke("a", kind="timeout", holds_slot=True, retry_at=20.0)) == [
        "ask a#1 about timeout holds_slot",
        "stop a#1 to w1",
        "start retry:a:2 due 20",
    ]
    assert table(fired("retry:a:2"), placed("a", 2, worker="w2"), began("a", 2, worker="w2", at=20.0)) == [
        "enqueue a#2",
        "dispatch a#2 to w2",
        "start attempt:a:2 due 25",
    ]
    assert table.occupying == ["a#2 on w2", "a#1 on w1"]
    assert table(ok("a", 1, attempt=2)) == ["stop attempt:a:2", "finish succeeded"]
    assert table.occupying == ["a#1 on w1"]


def test_an_outcome_in_time_stops_the_timer() -> None:
    table = Table(timed())
    table(*RUNNING)
    assert table(broke("a", retry_at=12.0)) == ["stop attempt:a:1", "start retry:a:2 due 12"]
    assert table(fired("attempt:a:1")) == []


def test_an_outcome_that_comes_while_the_policy_thinks_counts() -> None:
    table = Table(timed())
    table(*RUNNING, fired("attempt:a:1"))
    assert table(ok("a", 1)) == ["finish succeeded"]
    assert table(broke("a", kind="timeout", holds_slot=True)) == []
    assert table.occupying == []


GIVEN_UP = (*RUNNING, fired("attempt:a:1"), broke("a", kind="timeout", holds_slot=True, retry_at=20.0))


@pytest.mark.parametrize(
    ("news", "occupying"),
    [
        (freed("a"), []),
        (ok("a", 1), []),
        (broke("a"), []),
        (gone("a"), []),
        (lost("w1"), []),
        (lost("w2"), ["a#1 on w1"]),
        (gone("a", holds_slot=True), ["a#1 on w1"]),
        (broke("a", holds_slot=True), ["a#1 on w1"]),
        (began("a"), ["a#1 on w1"]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_slot_that_stays_occupied_is_free_when_the_attempt_is_known_to_have_ended(
    news: ev.Event, occupying: list[str]
) -> None:
    table = Table(timed())
    table(*GIVEN_UP)
    version = table.machine.version
    assert table(news) == []
    assert table.occupying == occupying
    assert table.machine.version == version + (not occupying)
    assert table(news) == []
    assert table.machine.version == version + (not occupying)


@pytest.mark.parametrize("early", [freed("a"), lost("w1"), gone("a")], ids=lambda event: type(event).__name__)
def test_a_slot_that_is_free_before_the_attempt_is_given_up_does_not_stay_occupied(early: ev.Event) -> None:
    table = Table(timed())
    table(*RUNNING, fired("attempt:a:1"))
    assert table(early) == []
    table(broke("a", kind="timeout", holds_slot=True, retry_at=20.0))
    assert table.occupying == []
    # That holds for this attempt, and not for the next one.
    table(
        fired("retry:a:2"),
        placed("a", 2),
        began("a", 2, worker="w2"),
        broke("a", 2, kind="timeout", holds_slot=True),
    )
    assert table.occupying == ["a#2 on w2"]


def test_a_lost_worker_fails_what_it_held() -> None:
    graph = pipeline(task("a"), task("b"), task("c"), task("d"), gives={}, on_error="continue")
    table = Table(graph)
    table(
        start(),
        placed("a", worker="w1"),
        placed("b"),
        began("b", worker="w1"),
        placed("c", worker="w2"),
        placed("d"),
    )
    assert table(lost("w1")) == ["ask a#1 about worker_lost", "ask b#1 about worker_lost"]
    assert table(lost("w1")) == []
    assert table(broke("a", kind="worker_lost", retry_at=3.0)) == ["start retry:a:2 due 3"]
    assert table(broke("b", kind="worker_lost")) == []
    assert table.failures == {"b": "#1 broken"}
    version = table.machine.version
    assert table(lost("w1"), lost("w7")) == []
    assert table.machine.version == version


@pytest.mark.parametrize(
    ("news", "question"),
    [
        ((fired("attempt:a:1"), lost("w1"), gone("a")), "ask a#1 about timeout holds_slot"),
        ((lost("w1"), gone("a"), fired("attempt:a:1")), "ask a#1 about worker_lost"),
        ((gone("a"), fired("attempt:a:1"), lost("w1")), "ask a#1 about cancelled"),
    ],
)
def test_the_policy_is_asked_once_about_an_attempt(news: tuple[ev.Event, ...], question: str) -> None:
    table = Table(timed())
    table(*RUNNING)
    assert table(*news) == [question]


def test_an_attempt_that_was_cancelled_by_itself_is_a_failure() -> None:
    table = Table(pipeline(task("a")))
    table(start(), placed("a"), began("a"))
    assert table(gone("a")) == ["ask a#1 about cancelled"]
    assert table(broke("a", kind="cancelled", retry_at=1.0)) == ["start retry:a:2 due 1"]


@pytest.mark.parametrize("cell_mode", [None, "continue", "stop"])
@pytest.mark.parametrize("graph_mode", ["continue", "stop"])
def test_error_modes(graph_mode: Any, cell_mode: Any) -> None:
    graph = pipeline(
        task("a", options={"on_error": cell_mode}),
        task("b", x="a"),
        task("c"),
        task("d", x="c"),
        task("e", node={"after": ("b",)}),
        on_error=graph_mode,
        gives={"c": source("c"), "d": source("d"), "e": source("e")},
    )
    table = Table(graph)
    table(start(), placed("a"), placed("c"))
    failed = table(broke("a"))
    if (cell_mode or graph_mode) == "stop":
        assert failed == ["stop c#1"]
        assert table(ok("c", 1)) == ["finish failed"]
        assert table.outputs == {"c": 1}
    else:
        assert failed == []
        assert table(ok("c", 1), placed("d"), ok("d", 2))[2:] == ["finish failed"]
        assert table.outputs == {"c": 1, "d": 2}
    assert table.states["b"] == table.states["e"] == "cancelled"
    assert table.failures == {"a": "#1 broken"}
    assert table.machine.reason == ""


def test_a_retry_that_is_decided_while_the_run_ends_is_a_failure() -> None:
    table = Table(pipeline(task("a")))
    table(start(), placed("a"))
    assert table(cancel(), broke("a", retry_at=1.0)) == ["stop a#1", "finish cancelled"]
    assert table.failures == {"a": "#1 broken"}
