"""``taskiq flow run``, as a user calls it."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from taskiq_flow.machine.wire import decode_event
from taskiq_flow_cli.app import main


def test_a_run_that_succeeds(taskiq_flow: Any) -> None:
    done = taskiq_flow("run", "shop:pipeline", "text=ab cde f")
    assert done.returncode == 0
    # What tasks print is theirs; outputs follow.
    assert done.stdout.splitlines() == [
        "imported",
        "splitting",
        *("words = ['ab', 'cde', 'f']", "first = 'ab'", "total = 6", "sizes = [2, 3, 1]"),
    ]
    assert "\x1b" not in done.stderr
    lines = done.stderr.splitlines()
    assert lines[0].startswith("shop: run ")
    assert any(line.startswith("measure: succeeded, 3 of 3, ") for line in lines)
    assert lines[-1].startswith("shop succeeded after ")


def test_json_is_one_object_whatever_tasks_print(taskiq_flow: Any, shop: Path) -> None:
    done = taskiq_flow("run", "shop:make", "text=ab bad", "--json", "--events", "log.jsonl")
    assert done.returncode == 1
    data = json.loads(done.stdout)
    assert done.stdout.count("\n") == 1
    assert "imported" in done.stderr
    assert "splitting" in done.stderr
    assert data.keys() == {"run", "status", "reason", "outputs", "failures", "left_out", "seconds"}
    assert (data["status"], data["outputs"]["words"]) == ("failed", ["ab", "bad"])
    [failure] = data["failures"]
    assert failure.pop("traceback").rstrip().endswith("ValueError: bad word")
    assert failure == {
        "cell": "measure[1]/measure",
        "node": "measure",
        "attempt": 1,
        "kind": "exception",
        "type": "builtins:ValueError",
        "message": "bad word",
    }
    events = [decode_event(line) for line in (shop / "log.jsonl").read_text().splitlines()]
    names = [type(event).__name__ for event in events]
    assert names[0] == "RunStarted"
    assert names.count("AttemptFailed") == names.count("MapExpanded") == 1


def test_a_failed_run_says_why_and_keeps_what_there_was(taskiq_flow: Any) -> None:
    done = taskiq_flow("run", "shop:forgiving", "text=ab bad", "--quiet")
    assert done.returncode == 1
    assert "first = 'ab'" in done.stdout
    assert done.stderr.splitlines() == [
        "measure[1]/measure failed on attempt 1 (exception)",
        "  ValueError: bad word",
        "--traceback shows where these were raised",
        done.stderr.splitlines()[-1],
    ]
    assert done.stderr.splitlines()[-1].startswith("shop failed after ")


def test_events_on_stdout_and_only_wanted_outputs(taskiq_flow: Any) -> None:
    done = taskiq_flow("run", "shop:pipeline", "text=12", "--events", "-", "--outputs", "first", "--quiet")
    assert done.returncode == 0
    events = [decode_event(line) for line in done.stdout.splitlines()]
    cells = {getattr(event, "cell", "") for event in events}
    assert cells == {"", "split", "first"}
    assert "first = '12'" in done.stderr


PACKED = """
from types import SimpleNamespace

from taskiq_flow import Flow, Pipeline, hookimpl
from taskiq_flow.serializers.json import JsonSerializer
from taskiq import InMemoryBroker


class Other(JsonSerializer):
    name = "sorted-json"


broker = InMemoryBroker()
Flow(broker, plugins=[SimpleNamespace(flow_register_serializers=hookimpl(lambda: [Other]))])


@broker.task
def echo(text: str) -> str:
    return text


