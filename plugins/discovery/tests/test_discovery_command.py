"""``taskiq flow tasks``: the catalogue for people and for programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from textwrap import dedent
from typing import Any, NamedTuple

import pytest
import typer

from installed_packages import TEXT, Shelf
from taskiq_flow.errors import UsageError
from taskiq_flow_discovery.commands import TasksCommand

pytestmark = pytest.mark.usefixtures("alone")

Ask = Callable[..., "Answer"]


class Answer(NamedTuple):
    """What a command wrote."""

    out: str
    err: str

    @property
    def data(self) -> dict[str, Any]:
        """What ``--json`` wrote."""
        return dict(json.loads(self.out))


@pytest.fixture
def shop(shelf: Shelf) -> Shelf:
    """A shelf with a good and a broken distribution."""
    shelf.offer("acme-text", "1.2", {"text": "acme_text"}, acme_text=TEXT)
    shelf.offer(
        "acme-broken", "0.1", {"broken": "acme_broken"}, acme_broken="print('in')\nimport nowhere_at_all"
    )
    return shelf


@pytest.fixture
def ask(shop: Shelf, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Call the command within this process, and give what it wrote."""
    monkeypatch.setenv("COLUMNS", "150")
    monkeypatch.chdir(shop.folder)
    # Looking for a flow puts the working directory there.
    monkeypatch.setattr(sys, "path", [*sys.path])
    app = typer.Typer(pretty_exceptions_enable=False)
    app.callback()(lambda: None)
    TasksCommand().register(app)

    def call(*arguments: str, code: int = 0) -> Answer:
        with pytest.raises((SystemExit, UsageError)) as caught:
            app(["tasks", *arguments])
        misused = isinstance(caught.value, UsageError)
        written = capsys.readouterr()
        assert (2 if misused else caught.value.code) == code, written.err
        return Answer(written.out, str(caught.value) if misused else written.err)

    return call


