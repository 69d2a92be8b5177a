"""Where tasks come from: registered by hand, or discovered in an installed package.

Run it with ``python examples/registry_discovery_example.py``. The package is ``examples/acme_reports``; instead of
installing it, this program writes the metadata that an installation would leave behind, into a temporary folder.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from taskiq import InMemoryBroker

from taskiq_flow import DataflowPipeline, DataflowRegistry, Flow, pipeline_task
from taskiq_flow_discovery import InstalledTasks

TEXT = "The quick brown fox jumps over the lazy dog while the other dogs watch"

broker = InMemoryBroker()


@broker.task
def process_data(text: str) -> str:
    """Bring a text into one form."""
    return text.lower()


@broker.task
@pipeline_task(output="shouted")
def shout(processed: str) -> str:
    """Make a text loud."""
    return f"{processed.upper()}!"


@broker.task
def measure(shouted: str) -> int:
    """Measure a text."""
    return len(shouted)


ALL_TASKS = [shout, measure]


def registered_by_hand() -> DataflowRegistry:
    """Say of each task what it produces and needs, or let its decorators and its signature say that."""
    registry = DataflowRegistry()
    registry.register_task(task=process_data, output="processed", inputs=["raw"])
    for task in ALL_TASKS:
        registry.register_task_from_object(task)
    return registry


def inspect(registry: DataflowRegistry) -> None:
    """Show what a registry knows."""
    print("registered by hand:")
    for data, node in registry.producers.items():
        print(
            f"  {data}: produced by {node}, needed by {', '.join(registry.consumers.get(data, ())) or 'nobody'}"
        )
    print(f"  inputs: {', '.join(registry.external_inputs)}")


@contextmanager
def installed_package() -> Iterator[None]:
    """Let ``examples/acme_reports`` count as installed."""
    source = Path(__file__).resolve().parent / "acme_reports" / "src"
    with tempfile.TemporaryDirectory() as folder:
        info = Path(folder) / "acme_reports-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-reports\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[taskiq_flow.tasks]\nreports = acme_reports.tasks\n")
        sys.path[:0] = [folder, str(source)]
        try:
            yield
        finally:
            sys.path[:] = [path for path in sys.path if path not in (folder, str(source))]


def show_catalogue(flow: Flow) -> None:
    """Show what was discovered, and where it comes from."""
    print("discovered:")
    for task in flow.catalogue.tasks.values():
        needs = ", ".join(each.name for each in task.inputs)
        print(f"  {task.name} ({task.origin.release}): {needs} -> {', '.join(task.outputs)}")
    for problem in flow.catalogue.problems:
        print(f"  {problem}")


async def main() -> None:
    """Run a pipeline of each kind."""
    registry = registered_by_hand()
    inspect(registry)
    outputs = await DataflowPipeline.from_registry(broker, registry).kiq_dataflow(raw=TEXT)
    print(f"  measured: {outputs['measure']}")

    with installed_package():
        # A broker of its own. Only this one package is let in, whatever else is installed, and its tasks get a prefix.
        installed = InMemoryBroker()
        flow = Flow(
            installed, discover=InstalledTasks(allow=["acme-reports"], prefix={"acme-reports": "acme."})
        )
        show_catalogue(flow)
        # The smallest graph that produces the report; the longest words are left out.
        pipeline = DataflowPipeline.from_installed(installed, outputs=["report"])
        print(f"  nodes: {', '.join(pipeline.graph.nodes)}; inputs: {', '.join(pipeline.graph.inputs)}")
        run = await pipeline.kiq(processed=TEXT.lower())
        print(f"  {(await run.result())['report']}")
        for task, origin in (await flow.store.runs.get(run.id)).origins.items():
            print(f"  the run used {task} of {origin}")


if __name__ == "__main__":
    asyncio.run(main())
