"""What guards may compare with is shorter than any blob, whichever serializer and codec wrote the value."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from taskiq_flow.errors import GraphError, PayloadError
from taskiq_flow.graph import Guard, Literal, TaskNode, build_graph
from taskiq_flow.serializer import Serializer
from taskiq_flow.serializers.json import JsonSerializer
from taskiq_flow.values.codec import Codec
from taskiq_flow.values.sizes import LEAST_CLAIM_CHECK
from taskiq_flow_serializers.cbor import CborSerializer
from taskiq_flow_serializers.encryption import EncryptedCodec, generate_key
from taskiq_flow_serializers.msgpack import MsgpackSerializer
from taskiq_flow_serializers.pickle import PickleSerializer


class Signed(PickleSerializer):
    """Pickles with a key for tests."""

    def __init__(self) -> None:
        super().__init__("a key for the tests")


SERIALIZERS: dict[str, type[Serializer]] = {
    "json": JsonSerializer,
    "msgpack": MsgpackSerializer,
    "cbor": CborSerializer,
    "pickle": Signed,
}
CODEC = Codec(SERIALIZERS, "json", codecs=[EncryptedCodec([generate_key()])])


def require_permission(value: Any) -> None:
    try:
        build_graph([TaskNode(name="a", task="t", when=Guard(Literal(1), value))])
    except GraphError:
        assume(False)


def longest_equal(value: Any) -> Any:
    """Give an equal value whose numbers take the most bytes."""
    if isinstance(value, list):
        return [longest_equal(each) for each in value]
    if isinstance(value, dict):
        return {key: longest_equal(each) for key, each in value.items()}
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, (bool, int)) and abs(value) < 1 << 53:
        return float(value)
    return value


_numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans()
_leaves = _numbers | st.none() | st.text(max_size=20)
_nested = st.recursive(
    _leaves,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5),
    max_leaves=6,
)
_values = _nested | st.builds(lambda value, times: [value] * times, _nested, st.integers(0, 350))


@pytest.mark.parametrize("serializer", SERIALIZERS)
@given(value=_values)
def test_what_equals_it_never_becomes_a_blob(serializer: str, value: Any) -> None:
    require_permission(value)
    for equal in (value, longest_equal(value)):
        assert equal == value
        try:
            payload = CODEC.encode(equal, serializer)
        except PayloadError:
            # MessagePack has no numbers of more than 64 bits.
            assume(serializer != "msgpack")
            raise
        assert len(payload.data) <= LEAST_CLAIM_CHECK


@pytest.mark.parametrize("serializer", SERIALIZERS)
@pytest.mark.parametrize(
    ("value", "equal"),
    [
        ([0] * 341, [0.0] * 341),
        ([0] * 341, [False] * 341),
        ([[]] * 256, [[]] * 256),
        ([""] * 256, [""] * 256),
        ("\N{SNOWMAN}" * 170, "\N{SNOWMAN}" * 170),
        ("\x00" * 170, "\x00" * 170),
    ],
    ids=["floats", "booleans", "lists", "empty texts", "symbols", "zeros"],
)
def test_the_longest_of_their_kind_stay_below(serializer: str, value: Any, equal: Any) -> None:
    build_graph([TaskNode(name="a", task="t", when=Guard(Literal(1), value))])
    assert value == equal
    assert len(CODEC.encode(equal, serializer).data) <= LEAST_CLAIM_CHECK


@pytest.mark.parametrize("serializer", ["json", "cbor", "pickle"])
def test_a_short_number_that_equals_a_long_one_counts_as_that(serializer: str) -> None:
    require_permission([1e300] * 3)
    assert len(CODEC.encode([int(1e300)] * 3, serializer).data) <= LEAST_CLAIM_CHECK
    with pytest.raises(GraphError, match="longer than 1024 bytes as JSON"):
        build_graph([TaskNode(name="a", task="t", when=Guard(Literal(1), [1e300] * 100))])
