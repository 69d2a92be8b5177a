"""Known-bad codecs, each caught by the kit; good ones pass it."""

from __future__ import annotations

import hashlib
import hmac
import pickle
import threading
import zlib
from typing import Any, ClassVar

import pytest

from taskiq_flow.errors import PayloadError
from taskiq_flow.serializer import ByteCodec
from taskiq_flow.testing import ByteCodecKit, check_codec


class Deflate(ByteCodec):
    """A good one that compresses."""

    name: ClassVar[str] = "deflate"

    def encode(self, data: bytes) -> bytes:
        smaller = zlib.compress(data)
        return smaller if len(smaller) < len(data) else data

    def decode(self, data: bytes) -> bytes:
        machine = zlib.decompressobj()
        try:
            found = machine.decompress(data, (self.max_bytes or 2**31) + 1)
        except zlib.error as error:
            raise PayloadError(f"it cannot be decompressed: {error}") from None
        if self.max_bytes is not None and len(found) > self.max_bytes:
            raise PayloadError("it is too long")
        if not machine.eof:
            raise PayloadError("it was cut")
        return found


class Sealed(ByteCodec):
    """Encrypts after a fashion, and signs."""

    name: ClassVar[str] = "sealed"

    def encode(self, data: bytes) -> bytes:
        covered = self.covered(data)
        return hmac.digest(b"key", covered, "sha256") + covered

    def decode(self, data: bytes) -> bytes:
        if not hmac.compare_digest(hmac.digest(b"key", data[32:], "sha256"), data[:32]):
            raise PayloadError("it was tampered with")
        return self.covered(data[32:])

    def covered(self, data: bytes) -> bytes:
        stream = hashlib.shake_256(b"key").digest(len(data))
        return (int.from_bytes(data, "big") ^ int.from_bytes(stream, "big")).to_bytes(len(data), "big")


class TestDeflate(ByteCodecKit):
    def make(self) -> ByteCodec:
        return Deflate()


class TestSealed(ByteCodecKit):
    authenticates = True

    def make(self) -> ByteCodec:
        return Sealed()


class Plus(Deflate):
    name: ClassVar[str] = "a+b"


class Strips(Deflate):
    def encode(self, data: bytes) -> bytes:
        return zlib.compress(data.strip(b"\x00"))


class GivesViews(Deflate):
    def encode(self, data: bytes) -> Any:
        return bytearray(data)


class LeavesUnsaid(Deflate):
    """Gives an equal copy where it left the data as it was: the id says that it changed it."""

    def encode(self, data: bytes) -> bytes:
        smaller = super().encode(data)
        return smaller if smaller is not data else b"".join([data, b""]) or bytes(bytearray(data))


class Raises(Deflate):
    def decode(self, data: bytes) -> bytes:
        return zlib.decompress(data)


class AcceptsHalf(Deflate):
    def decode(self, data: bytes) -> bytes:
        try:
            return zlib.decompressobj().decompress(data, (self.max_bytes or 2**31) + 1)
        except zlib.error as error:
            raise PayloadError(str(error)) from None


class Explodes(Deflate):
    def decode(self, data: bytes) -> bytes:
        try:
            return zlib.decompress(data)
        except zlib.error as error:
            raise PayloadError(str(error)) from None


class Shares(Deflate):
    """Uses one place for all threads."""

    def __init__(self) -> None:
        self.here = threading.Barrier(2)
        self.last = b""

    def decode(self, data: bytes) -> bytes:
        self.last = super().decode(data)
        if threading.current_thread() is not threading.main_thread():
            try:
                # Two of the kit's threads meet here, whatever the machine; alone, one goes on.
                self.here.wait(0.5)
                return b""
            except threading.BrokenBarrierError:
                pass
        return self.last


class Pickles(ByteCodec):
    """Wraps the bytes in a pickle, and believes what is in it."""

    name = "pickles"

    def encode(self, data: bytes) -> bytes:
        return b"ACME" + pickle.dumps((len(data), data))

    def decode(self, data: bytes) -> bytes:
        try:
            length, found = pickle.loads(data.removeprefix(b"ACME"))
            assert length == len(found)
        except Exception as error:
            raise PayloadError(f"it cannot be read: {error}") from None
        return bytes(found)


class CompressesPickles(Pickles):
    def encode(self, data: bytes) -> bytes:
        return zlib.compress(super().encode(data))

    def decode(self, data: bytes) -> bytes:
        try:
            return super().decode(zlib.decompress(data))
        except zlib.error as error:
            raise PayloadError(f"it cannot be read: {error}") from None


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (Plus, "the name must not have a plus sign in it, found 'a+b'"),
        (Strips, "must come back as it was, found"),
        (GivesViews, "encode() must give bytes, found bytearray"),
        (LeavesUnsaid, "which it wrote, must be decoded, found PayloadError"),
        (Raises, "which it never wrote, must be refused with a PayloadError, found error"),
        (AcceptsHalf, "must be refused with a PayloadError, found b'some text"),
        (Explodes, "stop at max_bytes with a PayloadError"),
        (Pickles, "decode() ran code that was in the data"),
        (CompressesPickles, "decode() ran code that was in the data, b'x"),
        (Shares, "used from several threads at once, it mixes things up"),
    ],
)
def test_a_bad_codec_is_caught(bad: type[ByteCodec], said: str) -> None:
    with pytest.raises(AssertionError) as caught:
        check_codec(bad())
    assert said in str(caught.value)


class Unsigned(Sealed):
    def decode(self, data: bytes) -> bytes:
        return self.covered(data[32:])


class Signed(Sealed):
    """Signs, and hides nothing."""

    def covered(self, data: bytes) -> bytes:
        return data


@pytest.mark.parametrize(
    ("bad", "said"),
    [(Unsigned, "byte 0 was changed"), (Signed, "the input can be read in the output")],
)
def test_a_bad_cipher_is_caught(bad: type[ByteCodec], said: str) -> None:
    with pytest.raises(AssertionError) as caught:
        TestSealed.test_tampering(type("Kit", (TestSealed,), {"make": lambda _: bad()})())
    assert said in str(caught.value)
