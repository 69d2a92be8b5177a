"""Put the reports of all files together, each function for one question. They need nothing of one another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from examples.codebase.shapes import (
    BANDS,
    LIMIT,
    Complexity,
    Coverage,
    Documentation,
    FileReport,
    Lines,
    PackageDocs,
    PackageSize,
    RankedFunction,
    Totals,
    Unreadable,
)

__all__ = ["add_up", "list_unreadable", "measure_packages", "rank_functions", "rate_documentation"]


def add_up(files: Sequence[FileReport]) -> Totals:
    """Add up the whole tree."""
    return {
        "files": len(files),
        "test_files": sum(file["test"] for file in files),
        "unreadable": sum(file["error"] is not None for file in files),
        "bytes": sum(file["bytes"] for file in files),
        "lines": _lines(file["lines"] for file in files),
        "classes": sum(file["classes"] for file in files),
        "functions": sum(file["functions"] for file in files),
        "packages": len({file["package"] for file in files}),
    }


def count_workers(files: Sequence[FileReport]) -> dict[str, int]:
    """Count the files that each thread or process has analysed."""
    return dict(Counter(file["worker"] for file in files).most_common())


def rank_functions(files: Sequence[FileReport], top: int = 25) -> Complexity:
    """Find the most complex functions, and count all by complexity.

    :param files: A report for each file.
    :param top: How many functions to name.
    """
    functions = sum(file["functions"] for file in files)
    ranked: list[RankedFunction] = [
        {
            "name": function["name"],
            "module": file["name"],
            "path": file["path"],
            "line": function["line"],
            "complexity": function["complexity"],
            "test": file["test"],
        }
        for file in files
        for function in file["complex"]
    ]
    ranked.sort(key=lambda each: (-each["complexity"], each["path"], each["line"]))
    return {
        "functions": functions,
        "mean": round(sum(file["complexity"] for file in files) / functions, 2) if functions else 0.0,
        "above_limit": sum(each["complexity"] > LIMIT for each in ranked),
        "bands": _bands(file for file in files if not file["test"]),
        "test_bands": _bands(file for file in files if file["test"]),
        "top": ranked[: max(top, 0)],
    }


def rate_documentation(files: Sequence[FileReport]) -> Documentation:
    """Count which public modules, classes and functions have docstrings.

    Public is what does not stand inside of a function, and what no leading underscore makes private: neither
    that of its own name nor that of the class, the module or the package around it.
    """
    library = [file for file in files if not file["test"]]
    packages: dict[str, PackageDocs] = {}
    for file in library:
        entry = packages.setdefault(file["package"], {"name": file["package"], "documented": 0, "total": 0})
        of_file = _coverage(file["docs"].values())
        entry["documented"] += of_file["documented"]
        entry["total"] += of_file["total"]
    kinds = ("modules", "classes", "functions")
    return {
        "library": _coverage(part for file in library for part in file["docs"].values()),
        "tests": _coverage(part for file in files if file["test"] for part in file["docs"].values()),
        "kinds": {
            kind: _coverage(file["docs"][kind] for file in library if kind in file["docs"]) for kind in kinds
        },
        "packages": sorted(
            (entry for entry in packages.values() if entry["total"]),
            key=lambda entry: (-entry["total"], entry["name"]),
        ),
    }


def measure_packages(files: Sequence[FileReport]) -> list[PackageSize]:
    """Measure the packages, the one with most lines of code first."""
    groups: dict[str, list[FileReport]] = {}
    for file in files:
        groups.setdefault(file["package"], []).append(file)
    sizes: list[PackageSize] = [
        {
            "name": name,
            "files": len(group),
            "bytes": sum(file["bytes"] for file in group),
            "functions": sum(file["functions"] for file in group),
            "complexity": sum(file["complexity"] for file in group),
            "lines": _lines(file["lines"] for file in group),
            "test": all(file["test"] for file in group),
        }
        for name, group in groups.items()
    ]
    return sorted(sizes, key=lambda size: (-size["lines"]["code"], size["name"]))


def list_unreadable(files: Sequence[FileReport]) -> list[Unreadable]:
    """List the files that could not be analysed, and why."""
    return [{"path": file["path"], **error} for file in files if (error := file["error"]) is not None]


def _lines(counts: Iterable[Lines]) -> Lines:
    total: Lines = {"code": 0, "docstring": 0, "comment": 0, "blank": 0}
    for each in counts:
        total["code"] += each["code"]
        total["docstring"] += each["docstring"]
        total["comment"] += each["comment"]
        total["blank"] += each["blank"]
    return total


def _bands(files: Iterable[FileReport]) -> list[int]:
    counts: Counter[int] = Counter()
    for file in files:
        counts.update(dict(enumerate(file["bands"])))
    return [counts[band] for band in range(len(BANDS))]


def _coverage(parts: Iterable[Coverage]) -> Coverage:
    total: Coverage = {"documented": 0, "total": 0}
    for part in parts:
        total["documented"] += part["documented"]
        total["total"] += part["total"]
    return total
