"""Run the benchmarks, print the table, and write it into ``benchmarks/README.md``.

Run it from anywhere: ``python benchmarks/run.py``, ``python -m benchmarks`` from the root, or ``tox run -e bench``.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:  # started as a file, Python puts the file's folder there
    sys.path.insert(0, str(ROOT))

from benchmarks import graphs, in_memory, maps, plain, runs, startup  # noqa: E402
from benchmarks.measure import Row  # noqa: E402
from benchmarks.report import table, write  # noqa: E402

PARTS = (
    "memory",
    "plain",
    "growth",
    "runs",
    "maps",
    "graph",
    "startup",
    "schedulers",
    "serializers",
    "pool",
    "peers",
)


def measure(parts: list[str], count: int, repeat: int) -> list[Row]:
    """Run some of the benchmarks.

    :param parts: Which, of :data:`PARTS`.
    :param count: How many nodes.
    :param repeat: How often each is measured.
    """
    rows: list[Row] = []
    if "memory" in parts:
        rows += asyncio.run(in_memory.rows(count, repeat))
    if "plain" in parts:
        rows += asyncio.run(plain.rows(max(1, count // 10), 4 * repeat))
    if "growth" in parts:
        rows += asyncio.run(in_memory.growth([max(1, count // 10), count, 3 * count], repeat))
    if "runs" in parts:
        rows += runs.rows([max(1, count // 20), max(1, 2 * count // 5), max(1, 4 * count // 5)], repeat)
    if "maps" in parts:
        rows += maps.rows([10 * count, 100 * count])
    if "graph" in parts:
        rows += graphs.rows([count, 10 * count], repeat)
    if "startup" in parts:
        rows += startup.rows(max(3, 2 * repeat))
    if "serializers" in parts:
        from benchmarks import serializers

        rows += serializers.rows(repeat)
    if "pool" in parts:
        from benchmarks import codebase_pool

        rows.append(codebase_pool.row(repeat=repeat))
    return rows


def main(arguments: list[str] | None = None) -> None:
    """Read the command line, measure, and write the table.

    :param arguments: The command line; by default that of the process.
    """
    parser = argparse.ArgumentParser(
        prog="benchmarks", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument("--nodes", type=int, default=10_000, help="nodes of a graph (10000)")
    parser.add_argument("--repeat", type=int, default=5, help="turns of each side (5)")
    parser.add_argument("--only", nargs="+", choices=PARTS, help="measure these parts, and write nothing")
    parser.add_argument(
        "--pool", action="store_true", help="also compare with multiprocessing.Pool; takes minutes"
    )
    parser.add_argument(
        "--peers",
        action="store_true",
        help="measure what people would pick instead, and write that section only",
    )
    parser.add_argument(
        "--readme", type=Path, default=ROOT / "benchmarks" / "README.md", help="what to write into"
    )
    options = parser.parse_args(arguments)
    if options.only:
        parts = options.only
    elif options.peers:
        parts = ["peers"]
    else:
        parts = [part for part in PARTS if part != "peers" and (part != "pool" or options.pool)]
    texts: dict[str, str] = {}
    if measured := [part for part in parts if part not in ("schedulers", "peers")]:
        texts["table"] = table(measure(measured, options.nodes, options.repeat))
    if "schedulers" in parts:
        from benchmarks import schedulers

        texts["schedulers"] = schedulers.table()
    if "peers" in parts:
        from benchmarks.peers.table import section

        texts["peers"] = section(options.nodes, options.repeat)
    print("\n\n".join(texts.values()))
    if not options.only:
        for name, text in texts.items():
            write(text, options.readme, name)


if __name__ == "__main__":
    main()
