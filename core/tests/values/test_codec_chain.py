"""Between values and payloads: which serializer and codecs wrote a payload, and who can read it."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Sequence
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from taskiq import InMemoryBroker

from carried_values import Masked, Shorter
from taskiq_flow import Flow
from taskiq_flow.errors import PayloadError, PluginError
from taskiq_flow.payloads import ClaimCheck, ListedValue, Payload
from taskiq_flow.serializer import ByteCodec, Serializer
from taskiq_flow.serializers.json import JsonSerializer
from taskiq_flow.values.codec import UNFETCHED_BLOB, Codec, make_codec

INSTALLED: dict[str, type[ByteCodec]] = {"shorter": Shorter, "masked": Masked}
LONG = "long " * 100


class Upper(JsonSerializer):
    """Another serializer, whose bytes differ."""

    name: ClassVar[str] = "upper"

    def dumps(self, value: Any) -> bytes:
        return b"U" + super().dumps(value)

    def loads(self, data: bytes, type_: Any = Any) -> Any:
        return super().loads(data[1:], type_)

    split = Serializer.split
    join = Serializer.join


def codec(*codecs: str | ByteCodec, **options: Any) -> Codec:
    return Codec(
        {"json": JsonSerializer, "upper": Upper}, "json", codecs=codecs, installed=INSTALLED, **options
    )


def test_the_id_names_what_wrote_a_payload_and_in_which_order() -> None:
    assert codec().encode(LONG).serializer == "json"
    both = codec("shorter", "masked").encode(LONG)
    assert both.serializer == "json+shorter+masked"
    assert both.data[0] == Masked().mask
    assert codec("masked", Shorter()).encode(LONG).serializer == "json+masked+shorter"
    assert codec("masked").encode(LONG, "upper").serializer == "upper+masked"


def test_a_codec_that_leaves_a_value_as_it_is_is_not_named() -> None:
    chain = codec("shorter", "masked")
    assert chain.encode(1).serializer == "json+masked"
    assert codec("shorter").encode(1) == Payload("json", b"1")
    assert chain.decode(chain.encode(1)) == 1


def test_what_one_configuration_wrote_another_reads() -> None:
    for writer in (codec(), codec("shorter"), codec("masked", "shorter"), codec("shorter", "masked")):
        for reader in (codec(), codec("masked")):
            assert reader.decode(writer.encode([LONG, 1]), list[Any]) == [LONG, 1]


def test_a_codec_given_as_an_object_reads_what_the_named_one_would_not() -> None:
    mine = codec(Masked(0x11))
    assert mine.decode(mine.encode("x")) == "x"
    with pytest.raises(PayloadError, match=r"^codec 'masked' cannot decode the value: another mask$"):
        codec().decode(mine.encode("x"))


def test_a_codec_that_is_not_installed_is_named_with_what_to_do() -> None:
    reader = Codec({"json": JsonSerializer}, "json")
    with pytest.raises(PayloadError) as caught:
        reader.decode(codec("shorter", "masked").encode(LONG))
    assert str(caught.value) == (
        "a payload was written as 'json+shorter+masked', and codec 'masked' is not installed here; there is none; "
        "install the plugin that offers it (taskiq-flow-serializers?)"
    )
    with pytest.raises(PayloadError, match="serializer 'upper', which is not installed here"):
        reader.decode(codec().encode(1, "upper"))


class Breaks(ByteCodec):
    name: ClassVar[str] = "breaks"

    def encode(self, data: bytes) -> bytes:
        raise KeyError("no")

    def decode(self, data: bytes) -> bytes:
        return bytearray(data)  # type: ignore[return-value]


def test_whatever_a_codec_raises_is_told_as_its_fault() -> None:
    with pytest.raises(PayloadError, match=r"^codec 'breaks' cannot encode the value: KeyError: 'no'$"):
        codec(Breaks()).encode(1)
    with pytest.raises(PayloadError, match=r"^codec 'breaks' must decode to bytes, found bytearray$"):
        codec(Breaks()).decode(Payload("json+breaks", b"1"))
    with pytest.raises(PayloadError, match="codec 'shorter' cannot decode the value: it is damaged"):
        codec("shorter").decode(Payload("json+shorter", codec("shorter").encode(LONG).data[:-5]))


class Plus(Masked):
    name: ClassVar[str] = "a+b"


@pytest.mark.parametrize(
    ("codecs", "message"),
    [
        (["masked", "masked"], "one stands there twice"),
        ([Masked(), "masked"], "one stands there twice"),
        ([Plus()], "is no codec; give the name of one"),
        ([Masked], "is no codec; give the name of one"),
    ],
)
def test_chains_that_cannot_be_are_refused(codecs: Sequence[Any], message: str) -> None:
    with pytest.raises(PluginError, match=message):
        codec(*codecs)


def test_names_with_a_plus_are_refused_because_ids_could_not_be_told_apart() -> None:
    with pytest.raises(PluginError, match=r"'a\+b' have '\+' in their names"):
        Codec({"json": JsonSerializer}, "json", installed={"a+b": Plus})


def test_lists_are_taken_apart_and_put_together_behind_the_codecs() -> None:
    chain = codec("shorter", "masked")
    items = chain.take_apart(chain.encode([1, LONG, [2]])).parts
    assert [item.serializer for item in items if isinstance(item, Payload)] == [
        "json+masked",
        "json+shorter+masked",
        "json+masked",
    ]
    assert [chain.decode(item) for item in items] == [1, LONG, [2]]
    flat = chain.flat(ListedValue(items))
    assert isinstance(flat, Payload)
    assert flat.serializer == "json+shorter+masked"
    assert chain.decode(flat) == [1, LONG, [2]]
    assert chain.decode(ListedValue((*items, ListedValue(items)))) == [1, LONG, [2], [1, LONG, [2]]]


def test_what_was_hidden_stays_hidden_where_nobody_was_told_to_hide_it() -> None:
    writer, driver = codec("masked"), codec()
    items = driver.take_apart(writer.encode(["secret", "secret"])).parts
    assert [item.serializer for item in items if isinstance(item, Payload)] == ["json+masked"] * 2
    mixed = driver.flat(ListedValue((driver.encode("plain"), *items)))
    assert isinstance(mixed, Payload)
    assert mixed.serializer == "json+masked"
    assert driver.decode(mixed) == ["plain", "secret", "secret"]


def test_parts_that_are_blobs_stay_apart() -> None:
    check = ClaimCheck("json", "k", 9)
    chain = codec("masked")
    flat = chain.flat(ListedValue((ListedValue((chain.encode(1), chain.encode(2))), check)))
    assert isinstance(flat, ListedValue)
    first, second = flat.parts
    assert isinstance(first, Payload)
    assert chain.decode(first) == [1, 2]
    assert second == check
    for action in (chain.decode, chain.take_apart):
        with pytest.raises(PayloadError, match="the blob 'k' must be fetched before"):
            action(check)


def test_guards_and_filters_see_something_true_in_the_place_of_a_blob() -> None:
    chain = codec("masked")
    check = ClaimCheck("json", "k", 9)
    assert chain.read(check) is UNFETCHED_BLOB
    assert UNFETCHED_BLOB
    assert [
        each for each in (None, True, 1, "", "k", [], {}, [UNFETCHED_BLOB]) if each == UNFETCHED_BLOB
    ] == []
    assert repr(UNFETCHED_BLOB) == "<a value kept as a blob>"


def test_a_list_is_read_with_something_in_the_place_of_its_blobs() -> None:
    chain = codec("masked")
    check = ClaimCheck("nowhere", "k", 9)
    # What stands in the place of a blob is not for a serializer: elements written by others are read as they are.
    inner = ListedValue((chain.encode([2], "upper"), check))
    value = ListedValue((check, chain.encode(1), inner, ListedValue((chain.encode(3), chain.encode(4)))))
    assert chain.read(value) == [UNFETCHED_BLOB, 1, [[2], UNFETCHED_BLOB], [3, 4]]
    damaged = ListedValue((check, Payload("json", b"{")))
    with pytest.raises(PayloadError):
        chain.read(damaged)


def test_a_value_that_is_too_large_is_refused_with_its_size_and_the_limit() -> None:
    limited = codec("shorter", max_value_bytes=1024)
    assert limited.decode(limited.encode("x" * 1022)) == "x" * 1022
    with pytest.raises(PayloadError) as caught:
        limited.encode("x" * 2046)
    assert str(caught.value) == (
        "the value has 2.0 KiB as json, more than the 1.0 KiB that a value may have; "
        "return a reference to where it is kept, or raise max_value_bytes"
    )


def test_codecs_hear_of_the_limit_unless_they_have_one() -> None:
    mine, other = Masked(), Shorter()
    other.max_bytes = 5
    codec(mine, other, max_value_bytes=1024)
    assert (mine.max_bytes, other.max_bytes, Masked().max_bytes) == (1024, 5, None)


def test_another_process_makes_the_same_codec_once() -> None:
    here = codec("shorter", Masked(0x11), max_value_bytes=1 << 20)
    first, second = (pickle.loads(pickle.dumps(here.recipe())) for _ in range(2))
    assert first == here.recipe()
    assert first != codec("shorter").recipe()
    there = make_codec(first)
    assert there is make_codec(second)
    assert there.decode(here.encode(LONG)) == LONG
    assert there.encode(LONG) == here.encode(LONG)
    assert there.max_value_bytes == 1 << 20


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab ", max_size=40),
    lambda inner: st.lists(inner, max_size=4),
)


@given(
    value=st.lists(VALUES, max_size=5),
    writer=st.permutations(["shorter", "masked"]).flatmap(
        lambda names: st.integers(0, 2).map(lambda count: names[:count])
    ),
    driver=st.sampled_from([[], ["masked"], ["shorter"]]),
    serializer=st.sampled_from(["json", "upper"]),
)
def test_apart_and_together_is_the_same_value(
    value: list[Any], writer: list[str], driver: list[str], serializer: str
) -> None:
    wrote, drove = codec(*writer), codec(*driver)
    items = drove.take_apart(wrote.encode(value, serializer)).parts
    assert [drove.read(item) for item in items] == value
    together = drove.flat(ListedValue(items))
    assert wrote.decode(together) == value


class Holds(Masked):
    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()

    def __repr__(self) -> str:
        return "Holds()"


def test_a_codec_that_cannot_be_sent_to_processes_is_refused_before_anything_runs() -> None:
    assert Flow(InMemoryBroker(), codecs=[Holds()])
    with pytest.raises(
        PluginError, match=r"^codec Holds\(\) cannot be sent to the processes of a flow: TypeError: .*lock"
    ):
        Flow(InMemoryBroker(), codecs=[Holds()], processes=1)


class Unmade(Masked):
    name: ClassVar[str] = "unmade"

    def __init__(self) -> None:
        raise OSError("no entropy")


def test_a_codec_that_cannot_be_made_is_named() -> None:
    installed: dict[str, type[ByteCodec]] = {"unmade": Unmade}
    with pytest.raises(PluginError, match=r"^codec 'unmade' cannot be made: OSError: no entropy$"):
        Codec({"json": JsonSerializer}, "json", codecs=["unmade"], installed=installed)
    reader = Codec({"json": JsonSerializer}, "json", installed=installed)
    with pytest.raises(
        PayloadError, match=r"^a payload was written as 'json\+unmade': codec 'unmade' cannot be made"
    ):
        reader.decode(Payload("json+unmade", b"1"))
