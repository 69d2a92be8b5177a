"""Sizes of values: the usual limits, and how people read and write them."""

from __future__ import annotations

import re

from pydantic import ByteSize, TypeAdapter

__all__ = [
    "DEFAULT_CLAIM_CHECK",
    "DEFAULT_MAX_VALUE_BYTES",
    "LEAST_CLAIM_CHECK",
    "claim_check_problem",
    "describe_size",
    "parse_size",
]

LEAST_CLAIM_CHECK = 4 << 10
"""Bytes up to which a value never becomes a blob, whatever is configured.

Guards and filters do not fetch blobs, and take them for true and for equal to nothing. Plain data that is false, or
that a guard may compare with, is shorter.
"""

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


def claim_check_problem(threshold: int | None) -> str:
    """Say why blobs cannot begin above a size; empty where they can.

    :param threshold: Bytes above which a value is kept as a blob; ``None`` for never.
    """
    if threshold is None or threshold >= LEAST_CLAIM_CHECK:
        return ""
    return f"must be at least {describe_size(LEAST_CLAIM_CHECK)}, because no shorter value becomes a blob, or 'none'"


def describe_size(size: int) -> str:
    """Give a size in the largest unit that it has one of, such as ``1.5 KiB``."""
    return ByteSize(size).human_readable(separator=" ")
