"""Analyse one source file: its lines, functions, docstrings and imports.

The file is parsed, never imported or run.
"""

from __future__ import annotations

import ast
import os
import stat
import threading
import warnings
from bisect import bisect_left
from collections import Counter
from pathlib import Path

from examples.codebase.listing import printable
from examples.codebase.shapes import BANDS, LIMIT, Failure, FileReport, Function, Lines, Module
from examples.codebase.walk import Found, FoundFunction, walk

__all__ = ["analyse_file", "analyse_source", "band_of"]

# Filters for warnings belong to the whole process, and tasks may run in threads. Parsing holds the
# interpreter's lock anyway, so that nothing is lost by taking turns.
_PARSING = threading.Lock()

# What Python's own parser says of text that it refuses, besides a file that cannot be opened.
_UNREADABLE = (OSError, SyntaxError, ValueError, RecursionError, MemoryError)


def analyse_file(module: Module) -> FileReport:
    """Analyse a file; one that cannot be read or parsed gets a report that says so.

    :param module: A module of :func:`~examples.codebase.listing.find_modules`.
    :returns: A report of a few hundred bytes to a few kibibytes.
    """
    source = b""
    try:
        source = _content(Path(module["file"]))
        return analyse_source(source, module)
    except _UNREADABLE as error:
        return {**_empty(module, len(source)), "error": _failure(error)}


def analyse_source(source: bytes, module: Module) -> FileReport:
    """Analyse a file's content.

    :param source: The bytes, in the encoding that they declare (PEP 263).
    :param module: What the file is.
    :raises SyntaxError: If it is not Python; ``ValueError``, ``RecursionError`` and ``MemoryError`` say the
        same of null bytes and of expressions that are nested too deeply.
    """
    with _PARSING, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(source)
    found = walk(tree, module["name"], package=Path(module["path"]).stem == "__init__")
    bands = Counter(band_of(function.complexity) for function in found.functions)
    return {
        **_empty(module, len(source)),
        "lines": _count_lines(source, found),
        "classes": found.classes,
        "functions": len(found.functions),
        "complexity": sum(function.complexity for function in found.functions),
        "bands": [bands[band] for band in range(len(BANDS))],
        "complex": _most_complex(found.functions),
        "docs": found.docs,
        "imports": sorted(found.imports),
        "deferred": sorted(found.deferred - found.imports),
    }


def _content(path: Path) -> bytes:
    # Whoever opens a named pipe waits until somebody writes to it.
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError("not a regular file")
    return path.read_bytes()


def band_of(complexity: int) -> int:
    """Return the index in :data:`~examples.codebase.shapes.BANDS` for a complexity.

    >>> [band_of(complexity) for complexity in (1, 5, 6, 10, 50, 51)]
    [0, 0, 1, 1, 3, 4]
    """
    return bisect_left((5, 10, 20, 50), complexity)


def _count_lines(source: bytes, found: Found) -> Lines:
    # A blank line of a docstring is a docstring's, and what looks like a comment in another string of several
    # lines is code.
    kinds: dict[int, str] = {}
    for text in found.long_strings:
        kinds.update(dict.fromkeys(range(text.lineno + 1, (text.end_lineno or 0) + 1), "code"))
    for doc in found.docstrings:
        kinds.update(dict.fromkeys(range(doc.lineno, (doc.end_lineno or 0) + 1), "docstring"))
    counts: Counter[str] = Counter()
    # Python counts the three line ends as one; ``splitlines`` of bytes does the same.
    for number, line in enumerate(source.splitlines(), start=1):
        text_of_line = line.strip()
        own = (
            "code"
            if text_of_line and not text_of_line.startswith(b"#")
            else "comment"
            if text_of_line
            else "blank"
        )
        counts[kinds.get(number, own)] += 1
    return {
        "code": counts["code"],
        "docstring": counts["docstring"],
        "comment": counts["comment"],
        "blank": counts["blank"],
    }


def _most_complex(functions: list[FoundFunction]) -> list[Function]:
    ranked = sorted(functions, key=lambda function: (-function.complexity, function.line))
    kept = [function for rank, function in enumerate(ranked) if rank < 3 or function.complexity > LIMIT]
    return [{"name": each.name, "line": each.line, "complexity": each.complexity} for each in kept]


def _empty(module: Module, size: int) -> FileReport:
    return {
        "path": module["path"],
        "name": module["name"],
        "package": module["package"],
        "test": module["test"],
        "worker": f"{os.getpid()}/{threading.get_ident()}",
        "bytes": size,
        "lines": {"code": 0, "docstring": 0, "comment": 0, "blank": 0},
        "classes": 0,
        "functions": 0,
        "complexity": 0,
        "bands": [0] * len(BANDS),
        "complex": [],
        "docs": {},
        "imports": [],
        "deferred": [],
        "error": None,
    }


def _failure(error: BaseException) -> Failure:
    line = error.lineno if isinstance(error, SyntaxError) else None
    if isinstance(error, SyntaxError):
        text = error.msg
    elif isinstance(error, OSError):
        text = error.strerror or str(error)
    else:
        text = str(error)
    # Some versions of Python say nothing when a file is nested too deeply for their parser.
    return {
        "kind": type(error).__name__,
        "message": printable(text or "too much for the parser"),
        "line": line,
    }
