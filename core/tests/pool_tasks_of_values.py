"""Tasks that run in other processes, and a codec that those make again."""

from __future__ import annotations

import os
from typing import ClassVar

from taskiq_flow.serializer import ByteCodec


class Reversed(ByteCodec):
    """Writes everything backwards."""

    name: ClassVar[str] = "reversed"

    def encode(self, data: bytes) -> bytes:
        return data[::-1]

    def decode(self, data: bytes) -> bytes:
        return data[::-1]


def grow(word: str) -> str:
    return word * 1000


def where(word: str) -> list[int]:
    return [os.getpid(), len(word)]
