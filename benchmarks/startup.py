"""Starting up: what an import costs, and how soon the command line answers; each in a process of its own."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

from benchmarks.measure import Row, spread

__all__ = ["rows"]

_BUDGET_IMPORT = 60
_BUDGET_HELP = 0.5


def _seconds(command: list[str]) -> tuple[float, float]:
    """Give the processor time and the wall time of a program."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    wall = time.perf_counter() - begin
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, wall


def rows(repeat: int) -> list[Row]:
    """Measure imports and the command line.

    :param repeat: How often each program is started.
    """
    taskiq = Path(sysconfig.get_path("scripts")) / "taskiq"
    programs = {
        "taskiq": [sys.executable, "-c", "import taskiq"],
        "flow": [sys.executable, "-c", "import taskiq, taskiq_flow"],
        "help": [str(taskiq), "flow", "--help"],
    }
    if not taskiq.exists():
        del programs["help"]
    processor: dict[str, list[float]] = {name: [] for name in programs}
    wall: dict[str, list[float]] = {name: [] for name in programs}
    for turn in range(-1, repeat):
        for name, command in programs.items():
            seconds = _seconds(command)
            # The first turn of each writes the compiled files.
            if turn >= 0:
                processor[name].append(seconds[0])
                wall[name].append(seconds[1])
    above = [
        1000 * (ours - theirs) for ours, theirs in zip(processor["flow"], processor["taskiq"], strict=True)
    ]
    found = [
        Row(
            what="import taskiq_flow above import taskiq",
            value=f"{statistics.median(above):.0f} ms",
            range=spread(above, ".0f"),
            budget=f"< {_BUDGET_IMPORT} ms",
            note=f"import taskiq alone: {1000 * statistics.median(processor['taskiq']):.0f} ms",
        )
    ]
    if "help" in programs:
        found.append(
            Row(
                what="taskiq flow --help",
                value=f"{statistics.median(processor['help']):.2f} s",
                range=spread(processor["help"]),
                budget=f"< {_BUDGET_HELP} s",
                note=f"wall clock {statistics.median(wall['help']):.2f} s",
            )
        )
    return found
