"""Tasks that were sent on their own, and about whose failure a retry policy had something to say: they become runs.

The first attempt has happened already, in the hands of taskiq. Its failure is told to the driver as if
the driver had sent it; from then on delays are timers in the log. When the run is over, its driver puts
the result into the result backend, under the id that the sender of the message knows. One that gets no further attempt
is over at once; it is a run all the same, so that it can be found, and resumed.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from attrs import evolve
from taskiq import AsyncBroker
from taskiq.exceptions import NoResultError
from taskiq.message import TaskiqMessage
from taskiq.result import TaskiqResult

from taskiq_flow._logs import open_log
from taskiq_flow._runtime import Runtime
from taskiq_flow.errors import BlobNotFound, PayloadError, RunError
from taskiq_flow.graph.model import Graph, Input, InputSpec, NodeOptions, Output, TaskNode
from taskiq_flow.machine import events as ev
from taskiq_flow.machine.transitions import RunStatus
from taskiq_flow.payloads import FailureKind, Value
from taskiq_flow.retries.refusals import find_refusal
from taskiq_flow.retry import CellView, FailedAttempt
from taskiq_flow.store import Notice, RunOutcome, RunRecord
from taskiq_flow.tasks.labels import (
    MAX_RETRIES,
    RETRY_ON_ERROR,
    from_plain,
    has_retry_middleware,
    is_kept_from_middlewares,
    refuses_retries,
    to_plain,
)
from taskiq_flow.tasks.options import options_of, origin_of
from taskiq_flow.values.claim_checks import ClaimChecks
from taskiq_flow.values.codec import Codec
from taskiq_flow.values.failures import failure_of, revive
from taskiq_flow.worker.decorated import FlowTask
from taskiq_flow.worker.functions import TaskFunction, task_function_of
from taskiq_flow.worker.references import own_name
from taskiq_flow.worker.sent import read_arguments
from taskiq_flow.worker.standalone import StandaloneMessage

__all__ = ["ADOPTED", "Adoption", "asks_policy", "store_result"]

logger = open_log("taskiq_flow")

ADOPTED = "taskiq_flow.adopted"
"""The label of such a run; its value is the message's id."""

ADOPTED_OUTPUT = "result"
"""The name of its one output."""

# The label by which taskiq's retry middlewares count.
_RETRIES = "_retries"

_BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL)


def _find_obstacle(task: FlowTask[Any, Any], begun: StandaloneMessage) -> str:
    """Say what keeps a message from being sent again with the same arguments; empty when nothing does."""
    args, kwargs = read_arguments(begun.sent)
    try:
        bound = inspect.signature(task.func).bind_partial(*args, **kwargs)
    except TypeError as error:
        return f"its arguments do not fit ({error})"
    parameters = bound.signature.parameters
    unnamed = [name for name in bound.arguments if parameters[name].kind in _BY_POSITION]
    if not unnamed:
        return ""
    return f"arguments travel by name, and {', '.join(map(repr, unnamed))} can only be given by position"


def _run_id_of(message: TaskiqMessage) -> str:
    """Give the id of the run that a message becomes."""
    return f"adopted-{message.task_id}"


def asks_policy(function: TaskFunction, message: TaskiqMessage, broker: AsyncBroker, *, always: bool) -> bool:
    """Whether a policy of the flow decides about a message that was sent on its own, and no middleware of taskiq's.

    :param always: Whether the configuration has a policy for every task.
    """
    if refuses_retries(message.labels):
        return False
    if always or (function.asks_policy and not function.only_counts):
        return True
    # What asks a middleware of taskiq's, where there is one, asks the policy where there is none.
    return (function.asks_policy or MAX_RETRIES in message.labels) and not has_retry_middleware(broker)


