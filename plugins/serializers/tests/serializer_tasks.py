"""Tasks of a module that other processes can import, and the values that they carry."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime, timezone

import attrs
import numpy
import pyarrow
from pydantic import BaseModel
from taskiq import InMemoryBroker

broker = InMemoryBroker()


class Person(BaseModel):
    name: str
    raw: bytes = b"\xff"
    tags: set[str] = set()


@attrs.frozen
class Stamp:
    at: datetime
    by: Person


@dataclass
class Batch:
    x: numpy.ndarray
    name: str


@broker.task
def people(count: int) -> list[Person]:
    return [Person(name=f"p{number}", tags={"a", "b"}) for number in range(count)]


@broker.task
def stamped(person: Person) -> Stamp:
    return Stamp(at=datetime(2026, 1, 2, tzinfo=timezone.utc), by=person)


@broker.task
async def wanted(stamp: Stamp) -> bool:
    return stamp.by.name != "p1"


@broker.task
def names(stamps: list[Stamp]) -> list[str]:
    return [stamp.by.name for stamp in stamps if stamp.by.raw == b"\xff" and stamp.by.tags == {"a", "b"}]


@broker.task
def matrix(rows: int) -> numpy.ndarray:
    return numpy.arange(rows * 2, dtype="f8").reshape(rows, 2)


@broker.task
def scaled(row: numpy.ndarray) -> Batch:
    row *= 2
    return Batch(row, str(os.getpid()))


@broker.task
def large(batch: Batch) -> numpy.bool_:
    return batch.x.sum() > 4


@broker.task
def total(batches: list[Batch]) -> numpy.float64:
    return numpy.sum([batch.x for batch in batches])


@broker.task
def positive(value: float) -> bool:
    return numpy.float64(value) > 0  # type: ignore[no-any-return]


@broker.task
async def yes(value: float) -> str:
    return f"yes {value}"


@broker.task
async def no(value: float) -> str:
    return f"no {value}"


@broker.task
def table(count: int) -> pyarrow.Table:
    return pyarrow.table({"n": list(range(count))})


@broker.task
def longer(table: pyarrow.Table) -> dict[str, pyarrow.Table]:
    return {"twice": pyarrow.concat_tables([table, table])}


@broker.task
def rows(tables: dict[str, pyarrow.Table]) -> int:
    return tables["twice"].num_rows
