"""The states of a cell and the table of transitions.

A cell is *pending* until all its predecessors are final. Then it is *skipped* (its guard does not
hold, or a required input was skipped) or *ready*; a map's cell goes straight to *running*, because
it is not sent to a worker. When the value of its guard cannot be read, it has *failed*.
A ready cell is *dispatched* when a scheduler placed it and *running* when a worker claimed it. It ends
*succeeded*, *failed* or *cancelled*, or goes to *waiting* when the retry policy wants another attempt;
when that is due it is *ready* again. When a run ends, its running maps and its pending cells are
*cancelled*.

A worker's notices may overtake each other: an outcome may come before the notice of the start, so
*dispatched* has every edge that *running* has.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["FINAL_STATES", "TRANSITIONS", "CellState", "RunStatus", "Trigger"]


class CellState(enum.IntEnum):
    """The states of a cell; the last four are final."""

    PENDING = 0
    READY = 1
    DISPATCHED = 2
    RUNNING = 3
    WAITING = 4
    SUCCEEDED = 5
    FAILED = 6
    SKIPPED = 7
    CANCELLED = 8

    # Every event looks up a member, and the hash of Enum is ten times slower than that of int.
    __hash__ = int.__hash__

    @property
    def final(self) -> bool:
        """Whether no state follows."""
        return self in FINAL_STATES

    @property
    def word(self) -> str:
        """The state's name for people."""
        return self.name.lower()


class RunStatus(str, enum.Enum):
    """The states of a run; the last three are final."""

    RUNNING = "running"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether no state follows."""
        return self is not _RUNNING and self is not _CANCELLING


# The lookup of a member through its class is slow.
_RUNNING, _CANCELLING = RunStatus.RUNNING, RunStatus.CANCELLING


class Trigger(enum.Enum):
    """The causes that move a cell from one state to the next."""

    SUPPLIED = "all sources arrived"
    OPENED = "a map's sources arrived"
    BYPASSED = "guard or required input skipped, or nothing failed that it follows"
    UNREADABLE = "guard cannot be read"
    PLACED = "scheduler placed it"
    CLAIMED = "worker claimed it"
    RETURNED = "attempt succeeded"
    RETRIED = "attempt failed, policy retries"
    GAVE_UP = "attempt failed, policy gives up"
    DUE = "retry is due"
    WITHDRAWN = "run ends, or a predecessor failed"
    ABANDONED = "attempt cancelled"

    # Every event looks up a member, and members are compared by identity.
    __hash__ = object.__hash__


_S, _T = CellState, Trigger

TRANSITIONS: Mapping[tuple[CellState, Trigger], CellState] = MappingProxyType(
    {
        (_S.PENDING, _T.SUPPLIED): _S.READY,
        (_S.PENDING, _T.OPENED): _S.RUNNING,
        (_S.PENDING, _T.BYPASSED): _S.SKIPPED,
        (_S.PENDING, _T.UNREADABLE): _S.FAILED,
        (_S.PENDING, _T.WITHDRAWN): _S.CANCELLED,
        (_S.READY, _T.PLACED): _S.DISPATCHED,
        (_S.READY, _T.WITHDRAWN): _S.CANCELLED,
        (_S.DISPATCHED, _T.CLAIMED): _S.RUNNING,
        (_S.DISPATCHED, _T.RETURNED): _S.SUCCEEDED,
        (_S.DISPATCHED, _T.RETRIED): _S.WAITING,
        (_S.DISPATCHED, _T.GAVE_UP): _S.FAILED,
        (_S.DISPATCHED, _T.ABANDONED): _S.CANCELLED,
        (_S.RUNNING, _T.RETURNED): _S.SUCCEEDED,
        (_S.RUNNING, _T.RETRIED): _S.WAITING,
        (_S.RUNNING, _T.GAVE_UP): _S.FAILED,
        (_S.RUNNING, _T.ABANDONED): _S.CANCELLED,
        (_S.WAITING, _T.DUE): _S.READY,
        (_S.WAITING, _T.WITHDRAWN): _S.CANCELLED,
    }
)

FINAL_STATES = frozenset({_S.SUCCEEDED, _S.FAILED, _S.SKIPPED, _S.CANCELLED})
