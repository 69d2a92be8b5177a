"""``taskiq flow explain`` as people read it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from taskiq_flow.machine.transitions import RunStatus
from taskiq_flow.scheduler import RunningCell
from taskiq_flow.waiting import RunDescription, WaitingCell
from taskiq_flow_cli.app import main
from taskiq_flow_resources.explanation import as_data, lines_of

HELD = tuple(
    RunningCell(run=run, path=f"load[{n}]", task="t", worker=f"w{n}") for n, run in enumerate("aaba")
)
WAITING = (
    WaitingCell(path="load[7]", state="ready", since=90.0, reason="limit 'db' is reached", holders=HELD),
    *(
        WaitingCell(path=f"n{number}", state="pending", since=0.0, reason="waits for 'load' (ready)")
        for number in range(25)
    ),
)
DESCRIPTION = RunDescription(
    id="a", status=RunStatus.RUNNING, counts={"pending": 25, "ready": 1}, waiting=WAITING
)


def test_what_could_run_comes_first_and_long_lists_are_cut() -> None:
    lines = list(lines_of(DESCRIPTION, 100.0))
    assert lines[:4] == [
        "run a running: 25 pending, 1 ready",
        "load[7]  ready for 10.0 s: limit 'db' is reached",
        "    in use by load[0] on w0, load[1] on w1, load[2] on w2 of run b and 1 more",
        "n0  pending: waits for 'load' (ready)",
    ]
    assert lines[-1] == "and 5 more pending; --all shows them"
    assert len(lines) == 3 + 20 + 1
    assert len(list(lines_of(DESCRIPTION, 100.0, everything=True))) == 3 + 25


def test_only_times_that_are_known_are_said() -> None:
    waiting = (WaitingCell(path="each", state="running", since=1.0, reason="max_parallel is 2"),)
    (_, line) = lines_of(RunDescription(id="a", status=RunStatus.RUNNING, waiting=waiting), 9.0)
    assert line == "each  running: max_parallel is 2"


def test_what_tasks_raise_does_nothing_to_a_terminal() -> None:
    waiting = (WaitingCell(path="a", state="waiting", since=1.0, reason="after ValueError: \x1b[2J\nb"),)
    (_, line) = lines_of(RunDescription(id="a", status=RunStatus.RUNNING, waiting=waiting), 9.0)
    assert line == r"a  waiting for 8.00 s: after ValueError: \x1b[2J\nb"


def test_a_run_that_is_over_has_nothing_that_waits() -> None:
    over = RunDescription(id="a", status=RunStatus.CANCELLED, reason="enough", counts={"cancelled": 2})
    assert list(lines_of(over, 1.0)) == ["run a cancelled (enough): 2 cancelled", "nothing waits"]


def test_everything_can_be_written_as_json() -> None:
    data = json.loads(json.dumps(as_data(DESCRIPTION)))
    assert (data["status"], data["counts"]["ready"], len(data["waiting"])) == ("running", 1, 26)
    assert data["waiting"][0]["holders"][2]["run"] == "b"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["acme:flow", "r1"],
            "no run 'r1' in this store; it may have been deleted by age; a store in memory has only",
        ),
        (["acme:flaw", "r1"], "module 'acme' has no 'flaw'"),
        (["acme:number", "r1"], "'acme:number' is of type int; expected a Flow, a broker"),
    ],
)
def test_misuse_is_said(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    said: str,
) -> None:
    (tmp_path / "acme.py").write_text(
        "from taskiq import InMemoryBroker\nfrom taskiq_flow import Flow\nflow = Flow(InMemoryBroker())\nnumber = 3\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    try:
        assert main(["explain", *words]) == 2
    finally:
        sys.modules.pop("acme", None)
    assert said in capsys.readouterr().err


def test_a_run_in_the_store_is_described(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "acme_run.py").write_text(
        "from taskiq import InMemoryBroker\n"
        "from taskiq_flow import Flow, MemoryStore\n"
        "from taskiq_flow.graph import TaskNode, build_graph\n"
        "from taskiq_flow.store import RunRecord\n"
        "flow = Flow(InMemoryBroker(), store=MemoryStore())\n"
        "import asyncio\n"
        "print('noise')\n"
        "graph = build_graph([TaskNode(name='a', task='t')])\n"
        "asyncio.run(flow.store.runs.create(RunRecord(id='r1', pool='default', graph=graph, created_at=1.0)))\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    try:
        assert main(["explain", "acme_run:flow", "r1"]) == 0
        del sys.modules["acme_run"]
        assert main(["explain", "acme_run:flow", "r1", "--json"]) == 0
    finally:
        sys.modules.pop("acme_run", None)
    # What the module prints is in the way of people, and never of programs.
    noise, first, second, data = capsys.readouterr().out.splitlines()
    assert noise == "noise"
    assert first == "run r1 running"
    assert second.startswith("the run  pending: no driver of pool 'default' has begun the run")
    assert json.loads(data)["id"] == "r1"
