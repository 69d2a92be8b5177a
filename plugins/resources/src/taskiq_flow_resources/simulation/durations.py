"""Durations of tasks: given, read from a file, or measured by a past run."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from statistics import fmean
from typing import Any, Union

from attrs import evolve, field, frozen

from taskiq_flow.errors import UsageError
from taskiq_flow.graph import Graph, TaskNode, node_path, task_nodes

__all__ = ["Durations", "Seconds", "is_number"]

Seconds = Union[float, Sequence[float]]
"""The seconds of each attempt, or one number per item of a map; for more items the numbers are repeated."""

_LAST_NUMBER = re.compile(r"\[(\d+)\][^\[\]]*$")
# Thirty million years; sums of smaller numbers stay finite.
_MOST = 1e15


def _numbers(seconds: Seconds) -> tuple[float, ...]:
    return tuple(seconds) if isinstance(seconds, (list, tuple)) else (seconds,)  # type: ignore[return-value]


def _all_numbers(table: Mapping[str, Seconds]) -> dict[str, tuple[float, ...]]:
    return {name: _numbers(seconds) for name, seconds in table.items()}


@frozen
class Durations:
    """Seconds by name. The most specific name counts: a cell, a node's path, a node, a task.

    ::

        Durations({"load": 2.0, "tracks[]/features": [1.0, 4.0], "tracks[7]/features": 30.0}, default=0.5)

    :param table: Seconds by the name of a task, a node, a node's path, or a cell's path.
    :param default: Seconds of everything else.
    :param beneath: Further durations, for cells that the table does not name at all.
    :raises UsageError: durations are not numbers of seconds; all of them are listed.
    """

    table: Mapping[str, tuple[float, ...]] = field(factory=dict, converter=_all_numbers)
    default: float = 1.0
    beneath: Durations | None = None

    def __attrs_post_init__(self) -> None:
        problems = [
            f"{name!r} takes {_short_repr(each)}; give seconds, from 0 to {_MOST:g}"
            for name, numbers in {**self.table, "everything else": (self.default,)}.items()
            for each in (numbers or (None,))
            if not is_number(each)
        ]
        if problems:
            raise UsageError("\n".join(problems))

    def over(self, others: Durations) -> Durations:
        """Return the same durations, with others for cells that these do not name."""
        return evolve(self, beneath=others if self.beneath is None else self.beneath.over(others))

    def of(self, cell: str, node: TaskNode) -> float:
        """Return the seconds of a cell's attempt."""
        layer: Durations | None = self
        while layer is not None:
            for name in (cell, node_path(cell), node.name, node.task):
                numbers = layer.table.get(name)
                if numbers is not None:
                    found = _LAST_NUMBER.search(cell)
                    return numbers[int(found[1]) % len(numbers) if found else 0]
            layer = layer.beneath
        return self.default

    def check(self, graph: Graph) -> None:
        """Refuse names that the graph does not have.

        :raises UsageError: there are such names; all of them are listed, each with the closest known ones.
        """
        known: dict[str, None] = {}
        for path, node in task_nodes(graph):
            known.update(dict.fromkeys((path, node.name, node.task)))
        problems = []
        for name in self.table:
            if name not in known and node_path(name) not in known:
                near = get_close_matches(name, known, n=2)
                hint = f" (did you mean {' or '.join(map(repr, near))}?)" if near else ""
                problems.append(
                    f"there is a duration for {name!r}, which is no task, node or cell here{hint}"
                )
        if problems:
            raise UsageError("\n".join(problems))

    @classmethod
    def from_measurements(cls, seconds: Mapping[str, float], graph: Graph) -> Durations:
        """Make durations from measured cells; a cell that was not measured gets the mean of its node, or of its task.

        :param seconds: Seconds by cell.
        :param graph: The graph with the cells.
        :raises UsageError: none of the cells belongs to the graph.
        """
        tasks = {path: node.task for path, node in task_nodes(graph)}
        if seconds and not any(node_path(cell) in tasks for cell in seconds):
            named = ", ".join(map(repr, list(seconds)[:3]))
            raise UsageError(
                f"the past run has no cell of this graph; it has {named}; give a run of the same pipeline"
            )
        by_name: dict[str, list[float]] = {}
        for cell, each in seconds.items():
            path = node_path(cell)
            by_name.setdefault(path, []).append(each)
            if path in tasks:
                by_name.setdefault(tasks[path], []).append(each)
        means: dict[str, Seconds] = {name: fmean(numbers) for name, numbers in by_name.items()}
        return cls({**means, **seconds})

    @classmethod
    def read(cls, path: Path, *, default: float = 1.0) -> Durations:
        """Read a file: JSON (an object of names) or CSV (lines of a name and seconds).

        A name with several lines of CSV has one number per item.

        :raises UsageError: the file cannot be read, or contains something else.
        """
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cannot read the durations in {str(path)!r}: {error}") from error
        table = _from_json(text, path) if text.lstrip().startswith(("{", "[")) else _from_csv(text, path)
        try:
            return cls(table, default)
        except UsageError as error:
            raise UsageError(f"{path}: {error}") from error


def _from_json(text: str, path: Path) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise UsageError(f"the durations in {str(path)!r} are no JSON: {error}") from error
    if not isinstance(found, dict):
        raise UsageError(
            f"the durations in {str(path)!r} are a list; expected an object such as "
            '{"load": 2.0, "features": [1.0, 4.0]}'
        )
    return found


def _from_csv(text: str, path: Path) -> dict[str, Any]:
    table: dict[str, list[Any]] = {}
    problems: list[str] = []
    rows: Iterable[list[str]] = csv.reader(io.StringIO(text))
    for number, row in enumerate(rows, start=1):
        words = [word.strip() for word in row]
        if not any(words) or words[0].startswith("#"):
            continue
        seconds = _number(words[1]) if len(words) == 2 else None
        if seconds is not None:
            table.setdefault(words[0], []).append(seconds)
        elif number > 1:  # the first line may be a heading
            problems.append(f"line {number} of {str(path)!r} is {','.join(row)!r}; expected name,seconds")
    if not problems and not table:
        problems.append(f"there are no durations in {str(path)!r}; expected lines of name,seconds")
    if problems:
        raise UsageError("\n".join(problems))
    return dict(table)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def is_number(value: Any) -> bool:
    """Whether something is a finite number, 0 or more."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= _MOST


def _short_repr(value: Any) -> str:
    if value is None:
        return "nothing"
    return f"{value:g} s" if isinstance(value, float) else repr(value)
