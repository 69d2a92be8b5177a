"""The table of schedulers: simulated, so it is the same wherever it is made."""

from __future__ import annotations

from pathlib import Path

from benchmarks import schedulers

from taskiq_flow.graph import TaskNode

ROOT = Path(__file__).resolve().parents[1]


def test_the_table_in_the_readme_is_current_and_no_scheduler_beats_the_bound() -> None:
    found = list(schedulers.scenes())
    text = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    written = text.partition("<!-- schedulers -->\n")[2].partition("\n<!-- end of schedulers -->")[0]
    assert written == schedulers.table(found), "run: python benchmarks/run.py --only schedulers"
    ratios = [float(cell.strip(" *")) for line in written.splitlines()[2:] for cell in line.split("|")[3:-1]]
    assert len(ratios) == len(found) * len(schedulers.SCHEDULERS)
    assert min(ratios) >= 1


def test_demands_are_the_same_for_a_program_wherever_it_stands() -> None:
    scene = next(each for each in schedulers.scenes() if "with demands" in each.what)
    demands: dict[str, set[tuple[tuple[str, float], ...]]] = {}
    for node in scene.graph.nodes.values():
        assert isinstance(node, TaskNode)
        demands.setdefault(node.task, set()).add(tuple(node.options.resources.items()))
    assert {len(each) for each in demands.values()} == {1}
    assert len(set.union(*demands.values())) > 3
