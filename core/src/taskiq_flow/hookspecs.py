"""Every hook of Taskiq-Flow: what a plugin may implement, and when it is called.

A plugin is a module or an object with functions of these names, marked with :data:`hookimpl`.
It takes only the arguments that it needs, by their names::

    from taskiq_flow.hookspecs import hookimpl

    @hookimpl
    def flow_register_schedulers():
        from acme_flow.scheduler import AcmeScheduler
        return [AcmeScheduler]

Where several plugins implement a hook, the one that was loaded last is called first: those given
in code, then installed ones in reverse order of their names, then the defaults. pluggy's
``tryfirst`` and ``trylast`` change that. Implementations are plain functions: neither ``async``
nor wrappers, because the core calls them one by one and keeps the origin of each answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pluggy import HookimplMarker, HookspecMarker

if TYPE_CHECKING:
    from taskiq_flow.command import Command
    from taskiq_flow.discoverer import Discoverer
    from taskiq_flow.machine.events import (
        AttemptFailed,
        CellCancelled,
        CellDispatched,
        CellProgressed,
        CellStarted,
        CellSucceeded,
    )
    from taskiq_flow.retry import RetryPolicy
    from taskiq_flow.scheduler import Scheduler
    from taskiq_flow.serializer import ByteCodec, Serializer
    from taskiq_flow.store import BlobStore, RunOutcome, RunRecord, RunStore, WorkerInfo

__all__ = [
    "API_VERSION",
    "PREFIX",
    "PROJECT",
    "flow_cell_dispatched",
    "flow_cell_finished",
    "flow_cell_progressed",
    "flow_cell_retried",
    "flow_cell_started",
    "flow_register_blob_stores",
    "flow_register_codecs",
    "flow_register_commands",
    "flow_register_discoverers",
    "flow_register_retry_policies",
    "flow_register_schedulers",
    "flow_register_serializers",
    "flow_register_stores",
    "flow_route_cell",
    "flow_run_finished",
    "flow_run_started",
    "flow_worker_capacity",
    "flow_worker_lost",
    "hookimpl",
    "hookspec",
]

PROJECT = "taskiq_flow"
PREFIX = "flow_"

#: Grows when a plugin written for the older hooks could break. A plugin may declare the versions that it was made for
#: with a module attribute ``taskiq_flow_api = (lowest, highest)``.
API_VERSION = 1

hookspec = HookspecMarker(PROJECT)
hookimpl = HookimplMarker(PROJECT)


# Registration


@hookspec
def flow_register_retry_policies() -> Iterable[type[RetryPolicy]]:  # type: ignore[empty-body]
    """Offer retry policies, each selectable by its ``name``.

    Called once for each :class:`~taskiq_flow.flow.Flow`, in the client and in every worker process, before anything
    runs. An exception here stops the start-up with an error that names the distribution.

    :returns: Classes that pass ``taskiq_flow.testing.RetryPolicyKit``; objects are made of them with ``from_options``.

    .. versionadded:: 2.0
    """


@hookspec
def flow_register_schedulers() -> Iterable[type[Scheduler]]:  # type: ignore[empty-body]
    """Offer schedulers, each selectable by its ``name``.

    Called once for each :class:`~taskiq_flow.flow.Flow`, in the client and in every worker process, before anything
    runs. An exception here stops the start-up with an error that names the distribution.

    :returns: Classes that pass ``taskiq_flow.testing.SchedulerKit`` and can be called without arguments.

    .. versionadded:: 2.0
    """


@hookspec
def flow_register_serializers() -> Iterable[type[Serializer]]:  # type: ignore[empty-body]
    """Offer serializers, each selectable by its ``name``, which is stored with every value that it writes.

    Called once for each :class:`~taskiq_flow.flow.Flow`, in the client and in every worker process, before anything
    runs. An exception here stops the start-up with an error that names the distribution.

    :returns: Classes that pass ``taskiq_flow.testing.SerializerKit`` and can be called without arguments.

    .. versionadded:: 2.0
    """


@hookspec
def flow_register_codecs() -> Iterable[type[ByteCodec]]:  # type: ignore[empty-body]
    """Offer codecs, which compress or encrypt encoded values, each selectable by its ``name``.

    Called once for each :class:`~taskiq_flow.flow.Flow`, in the client and in every worker process, before anything
    runs; a class is called when the codec is selected, or when a payload that it changed is first read. An exception
    here stops the start-up with an error that names the distribution.

    :returns: Classes that pass ``taskiq_flow.testing.ByteCodecKit`` and can be called without arguments; the name
        stands in the id of every payload that was changed.

    .. versionadded:: 2.0
    """


@hookspec
def flow_register_blob_stores() -> Iterable[type[BlobStore]]:  # type: ignore[empty-body]
    """Offer places for large values outside of the store, each selectable by the URL schemes in its ``schemes``.

    Called once for each :class:`~taskiq_flow.flow.Flow`, in the client and in every worker process, before anything
    runs. An exception here stops the start-up with an error that names the distribution.

    :returns: Classes that pass ``taskiq_flow.testing.BlobStoreKit``; objects are made of them with ``from_url``.

    .. versionadded:: 2.0
    """


@hookspec
def flow_register_stores() -> Iterable[type[RunStore]]:  # type: ignore[empty-body]
    """Offer stores, each selectable by the URL schemes in its ``schemes``.

    Called once for each :class:`~taskiq_flow.flow.Flow`, in the client and in every worker process, before anything
    runs. An exception here stops the start-up with an error that names the distribution.

    :returns: Classes that pass ``taskiq_flow.testing.StoreKit``; objects are made of them with ``from_url``.

    .. versionadded:: 2.0
    """


@hookspec
def flow_register_discoverers() -> Iterable[type[Discoverer]]:  # type: ignore[empty-body]
    """Offer discoverers of tasks, each selectable by its ``name``.

    Called once for each :class:`~taskiq_flow.flow.Flow`, in the client and in every worker process, before anything
    runs. An exception here stops the start-up with an error that names the distribution.

    :returns: Classes that pass ``taskiq_flow.testing.DiscovererKit``; objects are made of them with ``from_settings``.

    .. versionadded:: 2.0
    """


@hookspec
def flow_register_commands() -> Iterable[type[Command]]:  # type: ignore[empty-body]
    """Offer sub-commands of ``taskiq flow``, each called by its ``name``.

    Called once for each :class:`~taskiq_flow.flow.Flow`, and once by ``taskiq flow`` before it reads its arguments. So
    a plugin imports nothing here that its command needs only when it runs. An exception here stops the start-up with
    an error that names the distribution.

    :returns: Classes that can be called without arguments.

    .. versionadded:: 2.0
    """


# Decision: the first answer that is not ``None`` is taken


@hookspec(firstresult=True)
def flow_route_cell(
    run: str, cell: str, task: str, worker: WorkerInfo | None, queue: str
) -> Mapping[str, Any] | None:
    """Choose the labels that bring a cell's message to its placement.

    Called once for each dispatch, in the process that drives the pool, before the message is sent; again when it is
    sent again. The labels are added to those of the task and of the node. The default gives ``queue_name``: the queue
    of the worker, or else ``queue``; no label when there is neither. An exception here, or an answer that is not a
    mapping with text as keys, is logged with the origin, and the default is used.

    :param run: The run's id.
    :param cell: The cell's path, such as ``tracks[3]/features``.
    :param task: The task's name.
    :param worker: The worker that the cell was placed on; ``None`` where any worker of the pool may take it.
    :param queue: The queue that the placement or the node asks for; empty for none.
    :returns: Labels for the taskiq message, or ``None`` to leave it to the next plugin.

    .. versionadded:: 2.0
    """


@hookspec(firstresult=True)
def flow_worker_capacity() -> Mapping[str, float] | None:
    """State the capacity of this process's worker: ``cpu`` in cores, ``ram_mb`` in mebibytes, others by name.

    Called once in each worker process, before it announces itself; and in a process with an in-memory broker, when a
    scheduler reads resources and neither pool nor flow states a capacity. Not called where ``Flow(capacity=…)`` is
    given. Without an answer the capacity is unknown, and no limit applies. An exception here, or an answer that is not
    a mapping of numbers, is logged with the origin, and the capacity counts as unknown.

    :returns: Amounts by resource name, or ``None`` to leave it to the next plugin.

    .. versionadded:: 2.0
    """


# Notification: observers, whose results are ignored


@hookspec
def flow_run_started(record: RunRecord) -> None:
    """Observe that a run began.

    Called once for each run, in the process that drives its pool, after the event was written to the run's log; when
    the driver dies right then, not at all. Keep it short: the driver waits. An exception here is logged with the
    origin and changes nothing.

    :param record: The run, without an outcome.

    .. versionadded:: 2.0
    """


@hookspec
def flow_run_finished(record: RunRecord, outcome: RunOutcome) -> None:
    """Observe that a run succeeded, failed or was cancelled.

    Called once for each run, in the process that drives its pool, after the outcome was written to the store; when
    the driver dies right then, not at all. Keep it short: the driver waits. An exception here is logged with the
    origin and changes nothing.

    :param record: The run.
    :param outcome: The outcome, with its outputs still encoded.

    .. versionadded:: 2.0
    """


@hookspec
def flow_cell_dispatched(run: str, event: CellDispatched) -> None:
    """Observe that an attempt of a cell was placed.

    Called once for each attempt, in the process that drives the pool, after the event was written to the run's log.
    Keep it short: the driver waits. An exception here is logged with the origin and changes nothing.

    :param run: The run's id.
    :param event: The cell, the attempt and its placement.

    .. versionadded:: 2.0
    """


@hookspec
def flow_cell_started(run: str, event: CellStarted) -> None:
    """Observe that a worker began an attempt.

    Called once for each attempt that a worker claimed, in the process that drives the pool, after the event was written
    to the run's log. Keep it short: the driver waits. An exception here is logged with the origin and changes nothing.

    :param run: The run's id.
    :param event: The cell, the attempt and its worker.

    .. versionadded:: 2.0
    """


@hookspec
def flow_cell_finished(run: str, event: CellSucceeded | AttemptFailed | CellCancelled) -> None:
    """Observe that a cell is final: it succeeded, failed for good, or was cancelled.

    Called once for each cell that was dispatched, in the process that drives the pool, after the event was written to
    the run's log; not for skipped cells. Keep it short: the driver waits. An exception here is logged with the origin
    and changes nothing.

    :param run: The run's id.
    :param event: The final event of the cell, with its values still encoded.

    .. versionadded:: 2.0
    """


@hookspec
def flow_cell_retried(run: str, event: AttemptFailed) -> None:
    """Observe that an attempt failed and that the retry policy wants another one.

    Called once for each such attempt, in the process that drives the pool, after the event was written to the run's
    log. Keep it short: the driver waits. An exception here is logged with the origin and changes nothing.

    :param run: The run's id.
    :param event: The failure, the time of the next attempt, and the policy's reason.

    .. versionadded:: 2.0
    """


@hookspec
def flow_cell_progressed(run: str, event: CellProgressed) -> None:
    """Observe the progress that a running task reports.

    Called as often as the task reports, in the process that drives the pool. Keep it short: the driver waits. An
    exception here is logged with the origin and changes nothing.

    :param run: The run's id.
    :param event: The cell, the attempt and the fraction that is done.

    .. versionadded:: 2.0
    """


@hookspec
def flow_worker_lost(worker: str, pool: str) -> None:
    """Observe that a worker was lost: it sent no heartbeat in time, and its attempts count as failed.

    Called once each time a worker is given up, in the process that drives the pool. Keep it short: the driver waits.
    An exception here is logged with the origin and changes nothing.

    :param worker: The worker's id.
    :param pool: Its pool.

    .. versionadded:: 2.0
    """