def command_line(shop: Shelf, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "taskiq", "flow", "tasks", *arguments],
        cwd=shop.folder,
        env={**os.environ, "PYTHONPATH": str(shop.folder), "COLUMNS": "150", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_everything_is_shown_and_problems_at_the_end(ask: Ask) -> None:
    done = ask(code=1)
    assert [line.rstrip() for line in done.out.splitlines()] == [
        "acme-text 1.2",
        "task                         needs                   produces",
        "acme_text:load               book: str               pages",
        "  Read the pages of a book.  limit: int (optional)",
        "acme_text:report             pages: list[str]        report",
        "  Write a report.            counts: dict[str, int]",
        "  cpu 2                      title: str (optional)",
        "count_words                  pages: list[str]        counts",
        "  acme_text",
    ]
    # What modules print when they are imported is kept out of the answer.
    assert done.err == (
        "in\ntasks 'broken' of acme-broken 0.1 (acme_broken) cannot be used: No module named 'nowhere_at_all'\n"
    )


def test_one_object_for_programs_and_nothing_else_on_stdout(ask: Ask) -> None:
    data = ask("--json", code=1).data
    assert [task["name"] for task in data["tasks"]] == ["acme_text:load", "acme_text:report", "count_words"]
    assert data["tasks"][1] == {
        "name": "acme_text:report",
        "description": "Write a report.",
        "outputs": [{"name": "report", "type": "str"}],
        "inputs": [
            {"name": "pages", "type": "list[str]", "required": True},
            {"name": "counts", "type": "dict[str, int]", "required": True},
            {"name": "title", "type": "str", "required": False},
        ],
        "resources": {"cpu": 2},
        "source": "text",
        "distribution": "acme-text",
        "version": "1.2",
        "module": "acme_text",
        "function": "report",
    }
    assert data["problems"] == [
        {
            "source": "broken",
            "distribution": "acme-broken",
            "version": "0.1",
            "target": "acme_broken",
            "error": "No module named 'nowhere_at_all'",
        }
    ]


def test_metadata_alone(ask: Ask, shop: Shelf) -> None:
    shop.offer("acme-gone", "3", {"gone": "acme_gone_.tasks:ALL"})
    done = ask("--no-load", code=1)
    assert [line.split() for line in done.out.splitlines()] == [
        ["source", "distribution", "target"],
        ["broken", "acme-broken", "0.1", "acme_broken"],
        ["gone", "acme-gone", "3", "acme_gone_.tasks:ALL"],
        ["text", "acme-text", "1.2", "acme_text"],
    ]
    assert "acme_gone_.tasks:ALL) cannot be used: there is no module 'acme_gone_'" in done.err
    assert ask("--json", "--no-load", "--distribution", "acme-t*").data == {
        "sources": [{"source": "text", "distribution": "acme-text", "version": "1.2", "target": "acme_text"}],
        "problems": [],
    }


def test_one_task_by_its_name_or_by_its_functions(ask: Ask) -> None:
    done = ask("count", "--distribution", "text")
    assert [line.strip().split(maxsplit=1) for line in done.out.splitlines()] == [
        ["count_words"],
        ["needs", "pages: list[str]"],
        ["produces", "counts: dict[str, int]"],
        ["distribution", "acme-text 1.2"],
        ["source", "text"],
        ["module", "acme_text"],
        ["function", "count"],
    ]
    assert ask("--json", "count_words", "--distribution", "text").data["tasks"][0]["function"] == "count"
    missing = ask("cuont", "--distribution", "text", code=2)
    assert missing.err == "there is no task 'cuont' (did you mean 'count'?); looked at acme-text 1.2"


def test_what_produces_something(ask: Ask) -> None:
    found = ask("--json", "--output", "pages", "--distribution", "acme-text").data["tasks"]
    assert [task["name"] for task in found] == ["acme_text:load"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("--output", "page", "--distribution", "text"),
            "no task produces 'page' (did you mean 'pages'?); looked at acme-text 1.2\n",
        ),
        (
            ("count", "--output", "pages", "--distribution", "text"),
            "task 'count' does not produce 'pages'; looked at acme-text 1.2\n",
        ),
        (
            ("--distribution", "acme-txt"),
            "nothing that offers tasks is named 'acme-txt' (did you mean 'acme-text'",
        ),
        (("--no-load", "--distribution", "zz"), "nothing that offers tasks is named 'zz'\n"),
    ],
)
def test_nothing_to_show_says_why(ask: Ask, arguments: tuple[str, ...], said: str) -> None:
    assert said in ask(*arguments).out


def test_what_tasks_say_of_themselves_does_no_harm(ask: Ask, shop: Shelf) -> None:
    shop.offer(
        "acme-odd",
        "1",
        acme_odd="""
            from taskiq_flow import pipeline_task

            class Shy:
                def __repr__(self):
                    raise RuntimeError("shy")

            @pipeline_task(output="a", description="\\x1b[31m[bold]red")
            def red() -> Shy(): ...

            @pipeline_task(output="b", description=3)
            def number(x: Shy()): ...

            @pipeline_task(output="c")
            def documented(): ...

            documented.__doc__ = 3
        """,
    )
    for arguments in ((), ("red",)):
        shown = ask("--distribution", "acme-odd", *arguments).out
        assert "\\x1b[31m[bold]red" in shown
        assert "\x1b" not in shown
    told = ask("--distribution", "acme-odd", "--json").data["tasks"]
    assert [(each["function"], each["description"]) for each in told] == [
        ("documented", ""),
        ("number", ""),
        ("red", "\x1b[31m[bold]red"),
    ]


def test_nothing_is_let_in(ask: Ask, shop: Shelf) -> None:
    (shop.folder / "acme_closed.py").write_text(
        "from taskiq import InMemoryBroker\nfrom taskiq_flow import Flow\n"
        "from taskiq_flow_discovery import InstalledTasks\n"
        "flow = Flow(InMemoryBroker(), discover=InstalledTasks(allow=['zz']))\n"
    )
    for arguments in ((), ("--no-load",)):
        answer = ask("--flow", "acme_closed:flow", *arguments)
        assert answer.out == "no distribution offers tasks, or none of them is let in\n"
    assert ask("--flow", "acme_closed:flow", "--json").data == {"tasks": [], "problems": []}


