"""``taskiq flow dead``, as a user calls it, on what others have left in a store that lasts."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from taskiq_flow_cli.app import main

# A store in memory that finds at its beginning what the one before it has left at its end.
SAVED = """
import json
from pathlib import Path

from taskiq_flow.machine.wire import decode_event, encode_event
from taskiq_flow.stores.wire import decode_record, encode_record
from taskiq_flow.stores.memory import MemoryStore


class SavedStore(MemoryStore):
    schemes = ("saved",)
    file = Path("store.json")

    async def startup(self):
        if self.file.exists() and not self._state.runs:
            data = json.loads(self.file.read_text())
            for text, events in data["runs"]:
                record = decode_record(text)
                await self.runs.create(record)
                self._state.runs[record.id].history.extend(map(decode_event, events))
            for run, key, text in data["blobs"]:
                await self.blobs.put(run, key, text.encode("latin-1"))

    async def shutdown(self):
        runs = [
            (encode_record(record), list(map(encode_event, await self.log.read(record.id))))
            for record in reversed(await self.runs.list(limit=1000))
        ]
        blobs = [
            (run, key, data.decode("latin-1")) for run, some in self._state.blobs.items() for key, data in some.items()
        ]
        self.file.write_text(json.dumps({"runs": runs, "blobs": blobs}))
"""

SHOP = """
import asyncio
import sys
from pathlib import Path

from saved import SavedStore
from taskiq import InMemoryBroker
from taskiq_flow import DataflowPipeline, Flow, pipeline_task

broker = InMemoryBroker()
flow = Flow(broker, store=SavedStore())
number = 3
print("imported")


@broker.task(task_name="shop:load")
@pipeline_task(output="orders")
async def load(count: int) -> list[int]:
    return list(range(count))


@broker.task(task_name="shop:charge")
async def charge(order: int) -> int:
    print("charging", order)
    if Path(f"broken{order}").exists():
        raise ValueError(f"card of order {order}\\nwas \\x1b[31mrefused")
    return order * 10


pipeline = DataflowPipeline.from_tasks(broker, [load], name="shop").on_error("continue")
pipeline = pipeline.map(charge, over="orders", output="charged")


async def sell(count):
    await broker.startup()
    handle = await flow.submit(pipeline.graph, {"count": count}, labels={"team": "sales"})
    await handle.wait_result()
    await broker.shutdown()
    return handle.id


if __name__ == "__main__":
    print(asyncio.run(sell(int(sys.argv[1]))))
"""

IN_MEMORY = """
from taskiq import InMemoryBroker
from taskiq_flow import Flow

