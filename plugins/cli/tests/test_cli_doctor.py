"""``taskiq flow doctor``: what it finds, what it says to do, and its exit code."""

from __future__ import annotations

import asyncio
import importlib
import json
import shutil
import sys
import types
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest
from taskiq import AsyncBroker, BrokerMessage

from taskiq_flow import Flow, MemoryStore, Pipeline
from taskiq_flow.clock import SystemClock
from taskiq_flow.errors import StoreError
from taskiq_flow.store import WorkerInfo
from taskiq_flow_cli.app import main

SITE = "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"

CARELESS = """
from taskiq_flow.hookspecs import hookimpl
from taskiq_flow.scheduler import Placement, Scheduler

class Careless(Scheduler):
    name = "careless"

    def place(self, ready, workers, running):
        return [Placement(run=cell.run, path=cell.path) for cell in ready] * 2

@hookimpl
def flow_register_schedulers():
    return [Careless]
"""


def install(folder: Path, name: str, version: str, *, code: str = "", needs: str = "") -> None:
    """Put a distribution into a folder of ``sys.path``."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    requires = f"Requires-Dist: {needs}\n" if needs else ""
    (info / "METADATA").write_text(SITE.format(name=name, version=version) + requires)
    if code:
        module = name.replace("-", "_")
        (folder / f"{module}.py").write_text(code)
        (info / "entry_points.txt").write_text(f"[taskiq_flow]\n{name} = {module}\n")


Examine = Callable[..., dict[str, dict[str, str]]]


@pytest.fixture
def examined(shop: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Examine:
    """Examine an installation to which the folder ``shop`` belongs, and give the findings by their subject."""
    monkeypatch.chdir(shop)
    monkeypatch.syspath_prepend(str(shop))
    modules = ("acme_rules", "acme_broken", "acme_text", "acme_torn", "acme_ones")
    for name in modules:
        # Set and taken away, so that what is imported is gone again after the test.
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
        monkeypatch.delitem(sys.modules, name)

    def examine(code: int, **environment: str) -> dict[str, dict[str, str]]:
        importlib.invalidate_caches()
        for name in modules:
            sys.modules.pop(name, None)
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            found = main(["doctor", "--json"])
        captured = capfd.readouterr()
        assert found == code, captured.out + captured.err
        return {each["subject"]: each for each in json.loads(captured.out)["findings"]}

    return examine


def test_a_sound_installation(taskiq_flow: Any, examined: Examine) -> None:
    found = examined(0)
    assert {each["state"] for each in found.values()} <= {"fine", "note"}
    assert found["store"]["text"] == "memory:// (default)"
    assert found["scheduler"]["area"] == "configuration"
    done = taskiq_flow("doctor")
    assert done.returncode == 0
    assert "✓ store: memory:// (default)" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("no problems")


def test_versions_that_do_not_fit(shop: Path, examined: Examine) -> None:
    install(shop, "taskiq-flow-sql", "0.2.0")
    install(shop, "acme-rules", "2.3", code=CARELESS, needs="taskiq-flow-core==9.1.*")
    found = examined(1)
    for subject, wanted in (("taskiq-flow-sql 0.2.0", "0.2"), ("acme-rules 2.3", "9.1")):
        assert found[subject]["state"] == "problem"
        assert found[subject]["text"].startswith(f"is made for taskiq-flow-core {wanted}, and 2.0")
        assert found[subject]["advice"] == f"pip install --upgrade taskiq-flow-core {subject.split()[0]}"


def test_broken_metadata_of_others_is_passed_over(shop: Path, examined: Examine) -> None:
    (shop / "lost-1.0.dist-info").mkdir()
    (shop / "garbled-1.0.dist-info").mkdir()
    (shop / "garbled-1.0.dist-info" / "METADATA").write_bytes(b"\xff\xfe")
    examined(0)


def test_one_whose_entry_points_cannot_be_read_is_named_and_stops_nothing(
    shop: Path, examined: Examine, capfd: pytest.CaptureFixture[str]
) -> None:
    install(shop, "acme-rules", "2.3", code=CARELESS)
    install(shop, "acme-broken", "2.3", code=CARELESS)
    broken = shop / "acme_broken-2.3.dist-info"
    (broken / "entry_points.txt").write_bytes(b"[taskiq_flow]\n\xff\xfe")
    found = examined(0)
    assert found[str(broken)]["state"] == "note"
    assert "is passed over with all that it offers: " in found[str(broken)]["text"]
    assert found["acme-rules (acme-rules 2.3)"]["state"] == "fine"
    assert main(["plugins"]) == 0
    assert "careless" in capfd.readouterr().out


def test_a_plugin_that_cannot_be_loaded_comes_with_a_next_step(
    taskiq_flow: Any, shop: Path, examined: Examine
) -> None:
    install(shop, "acme-broken", "2.3", code="import tenacious_thing\n")
    found = examined(1)
    finding = found["acme-broken (acme-broken 2.3)"]
    assert finding["text"].endswith("No module named 'tenacious_thing'")
    assert finding["advice"] == ("repair or remove acme-broken, or block it: TASKIQ_FLOW_BLOCK=acme-broken")
    assert found["store"]["state"] == "note"
    assert found["store"]["text"] == ("? (unknown); not tried, because the plugins cannot be used together")
    blocked = examined(0, TASKIQ_FLOW_BLOCK="acme-broken")
    assert blocked["acme-broken (acme-broken 2.3)"]["state"] == "note"
    done = taskiq_flow("doctor", PYTHONPATH=str(shop))
    assert done.stdout.splitlines()[-1].startswith("1 problem")
    assert "next\n  acme-broken (acme-broken 2.3): repair or remove" in done.stdout


def test_tasks_of_others_that_cannot_be_used_are_named(shop: Path, examined: Examine) -> None:
    modules = {
        "acme_text": "from taskiq_flow import pipeline_task\n@pipeline_task(output='a')\ndef one(): ...\n",
        "acme_torn": "import tenacious_thing\n",
        "acme_ones": "from taskiq import async_shared_broker\n"
        "@async_shared_broker.task(task_name='acme_text:one')\ndef one(): ...\n",
    }
    for module, code in modules.items():
        install(shop, module.replace("_", "-"), "1.0", code=code)
        points = shop / f"{module}-1.0.dist-info" / "entry_points.txt"
        points.write_text(f"[taskiq_flow.tasks]\n{module} = {module}\n")
    found = {key: each for key, each in examined(1).items() if each["area"] == "installed tasks"}
    assert found["tasks of acme-torn 1.0"] == {
        "area": "installed tasks",
        "subject": "tasks of acme-torn 1.0",
        "state": "problem",
        "text": "'acme_torn': No module named 'tenacious_thing'",
        "advice": "repair or remove acme-torn, or deny it: TASKIQ_FLOW_TASKS_DENY=acme-torn",
    }
    assert found["acme_text:one"]["state"] == "problem"
    assert (
        "is offered by acme-ones 1.0 (acme_ones:one) and by acme-text 1.0" in found["acme_text:one"]["text"]
    )
    denied = examined(0, TASKIQ_FLOW_TASKS_DENY="acme-torn,acme-ones")
    assert denied["tasks of acme-text 1.0"]["text"] == "1 task"


def test_what_is_selected_and_not_there_is_a_problem(shop: Path, examined: Examine) -> None:
    found = examined(1, TASKIQ_FLOW_STORE="etcd://u:secret@host/1")
    assert "no store 'etcd'" in found["store"]["text"]
    assert "all together" not in found
    assert "secret" not in json.dumps(found)
    needy = CARELESS.replace("def place", "def __init__(self, key):\n        pass\n\n    def place")
    install(shop, "acme-rules", "2.3", code=needy)
    found = examined(1, TASKIQ_FLOW_SCHEDULER="careless")
    assert "careless (environment) cannot be used: TypeError: " in found["scheduler"]["text"]
    found = examined(1, TASKIQ_FLOW_CODECS="rot13", TASKIQ_FLOW_BLOBS="carrier-pigeon://x")
    assert "no codec 'rot13'" in found["codecs rot13"]["text"]
    assert "carrier-pigeon" in found["blobs carrier-pigeon://x"]["text"]
    (shop / "pyproject.toml").write_text("[tool.taskiq-flow]\nschedulr = 'fifo'\n")
    found = examined(1)
    assert "did you mean 'scheduler'" in found["settings"]["text"]


def test_two_of_one_name_come_with_the_way_to_leave_one_out(shop: Path, examined: Examine) -> None:
    install(shop, "acme-rules", "2.3", code=CARELESS)
    install(shop, "acme-broken", "2.4", code=CARELESS)
    found = examined(1)
    assert "'careless' is offered by both acme-broken 2.4 and acme-rules 2.3" in found["all together"]["text"]
    assert found["all together"]["advice"] == (
        "block one of them: TASKIQ_FLOW_BLOCK=acme-broken or TASKIQ_FLOW_BLOCK=acme-rules; or select another name"
    )
    examined(0, TASKIQ_FLOW_BLOCK="acme-rules")


def test_one_that_breaks_the_contract_is_a_problem_where_it_is_selected(
    shop: Path, examined: Examine
) -> None:
    install(shop, "acme-rules", "2.3", code=CARELESS)
    subject = "scheduler 'careless' (acme-rules 2.3)"
    unused = examined(0)[subject]
    assert (unused["state"], "is placed twice" in unused["text"]) == ("note", True)
    used = examined(1, TASKIQ_FLOW_SCHEDULER="careless")[subject]
    assert (used["state"], used["area"]) == ("problem", "conformance")
    good = CARELESS.replace(" * 2", "").replace("name =", "reads_resources = False\n    name =")
    # Another file name in the cache: the old one would be believed for as long as its second lasts.
    shutil.rmtree(shop / "__pycache__", ignore_errors=True)
    (shop / "acme_rules.py").write_text(good)
    assert examined(0)[subject]["text"] == "passes the kit"


# An application: a broker that leads nowhere, and a store in this process.


class Nowhere(AsyncBroker):
    """Not in memory, so workers elsewhere would do the work."""

    fails: str = ""

    async def startup(self) -> None:
        if self.fails:
            raise ConnectionRefusedError(self.fails)
        await super().startup()

    async def kick(self, message: BrokerMessage) -> None:
        """Send it nowhere."""

    async def listen(self) -> AsyncGenerator[bytes, None]:
        """Hear nothing."""
        if False:
            yield b""


def size(text: str) -> int:
    return len(text)


@pytest.fixture
def application(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module ``nowhere`` with a broker, its flow and a pipeline."""
    module: Any = types.ModuleType("nowhere")
    module.broker = Nowhere()
    module.store = MemoryStore()
    module.flow = Flow(module.broker, store=module.store)
    module.size = module.broker.register_task(size, "size")
    module.pipeline = Pipeline(module.broker, module.size)
    monkeypatch.setitem(sys.modules, "nowhere", module)
    return module


