"""Sizes as people write and read them: ``262144``, ``256 KiB``."""

from __future__ import annotations

import re

__all__ = [
    "DEFAULT_CLAIM_CHECK",
    "DEFAULT_MAX_VALUE_BYTES",
    "LEAST_CLAIM_CHECK",
    "claim_check_problem",
    "parse_size",
    "shown_size",
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

_UNITS = {"": 1, "b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}
_WRITTEN = re.compile(r"(\d+)\s*([a-z]*)", re.IGNORECASE)


def parse_size(text: str) -> int:
    """Give the bytes of a size, such as ``1000``, ``256KiB`` or ``1 GiB``.

    :raises ValueError: it is something else.
    """
    found = _WRITTEN.fullmatch(text.strip())
    if found is None or found[2].lower() not in _UNITS:
        raise ValueError(f"expected a number of bytes, such as 262144 or 256KiB, found {text!r}")
    return int(found[1]) * _UNITS[found[2].lower()]


def claim_check_problem(threshold: int | None) -> str:
    """Say why blobs cannot begin above a size; empty where they can.

    :param threshold: Bytes above which a value is kept as a blob; ``None`` for never.
    """
    if threshold is None or threshold >= LEAST_CLAIM_CHECK:
        return ""
    return f"must be at least {shown_size(LEAST_CLAIM_CHECK)}, because no shorter value becomes a blob, or 'none'"


def shown_size(size: int) -> str:
    """Give a size in the largest unit that it has one of."""
    for word, unit in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= unit:
            return f"{size / unit:.1f}".removesuffix(".0") + f" {word}"
    return f"{size} bytes"
