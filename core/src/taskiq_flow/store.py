"""The protocol of stores: what a driver, its workers and its clients share.

A store has six small parts. Everything is awaited, even where a store has nothing to wait
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
    """How a run ended.

    :param status: One of the final states.
    :param outputs: The outputs that were produced, by name; of a failed run, those that were.
    :param failures: For each failed cell its last attempt and what went wrong.
    :param left_out: The same for cells of items that a map left out because of it (``skip_errors``).
    :param reason: Why a run without failed cells ended otherwise than well (cancelled, timed out).
    :param timed_out: Whether it ended because its own time limit passed.
    :param holds_slot: Whether attempts that were given up still occupied their workers then.
    :param at: When, in seconds since the epoch.
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
    """A run, as the store knows it.

    :param id: Unique.
    :param pool: The pool whose driver drives it.
    :param graph: What is run; stores that hold text keep ``graph.to_json()``.
    :param inputs: The encoded inputs.
    :param created_at: Seconds since the epoch.
    :param labels: Free words for people, tenants and schedulers.
    :param origins: Where its tasks were discovered, by the task's name: distribution, version and function. Tasks that
        the application has itself are not in it.
    :param resumes: The id of the run that it resumes, whose results it takes over; empty for none.
    :param outcome: ``None`` until the run has finished.
    """

    id: str
    pool: str
    graph: Graph
    inputs: Mapping[str, Value] = field(factory=dict)
    created_at: float = 0.0
    labels: Mapping[str, str] = field(factory=dict)
    origins: Mapping[str, str] = field(factory=dict)
    resumes: str = ""
    outcome: RunOutcome | None = None


@frozen(kw_only=True)
class Lease:
    """The right to do something alone for a while.

    A lease is *lost* once another holder has acquired it, or its own holder has given it back. One that
    has merely expired is still good for writing until somebody takes it.

    :param name: What it is about, such as ``pool:default``.
    :param holder: Who has it; another word for each driver object, since the number follows the holder.
    :param number: The fencing number; each new holder gets a higher one, for ever.
    :param expires_at: Seconds since the epoch.
    """

    name: str
    holder: str
    number: int
    expires_at: float


@light(kw_only=True)
class Notice:
    """One thing for a driver to read: something that happened to a run.

    :param run: The run's id.
    :param event: What happened. A ``RunStarted`` announces a run that was just created.
    """

    run: str
    event: Event


@frozen(kw_only=True)
class WorkerInfo:
    """A worker and what it can do.

    :param id: Unique in the store.
    :param pool: Its pool.
    :param capacity: What it offers, by resource name; an empty mapping means unknown.
    :param tasks: The names of the tasks it can run; ``None`` when it did not say.
    :param versions: For those of them that were discovered, the distribution and its version, by the task's name.
    :param queue: The queue that only this worker reads; empty where there is none.
    :param expires_at: When it counts as lost unless it is heard of again, in seconds since the epoch.
    """

    id: str
    pool: str
    capacity: Mapping[str, float] = field(factory=dict)
    tasks: frozenset[str] | None = None
    versions: Mapping[str, str] = field(factory=dict)
    queue: str = ""
    expires_at: float = 0.0


