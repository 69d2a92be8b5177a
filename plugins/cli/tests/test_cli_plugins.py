"""``taskiq flow``, ``taskiq flow graph``, ``taskiq flow plugins``, and commands of others."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from taskiq_flow.graph import FORMATS, from_json
from taskiq_flow.plugins import Plugins
from taskiq_flow_cli.app import main
from taskiq_flow_cli.plugin import flow_register_commands

HELLO = """
from taskiq_flow.command import Command
from taskiq_flow.hookspecs import hookimpl

class Hello(Command):
    name = "hello"
    def register(self, app):
        @app.command("hello")
        def hello():
            '''Greet.'''
            print("hello from a plugin")

@hookimpl
def flow_register_commands():
    return [Hello]
"""


def install(folder: Path, name: str, code: str) -> None:
    """Put a distribution with one plugin into a folder of ``sys.path``."""
    (folder / f"acme_{name}.py").write_text(code)
    info = folder / f"acme_{name}-2.3.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: acme-{name}\nVersion: 2.3\n")
    (info / "entry_points.txt").write_text(f"[taskiq_flow]\n{name} = acme_{name}\n")


def listing(taskiq_flow: Any, folder: Path, code: int, **environment: str) -> dict[str, Any]:
    done = taskiq_flow("plugins", "--json", PYTHONPATH=str(folder), **environment)
    assert done.returncode == code, done.stderr
    data = json.loads(done.stdout)
    data["plugins"] = {each["name"]: each for each in data["plugins"]}
    return dict(data)


def test_without_arguments_there_is_help(taskiq_flow: Any) -> None:
    done = taskiq_flow()
    assert done.returncode == 0
    assert all(f"  {name} " in done.stdout for name in ("run", "graph", "plugins"))
    assert taskiq_flow("--help").stdout == done.stdout


def test_the_versions(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capfd.readouterr().out.startswith("taskiq-flow-cli 2.")


def test_an_unknown_command_is_a_misuse(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["rnu"]) == 2
    assert "rnu" in capfd.readouterr().err


def test_the_hook_offers_the_standard_commands() -> None:
    standard = ["run", "graph", "plugins", "new-plugin", "doctor"]
    assert [command.name for command in flow_register_commands()] == standard
    assert set(standard) <= set(Plugins.load().commands)


@pytest.mark.parametrize("format_", FORMATS)
def test_a_graph_in_every_format(
    format_: str, shop: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(shop)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "shop", raising=False)
    assert main(["graph", "shop:pipeline", "--format", format_, "--outputs", "first"]) == 0
    drawn = capfd.readouterr().out.removeprefix("imported\n")
    assert drawn == sys.modules["shop"].pipeline.graph.subgraph_for(["first"]).render(format_)
    assert "measure" not in drawn


def test_a_graph_as_json_can_be_read_back(taskiq_flow: Any) -> None:
    done = taskiq_flow("graph", "shop:pipeline", "--format", "json")
    assert done.returncode == 0
    assert list(from_json(done.stdout.removeprefix("imported\n")).outputs) == [
        "words",
        "first",
        "total",
        "sizes",
    ]
    assert taskiq_flow("graph", "shop:pipeline", "--format", "png").returncode == 2


def test_plugins_are_listed_with_their_origins(taskiq_flow: Any, shop: Path) -> None:
    install(shop, "hello", HELLO)
    found = listing(taskiq_flow, shop, 0, TASKIQ_FLOW_SCHEDULER="fifo")
    assert found["plugins"]["hello"] == {
        "name": "hello",
        "distribution": "acme-hello",
        "version": "2.3",
        "target": "acme_hello",
        "blocked": False,
        "problem": "",
        "offers": {"commands": ["hello"]},
    }
    assert found["plugins"]["cli"]["offers"] == {
        "commands": ["doctor", "graph", "new-plugin", "plugins", "run"]
    }
    assert found["plugins"]["defaults"]["offers"]["stores"] == ["memory"]
    assert found["selected"]["scheduler"] == {"name": "fifo", "source": "environment"}
    assert found["selected"]["store"] == {"name": "memory://", "source": "default"}
    assert found["problems"] == []


def test_a_broken_plugin_is_reported_and_hides_nothing(taskiq_flow: Any, shop: Path) -> None:
    install(shop, "hello", HELLO)
    install(shop, "broken", "import tenacious_thing\n")
    found = listing(taskiq_flow, shop, 1)
    assert found["plugins"]["broken"]["problem"] == (
        "cannot load plugin 'broken' of acme-broken 2.3 (acme_broken): No module named 'tenacious_thing'"
    )
    assert found["plugins"]["hello"]["offers"] == {"commands": ["hello"]}
    done = taskiq_flow("plugins", PYTHONPATH=str(shop))
    assert done.returncode == 1
    assert "No module named 'tenacious_thing'" in done.stderr
    assert "hello  acme-hello 2.3 (acme_hello)\n  commands: hello\n" in done.stdout
    assert "broken  acme-broken 2.3 (acme_broken)\n  cannot be used\n" in done.stdout
    narrow = taskiq_flow("plugins", PYTHONPATH=str(shop), COLUMNS="30")
    assert narrow.stdout == done.stdout
    run = taskiq_flow("run", "shop:endless", "x=1", PYTHONPATH=str(shop))
    assert (run.returncode, "Traceback" in run.stderr) == (2, False)
    assert "No module named 'tenacious_thing'" in run.stderr
    (shop / "early.py").write_text(
        "from taskiq import InMemoryBroker\nfrom taskiq_flow import Flow\nFlow(InMemoryBroker())\n"
    )
    early = taskiq_flow("run", "early:x", PYTHONPATH=str(shop))
    assert f" ({shop / 'early.py'}:3; --traceback shows all)\n" in early.stderr
    helped = taskiq_flow(PYTHONPATH=str(shop))
    assert helped.returncode == 0
    assert "graph" in helped.stdout
    blocked = listing(taskiq_flow, shop, 0, TASKIQ_FLOW_BLOCK="acme-broken")
    assert blocked["plugins"]["broken"]["blocked"] is True


def test_what_plugins_disagree_on_and_what_nobody_offers(taskiq_flow: Any, shop: Path) -> None:
    missing = listing(taskiq_flow, shop, 1, TASKIQ_FLOW_STORE="etcd://u:secret@host/1")
    assert "no store 'etcd'" in missing["problems"][0]
    assert missing["selected"]["store"]["name"] == "etcd://u:…@host/1"
    install(shop, "hello", HELLO)
    install(shop, "hullo", HELLO)
    [problem] = listing(taskiq_flow, shop, 1)["problems"]
    assert (
        problem == "command 'hello' is offered by both acme-hello 2.3 and acme-hullo 2.3; block one of them"
    )


PREFERRED = """
from taskiq_flow.hookspecs import hookimpl
from taskiq_flow.serializers.json import JsonSerializer

