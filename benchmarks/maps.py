"""Maps of many items: how much memory an item takes beside its values, each map in a process of its own.

The values of an item are what goes in and what comes out, encoded: the bytes, and the object around them. All else
counts: the log, the state of the run, and what is there only for a while.
"""

from __future__ import annotations

import asyncio
import gc
import json
import re
import resource
import subprocess
import sys
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

from taskiq import InMemoryBroker

from benchmarks.measure import Row
from benchmarks.shapes import step
from taskiq_flow import Flow
from taskiq_flow.graph import build_graph
from taskiq_flow.graph.model import Graph, Input, InputSpec, MapNode, Output, TaskNode
from taskiq_flow.payloads import Payload

__all__ = ["BUDGET", "bytes_of_values", "peak", "rows"]

BUDGET = 300

# Where Linux tells the most that the memory of a process took. What `getrusage` says survives `exec`, so that a
# program which a large one starts would seem as large as that.
_STATUS = Path("/proc/self/status")
_HIGH_WATER = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)

# Maximum resident sizes are in kibibytes, except on macOS.
_UNIT = 1 if sys.platform == "darwin" else 1024


def _graph() -> Graph:
    add_one = TaskNode(name="add", task="step", params={"x": Input("item")}, outputs=("sum",))
    body = build_graph([add_one], inputs={"item": InputSpec()}, outputs={"sum": Output("add", "sum")})
    each = MapNode(name="each", body=body, items=Input("xs"), outputs=("sums",), collects=("sum",))
    return build_graph([each], inputs={"xs": InputSpec()}, outputs={"sums": Output("each", "sums")})


def bytes_of_values(count: int) -> int:
    """Give how much the values of all items take: the encoded number and its successor, with their objects.

    :param count: How many items.
    """
    found = 0
    for number in range(count + 1):
        value = Payload("json", json.dumps(number).encode())
        # All are there twice, as an output and as the next input, but the first and the last one.
        found += (sys.getsizeof(value) + sys.getsizeof(value.data)) * (1 if number in (0, count) else 2)
    return found


async def peak(count: int, *, traced: bool) -> int:
    """Give the most memory that a run takes at once, above what there was before it.

    :param count: How many items its map has.
    :param traced: Count what Python allocates, which takes a while; otherwise what the process occupies.
    """
    broker = InMemoryBroker()
    broker.task("step")(step)
    flow, graph = Flow(broker), _graph()
    await (await flow.submit(graph, {"xs": [1, 2, 3]})).result()
    given = {"xs": list(range(count))}
    gc.collect()
    if traced:
        tracemalloc.start()
    before = 0 if traced else _most_occupied()
    handle = await flow.submit(graph, given)
    # What the caller makes of the result is the caller's.
    record = await flow.store.runs.wait(handle.id)
    assert record.outcome is not None
    assert len(record.outcome.outputs["sums"].parts) == count  # type: ignore[union-attr]
    if traced:
        taken = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return taken
    return _most_occupied() - before


def _most_occupied() -> int:
    # In bytes, since the program was started.
    if _STATUS.exists():
        found = _HIGH_WATER.search(_STATUS.read_text())
        assert found is not None
        return int(found[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT


def _row(count: int, *, traced: bool) -> Row:
    how = "traced" if traced else "resident"
    command = [sys.executable, "-m", "benchmarks.maps", str(count), how]
    root = Path(__file__).resolve().parents[1]
    said = subprocess.run(command, check=True, capture_output=True, text=True, cwd=root).stdout
    values = bytes_of_values(count) / count
    return Row(
        what=f"map of {count:,} items, memory of an item beside its values",
        value=f"{int(said) / count - values:.0f} bytes",
        budget=f"≤ {BUDGET} bytes",
        note=f"its values {values:.0f} bytes; at the peak, {_WAYS[how]}",
    )


_WAYS = {"traced": "as Python counts", "resident": "as the process grows"}


def rows(counts: Sequence[int]) -> list[Row]:
    """Measure maps of several sizes; only the smallest is traced, which multiplies the time.

    :param counts: How many items, the smallest first.
    """
    return [_row(count, traced=count == counts[0]) for count in counts]


if __name__ == "__main__":
    print(asyncio.run(peak(int(sys.argv[1]), traced=sys.argv[2] == "traced")))
