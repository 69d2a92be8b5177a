"""Tasks that raise: what their run, its caller and the tasks after them see of it."""

from __future__ import annotations

import asyncio
import functools
import threading
from typing import Any

import pytest
from pydantic import TypeAdapter
from taskiq import InMemoryBroker

from taskiq_flow import CellFailed, DataflowPipeline, Pipeline, RunStatus, pipeline_task


class NeedsKeyword(Exception):
    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message, code)
        self.code = code


class Unreadable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("there are no words")

    __repr__ = __str__


class Rewritten(Exception):
    def __init__(self, name: str) -> None:
        super().__init__(f"no such thing: {name}")


class MeddlesWithArgs(Exception):
    def __init__(self, *args: Any) -> None:
        if len(args) != 3:
            raise ValueError("three, or none of it")
        super().__init__("joined " + "".join(args))


def task_of(broker: InMemoryBroker, function: Any, kind: str) -> Any:
    """Make a task of a function, or of a coroutine function that calls it."""

    @functools.wraps(function)
    def now(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    @functools.wraps(function)
    async def later(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return broker.task(now if kind == "sync" else later)


both_kinds = pytest.mark.parametrize("kind", ["sync", "async"])


def look_up(x: int) -> int:
    raise LookupError(f"no {x}", x)


# A task that raises


@both_kinds
async def test_a_raising_task_fails_its_run_and_nothing_after_it_runs(
    broker: InMemoryBroker, kind: str
) -> None:
    ran: list[int] = []

    @broker.task
    async def after(x: int) -> list[int]:
        ran.append(x)
        return [x]

    failing = task_of(broker, look_up, kind)
    handle = await Pipeline(broker, failing).call_next(after).map(after).kiq(7)
    with pytest.raises(LookupError) as caught:
        await handle.result(timeout=20)
    assert caught.value.args == ("no 7", 7)
    assert [note for note in caught.value.__notes__ if "cell 'look_up', attempt 1" in note] != []
    assert isinstance(caught.value.__cause__, CellFailed)
    result = await handle.wait_result()
    assert (result.is_err, type(result.error), result.return_value) == (True, LookupError, None)
    with pytest.raises(LookupError):
        result.raise_for_error()
    assert await handle.status() is RunStatus.FAILED
    assert ran == []
    (failure,) = await handle.failures()
    assert (failure.cell, failure.node, failure.attempt, failure.kind) == (
        "look_up",
        "look_up",
        1,
        "exception",
    )
    assert "raise LookupError" in failure.traceback_text
    assert failure.failure.type == "builtins:LookupError"


async def test_outputs_that_were_produced_stay_readable(broker: InMemoryBroker) -> None:
    @broker.task
    @pipeline_task(output="first")
    async def begin(x: int) -> int:
        return x + 1

    @broker.task
    @pipeline_task(output="second")
    def fail(first: int) -> int:
        raise ValueError("in between")

    @broker.task
    @pipeline_task(output="third")
    def end(second: int) -> int:
        return second

    handle = await DataflowPipeline.from_tasks(broker, [begin, fail, end]).kiq(x=1)
    with pytest.raises(ValueError, match="in between"):
        await handle.result(timeout=20)
    assert await handle.outputs() == {"first": 2}


@pytest.mark.parametrize("mode", ["stop", "continue"])
async def test_error_modes(broker: InMemoryBroker, mode: Any) -> None:
    failed = asyncio.Event()
    ran: list[str] = []

    @broker.task
    @pipeline_task(output="bad")
    async def fail() -> int:
        raise ValueError("one side")

    @broker.task
    @pipeline_task(output="never")
    async def depends(bad: int) -> int:
        ran.append("depends")
        return bad

    @broker.task
    @pipeline_task(output="good")
    async def work() -> int:
        return 1

    @broker.task
    @pipeline_task(output="better")
    async def waits(good: int) -> int:
        await failed.wait()
        ran.append("waits")
        return good + 1

    tasks = [work, fail, depends, waits]
    handle = await DataflowPipeline.from_tasks(broker, tasks).on_error(mode).kiq()
    async for event in handle.events():
        if getattr(event, "cell", "") == "fail" and hasattr(event, "failure"):
            failed.set()
            break
    assert (await handle.wait_result(timeout=20)).is_err
    assert await handle.status() is RunStatus.FAILED
    outputs = await handle.outputs()
    assert "never" not in outputs
    assert "depends" not in ran
    if mode == "continue":
        assert outputs == {"good": 1, "better": 2}
    assert [failure.cell for failure in await handle.failures()] == ["fail"]


async def test_continue_names_every_failed_cell(broker: InMemoryBroker) -> None:
    @broker.task
    def odd_is_bad(x: int) -> int:
        if x % 2:
            raise ValueError(f"{x} is odd")
        return x

    handle = await Pipeline(broker).map(odd_is_bad).on_error("continue").kiq([0, 1, 2, 3])
    assert (await handle.wait_result(timeout=20)).is_err
    cells = {failure.cell: failure.failure.message for failure in await handle.failures()}
    assert {path.partition("[")[2].partition("]")[0] for path in cells} == {"1", "3"}
    assert sorted(cells.values()) == ["1 is odd", "3 is odd"]


async def test_items_that_fail_can_be_left_out(broker: InMemoryBroker, value: Any) -> None:
    @broker.task
    def odd_is_bad(x: int) -> int:
        if x % 2:
            raise ValueError(f"{x} is odd")
        return x

    assert await value(Pipeline(broker).map(odd_is_bad, skip_errors=True), [0, 1, 2, 3]) == [0, 2]


# What else can be raised


def raise_exit() -> None:
    raise SystemExit(3)


def raise_interrupt() -> None:
    raise KeyboardInterrupt


def raise_cancelled() -> None:
    raise asyncio.CancelledError


def raise_base() -> None:
    raise BaseException("bottom of it all")


def raise_generator_exit() -> None:
    raise GeneratorExit


def raise_stop() -> None:
    raise StopAsyncIteration


def raise_stop_iteration() -> None:
    raise StopIteration(5)


BASE = [raise_exit, raise_interrupt, raise_cancelled, raise_base]


@both_kinds
@pytest.mark.parametrize("function", BASE)
async def test_what_is_no_exception_fails_its_cell_and_nothing_else(
    broker: InMemoryBroker, value: Any, function: Any, kind: str
) -> None:
    @broker.task
    async def fine(x: int) -> int:
        return x

    failing = task_of(broker, function, kind)
    handle = await Pipeline(broker, failing).kiq()
    result = await handle.wait_result(timeout=20)
    assert result.is_err
    (failure,) = await handle.failures()
    assert failure.cell == function.__name__
    assert failure.kind in ("exception", "cancelled")
    # Raised here, it would end this process or cancel whoever waits.
    assert isinstance(result.error, CellFailed)
    assert await value(Pipeline(broker, fine), 1) == 1


@both_kinds
@pytest.mark.parametrize("function", [raise_stop_iteration, raise_generator_exit])
async def test_what_an_event_loop_cannot_carry_fails_its_cell(
    broker: InMemoryBroker, function: Any, kind: str
) -> None:
    handle = await Pipeline(broker, task_of(broker, function, kind)).kiq()
    assert (await handle.wait_result(timeout=20)).is_err
    assert len(await handle.failures()) == 1


def raise_unpicklable() -> None:
    raise ValueError("lock", threading.Lock())


def raise_enormous() -> None:
    raise ValueError("x" * 3_000_000)


def raise_unreadable() -> None:
    raise Unreadable("no words")


def raise_keyword() -> None:
    raise NeedsKeyword("needs", code=5)


def raise_rewritten() -> None:
    raise Rewritten("it")


def raise_meddling() -> None:
    raise MeddlesWithArgs("a", "b", "c")


def raise_local() -> None:
    class Local(Exception):
        pass

    raise Local("of this function")


def raise_from() -> None:
    try:
        raise KeyError("first")
    except KeyError as error:
        raise ValueError("second") from error


def raise_deep() -> None:
    raise ValueError([[[[[["deep"]]]]]], {"key": object()})


def raise_validation() -> None:
    TypeAdapter(int).validate_python("many")


def raise_os() -> None:
    raise FileNotFoundError(2, "No such file or directory", "nowhere.txt")


def raise_unicode() -> None:
    b"\xff".decode()


ODD: dict[Any, tuple[type[BaseException], str]] = {
    raise_unpicklable: (ValueError, "lock"),
    raise_enormous: (CellFailed, "characters left out"),
    raise_unreadable: (CellFailed, "Unreadable whose text raises RuntimeError"),
    raise_keyword: (NeedsKeyword, "needs"),
    raise_rewritten: (Rewritten, "no such thing: it"),
    raise_meddling: (MeddlesWithArgs, "joined abc"),
    raise_local: (CellFailed, "Local: of this function"),
    raise_from: (ValueError, "second"),
    raise_deep: (ValueError, "deep"),
    raise_validation: (CellFailed, "ValidationError: 1 validation error for int"),
    raise_stop: (CellFailed, "StopAsyncIteration"),
    raise_os: (FileNotFoundError, "No such file or directory: 'nowhere.txt'"),
    raise_unicode: (UnicodeDecodeError, "invalid start byte"),
}


@both_kinds
@pytest.mark.parametrize("function", ODD)
async def test_exceptions_of_all_shapes_come_back(broker: InMemoryBroker, function: Any, kind: str) -> None:
    expected, text = ODD[function]
    handle = await Pipeline(broker, task_of(broker, function, kind)).kiq()
    with pytest.raises(expected) as caught:
        await handle.result(timeout=20)
    (failure,) = await handle.failures()
    assert text in str(caught.value)
    assert len(failure.failure.message) < 101_000
    assert len(failure.traceback_text) < 100_000
    assert function.__name__ in failure.traceback_text


async def test_the_cause_of_an_exception_stands_in_the_traceback(broker: InMemoryBroker) -> None:
    handle = await Pipeline(broker, task_of(broker, raise_from, "sync")).kiq()
    await handle.wait_result(timeout=20)
    (failure,) = await handle.failures()
    assert "KeyError: 'first'" in failure.traceback_text


async def test_a_text_that_is_made_anew_is_not_wrapped_twice(broker: InMemoryBroker) -> None:
    handle = await Pipeline(broker, task_of(broker, raise_rewritten, "sync")).kiq()
    with pytest.raises(Rewritten) as caught:
        await handle.result(timeout=20)
    assert str(caught.value) == "no such thing: it"


# What cannot be carried


@both_kinds
async def test_a_result_that_cannot_be_encoded_is_refused(broker: InMemoryBroker, kind: str) -> None:
    calls: list[int] = []

    @broker.task
    def in_a_thread() -> Any:
        calls.append(1)
        return {"lock": threading.Lock()}

    @broker.task
    async def in_a_loop() -> Any:
        calls.append(1)
        return {"lock": threading.Lock()}

    handle = await Pipeline(broker, in_a_thread if kind == "sync" else in_a_loop).kiq()
    result = await handle.wait_result(timeout=20)
    assert result.is_err
    (failure,) = await handle.failures()
    assert failure.kind == "rejected"
    assert "lock" in failure.failure.message
    assert failure.failure.message.startswith("output 'in_a_")
    assert calls == [1]


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        ((1, 2, 3), "returned 3 values, expected 2 for its outputs 'x', 'y'"),
        ((), "returned 0 values, expected 2 for its outputs 'x', 'y'"),
        (5, "returned int, expected a sequence of 2 values"),
        ("xy", "returned str, expected a sequence of 2 values"),
        (None, "returned NoneType, expected a sequence of 2 values"),
        ({"x": 1, "y": 2}, "returned dict, expected a sequence of 2 values"),
    ],
    ids=repr,
)
async def test_a_wrong_number_of_outputs_fails_the_cell(
    broker: InMemoryBroker, returned: Any, words: str
) -> None:
    @broker.task
    @pipeline_task(outputs=["x", "y"])
    def split() -> Any:
        return returned

    handle = await DataflowPipeline.from_tasks(broker, [split]).kiq()
    assert (await handle.wait_result(timeout=20)).is_err
    (failure,) = await handle.failures()
    assert (failure.node, failure.kind) == ("split", "rejected")
    assert words in failure.failure.message


