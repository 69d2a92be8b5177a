"""What a run gives is read by the annotation of whoever made it: a side, a member, an item, or the client."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

import pytest
from pydantic import BaseModel
from taskiq import InMemoryBroker

from taskiq_flow import Flow, Pipeline
from taskiq_flow.machine.wire import decode_value, encode_value
from taskiq_flow.payloads import (
    Chosen,
    ClaimCheck,
    ListedValue,
    Payload,
    bare,
    has_claim_checks,
    size_of_value,
)

broker = InMemoryBroker()


class Paid(BaseModel):
    amount: int
    receipt: str = ""


class Refused(BaseModel):
    amount: int


@dataclass
class Pair:
    left: int
    right: int = 0


class Point(NamedTuple):
    x: int
    y: int


@broker.task
def covered(amount: int) -> bool:
    return amount <= 100


@broker.task
def pay(amount: int) -> Paid:
    return Paid(amount=amount, receipt="R-1")


@broker.task
def refuse(amount: int) -> Refused:
    return Refused(amount=amount)


@broker.task
def refusals(amount: int) -> list[Refused]:
    return [Refused(amount=amount)]


@broker.task
def payments(amount: int) -> list[Paid]:
    return [Paid(amount=amount)]


@broker.task
def packed(amount: int) -> bytes:
    return b"abcd"


@broker.task
def told(amount: int) -> str:
    return "abcd"


@broker.task
def always(value: Any) -> bool:
    return True


@broker.task
def never(value: Any) -> bool:
    return False


@broker.task
def many(value: Any) -> bool:
    return isinstance(value, dict) and value["amount"] > 100


@broker.task
def point(value: int) -> Point:
    return Point(value, 0)


@broker.task
def colour(value: int) -> tuple[int, int, int]:
    return (value, 0, value)


@broker.task
def mixed(value: int) -> tuple[date, str, bytes]:
    return date(2024, 5, value), "abcd", b"abcd"


@broker.task
def is_short(value: Any) -> bool:
    return len(value) < 10


@broker.task
def positive(value: int) -> bool:
    return value > 0


@broker.task
def shout(value: str) -> str:
    return value.upper()


@broker.task
def later(day: date) -> None:
    pass


@broker.task
def measure(value: float) -> None:
    pass


@broker.task
def double(value: Any) -> Any:
    return value * 2


def new() -> Pipeline[Any, Any]:
    return Pipeline(broker)


def decide() -> Pipeline[Any, Any]:
    return new().branch(covered, pay, refuse)


CASES: list[tuple[str, Pipeline[Any, Any], Any, Any]] = [
    ("a side", decide(), 500, Refused(amount=500)),
    ("a side of text", new().branch(covered, packed, told), 500, "abcd"),
    ("a side of bytes", new().branch(covered, packed, told), 5, b"abcd"),
    (
        "the items of a map",
        new().map(decide()),
        [50, 500],
        [Paid(amount=50, receipt="R-1"), Refused(amount=500)],
    ),
    (
        "a map in a map",
        new().map(new().map(decide())),
        [[50], [500]],
        [[Paid(amount=50, receipt="R-1")], [Refused(amount=500)]],
    ),
    (
        "items with places for failures",
        new().map(decide(), skip_errors="none"),
        [50, 500],
        [Paid(amount=50, receipt="R-1"), Refused(amount=500)],
    ),
    ("a member of a group", new().group(decide(), told), 500, [Refused(amount=500), "abcd"]),
    ("a group in a side", new().branch(covered, pay, new().group(told, packed)), 500, ["abcd", b"abcd"]),
    ("a filter over a map", new().map(decide()).filter(many), [50, 500], [Refused(amount=500)]),
    ("filters in a row", new().map(decide()).filter(many).filter(always), [50, 500], [Refused(amount=500)]),
    (
        "a filter over a group",
        new().group(refuse, pay).filter(always),
        5,
        [Refused(amount=5), Paid(amount=5, receipt="R-1")],
    ),
    (
        "a filter that drops a member",
        new().group(told, refuse, pay).filter(many),
        500,
        [Refused(amount=500), Paid(amount=500, receipt="R-1")],
    ),
    (
        "a filter over a side",
        new().branch(covered, payments, refusals).filter(always),
        500,
        [Refused(amount=500)],
    ),
    (
        "an item that a body passes on",
        new().group(refuse, pay).map(new().branch(never, double)),
        5,
        [Refused(amount=5), Paid(amount=5, receipt="R-1")],
    ),
    (
        "a filter over a row of several kinds",
        Pipeline(broker, mixed).filter(always),
        2,
        [date(2024, 5, 2), "abcd", b"abcd"],
    ),
    ("a filter that drops an element", Pipeline(broker, mixed).filter(is_short), 2, ["abcd", b"abcd"]),
    (
        "an element that a body passes on",
        Pipeline(broker, mixed).map(new().branch(never, double)),
        2,
        [date(2024, 5, 2), "abcd", b"abcd"],
    ),
    ("a row of one side", new().branch(covered, mixed, told).filter(is_short), 2, ["abcd", b"abcd"]),
    ("a filter over a tuple", Pipeline(broker, colour).filter(positive), 2, [2, 2]),
    ("a filter over a row", Pipeline(broker, point).filter(positive), 2, [2]),
    ("a side that does not run", new().branch(never, shout), 5, 5),
    ("a side effect", new().call_after(measure, param_name="value"), "7", "7"),
    ("text beside a day", new().call_after(later, param_name="day"), "2024-05-01", "2024-05-01"),
    ("a day", new().call_after(later, param_name="day"), date(2024, 5, 1), date(2024, 5, 1)),
    ("a list that is passed on", new().filter(always), [1, "2", None], [1, "2", None]),
    ("numbers", new().filter(positive), [1, 2], [1, 2]),
    ("a pair that nobody takes", new().branch(never, double), Pair(1), Pair(1)),
]


@pytest.mark.parametrize(
    ("pipeline", "given", "wanted"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
async def test_a_value_is_read_as_it_was_made(pipeline: Pipeline[Any, Any], given: Any, wanted: Any) -> None:
    handle = await pipeline.kiq(given)
    found = await handle.result(timeout=10)
    assert found == wanted
    assert type(found) is type(wanted)
    assert await handle.outputs() == {next(iter(handle.graph.outputs)): wanted}
    again = await (await Flow.of(broker).run(handle.id)).result(timeout=10)
    if not isinstance(given, (Pair, str)):
        # Another process does not know what the client gave; it reads whatever tasks have made alike.
        assert again == wanted


CHOSEN = Chosen(1, ListedValue((Chosen(0, Payload("json", b"1")), ClaimCheck("json", "k", 7))))


def test_a_chosen_value_is_like_its_value() -> None:
    assert bare(CHOSEN) == ListedValue((Payload("json", b"1"), ClaimCheck("json", "k", 7)))
    assert has_claim_checks(CHOSEN)
    assert not has_claim_checks(Chosen(0, Payload("json", b"1")))
    assert size_of_value(CHOSEN) == 8
    assert decode_value(encode_value(CHOSEN)) == CHOSEN
