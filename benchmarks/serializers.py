"""Serializers side by side: what a value costs to write and to read, and how long it becomes, compared with JSON."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from functools import partial
from typing import Any

from attrs import frozen
from pydantic import BaseModel

from benchmarks.measure import Row, spread
from taskiq_flow.serializer import Serializer
from taskiq_flow.serializers.json import JsonSerializer

__all__ = ["rows"]

_BATCH_SECONDS = 0.02


class Person(BaseModel):
    """A model as tasks return them."""

    name: str
    age: int
    since: datetime
    tags: list[str]


@frozen
class Shape:
    """A value, and the annotation that it is read by."""

    what: str
    value: Any
    annotation: Any
    serializers: tuple[str, ...] = ("msgpack", "cbor", "pickle")


def rows(repeat: int) -> list[Row]:
    """Compare the serializers of the plugin with JSON, on a few shapes of values.

    :param repeat: How often each is measured; the sides take turns.
    """
    serializers = _serializers()
    return [row for shape in _shapes() for row in _rows(shape, serializers, repeat)]


def _rows(shape: Shape, serializers: dict[str, Serializer], repeat: int) -> Iterator[Row]:
    names = ["json", *(name for name in shape.serializers if name in serializers)]
    # JSON has no arrays; what a user would give it instead is their numbers.
    values = {name: shape.value if name != "json" else _plain(shape.value) for name in names}
    types = {name: shape.annotation if values[name] is shape.value else Any for name in names}
    data = {name: serializers[name].dumps(values[name]) for name in names}
    writing: dict[str, list[float]] = {name: [] for name in names}
    reading: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(repeat):
        for name in names:
            one = serializers[name]
            writing[name].append(_seconds(partial(one.dumps, values[name])))
            reading[name].append(_seconds(partial(one.loads, data[name], types[name])))
    for name in names[1:]:
        ratios = [
            (old + older) / (new + newer)
            for old, older, new, newer in zip(
                writing["json"], reading["json"], writing[name], reading[name], strict=True
            )
        ]
        yield Row(
            what=f"{shape.what} as {name}, written and read: speed of json's",
            value=f"{statistics.median(ratios):.2f}",
            range=spread(ratios),
            note=(
                f"written {_ratio(writing, name)}, read {_ratio(reading, name)}, "
                f"length {len(data[name]) / len(data['json']):.2f}"
            ),
        )


def _ratio(seconds: dict[str, list[float]], name: str) -> str:
    return f"{statistics.median(seconds['json']) / statistics.median(seconds[name]):.2f}"


def _seconds(call: Callable[[], object]) -> float:
    """Give the processor time of one call, from as many as fill a moment."""
    # Collecting garbage takes as long as the heap is large, which is nothing that a serializer can help.
    gc.collect()
    gc.disable()
    try:
        begun, calls = time.process_time(), 0
        while True:
            call()
            calls += 1
            spent = time.process_time() - begun
            if spent >= _BATCH_SECONDS:
                return spent / calls
    finally:
        gc.enable()


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else value


def _serializers() -> dict[str, Serializer]:
    from taskiq_flow_serializers.arrow import ArrowSerializer
    from taskiq_flow_serializers.cbor import CborSerializer
    from taskiq_flow_serializers.msgpack import MsgpackSerializer
    from taskiq_flow_serializers.numpy import NumpySerializer
    from taskiq_flow_serializers.pickle import PickleSerializer

    made: list[Serializer] = [
        JsonSerializer(),
        MsgpackSerializer(),
        CborSerializer(),
        NumpySerializer(),
        ArrowSerializer(),
        PickleSerializer("a key for the benchmarks"),
    ]
    return {each.name: each for each in made}


def _shapes() -> list[Shape]:
    import numpy
    import pyarrow

    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    records = [{"id": n, "name": f"name {n}", "score": n / 3, "on": True} for n in range(1000)]
    people = [Person(name=f"p{n}", age=n, since=at, tags=["a", "b"]) for n in range(1000)]
    numbers = numpy.linspace(0.0, 1.0, 100_000)
    return [
        Shape("one small dictionary", {"id": 1, "name": "name", "ok": True}, Any),
        Shape("1,000 records", records, Any),
        Shape("1,000 models", people, list[Person]),
        Shape("1 MB of bytes", bytes(range(256)) * 4096, bytes),
        Shape("100,000 numbers", numbers, numpy.ndarray, ("numpy",)),
        Shape("100,000 numbers in a column", pyarrow.array(numbers), pyarrow.Array, ("arrow",)),
    ]
