"""Values whose bytes are kept: what a serializer once wrote, it reads for ever.

The files in ``golden`` have a line for each value: its label, and its bytes in hexadecimal. To add values, extend a
table and run ``python core/tests/golden_values.py``, or the script of the plugin; what is there stays as it is.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, Optional, Union
from uuid import UUID

import attrs
from pydantic import BaseModel
from typing_extensions import TypedDict

from taskiq_flow.serializer import Serializer


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Point:
    x: int
    tags: set[str] = field(default_factory=set)
    raw: bytes = b""
    next: Optional[Point] = None


@attrs.frozen
class Track:
    title: str
    points: list[Point] = attrs.field(factory=list)
    _length: float = 0.0


class Row(TypedDict):
    at: datetime
    amount: Decimal


class Pair(NamedTuple):
    left: int
    right: str


class Report(BaseModel):
    title: str
    rows: list[Row] = []
    colour: Colour = Colour.RED


_UTC = datetime(2026, 2, 28, 23, 59, 59, 123456, tzinfo=timezone.utc)
_ELSEWHERE = _UTC.replace(tzinfo=timezone(timedelta(hours=5, minutes=30)))

#: By label: the value, and the annotation that it is read by.
VALUES: Mapping[str, tuple[Any, Any]] = {
    "none": (None, Any),
    "booleans": ([True, False], Any),
    "integers": ([0, -1, 127, 128, -129, 65536, 2**53 + 1, -(2**63), 2**64 - 1], Any),
    "large-integers": ([2**64, -(2**63) - 1, 10**40], list[int]),
    "floats": ([0.0, -0.0, 1.5, 1e-300, math.inf, -math.inf], Any),
    "text": (["", "žluťoučký 🐎 \u2028", 'a "quote"\n\x00'], Any),
    "containers": ({"b": [1, {"a": []}], "": {}}, Any),
    "bytes": (b"\xff\x00bytes", bytes),
    "tuple": ((1, "a", 2.5), tuple[int, str, float]),
    "set": ({"b", "a", "c"}, set[str]),
    "set-of-tuples": ({(2, "b"), (1, "a")}, set[tuple[int, str]]),
    "frozenset": (frozenset({3, 1, 2}), frozenset[int]),
    "integer-keys": ({2: "b", 1: "a"}, dict[int, str]),
    "moment": (_UTC, datetime),
    "moment-elsewhere": (_ELSEWHERE, datetime),
    "moment-without-zone": (_UTC.replace(tzinfo=None), datetime),
    "moments-before-1970": (datetime(1, 1, 1, tzinfo=timezone.utc), datetime),
    "date": (date(2026, 2, 28), date),
    "time": (time(23, 59, 59, 5), time),
    "duration": (timedelta(days=-1, microseconds=7), timedelta),
    "decimal": (Decimal("-1.10"), Decimal),
    "uuid": (UUID(int=2**127 + 5), UUID),
    "complex": (1.5 - 2j, complex),
    "path": (PurePosixPath("/a/b"), PurePosixPath),
    "enumeration": (Colour.BLUE, Colour),
    "named-tuple": (Pair(1, "a"), Pair),
    "typed-dictionary": ({"at": _UTC, "amount": Decimal("0.30")}, Row),
    "dataclass": (Point(1, {"a", "b"}, b"\xff", Point(2)), Point),
    "attrs": (Track("t", [Point(1)], 2.5), Track),
    "model": (Report(title="t", rows=[{"at": _UTC, "amount": Decimal("2.50")}]), Report),
    "union": ([UUID(int=1), "text", None], list[Union[UUID, str, None]]),
}


def kept(path: Path) -> dict[str, bytes]:
    """Give the bytes of a file, by label."""
    lines = path.read_text(encoding="ascii").splitlines() if path.exists() else []
    return {label: bytes.fromhex(data) for label, data in (line.split() for line in lines)}


def extend(path: Path, serializer: Serializer, values: Mapping[str, tuple[Any, Any]]) -> None:
    """Add lines for values that have none."""
    there = kept(path)
    new = {label: serializer.dumps(value) for label, (value, _) in values.items() if label not in there}
    path.write_text("".join(f"{label} {data.hex()}\n" for label, data in {**there, **new}.items()), "ascii")


if __name__ == "__main__":
    from golden_values import VALUES as importable
    from taskiq_flow.serializers.json import JsonSerializer

    extend(Path(__file__).parent / "golden" / "json.txt", JsonSerializer(), importable)
