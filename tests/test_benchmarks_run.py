"""The benchmarks run, at sizes that say nothing about speed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks import graphs, in_memory, maps, plain, runs
from benchmarks.measure import Comparison, Row, compare
from benchmarks.report import table, write
from benchmarks.shapes import SHAPES, Shape

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("in_place", [True, False], ids=["in place", "in tasks"])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
async def test_all_sides_of_a_shape_come_to_the_same(shape: Shape, in_place: bool) -> None:
    compared = await compare(in_memory.sides_of(shape, 9, in_place=in_place), repeat=2, warm_up=0)
    assert {side: len(seconds) for side, seconds in compared.processor.items()} == {
        "asyncio": 2,
        "raw": 2,
        "ours": 2,
    }


@pytest.mark.parametrize("in_place", [True, False], ids=["in place", "in tasks"])
@pytest.mark.parametrize("workload", plain.WORKLOADS, ids=lambda workload: workload.what)
async def test_a_plain_task_comes_to_the_same_with_a_flow(workload: plain.Workload, in_place: bool) -> None:
    compared = await compare(plain.sides_of(workload, 40, in_place=in_place), repeat=2, warm_up=0)
    assert {side: len(seconds) for side, seconds in compared.processor.items()} == {"raw": 2, "ours": 2}


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_a_shape_has_about_as_many_nodes_as_asked_for(shape: Shape) -> None:
    nodes = len(shape.graph(100).nodes)
    assert nodes == 2 if shape.name == "map" else 100 <= nodes <= 101


async def test_sides_that_differ_are_no_comparison() -> None:
    async def one() -> int:
        return 1

    async def two() -> int:
        return 2

    with pytest.raises(ValueError, match="different results"):
        await compare({"one": one, "two": two}, repeat=1)


def test_ratios_are_taken_turn_by_turn() -> None:
    compared = Comparison(
        processor={"raw": [1.0, 4.0], "ours": [2.0, 2.0]}, wall={"raw": [3.0], "ours": [1.0]}
    )
    assert compared.ratios("raw", "ours") == [0.5, 2.0]
    assert compared.ratios("raw", "ours", wall=True) == [3.0]


def test_memory_of_a_node_is_measured() -> None:
    assert 100 < graphs.bytes_per_node(400) < 100_000


async def test_memory_of_an_item_is_measured() -> None:
    assert maps.bytes_of_values(2) > 4 * 33
    taken = await maps.peak(60, traced=True)
    assert taken > maps.bytes_of_values(60)


@pytest.mark.parametrize("in_place", [True, False], ids=["in place", "in tasks"])
async def test_runs_are_started_at_once(in_place: bool) -> None:
    assert await runs.side_of(5, in_place=in_place)() == [3, 4, 5, 6, 7]


def test_the_parts_in_one_table() -> None:
    # In a process of its own: measuring collects garbage again and again, and the tests have left a large heap.
    small = ["--only", "memory", "plain", "growth", "runs", "maps", "graph", "--nodes", "4", "--repeat", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *small], cwd=ROOT, capture_output=True, text=True, check=True
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    assert len(lines) == 1 + 2 * len(SHAPES) + 2 * len(plain.WORKLOADS) + len(SHAPES) + 2 + 2 + 3
    assert any(line.startswith("| graph of 4 nodes, made and checked |") for line in lines)


def test_the_table_goes_between_its_markers(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- table -->\nold\n<!-- end of table -->\nafter\n", encoding="utf-8")
    write(table([Row(what="a", value="1")]), readme)
    text = readme.read_text(encoding="utf-8")
    assert text.startswith("before\n<!-- table -->\n| what |")
    assert text.endswith("\n<!-- end of table -->\nafter\n")
    assert "old" not in text


def test_a_readme_without_markers_is_refused(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("nothing\n", encoding="utf-8")
    with pytest.raises(ValueError, match="has no lines"):
        write(table([Row(what="a", value="1")]), readme)
    assert readme.read_text(encoding="utf-8") == "nothing\n"
