"""The example's pipeline on ``Flow(broker, processes=N)`` beside the same functions on ``multiprocessing.Pool``.

Run it from the root of the project::

    python benchmarks/codebase_pool.py --processes 2 --repeat 5

Both sides list the files, analyse them in spawned processes, put the answers together, and write both reports. Both are
warmed up first: processes are started and modules imported before the clock runs. They take turns, so that
whatever else the machine does hits both, and the medians are compared. The ratio that is aimed at is 0.85.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:  # started as a file, Python puts the file's folder there
    sys.path.insert(0, str(ROOT))

from examples.codebase import aggregate, analysis, cycles, listing  # noqa: E402
from examples.codebase.report import assemble_report, write_report  # noqa: E402
from examples.codebase.shapes import Summary  # noqa: E402

from benchmarks.measure import Row, spread  # noqa: E402

# What a person would choose for a pool: small enough that no process waits long for the last chunk.
CHUNK = 8


def run_pool(pool: Pool, root: str, out: str) -> Summary:
    """Do the pipeline's work by hand.

    :param pool: Where files are analysed; the rest happens here.
    :param root: The tree; empty for the standard library.
    :param out: The folder for the reports.
    """
    tree, modules = listing.find_modules(root)
    files = pool.map(analysis.analyse_file, modules, chunksize=CHUNK)
    report = assemble_report(
        tree,
        aggregate.add_up(files),
        cycles.import_graph(files),
        aggregate.rank_functions(files),
        aggregate.rate_documentation(files),
        aggregate.measure_packages(files),
        aggregate.list_unreadable(files),
    )
    return write_report(report, out)


async def compare(processes: int, repeat: int, root: str, folder: Path) -> dict[str, Any]:
    """Run both sides in turns.

    :param processes: How many processes each side has.
    :param repeat: How often each side is timed.
    :param root: The tree; empty for the standard library.
    :param folder: Where the reports go.
    :returns: The seconds of all repetitions, and the ratio of the medians; above 1 the flow is faster.
    """
    from examples.codebase.pipeline import broker, pipeline

    from taskiq_flow import Flow

    small = str(ROOT / "examples" / "codebase")
    pool_out, flow_out = str(folder / "pool"), str(folder / "flow")

    async def by_flow(tree: str) -> Summary:
        outputs = await pipeline.kiq_dataflow(root=tree, out=flow_out)
        summary: Summary = outputs["summary"]
        return summary

    with multiprocessing.get_context("spawn").Pool(processes) as pool:

        async def by_pool(tree: str) -> Summary:
            return run_pool(pool, tree, pool_out)

        flow = Flow(broker, processes=processes)
        await broker.startup()
        try:
            seconds: dict[str, list[float]] = {"pool": [], "flow": []}
            sides: dict[str, Callable[[str], Awaitable[Summary]]] = {"pool": by_pool, "flow": by_flow}
            for side in sides.values():
                await side(small)
            for turn in range(repeat):
                for name in ("pool", "flow") if turn % 2 == 0 else ("flow", "pool"):
                    begin = time.perf_counter()
                    await sides[name](root)
                    seconds[name].append(time.perf_counter() - begin)
        finally:
            await broker.shutdown()
            del flow
    if not same_reports(folder):
        raise SystemExit("the two sides wrote different reports; the comparison means nothing")
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    return {
        "processes": processes,
        "files": json.loads((folder / "pool" / "report.json").read_text(encoding="utf-8"))["totals"]["files"],
        "seconds": seconds,
        "medians": medians,
        "ratio": medians["pool"] / medians["flow"],
    }


def same_reports(folder: Path) -> bool:
    """Return whether both sides came to the same."""
    texts = {(folder / side / "report.json").read_text(encoding="utf-8") for side in ("pool", "flow")}
    return len(texts) == 1


def table(result: dict[str, Any]) -> str:
    """Return the result as a Markdown table."""
    rows = [
        "| side | median s | fastest s | slowest s | files per s |",
        "|---|---:|---:|---:|---:|",
    ]
    names = {"pool": "multiprocessing.Pool", "flow": "Flow(broker, processes=N)"}
    for side, times in result["seconds"].items():
        median = result["medians"][side]
        rate = result["files"] / median
        rows.append(f"| {names[side]} | {median:.2f} | {min(times):.2f} | {max(times):.2f} | {rate:.0f} |")
    rows.append("")
    rows.append(
        f"{result['files']} files, {result['processes']} processes, "
        f"{len(result['seconds']['pool'])} repetitions; pool / flow = {result['ratio']:.2f}"
    )
    return "\n".join(rows)


def row(*, repeat: int, processes: int = 2, root: str = "") -> Row:
    """Run both sides and give the line of the common table.

    :param repeat: How often each side is timed.
    :param processes: How many processes each side has.
    :param root: The tree; empty for the standard library.
    """
    with tempfile.TemporaryDirectory() as folder:
        result = asyncio.run(compare(processes, repeat, root, Path(folder)))
    seconds = result["seconds"]
    ratios = [by_pool / by_flow for by_pool, by_flow in zip(seconds["pool"], seconds["flow"], strict=True)]
    return Row(
        what=f"example on {result['files']:,} files, {processes} processes",
        value=f"{result['ratio']:.2f} of a pool by hand",
        range=spread(ratios),
        budget="≥ 0.85",
        note="wall clock",
    )


def main() -> None:
    """Read the command line and print the table."""
    parser = argparse.ArgumentParser(description="compare the example on a flow with a pool by hand")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=5, help="repetitions of each side")
    parser.add_argument("--root", default="", help="the tree to analyse; the standard library by default")
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = asyncio.run(compare(options.processes, options.repeat, options.root, Path(folder)))
    print(json.dumps(result) if options.json else table(result))


if __name__ == "__main__":
    main()
