"""Progress without a terminal: a few lines, none of them redrawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from taskiq_flow_cli.words import failure_line, seconds

if TYPE_CHECKING:
    from taskiq_flow_cli.progress import AttemptFailure, Progress

__all__ = ["PlainView"]

_PAUSE_SECONDS = 5.0
_MOST_FAILURES = 20
_MOST_NODES = 30
_MOST_WAITING = 3


class PlainView:
    """Writes the progress of a run as lines.

    Each of a few nodes gets a line when it ends. With many nodes, or long ones, there is a line every few seconds.

    :param progress: The progress of the run.
    :param stream: The stream to write to.
    :param title: The name of the pipeline.
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
        """Write that the run began.

        :param run: Its id.
        """
        count = self._progress.nodes
        self._write(f"{self._title}: run {run}, {count} node{'s' * (count != 1)}")

    def note(self, attempt_failure: AttemptFailure) -> None:
        """Write a failure, unless there were many."""
        self._attempt_failures += 1
        if self._attempt_failures <= _MOST_FAILURES:
            self._write(failure_line(attempt_failure))
        elif self._attempt_failures == _MOST_FAILURES + 1:
            self._write("further failures are counted and no longer written down here")

    def tick(self, elapsed: float) -> None:
        """Write the news, when it is time.

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
        """Write the last news; the report shows how the run ended."""
        self._end()

    def _end(self) -> None:
        if not self._detailed:
            return
        for place, row in enumerate(self._progress.rows):
            if place in self._told or not row.over:
                continue
            self._told.add(place)
            many = row.kind != "task" or row.total != 1
            facts = [row.state]
            facts += (
                [f"{row.done} of {row.total}"]
                if many and row.total is not None and row.started is not None
                else []
            )
            facts += [f"{row.failed} failed"] if many and row.failed else []
            facts += [f"{row.retries} retried"] if row.retries else []
            facts += [seconds(row.seconds)] if row.seconds is not None else []
            self._write(f"{'  ' * row.depth}{row.name}: {', '.join(facts)}")

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
