"""Make one report of everything, and write it."""

from __future__ import annotations

import json
from pathlib import Path

from examples.codebase.charts import kinds_of, percent
from examples.codebase.page import render_page
from examples.codebase.shapes import (
    Complexity,
    Documentation,
    Imports,
    Making,
    PackageSize,
    Report,
    Summary,
    Totals,
    Tree,
    Unreadable,
)

__all__ = ["assemble_report", "write_report"]


def assemble_report(
    made: Making,
    tree: Tree,
    totals: Totals,
    imports: Imports,
    complexity: Complexity,
    documentation: Documentation,
    sizes: list[PackageSize],
    unreadable: list[Unreadable],
) -> Report:
    """Put the answers of all aggregations together."""
    return {
        "made": made,
        "tree": tree,
        "totals": totals,
        "imports": imports,
        "complexity": complexity,
        "documentation": documentation,
        "sizes": sizes,
        "unreadable": unreadable,
    }


def write_report(report: Report, out: str = "codebase-report") -> Summary:
    """Write ``report.json`` and ``report.html``.

    :param report: What is written.
    :param out: A folder; it is made if it is not there.
    :returns: The figures that matter, and where the files are.
    """
    folder = Path(out).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    json_file, html_file = folder / "report.json", folder / "report.html"
    json_file.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    html_file.write_text(render_page(report), encoding="utf-8")
    top = report["complexity"]["top"]
    coverage = report["documentation"]["library"]
    return {
        "files": report["totals"]["files"],
        "unreadable": report["totals"]["unreadable"],
        "lines": sum(kinds_of(report["totals"]["lines"])),
        "functions": report["totals"]["functions"],
        "most_complex": f"{top[0]['module']}.{top[0]['name']} ({top[0]['complexity']})" if top else "",
        "import_cycles": len(report["imports"]["cycles"]),
        "documented_percent": round(percent(coverage["documented"], coverage["total"]), 1),
        "json": str(json_file),
        "html": str(html_file),
    }
