"""The answer of ``taskiq flow tasks``, for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from taskiq_flow.terminal import printable

__all__ = ["write_details", "write_sources", "write_tasks"]

_Row = Mapping[str, Any]

_ROOM_BESIDE_NAMES = 26


def write_tasks(answer: _Row) -> None:
    """Write a table of tasks for each distribution, and then the problems."""
    console = Console()
    by_release = sorted(answer["tasks"], key=lambda task: (_release(task), task["name"]))
    for release, tasks in groupby(by_release, key=_release):
        console.print(_text(release, style="bold"))
        rows = [
            (
                _about(task),
                Text("\n").join(map(_input, task["inputs"])),
                _text("\n".join(output["name"] for output in task["outputs"])),
            )
            for task in tasks
        ]
        table = _table("task", "needs", "produces")
        # Names are not wrapped as long as the other columns have enough width.
        longest = max(len(name.plain.partition("\n")[0]) for name, _, _ in rows)
        table.columns[0].min_width = max(0, min(longest, console.width - _ROOM_BESIDE_NAMES))
        for row in rows:
            table.add_row(*row)
        console.print(table)
    _write_problems(answer["problems"])


def write_details(answer: _Row) -> None:
    """Write all details of some tasks, and then the problems."""
    console = Console()
    for task in answer["tasks"]:
        console.print(_text(task["name"], style="bold"), soft_wrap=True)
        table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
        table.add_column(style="dim")
        table.add_column(overflow="fold")
        rows: list[tuple[str, Any]] = [
            ("description", _text(task["description"])),
            ("needs", Text("\n").join(map(_input, task["inputs"]))),
            ("produces", Text("\n").join(map(_add_types, task["outputs"]))),
            ("occupies", _text(_resources(task))),
            ("distribution", _text(_release(task))),
            ("source", _text(task["source"])),
            ("module", _text(task["module"])),
            ("function", _text(task["function"])),
        ]
        for title, value in rows:
            if value:
                table.add_row(title, value)
        console.print(table)
    _write_problems(answer["problems"])


def write_sources(answer: _Row) -> None:
    """Write a table of sources, and then the problems."""
    console = Console()
    if answer["sources"]:
        table = _table("source", "distribution", "target")
        for source in answer["sources"]:
            table.add_row(*map(_text, (source["source"], _release(source), source["target"])))
        console.print(table)
    _write_problems(answer["problems"])


def _table(*titles: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for title in titles:
        table.add_column(title, overflow="fold")
    return table


def _text(text: str, style: str = "") -> Text:
    # Names and descriptions are foreign text; control characters in them are shown, not obeyed.
    return Text(printable(text, lines=True), style=style)


def _release(row: _Row) -> str:
    return f"{row['distribution']} {row['version']}"


def _about(task: _Row) -> Text:
    # A name that the author chose does not show the task's module.
    module = "" if task["module"] in task["name"] else task["module"]
    below = [line for line in (module, task["description"], _resources(task)) if line]
    return _text(task["name"]).append(_text("".join(f"\n  {line}" for line in below), style="dim"))


def _input(data: _Row) -> Text:
    text = _add_types(data)
    return text if data["required"] else text.append(" (optional)", style="dim")


def _add_types(data: _Row) -> Text:
    return _text(f"{data['name']}: {data['type']}" if data["type"] else data["name"])


def _resources(task: _Row) -> str:
    return ", ".join(f"{name} {amount:g}" for name, amount in sorted(task["resources"].items()))


def _write_problems(problems: Sequence[_Row]) -> None:
    errors = Console(stderr=True)
    for line in _lines(problems):
        errors.print(_text(line, style="red"), soft_wrap=True)


def _lines(problems: Iterable[_Row]) -> Iterable[str]:
    for problem in problems:
        yield (
            f"tasks {problem['source']!r} of {_release(problem)} ({problem['target']}) cannot be used: "
            f"{problem['error']}"
        )
