"""The place of a cell whose task waits for another run."""

from __future__ import annotations

import pytest

from machine_tables import Table, began, broke, fired, gone, ok, pipeline, placed, start, task
from taskiq_flow.machine import events as ev


def lent(cell: str = "a", run: str = "other", attempt: int = 1) -> ev.PlaceLent:
    return ev.PlaceLent(cell=cell, attempt=attempt, run=run)


def back(cell: str = "a", attempt: int = 1) -> ev.PlaceTakenBack:
    return ev.PlaceTakenBack(cell=cell, attempt=attempt)


def test_a_place_is_lent_and_taken_back_once() -> None:
    table = Table(pipeline(task("a")))
    table(start(), placed("a"), began("a"))
    assert table(lent()) == ["prefer other"]
    version = table.machine.version
    assert table(lent()) == []
    assert table.machine.version == version
    assert table.machine.cells.lent == {"a": "other"}
    assert table(back(), back()) == []
    assert table.machine.version == version + 1
    assert table.machine.cells.lent == {}
    assert table.occupying == ["a#1"] or table.occupying == ["a#1 on w1"]


def test_who_takes_over_prefers_the_same_runs() -> None:
    table = Table(pipeline(task("a"), task("b")))
    table(
        start(),
        placed("a"),
        placed("b"),
        began("a"),
        began("b"),
        lent("a", "one"),
        lent("b", "two"),
        back("b"),
    )
    assert [each for each in table.outstanding() if each.startswith("prefer")] == ["prefer one"]


@pytest.mark.parametrize(
    "end",
    [ok("a", 1), broke("a"), broke("a", retry_at=1.0), gone("a")],
    ids=lambda event: type(event).__name__,
)
def test_nothing_is_lent_any_more_when_the_attempt_is_over(end: ev.Event) -> None:
    table = Table(pipeline(task("a")))
    table(start(), placed("a"), began("a"), lent())
    table(end)
    if isinstance(end, ev.CellCancelled):
        table(broke("a"))
    assert table.machine.cells.lent == {}
    table(back())
    if isinstance(end, ev.AttemptFailed) and end.retry_at is not None:
        table(fired("retry:a:2"), placed("a", 2))
        assert table(lent(attempt=1)) == []
        assert table.machine.cells.lent == {}
