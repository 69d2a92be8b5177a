"""The codecs pass the kit."""

from __future__ import annotations

import pytest

from taskiq_flow.serializer import ByteCodec
from taskiq_flow.testing import ByteCodecKit

zstd = pytest.importorskip("taskiq_flow_serializers.zstd")
encryption = pytest.importorskip("taskiq_flow_serializers.encryption")


class TestZstd(ByteCodecKit):
    def make(self) -> ByteCodec:
        codec: ByteCodec = zstd.ZstdCodec()
        return codec


class TestEncrypted(ByteCodecKit):
    authenticates = True

    def make(self) -> ByteCodec:
        codec: ByteCodec = encryption.EncryptedCodec([encryption.generate_key()])
        return codec
