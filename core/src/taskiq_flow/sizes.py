"""Sizes of values: the usual limits, and how people read and write them."""

from __future__ import annotations

import re

from pydantic import ByteSize, TypeAdapter

__all__ = ["DEFAULT_CLAIM_CHECK", "DEFAULT_MAX_VALUE_BYTES", "describe_size", "parse_size"]

DEFAULT_CLAIM_CHECK = 256 << 10
"""Bytes above which a value is kept as a blob."""

DEFAULT_MAX_VALUE_BYTES = 256 << 20
"""How many bytes a value may have as its serializer gives it."""

_WRITTEN = re.compile(r"\d+(\.\d+)?\s*(b|[kmgtpe]i?b)?", re.IGNORECASE)


def parse_size(text: str) -> int:
    """Give the bytes of a size, such as ``1000``, ``256KiB``, ``1.5 GiB`` or ``5MB``.

    :raises ValueError: it is something else.
    """
    # Of "256,000" pydantic would read the beginning, and of "8kbit" a thousand bytes.
    if _WRITTEN.fullmatch(text.strip()) is None:
        raise ValueError(f"expected a number of bytes, such as 262144 or 256KiB, found {text!r}")
    return int(TypeAdapter(ByteSize).validate_python(text))


def describe_size(size: int) -> str:
    """Give a size in the largest unit that it has one of, such as ``1.5 KiB``."""
    return ByteSize(size).human_readable(separator=" ")
