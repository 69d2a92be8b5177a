"""MessagePack and CBOR beyond their kit: exact bytes, what comes back without an annotation, what is refused."""

from __future__ import annotations

import dataclasses
import enum
import math
import os
import subprocess
import sys
import uuid
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from taskiq_flow.errors import PayloadError
from taskiq_flow.serializer import Serializer
from taskiq_flow.testing._values import same
from taskiq_flow_serializers.cbor import CborSerializer
from taskiq_flow_serializers.msgpack import MsgpackSerializer

BOTH = [MsgpackSerializer(), CborSerializer()]
UTC = timezone.utc
both = pytest.mark.parametrize("serializer", BOTH, ids=["msgpack", "cbor"])


class Colour(enum.Enum):
    RED = "red"


class Word(str, enum.Enum):
    YES = "yes"


class Several(enum.Enum):
    PAIR = (1, 2)


class Model(BaseModel):
    raw: bytes = b""
    number: float = 0.0
    names: set[str] = set()


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)
    pair: tuple[int, int] = (1, 2)
    at: datetime = datetime(2026, 1, 2)
    names: set[str] = {"a"}
    colour: Colour = Colour.RED
    id: uuid.UUID = uuid.UUID(int=1)


@dataclasses.dataclass(frozen=True)
class Key:
    a: int


@attrs.frozen
class Track:
    title: str
    at: datetime | None = None
    _length: Decimal = Decimal(0)


@both
@pytest.mark.parametrize(
    "value",
    [
        b"\xff\x00",
        datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
        datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=-3, minutes=-30))),
        datetime.min.replace(tzinfo=UTC),
        datetime.max.replace(tzinfo=UTC),
        date(2026, 1, 2),
        Decimal("1.10"),
        Decimal("-5E+3"),
        uuid.UUID(int=7),
        {1, 2},
        {(1, (2, 3)), (4, (5, 6))},
        2**64,
        -(2**63) - 1,
        10**400,
        {1: "a", None: "b", 1.5: "c", (1, 2): ["d"], b"e": {}},
        {"": {frozenset({1}): [1, (2,)][:1]}},
    ],
)
def test_these_need_no_annotation(serializer: Serializer, value: Any) -> None:
    assert same(serializer.loads(serializer.dumps(value)), value)


@pytest.mark.parametrize("value", [datetime(2026, 1, 2), time(1, 2, tzinfo=UTC), timedelta(1, 2, 3), 1 + 2j])
def test_msgpack_has_extensions_where_cbor_has_text(value: Any) -> None:
    assert same(MsgpackSerializer().loads(MsgpackSerializer().dumps(value)), value)
    assert type(CborSerializer().loads(CborSerializer().dumps(value))) is str
    assert same(CborSerializer().loads(CborSerializer().dumps(value), type(value)), value)


@both
@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (Model(raw=b"\xff", number=math.inf, names={"b", "a"}), Model),
        (Strict(), Strict),
        (Word.YES, Word),
        ([Colour.RED], list[Colour]),
        (Track("a", datetime(2026, 1, 2, tzinfo=UTC), Decimal("1.5")), Track),
        ({"k": [Track("a"), None]}, dict[str, list[Track | None]]),
        ({Key(1), Key(2)}, set[Key]),
        ({frozenset({(1, 2)})}, set[frozenset[tuple[int, int]]]),
        ({(1, 2): "a"}, dict[tuple[int, int], str]),
        (Fraction(1, 3), Fraction),
        (PurePosixPath("/a"), PurePosixPath),
        (uuid.UUID(int=1), uuid.UUID | str),
        ("x", uuid.UUID | str),
        (b"x", str | bytes),
    ],
)
def test_these_come_back_by_their_annotations(serializer: Serializer, value: Any, annotation: Any) -> None:
    assert same(serializer.loads(serializer.dumps(value), annotation), value)


@both
@pytest.mark.parametrize(
    ("value", "said"),
    [
        (object(), "type object as"),
        ({"a": [1, {"b": int}]}, "type type (at result['a'][1]['b']) as"),
        (Model(names={"\ud800"}), "type str (at result.names, element '\\ud800')"),
        ({"a": {Key(1): 2}}, "type dict (at result['a']) as"),
        ([{Key(1): 2}], "a record (Key) cannot be read back as a key"),
        (range(3), "type range"),
        (Decimal("1E+1000000"), "a decimal has the exponent 1000000"),
    ],
)
def test_what_cannot_be_written_is_named(serializer: Serializer, value: Any, said: str) -> None:
    with pytest.raises(PayloadError) as caught:
        serializer.dumps(value)
    assert said in str(caught.value)
    assert serializer.name in str(caught.value)


@both
def test_a_value_that_holds_itself_is_refused(serializer: Serializer) -> None:
    itself: dict[str, Any] = {}
    itself["a"] = [itself]
    with pytest.raises(PayloadError, match="it contains itself"):
        serializer.dumps(itself)


@both
def test_sets_are_the_same_bytes_in_every_process(serializer: Serializer) -> None:
    code = (
        f"from {type(serializer).__module__} import {type(serializer).__name__} as S;"
        "print(S().dumps([set('abcdefgh'), {'x': frozenset({'one', 'two', frozenset({'a', 'b'})})}]).hex())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(found) == 1


@pytest.mark.parametrize(
    ("value", "data"),
    [
        ([1, None, "a"], "9301c0a161"),
        ({"b": b"\xff"}, "81a162c401ff"),
        (datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), "d6ff00000001"),
        ({2, 1}, "c70308920102"),
        (2**64, "c70907010000000000000000"),
        (Decimal("1.5"), "c70305312e35"),
    ],
)
def test_msgpack_writes_what_the_documentation_says(value: Any, data: str) -> None:
    assert MsgpackSerializer().dumps(value).hex() == data


@pytest.mark.parametrize(
    ("value", "data"),
    [
        ([1, None, "a"], "8301f66161"),
        ({"b": b"\xff"}, "a1616241ff"),
        (datetime(1970, 1, 1, tzinfo=UTC), "c074" + b"1970-01-01T00:00:00Z".hex()),
        ({2, 1}, "d90102820102"),
        (2**64, "c249010000000000000000"),
        (Decimal("1.5"), "c482200f"),
    ],
)
def test_cbor_writes_registered_tags(value: Any, data: str) -> None:
    assert CborSerializer().dumps(value).hex() == data


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.datetimes(timezones=st.just(UTC))
    | st.dates()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.uuids()
    | st.sets(st.integers() | st.text()),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text() | st.integers() | st.tuples(st.integers()), inner)
    ),
    max_leaves=15,
)


@both
@given(value=plain)
def test_plain_data_survives_and_is_written_again_as_the_same_bytes(
    serializer: Serializer, value: Any
) -> None:
    data = serializer.dumps(value)
    found = serializer.loads(data)
    assert found == value
    assert serializer.dumps(found) == data


@both
@given(values=st.lists(plain, max_size=20))
def test_a_list_survives_being_split_and_joined(serializer: Serializer, values: list[Any]) -> None:
    data = serializer.dumps(values)
    parts = serializer.split(data)
    assert parts == [serializer.dumps(value) for value in values]
    assert serializer.join(iter(parts)) == data


def test_msgpack_splits_without_decoding() -> None:
    # The second element has an extension that nobody knows.
    assert MsgpackSerializer().split(bytes.fromhex("9201d46300")) == [b"\x01", bytes.fromhex("d46300")]
    for data in ("9201", "92010203", "dd7fffffff01"):
        with pytest.raises(PayloadError):
            MsgpackSerializer().split(bytes.fromhex(data))
