"""What people see: pictures on a terminal, lines where there is none, and the report."""

from __future__ import annotations

import io
import json

import pytest
from attrs import evolve
from rich.console import Console

from taskiq_flow import CellFailed
from taskiq_flow.graph import TaskNode, build_graph
from taskiq_flow.payloads import Failure, FailureKind
from taskiq_flow_cli.follow import Ending
from taskiq_flow_cli.plain import PlainView
from taskiq_flow_cli.progress import AttemptFailure, Progress
from taskiq_flow_cli.report import as_json, data_of, write_failures, write_outputs, write_verdict
from taskiq_flow_cli.rows import Row
from taskiq_flow_cli.view import LiveView, picture
from taskiq_flow_cli.words import failure_line, printable, seconds

BOOM = Failure(
    kind=FailureKind.TIMEOUT,
    type="builtins:ValueError",
    message="bad\x1b[2J\nthing",
    traceback="Trace\n  line",
)


def progress() -> Progress:
    found = Progress(build_graph([TaskNode(name="load", task="t")]))
    found.rows[:] = [
        Row(name="load", done=1, started=1.0, ended=3.5),
        Row(name="parse", kind="map", total=40, done=10, running=2, failed=1, retries=3, started=1.0),
        Row(name="step", depth=1, total=40, done=10, running=2, started=1.0),
        Row(name="report", running=1, started=1.0, fractions={"report": 0.5}),
        Row(name="later"),
    ]
    return found


def console(width: int = 100, height: int = 25, encoding: str = "utf-8") -> tuple[Console, io.BytesIO]:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, write_through=True)
    return Console(file=stream, width=width, height=height, force_terminal=True, color_system=None), raw


def drawn(width: int = 100, height: int = 25, encoding: str = "utf-8") -> list[str]:
    screen, raw = console(width, height, encoding)
    attempt_failure = AttemptFailure(cell="parse[3]/step", attempt=2, failure=BOOM, delay=1.5)
    screen.print(picture(progress(), screen, "shop", 12.34, (attempt_failure,)))
    return [line.rstrip() for line in raw.getvalue().decode(encoding).splitlines()]


def test_a_row_says_what_is_known_of_its_node() -> None:
    lines = drawn()
    assert lines[0].startswith("shop  running  ")
    assert lines[0].endswith("12.3 s")
    assert [line.split()[0] for line in lines[1:6]] == ["✓", "▶", "▶", "▶", "·"]
    assert lines[1].split() == ["✓", "load", "succeeded", "2.50", "s"]
    assert "10/40 2 running, 1 failed, 3 retried" in lines[2]
    assert lines[3].startswith("▶   step")
    assert "50% running" in lines[4]
    assert lines[5].endswith("pending")
    assert (
        lines[6] == "  parse[3]/step: attempt 2 (timeout): ValueError: bad\\x1b[2J\\nthing; again in 1.50 s"
    )


def test_the_last_failure_says_why_nobody_tries_again() -> None:
    last = AttemptFailure(
        cell="step", attempt=3, failure=BOOM, reason="gave up:\n2 of 2 retries used", forgiven=True
    )
    line = failure_line(last)
    assert line.startswith("step: failed, attempt 3 (timeout): ValueError: bad")
    assert line.endswith("thing; gave up:\\n2 of 2 retries used; left out")
    assert len(failure_line(evolve(last, reason="x" * 10_000))) < 1_000


