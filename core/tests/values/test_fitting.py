"""What a task returns fits its annotation, or fails its cell where it was made; what has succeeded can be read."""

from __future__ import annotations

import logging
from abc import ABC
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, NamedTuple, Protocol, TypedDict, Union

import pydantic
import pytest
from attrs import define
from pydantic import BaseModel, Field
from taskiq import InMemoryBroker

from taskiq_flow import DataflowPipeline, Flow, PayloadError, Pipeline, pipeline_task
from taskiq_flow.handle import RunHandle


class Paid(BaseModel):
    amount: int
    receipt: str = ""


class Refused(BaseModel):
    amount: int


class PaidTwice(Paid):
    again: int = 0


class PaidLoudly(Paid):
    def shout(self) -> str:
        return "PAID"


@dataclass
class Left:
    x: int


@dataclass
class Right:
    x: int


@define
class Box:
    x: int


class Row(NamedTuple):
    x: int
    day: date


class Options(TypedDict, total=False):
    since: date


class Shape(ABC):  # noqa: B024 - it only has to be a base
    pass


class Walks(Protocol):
    def walk(self) -> None: ...


@dataclass
class Circle(Shape):
    x: int


FITS: list[tuple[Any, Any]] = [
    (int, 5),
    (int, True),
    (float, 3),
    (bool, False),
    (Union[int, None], None),
    (list[int], [1, 2]),
    (list[int], (1, 2)),
    (Sequence[int], [1, 2]),
    (Mapping[str, int], {"a": 1}),
    (dict[str, Any], {"a": [1, None]}),
    (Paid, Paid(amount=1)),
    (Paid, {"amount": 1}),
    (Paid, PaidLoudly(amount=1)),
    (Options, {"since": date(2024, 5, 1)}),
    (Row, Row(1, date(2024, 5, 1))),
    (Box, Box(1)),
    (Union[int, str], "5"),
    (Union[int, float], 2.5),
    (Union[Paid, Left, None], Left(1)),
    (list[Union[Left, date]], [Left(1), date(2024, 5, 1)]),
    (Union[Paid, Refused], Paid(amount=1)),
    (Annotated[list[int], Field(min_length=2)], [1, 2]),
    (Any, object),
    (object, [1]),
    (Shape, Circle(1)),
    (Walks, Circle(1)),
    (type(None), None),
    (list[float], [1, 2.5]),
    (dict[str, Any], {"a": [1, "2"]}),
]

PYDANTIC = tuple(int(part) for part in pydantic.VERSION.split(".")[:2])
# Before pydantic 2.12 such a number is refused, and not rounded.
NOT_EQUAL = (
    "the task returned an int, which its annotation float would read as a float that"
    if PYDANTIC >= (2, 12)
    else "the task returned an int, which does not fit its annotation float"
)

MISFITS: list[tuple[Any, Any, str]] = [
    (
        int,
        None,
        "the task returned None, which does not fit its annotation int: input should be a valid integer",
    ),
    (
        int,
        2.5,
        "the task returned a float, which does not fit its annotation int: input should be a valid integer",
    ),
    (
        str,
        5,
        "the task returned an int, which does not fit its annotation str: input should be a valid string, found 5",
    ),
    (
        list[int],
        [1, "x"],
        "the task returned a list, which does not fit its annotation list[int]: at [1]: input should be",
    ),
    (
        int,
        "5",
        "the task returned a str, which its annotation int would read as an int that is not equal to it; ",
    ),
    (bool, "yes", "the task returned a str, which its annotation bool would read as a bool that"),
    (bytes, "abcd", "the task returned a str, which its annotation bytes would read as a bytes that"),
    (str, b"abcd", "the task returned a bytes, which its annotation str would read as a str that"),
    (
        list[int],
        [1, "2"],
        "the task returned a str, which its annotation list[int] would read as an int that",
    ),
    (
        dict[str, int],
        {1: 1},
        "the task returned an int, which its annotation dict[str, int] would read as a str",
    ),
    (float, 2**60 + 1, NOT_EQUAL),
    (type(None), 5, "the task returned an int, which does not fit its annotation None: "),
    (
        Paid,
        {"amounts": 1},
        "the task returned a dict, which does not fit its annotation Paid: at ['amount']: field required",
    ),
    (Paid, Left(1), "the task returned a Left, which does not fit its annotation Paid: "),
    (Annotated[list[int], Field(min_length=2)], [1], "list should have at least 2 items"),
    (Union[Paid, Refused], Refused(amount=5), "would read as a Paid; return what the annotation says"),
    (Union[Left, Right], Right(1), "would read as a Left; "),
    (list[Union[Left, Right]], [Left(1), Right(2)], "the task returned a Right, which its annotation "),
    (dict[str, Union[Left, Right]], {"a": Right(2)}, "the task returned a Right, which its annotation "),
    (Union[str, date], date(2024, 5, 1), "the task returned a date, which its annotation "),
    (
        Paid,
        PaidTwice(amount=1, again=2),
        "the task returned a PaidTwice, which its annotation Paid would read as a Paid; ",
    ),
    (
        list[Paid],
        [PaidTwice(amount=1)],
        "the task returned a PaidTwice, which its annotation list[",
    ),
]


