"""Schedulers on published workflow traces: makespans against what no scheduler can go below.

Nothing is measured: runs are simulated, so the numbers are the same on every machine.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from attrs import evolve, frozen

from taskiq_flow.graph import Graph, TaskNode
from taskiq_flow.scheduler import WorkerView
from taskiq_flow_resources.simulation import Durations, SimulationReport, compare, read_trace

__all__ = ["SCHEDULERS", "Scene", "demanding", "scenes", "table"]

TRACES = Path(__file__).resolve().parent / "traces"
SCHEDULERS = ("fifo", "best-fit", "critical-path", "fair-share")

_CORES = (1.0, 1.0, 2.0, 4.0)
_RAM_MB = (512.0, 2048.0, 4096.0, 8192.0)


@frozen(kw_only=True)
class Scene:
    """A workflow and a pool.

    :param what: Both in words.
    :param graph: The workflow.
    :param durations: How long its tasks take.
    :param workers: The pool.
    """

    what: str
    graph: Graph
    durations: Durations
    workers: tuple[WorkerView, ...]

    def reports(self) -> list[SimulationReport]:
        """Simulate it with every built-in scheduler."""
        return compare(self.graph, self.workers, SCHEDULERS, durations=self.durations)


def scenes() -> Iterator[Scene]:
    """Give every trace with pools of 16 and of 48 cores, as recorded and with demands made up."""
    alike = _workers([(4.0, 16384.0)] * 4)
    unlike = _workers([(8.0, 16384.0), (4.0, 32768.0), (2.0, 8192.0), (2.0, 8192.0)])
    large = _workers([(8.0, 32768.0)] * 6)
    for name in ("montage-500", "rnaseq-500"):
        trace = read_trace(TRACES / f"{name}.json.gz")
        heavy = demanding(trace.graph)
        for words, graph, workers in (
            ("as recorded, 16 cores", trace.graph, alike),
            ("as recorded, 48 cores", trace.graph, large),
            ("with demands, 4 equal workers", heavy, alike),
            ("with demands, 4 unequal workers", heavy, unlike),
            ("with demands, 48 cores", heavy, large),
        ):
            what = f"{name}, {words}"
            yield Scene(what=what, graph=graph, durations=trace.durations, workers=workers)


def demanding(graph: Graph) -> Graph:
    """Let each program ask for cores and memory, always the same ones for its name.

    The traces record one core for each task, with which every pool is as good as another of as many cores.
    """
    nodes = {}
    for name, node in graph.nodes.items():
        assert isinstance(node, TaskNode), "traces have no maps"
        number = zlib.crc32(node.task.encode())
        resources = {"cpu": _CORES[number % 4], "ram_mb": _RAM_MB[number // 4 % 4]}
        nodes[name] = evolve(node, options=evolve(node.options, resources=resources))
    return evolve(graph, nodes=nodes)


def table(found: Iterable[Scene] | None = None) -> str:
    """Simulate, and give a Markdown table: makespans over the lower bound.

    :param found: What to simulate; by default :func:`scenes`.
    """
    lines = [
        f"| workflow and pool | lower bound | {' | '.join(SCHEDULERS)} |",
        f"|---|---:|{'---:|' * len(SCHEDULERS)}",
    ]
    for scene in scenes() if found is None else found:
        reports = scene.reports()
        ratios = [f"{report.ratio:.2f}" for report in reports]
        best = min(ratios, key=float)
        cells = [f"**{ratio}**" if ratio == best else ratio for ratio in ratios]
        bound = reports[0].bound
        lines.append(f"| {scene.what} | {bound.seconds:,.1f} s ({bound.reason}) | {' | '.join(cells)} |")
    return "\n".join(lines)


def _workers(sizes: Iterable[tuple[float, float]]) -> tuple[WorkerView, ...]:
    return tuple(
        WorkerView(id=f"w{number}", capacity={"cpu": cores, "ram_mb": ram})
        for number, (cores, ram) in enumerate(sizes, start=1)
    )
