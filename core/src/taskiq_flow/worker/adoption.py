"""Tasks that were sent on their own, and about whose failure a retry policy had something to say: they become runs.

The first attempt has happened already, in the hands of taskiq. Its failure is told to the driver as if
the driver had sent it; from then on delays are timers in the log. When the run is over, its driver puts
the result into the result backend, under the id that the sender of the message knows. One that gets no further attempt
is over at once; it is a run all the same, so that it can be found, and resumed.
"""

from __future__ import annotations

import inspect
from typing import Any

from attrs import evolve
from taskiq.message import TaskiqMessage

from taskiq_flow.adopted import ADOPTED, ADOPTED_OUTPUT
from taskiq_flow.claim_checks import ClaimChecks
from taskiq_flow.codec import Codec
from taskiq_flow.graph.model import Graph, Input, InputSpec, NodeOptions, Output, TaskNode
from taskiq_flow.machine import events as ev
from taskiq_flow.payloads import Value
from taskiq_flow.store import Letter, RunRecord, RunStore
from taskiq_flow.task_options import options_of, origin_of
from taskiq_flow.worker.attempts import Single
from taskiq_flow.worker.decorated import FlowTask

__all__ = ["RETRY_ON_ERROR", "adopt", "obstacle", "run_id_of"]

RETRY_ON_ERROR = "retry_on_error"
"""The label by which taskiq's own retry middlewares, where there are any, send a message again. Only one decides about
retries, so it says no where a policy is asked: theirs would execute a cell's task once more outside of its run."""

_BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL)


def obstacle(task: FlowTask[Any, Any], execution: Single) -> str:
    """Say what keeps a message from being sent again with the same arguments; empty when nothing does."""
    try:
        bound = inspect.signature(task.func).bind_partial(*execution.args, **execution.kwargs)
    except TypeError as error:
        return f"its arguments do not fit ({error})"
    parameters = bound.signature.parameters
    unnamed = [name for name in bound.arguments if parameters[name].kind in _BY_POSITION]
    if not unnamed:
        return ""
    return f"arguments travel by name, and {', '.join(map(repr, unnamed))} can only be given by position"


def run_id_of(message: TaskiqMessage) -> str:
    """Give the id of the run that a message becomes."""
    return f"adopted-{message.task_id}"


async def adopt(
    store: RunStore,
    checks: ClaimChecks,
    pool: str,
    codec: Codec,
    task: FlowTask[Any, Any],
    message: TaskiqMessage,
    execution: Single,
    failed: ev.CellFailed,
    *,
    worker: str,
) -> bool:
    """Make a run of a message whose first attempt failed.

    :param failed: The first attempt's failure, with the policy's decision.
    :returns: Whether it was made; ``False`` when there is one of a message with this id.
    """
    bound = inspect.signature(task.func).bind_partial(*execution.args, **execution.kwargs)
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
        options=_options(task, message),
    )
    graph = Graph(
        nodes={node.name: node},
        inputs={name: InputSpec() for name in arguments},
        outputs={ADOPTED_OUTPUT: Output(node.name, ADOPTED_OUTPUT)},
        name=task.task_name,
    )
    inputs: dict[str, Value] = {name: codec.encode(value) for name, value in arguments.items()}
    run = run_id_of(message)
    record = RunRecord(
        id=run,
        pool=pool,
        graph=graph,
        inputs=await checks.check_in_inputs(run, inputs),
        created_at=failed.at,
        labels={ADOPTED: message.task_id},
        origins={} if (origin := origin_of(task)) is None else {task.task_name: str(origin)},
    )
    created = await store.runs.create(record)
    if created:
        first = ev.CellDispatched(cell=failed.cell, attempt=1, worker=worker, at=failed.at)
        started = ev.CellStarted(cell=failed.cell, attempt=1, worker=worker, at=execution.started_at)
        events: list[ev.Event] = [ev.RunStarted(at=failed.at), first, started, failed]
        await store.inbox.put(pool, [Letter(run=record.id, event=event) for event in events])
    return created


def _options(task: FlowTask[Any, Any], message: TaskiqMessage) -> NodeOptions:
    """Give the task's options with the labels that this very message was sent with."""
    options = options_of(task)
    own = {name: value for name, value in message.labels.items() if task.labels.get(name) != value}
    queue = own.pop("queue_name", None)
    own.pop(RETRY_ON_ERROR, None)
    if not own and queue is None:
        return options
    return evolve(
        options,
        labels={**options.labels, **{name: str(value) for name, value in own.items()}},
        queue=options.queue if queue is None else str(queue),
    )
