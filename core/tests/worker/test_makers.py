"""A parameter that allows several classes gets what was made: by a side, a member, an item, or the task before it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Optional, Union

import pytest
from pydantic import BaseModel
from taskiq import InMemoryBroker

from taskiq_flow import DataflowPipeline, Failure, Pipeline, pipeline_task
from taskiq_flow.worker.makers import list_doubtful

tasks = InMemoryBroker()


class Paid(BaseModel):
    amount: int
    receipt: str = ""


class PaidTwice(Paid):
    again: int = 0


class Refused(BaseModel):
    amount: int


@dataclass
class Left:
    x: int


@dataclass
class Right:
    x: int


@tasks.task
def covered(amount: int) -> bool:
    return amount <= 100


@tasks.task
def pay(amount: int) -> Paid:
    return Paid(amount=amount)


@tasks.task
def pay_twice(amount: int) -> PaidTwice:
    return PaidTwice(amount=amount, again=amount)


@tasks.task
@pipeline_task(output="refused")
def refuse(amount: int) -> Refused:
    return Refused(amount=amount)


@tasks.task
def refuse_all(amount: int) -> list[Refused]:
    return [Refused(amount=amount)]


@tasks.task
@pipeline_task(outputs=["left", "right"])
def split(amount: int) -> tuple[Left, Right]:
    return Left(amount), Right(amount)


@tasks.task
def day(amount: int) -> date:
    return date(2024, 5, amount)


@tasks.task
def text(amount: int) -> str:
    return f"2024-05-0{amount}"


@tasks.task
def untyped(amount: int) -> Any:
    return {"amount": amount}


@tasks.task
def either(what: Union[Paid, Refused]) -> str:
    return type(what).__name__


@tasks.task
def perhaps(what: Optional[Union[Paid, Refused]]) -> str:
    return type(what).__name__


@tasks.task
def base(what: Paid) -> str:
    return f"{type(what).__name__} {getattr(what, 'again', None)}"


@tasks.task
def each(what: list[Union[Paid, Refused]]) -> list[str]:
    return [type(one).__name__ for one in what]


@tasks.task
def moment(what: Union[date, str]) -> str:
    return type(what).__name__


@tasks.task
def alone(amount: Any) -> bool:
    return False


@tasks.task
def row(amount: int) -> tuple[Paid, Refused, Refused]:
    return Paid(amount=amount), Refused(amount=amount), Refused(amount=amount)


@tasks.task
def by_number(amount: int) -> dict[int, Refused]:
    return {amount: Refused(amount=amount)}


@tasks.task
def refuse_large(amount: int) -> Refused:
    if amount > 100:
        raise ValueError(amount)
    return Refused(amount=amount)


@tasks.task
def anything(what: Any) -> Any:
    return what


@tasks.task
def last(what: list[Union[Paid, Refused]]) -> Refused:
    assert {type(one) for one in what} == {Refused}
    return Refused(amount=0)


@tasks.task
def keyed(what: dict[Union[int, str], Union[Paid, Refused]]) -> list[str]:
    return [f"{key!r} {type(one).__name__}" for key, one in what.items()]


@tasks.task
def nested(what: list[list[Union[Paid, Refused]]]) -> list[list[str]]:
    return [[type(one).__name__ for one in inner] for inner in what]


@tasks.task
def both(what: Union[Paid, Refused], other: Union[Paid, Refused]) -> str:
    return f"{type(what).__name__} {type(other).__name__}"


@tasks.task
def holes(what: list[Union[Paid, Refused, Failure, None]]) -> list[str]:
    return [type(one).__name__ for one in what]


@tasks.task
@pipeline_task(output="seen")
def sides(left: Union[Right, Left], right: Union[Left, Right], refused: Union[Paid, Refused]) -> list[str]:
    return [type(one).__name__ for one in (left, right, refused)]


def new() -> Pipeline[Any, Any]:
    return Pipeline(tasks)


def decide() -> Pipeline[Any, Any]:
    return new().branch(covered, pay, refuse)


CASES: list[tuple[str, Pipeline[Any, Any], Any, Any]] = [
    ("the task before", Pipeline(tasks, refuse).call_next(either), 5, "Refused"),
    ("a side", decide().call_next(either), 500, "Refused"),
    ("the other side", decide().call_next(perhaps), 50, "Paid"),
    (
        "a side effect between",
        Pipeline(tasks, refuse).call_after(day, amount=1).call_next(either),
        5,
        "Refused",
    ),
    ("members", new().group(refuse, pay, refuse).call_next(each), 5, ["Refused", "Paid", "Refused"]),
    ("a member that is a branch", new().group(decide(), pay).call_next(each), 500, ["Refused", "Paid"]),
    ("items", new().map(refuse).call_next(each), [5], ["Refused"]),
    ("an item", new().map(refuse).map(either), [5], ["Refused"]),
    ("an element", Pipeline(tasks, refuse_all).map(either), 5, ["Refused"]),
    ("a member's item", new().group(pay, refuse).map(either), 5, ["Paid", "Refused"]),
    ("within an item", new().map(decide().call_next(either)), [5, 500], ["Paid", "Refused"]),
    ("a subclass", Pipeline(tasks, pay_twice).call_next(base), 5, "PaidTwice 5"),
    ("the class itself", Pipeline(tasks, pay).call_next(base), 5, "Paid None"),
    ("a day", Pipeline(tasks, day).call_next(moment), 5, "date"),
    ("a text like a day", Pipeline(tasks, text).call_next(moment), 5, "str"),
    ("a map over sides", new().map(decide()).call_next(each), [50, 500], ["Paid", "Refused"]),
    ("an item of such a map", new().map(decide()).map(either), [50, 500], ["Paid", "Refused"]),
    (
        "a map in a map",
        new().map(new().map(refuse)).call_next(nested),
        [[5], [6]],
        [["Refused"], ["Refused"]],
    ),
    ("a part of a list", Pipeline(tasks, refuse_all).map(each, chunk=2), 5, [["Refused"]]),
    ("a part of a map", new().map(decide()).map(each, chunk=2), [5, 500, 6], [["Paid", "Refused"], ["Paid"]]),
    ("a part of a row", Pipeline(tasks, row).map(each, chunk=2), 5, [["Paid", "Refused"], ["Refused"]]),
    ("an element of a row", Pipeline(tasks, row).map(either), 5, ["Paid", "Refused", "Refused"]),
    ("a tree", Pipeline(tasks, refuse_all).reduce(last, tree=True).call_next(either), 5, "Refused"),
    (
        "a tree of levels",
        new().map(refuse).reduce(last, tree=True).call_next(either),
        [1, 2, 3, 4, 5],
        "Refused",
    ),
    ("a filter", new().map(refuse).filter(anything).call_next(each), [5], ["Refused"]),
    (
        "a filter over a task's list",
        Pipeline(tasks, refuse_all).filter(anything).call_next(each),
        5,
        ["Refused"],
    ),
    (
        "a filter over members",
        new().group(pay, refuse).filter(anything).call_next(each),
        5,
        ["Paid", "Refused"],
    ),
    ("an item of a filter", new().map(decide()).filter(anything).map(either), [5, 500], ["Paid", "Refused"]),
    (
        "what a map passes on",
        new().group(pay, refuse).map(new().branch(alone, anything)).call_next(each),
        5,
        ["Paid", "Refused"],
    ),
    ("a dictionary's values", Pipeline(tasks, by_number).map(either), 5, {5: "Refused"}),
    (
        "a dictionary that a map passes on",
        Pipeline(tasks, by_number).map(new().branch(alone, anything)).call_next(keyed),
        5,
        ["5 Refused"],
    ),
    (
        "a dictionary over sides",
        new().map(decide()).call_next(keyed),
        {"a": 5, "b": 500},
        ["'a' Paid", "'b' Refused"],
    ),
    (
        "places that are filled with None",
        new().map(refuse_large, skip_errors="none").call_next(holes),
        [5, 500],
        ["Refused", "NoneType"],
    ),
    (
        "places that are filled with failures",
        new().map(refuse_large, skip_errors="failure").map(holes, chunk=2),
        [5, 500],
        [["Refused", "Failure"]],
    ),
    (
        "a filled place in a part",
        new().map(refuse_large, skip_errors="none").map(holes, chunk=2),
        [5, 500],
        [["Refused", "NoneType"]],
    ),
    (
        "members beside one that failed",
        new().group(decide(), refuse, refuse_large).call_next(holes),
        500,
        ["Refused", "Refused", "Failure"],
    ),
    ("nobody knows", Pipeline(tasks, untyped).call_next(either), 5, "Paid"),
]


@pytest.mark.parametrize(
    ("pipeline", "given", "wanted"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
async def test_an_argument_is_what_was_made(pipeline: Pipeline[Any, Any], given: Any, wanted: Any) -> None:
    assert await (await pipeline.kiq(given)).result(timeout=10) == wanted


async def test_zipped_lists_are_what_was_made() -> None:
    pipeline = DataflowPipeline(tasks).map(decide(), "amounts", "decided").map(refuse, "amounts", "refusals")
    pipeline.map(both, ["decided", "refusals"], "seen")
    found = await pipeline.kiq_dataflow(amounts=[5, 500])
    assert found["seen"] == ["Paid Refused", "Refused Refused"]


async def test_outputs_go_to_parameters_as_they_were_made() -> None:
    pipeline = DataflowPipeline.from_tasks(tasks, [split, refuse, sides], outputs=["seen"])
    assert await pipeline.kiq_dataflow(amount=1) == {"seen": ["Left", "Right", "Refused"]}


def test_only_what_looks_alike_is_doubtful() -> None:
    accepts: dict[str, Any] = {
        "number": Union[int, float, None],
        "text": Union[str, int],
        "model": Refused,
        "base": Paid,
        "either": Union[Left, Right],
        "optional": Optional[Refused],
        "many": dict[str, list[Union[Left, Right]]],
        "day": Union[date, str],
    }
    assert list_doubtful(accepts) == {"base", "either", "many", "day"}