async def test_an_argument_that_does_not_fit_names_task_and_parameter(broker: InMemoryBroker) -> None:
    @broker.task
    async def give() -> Any:
        return "many"

    @broker.task
    async def take(number: int) -> int:
        raise AssertionError("must not run")

    handle = await Pipeline(broker, give).call_next(take).kiq()
    assert (await handle.wait_result(timeout=20)).is_err
    (failure,) = await handle.failures()
    assert (failure.node, failure.kind) == ("take", "rejected")
    assert f"parameter 'number' of task '{take.task_name}'" in failure.failure.message
    assert "'many'" in failure.failure.message


# Values are not shared


@both_kinds
async def test_a_task_that_changes_its_input_changes_only_its_own(
    broker: InMemoryBroker, value: Any, kind: str
) -> None:
    def spoil(data: dict[str, list[int]]) -> int:
        data["items"].append(99)
        data["more"] = []
        return len(data["items"])

    async def spoil_later(data: dict[str, list[int]]) -> int:
        return spoil(data)

    task = broker.task(spoil if kind == "sync" else spoil_later)

    @broker.task
    async def look(data: dict[str, list[int]]) -> dict[str, list[int]]:
        return data

    given = {"items": [1, 2]}
    pipeline = Pipeline(broker).call_next(look).group(task, task, look)
    assert await value(pipeline, given) == [3, 3, {"items": [1, 2]}]
    assert given == {"items": [1, 2]}
    handle = await pipeline.kiq(given)
    given["items"].clear()
    assert (await handle.result(timeout=20))[2] == {"items": [1, 2]}
