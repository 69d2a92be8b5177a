"""Decision and notification hooks: who is asked, in which order, and what a failing plugin does to the others."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping
from typing import Any

import attrs
import pytest

from taskiq_flow import hookspecs
from taskiq_flow.graph.model import Graph
from taskiq_flow.hookspecs import hookimpl
from taskiq_flow.machine.events import (
    AttemptFailed,
    CellCancelled,
    CellDispatched,
    CellProgressed,
    CellStarted,
    CellSucceeded,
)
from taskiq_flow.payloads import Failure, FailureKind
from taskiq_flow.plugins import FlowConfig, Observers, Plugins
from taskiq_flow.store import RunOutcome, RunRecord, RunStatus, WorkerInfo

pytestmark = pytest.mark.usefixtures("alone")

CONFIG = FlowConfig()
NOTIFICATIONS = [each.name for each in attrs.fields(Observers)]

RECORD = RunRecord(id="r1", pool="default", graph=Graph(nodes=(), outputs={}))
OUTCOME = RunOutcome(status=RunStatus.SUCCEEDED)
FAILED = AttemptFailed(
    cell="a", attempt=1, failure=Failure(kind=FailureKind.TIMEOUT, message="slow"), retry_at=5.0
)
TOLD: list[tuple[str, tuple[Any, ...]]] = [
    ("run_started", (RECORD,)),
    ("cell_dispatched", ("r1", CellDispatched(cell="a", attempt=1))),
    ("cell_started", ("r1", CellStarted(cell="a", attempt=1, worker="w1"))),
    ("cell_progressed", ("r1", CellProgressed(cell="a", attempt=1, progress=0.5))),
    ("cell_retried", ("r1", FAILED)),
    ("worker_lost", ("w1", "default")),
    ("cell_finished", ("r1", CellSucceeded(cell="a", attempt=2))),
    ("cell_finished", ("r1", attrs.evolve(FAILED, cell="b", retry_at=None))),
    ("cell_finished", ("r1", CellCancelled(cell="c", attempt=1))),
    ("run_finished", (RECORD, OUTCOME)),
]


class Recorder:
    """Implements every notification, and writes down what it is told."""

    def __init__(self, name: str, log: list[tuple[str, str, tuple[Any, ...]]]) -> None:
        self.name = name
        self.log = log

    def _told(self, hook: str, *arguments: Any) -> None:
        self.log.append((self.name, hook, arguments))

    @hookimpl
    def flow_run_started(self, record: RunRecord) -> None:
        self._told("run_started", record)

    @hookimpl
    def flow_run_finished(self, outcome: RunOutcome, record: RunRecord) -> None:
        self._told("run_finished", record, outcome)

    @hookimpl
    def flow_cell_dispatched(self, run: str, event: CellDispatched) -> None:
        self._told("cell_dispatched", run, event)

    @hookimpl
    def flow_cell_started(self, run: str, event: CellStarted) -> None:
        self._told("cell_started", run, event)

    @hookimpl
    def flow_cell_finished(self, run: str, event: Any) -> None:
        self._told("cell_finished", run, event)

    @hookimpl
    def flow_cell_retried(self, run: str, event: AttemptFailed) -> None:
        self._told("cell_retried", run, event)

    @hookimpl
    def flow_cell_progressed(self, run: str, event: CellProgressed) -> None:
        self._told("cell_progressed", run, event)

    @hookimpl
    def flow_worker_lost(self, worker: str, pool: str) -> None:
        self._told("worker_lost", worker, pool)


def tell_all(plugins: Plugins) -> None:
    for name, arguments in TOLD:
        tell = getattr(plugins.notify, name)
        assert tell is not None
        tell(*arguments)


def test_every_notification_hook_has_its_function_and_the_other_way_round() -> None:
    specified = {
        name.removeprefix("flow_")
        for name, function in vars(hookspecs).items()
        if re.match(r"flow_(?!register_)", name) and not function.taskiq_flow_spec["firstresult"]
    }
    assert set(NOTIFICATIONS) == specified == {name for name, _ in TOLD}


def test_nothing_is_called_when_nobody_listens() -> None:
    plugins = Plugins.load(CONFIG)

    assert [getattr(plugins.notify, name) for name in NOTIFICATIONS] == [None] * len(NOTIFICATIONS)


def test_the_whole_story_of_a_run_is_told_in_order_to_all_the_last_loaded_first() -> None:
    log: list[tuple[str, str, tuple[Any, ...]]] = []

    tell_all(Plugins.load(CONFIG, explicit=[Recorder("first", log), Recorder("second", log)]))

    assert log == [(who, hook, arguments) for hook, arguments in TOLD for who in ("second", "first")]


def test_an_observer_may_take_fewer_arguments_in_another_order_and_come_first_or_last() -> None:
    log: list[Any] = []

    class Late:
        @hookimpl(trylast=True)
        def flow_worker_lost(self, pool: str, worker: str) -> None:
            log.append(("late", pool, worker))

    class Early:
        @hookimpl(tryfirst=True)
        def flow_worker_lost(self, pool: str) -> None:
            log.append(("early", pool))

    class Usual:
        @hookimpl
        def flow_worker_lost(self) -> None:
            log.append(("usual",))

    plugins = Plugins.load(CONFIG, explicit=[Early(), Usual(), Late()])
    assert plugins.notify.worker_lost is not None
    plugins.notify.worker_lost("w1", "gpu")

    assert log == [("early", "gpu"), ("usual",), ("late", "gpu", "w1")]


@pytest.mark.parametrize("error", [ZeroDivisionError, asyncio.CancelledError])
def test_what_an_observer_raises_is_logged_with_its_origin_and_the_others_are_told(
    caplog: pytest.LogCaptureFixture, error: type[BaseException]
) -> None:
    log: list[tuple[str, str, tuple[Any, ...]]] = []

    class Failing:
        @hookimpl
        def flow_worker_lost(self, worker: str) -> None:
            raise error(worker)

    plugins = Plugins.load(CONFIG, explicit=[Recorder("first", log), Failing(), Recorder("last", log)])
    assert plugins.notify.worker_lost is not None
    with caplog.at_level(logging.ERROR, "taskiq_flow"):
        plugins.notify.worker_lost("w1", "gpu")

    assert [who for who, _, _ in log] == ["last", "first"]
    (record,) = caplog.records
    assert record.getMessage().startswith("flow_worker_lost() of given in code (")
    assert "Failing" in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[0] is error


def test_a_plain_function_that_gives_a_coroutine_is_found_out(caplog: pytest.LogCaptureFixture) -> None:
    async def later() -> None: ...

    class Sly:
        @hookimpl
        def flow_worker_lost(self) -> Any:
            return later()

    plugins = Plugins.load(CONFIG, explicit=[Sly()])
    assert plugins.notify.worker_lost is not None
    with caplog.at_level(logging.ERROR, "taskiq_flow"):
        plugins.notify.worker_lost("w1", "gpu")

    assert "gave a coroutine, which is never awaited" in caplog.text


def route(plugins: Plugins, *, worker: WorkerInfo | None = None, queue: str = "slow") -> Mapping[str, Any]:
    return plugins.route_cell("r1", "tracks[3]/features", "app:features", worker, queue)


@pytest.mark.parametrize(
    ("worker", "queue", "labels"),
    [
        (None, "", {}),
        (None, "slow", {"queue_name": "slow"}),
        (WorkerInfo(id="w1", pool="p"), "slow", {"queue_name": "slow"}),
        (WorkerInfo(id="w1", pool="p", queue="w1.q"), "slow", {"queue_name": "w1.q"}),
        (WorkerInfo(id="w1", pool="p", queue="w1.q"), "", {"queue_name": "w1.q"}),
    ],
)
def test_the_default_route_is_the_queue_of_the_worker_or_the_one_asked_for(
    worker: WorkerInfo | None, queue: str, labels: dict[str, Any]
) -> None:
    assert route(Plugins.load(CONFIG), worker=worker, queue=queue) == labels


def routing(answer: Any, asked: list[Any], **options: Any) -> Any:
    class Router:
        @hookimpl(**options)
        def flow_route_cell(self, task: str, queue: str) -> Any:
            asked.append((answer, task, queue))
            if isinstance(answer, Exception):
                raise answer
            return answer

    return Router()


def test_the_last_loaded_router_that_answers_decides() -> None:
    asked: list[Any] = []
    routers = [routing({"x": 1}, asked), routing({"x": 2}, asked), routing(None, asked)]

    assert route(Plugins.load(CONFIG, explicit=routers)) == {"x": 2}
    assert asked == [(None, "app:features", "slow"), ({"x": 2}, "app:features", "slow")]


def test_when_no_router_answers_the_default_does_even_after_those_that_come_last() -> None:
    asked: list[Any] = []

    assert route(Plugins.load(CONFIG, explicit=[routing(None, asked, trylast=True)])) == {
        "queue_name": "slow"
    }
    assert len(asked) == 1


async def coroutine() -> None: ...


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (ZeroDivisionError("x"), "failed; using the default"),
        (
            ["queue_name"],
            "answered with ['queue_name'], expected a mapping with text as keys; using the default",
        ),
        ({1: "slow"}, "answered with {1: 'slow'}"),
        (coroutine, "gave a coroutine, which is never awaited"),
    ],
)
def test_a_router_that_fails_is_logged_with_its_origin_and_the_default_is_used(
    answer: Any, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[Any] = []
    made = coroutine() if answer is coroutine else answer
    plugins = Plugins.load(CONFIG, explicit=[routing({"x": 1}, asked), routing(made, asked)])

    with caplog.at_level(logging.ERROR, "taskiq_flow"):
        assert route(plugins) == {"queue_name": "slow"}

    assert said in caplog.text
    assert "flow_route_cell() of given in code (" in caplog.text
    assert len(asked) == 1