@pytest.mark.parametrize("width", ["30", "45", "60", "80"])
def test_every_column_is_there_in_a_narrow_terminal(
    ask: Ask, width: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    shown = ask("--distribution", "text").out
    assert all(word in shown for word in ("needs", "produces", "counts", "report")), shown
    assert max(map(len, shown.splitlines())) <= int(width)


def test_two_of_one_name_are_a_problem(ask: Ask, shop: Shelf) -> None:
    code = "from taskiq import async_shared_broker\n@async_shared_broker.task(task_name='sum')\ndef f(x): ..."
    shop.offer("acme-a", "1", acme_a=code)
    shop.offer("acme-b", "1", acme_b=code)
    [problem] = ask("--json", "--distribution", "acme-[ab]", code=1).data["problems"]
    assert problem["error"].startswith(
        "task 'sum' is offered by acme-a 1 (acme_a:f) and by acme-b 1 (acme_b:f)"
    )
    assert "'sum' is offered by" in ask("sum", code=2).err


def test_a_flow_says_what_is_let_in(ask: Ask, shop: Shelf) -> None:
    code = """
        from taskiq import InMemoryBroker
        from taskiq_flow import Flow
        from taskiq_flow_discovery import InstalledTasks
        broker = InMemoryBroker()
        flow = Flow(broker, discover=InstalledTasks(deny=["acme-broken"], prefix={"text": "t."}))
    """
    (shop.folder / "acme_app.py").write_text(dedent(code))
    for target in ("acme_app:flow", "acme_app:broker"):
        names = [task["name"] for task in ask("--json", "--flow", target).data["tasks"]]
        assert names == ["t.acme_text:load", "t.acme_text:report", "t.count_words"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--flow", "nowhere:flow"), "there is no module 'nowhere'"),
        (
            ("x", "--no-load"),
            "--no-load imports nothing, so it knows no tasks and outputs; leave one of them out",
        ),
    ],
)
def test_misuse(ask: Ask, arguments: tuple[str, ...], said: str) -> None:
    assert said in ask(*arguments, code=2).err


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"TASKIQ_FLOW_DISCOVERER": "instaled"}, "no discoverer 'instaled'; there is only 'entry-points'"),
        ({"TASKIQ_FLOW_TASKS_DENY": "x"}, "discoverer 'entry-points' has no settings, found 'deny'"),
    ],
)
def test_a_configuration_that_cannot_be_used(
    ask: Ask, setting: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in setting.items():
        monkeypatch.setenv(name, value)
    assert said in ask(code=2).err


def test_the_command_line_with_settings_from_the_environment(shop: Shelf) -> None:
    quiet = {"TASKIQ_FLOW_DISCOVERER": "installed", "TASKIQ_FLOW_TASKS_DENY": "acme-broken"}
    done = command_line(shop, "--json", **quiet)
    assert (done.returncode, json.loads(done.stdout)["problems"]) == (0, []), done.stderr
    misused = command_line(shop, "cuont", **quiet)
    assert misused.returncode == 2
    assert misused.stderr.startswith("there is no task 'cuont' (did you mean 'count'?); looked at ")


def test_the_command_is_listed_without_being_loaded() -> None:
    code = (
        "import sys\nfrom taskiq_flow_cli.app import main\nmain([])\n"
        "print([name for name in sys.modules if name in ('taskiq_flow_discovery.listing', 'taskiq_flow.discovery')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "List the tasks of installed distributions." in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_what_a_package_writes_past_python_is_no_part_of_the_answer(shop: Shelf) -> None:
    shop.offer(
        "acme-loud",
        "1",
        acme_loud="import os\nos.write(1, b'noise')\n" + dedent(TEXT.replace("count_words", "c")),
    )
    done = command_line(shop, "--json", "--distribution", "acme-loud")
    assert len(json.loads(done.stdout)["tasks"]) == 3
    assert "noise" in done.stderr
