"""Tasks that run in other processes, and a codec that those make again."""

from __future__ import annotations

import os
from typing import Any, ClassVar

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


def tell_cell(number: int) -> list[Any]:
    """Return the run, the cell and the attempt that this is executed for."""
    from taskiq_flow import current_cell

    cell = current_cell()
    return [] if cell is None else [cell.run, cell.cell, cell.attempt]
