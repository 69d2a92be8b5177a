"""``Context.requeue()`` within a cell: the cell gets another attempt, with its arguments and within its run."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from taskiq.exceptions import NoResultError

from taskiq_flow.worker.attempts import Attempt

__all__ = ["REQUEUE", "CellLabels"]

REQUEUE = "X-Taskiq-requeue"
"""The label by which taskiq counts how often a task has requeued its message."""


class CellLabels(dict[str, Any]):
    """The labels of a cell's message, while its task is executed.

    To requeue its message, taskiq counts up :data:`REQUEUE`, sends the message as it is by then, and raises
    ``NoResultError``. That message would have neither arguments nor a run. So nothing is sent here: what counts is
    raised at once, and the attempt's outcome says that there is to be another one.

    :param labels: The labels.
    :param attempt: The attempt.
    """

    def __init__(self, labels: Mapping[str, Any], attempt: Attempt) -> None:
        super().__init__(labels)
        self._attempt = attempt

    def __setitem__(self, name: str, value: Any) -> None:
        """Set a label; the count of requeues ends the attempt instead.

        :raises NoResultError: as ``Context.requeue()`` does.
        """
        if name == REQUEUE:
            self._attempt.requeued = True
            raise NoResultError
        super().__setitem__(name, value)

    def __deepcopy__(self, memo: dict[int, Any]) -> CellLabels:
        """Copy the labels; the attempt stays the same one, whichever middleware copies its message."""
        return CellLabels(copy.deepcopy(dict(self), memo), self._attempt)

    def __reduce__(self) -> tuple[Any, ...]:
        """Be pickled as plain labels, for what leaves the process."""
        return dict, (dict(self),)
