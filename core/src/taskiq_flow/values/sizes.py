"""Sizes of values: the default limits, and reading and writing sizes for people."""

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

Guards and filters do not fetch blobs; they treat them as true and as equal to nothing. Plain data that is false, or
that a guard may compare with, is shorter.
"""

DEFAULT_CLAIM_CHECK = 256 << 10
"""Bytes above which a value becomes a blob."""

DEFAULT_MAX_VALUE_BYTES = 256 << 20
"""The largest size of a serialized value in bytes, before codecs."""

_WRITTEN = re.compile(r"\d+(\.\d+)?\s*(b|[kmgtpe]i?b)?", re.IGNORECASE)


def parse_size(text: str) -> int:
    """Return the bytes of a size, such as ``1000``, ``256KiB``, ``1.5 GiB`` or ``5MB``.

    :raises ValueError: the text is not a size.
    """
    # pydantic alone would read "256,000" as 256 bytes, and "8kbit" as a thousand.
    if _WRITTEN.fullmatch(text.strip()) is None:
        raise ValueError(f"expected a number of bytes, such as 262144 or 256KiB, found {text!r}")
    return int(TypeAdapter(ByteSize).validate_python(text))


def claim_check_problem(threshold: int | None) -> str:
    """Describe why a threshold for blobs is invalid; empty when it is fine.

    :param threshold: Bytes above which a value becomes a blob; ``None`` for never.
    """
    if threshold is None or threshold >= LEAST_CLAIM_CHECK:
        return ""
    return f"must be at least {describe_size(LEAST_CLAIM_CHECK)}, because no shorter value becomes a blob, or 'none'"


def describe_size(size: int) -> str:
    """Return a size in the largest unit that it has one of, such as ``1.5 KiB``."""
    return ByteSize(size).human_readable(separator=" ")
