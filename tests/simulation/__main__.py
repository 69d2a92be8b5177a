"""Simulate worlds: ``python tests/simulation --seed 7 --trace``, or ``--seeds 1000`` of them."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2] / "core" / "tests")]


def main() -> int:
    from sim_process import plugins_loaded_once
    from sim_run import simulate

    parser = argparse.ArgumentParser(prog="python tests/simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds")
    parser.add_argument("--trace", action="store_true", help="print what happens")
    parser.add_argument("--log", action="store_true", help="print the logs of the runs")
    options = parser.parse_args()
    totals: Counter[str] = Counter()
    bad = 0
    before = time.perf_counter()
    with plugins_loaded_once():
        for seed in range(options.seed, options.seed + options.seeds):
            report = simulate(seed, trace=options.trace, journal=options.log)
            totals.update(report.counts)
            if options.log:
                print(report.journal)
            if report.problems:
                bad += 1
                print(report)
    seconds = time.perf_counter() - before
    print(f"{options.seeds} worlds in {seconds:.1f} s, {bad} with problems: {dict(totals)}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
