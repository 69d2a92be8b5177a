"""Every error that Taskiq-Flow raises.

::

    FlowError
    ├── GraphError            the graph, or the inputs given to it, are wrong (lists every problem)
    ├── PluginError           a plugin, or the configuration that selects it, cannot be used
    ├── PayloadError          a value cannot be encoded, decoded or is too large
    ├── StoreError            the store refused or lost something
    │   ├── RunNotFound       no run of that id
    │   ├── BlobNotFound      a large value is gone
    │   └── LeaseLost         another holder took the lease over
    ├── RunError              a run did not succeed
    │   ├── CellFailed        one cell's final failure, with its story
    │   │   ├── CellTimedOut  an attempt's time limit passed; also a TimeoutError
    │   │   └── RemoteTraceback   the cause of a task's exception: where and how it was raised
    │   ├── RunCancelled      the run was cancelled
    │   └── RunTimedOut       the run's own time limit passed; also a TimeoutError
    ├── PipelineError         raised by tasks about the pipeline that they are in
    │   └── AbortPipeline     the task wants its pipeline to end; there is no further attempt
    ├── ResumeError           a run cannot be resumed
    ├── UnschedulableError    no worker could ever run what was submitted
    ├── UsageError            a command cannot be carried out as it was given
    └── InvalidTransition     a defect of the machine, or of the code that feeds it events
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from taskiq_flow.payloads import Failure

__all__ = [
    "AbortPipeline",
    "BlobNotFound",
    "CellFailed",
    "CellTimedOut",
    "FlowError",
    "GraphError",
    "InvalidTransition",
    "LeaseLost",
    "PayloadError",
    "PipelineError",
    "PluginError",
    "RemoteTraceback",
    "ResumeError",
    "RetryException",
    "RunCancelled",
    "RunError",
    "RunNotFound",
    "RunTimedOut",
    "StoreError",
    "UnschedulableError",
    "UsageError",
]


class FlowError(Exception):
    """Base of every error of Taskiq-Flow; survives copying and pickling, also where a subclass has a constructor."""

    def __reduce__(self) -> tuple[Any, ...]:
        # By default an exception is unpickled by its constructor with its text alone, which not all of ours take.
        return _make, (type(self), self.args), self.__dict__


def _make(kind: type[FlowError], args: tuple[Any, ...]) -> FlowError:
    error = kind.__new__(kind, *args)
    # A class that is an OSError as well, as TimeoutError is, leaves them to its constructor.
    error.args = args
    return error


class GraphError(FlowError):
    """The graph, or the inputs given to it, are wrong.

    :param problems: One sentence for every problem, not only the first.
    """

    def __init__(self, problems: str | Iterable[str]) -> None:
        self.problems: tuple[str, ...] = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


class PluginError(FlowError):
    """A plugin, or the configuration that selects one, cannot be used."""


class PayloadError(FlowError):
    """A value cannot be encoded or decoded, or it is too large."""


class StoreError(FlowError):
    """The store refused or lost something."""


class RunNotFound(StoreError):
    """No run of that id is in the store.

    :param run: The unknown id.
    """

    def __init__(self, run: str) -> None:
        self.run = run
        super().__init__(f"no run {run!r} in this store; it may have been deleted by age")


class BlobNotFound(StoreError):
    """A large value is gone for good; another try will not find it.

    :param run: The run's id.
    :param key: The blob's key.
    :param place: The place that was searched, for people.
    """

    def __init__(self, run: str, key: str, place: str = "this store") -> None:
        self.run = run
        self.key = key
        self.place = place
        super().__init__(f"no blob {key!r} of run {run!r} in {place}; it goes when its run is deleted")


class LeaseLost(StoreError):
    """A newer holder has taken the lease over; the former holder must stop writing."""


class RunError(FlowError):
    """A run did not succeed."""


class CellFailed(RunError):
    """The final failure of one cell.

    :param cell: The cell's path, such as ``tracks[3]/features``.
    :param attempt: The number of the last attempt, counted from 1.
    :param failure: What happened, as data.
    :param run: The run's id.
    """

    def __init__(self, cell: str, attempt: int, failure: Failure, run: str = "") -> None:
        self.cell = cell
        self.attempt = attempt
        self.failure = failure
        self.run = run
        super().__init__(
            f"cell {cell!r} failed on attempt {attempt} ({failure.kind.value}): {failure.summary}"
        )

    @property
    def node(self) -> str:
        """The name of the node, without the scopes around it."""
        return self.cell.rpartition("/")[2]

    @property
    def kind(self) -> str:
        """One of exception, timeout, worker_lost, rejected, cancelled."""
        return self.failure.kind.value

    @property
    def traceback_text(self) -> str:
        """The traceback as the worker formatted it; empty where there was none."""
        return self.failure.traceback


class CellTimedOut(CellFailed, TimeoutError):
    """The final failure of a cell whose attempt took longer than its time limit."""


class RemoteTraceback(CellFailed):
    """The cause of an exception that a task has raised: its text ends with the traceback as the worker saw it."""

    def __str__(self) -> str:
        return f"{super().__str__()}\n\n{self.failure.traceback.rstrip()}\n"


class RunCancelled(RunError):
    """The run was cancelled before it finished."""


class RunTimedOut(RunError, TimeoutError):
    """The run did not finish within its own time limit."""


class ResumeError(FlowError):
    """A run cannot be resumed: it is not over, has nothing left to do, or was resumed already.

    :param run: The run's id.
    :param resumed_as: The run that resumes it; empty where there is none.
    """

    def __init__(self, message: str, *, run: str = "", resumed_as: str = "") -> None:
        self.run = run
        self.resumed_as = resumed_as
        super().__init__(message)


class UnschedulableError(FlowError):
    """No worker of the pool could ever run the submitted cells."""


class UsageError(FlowError):
    """A command cannot be carried out as it was given; people see only the error's text.

    Its cause, where there is one, is an exception of the user's own code.
    """


class InvalidTransition(FlowError):
    """An event that the transition table does not have; a defect, never the user's.

    :param cell: The path of the cell, or an empty string for the run itself.
    :param event: The name of the event.
    :param story: The states that the cell went through, oldest first.
    """

    def __init__(self, cell: str, event: str, story: Sequence[str]) -> None:
        self.cell = cell
        self.event = event
        self.story = tuple(story)
        subject = f"cell {cell!r}" if cell else "the run"
        super().__init__(f"{event} is not possible for {subject}, which went through: {' -> '.join(story)}")


class PipelineError(FlowError):
    """Base of what tasks raise about the pipeline that they are in."""


class AbortPipeline(PipelineError):
    """Raised by a task that wants its pipeline to end: the failure is final, whatever the retry policy says.

    :param reason: For people; the text of the error has it.
    """

    def __init__(self, reason: str = "No reason provided.") -> None:
        self.reason = reason
        super().__init__(f"the pipeline was aborted: {reason}")


class RetryException(Exception):
    """Raised by a task that wants another attempt.

    :param message: Why.
    :param delay: Seconds to wait before it; ``None`` leaves that to the retry policy.
    """

    def __init__(self, message: str = "", *, delay: float | None = None) -> None:
        self.delay = delay
        super().__init__(message)
