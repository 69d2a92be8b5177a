"""Progress where there is no terminal: a few lines, none of them rewritten."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from taskiq_flow_cli.words import failure_line, seconds

if TYPE_CHECKING:
    from taskiq_flow_cli.progress import AttemptFailure, Progress

__all__ = ["PlainView"]

_PAUSE_SECONDS = 5.0
_MOST_MISHAPS = 20
_MOST_NODES = 30
_MOST_WAITING = 3


class PlainView:
    """Writes the progress of a run as lines.

    Nodes are told as they end where there are few; otherwise, and for long ones, there is a line every few seconds.

    :param progress: Where the run stands.
    :param stream: Where the lines go.
    :param title: What is run.
    """

    def __init__(self, progress: Progress, stream: TextIO, title: str) -> None:
        self._progress = progress
        self._stream = stream
        self._title = title
        self._told: set[int] = set()
        self._attempt_failures = 0
        self._last = 0.0
        self._detailed = len(progress.rows) <= _MOST_NODES

    def start(self, run: str) -> None:
        """Say that the run began.

        :param run: Its id.
        """
        count = self._progress.nodes
        self._write(f"{self._title}: run {run}, {count} node{'s' * (count != 1)}")

    def note(self, attempt_failure: AttemptFailure) -> None:
        """Write down a failure, unless there were many."""
        self._attempt_failures += 1
        if self._attempt_failures <= _MOST_MISHAPS:
            self._write(failure_line(attempt_failure))
        elif self._attempt_failures == _MOST_MISHAPS + 1:
            self._write("further failures are counted and no longer written down here")

    def tick(self, elapsed: float) -> None:
        """Write what is new, when it is time.

        :param elapsed: Seconds since the run began.
        """
        self._end()
        if elapsed - self._last >= _PAUSE_SECONDS:
            self._last = elapsed
            self._write(self._summary(elapsed))
            waiting = [row for row in self._progress.rows if row.why and not row.running and not row.over]
            for row in waiting[:_MOST_WAITING]:
                self._write(f"  {row.name} waits: {row.why}")

    def stop(self, elapsed: float) -> None:
        """Write what is new; how the run ended is said in the report."""
        self._end()

    def _end(self) -> None:
        if not self._detailed:
            return
        for place, row in enumerate(self._progress.rows):
            if place in self._told or not row.over:
                continue
            self._told.add(place)
            many = row.kind != "task" or row.total != 1
            said = [row.state]
            said += (
                [f"{row.done} of {row.total}"]
                if many and row.total is not None and row.started is not None
                else []
            )
            said += [f"{row.failed} failed"] if many and row.failed else []
            said += [f"{row.retries} retried"] if row.retries else []
            said += [seconds(row.seconds)] if row.seconds is not None else []
            self._write(f"{'  ' * row.depth}{row.name}: {', '.join(said)}")

    def _summary(self, elapsed: float) -> str:
        progress = self._progress
        going = [
            f"{row.name} {row.done}/{'?' if row.total is None else row.total}"
            if row.kind != "task"
            else row.name
            for row in progress.rows
            if row.state in ("running", "waiting", "dispatched") and row.depth == 0
        ]
        more = f" and {len(going) - 4} more" if len(going) > 4 else ""
        return f"{seconds(elapsed)}: {progress.nodes_over} of {progress.nodes} nodes over; {', '.join(going[:4])}{more}"

    def _write(self, line: str) -> None:
        self._stream.write(f"{line}\n")
        self._stream.flush()