pipeline = Pipeline(broker, echo).with_serializer("sorted-json")
"""


def test_inputs_are_written_by_the_serializer_of_the_pipeline(taskiq_flow: Any, shop: Path) -> None:
    (shop / "packed.py").write_text(PACKED)
    done = taskiq_flow("run", "packed:pipeline", "text=ab", "--events", "-", "--quiet")
    assert done.returncode == 0, done.stderr
    started = decode_event(done.stdout.splitlines()[0])
    assert {name: value.serializer for name, value in started.inputs.items()} == {"text": "sorted-json"}


def test_synchronous_tasks_run_in_processes(taskiq_flow: Any) -> None:
    done = taskiq_flow("run", "shop:pipeline", "text=a b", "--processes", "1", "--json", "--outputs", "words")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["outputs"] == {"words": ["a", "b"]}


def test_the_time_limit_ends_the_run(taskiq_flow: Any) -> None:
    done = taskiq_flow("run", "shop:endless", "x=1", "--timeout", "0.2")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("the run did not finish within 0.2 s")


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize(
    ("pipeline", "number", "code"),
    [("endless", signal.SIGINT, 130), ("stuck", signal.SIGINT, 130), ("endless", signal.SIGTERM, 143)],
)
def test_a_signal_cancels_the_run(
    pipeline: str, number: int, code: int, shop: Path, command: list[str], environment: dict[str, str]
) -> None:
    process = subprocess.Popen(
        [*command, "run", f"shop:{pipeline}", "x=1", "--events", "-"],
        cwd=shop,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(json.loads(line)["event"])
        if seen[-1] == "CellStarted":
            process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert seen[:3] == ["RunStarted", "CellDispatched", "CellStarted"]
    assert "CancelRequested" in seen
    assert f"shop:{pipeline} cancelled after " in errors
    assert "Traceback" not in errors


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_task_that_cannot_be_cancelled_does_not_keep_the_command(
    number: int, code: int, shop: Path, command: list[str], environment: dict[str, str]
) -> None:
    process = subprocess.Popen(
        [*command, "run", "shop:stubborn", "x=1", "--events", "-"],
        cwd=shop,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["event"] == "CellStarted":
            process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == code


MISUSES = {
    "no colon": (["shop"], "expected MODULE:NAME, such as shop.orders:pipeline, found 'shop'"),
    "no module": (
        ["shopp:pipeline"],
        "there is no module 'shopp'; it is looked for in the working directory, ",
    ),
    "a path": (
        ["inside/shop.py:pipeline"],
        "expected a module's name as in an import, such as shop.orders, found 'inside/shop.py' "
        "(did you mean 'inside.shop'?)",
    ),
    "a path from here": (["./shop.py:x"], "expected a module's name as in an import, such as shop.orders, "),
    "a file": (
        ["shop.py:pipeline"],
        "there is no module 'shop.py'; it is looked for in the working directory, in --app-dir, and among what "
        "is installed (did you mean 'shop'?)",
    ),
    "a task": (
        ["shop:block"],
        "'shop:block' is a task; expected a DataflowPipeline, a Pipeline, such as one",
    ),
    "an async function": (["shop:later"], "'shop:later' is of type coroutine; expected a DataflowPipeline, "),
    "no attribute": (["shop:pipelin"], "module 'shop' has no 'pipelin' (did you mean 'pipeline'?)"),
    "not a pipeline": (
        ["shop:number"],
        "'shop:number' is of type int; expected a DataflowPipeline, a Pipeline, ",
    ),
    "no pipeline made": (
        ["shop:broken"],
        "calling 'shop:broken' without arguments gave no pipeline: RuntimeError: ",
    ),
    "a module that needs another": (
        ["faulty:x"],
        "cannot import 'faulty': ModuleNotFoundError: No module named 'no",
    ),
    "a module that raises": (["raising:x"], "cannot import 'raising': ZeroDivisionError: division by zero ("),
    "a module that wants to leave": (["leaving:x"], "cannot import 'leaving': Left: for good ("),
    "missing input": (
        ["shop:pipeline"],
        "input 'text' of pipeline 'shop' is missing; give every required input a v",
    ),
    "unknown input": (
        ["shop:pipeline", "text=1", "tex=2"],
        "pipeline 'shop' has no input 'tex'; it takes 'text' (did",
    ),
    "an input of another type": (
        ["shop:typed", 'counts=[1, "x"]'],
        "input 'counts': the value does not fit list[int]: at [1]: input should be a valid integer, ",
    ),
    "no such serializer": (
        ["shop:foreign", "counts=[1]"],
        "nodes 'count': no serializer 'of-nobody'; there are ",
    ),
    "no broker": (["shop:unreachable"], "the broker cannot be started: ConnectionRefusedError: nobody there"),
    "no input at all": (["shop:pipeline", "text"], "expected name=value, found 'text'"),
    "unknown output": (
        ["shop:pipeline", "--outputs", "totl"],
        "output 'totl' is wanted, which no node produces (did",
    ),
    "no time": (
        ["shop:endless", "x=1", "--timeout", "0"],
        "--timeout is 0; give a number of seconds above 0",
    ),
    "stdout twice": (
        ["shop:endless", "x=1", "--json", "--events", "-"],
        "--json and --events - both want the stand",
    ),
    "no file": (
        ["shop:endless", "x=1", "--events", "none/log"],
        "cannot write events to 'none/log': No such file or",
    ),
}


@pytest.mark.parametrize(("arguments", "text"), MISUSES.values(), ids=MISUSES)
def test_what_cannot_be_started_is_one_line_and_exit_code_2(
    arguments: list[str],
    text: str,
    shop: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(shop)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in ("shop", "faulty", "raising", "leaving"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert main(["run", *arguments]) == 2
    errors = capfd.readouterr().err
    assert errors.startswith(text)
    assert errors.count("\n") == 1


def test_all_inputs_that_are_wrong_are_told_at_once(taskiq_flow: Any) -> None:
    done = taskiq_flow("run", "shop:pipeline", "text:=3", "tex=2")
    assert done.returncode == 2
    first, second = done.stderr.splitlines()
    assert first.startswith("pipeline 'shop' has no input 'tex'; ")
    assert second.startswith("input 'text': the value does not fit str: ")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_events_that_cannot_be_written_do_not_end_the_run(taskiq_flow: Any) -> None:
    done = taskiq_flow("run", "shop:pipeline", "text=ab", "--events", "/dev/full", "--quiet")
    assert done.returncode == 0
    assert "total = 2" in done.stdout
    assert done.stderr == "events are no longer written: No space left on device; the run goes on\n"


def test_a_broker_that_does_not_shut_down_changes_nothing_in_how_the_run_ended(taskiq_flow: Any) -> None:
    done = taskiq_flow("run", "shop:clinging", "--quiet")
    assert done.returncode == 0
    assert done.stderr == "the broker could not be shut down: OSError: still here\n"


def test_what_an_encoding_lacks_is_spelt_out(taskiq_flow: Any) -> None:
    done = taskiq_flow("run", "shop:pipeline", "text=é☃", "--quiet", PYTHONIOENCODING="ascii", PYTHONUTF8="1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "first = '\\xe9\\u2603'" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
def test_a_run_needs_no_open_streams(shop: Path, command: list[str], environment: dict[str, str]) -> None:
    words = [*command, "run", "shop:pipeline", "text=ab", "--events", "log"]
    script = 'exec "$@" <&- >&- 2>&-'
    done = subprocess.run(["sh", "-c", script, "sh", *words], cwd=shop, env=environment, check=False)
    assert done.returncode == 0
    assert "CellSucceeded" in (shop / "log").read_text()


def test_what_a_module_prints_is_no_part_of_its_drawing(taskiq_flow: Any) -> None:
    done = taskiq_flow("graph", "shop:pipeline", "--format", "json")
    assert (done.returncode, done.stderr) == (0, "imported\n")
    assert json.loads(done.stdout)["format"] == "taskiq-flow/graph"


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX terminal")
def test_the_cursor_is_given_back_when_a_task_does_not_let_go(
    shop: Path, command: list[str], environment: dict[str, str]
) -> None:
    import pty

    controller, terminal = pty.openpty()
    environment = {**environment, "TERM": "xterm"}
    process = subprocess.Popen(
        [*command, "run", "shop:deaf", "--events", "log"],
        cwd=shop,
        env=environment,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    written = b""
    while True:
        # Whoever gets no answer asks again: a signal on the threshold of a call that blocks is heard after that call.
        if not select.select([controller], [], [], 0.5)[0]:
            if b"deaf ears" in written:
                process.send_signal(signal.SIGINT)
            continue
        try:
            found = os.read(controller, 65536)
        except OSError:
            break
        written += found
    os.close(controller)
    assert process.wait(60) in (130, 143)
    assert written.count(b"\x1b[?25l") == written.count(b"\x1b[?25h") == 1


def test_a_traceback_is_there_for_who_asks(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(shop)
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert main(["run", "raising:x", "--traceback"]) == 2
    assert "1 / 0" in capfd.readouterr().err


def test_modules_are_found_in_the_folder_that_is_given(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (shop / "inside").mkdir()
    (shop / "shop.py").rename(shop / "inside" / "boutique.py")
    monkeypatch.chdir(shop)
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert main(["graph", "boutique:pipeline", "--app-dir", "inside"]) == 0
    assert "measure: map over" in capfd.readouterr().out


def test_defaults_and_produced_data_can_be_given(taskiq_flow: Any, shop: Path) -> None:
    (shop / "free.py").write_text(
        "from shop import broker, pipeline_task, DataflowPipeline\n"
        "@broker.task\n"
        "def words(text: str, limit: int = 2) -> list[str]:\n    return text.split()[:limit]\n"
        "@broker.task\n"
        "def line(words: list[str], mark: str = '-', *, upper: bool = False) -> str:\n"
        "    found = mark.join(words)\n    return found.upper() if upper else found\n"
        "pipeline = DataflowPipeline.from_tasks(broker, [words, line])\n"
    )
    done = taskiq_flow(
        "run", "free:pipeline", "text=a b c", "limit=3", "mark=1", "--outputs", "line", "--quiet"
    )
    assert done.stdout.splitlines()[-1:] == ["line = 'a1b1c'"]
    done = taskiq_flow("run", "free:pipeline", 'words=["x", "y"]', "text=unneeded", "upper=true", "--quiet")
    assert done.stdout.splitlines()[1:] == ["words = ['x', 'y']", "line = 'X-Y'"]
    done = taskiq_flow("run", "free:pipeline", "text=a", "limit=many", "uper=true")
    assert done.returncode == 2
    assert "has no input 'uper'; it takes 'text', 'limit' (did you mean 'upper'?)" in done.stderr
    assert "input 'limit': " in done.stderr