@pytest.fixture
def findings(capfd: pytest.CaptureFixture[str]) -> Callable[..., dict[tuple[str, str], dict[str, str]]]:
    """Examine the application, and give what is about it by area and subject."""

    def examine(code: int, target: str = "nowhere:pipeline") -> dict[tuple[str, str], dict[str, str]]:
        found = main(["doctor", target, "--json"])
        captured = capfd.readouterr()
        assert found == code, captured.out + captured.err
        return {(each["area"], each["subject"]): each for each in json.loads(captured.out)["findings"]}

    return examine


def announce(
    store: MemoryStore, name: str, *, tasks: Any = frozenset({"size"}), seconds: float = 60.0, **more: Any
) -> None:
    expires = SystemClock().now() + seconds
    worker = WorkerInfo(id=name, pool="default", tasks=tasks, expires_at=expires, **more)
    asyncio.run(store.workers.announce(worker))


def start_a_run(application: Any) -> None:
    async def start() -> None:
        await application.pipeline.kiq("text")

    asyncio.run(start())


def test_an_application_that_nobody_works_for(application: Any, findings: Any) -> None:
    found = findings(0)
    assert found["store", "memory://"]["text"].startswith("answers; a lease and a blob there and back took")
    assert found["store", "memory://"]["text"].endswith(
        "; it keeps 1,000 finished runs at most, and 256 MiB of them"
    )
    assert found["store", "MemoryStore"]["state"] == "note"
    assert found["store", "MemoryStore"]["text"] == (
        "is of one process alone, and Nowhere hands tasks to others, which do not find its runs"
    )
    assert found["broker", "Nowhere"]["text"] == "can be started"
    assert found["workers", "default"]["state"] == "note"
    assert found["pool", "default"]["text"] == "it has no driver, and no run waits"
    assert found["tasks", "nowhere:pipeline"]["text"] == "its broker has its task size"


