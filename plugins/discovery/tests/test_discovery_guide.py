"""Section 7 of the tasks guide, as it is written, and the example that it names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from taskiq import InMemoryBroker

from installed_packages import Shelf
from taskiq_flow import DataflowPipeline, DataflowRegistry

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "registry_discovery_example.py"


async def test_automatic_discovery() -> None:
    broker = InMemoryBroker()

    @broker.task
    def raw(path: str) -> list[int]:
        return [len(path)]

    @broker.task
    def total(raw: list[int]) -> int:
        return sum(raw)

    assert await DataflowPipeline.from_tasks(broker, [total, raw]).kiq_dataflow(path="abc") == {
        "raw": [3],
        "total": 3,
    }


async def test_manual_registration(shelf: Shelf) -> None:
    (shelf.folder / "my_tasks.py").write_text(
        "from taskiq import InMemoryBroker\n"
        "from taskiq_flow import pipeline_task\n"
        "broker = InMemoryBroker()\n"
        "@broker.task\n"
        "def process_data(data: list[int]) -> list[int]:\n"
        "    return sorted(data)\n"
        "@broker.task\n"
        "@pipeline_task(output='low')\n"
        "def lowest(processed: list[int]) -> int:\n"
        "    return processed[0]\n"
        "ALL_TASKS = [lowest]\n"
    )
    from my_tasks import broker, process_data  # type: ignore[import-not-found]

    registry = DataflowRegistry()

    # Register with explicit I/O mapping
    registry.register_task(
        task=process_data,
        output="processed",
        inputs=["raw"],  # depends on task that outputs "raw"
    )

    # Discover from module
    import my_tasks

    for task in my_tasks.ALL_TASKS:
        registry.register_task_from_object(task)

    assert registry.external_inputs == ("raw",)
    pipeline = DataflowPipeline.from_registry(broker, registry)
    assert await pipeline.kiq_dataflow(raw=[3, 1, 2]) == {"processed": [1, 2, 3], "low": 1}


def test_the_example_runs_from_anywhere(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLE)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = [line.strip() for line in done.stdout.splitlines()]
    for line in (
        "processed: produced by process_data, needed by shout",
        "inputs: raw",
        "measured: 71",
        "acme.acme_reports.tasks:split_words (acme-reports 1.0): processed -> words",
        "nodes: split_words, count_words, write_report; inputs: processed",
        "Report: 14 words, most often 'the'",
        "the run used acme.acme_reports.tasks:count_words of acme-reports 1.0 (acme_reports.tasks:count_words)",
    ):
        assert line in lines


def test_the_packages_own_metadata_is_what_the_example_writes() -> None:
    text = (EXAMPLE.parent / "acme_reports" / "pyproject.toml").read_text(encoding="utf-8")
    written = EXAMPLE.read_text(encoding="utf-8")
    assert 'name = "acme-reports"\nversion = "1.0"' in text
    assert "Name: acme-reports\\nVersion: 1.0\\n" in written
    assert '[project.entry-points."taskiq_flow.tasks"]\nreports = "acme_reports.tasks"' in text
    assert "[taskiq_flow.tasks]\\nreports = acme_reports.tasks\\n" in written
