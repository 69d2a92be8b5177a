"""Encryption: what nobody can read or change unnoticed, and how keys are changed."""

from __future__ import annotations

import base64
import pickle
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from taskiq import InMemoryBroker

from taskiq_flow import Flow, MemoryStore, PayloadError, Pipeline, PluginError
from taskiq_flow.payloads import Payload
from taskiq_flow.serializer import ByteCodec
from taskiq_flow.testing import ByteCodecKit
from taskiq_flow_serializers.encryption import KEYS_VARIABLE, EncryptedCodec, generate_key

OLD, NEW = generate_key(), generate_key()


class TestEncrypted(ByteCodecKit):
    authenticates = True

    def make(self) -> ByteCodec:
        return EncryptedCodec([NEW, OLD])


@given(st.binary(max_size=500))
def test_everything_comes_back_and_nothing_looks_the_same_twice(data: bytes) -> None:
    codec = EncryptedCodec([NEW])
    first, second = codec.encode(data), codec.encode(data)
    assert first != second
    assert len(first) == len(data) + 33
    assert len(data) < 8 or data not in first
    assert codec.decode(first) == codec.decode(second) == data


def test_whatever_is_changed_is_noticed() -> None:
    codec = EncryptedCodec([NEW])
    sealed = codec.encode(b"a value")
    for place in range(len(sealed)):
        for bit in (1, 128):
            changed = bytearray(sealed)
            changed[place] ^= bit
            with pytest.raises(PayloadError):
                codec.decode(bytes(changed))
    for end in range(len(sealed)):
        with pytest.raises(PayloadError):
            codec.decode(sealed[:end])
    with pytest.raises(PayloadError, match=r"^it was changed, or cut, after it was encrypted$"):
        codec.decode(sealed + b"x")
    with pytest.raises(PayloadError, match=r"^it was not encrypted by this codec, or was cut$"):
        codec.decode(b"plain text that was never encrypted, however long")


def test_keys_are_changed_without_losing_what_was_written() -> None:
    before, between, after = EncryptedCodec([OLD]), EncryptedCodec([NEW, OLD]), EncryptedCodec([NEW])
    written = before.encode(b"old")
    assert between.decode(written) == b"old"
    assert after.decode(between.encode(b"new")) == b"new"
    with pytest.raises(PayloadError) as caught:
        after.decode(written)
    assert str(caught.value) == (
        f"it was encrypted with key {written[1:5].hex()}, and here are only {between.encode(b'')[1:5].hex()}; "
        "add that key to TASKIQ_FLOW_ENCRYPTION_KEYS, behind the first"
    )


def test_keys_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEYS_VARIABLE, f" {NEW} , {OLD},")
    codec = EncryptedCodec()
    assert codec.decode(EncryptedCodec([OLD]).encode(b"x")) == b"x"
    assert EncryptedCodec([NEW]).decode(codec.encode(b"x")) == b"x"


@pytest.mark.parametrize("value", [None, "", " , "])
def test_without_a_key_the_error_says_how_to_get_one(
    monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv(KEYS_VARIABLE, raising=False)
    if value is not None:
        monkeypatch.setenv(KEYS_VARIABLE, value)
    with pytest.raises(PluginError) as caught:
        Flow(InMemoryBroker(), codecs=["encrypted"])
    assert str(caught.value).startswith(
        "codec 'encrypted' has no key; set TASKIQ_FLOW_ENCRYPTION_KEYS to one (or to several, with commas between them)"
    )
    assert "generate_key" in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (NEW, "are a list, found one text"),
        (
            [NEW, "short"],
            "key 2 of codec 'encrypted' is not one; expected 32 bytes in base64, found another text",
        ),
        ([NEW[:-5]], "key 1 .* found another text"),
        ([base64.b64encode(b"16 bytes of key!").decode()], "found 16 bytes"),
        ([NEW.encode()], "found bytes"),
        ([""], "found 0 bytes"),
    ],
)
def test_what_is_no_key_is_refused_and_not_shown(keys: Any, message: str) -> None:
    with pytest.raises(PluginError, match=message) as caught:
        EncryptedCodec(keys)
    assert not any(len(str(key)) > 4 and str(key) in str(caught.value) for key in keys)


def test_keys_are_shown_nowhere_and_go_to_the_own_processes() -> None:
    codec = EncryptedCodec([NEW, OLD])
    assert NEW not in repr(codec)
    assert "EncryptedCodec(<keys " in repr(codec)
    flow = Flow(InMemoryBroker(), codecs=[codec])
    assert NEW not in repr(flow.codec.recipe())
    assert pickle.loads(pickle.dumps(codec)).decode(codec.encode(b"x")) == b"x"


def test_where_the_library_is_missing_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from taskiq_flow_serializers import encryption

    encryption._library.cache_clear()
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    with pytest.raises(PluginError, match=r'install "taskiq-flow-serializers\[encryption\]"$'):
        EncryptedCodec([NEW])


async def test_a_store_that_was_tampered_with_fails_the_reader_and_gives_no_other_value() -> None:
    broker, store = InMemoryBroker(await_inplace=True), MemoryStore()
    flow = Flow(broker, store=store, codecs=["zstd", EncryptedCodec([NEW])], claim_check="4KiB")

    @broker.task
    async def secret(size: int) -> str:
        return "".join(map(chr, range(200, 200 + size)))

    handle = await Pipeline(broker, secret).kiq(5000)
    assert len(await handle.result()) == 5000
    blobs = store._state.blobs[handle.id]
    (key,) = blobs
    assert b"secret" not in blobs[key]
    blobs[key] = blobs[key][:-1] + bytes([blobs[key][-1] ^ 1])
    with pytest.raises(PayloadError, match=r"does not match its key; it was changed"):
        await handle.result()
    assert flow.codec.codecs == ("zstd", "encrypted")


async def test_a_worker_with_another_key_fails_the_cell_with_the_key_that_it_lacks() -> None:
    broker = InMemoryBroker(await_inplace=True)
    flow = Flow(broker, codecs=[EncryptedCodec([NEW])])

    @broker.task
    async def size(value: str) -> int:
        return len(value)

    stranger = Payload("json+encrypted", EncryptedCodec([OLD]).encode(b'"x"'))
    flow.codec.encode = lambda value, serializer=None: stranger  # type: ignore[method-assign, misc, assignment]
    handle = await Pipeline(broker, size).kiq("x")
    with pytest.raises(
        PayloadError, match=r"^parameter 'value' of task '.*size': codec 'encrypted' .*encrypted with key"
    ):
        await handle.result()


def test_what_version_0_1_wrote_stays_readable() -> None:
    codec = EncryptedCodec(["AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="])
    golden = "013bed8fdd9d96d040c4732893e1fee03e1f4df0ce5eeb10f90ffdf3a0b7b8a60f4384cf7b338a70be434f1990da"
    assert codec.decode(bytes.fromhex(golden)) == b'{"a": [1, 2]}'
