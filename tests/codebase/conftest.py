"""Small source trees for the tests of the example."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent

import pytest
from examples.codebase import aggregate, analysis, cycles, listing
from examples.codebase.report import assemble_report
from examples.codebase.shapes import Report


@pytest.fixture
def tree(tmp_path: Path) -> Callable[[Mapping[str, str | bytes]], Path]:
    """Write files below a new folder; returns the folder."""

    def make(files: Mapping[str, str | bytes]) -> Path:
        for name, content in files.items():
            path = tmp_path / "tree" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else dedent(content).encode())
        return tmp_path / "tree"

    return make


@pytest.fixture
def report_of() -> Callable[[Path], Report]:
    """Do what the pipeline does, without it."""

    def report(root: Path) -> Report:
        found, modules = listing.find_modules(str(root))
        files = [analysis.analyse_file(each) for each in modules]
        return assemble_report(
            {"run": "", "seconds": 0.0, "workers": aggregate.count_workers(files)},
            found,
            aggregate.add_up(files),
            cycles.import_graph(files),
            aggregate.rank_functions(files),
            aggregate.rate_documentation(files),
            aggregate.measure_packages(files),
            aggregate.list_unreadable(files),
        )

    return report
