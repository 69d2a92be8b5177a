"""Swapping a part by installing a package: real wheels, clean environments, real commands."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

# Whoever comes first waits for wheels and environments.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

Make = Callable[..., Any]

APPLICATION = """
from taskiq import InMemoryBroker
from taskiq_flow import Flow, Pipeline

broker = InMemoryBroker()
flow = Flow(broker)

@broker.task
def double(x: int) -> int:
    return 2 * x

@broker.task
def fail_twice(x: int, calls: list = []) -> int:
    calls.append(x)
    if len(calls) < 3:
        raise OSError("not yet")
    return x

mapped = Pipeline(broker).map(double)
pipeline = Pipeline(broker).call_next(double).call_next(fail_twice).call_next(double)
"""


@pytest.fixture
def application(tmp_path: Path) -> Path:
    """A folder with the module ``app``."""
    (tmp_path / "app.py").write_text(APPLICATION, encoding="utf-8")
    return tmp_path


def listing(environment: Any, cwd: Path, **more: str) -> tuple[int, Mapping[str, Any]]:
    done = environment.run("-m", "taskiq", "flow", "plugins", "--json", cwd=cwd, **more)
    found = json.loads(done.stdout)
    found["plugins"] = {each["name"]: each for each in found["plugins"]}
    return done.returncode, found


def test_what_is_installed_is_offered_and_can_be_selected(house: Any, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.taskiq-flow]\nscheduler = "acme-scheduler"\n')
    code, found = listing(house, tmp_path, TASKIQ_FLOW_SERIALIZER="acme-serializer")
    assert (code, found["problems"]) == (0, [])
    assert {name: each["offers"] for name, each in found["plugins"].items() if name.startswith("acme")} == {
        "acme-scheduler": {"schedulers": ["acme-scheduler"]},
        "acme-retry": {"retry_policies": ["acme-retry"]},
        "acme-serializer": {"serializers": ["acme-serializer"]},
        "acme-discoverer": {"discoverers": ["acme-discoverer"]},
        "acme-store": {"stores": ["acme-store"]},
    }
    assert found["plugins"]["acme-scheduler"]["version"] == "0.1.0"
    assert found["selected"]["scheduler"]["name"] == "acme-scheduler"
    assert found["selected"]["serializer"] == {"name": "acme-serializer", "source": "environment"}


def test_a_run_uses_what_was_selected(house: Any, application: Path) -> None:
    """The parts leave their marks: the serializer in the log, the retry policy in the number of attempts."""
    events = application / "events.jsonl"
    done = house.run(
        "-m", "taskiq", "flow", "run", "app:pipeline", "x=5", "--json", "--events", events,
        cwd=application,
        TASKIQ_FLOW_SCHEDULER="acme-scheduler",
        TASKIQ_FLOW_SERIALIZER="acme-serializer",
        TASKIQ_FLOW_RETRY='{"policy": "acme-retry", "max_retries": 2, "delay": 0}',
        TASKIQ_FLOW_STORE="acme-store://",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["outputs"] == {"double_2": 20}
    log = events.read_text(encoding="utf-8")
    assert '"acme-serializer"' in log
    assert '"json"' not in log


def test_a_run_is_scheduled_by_the_rules_of_the_house(house: Any, application: Path) -> None:
    def placed(scheduler: str) -> list[str]:
        run = ("-m", "taskiq", "flow", "run", "app:mapped", "items=[1,2,3]", "--json", "--events", "events")
        done = house.run(*run, cwd=application, TASKIQ_FLOW_SCHEDULER=scheduler)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["outputs"] == {"double": [2, 4, 6]}
        lines = (application / "events").read_text(encoding="utf-8").splitlines()
        cells = [event["cell"] for event in map(json.loads, lines) if event["event"] == "CellDispatched"]
        return [cell.partition("[")[2][0] for cell in cells]

    assert placed("newest-first") == ["2", "1", "0"]
    assert placed("fifo") == ["0", "1", "2"]


def test_tasks_of_an_installed_package_are_in_the_catalogue(house: Any, tmp_path: Path) -> None:
    done = house.run("-m", "taskiq", "flow", "tasks", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "acme-text" in done.stdout
    assert "split" in done.stdout


def test_a_discoverer_of_the_house_finds_tasks_where_it_looks(house: Any, tmp_path: Path) -> None:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "soup.py").write_text(
        "from taskiq_flow import pipeline_task\n\n"
        "@pipeline_task(output='soup')\n"
        "def cook(water: float) -> str:\n    return f'{water} l of soup'\n",
        encoding="utf-8",
    )
    chosen = {"TASKIQ_FLOW_DISCOVERER": "acme-discoverer", "TASKIQ_FLOW_TASKS_FOLDER": "recipes"}
    done = house.run("-m", "taskiq", "flow", "tasks", "--json", cwd=tmp_path, **chosen)
    assert done.returncode == 0, done.stderr
    [task] = json.loads(done.stdout)["tasks"]
    assert "cook" in task["name"]


def test_the_doctor_finds_nothing_wrong_with_them(house: Any, application: Path) -> None:
    done = house.run("-m", "taskiq", "flow", "doctor", "app:pipeline", "--json", cwd=application)
    assert done.returncode == 0, done.stdout + done.stderr
    found = {each["subject"]: each["text"] for each in json.loads(done.stdout)["findings"]}
    for kind in ("scheduler", "retry policy", "serializer", "discoverer"):
        name = f"acme-{kind.partition(' ')[0]}"
        assert found[f"{kind} {name!r} ({name} 0.1.0)"] == "passes the kit"
        assert found[f"{name} 0.1.0"] == "fits"
    assert found["scheduler 'newest-first' (house-rules 2.3)"] == "passes the kit"
    assert found["acme-text 2.3"] == "says nothing of a core"


@pytest.mark.parametrize("kind", ["scheduler", "retry", "serializer", "discoverer", "store"])
def test_what_new_plugin_writes_passes_its_own_tests(
    house: Any, projects: Mapping[str, Path], kind: str
) -> None:
    folder = projects[f"acme-{kind}"]
    done = house.run("-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


def test_a_broken_one_is_named_and_can_be_blocked(make_environment: Make, application: Path) -> None:
    environment = make_environment("acme-scheduler", "acme-broken")
    said = (
        "cannot load plugin 'acme-broken' of acme-broken 2.3 (acme_broken): No module named 'tenacious_thing'"
    )
    code, found = listing(environment, application)
    assert (code, found["plugins"]["acme-broken"]["problem"]) == (1, said)
    assert found["plugins"]["acme-scheduler"]["offers"] == {"schedulers": ["acme-scheduler"]}
    run = ("-m", "taskiq", "flow", "run", "app:pipeline", "x=5", "--json")
    refused = environment.run(*run, cwd=application)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr
    doctor = environment.run("-m", "taskiq", "flow", "doctor", cwd=application)
    assert (doctor.returncode, said in doctor.stdout) == (1, True)
    assert "repair or remove acme-broken, or block it: TASKIQ_FLOW_BLOCK=acme-broken" in doctor.stdout
    helped = environment.run("-m", "taskiq", "flow", cwd=application)
    assert (helped.returncode, "  run " in helped.stdout, said in helped.stderr) == (0, True, True)
    (application / "pyproject.toml").write_text('[tool.taskiq-flow]\nblock = ["acme-broken"]\n')
    retried = {"TASKIQ_FLOW_RETRY": '{"max_retries": 5, "delay": 0}'}
    done = environment.run(*run, cwd=application, **retried)
    assert done.returncode == 0, done.stderr


def test_a_name_that_two_offer_is_refused_and_both_are_named(
    make_environment: Make, application: Path
) -> None:
    environment = make_environment("acme-scheduler", "other-house")
    code, found = listing(environment, application)
    said = "scheduler 'acme-scheduler' is offered by both acme-scheduler 0.1.0 and other-house 2.3; block one of them"
    assert (code, found["problems"]) == (1, [said])
    selected = {"TASKIQ_FLOW_SCHEDULER": "acme-scheduler"}
    run = ("-m", "taskiq", "flow", "run", "app:pipeline", "x=5")
    refused = environment.run(*run, cwd=application, **selected)
    assert (refused.returncode, said in refused.stderr) == (2, True)
    code, found = listing(environment, application, TASKIQ_FLOW_BLOCK="other-house", **selected)
    assert (code, found["problems"]) == (0, [])
    assert found["plugins"]["other-house"]["blocked"] is True
