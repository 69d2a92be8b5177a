"""Reading ``name=value``."""

from __future__ import annotations

import enum
import re
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Any, Literal, Optional, Union
from uuid import UUID

import pytest

from taskiq_flow import Graph
from taskiq_flow.errors import UsageError
from taskiq_flow.graph import InputSpec
from taskiq_flow_cli.inputs import read_inputs


class Colour(str, enum.Enum):
    RED = "red"


def graph(annotation: Any = None) -> Graph:
    return Graph(nodes={}, inputs={"x": InputSpec(annotation=annotation)})


@pytest.mark.parametrize(
    ("word", "annotation", "value"),
    [
        ("x=1", None, 1),
        ("x=1", int, 1),
        ("x=1", str, "1"),
        ("x=1", Optional[str], "1"),
        ("x=null", Optional[str], "null"),
        ("x=1", "str | None", 1),  # an annotation that could not be resolved says nothing
        ("x=1", Path, "1"),
        ("x=1", Colour, "1"),
        ("x=1", Literal["1", "2"], "1"),
        ("x=1", Literal[1, 2], 1),
        ("x=1", Annotated[str, "note"], "1"),
        ("x=1", list[str], 1),
        ('x=["1"]', list[str], ["1"]),
        ("x=true", bool, True),
        ("x=yes", bool, "yes"),
        ("x=", None, ""),
        ("x=a=b", None, "a=b"),
        ("x=NaN", None, "NaN"),
        ("x=-1", None, -1),
        ("x:=1", str, 1),
        ('x:="1"', int, "1"),
        ("x:=null", Optional[str], None),
        ("x=1.10", Decimal, "1.10"),
        ("x=12345678901234567890.12", Optional[Decimal], "12345678901234567890.12"),
        ("x=null", Optional[Decimal], None),
        ("x=12345678123456781234567812345678", UUID, "12345678123456781234567812345678"),
        ("x=20240131", date, "2024-01-31"),
        ("x=20240131", Optional[datetime], "2024-01-31"),
        ("x=2024-01-31T09:30", datetime, "2024-01-31T09:30"),
        ("x=90", timedelta, 90),
        ("x=16909060", IPv4Address, "16909060"),
        ("x=5", Union[int, Decimal], 5),
        ("x=[1.10]", list[Decimal], [Decimal("1.10")]),
        ("x:=1.10", Decimal, Decimal("1.10")),
        ("x=[1.5]", list[float], [1.5]),
        (f"x={'[' * 99_999}", None, "[" * 99_999),
    ],
)
def test_a_value_is_json_or_text(word: str, annotation: Any, value: Any) -> None:
    found = read_inputs([word], graph(annotation))
    assert found == {"x": value}
    assert type(found["x"]) is type(value)


@pytest.mark.parametrize(
    ("text", "annotation"),
    [("1706659200", datetime), ("1.5", date), ("-1", datetime), ("1030", time), ("20240131", time)],
)
def test_digits_alone_are_no_moment(text: str, annotation: Any) -> None:
    with pytest.raises(UsageError, match=rf"input 'x' is {re.escape(text)}, .*2024-01-31T09:30; .*x:=…"):
        read_inputs([f"x={text}"], graph(annotation))


def test_names_are_left_to_the_check_at_submit() -> None:
    assert read_inputs(["stranger=1"], graph()) == {"stranger": 1}


def test_names_in_a_scope_have_dots() -> None:
    assert read_inputs(["left.x=1"], graph()) == {"left.x": 1}


def test_every_problem_is_listed() -> None:
    with pytest.raises(UsageError) as raised:
        read_inputs(["x=1", "x=2", "word", "=3", "y:=oops", "a-b=1", "a.=1"], graph())
    assert str(raised.value).splitlines() == [
        "input 'x' is given twice; give it once",
        "expected name=value, found 'word'",
        "expected name=value, found '=3'",
        "input 'y' is no JSON: Expecting value: line 1 column 1 (char 0); write y=… for text",
        "expected name=value, found 'a-b=1'",
        "expected name=value, found 'a.=1'",
    ]