class RunTable(ABC):
    """The part of a store that knows the runs."""

    @abstractmethod
    async def create(self, record: RunRecord) -> bool:
        """Keep a new run.

        :returns: ``False`` when a run of that id is there already; nothing is changed then.
        """

    @abstractmethod
    async def get(self, run: str) -> RunRecord:
        """Give a run.

        :raises RunNotFound: there is none of that id.
        """

    @abstractmethod
    async def list(
        self, *, pool: str | None = None, active: bool | None = None, limit: int = 100
    ) -> Sequence[RunRecord]:
        """Give runs, the newest first by their ``created_at``.

        :param pool: Only runs of this pool.
        :param active: Only runs without (``True``) or with (``False``) an outcome.
        :param limit: How many at most.
        """

    @abstractmethod
    async def finish(self, run: str, outcome: RunOutcome, *, lease: Lease) -> None:
        """Write down how a run ended, and wake those who wait or follow. Doing so again changes nothing.

        :raises LeaseLost: the lease is lost; nothing was written.
        :raises RunNotFound: there is none of that id.
        """

    @abstractmethod
    async def wait(self, run: str) -> RunRecord:
        """Give the run once it has an outcome; woken by a notification.

        :raises RunNotFound: there is none of that id, or it was deleted meanwhile.
        """

    @abstractmethod
    async def delete(self, run: str) -> bool:
        """Forget a run with its log, claims and blobs.

        Those who wait for it or follow it get :class:`~taskiq_flow.errors.RunNotFound`.
        Notices about it stay in the inbox until the driver, which finds no such run, acknowledges them.

        :returns: Whether there was one.
        """

    @abstractmethod
    async def delete_finished(self, *, before: float) -> int:
        """Forget, as :meth:`delete` does, all runs that finished before a time.

        :param before: Seconds since the epoch; a run counts by its outcome's ``at``.
        :returns: How many.
        """


class RunLog(ABC):
    """The part of a store that keeps what happened, in order."""

    @abstractmethod
    async def append(self, batch: Mapping[str, Sequence[Event]], *, lease: Lease) -> None:
        """Add events to the logs of several runs, all or nothing.

        When it raises anything else than these two errors, the events may have been written all the same; a driver
        reads the logs before it tries again.

        :param batch: The events by run. An empty one writes nothing; a driver asks by it whether it still is one.
        :raises LeaseLost: the lease is lost; nothing was written. This is checked before the runs are, and for an
            empty batch too.
        :raises RunNotFound: there is no run of one of the ids; nothing was written. The error names it
            (``run``), so that the driver can leave it out and append the rest.
        """

    @abstractmethod
    async def read(self, run: str, offset: int = 0) -> Sequence[Event]:
        """Give a run's events from an offset (0 is the first event); none when the offset is past the end.

        :raises RunNotFound: there is no run of that id.
        """

    @abstractmethod
    def follow(self, run: str, offset: int = 0) -> AsyncIterator[Event]:
        """Give a run's events from an offset as they come; woken by a notification.

        Ends after the run has an outcome and all its events were given.

        :raises RunNotFound: there is no run of that id, or it was deleted meanwhile.
        """


class Inbox(ABC):
    """The part of a store through which workers and clients reach the driver of a pool."""

    @abstractmethod
    async def put(self, pool: str, notices: Iterable[Notice]) -> None:
        """Add notices; anybody may, at any time, about any run.

        Notices of one call stay in order, and so do calls that one caller makes one after the other.
        """

    @abstractmethod
    async def take(self, pool: str, limit: int = 1000) -> Sequence[tuple[Any, Notice]]:
        """Give the oldest notices that are not acknowledged, with a token each. Only the driver takes.

        Taking changes nothing: until they are acknowledged the same letters come again, to whoever takes.
        A driver that takes over thus starts with what the one before it had not finished.

        :param limit: How many at most.
        """

    @abstractmethod
    async def acknowledge(self, pool: str, tokens: Iterable[Any]) -> None:
        """Forget notices that were taken, in any order; a token that is gone already is no error."""

    @abstractmethod
    async def wait(self, pool: str, timeout: float | None) -> None:
        """Return when the pool has a notice that is not acknowledged: at once when it has, woken when it gets one.

        :param timeout: Seconds after which to return anyway; ``None`` for no limit.
        """

    def has_notices(self, pool: str) -> bool:
        """Whether this process knows of notices to take, without asking anybody; ``False`` where it would have to ask.

        A driver that executes cells itself looks here between two of them.
        """
        return False

    @abstractmethod
    async def claim(self, pool: str, notice: Notice, *, worker: str) -> bool:
        """Claim the attempt that a ``CellStarted`` notice is about; the first claim wins, and puts the notice.

        Both or neither. A claim is never given back; it is forgotten with its run. The same worker asking
        again is refused as well: it got the message twice.

        :returns: Whether the worker may execute the attempt. ``False`` also when the attempt was revoked,
            when the run has its outcome, and when there is no such run.
        :raises StoreError: the notice is about something other than a ``CellStarted``.
        """

    @abstractmethod
    async def revoke(self, run: str, cell: str, attempt: int) -> bool:
        """Claim an attempt for nobody, so that no worker can start it any more.

        :returns: ``True`` when no worker had claimed it; doing so again gives ``True`` again.
        """


