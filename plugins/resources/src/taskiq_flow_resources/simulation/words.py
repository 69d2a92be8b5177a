"""Numbers in the form that people read, for tables, charts and errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["amounts", "columns", "ratio", "seconds", "share"]


def seconds(value: float) -> str:
    """Write a time: ``0.42 s``, ``12.3 s``, ``4 min 05 s``, ``2 h 03 min``."""
    if value < 10:
        return f"{value:.3g} s" if value < 1 else f"{value:.2f} s"
    if value < 100:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def share(part: float) -> str:
    """Write a share of 1: ``87 %``."""
    return f"{100 * part:.0f} %"


def ratio(value: float) -> str:
    """Write a ratio: ``1.17 ×``."""
    return f"{value:.2f} ×"


def amounts(table: Mapping[str, float]) -> str:
    """Write amounts in the form of the command line: ``cpu=4, ram_mb=8192``."""
    return ", ".join(f"{name}={amount:.12g}" for name, amount in table.items())


def columns(rows: Sequence[Sequence[str]], *, left: int = 1) -> list[str]:
    """Align rows in columns, the first columns to the left and the others to the right.

    :param rows: The rows, with the heading first.
    :param left: The number of columns to align to the left.
    """
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return [
        "  ".join(
            text.ljust(width) if place < left else text.rjust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
