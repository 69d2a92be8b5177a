"""The table, and the part of ``benchmarks/README.md`` that it is written into."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterable
from pathlib import Path

from benchmarks.measure import Row

__all__ = ["table", "write"]


def table(rows: Iterable[Row]) -> str:
    """Give rows as a Markdown table, with the versions that they are about.

    :param rows: The lines.
    """
    lines = ["| what | median | min–max | budget | besides |", "|---|---:|---:|---:|---|"]
    lines += [f"| {row.what} | {row.value} | {row.range} | {row.budget} | {row.note} |" for row in rows]
    versions = f"Python {platform.python_version()}, taskiq {importlib.metadata.version('taskiq')}"
    return "\n".join([*lines, "", f"Measured with {versions}."])


def write(text: str, path: Path, name: str = "table") -> None:
    """Put a table between the markers of a file.

    :param name: What the markers say: ``<!-- NAME -->`` and ``<!-- end of NAME -->``.
    :raises ValueError: the markers are not there.
    """
    first, last = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, begin, rest = path.read_text(encoding="utf-8").partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise ValueError(f"{path.name} has no lines {first!r} and {last!r} to write the table between")
    path.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")
