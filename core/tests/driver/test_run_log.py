"""The lines for operators: one for each run that starts or ends, and each attempt that fails; logging stops nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from taskiq import InMemoryBroker

from taskiq_flow import Flow, Pipeline
from taskiq_flow._logs import open_log

LOGGERS = ("taskiq_flow.runs", "taskiq_flow.cells")


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Any:
    caplog.set_level(logging.INFO, "taskiq_flow")

    def read() -> list[tuple[str, str, str, int, str]]:
        return [
            (each.levelname, each.getMessage(), each.cell, each.attempt, each.task)  # type: ignore[attr-defined]
            for each in caplog.records
            if each.name in LOGGERS
        ]

    return read


@pytest.fixture
def invert(broker: InMemoryBroker) -> Any:
    @broker.task(task_name="invert")
    async def invert(x: int) -> float:
        return 1 / x

    return invert


async def test_a_run_has_a_line_for_its_start_and_one_for_its_end(
    broker: InMemoryBroker, invert: Any, lines: Any, caplog: pytest.LogCaptureFixture
) -> None:
    handle = await Pipeline(broker, invert, name="shop").kiq(2)
    await handle.result(timeout=20)
    await asyncio.sleep(0)
    started, ended = lines()
    assert started == ("INFO", f"run {handle.id} of shop started, with 1 node", "", 0, "")
    assert ended[0] == "INFO"
    assert ended[1].startswith(f"run {handle.id} of shop succeeded after ")
    assert {each.run for each in caplog.records if each.name in LOGGERS} == {handle.id}  # type: ignore[attr-defined]


async def test_a_failure_says_who_failed_and_what_follows(
    broker: InMemoryBroker, invert: Any, lines: Any
) -> None:
    handle = await Pipeline(broker, invert).kiq(0)
    await handle.wait_result(timeout=20)
    _, failed, ended = lines()
    what = "failed on attempt 1 (exception): ZeroDivisionError: division by zero; given up"
    assert failed == ("ERROR", f"cell invert of run {handle.id} {what}", "invert", 1, "invert")
    assert ended[0] == "ERROR"
    assert ended[1].endswith("; 1 failed, the first is invert: ZeroDivisionError: division by zero")


async def test_a_retry_says_when_and_why(broker: InMemoryBroker, lines: Any) -> None:
    pytest.importorskip("taskiq_flow_retry")
    Flow(broker)
    calls = []

    @broker.task(task_name="flaky", retry_policy={"max_retries": 2, "delay": 0})
    async def flaky(x: int) -> int:
        calls.append(x)
        if len(calls) < 3:
            raise ConnectionError("busy\nvery")
        return x

    await (await Pipeline(broker).map(flaky).kiq([1])).result(timeout=20)
    retried = [line for line in lines() if line[2]]
    assert [(level, cell, attempt, task) for level, _, cell, attempt, task in retried] == [
        ("WARNING", "flaky[0]/flaky", 1, "flaky"),
        ("WARNING", "flaky[0]/flaky", 2, "flaky"),
    ]
    assert "(exception): ConnectionError: busy very; attempt 2 follows in 0 s, at 20" in retried[0][1]
    assert retried[0][1].endswith(": retry 1 of 2 in 0 s")


async def test_what_a_map_goes_on_without_is_no_error(
    broker: InMemoryBroker, invert: Any, lines: Any
) -> None:
    await (await Pipeline(broker).map(invert, skip_errors=True).kiq([1, 0])).result(timeout=20)
    levels = [level for level, *_ in lines()]
    assert levels == ["INFO", "WARNING", "INFO"]
    assert lines()[1][1].endswith("; its map goes on without the item")
    assert lines()[2][1].endswith("; 1 failed and left out")


async def test_a_cancelled_run_says_why(broker: InMemoryBroker, lines: Any) -> None:
    started = asyncio.Event()

    @broker.task
    async def wait() -> None:
        started.set()
        await asyncio.Event().wait()

    handle = await Pipeline(broker, wait).kiq()
    await started.wait()
    await handle.cancel("no longer wanted")
    await handle.wait_result(timeout=20)
    level, text, *_ = lines()[-1]
    assert level == "INFO"
    assert " cancelled after " in text
    assert text.endswith(": no longer wanted")


class Angry(logging.Handler):
    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error
        self.seen = 0

    def handle(self, record: logging.LogRecord) -> bool:
        self.seen += 1
        raise self.error


@pytest.fixture(params=[RuntimeError("full"), asyncio.CancelledError(), GeneratorExit()], ids=repr)
def angry(request: pytest.FixtureRequest) -> Iterator[Angry]:
    handler = Angry(request.param)
    targets = [logging.getLogger(name) for name in ("taskiq_flow", "taskiq.receiver.receiver")]
    levels = [target.level for target in targets]
    for target in targets:
        target.addHandler(handler)
        target.setLevel(logging.DEBUG)
    yield handler
    for target, level in zip(targets, levels, strict=True):
        target.removeHandler(handler)
        target.setLevel(level)


async def test_a_handler_that_raises_stops_nothing(
    angry: Angry, inplace: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    broker = InMemoryBroker(await_inplace=inplace)

    @broker.task
    async def invert(x: int) -> float:
        return 1 / x

    handle = await Pipeline(broker).map(invert, skip_errors=True).kiq([1, 0, 2])
    assert await handle.result(timeout=20) == [1.0, 0.5]
    assert angry.seen >= 3
    assert "--- Logging error ---" in capsys.readouterr().err
    await broker.shutdown()


def test_a_filter_that_exits_is_heard() -> None:
    log = open_log("taskiq_flow.tests")

    def leave(record: logging.LogRecord) -> bool:
        raise SystemExit(3)

    log.logger.addFilter(leave)
    try:
        with pytest.raises(SystemExit):
            log.error("anything")
    finally:
        log.logger.removeFilter(leave)


def test_the_line_of_the_caller_is_named(caplog: pytest.LogCaptureFixture) -> None:
    log = open_log("taskiq_flow.tests")
    with caplog.at_level(logging.INFO, "taskiq_flow.tests"):
        log.warning("one %s", 1)
        log.log(logging.INFO, "two")
        try:
            raise ValueError("x")
        except ValueError:
            log.exception("three")
    assert {each.filename for each in caplog.records} == {"test_run_log.py"}
    assert {each.funcName for each in caplog.records} == {"test_the_line_of_the_caller_is_named"}
    assert caplog.records[-1].exc_info is not None
    caplog.clear()
    log.debug("nobody wants it")
    assert caplog.records == []