class Blobs(ABC):
    """The part of a store that keeps large values."""

    @abstractmethod
    async def put(self, run: str, key: str, data: bytes) -> None:
        """Keep bytes under a key of a run; writing the same key again replaces them.

        The run need not be there yet: large inputs are put before the run is created.
        """

    @abstractmethod
    async def get(self, run: str, key: str) -> bytes:
        """Give the bytes.

        :raises StoreError: there is nothing under that key of that run: a
            :class:`~taskiq_flow.errors.BlobNotFound`, so that nobody asks again.
        """

    @abstractmethod
    async def delete_run(self, run: str) -> None:
        """Forget all blobs of a run."""


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
    """The part of a store that says who may do what alone."""

    @abstractmethod
    async def acquire(self, name: str, holder: str, ttl: float) -> Lease | None:
        """Take a lease that is free or has expired, under a higher number than it ever had.

        Who had it last and did not give it back gets it again, expired or not, with the same number and a
        new term.

        :param ttl: Seconds until it expires.
        :returns: ``None`` while somebody else has it.
        """

    @abstractmethod
    async def renew(self, lease: Lease, ttl: float) -> Lease | None:
        """Keep a lease for another ``ttl`` seconds from now; ``None`` when it is lost."""

    @abstractmethod
    async def release(self, lease: Lease) -> None:
        """Give a lease back, so that anybody can acquire it at once; without effect when it is lost."""


class WorkerTable(ABC):
    """The part of a store that knows the workers."""

    @abstractmethod
    async def announce(self, worker: WorkerInfo) -> None:
        """Say that a worker is there until ``worker.expires_at``; said again, as a heartbeat, the last word counts."""

    @abstractmethod
    async def list(self, pool: str) -> Sequence[WorkerInfo]:
        """Give the pool's workers, expired ones too, by id."""

    @abstractmethod
    async def remove(self, worker: str) -> None:
        """Forget a worker; without effect when there is none of that id."""


class RunStore(ABC):
    """A store: six parts and a life cycle.

    An object of it belongs to one event loop at a time, unless it says otherwise. :meth:`startup` is awaited before
    anything else, in the event loop that is going to use it; it is awaited again in the next one when that loop has
    ended without :meth:`shutdown`. Where event loops share an object, the first of them awaits ``startup`` for all,
    and the last ``shutdown``.

    :cvar schemes: URL schemes that choose this store.
    :cvar drops_runs: Whether it forgets finished runs without being asked.
    :cvar shared_by_loops: Whether several event loops, in several threads, may use one object of it at once. Where not,
        the second one that runs is refused.
    """

    schemes: ClassVar[tuple[str, ...]] = ()
    drops_runs: ClassVar[bool] = False
    shared_by_loops: ClassVar[bool] = False

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

    async def startup(self) -> None:  # noqa: B027 - there may be nothing to do
        """Connect, and make tables where there are none."""

    async def shutdown(self) -> None:  # noqa: B027 - there may be nothing to do
        """Disconnect."""


def id_of_resumption(run: str) -> str:
    """Give the id of the run that resumes another one: ``3f2a~2`` for ``3f2a``, ``3f2a~3`` for that."""
    match = _ID.fullmatch(run)
    return f"{run}~2" if match is None else f"{match['first']}~{int(match['number']) + 1}"
