"""What the first version wrote stays readable, and is still written so where no library's version matters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from golden_arrays import ARRAYS, FOLDER, KEY, TABLES, alike

from golden_values import VALUES, kept
from taskiq_flow.serializer import Serializer
from taskiq_flow_serializers.arrow import ArrowSerializer
from taskiq_flow_serializers.cbor import CborSerializer
from taskiq_flow_serializers.msgpack import MsgpackSerializer
from taskiq_flow_serializers.numpy import NumpySerializer
from taskiq_flow_serializers.pickle import PickleSerializer

MAKERS: Mapping[str, tuple[Callable[[], Serializer], Mapping[str, tuple[Any, Any]]]] = {
    "msgpack": (MsgpackSerializer, VALUES),
    "cbor": (CborSerializer, VALUES),
    "numpy": (NumpySerializer, ARRAYS),
    "arrow": (ArrowSerializer, TABLES),
    "pickle": (lambda: PickleSerializer(KEY), VALUES),
}
# Pickles depend on what is shared in memory, the others on the version of their library.
ALWAYS_THE_SAME = ("msgpack", "cbor")

CASES = [(name, label) for name, (_, values) in MAKERS.items() for label in values]


@pytest.mark.parametrize("name", MAKERS)
def test_every_value_has_its_bytes(name: str) -> None:
    assert list(kept(FOLDER / f"{name}.txt")) == list(MAKERS[name][1])


@pytest.mark.parametrize(("name", "label"), CASES)
def test_kept_bytes_give_the_value(name: str, label: str) -> None:
    make, values = MAKERS[name]
    value, annotation = values[label]
    assert alike(make().loads(kept(FOLDER / f"{name}.txt")[label], annotation), value)


@pytest.mark.parametrize(("name", "label"), [case for case in CASES if case[0] in ALWAYS_THE_SAME])
def test_the_value_gives_the_kept_bytes(name: str, label: str) -> None:
    make, values = MAKERS[name]
    assert make().dumps(values[label][0]) == kept(FOLDER / f"{name}.txt")[label]


def test_what_msgpack_wrote_the_array_formats_read_too() -> None:
    for label, data in kept(FOLDER / "msgpack.txt").items():
        value, annotation = VALUES[label]
        assert alike(NumpySerializer().loads(data, annotation), value)
        assert alike(ArrowSerializer().loads(data, annotation), value)