class Preferred(JsonSerializer):
    name = "NAME"
    preferred = True

@hookimpl
def flow_register_serializers():
    return [Preferred]
"""


def test_what_is_selected_is_told_with_the_reason(taskiq_flow: Any, shop: Path) -> None:
    install(shop, "hello", PREFERRED.replace("NAME", "hello"))
    found = listing(taskiq_flow, shop, 0)
    assert found["selected"]["serializer"] == {"name": "hello", "source": "preferred by acme-hello 2.3"}
    assert (
        "serializer: hello  (preferred by acme-hello 2.3)"
        in taskiq_flow("plugins", PYTHONPATH=str(shop)).stdout
    )
    install(shop, "hullo", PREFERRED.replace("NAME", "hullo"))
    found = listing(taskiq_flow, shop, 1)
    assert found["selected"]["serializer"] == {"name": "?", "source": "several are preferred"}
    assert (
        "'hello' (acme-hello 2.3) and 'hullo' (acme-hullo 2.3) wants to be preferred" in found["problems"][0]
    )


@pytest.mark.parametrize("lazy", [True, False])
def test_a_command_of_another_plugin_can_be_called(taskiq_flow: Any, shop: Path, lazy: bool) -> None:
    # With its line given, the list does without registering the command.
    code = HELLO.replace("Greet.", "Say hello.").replace("name =", "help = 'Greet.'; name =")
    install(shop, "hello", code if lazy else HELLO)
    assert "Greet." in taskiq_flow(PYTHONPATH=str(shop)).stdout
    assert ("Say hello." in taskiq_flow("hello", "--help", PYTHONPATH=str(shop)).stdout) is lazy
    assert taskiq_flow("hello", PYTHONPATH=str(shop)).stdout == "hello from a plugin\n"


def test_a_command_that_cannot_be_listed_hides_no_other(taskiq_flow: Any, shop: Path) -> None:
    install(shop, "hello", HELLO.replace("@app.command", "import tenacious_thing\n        @app.command"))
    listed = taskiq_flow(PYTHONPATH=str(shop))
    assert (listed.returncode, "  doctor " in listed.stdout) == (0, True)
    assert (
        "command 'hello' of acme-hello 2.3 cannot be listed: ModuleNotFoundError: No module named"
        in listed.stderr
    )


def test_a_broken_plugin_hides_no_command_of_another(taskiq_flow: Any, shop: Path) -> None:
    install(shop, "hello", HELLO)
    install(shop, "broken", "import tenacious_thing\n")
    install(shop, "leaving", "raise SystemExit(3)\n")
    helped = taskiq_flow(PYTHONPATH=str(shop))
    assert (helped.returncode, "  hello " in helped.stdout) == (0, True)
    for name, why in (("broken", "No module named 'tenacious_thing'"), ("leaving", "SystemExit: 3")):
        said = f"  cannot load plugin {name!r} of acme-{name} 2.3 (acme_{name}): {why}\n"
        assert said in helped.stderr
    called = taskiq_flow("hello", PYTHONPATH=str(shop))
    assert (called.returncode, called.stdout, called.stderr) == (0, "hello from a plugin\n", "")
    # Of a word that nobody knows, it may be a broken one that would have known it.
    unknown = taskiq_flow("hallo", PYTHONPATH=str(shop))
    assert unknown.returncode == 2
    assert "tenacious_thing" in unknown.stderr
    assert "No such command 'hallo'" in unknown.stderr


def test_of_two_commands_of_one_name_there_is_none_and_the_others_stay(taskiq_flow: Any, shop: Path) -> None:
    install(shop, "hello", HELLO)
    install(shop, "hullo", HELLO)
    install(shop, "bye", HELLO.replace("hello", "bye"))
    helped = taskiq_flow(PYTHONPATH=str(shop))
    assert ("  bye " in helped.stdout, "  hello " in helped.stdout) == (True, False)
    assert "command 'hello' is offered by both acme-hello 2.3 and acme-hullo 2.3" in helped.stderr
    assert taskiq_flow("hello", PYTHONPATH=str(shop)).returncode == 2


def test_plugins_of_one_distribution_are_told_apart_and_blocked_in_any_spelling(
    taskiq_flow: Any, shop: Path
) -> None:
    install(shop, "hello", HELLO)
    (shop / "acme_bye.py").write_text(HELLO.replace("hello", "bye"))
    points = shop / "acme_hello-2.3.dist-info" / "entry_points.txt"
    # One plugin has the name of the distribution that both are in.
    points.write_text("[taskiq_flow]\nacme-hello = acme_hello\nbye = acme_bye\n")
    found = listing(taskiq_flow, shop, 0)["plugins"]
    assert found["acme-hello"]["offers"] == {"commands": ["hello"]}
    assert found["bye"]["offers"] == {"commands": ["bye"]}
    blocked = listing(taskiq_flow, shop, 0, TASKIQ_FLOW_BLOCK="Acme_Hello")["plugins"]
    assert [blocked[name]["blocked"] for name in ("acme-hello", "bye")] == [True, True]


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import taskiq_flow_cli.entry", {"typer", "rich", "taskiq_flow", "pluggy"}),
        ("import taskiq_flow_cli.plugin", {"typer", "rich"}),
        # The help loads every plugin's own module, and those of the commands; nothing that they will need one day.
        (
            "import taskiq_flow_cli.app as a; a.main([])",
            {
                "rich",
                "taskiq_flow.flow",
                "taskiq_flow.graph",
                "taskiq_flow.store",
                "taskiq_flow.plugins.manager",
            }
            | {"taskiq_flow.scheduler", "tenacity", "psutil", "numpy", "zstandard", "fsspec"},
        ),
    ],
)
def test_starting_is_light(statement: str, absent: set[str]) -> None:
    code = f"import json, sys\n{statement}\nprint(json.dumps(list(sys.modules)), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stderr))
    assert "taskiq_flow_cli" in loaded
    assert loaded & absent == set()
