"""The report as one HTML file that needs nothing else: no scripts, no fonts, no images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from examples.codebase import charts
from examples.codebase.shapes import LIMIT, Cycle, Report
from examples.codebase.style import CSS
from examples.codebase.svg import escaped, number, tag

__all__ = ["render_page"]

_SHOWN = 25


def render_page(report: Report) -> str:
    """Return the page."""
    title = f"Code report: {report['tree']['root']}"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", escaped(title)),
        tag("style", CSS),
    )
    parts = (_header, _sizes, _complexity, _documentation, _imports, _unreadable, _making)
    body = tag("body", tag("main", *(part(report) for part in parts)))
    return f'<!DOCTYPE html>\n<html lang="en">{head}{body}</html>\n'


def _header(report: Report) -> str:
    tree, totals = report["tree"], report["totals"]
    coverage = report["documentation"]["library"]
    facts = [
        (number(totals["files"]), "files", f"{number(totals['test_files'])} of them tests"),
        (
            number(sum(charts.kinds_of(totals["lines"]))),
            "lines",
            f"{number(totals['lines']['code'])} of code",
        ),
        (number(totals["functions"]), "functions", f"and {number(totals['classes'])} classes"),
        (
            number(report["complexity"]["above_limit"]),
            "too complex",
            f"functions above {LIMIT}; the mean is {report['complexity']['mean']:.1f}",
        ),
        (
            f"{charts.percent(coverage['documented'], coverage['total']):.0f} %",
            "documented",
            "of the public interface",
        ),
        (
            number(len(report["imports"]["cycles"])),
            "import cycles",
            f"{number(report['imports']['tangled'])} modules in them",
        ),
    ]
    tiles = (
        tag(
            "div",
            tag("b", escaped(figure)),
            tag("span", escaped(what)),
            tag("small", escaped(note)),
            class_="tile",
        )
        for figure, what, note in facts
    )
    packages = f"{number(totals['packages'])} packages and modules"
    line = f"{tree['pattern']} in {packages}, read by Python {tree['python']}"
    return tag(
        "header",
        tag("h1", "Code report"),
        tag("p", tag("code", escaped(tree["root"])), tag("br"), escaped(line), class_="lead"),
        tag("div", *tiles, class_="tiles"),
    )


def _making(report: Report) -> str:
    """Tell of the run that made the page."""
    made, files = report["made"], report["totals"]["files"]
    counts = sorted(made["workers"].values(), reverse=True)
    shares = ", ".join(number(count) for count in counts[:8]) + (", …" if len(counts) > 8 else "")
    who = "one thread or process" if len(counts) == 1 else f"{number(len(counts))} threads or processes"
    text = f"One pipeline, {made['seconds']:.1f} s from the first file to this report. "
    text += f"{number(files)} files were analysed by {who} ({shares}), one cell each."
    return tag(
        "footer",
        tag("h2", "The run"),
        tag("p", escaped(text), tag("br"), "Run ", tag("code", escaped(made["run"])), class_="lead"),
    )


def _sizes(report: Report) -> str:
    sizes = report["sizes"]
    library = [size for size in sizes if not size["test"]]
    largest = sorted(library, key=lambda size: -sum(charts.kinds_of(size["lines"])))[:_SHOWN]
    left_out = sum(size["lines"]["code"] for size in sizes if size["test"])
    note = "Area: lines of code. Shade: mean complexity of the functions."
    if left_out:
        note += f" Packages of tests only ({number(left_out)} lines of code) are left out."
    shades = ["below 1.5", "1.5 to 2.5", "2.5 to 3.5", "3.5 to 4.5", "4.5 and more"]
    return _section(
        "Size",
        charts.lines_bar(report["totals"]["lines"]),
        _legend(
            ("code", "code"), ("docstring", "docstrings"), ("comment", "comments"), ("blank", "blank lines")
        ),
        tag("h3", "Packages"),
        tag("p", escaped(note)),
        _wide(charts.treemap(library)),
        _legend(*((f"q{index}", shade) for index, shade in enumerate(shades))),
        tag("h3", "The largest by all lines"),
        _wide(charts.package_bars(largest)),
    )


def _complexity(report: Report) -> str:
    complexity = report["complexity"]
    rows = (
        [
            tag("b", str(each["complexity"])),
            tag("code", escaped(f"{each['module']}.{each['name']}"))
            + (_mark("test") if each["test"] else ""),
            escaped(f"{each['path']}:{each['line']}"),
        ]
        for each in complexity["top"]
    )
    return _section(
        "Complexity",
        tag(
            "p",
            escaped(
                "Cyclomatic complexity (McCabe, 1976): the number of decisions plus one. "
                f"{number(complexity['above_limit'])} of {number(complexity['functions'])} functions are "
                f"above {LIMIT}. The scale is logarithmic."
            ),
        ),
        _wide(charts.band_chart(complexity)),
        _legend(("code", "library"), ("soft", "tests")),
        tag("h3", "The most complex functions"),
        _table(("Complexity", "Function", "Where"), rows),
    )


def _documentation(report: Report) -> str:
    docs = report["documentation"]
    rings = [charts.coverage_ring(coverage, f"public {kind}") for kind, coverage in docs["kinds"].items()]
    rings.append(charts.coverage_ring(docs["tests"], "things in tests"))
    return _section(
        "Documentation",
        tag("p", "Which share of the public interface has a docstring. Tests are counted apart."),
        tag("div", *rings, class_="rings"),
        tag("h3", "The packages with the largest interfaces"),
        _wide(charts.coverage_chart(docs["packages"][:_SHOWN])),
    )


def _imports(report: Report) -> str:
    imports = report["imports"]
    facts = (
        f"{number(imports['edges'])} imports join {number(imports['modules'])} modules when they are loaded; "
        f"{number(imports['deferred_edges'])} more wait inside of functions or are for type checkers. "
        f"{number(imports['tangled'])} modules are in import cycles, "
        f"{number(imports['tangled_with_deferred'])} would be if nothing were deferred."
    )
    parts = [tag("p", escaped(facts))]
    if imports["packages"]:
        parts += [
            tag("h3", "Imports among packages, without tests"),
            _wide(charts.package_ring(imports["packages"])),
            _legend(("edge-mark", "imports"), ("circular-mark", "imports in a circle of packages")),
        ]
    cycles = imports["cycles"]
    if cycles:
        rows = ([str(len(cycle["modules"])), _way(cycle)] for cycle in cycles[:_SHOWN])
        parts += [
            tag("h3", "Import cycles, each with a shortest way around"),
            _table(("Modules", "Way"), rows),
        ]
        if len(cycles) > _SHOWN:
            parts.append(tag("p", escaped(f"{number(len(cycles) - _SHOWN)} more are in the JSON file.")))
    columns = (
        ("Most imported", imports["most_imported"]),
        ("Importing most", imports["most_importing"]),
    )
    parts.append(
        tag(
            "div",
            *(tag("div", tag("h3", title), charts.bar_chart(rows[:12], title)) for title, rows in columns),
            class_="columns",
        )
    )
    outside = ", ".join(f"{each['name']} ({each['count']})" for each in imports["outside"])
    if outside:
        parts += [tag("h3", "Most used from outside of the tree"), tag("p", escaped(outside))]
    return _section("Imports", *parts)


def _unreadable(report: Report) -> str:
    if not report["unreadable"]:
        return _section("Files that could not be read", tag("p", "None."))
    rows = (
        [
            tag("code", escaped(each["path"] if each["line"] is None else f"{each['path']}:{each['line']}")),
            escaped(each["kind"]),
            escaped(each["message"]),
        ]
        for each in report["unreadable"]
    )
    return _section("Files that could not be read", _table(("File", "Kind", "Message"), rows))


def _section(title: str, *parts: str) -> str:
    return tag("section", tag("h2", escaped(title)), *parts)


def _wide(chart: str) -> str:
    # On a narrow screen a chart scrolls instead of becoming too small to read.
    return tag("div", chart, class_="wide")


def _legend(*entries: tuple[str, str]) -> str:
    swatch = '<svg viewBox="0 0 12 12"><rect width="12" height="12" rx="2" class="{}"/></svg>'
    return tag(
        "p", *(tag("span", swatch.format(kind), escaped(name)) for kind, name in entries), class_="legend"
    )


def _way(cycle: Cycle) -> str:
    way = tag("code", escaped(" → ".join(cycle["path"])))
    if len(cycle["path"]) > len(cycle["modules"]):
        return way
    everyone = tag("p", escaped(", ".join(cycle["modules"])))
    return tag("details", tag("summary", way), everyone)


def _mark(text: str) -> str:
    return tag("span", escaped(text), class_="mark")


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = tag("thead", tag("tr", *(tag("th", escaped(title)) for title in titles)))
    body = tag("tbody", *(tag("tr", *(tag("td", cell) for cell in row)) for row in rows))
    return tag("div", tag("table", head, body), class_="wide")