@pytest.mark.parametrize("width", [30, 50, 71, 72, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    lines = drawn(width)
    assert max(map(len, lines)) <= width
    assert len(lines) == 7


def test_signs_counts_and_times_stay_where_names_are_long() -> None:
    long = progress()
    long.rows[1] = evolve(long.rows[1], name="normalise_each_of_the_measurements_of_the_year")
    screen, raw = console(60)
    failure = AttemptFailure(cell=f"{'a' * 80}[3]/step", attempt=1, failure=BOOM)
    screen.print(picture(long, screen, "shop", 12.34, (failure,)))
    lines = raw.getvalue().decode().splitlines()
    assert [line.split()[0] for line in lines[1:6]] == ["✓", "▶", "▶", "▶", "·"]
    assert "… 10/40 " in lines[2]
    assert lines[1].endswith(" 2.50 s")
    assert "[3]/step: failed, attempt 1 (ti" in lines[-1]
    assert max(map(len, lines)) <= 60


def test_a_terminal_without_unicode_gets_plain_signs() -> None:
    assert [line.split()[0] for line in drawn(encoding="ascii")[1:6]] == ["+", ">", ">", ">", "."]


def test_rows_that_do_not_fit_are_counted() -> None:
    lines = drawn(height=10)
    assert len(lines) <= 9
    assert "  and 1 succeeded, 1 pending" in lines


def test_a_node_of_which_nothing_runs_says_why() -> None:
    found = progress()
    found.rows[1].why, found.rows[4].why = "limit 'db' is reached", "it needs 4 of 'cpu'"
    screen, raw = console()
    screen.print(picture(found, screen, "shop", 1.0))
    lines = [line.rstrip() for line in raw.getvalue().decode().splitlines()]
    assert lines[5].endswith("pending, it needs 4 of 'cpu'")
    assert not any("limit" in line for line in lines), "something of it runs"
    stream = io.StringIO()
    PlainView(found, stream, "shop").tick(5.0)
    assert stream.getvalue().splitlines()[-1] == "  later waits: it needs 4 of 'cpu'"


def test_the_live_view_gives_the_cursor_back() -> None:
    screen, raw = console()
    view = LiveView(progress(), screen, "shop")
    view.start("id")
    view.note(AttemptFailure(cell="parse[3]/step", attempt=2, failure=BOOM))
    view.tick(1.0)
    assert b"parse[3]/step" in raw.getvalue()
    view.stop(2.0)
    assert raw.getvalue().count(b"\x1b[?25l") == raw.getvalue().count(b"\x1b[?25h") == 1


def test_plain_lines_are_few_and_have_no_escapes() -> None:
    stream = io.StringIO()
    found = progress()
    view = PlainView(found, stream, "shop")
    view.start("id")
    for tenth in range(101):
        view.tick(tenth / 10)
    for _ in range(50):
        view.note(AttemptFailure(cell="parse[3]/step", attempt=1, failure=BOOM))
    found.rows[4].done, found.rows[4].started, found.rows[4].ended = 1, 1.0, 2.0
    view.stop(10.1)
    lines = stream.getvalue().splitlines()
    assert lines[:3] == [
        "shop: run id, 1 node",
        "load: succeeded, 2.50 s",
        "5.00 s: 0 of 1 nodes over; parse 10/40, report",
    ]
    assert lines[3].startswith("10.0 s: ")
    assert lines[-2:] == [
        "further failures are counted and no longer written down here",
        "later: succeeded, 1.00 s",
    ]
    assert len(lines) == 4 + 20 + 2
    assert "\x1b" not in stream.getvalue()


def ending(**changes: object) -> Ending:
    values: dict[str, object] = {
        "run": "id",
        "status": "failed",
        "reason": "",
        "outputs": {"n": 1, "many": list(range(2000)), "deep": [{"key": "word" * 20} for _ in range(60)]},
        "failures": (CellFailed("parse[3]/step", 2, BOOM, "id"),),
        "left_out": {"parse": {n: CellFailed(f"parse[{n}]/step", 1, BOOM, "id") for n in (0, 2)}},
        "seconds": 75.0,
    }
    return Ending(**{**values, **changes})  # type: ignore[arg-type]


def test_the_report_is_short_whatever_the_outputs_are() -> None:
    screen, raw = console(width=80)
    write_outputs(screen, ending())
    lines = raw.getvalue().decode().splitlines()
    assert lines[0] == "n = 1"
    assert lines[1] == "many = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ... +1990]"
    assert lines[2] == "deep ="
    assert lines[-1].endswith("more lines; --json writes everything")
    assert len(lines) == 2 + 1 + 15 + 1


@pytest.mark.parametrize("traceback", [False, True])
def test_failures_say_where_and_why(traceback: bool) -> None:
    screen, raw = console(width=80)
    write_failures(screen, ending(), traceback=traceback)
    assert raw.getvalue().decode().splitlines() == [
        "parse[3]/step failed on attempt 2 (timeout)",
        "  ValueError: bad\\x1b[2J",
        "  thing",
        *(["    Trace", "      line"] if traceback else []),
        "parse[0] failed and was left out: ValueError: bad\\x1b[2J …",
        "parse[2] failed and was left out: ValueError: bad\\x1b[2J …",
        *([] if traceback else ["--traceback shows where these were raised"]),
    ]


def test_the_verdict_is_one_line() -> None:
    screen, raw = console(width=20)
    write_verdict(screen, "shop", ending(reason="too late"))
    assert raw.getvalue().decode() == "shop failed after 75.0 s: too late; 1 failed; 2 failed and left out\n"


def test_json_holds_whatever_a_serializer_gives() -> None:
    strange = {"nan": float("nan"), "bytes": b"\xff", "set": {1}, "obj": object, "half": "\udc80", (1, 2): 3}
    data = json.loads(as_json(data_of(ending(outputs=strange))))
    assert data["outputs"]["nan"] is None
    assert data["outputs"]["set"] == [1]
    assert data["outputs"]["half"] == "\udc80"
    assert data["failures"][0]["kind"] == "timeout"
    assert (data["run"], data["status"]) == ("id", "failed")
    assert [(each["map"], each["position"], each["cell"]) for each in data["left_out"]] == [
        ("parse", 0, "parse[0]/step"),
        ("parse", 2, "parse[2]/step"),
    ]


def test_json_holds_all_of_an_array() -> None:
    class Lists:
        def tolist(self) -> list[int]:
            return [1] * 5000

        def __repr__(self) -> str:
            return "[1, ...]"

    data = json.loads(as_json(data_of(ending(outputs={"array": Lists(), "inside": [Lists()]}))))
    assert data["outputs"] == {"array": [1] * 5000, "inside": [[1] * 5000]}


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.004, "0.00 s"), (12.34, "12.3 s"), (245, "4 min 05 s"), (7380, "2 h 03 min"), (3599.7, "1 h 00 min")],
)
def test_times_read_well(value: float, text: str) -> None:
    assert seconds(value) == text


def test_a_message_cannot_command_the_terminal() -> None:
    assert printable("a\x1b[31mb\nü") == "a\\x1b[31mb\\nü"
    long = Failure(kind=FailureKind.EXCEPTION, message="x" * 5000)
    assert len(failure_line(AttemptFailure(cell="c", attempt=1, failure=long))) < 250
