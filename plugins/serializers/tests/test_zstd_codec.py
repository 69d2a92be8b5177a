"""Compression: what becomes shorter, what stays, and what is not believed."""

from __future__ import annotations

import os
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from taskiq import InMemoryBroker

from taskiq_flow import Flow, PayloadError, Pipeline, PluginError
from taskiq_flow.payloads import Payload
from taskiq_flow.serializer import ByteCodec
from taskiq_flow.testing import ByteCodecKit
from taskiq_flow_serializers.zstd import ZstdCodec

TEXT = b"the same words again and again, " * 1000


class TestUsual(ByteCodecKit):
    def make(self) -> ByteCodec:
        return ZstdCodec()


class TestHard(ByteCodecKit):
    def make(self) -> ByteCodec:
        return ZstdCodec(22, min_bytes=0)


@given(
    st.binary(max_size=2000) | st.integers(0, 5000).map(bytes),
    st.integers(1, 22),
)
def test_everything_comes_back(data: bytes, level: int) -> None:
    codec = ZstdCodec(level, min_bytes=0)
    packed = codec.encode(data)
    assert packed is data or (len(packed) < len(data) and codec.decode(packed) == data)


def test_long_text_becomes_shorter_and_noise_or_little_stays_as_it_is() -> None:
    codec = ZstdCodec()
    assert len(codec.encode(TEXT)) < len(TEXT) / 50
    for data in (b"", b"1", b"a" * 255, os.urandom(5000)):
        assert codec.encode(data) is data
    assert codec.encode(b"a" * 256) is not None
    assert len(codec.encode(b"a" * 256)) < 256


def test_cut_and_changed_data_is_refused() -> None:
    codec = ZstdCodec()
    packed = codec.encode(TEXT)
    for damaged in (
        *(packed[:end] for end in range(len(packed))),
        packed + b"more",
        packed + packed,
        b"noise" * 9,
    ):
        with pytest.raises(PayloadError):
            codec.decode(damaged)


def test_a_bomb_is_refused_before_it_fills_the_memory() -> None:
    codec = ZstdCodec(max_bytes=1 << 20)
    bomb = zstandard.ZstdCompressor(level=19).compress(bytes(100 << 20))
    assert len(bomb) < 10_000
    with pytest.raises(PayloadError) as caught:
        codec.decode(bomb)
    assert str(caught.value) == (
        "the data would become 104857600 bytes long, and 1048576 are allowed; raise max_value_bytes where you trust it"
    )
    # Without its length in front, nobody could know how long it becomes.
    stream = zstandard.ZstdCompressor().compressobj()
    endless = stream.compress(bytes(100 << 20)) + stream.flush()
    with pytest.raises(PayloadError, match="does not say how long it was"):
        codec.decode(endless)


def test_a_bomb_in_a_payload_is_refused_by_the_limit_of_the_flow() -> None:
    flow = Flow(InMemoryBroker(), codecs=["zstd"], max_value_bytes="1MiB")
    bomb = Payload("json+zstd", zstandard.ZstdCompressor().compress(b'"' + bytes(2 << 20) + b'"'))
    with pytest.raises(
        PayloadError, match=r"^codec 'zstd' cannot decode the value: the data would become 2097154 bytes"
    ):
        flow.codec.decode(bomb)
    assert Flow(InMemoryBroker(), codecs=["zstd"], max_value_bytes=None).codec.decode(
        Payload("json+zstd", ZstdCodec().encode(b'"' + b"a" * (2 << 20) + b'"'))
    ) == "a" * (2 << 20)


@pytest.mark.parametrize("level", [0, 23, -1, 1.5, "3", True, None])
def test_levels_that_there_are_not_are_refused(level: Any) -> None:
    with pytest.raises(
        PluginError, match=r"^codec 'zstd' cannot be made: the level is .*; give a number from 1 to 22$"
    ):
        ZstdCodec(level)


def test_all_mistakes_are_told() -> None:
    with pytest.raises(
        PluginError, match=r"the level is 99; .*; min_bytes is -1; give a number of bytes, 0 or more"
    ):
        ZstdCodec(99, min_bytes=-1)


def test_one_object_works_in_several_threads_and_in_other_processes() -> None:
    codec = ZstdCodec(5, min_bytes=10, max_bytes=1 << 20)
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: codec.decode(codec.encode(TEXT)), range(50))) == {TEXT}
    copy = pickle.loads(pickle.dumps(codec))
    assert repr(copy) == repr(codec) == "ZstdCodec(level=5, min_bytes=10, max_bytes=1048576)"
    assert copy.decode(codec.encode(TEXT)) == TEXT


def test_where_the_library_is_missing_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(
        PluginError,
        match=r"^codec 'zstd' needs zstandard, which .*; install \"taskiq-flow-serializers\[zstd\]\"$",
    ):
        Flow(InMemoryBroker(), codecs=["zstd"])
    reader = Flow(InMemoryBroker())
    with pytest.raises(
        PayloadError, match=r"^a payload was written as 'json\+zstd': codec 'zstd' needs zstandard"
    ):
        reader.codec.decode(Payload("json+zstd", b"1"))


async def test_values_of_a_run_are_compressed() -> None:
    broker = InMemoryBroker(await_inplace=True)
    flow = Flow(broker, codecs=["zstd"])

    @broker.task
    async def words(count: int) -> list[str]:
        return ["word"] * count

    handle = await Pipeline(broker, words).kiq(1000)
    assert await handle.result() == ["word"] * 1000
    outcome = (await flow.store.runs.get(handle.id)).outcome
    assert outcome is not None
    (value,) = outcome.outputs.values()
    assert isinstance(value, Payload)
    assert value.serializer == "json+zstd"
    assert len(value.data) < 100


def test_what_version_0_1_wrote_stays_readable() -> None:
    golden = "28b52ffd605e0075000038676f6c64656e20010054528b11"
    assert ZstdCodec().decode(bytes.fromhex(golden)) == b"golden " * 50