def test_a_run_that_waits_for_nobody_is_a_problem(application: Any, findings: Any) -> None:
    start_a_run(application)
    found = findings(1)
    assert found["workers", "default"]["text"] == "no worker of pool 'default' is alive, and 1 run waits"
    assert found["pool", "default"]["text"] == "it has no driver, and 1 run waits"
    assert found["pool", "default"]["advice"] == "start `taskiq worker MODULE:BROKER`"


def test_a_pool_that_works(application: Any, findings: Any) -> None:
    announce(application.store, "w1")
    announce(application.store, "w2", tasks=None)
    announce(application.store, "w0", seconds=-5.0)
    held = asyncio.run(application.store.leases.acquire("pool:default", "driver", 60.0))
    found = findings(0)
    assert found["workers", "default"]["text"] == "2 alive: w1, w2"
    assert found["workers", "w0"] == found["workers", "w0"] | {
        "state": "note",
        "text": "not heard of in time",
    }
    assert found["pool", "default"]["text"] == "it has a driver; no run is active"
    assert found["tasks", "default"]["text"] == "every live worker has its task size"
    # Who looks takes nothing away from who works.
    assert asyncio.run(application.store.leases.renew(held, 60.0)) is not None


def test_a_task_that_workers_lack_is_named_with_them(application: Any, findings: Any) -> None:
    announce(application.store, "w1", tasks=frozenset({"other"}))
    found = findings(1)
    assert found["tasks", "size"]["text"] == "is not known to every live worker"
    announce(application.store, "w2")
    assert findings(1)["tasks", "size"]["text"] == "is not known to w1"


