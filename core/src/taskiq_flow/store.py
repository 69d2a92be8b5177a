"""The protocol of stores, which a driver, its workers and its clients share.

A store has six small parts. Every call is awaited, even if a store has nothing to wait
for, so that the same code runs on a dictionary and on a database. Implementations pass
``taskiq_flow.testing.StoreKit``.

A store is chosen by the scheme of a URL (``memory://``, ``postgresql://…``); plugins offer
classes through :func:`~taskiq_flow.hookspecs.flow_register_stores`.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, ClassVar

from attrs import field, frozen

from taskiq_flow._light import light
from taskiq_flow.graph.model import Graph
from taskiq_flow.machine.events import Event
from taskiq_flow.machine.transitions import RunStatus
from taskiq_flow.payloads import Failure, Value

__all__ = [
    "BlobStore",
    "Blobs",
    "Inbox",
    "Lease",
    "Leases",
    "Notice",
    "RunLog",
    "RunOutcome",
    "RunRecord",
    "RunStatus",
    "RunStore",
    "RunTable",
    "WorkerInfo",
    "WorkerTable",
    "id_of_resumption",
]

_ID = re.compile(r"(?P<first>.+)~(?P<number>[1-9]\d*)", re.DOTALL)


@frozen(kw_only=True)
class RunOutcome:
    """The outcome of a run.

    :param status: One of the final states.
    :param outputs: The outputs that were produced, by name; a failed run may lack some.
    :param failures: The last attempt and the failure of each failed cell.
    :param left_out: The same for failed cells of items that a map left out (``skip_errors``).
    :param reason: Why a run without failed cells did not succeed (cancelled, timed out).
    :param timed_out: Whether it ended because its own time limit passed.
    :param holds_slot: Whether attempts that were given up still occupied their workers at the end.
    :param at: The time of the end, in seconds since the epoch.
    """

    status: RunStatus
    outputs: Mapping[str, Value] = field(factory=dict)
    failures: Mapping[str, tuple[int, Failure]] = field(factory=dict)
    left_out: Mapping[str, tuple[int, Failure]] = field(factory=dict)
    reason: str = ""
    timed_out: bool = False
    holds_slot: bool = False
    at: float = 0.0


@frozen(kw_only=True)
class RunRecord:
    """The record of a run in the store.

    :param id: Unique.
    :param pool: The pool whose driver drives it.
    :param graph: The run's graph; stores that hold text keep ``graph.to_json()``.
    :param inputs: The encoded inputs.
    :param created_at: Seconds since the epoch.
    :param labels: Free words for people, tenants and schedulers.
    :param name: For people.
    :param single: The name of the output that is the run's value; ``None`` for a dictionary of all outputs.
    :param origins: The origins of its discovered tasks, by the task's name: distribution, version and function. Tasks
        of the application itself are not in it.
    :param resumes: The id of the run that it resumes, whose results it reuses; empty for none.
    :param nesting: How many tasks are around it: it was started within a task, whose run was started within another.
    :param outcome: ``None`` until the run has finished.
    """

    id: str
    pool: str
    graph: Graph
    inputs: Mapping[str, Value] = field(factory=dict)
    created_at: float = 0.0
    labels: Mapping[str, str] = field(factory=dict)
    name: str = ""
    single: str | None = None
    origins: Mapping[str, str] = field(factory=dict)
    resumes: str = ""
    nesting: int = 0
    outcome: RunOutcome | None = None


@frozen(kw_only=True)
class Lease:
    """An exclusive right for a while, such as that to drive a pool.

    A lease is *lost* once another holder has acquired it, or its own holder has released it. A lease that
    has merely expired is still valid for writing until another holder acquires it.

    :param name: The subject, such as ``pool:default``.
    :param holder: The name of the holder, which must differ for each driver object, because the number follows the
        holder.
    :param number: The fencing number; each new holder gets a higher one, for ever.
    :param expires_at: Seconds since the epoch.
    """

    name: str
    holder: str
    number: int
    expires_at: float


@light(kw_only=True)
class Notice:
    """An event of a run, as a message for the driver.

    :param run: The run's id.
    :param event: The event. A ``RunStarted`` announces a run that was just created.
    """

    run: str
    event: Event


@frozen(kw_only=True)
class WorkerInfo:
    """The announcement of a worker.

    :param id: Unique in the store.
    :param pool: Its pool.
    :param capacity: Its capacity, by resource name; an empty mapping means unknown.
    :param tasks: The names of its tasks; ``None`` if unknown.
    :param versions: The distribution and version of each discovered task, by the task's name.
    :param queue: The queue that only this worker reads; empty if there is none.
    :param expires_at: When it counts as lost without another announcement, in seconds since the epoch.
    """

    id: str
    pool: str
    capacity: Mapping[str, float] = field(factory=dict)
    tasks: frozenset[str] | None = None
    versions: Mapping[str, str] = field(factory=dict)
    queue: str = ""
    expires_at: float = 0.0


class RunTable(ABC):
    """The part of a store for the runs."""

    @abstractmethod
    async def create(self, record: RunRecord) -> bool:
        """Store a new run.

        :returns: ``False`` when there is a run with that id already; nothing has changed then.
        """

    @abstractmethod
    async def get(self, run: str) -> RunRecord:
        """Return a run.

        :raises RunNotFound: there is no run with that id.
        """

    @abstractmethod
    async def list(
        self, *, pool: str | None = None, active: bool | None = None, limit: int = 100
    ) -> Sequence[RunRecord]:
        """Return runs, the newest first by their ``created_at``.

        :param pool: Only runs of this pool.
        :param active: Only runs without (``True``) or with (``False``) an outcome.
        :param limit: The maximum number of runs.
        """

    @abstractmethod
    async def finish(self, run: str, outcome: RunOutcome, *, lease: Lease) -> None:
        """Write the outcome of a run, and wake the calls that wait for it or follow it; a second call changes nothing.

        :raises LeaseLost: the lease is lost; nothing was written.
        :raises RunNotFound: there is no run with that id.
        """

    @abstractmethod
    async def wait(self, run: str) -> RunRecord:
        """Return the run once it has an outcome; a notification wakes the call.

        :raises RunNotFound: there is no run with that id, or it was deleted meanwhile.
        """

    @abstractmethod
    async def delete(self, run: str) -> bool:
        """Delete a run with its log, claims and blobs.

        Calls that wait for it or follow it raise :class:`~taskiq_flow.errors.RunNotFound`.
        Notices about it stay in the inbox until the driver, which finds no such run, acknowledges them.

        :returns: Whether there was such a run.
        """

    @abstractmethod
    async def delete_finished(self, *, before: float) -> int:
        """Delete, as :meth:`delete` does, all runs that finished before a time.

        :param before: Seconds since the epoch; it is compared with the outcome's ``at``.
        :returns: The number of deleted runs.
        """


class RunLog(ABC):
    """The part of a store for the events of runs, in order."""

    @abstractmethod
    async def append(self, batch: Mapping[str, Sequence[Event]], *, lease: Lease) -> None:
        """Add events to the logs of several runs, all or nothing.

        After any other error than the two below, the events may have been written all the same; a driver reads the
        logs before it tries again.

        :param batch: The events by run. An empty batch writes nothing; a driver checks its lease with it.
        :raises LeaseLost: the lease is lost; nothing was written. This is checked before the runs are, and for an
            empty batch too.
        :raises RunNotFound: one of the runs does not exist; nothing was written. The error names the run
            (``run``), so that the driver can leave it out and append the rest.
        """

    @abstractmethod
    async def read(self, run: str, offset: int = 0) -> Sequence[Event]:
        """Return a run's events from an offset (0 is the first event); none when the offset is past the end.

        :raises RunNotFound: there is no run with that id.
        """

    @abstractmethod
    def follow(self, run: str, offset: int = 0) -> AsyncIterator[Event]:
        """Yield a run's events from an offset as they are written; a notification wakes the iterator.

        It ends once the run has an outcome and all its events were yielded.

        :raises RunNotFound: there is no run with that id, or it was deleted meanwhile.
        """


class Inbox(ABC):
    """The part of a store for notices from workers and clients to the driver of a pool."""

    @abstractmethod
    async def put(self, pool: str, notices: Iterable[Notice]) -> None:
        """Add notices; every process may do so, at any time, for any run.

        Notices of one call stay in order, and so do successive calls of one caller.
        """

    @abstractmethod
    async def take(self, pool: str, limit: int = 1000) -> Sequence[tuple[Any, Notice]]:
        """Return the oldest notices that are not acknowledged, each with a token. Only the driver takes.

        Taking changes nothing: until they are acknowledged, every call returns the same notices again.
        A new driver thus starts with the notices that the one before it had not finished.

        :param limit: The maximum number of notices.
        """

    @abstractmethod
    async def acknowledge(self, pool: str, tokens: Iterable[Any]) -> None:
        """Delete notices that were taken, in any order; a token that was acknowledged before is no error."""

    @abstractmethod
    async def wait(self, pool: str, timeout: float | None) -> None:
        """Return when the pool has a notice that is not acknowledged: at once, or woken by a new one.

        :param timeout: Seconds after which to return anyway; ``None`` for no limit.
        """

    def has_notices(self, pool: str) -> bool:
        """Whether this process knows of notices to take without a request; ``False`` when it would need one.

        A driver that executes cells itself checks this between two of them.
        """
        return False

    @abstractmethod
    async def claim(self, pool: str, notice: Notice, *, worker: str) -> bool:
        """Claim the attempt that a ``CellStarted`` notice is about; the first claim wins, and puts the notice.

        Both happen or neither. A claim is never released; it is deleted with its run. A second claim by the same
        worker is refused as well, because the worker got the message twice.

        :returns: Whether the worker may execute the attempt. ``False`` also when the attempt was revoked,
            when the run has an outcome, and when there is no such run.
        :raises StoreError: the notice is about something other than a ``CellStarted``.
        """

    @abstractmethod
    async def revoke(self, run: str, cell: str, attempt: int) -> bool:
        """Revoke an attempt, so that no worker can claim it any more.

        :returns: ``True`` when no worker had claimed it; a second call returns ``True`` again.
        """


class Blobs(ABC):
    """The part of a store for large values."""

    @abstractmethod
    async def put(self, run: str, key: str, data: bytes) -> None:
        """Store bytes under a key of a run; a second call with the same key replaces them.

        The run need not exist yet: large inputs are put before the run is created.
        """

    @abstractmethod
    async def get(self, run: str, key: str) -> bytes:
        """Return the bytes.

        :raises StoreError: there is nothing under that key of that run; then it is a
            :class:`~taskiq_flow.errors.BlobNotFound`, and a retry is useless.
        """

    @abstractmethod
    async def delete_run(self, run: str) -> None:
        """Delete all blobs of a run."""


class BlobStore(Blobs):
    """A place for large values outside of the store, chosen by a URL of its own (``Flow(blobs="s3://…")``).

    It may be used from several threads, event loops and processes at once. Implementations pass
    ``taskiq_flow.testing.BlobStoreKit``.

    :cvar schemes: URL schemes that choose it.
    """

    schemes: ClassVar[tuple[str, ...]] = ()

    @classmethod
    @abstractmethod
    def from_url(cls, url: str) -> BlobStore:
        """Make one from its URL, without connecting yet."""

    async def startup(self) -> None:
        """Connect; by default there is nothing to do."""

    async def shutdown(self) -> None:
        """Disconnect; by default there is nothing to do."""


class Leases(ABC):
    """The part of a store for exclusive rights."""

    @abstractmethod
    async def acquire(self, name: str, holder: str, ttl: float) -> Lease | None:
        """Acquire a lease that is free or has expired, with a higher number than it ever had.

        The last holder, if it has not released the lease, gets it again, expired or not, with the same number and
        a new term.

        :param ttl: Seconds until it expires.
        :returns: The lease; ``None`` while another holder has it.
        """

    @abstractmethod
    async def renew(self, lease: Lease, ttl: float) -> Lease | None:
        """Renew a lease for ``ttl`` seconds from now; ``None`` when it is lost."""

    @abstractmethod
    async def release(self, lease: Lease) -> None:
        """Release a lease, so that any holder can acquire it at once; without effect when it is lost."""


class WorkerTable(ABC):
    """The part of a store for the workers."""

    @abstractmethod
    async def announce(self, worker: WorkerInfo) -> None:
        """Announce a worker until ``worker.expires_at``; a later announcement, as a heartbeat, replaces it."""

    @abstractmethod
    async def list(self, pool: str) -> Sequence[WorkerInfo]:
        """Return the pool's workers, expired ones too, by id."""

    @abstractmethod
    async def remove(self, worker: str) -> None:
        """Delete a worker; without effect when there is no worker with that id."""


