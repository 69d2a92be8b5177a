"""Bytes that nobody here wrote: they are read or refused, run nothing, and cost little."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy
import pytest
from golden_arrays import ARRAYS, FOLDER, KEY, TABLES
from hypothesis import given
from hypothesis import strategies as st

from golden_values import VALUES, Point, kept
from taskiq_flow.errors import PayloadError
from taskiq_flow.serializer import Serializer
from taskiq_flow_serializers.arrow import ArrowSerializer
from taskiq_flow_serializers.cbor import CborSerializer
from taskiq_flow_serializers.msgpack import MsgpackSerializer
from taskiq_flow_serializers.numpy import NumpySerializer
from taskiq_flow_serializers.pickle import PickleSerializer

SERIALIZERS: list[Serializer] = [
    MsgpackSerializer(),
    CborSerializer(),
    NumpySerializer(),
    ArrowSerializer(),
    PickleSerializer(KEY),
]
every = pytest.mark.parametrize("serializer", SERIALIZERS, ids=[each.name for each in SERIALIZERS])


def reads_or_refuses(serializer: Serializer, data: bytes) -> None:
    for read in (serializer.loads, serializer.split, lambda data: serializer.loads(data, Point)):
        call: Callable[[bytes], Any] = read
        try:
            call(data)
        except PayloadError:
            continue


@every
@given(data=st.binary(max_size=200))
def test_noise_is_read_or_refused(serializer: Serializer, data: bytes) -> None:
    reads_or_refuses(serializer, data)


@every
@given(draw=st.data())
def test_what_was_changed_on_its_way_is_read_or_refused(serializer: Serializer, draw: st.DataObject) -> None:
    label = draw.draw(st.sampled_from(sorted(kept(FOLDER / f"{serializer.name}.txt"))))
    data = bytearray(kept(FOLDER / f"{serializer.name}.txt")[label])
    for _ in range(draw.draw(st.integers(1, 3))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    reads_or_refuses(serializer, bytes(data))


@given(
    head=st.sampled_from([0x10, 0x11, *range(0x20, 0x24), *range(1, 11), 0xFF]), data=st.binary(max_size=100)
)
def test_extensions_of_noise_are_read_or_refused(head: int, data: bytes) -> None:
    framed = bytes([0xC7, len(data), head]) + data
    for serializer in (MsgpackSerializer(), NumpySerializer(), ArrowSerializer()):
        reads_or_refuses(serializer, framed)


def npy(header: str, data: bytes = b"") -> bytes:
    text = header.encode().ljust(117) + b"\n"
    file = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data
    return b"\xc8" + len(file).to_bytes(2, "big") + b"\x10" + file


@pytest.mark.parametrize(
    ("serializer", "data"),
    [
        (MsgpackSerializer(), "dbffffffff61"),
        (MsgpackSerializer(), "c6ffffffff00"),
        (MsgpackSerializer(), "ddffffffff" + "c0" * 50),
        (MsgpackSerializer(), "dfffffffff" + "c0" * 50),
        (MsgpackSerializer(), "c9ffffffff0800"),
        (MsgpackSerializer(), "91" * 5000 + "c0"),
        (MsgpackSerializer(), ("dd0000ffff" * 400) + "c0"),
        (CborSerializer(), "7b00000001ffffffff61"),
        (CborSerializer(), "5b7fffffffffffffff00"),
        (CborSerializer(), "9b7fffffffffffffff00"),
        (CborSerializer(), "bb7fffffffffffffff00"),
        (CborSerializer(), "81" * 5000 + "00"),
        # A reference to itself, and references that double: the first bytes are no list of ours.
        (CborSerializer(), "d81c81d81d00"),
        (CborSerializer(), "82d81c820102d81d00"),
        (CborSerializer(), "d9010082616161d81900"),
        # A pattern, a message, a number of two thousand million digits, an unknown tag.
        (CborSerializer(), "d82363282b29"),
        (CborSerializer(), "d8246161"),
        (CborSerializer(), "c4821a7fffffff01"),
        (CborSerializer(), "c5821a7fffffff01"),
        (CborSerializer(), "d903e701"),
        (CborSerializer(), "0000"),
        (NumpySerializer(), npy("{'descr': '<f8', 'fortran_order': False, 'shape': (500000000,)}").hex()),
        (
            NumpySerializer(),
            npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-1, -8)}", b"." * 64).hex(),
        ),
        (
            NumpySerializer(),
            npy("{'descr': '|V0', 'fortran_order': False, 'shape': (4611686018427387904,)}").hex(),
        ),
        (
            NumpySerializer(),
            npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", b"\x80\x04N.").hex(),
        ),
        (NumpySerializer(), npy("{'descr': __import__('os').getcwd(), 'shape': ()}").hex()),
    ],
)
def test_bombs_are_refused_and_cost_little(serializer: Serializer, data: str) -> None:
    tracemalloc.start()
    try:
        for read in (serializer.loads, serializer.split):
            with pytest.raises(PayloadError):
                read(bytes.fromhex(data))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Room for the lists of empty places that a header within its bounds asks for.
    assert peak < 64_000_000


def test_the_bombs_above_differ_from_arrays_by_what_they_claim_alone() -> None:
    fine = npy("{'descr': '<f8', 'fortran_order': False, 'shape': (2,)}", numpy.ones(2).tobytes())
    assert NumpySerializer().loads(fine).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("serializer", SERIALIZERS[:4], ids=[each.name for each in SERIALIZERS[:4]])
def test_a_decimal_of_any_exponent_is_never_made_an_integer_of_that_many_digits(
    serializer: Serializer,
) -> None:
    msgpack = b"\xc7\x0d\x05" + b"1E+2147483647"
    with pytest.raises(PayloadError):
        serializer.loads(msgpack if serializer.name != "cbor" else bytes.fromhex("c4821a7fffffff01"), int)


@pytest.mark.parametrize("serializer", SERIALIZERS[:4], ids=[each.name for each in SERIALIZERS[:4]])
def test_a_decimal_of_a_million_digits_does_not_take_minutes(serializer: Serializer) -> None:
    """Making an integer of it, or it of an integer, takes time as the square of its length."""
    with pytest.raises(PayloadError, match="digits"):
        serializer.dumps(Decimal("9" * 100_001))
    mantissa = (1 << 3_330_000).to_bytes(416_251, "big")
    data = b"\xc9" + (1_000_000).to_bytes(4, "big") + b"\x05" + b"9" * 1_000_000
    if serializer.name == "cbor":
        data = b"\xc4\x82\x00\xc2\x5a" + len(mantissa).to_bytes(4, "big") + mantissa
    for type_ in (int, Decimal, Any):
        with pytest.raises(PayloadError):
            serializer.loads(data, type_)
    largest = Decimal("9" * 100_000)
    assert serializer.loads(serializer.dumps(largest)) == largest


def test_the_values_of_the_golden_files_are_more_than_noise() -> None:
    assert len(VALUES) > 20
    assert len(ARRAYS) > 5
    assert len(TABLES) > 3