def test_a_task_of_another_version_is_named_with_both_sides(
    application: Any, findings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from taskiq_flow.discoverer import Origin
    from taskiq_flow_cli.doctor import application as looking

    origin = Origin(distribution="acme-text", version="2.3", target="acme_text:size")
    monkeypatch.setattr(looking, "origin_of", lambda task: origin)
    announce(application.store, "w1", versions={"size": "acme-text 2.3"})
    assert findings(0)["tasks", "default"]["state"] == "fine"
    announce(application.store, "w2", versions={"size": "acme-text 2.2"})
    assert findings(1)["tasks", "size"]["text"] == "is of acme-text 2.2 on w2, and of acme-text 2.3 here"


def test_a_store_that_cannot_be_reached_is_named_without_a_traceback(
    application: Any, findings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(self: Any) -> None:
        raise StoreError("no server answers on db:5432")

    monkeypatch.setattr(MemoryStore, "startup", refuse)
    found = findings(1)
    assert found["store", "memory://"]["text"] == "cannot be used: no server answers on db:5432"
    assert "see that its server runs" in found["store", "memory://"]["advice"]
    assert ("pool", "default") not in found


def test_a_store_that_forgets_is_caught(
    application: Any, findings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(*arguments: Any) -> bytes:
        return b""

    monkeypatch.setattr(type(application.store.blobs), "get", nothing)
    text = findings(1)["store", "memory://"]["text"]
    assert text == "cannot be used: it gives back other bytes than it was given"


def test_one_that_never_answers_is_given_up(
    application: Any, findings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from taskiq_flow_cli.doctor import application as looking

    async def hang(self: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(looking, "_SECONDS", 0.05)
    monkeypatch.setattr(MemoryStore, "startup", hang)
    assert findings(1)["store", "memory://"]["text"] == "does not answer within 0.05 s"


def test_a_broker_that_cannot_be_reached_is_named(application: Any, findings: Any) -> None:
    application.broker.fails = "nobody listens on redis:6379"
    found = findings(1, "nowhere:broker")
    assert found["broker", "Nowhere"]["text"] == (
        "cannot be used: ConnectionRefusedError: nobody listens on redis:6379"
    )
    assert found["store", "memory://"]["state"] == "fine"


def test_a_target_that_cannot_be_found_is_a_problem_among_others(findings: Any, shop: Path) -> None:
    assert (
        "there is no module 'nowhere_at_all'"
        in (findings(1, "nowhere_at_all:flow")["application", "nowhere_at_all:flow"]["text"])
    )


def test_the_traceback_of_a_module_is_there_for_who_asks(taskiq_flow: Any) -> None:
    done = taskiq_flow("doctor", "raising:x", "--traceback")
    assert done.returncode == 1
    assert "--traceback shows all" in done.stdout
    assert "1 / 0" in done.stderr


def test_an_application_in_memory(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(shop)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "shop", raising=False)
    assert main(["doctor", "shop:pipeline"]) == 0
    said = capfd.readouterr().out
    assert "✓ memory://: answers" in said
    assert "✓ default: is in this process, because the broker is in memory" in said
