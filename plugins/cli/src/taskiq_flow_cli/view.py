"""The live view for a terminal: one line for each node, redrawn a few times a second."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from taskiq_flow_cli.rows import visible
from taskiq_flow_cli.words import failure_line, seconds

if TYPE_CHECKING:
    from taskiq_flow_cli.progress import AttemptFailure, Progress
    from taskiq_flow_cli.rows import Row

__all__ = ["LiveView", "picture"]

_STYLES = {
    "pending": "dim",
    "dispatched": "cyan",
    "running": "cyan",
    "waiting": "yellow",
    "succeeded": "green",
    "failed": "bold red",
    "skipped": "dim",
    "cancelled": "yellow",
    "cancelling": "yellow",
}
_SIGNS = {
    "pending": "·",
    "dispatched": "→",
    "running": "▶",
    "waiting": "↻",
    "succeeded": "✓",
    "failed": "✗",
    "skipped": "–",
    "cancelled": "■",
}
_PLAIN_SIGNS = {
    "pending": ".",
    "dispatched": ">",
    "running": ">",
    "waiting": "~",
    "succeeded": "+",
    "failed": "x",
    "skipped": "-",
    "cancelled": "#",
}
_BAR_WIDTH = 24
_MOST_FAILURES = 3
# The lines besides rows: headline, hidden rows, the latest failures, and the line of the cursor.
_OTHER_LINES = 4 + _MOST_FAILURES


class LiveView:
    """Shows the progress of a run on a terminal.

    :param progress: The progress of the run.
    :param console: The terminal.
    :param title: The name of the pipeline.
    """

    def __init__(self, progress: Progress, console: Console, title: str) -> None:
        self._progress = progress
        self._console = console
        self._title = title
        self._attempt_failures: deque[AttemptFailure] = deque(maxlen=_MOST_FAILURES)
        self._live = Live(console=console, auto_refresh=False, transient=False)

    def start(self, run: str) -> None:
        """Begin to draw.

        :param run: The run's id.
        """
        self._live.start()

    def note(self, attempt_failure: AttemptFailure) -> None:
        """Show a failure among the latest."""
        self._attempt_failures.append(attempt_failure)

    def tick(self, elapsed: float) -> None:
        """Draw again.

        :param elapsed: Seconds since the run began.
        """
        drawn = picture(self._progress, self._console, self._title, elapsed, tuple(self._attempt_failures))
        self._live.update(drawn, refresh=True)

    def stop(self, elapsed: float) -> None:
        """Draw for the last time, without the failures that the report repeats, and restore the terminal."""
        try:
            self._attempt_failures.clear()
            self.tick(elapsed)
        finally:
            self._live.stop()


def picture(
    progress: Progress,
    console: Console,
    title: str,
    elapsed: float,
    attempt_failures: tuple[AttemptFailure, ...] = (),
) -> RenderableType:
    """Draw a run.

    :param progress: The progress of the run.
    :param console: The terminal; its height limits the rows, its encoding the signs.
    :param title: The name of the pipeline.
    :param elapsed: Seconds since it began.
    :param attempt_failures: Failures to show below the rows.
    """
    signs = _PLAIN_SIGNS if console.options.ascii_only else _SIGNS
    shown = list(visible(progress.rows, max(3, console.size.height - _OTHER_LINES)))
    narrow = console.size.width < 72
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    # Names and remarks give way to signs, counts and times: rich takes room from columns that may be wrapped first.
    table.add_column(min_width=12)
    if not narrow:
        table.add_column(width=_BAR_WIDTH)
    table.add_column(no_wrap=True, justify="right")
    table.add_column(min_width=8)
    table.add_column(no_wrap=True, justify="right")
    for row in shown:
        cells = list(_cells(row, signs))
        table.add_row(*(cells[:2] + cells[3:] if narrow else cells))
    parts: list[RenderableType] = [_headline(progress, title, elapsed), table]
    if len(shown) < len(progress.rows):
        parts.append(Text(_describe_hidden(progress, shown), style="dim"))
    parts.extend(
        Text(
            f"  {failure_line(each, console.size.width // 2)}",
            style="yellow" if each.delay is not None else "red",
            no_wrap=True,
            overflow="ellipsis",
        )
        for each in attempt_failures
    )
    return Group(*parts)


def _headline(progress: Progress, title: str, elapsed: float) -> Text:
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(title, style="bold")
    line.append(f"  {progress.status}", style=_STYLES[progress.status])
    line.append(f"  {progress.nodes_over}/{progress.nodes} nodes  {seconds(elapsed)}", style="dim")
    return line


def _cells(row: Row, signs: dict[str, str]) -> Iterator[RenderableType]:
    state = row.state
    style = _STYLES[state]
    yield Text(signs[state], style=style)
    style = "" if state not in ("pending", "skipped") else "dim"
    yield Text("  " * row.depth + row.name, style=style, no_wrap=True, overflow="ellipsis")
    fraction = row.fraction
    many = row.kind != "task" or row.total != 1
    if fraction is None or (many and not row.total):
        yield Text("")
    else:
        broken = row.failed and not row.forgiving
        yield ProgressBar(
            total=1.0,
            completed=fraction,
            width=_BAR_WIDTH,
            complete_style="red" if broken else "cyan",
            finished_style="red" if broken else "green",
        )
    if many:
        yield Text(
            f"{row.done}/{'?' if row.total is None else row.total}"
            if row.started is not None or row.done
            else ""
        )
    else:
        yield Text(f"{fraction:.0%}" if fraction is not None and not row.over else "")
    yield _remarks(row, state, many)
    yield Text("" if row.seconds is None else seconds(row.seconds), style="dim")


def _remarks(row: Row, state: str, many: bool) -> Text:
    line = Text(no_wrap=True, overflow="ellipsis")
    remarks: list[tuple[str, str]] = []
    if not many or state == "pending" or (row.over and state != "failed"):
        remarks.append((state, _STYLES[state]))
    if many and row.running:
        remarks.append((f"{row.running} running", _STYLES["running"]))
    if many and row.waiting:
        remarks.append((f"{row.waiting} waiting", _STYLES["waiting"]))
    if many and row.failed:
        remarks.append((f"{row.failed} failed", "red"))
    if many and row.cancelled:
        remarks.append((f"{row.cancelled} cancelled", _STYLES["cancelled"]))
    if row.retries:
        remarks.append((f"{row.retries} retried", "yellow"))
    if row.why and not row.running and not row.over:
        remarks.append((row.why, "dim"))
    for place, (word, style) in enumerate(remarks):
        line.append(", " if place else "")
        line.append(word, style=style)
    return line


def _describe_hidden(progress: Progress, shown: list[Row]) -> str:
    there = {id(row) for row in shown}
    states = Counter(row.state for row in progress.rows if id(row) not in there)
    return f"  and {', '.join(f'{count} {state}' for state, count in states.most_common())}"
