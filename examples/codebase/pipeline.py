"""The pipeline: tasks, joined by the names of what they take and produce.

From the root of the project::

    taskiq flow run examples.codebase.pipeline:pipeline
    taskiq flow run examples.codebase.pipeline:pipeline root=path/to/sources top=50 out=report --processes 2

A parameter with a default becomes an input that may be left out where ``inputs`` names it: ``root``, ``out``,
``top``, ``pattern`` and ``exclude``.

The tasks are small on purpose. The work is done by functions that know nothing of taskiq and can be tested,
timed or used without it; a pool process imports this module to find them.
"""

from __future__ import annotations

import time

from taskiq import InMemoryBroker

from examples.codebase import aggregate, analysis, cycles, listing
from examples.codebase.report import assemble_report, write_report
from examples.codebase.shapes import (
    Complexity,
    Documentation,
    FileReport,
    Imports,
    Making,
    Module,
    PackageSize,
    Report,
    Summary,
    Totals,
    Tree,
    Unreadable,
)
from taskiq_flow import DataflowPipeline, current_cell, pipeline_task

__all__ = ["broker", "pipeline"]

broker = InMemoryBroker()


@broker.task
@pipeline_task(outputs=["tree", "modules"], inputs=["root", "pattern", "exclude"])
def find_modules(
    root: str = "", pattern: str = "*.py", exclude: str = listing.EXCLUDED
) -> tuple[Tree, list[Module]]:
    """List the files below ``root``, by default those of the standard library."""
    return listing.find_modules(root, pattern, exclude)


@broker.task
def analyse(module: Module) -> FileReport:
    """Analyse one file."""
    return analysis.analyse_file(module)


@broker.task
@pipeline_task(output="totals")
def add_up(files: list[FileReport]) -> Totals:
    """Add up the whole tree."""
    return aggregate.add_up(files)


@broker.task
@pipeline_task(output="imports")
def join_imports(files: list[FileReport]) -> Imports:
    """Make the import graph and find its cycles."""
    return cycles.import_graph(files)


@broker.task
@pipeline_task(output="complexity", inputs=["files", "top"])
def rank_functions(files: list[FileReport], top: int = 25) -> Complexity:
    """Find the ``top`` most complex functions."""
    return aggregate.rank_functions(files, top)


@broker.task
@pipeline_task(output="documentation")
def rate_documentation(files: list[FileReport]) -> Documentation:
    """Count what has docstrings."""
    return aggregate.rate_documentation(files)


@broker.task
@pipeline_task(output="sizes")
def measure_packages(files: list[FileReport]) -> list[PackageSize]:
    """Measure the packages."""
    return aggregate.measure_packages(files)


@broker.task
@pipeline_task(output="unreadable")
def list_unreadable(files: list[FileReport]) -> list[Unreadable]:
    """List the files that do not parse."""
    return aggregate.list_unreadable(files)


@broker.task
@pipeline_task(output="workers")
def count_workers(files: list[FileReport]) -> dict[str, int]:
    """Count who analysed how many files."""
    return aggregate.count_workers(files)


@broker.task
@pipeline_task(output="report")
def assemble(
    workers: dict[str, int],
    tree: Tree,
    totals: Totals,
    imports: Imports,
    complexity: Complexity,
    documentation: Documentation,
    sizes: list[PackageSize],
    unreadable: list[Unreadable],
) -> Report:
    """Put all answers together."""
    cell = current_cell()
    made: Making = {
        "run": "" if cell is None else cell.run,
        "seconds": round(time.time() - tree["began"], 2),
        "workers": workers,
    }
    return assemble_report(made, tree, totals, imports, complexity, documentation, sizes, unreadable)


@broker.task
@pipeline_task(output="summary", inputs=["report", "out"])
def write(report: Report, out: str = "codebase-report") -> Summary:
    """Write the JSON and the HTML file into the folder ``out``."""
    return write_report(report, out)


pipeline = DataflowPipeline.from_tasks(
    broker,
    [
        find_modules,
        add_up,
        join_imports,
        rank_functions,
        rate_documentation,
        measure_packages,
        list_unreadable,
        count_workers,
        assemble,
        write,
    ],
    outputs=["summary"],
    name="codebase",
).map(analyse, over="modules", output="files")
