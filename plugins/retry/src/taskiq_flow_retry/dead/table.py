"""Dead letters for people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from taskiq_flow.terminal import printable
from taskiq_flow_retry.dead.letter import DeadLetter

__all__ = ["write_letters"]

_LONGEST_MESSAGE = 300


def write_letters(letters: Sequence[DeadLetter], stdout: TextIO, *, limit: int, traceback: bool) -> None:
    """Write a table for each run.

    :param limit: The limit of the list, for the hint that there may be more.
    :param traceback: Whether to show tracebacks.
    """
    console = Console(file=stdout)
    for number, (_, group) in enumerate(groupby(letters, key=lambda letter: letter.run)):
        of_run = list(group)
        if number:
            console.print()
        console.print(_head(of_run[0]), soft_wrap=True)
        console.print(_table(of_run))
        for letter in of_run if traceback else ():
            if letter.traceback:
                console.print(Text(f"{letter.cell}:", style="bold"), soft_wrap=True)
                console.print(Text(_lines(letter.traceback), style="dim"), soft_wrap=True)
    if not letters:
        console.print("no dead letters")
    elif len(letters) == limit:
        Console(stderr=True).print(Text(f"these are the newest {limit}; --limit N shows more", style="dim"))


def _head(letter: DeadLetter) -> Text:
    head = Text(f"run {letter.run}", style="bold")
    head.append(f"  {printable(letter.pipeline)}" if letter.pipeline else "", style="not bold")
    when = datetime.fromtimestamp(letter.at).astimezone()
    head.append(f"  {when:%Y-%m-%d %H:%M:%S}", style="not bold dim")
    if letter.resumed_as:
        head.append(f"  replayed as {letter.resumed_as}", style="not bold green")
    return head


def _table(letters: Sequence[DeadLetter]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 2), pad_edge=True, header_style="dim")
    table.add_column("cell", overflow="fold")
    table.add_column("attempt", justify="right")
    table.add_column("what went wrong", overflow="fold")
    table.add_column("reason", overflow="fold")
    for letter in letters:
        cell = Text(letter.cell or "the run")
        if letter.left_out:
            cell.append("\nleft out", style="yellow")
        summary = printable(letter.summary) or "without a message"
        summary = summary if len(summary) <= _LONGEST_MESSAGE else f"{summary[:_LONGEST_MESSAGE]}…"
        attempt = str(letter.attempt) if letter.attempt else ""
        table.add_row(cell, attempt, Text(summary, style="red"), Text(printable(letter.reason)))
    return table


def _lines(text: str) -> str:
    return "\n".join(f"  {printable(line)}" for line in text.rstrip().splitlines())