class RunStore(ABC):
    """A store: six parts and a life cycle.

    A store object belongs to one event loop at a time, unless ``shared_by_loops`` is true. :meth:`startup` is awaited
    before any other call, in the event loop that uses the object; if that loop ends without :meth:`shutdown`, it is
    awaited again in the next one. If event loops share an object, the first of them awaits ``startup`` for all, and the
    last ``shutdown``.

    :cvar schemes: URL schemes that choose this store.
    :cvar drops_runs: Whether it deletes finished runs by itself.
    :cvar shared_by_loops: Whether several event loops, in several threads, may use one object at once. Otherwise the
        second running loop is refused.
    :cvar shared_by_processes: Whether objects in several processes see the same runs, when they are made from one URL.
        Otherwise only a broker in memory takes the store by its URL.
    """

    schemes: ClassVar[tuple[str, ...]] = ()
    drops_runs: ClassVar[bool] = False
    shared_by_loops: ClassVar[bool] = False
    shared_by_processes: ClassVar[bool] = True

    runs: RunTable
    log: RunLog
    inbox: Inbox
    blobs: Blobs
    leases: Leases
    workers: WorkerTable

    @classmethod
    @abstractmethod
    def from_url(cls, url: str) -> RunStore:
        """Make a store from its URL, without connecting yet."""

    def describe_keeping(self) -> str:
        """Say how long finished runs are kept, for people; empty where that is decided elsewhere."""
        return ""

    async def startup(self) -> None:  # noqa: B027 - there may be nothing to do
        """Connect, and make tables if there are none."""

    async def shutdown(self) -> None:  # noqa: B027 - there may be nothing to do
        """Disconnect."""


def id_of_resumption(run: str) -> str:
    """Return the id of the run that resumes another one: ``3f2a~2`` for ``3f2a``, ``3f2a~3`` for that."""
    match = _ID.fullmatch(run)
    return f"{run}~2" if match is None else f"{match['first']}~{int(match['number']) + 1}"
