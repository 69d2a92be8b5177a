"""What passes between the steps: plain JSON data with names.

``TypedDict`` comes from ``typing_extensions`` because pydantic, which decodes the values, needs that one
below Python 3.12.
"""

from __future__ import annotations

from typing import Optional

from typing_extensions import TypedDict

__all__ = [
    "BANDS",
    "LIMIT",
    "Complexity",
    "Coverage",
    "Cycle",
    "Documentation",
    "Failure",
    "FileReport",
    "Function",
    "Imports",
    "Lines",
    "Module",
    "PackageDocs",
    "PackageEdge",
    "PackageSize",
    "Ranked",
    "RankedFunction",
    "Report",
    "Summary",
    "Totals",
    "Tree",
    "Unreadable",
]

LIMIT = 10
"""The upper limit for a function's complexity that McCabe (1976) calls reasonable, "but not magical"."""

BANDS = ("1–5", "6–10", "11–20", "21–50", "over 50")
"""Complexities are counted in these bands; :func:`~examples.codebase.analysis.band_of` finds the index."""


class Tree(TypedDict):
    """Where the files come from."""

    root: str
    pattern: str
    exclude: list[str]
    python: str
    began: float


class Module(TypedDict):
    """A file that is to be analysed; ``path`` is relative to the root, ``file`` can be opened."""

    file: str
    path: str
    name: str
    package: str
    test: bool


class Lines(TypedDict):
    """A file's lines; each belongs to one kind."""

    code: int
    docstring: int
    comment: int
    blank: int


class Function(TypedDict):
    """A function or method, and its cyclomatic complexity."""

    name: str
    line: int
    complexity: int


class Coverage(TypedDict):
    """How many public things there are, and how many of them have a docstring."""

    documented: int
    total: int


class Failure(TypedDict):
    """Why a file could not be analysed."""

    kind: str
    message: str
    line: Optional[int]


class FileReport(TypedDict):
    """What one file comes to; all zero when ``error`` is set.

    ``bands`` counts the functions by complexity; ``complex`` holds every function above ``LIMIT``, and at
    least the three most complex ones. ``imports`` are dotted names that are imported when the module is,
    ``deferred`` those that are imported later, inside of a function, for type checkers only, or when the
    file is run as a program.
    """

    path: str
    name: str
    package: str
    test: bool
    worker: str
    bytes: int
    lines: Lines
    classes: int
    functions: int
    complexity: int
    bands: list[int]
    complex: list[Function]
    docs: dict[str, Coverage]
    imports: list[str]
    deferred: list[str]
    error: Optional[Failure]


class Ranked(TypedDict):
    """A name and how often it counts."""

    name: str
    count: int


class Cycle(TypedDict):
    """Modules that import each other when they are loaded: a strongly connected component.

    ``path`` is a shortest way from its first module back to itself.
    """

    modules: list[str]
    path: list[str]


class PackageEdge(TypedDict):
    """How many modules of one package import modules of another; ``circular`` if there is a way back."""

    source: str
    target: str
    count: int
    circular: bool


class Imports(TypedDict):
    """The import graph; counts are of pairs of modules inside of the tree.

    ``packages`` joins the packages that have most to do with each other, without tests.
    """

    modules: int
    edges: int
    deferred_edges: int
    packages: list[PackageEdge]
    cycles: list[Cycle]
    tangled: int
    tangled_with_deferred: int
    most_imported: list[Ranked]
    most_importing: list[Ranked]
    outside: list[Ranked]


class RankedFunction(TypedDict):
    """One of the most complex functions."""

    name: str
    module: str
    path: str
    line: int
    complexity: int
    test: bool


class Complexity(TypedDict):
    """How complex the functions are; ``bands`` and ``test_bands`` have a number for each of ``BANDS``."""

    functions: int
    mean: float
    above_limit: int
    bands: list[int]
    test_bands: list[int]
    top: list[RankedFunction]


class PackageDocs(TypedDict):
    """How much of a package has docstrings."""

    name: str
    documented: int
    total: int


class Documentation(TypedDict):
    """Documentation coverage; tests are counted apart, and are not in ``kinds`` and ``packages``."""

    library: Coverage
    tests: Coverage
    kinds: dict[str, Coverage]
    packages: list[PackageDocs]


class PackageSize(TypedDict):
    """How large a package is."""

    name: str
    files: int
    bytes: int
    functions: int
    complexity: int
    lines: Lines
    test: bool


class Unreadable(TypedDict):
    """A file that could not be analysed."""

    path: str
    kind: str
    message: str
    line: Optional[int]


class Totals(TypedDict):
    """The whole tree in numbers."""

    files: int
    test_files: int
    unreadable: int
    bytes: int
    lines: Lines
    classes: int
    functions: int
    packages: int


class Making(TypedDict):
    """The run that made the report: its id, its seconds up to the report, and who analysed how many files."""

    run: str
    seconds: float
    workers: dict[str, int]


class Report(TypedDict):
    """All of it, as it is written to the JSON file."""

    made: Making
    tree: Tree
    totals: Totals
    imports: Imports
    complexity: Complexity
    documentation: Documentation
    sizes: list[PackageSize]
    unreadable: list[Unreadable]


class Summary(TypedDict):
    """What the pipeline answers with; the rest is in the files."""

    files: int
    unreadable: int
    lines: int
    functions: int
    most_complex: str
    import_cycles: int
    documented_percent: float
    json: str
    html: str