broker = InMemoryBroker()
flow = Flow(broker)
"""

Call = Callable[..., "Done"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {"saved": SAVED, "shop": SHOP, "volatile": IN_MEMORY}.items():
        (tmp_path / f"{name}.py").write_text(text)
    return tmp_path


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Be in the folder, and forget the modules of it, as another process would."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    monkeypatch.setenv("COLUMNS", "100")

    def forget() -> None:
        for name in ("shop", "saved", "volatile"):
            monkeypatch.delitem(sys.modules, name, raising=False)

    return forget


@pytest.fixture
def sell(folder: Path, here: Callable[[], None]) -> Callable[..., str]:
    """Let a run end in which some orders are broken; give its id."""

    def call(count: int, *broken: int) -> str:
        here()
        for order in broken:
            (folder / f"broken{order}").touch()
        run: str = asyncio.run(importlib.import_module("shop").sell(count))
        for order in broken:
            (folder / f"broken{order}").unlink()
        return run

    return call


@frozen
class Done:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def dead(here: Callable[[], None], capsys: pytest.CaptureFixture[str]) -> Call:
    """Call ``taskiq flow dead``, and give what it wrote."""

    def call(*arguments: str) -> Done:
        here()
        capsys.readouterr()
        code = main(["dead", *arguments])
        written = capsys.readouterr()
        return Done(code, written.out, written.err)

    return call


def test_what_one_process_gave_up_another_lists(folder: Path) -> None:
    (folder / "broken1").touch()
    kept = {key: value for key, value in os.environ.items() if not key.startswith("TASKIQ_FLOW_")}
    options: dict[str, Any] = {
        "cwd": folder,
        "env": kept,
        "capture_output": True,
        "text": True,
        "timeout": 100,
    }
    done = subprocess.run([sys.executable, "shop.py", "2"], check=True, **options)
    run = done.stdout.splitlines()[-1]
    command = [sys.executable, "-m", "taskiq", "flow", "dead", "list", "shop:flow", "--json"]
    done = subprocess.run(command, check=True, **options)
    assert done.stderr.splitlines() == ["imported"]
    assert [letter["run"] for letter in json.loads(done.stdout)["letters"]] == [run]


def test_letters_are_listed_replayed_and_discarded(sell: Any, dead: Call) -> None:
    first, second = sell(3, 0, 2), sell(2, 1)
    done = dead("list", "shop:flow", "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == ["imported"]
    [line] = done.stdout.splitlines()
    letters = json.loads(line)["letters"]
    assert (letters[0]["run"], letters[0]["cell"]) == (second, "charge[1]/charge")
    assert {(letter["run"], letter["cell"]) for letter in letters[1:]} == {
        (first, "charge[0]/charge"),
        (first, "charge[2]/charge"),
    }
    assert letters[0].pop("traceback").startswith("Traceback (most recent call last)")
    assert letters[0].pop("at") > 1_700_000_000
    assert letters[0] == {
        "run": second,
        "pipeline": "shop",
        "cell": "charge[1]/charge",
        "task": "shop:charge",
        "attempt": 1,
        "kind": "exception",
        "type": "builtins:ValueError",
        "message": "card of order 1\nwas \x1b[31mrefused",
        "reason": "",
        "labels": {"team": "sales"},
        "left_out": False,
        "resumed_as": "",
    }

    done = dead("discard", "shop:pipeline", first, "charge[0]/charge")
    assert (done.returncode, done.stdout) == (0, "imported\n1 letter discarded\n")
    done = dead("replay", "shop:broker", first)
    assert done.returncode == 0, done.stderr
    # The discarded cell is a part of its run, and what succeeded is not executed again.
    assert sorted(done.stdout.splitlines()) == sorted(
        ["imported", "charging 0", "charging 2", f"{first} is replayed as {first}~2: succeeded"]
    )
    done = dead("list", "shop:flow", "--json")
    assert [letter["run"] for letter in json.loads(done.stdout)["letters"]] == [second]
    done = dead("list", "shop:flow", "--json", "--replayed", "--run", first)
    assert [letter["resumed_as"] for letter in json.loads(done.stdout)["letters"]] == [f"{first}~2"]

    done = dead("replay", "shop:flow", first)
    assert done.returncode == 1
    assert f"run '{first}' was resumed already, as run '{first}~2'" in done.stderr
    done = dead("discard", "shop:flow", "--all", "--json")
    assert json.loads(done.stdout) == {"discarded": [{"run": second, "cell": "charge[1]/charge"}]}
    done = dead("list", "shop:flow")
    assert done.stdout == "imported\nno dead letters\n"


def test_people_get_a_table_for_each_run(sell: Any, dead: Call) -> None:
    first, second = sell(3, 0, 2), sell(2, 1)
    done = dead("list", "shop:flow")
    assert done.returncode == 0, done.stderr
    lines = [line.rstrip() for line in done.stdout.splitlines()]
    heads = [line for line in lines if line.startswith("run ")]
    assert [head.split()[:3] for head in heads] == [["run", second, "shop"], ["run", first, "shop"]]
    assert sum("charge[" in line for line in lines) == 3
    # What a terminal would obey is shown, and not obeyed; a long text takes several lines of its column.
    assert any(r"ValueError: card of order 1\nwas" in line for line in lines)
    assert any(r"\x1b[31mrefused" in line for line in lines)
    assert "\x1b" not in done.stdout
    done = dead("list", "shop:flow", "--limit", "1", "--traceback")
    assert (
        sum("charge[" in line for line in done.stdout.splitlines()) == 2
    )  # the row, and what the traceback is of
    assert "Traceback (most recent call last)" in done.stdout
    assert "these are the newest 1; --limit N shows more" in done.stderr


def test_all_are_replayed_and_what_fails_again_is_said(folder: Path, sell: Any, dead: Call) -> None:
    first, second = sell(3, 0, 2), sell(2, 1)
    (folder / "broken2").touch()
    done = dead("replay", "shop:flow", "--all", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout) == {
        "runs": [
            {"run": first, "resumed_as": f"{first}~2", "status": "failed", "error": ""},
            {"run": second, "resumed_as": f"{second}~2", "status": "succeeded", "error": ""},
        ]
    }
    letters = json.loads(dead("list", "shop:flow", "--json").stdout)["letters"]
    assert [(letter["run"], letter["cell"]) for letter in letters] == [(f"{first}~2", "charge[2]/charge")]
    (folder / "broken2").unlink()
    done = dead("replay", "shop:flow", f"{first}~2", "nothing")
    assert done.returncode == 1
    assert f"{first}~2 is replayed as {first}~3: succeeded" in done.stdout
    assert done.stderr == "no run 'nothing' in this store; it may have been deleted by age\n"
    done = dead("replay", "shop:flow", "--all")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "no dead letters")


def test_a_letter_that_is_not_there(sell: Any, dead: Call) -> None:
    run = sell(3, 0, 2)
    done = dead("discard", "shop:flow", run, "charge[0]/charg")
    assert (done.returncode, done.stdout) == (1, "imported\n")
    assert done.stderr == (
        f"run '{run}' has no dead letter of cell 'charge[0]/charg' "
        "(did you mean 'charge[0]/charge' or 'charge[2]/charge'?)\n"
    )
    assert dead("discard", "shop:flow", run).stdout == "imported\n2 letters discarded\n"
    assert dead("discard", "shop:flow", run).stderr == f"run '{run}' has no dead letters\n"
    done = dead("list", "shop:flow", "--run", "nothing")
    assert (done.returncode, done.stderr) == (
        1,
        "no run 'nothing' in this store; it may have been deleted by age\n",
    )


MISUSES = {
    "no flow": (["list", "shop:number"], "'shop:number' is of type int; expected a Flow, a broker, a "),
    "no module": (["replay", "shopp:flow", "--all"], "there is no module 'shopp'; it is looked for in "),
    "nothing to replay": (
        ["replay", "shop:flow"],
        "name a run to replay, or say --all; `taskiq flow dead list` shows",
    ),
    "nothing to discard": (
        ["discard", "shop:flow"],
        "name a run to discard, or say --all; `taskiq flow dead list` sh",
    ),
    "both": (
        ["replay", "shop:flow", "a", "--all"],
        "run 'a' and --all contradict each other; give one of them",
    ),
    "a run and a task": (
        ["discard", "shop:flow", "a", "--task", "t"],
        "--task chooses among all letters; give it with --all, or discard run 'a' without it",
    ),
}


@pytest.mark.parametrize(("arguments", "text"), MISUSES.values(), ids=MISUSES)
def test_misuse_is_one_line_and_exit_code_2(arguments: list[str], text: str, dead: Call) -> None:
    done = dead(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(text)
    assert done.stderr.count("\n") == 1


def test_a_store_that_no_other_process_sees_is_said(dead: Call) -> None:
    done = dead("list", "volatile:broker")
    assert (done.returncode, done.stdout) == (0, "no dead letters\n")
    assert done.stderr == (
        "the store of volatile:broker is memory://, which only its own process has: "
        "this command sees no more than what the module did when it was imported\n"
    )
