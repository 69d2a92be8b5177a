"""The report's page, as a browser would get it, and the pipeline that writes it."""

from __future__ import annotations

import itertools
import json
import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from examples.codebase import charts
from examples.codebase.page import render_page
from examples.codebase.pipeline import pipeline
from examples.codebase.report import write_report
from examples.codebase.shapes import PackageEdge, Report
from examples.codebase.svg import squarify

Tree = Callable[[Mapping[str, str | bytes]], Path]
Reporter = Callable[[Path], Report]


def test_squares_fill_the_box_in_proportion() -> None:
    values = [6.0, 6.0, 4.0, 3.0, 2.0, 2.0, 1.0]
    boxes = list(squarify(values, (0.0, 0.0, 6.0, 4.0)))
    assert [width * height for _, _, width, height in boxes] == pytest.approx(values)
    assert min(min(x, y) for x, y, _, _ in boxes) == 0
    assert max(x + width for x, _, width, _ in boxes) == pytest.approx(6)
    assert max(y + height for _, y, _, height in boxes) == pytest.approx(4)
    # The worked example of the paper: the first two boxes are 3 wide and 2 high.
    assert boxes[0] == pytest.approx((0, 0, 3, 2))
    assert boxes[1] == pytest.approx((0, 2, 3, 2))


def parsed(page: str) -> ElementTree.Element:
    assert page.startswith("<!DOCTYPE html>\n")
    return ElementTree.fromstring(page)


def test_the_page_is_whole_and_needs_nothing_else(tree: Tree, tmp_path: Path, report_of: Reporter) -> None:
    files: dict[str, str | bytes] = {
        "alpha.py": "import beta\ndef tangled(x):\n" + "    if x: pass\n" * 12,
        "beta.py": "import alpha\n",
        "gamma.py": '"""Doc."""\nimport alpha, os\n',
        "broken <b>&amp;.py": "def (\n",
    }
    summary = write_report(report_of(tree(files)), str(tmp_path / "deep" / "out"))
    page = Path(summary["html"]).read_text(encoding="utf-8")
    html = parsed(page)
    assert [heading.text for heading in html.iter("h2")] == [
        "Size",
        "Complexity",
        "Documentation",
        "Imports",
        "Files that could not be read",
        "The run",
    ]
    text = " ".join("".join(html.itertext()).split())
    for expected in (
        "alpha.tangled",
        "alpha → beta → alpha",
        "broken <b>&amp;.py:1",
        "SyntaxError",
        "os (1)",
    ):
        assert expected in text
    titles = {element.get("aria-label") for element in html.iter("svg")}
    assert {"packages by lines of code", "imports among packages", "kinds of lines"} <= titles
    assert not list(html.iter("script"))
    assert not re.search(r"(?:src|href)=|https?:|@import|url\(", page)
    assert "prefers-color-scheme: dark" in page
    assert summary == {
        "files": 4,
        "unreadable": 1,
        "lines": 17,
        "functions": 1,
        "most_complex": "alpha.tangled (13)",
        "import_cycles": 1,
        "documented_percent": 25.0,
        "json": str(tmp_path / "deep" / "out" / "report.json"),
        "html": str(tmp_path / "deep" / "out" / "report.html"),
    }
    written = json.loads(Path(summary["json"]).read_text(encoding="utf-8"))
    assert set(written) == set(Report.__annotations__)


def test_every_class_in_the_page_has_a_style(tree: Tree, report_of: Reporter) -> None:
    root = tree(
        {"a.py": "import b\ndef f(): pass\n", "b.py": "import a\n", "tests/test_a.py": "def test(): pass\n"}
    )
    page = render_page(report_of(root))
    styles = set(re.findall(r"\.([a-z][a-z0-9-]*)", page[page.index("<style>") : page.index("</style>")]))
    used = {name for names in re.findall(r'class="([^"]*)"', page) for name in names.split()}
    assert used <= styles


@pytest.mark.parametrize(
    "files", [{}, {"empty.py": ""}, {"tests/test_a.py": "def test(): pass\n"}, {"bad.py": "("}]
)
def test_trees_with_almost_nothing_have_a_page_too(
    tree: Tree, files: dict[str, str | bytes], report_of: Reporter
) -> None:
    html = parsed(render_page(report_of(tree({"note.txt": "", **files}))))
    assert "nan" not in "".join(html.itertext())


def test_long_names_around_the_ring_are_not_cut_off() -> None:
    names = [f"name_of_twenty_{number:05}" for number in range(40)]
    edges: list[PackageEdge] = [
        {"source": source, "target": target, "count": 1, "circular": False}
        for source, target in itertools.pairwise(names)
    ]
    ring = ElementTree.fromstring(charts.package_ring(edges))
    _, _, width, height = map(float, ring.attrib["viewBox"].split())
    labels = [text for text in ring.iter("text") if text.text in names]
    assert len(labels) == len(names)
    for label in labels:
        x, y = float(label.attrib["x"]) - width / 2, float(label.attrib["y"]) - height / 2
        far = 1 + 20 * 6.6 / math.hypot(x, y)
        assert abs(x * far) <= width / 2
        assert abs(y * far) <= height / 2


def test_shares_of_nothing_are_nothing() -> None:
    assert (charts.percent(0, 0), charts.percent(1, 4)) == (0.0, 25.0)


async def test_the_pipeline_comes_to_what_the_functions_come_to(
    tree: Tree, tmp_path: Path, report_of: Reporter
) -> None:
    root = tree({"a.py": "import b\ndef f(): pass\ndef g(): pass\n", "b.py": "import a\n", "bad.py": "("})
    outputs = await pipeline.kiq_dataflow(root=str(root), out=str(tmp_path / "out"), top=1)
    written = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    expected = json.loads(json.dumps(report_of(root)))
    del expected["complexity"]["top"][1:]
    # Which run it was, when it began and who did it is another matter each time.
    made = written.pop("made")
    assert sum(made["workers"].values()) == 3
    assert made["run"]
    assert 0 <= made["seconds"] < 60
    assert f"Run <code>{made['run']}</code>" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    del expected["made"], expected["tree"]["began"], written["tree"]["began"]
    assert written == expected
    assert outputs == {"summary": write_report(report_of(root), str(tmp_path / "out"))}


def test_what_the_pipeline_takes_may_all_be_left_out() -> None:
    inputs = pipeline.graph.inputs
    assert set(inputs) == {"root", "pattern", "exclude", "top", "out"}
    assert not any(spec.required for spec in inputs.values())
    assert set(pipeline.graph.outputs) == {"summary"}


async def test_a_root_that_is_nowhere_fails_the_run_with_the_functions_own_error(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError, match="give root=… the top of a source tree"):
        await pipeline.kiq_dataflow(root=str(tmp_path / "nowhere"), out=str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