async def start(annotation: Any, value: Any, *, processes: bool = False) -> RunHandle[Any]:
    broker = InMemoryBroker()

    def give() -> Any:
        return value

    give.__annotations__["return"] = annotation
    return await Pipeline(broker, broker.task(give)).kiq()


@pytest.mark.parametrize(("annotation", "value"), [row for row in FITS if row[1] is not object])
async def test_what_fits_comes_back(annotation: Any, value: Any) -> None:
    found = await (await start(annotation, value)).result(timeout=10)
    if isinstance(value, tuple) and annotation == list[int]:
        value = list(value)
    elif annotation is Paid:
        value = Paid(amount=1)
    elif isinstance(value, Circle):
        value = {"x": 1}
    assert found == value
    assert isinstance(found, type(value)) or annotation in (int, float)


@pytest.mark.parametrize(("annotation", "value", "wanted"), MISFITS)
async def test_what_does_not_fit_fails_its_cell(annotation: Any, value: Any, wanted: str) -> None:
    handle = await start(annotation, value)
    with pytest.raises(PayloadError) as caught:
        await handle.result(timeout=10)
    assert str(caught.value).startswith(f"output 'give' of task '{give_name(handle)}': the task returned ")
    assert wanted in str(caught.value)
    assert await handle.outputs() == {}
    assert [failed.cell for failed in await handle.failures()] == ["give"]
    assert (await handle.wait_result()).is_err


def give_name(handle: RunHandle[Any]) -> str:
    return str(getattr(handle.graph.nodes["give"], "task", ""))


async def test_the_other_outputs_stay() -> None:
    broker = InMemoryBroker()

    @broker.task
    @pipeline_task(outputs=["whole", "rest"])
    def split(x: int) -> tuple[int, str]:
        return x, x  # type: ignore[return-value]

    @broker.task
    @pipeline_task(output="total")
    def total(x: int) -> int:
        return x

    handle = await DataflowPipeline.from_tasks(broker, [total, split]).on_error("continue").kiq(x=1)
    with pytest.raises(
        PayloadError, match=r"^output 'rest' of task '.*split': the task returned an int, which does"
    ):
        await handle.result(timeout=10)
    assert await handle.outputs() == {"total": 1}


async def test_the_value_of_an_older_task_is_given_as_plain_data(caplog: pytest.LogCaptureFixture) -> None:
    broker = InMemoryBroker()

    def total(x: int) -> Any:
        return [x]

    task = broker.task(total)
    first = await Pipeline(broker, task).kiq(5)
    assert await first.result(timeout=10) == [5]
    changed = InMemoryBroker()
    flow = Flow(changed, store=Flow.of(broker).store)

    def later(x: int) -> int:
        return x

    changed.register_task(later, task.task_name)
    record = await flow.store.runs.get(first.id)
    bare = type(record.graph).from_json(record.graph.to_json())
    handle = flow.handle_of(
        type(record)(
            **{
                **{each: getattr(record, each) for each in ("id", "pool", "inputs", "outcome", "single")},
                "graph": bare,
            }
        )
    )
    with caplog.at_level(logging.WARNING, "taskiq_flow"):
        assert await handle.result(timeout=10) == [5]
    assert "output 'total' of run" in caplog.text
    assert "is given as plain data: the value does not fit int" in caplog.text