class Adoption:
    """Decides whether a message that has failed becomes a run, and makes that.

    :param runtime: The parts of the flow.
    :param worker: The id of the worker that had the message.
    :param wake: Sees to it that somebody drives; called with the id of the run.
    """

    def __init__(self, runtime: Runtime, worker: str, wake: Callable[[str], Awaitable[None]] | None) -> None:
        self._runtime = runtime
        self._worker = worker
        self._wake = wake

    async def adopt(self, begun: StandaloneMessage, message: TaskiqMessage, error: BaseException) -> bool:
        """Make a run of a failed task, where its policy wants it to be tried again, or says why it is given up.

        :returns: Whether the run has the task's result now.
        """
        runtime = self._runtime
        task = runtime.broker.find_task(message.task_name)
        if not isinstance(task, FlowTask) or isinstance(error, NoResultError):
            return False
        task_function, options = task_function_of(task), options_of(task)
        timed_out = options.timeout is not None and isinstance(error, (TimeoutError, asyncio.TimeoutError))
        failure = failure_of(error, FailureKind.TIMEOUT if timed_out else None)
        says_no, retry = refuses_retries(message.labels), None
        refusal = find_refusal(failure, error, says_no=says_no, types=task_function.types)
        if is_kept_from_middlewares(message) or asks_policy(
            task_function, message, runtime.broker, always=runtime.policies.configured is not None
        ):
            retry = _retry_options(options, message)
        elif refusal or _RETRIES in message.labels:
            return False  # the user has said no, or a middleware of taskiq's has decided
        failed = runtime.policies.decide(
            FailedAttempt(failure=failure, exception=error),
            CellView(
                run=message.task_id,
                path=own_name(task_function.function.__name__),
                task=task_function.task,
                resources=options.resources,
                first_started_at=begun.started_at,
            ),
            own=task_function.policy,
            options=retry,
            attempt=1,
            now=runtime.clock.now(),
            refusal=refusal,
        )
        if failed.retry_at is None and not failed.reason:
            return False  # nobody had asked for a policy
        hindrance = _find_obstacle(task, begun)
        if failed.retry_at is None or hindrance:
            reason = failed.reason if failed.retry_at is None else hindrance
            logger.warning("task %r gets no further attempt: %s", message.task_name, reason)
        if hindrance:
            return False
        try:
            adopted = await self._create(task, message, begun, failed, retry)
        except Exception:  # a store's; the result of what is over anyway must not depend on it
            if failed.retry_at is not None:
                raise
            logger.exception(
                "task %r is not among the dead letters, because no run can be made", message.task_name
            )
            return False
        if failed.retry_at is None and not adopted:
            return False  # another message of this id has a run, which stores that one's result
        if self._wake is not None:
            await self._wake(_run_id_of(message))
        return True

    async def _create(
        self,
        task: FlowTask[Any, Any],
        message: TaskiqMessage,
        begun: StandaloneMessage,
        failed: ev.AttemptFailed,
        retry: Mapping[str, Any] | None,
    ) -> bool:
        """Make a run of a message whose first attempt failed.

        :param failed: The first attempt's failure, with the policy's decision.
        :param retry: The options of that policy.
        :returns: Whether it was made; ``False`` when there is one of a message with this id.
        """
        runtime = self._runtime
        args, kwargs = read_arguments(begun.sent)
        bound = inspect.signature(task.func).bind_partial(*args, **kwargs)
        arguments: dict[str, Any] = {}
        for name, value in bound.arguments.items():
            kind = bound.signature.parameters[name].kind
            if kind is inspect.Parameter.VAR_KEYWORD:
                arguments.update(value)
            else:
                arguments[name] = value
        node = TaskNode(
            name=failed.cell,
            task=task.task_name,
            params={name: Input(name) for name in arguments},
            outputs=(ADOPTED_OUTPUT,),
            options=evolve(_options(task, message), retry=retry),
        )
        graph = Graph(
            nodes={node.name: node},
            inputs={name: InputSpec() for name in arguments},
            outputs={ADOPTED_OUTPUT: Output(node.name, ADOPTED_OUTPUT)},
            name=task.task_name,
        )
        inputs: dict[str, Value] = {name: runtime.codec.encode(value) for name, value in arguments.items()}
        run = _run_id_of(message)
        record = RunRecord(
            id=run,
            pool=runtime.pool,
            graph=graph,
            inputs=await runtime.claim_checks.check_in_inputs(run, inputs),
            created_at=failed.at,
            labels={ADOPTED: message.task_id},
            origins={} if (origin := origin_of(task)) is None else {task.task_name: str(origin)},
        )
        created = await runtime.store.runs.create(record)
        if created:
            first = ev.CellDispatched(cell=failed.cell, attempt=1, worker=self._worker, at=failed.at)
            started = ev.CellStarted(cell=failed.cell, attempt=1, worker=self._worker, at=begun.started_at)
            events: list[ev.Event] = [ev.RunStarted(at=failed.at), first, started, failed]
            await runtime.store.inbox.put(
                runtime.pool, [Notice(run=record.id, event=event) for event in events]
            )
        return created


async def store_result(
    broker: AsyncBroker, record: RunRecord, outcome: RunOutcome, codec: Codec, checks: ClaimChecks
) -> None:
    """Put the outcome of an adopted message where its sender waits for it."""
    task_id = record.labels.get(ADOPTED)
    if task_id is None:
        return
    error: BaseException | None = None
    if outcome.status is not RunStatus.SUCCEEDED:
        error = RunError(
            f"run {record.id}, which tried task {record.graph.name!r} again, ended: {outcome.reason}"
        )
        for cell, (attempt, failure) in outcome.failures.items():
            error = revive(cell, attempt, failure, record.id)
    found: Any = None
    if (value := outcome.outputs.get(ADOPTED_OUTPUT)) is not None:
        try:
            found = codec.decode(await checks.redeem(record.id, value))
        except (PayloadError, BlobNotFound) as unreadable:
            # Nothing would come of trying again; and the sender waits.
            error = unreadable
    node = next(iter(record.graph.nodes.values()))
    result: TaskiqResult[Any] = TaskiqResult(
        is_err=error is not None,
        return_value=found,
        execution_time=round(outcome.at - record.created_at, 2),
        labels={name: from_plain(value) for name, value in node.options.labels.items()},
        error=error,
    )
    await broker.result_backend.set_result(task_id, result)


def _options(task: FlowTask[Any, Any], message: TaskiqMessage) -> NodeOptions:
    """Give the task's options with the labels that this very message was sent with."""
    options = options_of(task)
    own = {name: value for name, value in message.labels.items() if task.labels.get(name) != value}
    queue = own.pop("queue_name", None)
    for name in (RETRY_ON_ERROR, MAX_RETRIES):
        own.pop(name, None)
    return evolve(
        options,
        labels={**options.labels, **{name: to_plain(value) for name, value in own.items()}},
        queue=options.queue if queue is None else str(queue),
    )


def _retry_options(options: NodeOptions, message: TaskiqMessage) -> Mapping[str, Any] | None:
    """Give the retry options of a message: those of its task, unless it was sent with a count of its own."""
    count = message.labels.get(MAX_RETRIES)
    if isinstance(count, str) and count.isdecimal():
        count = int(count)
    if type(count) is not int or count < 0:
        return options.retry
    return {**(options.retry or {}), MAX_RETRIES: count}
