"""Workers from the command line, and default workers."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping

from taskiq_flow.errors import UsageError
from taskiq_flow.graph import Graph, task_nodes
from taskiq_flow.scheduler import WorkerView

__all__ = ["read_amounts", "read_workers", "usual_workers"]

_COUNTED = re.compile(r"(?P<count>\d{1,9})\s*[x×*]\s+(?P<rest>.*)|(?P<lone>\d{1,9})\s*[x×*]?")
_MOST_WORKERS = 10_000
_USUAL_COUNT, _USUAL_CORES = 4, 4.0


def read_workers(words: Iterable[str]) -> tuple[WorkerView, ...]:
    """Read groups of workers such as ``4x cpu=4,ram_mb=8192``; the workers are named ``w1``, ``w2`` and so on.

    :param words: The groups. A group without a number is one worker; a number alone means workers with 4 cores each.
    :raises UsageError: a group cannot be read.
    """
    workers: list[WorkerView] = []
    for word in words:
        found = _COUNTED.fullmatch(word.strip())
        text = word if found is None else found["rest"] or ""
        count = 1 if found is None else int(found["count"] or found["lone"])
        usual = found is not None and not text.strip()
        capacity = {"cpu": _USUAL_CORES} if usual else read_amounts(text, "--workers")
        if not capacity or not 1 <= count <= _MOST_WORKERS - len(workers):
            raise UsageError(
                f"--workers is {word!r}; expected a number of workers and what each has, such as "
                f"'4x cpu=4,ram_mb=8192', with {_MOST_WORKERS:,} workers at most"
            )
        workers += [WorkerView(id=f"w{len(workers) + each + 1}", capacity=capacity) for each in range(count)]
    return tuple(workers)


def read_amounts(text: str, option: str) -> dict[str, float]:
    """Read ``cpu=4,ram_mb=8192``.

    :param option: The name of the option, for the error.
    :raises UsageError: the text cannot be read.
    """
    amounts: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, number = (word.strip() for word in part.partition("="))
        try:
            amount = float(number)
        except ValueError:
            amount = math.nan
        if (
            not name
            or len(name.split()) > 1
            or name in amounts
            or not (math.isfinite(amount) and amount >= 0)
        ):
            raise UsageError(
                f"{option} has {part!r}; expected each name once with an amount, such as cpu=4,ram_mb=8192"
            )
        amounts[name] = amount
    return amounts


def usual_workers(graph: Graph, limits: Mapping[str, float]) -> tuple[WorkerView, ...]:
    """Return four workers with four cores, and with enough of other resources for four of the largest cells."""
    largest: dict[str, float] = {}
    for _, node in task_nodes(graph):
        for name, amount in node.options.resources.items():
            if name not in limits:
                largest[name] = max(largest.get(name, 0.0), amount)
    cores = max(_USUAL_CORES, largest.pop("cpu", 0.0))
    capacity = {"cpu": cores, **{name: _USUAL_COUNT * amount for name, amount in largest.items() if amount}}
    return tuple(WorkerView(id=f"w{number + 1}", capacity=capacity) for number in range(_USUAL_COUNT))
