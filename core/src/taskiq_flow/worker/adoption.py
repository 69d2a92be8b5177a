"""Tasks that were sent on their own and are to be tried again: they become runs of one cell.

The first attempt has happened already, in the hands of taskiq. Its failure is told to the driver as if
the driver had sent it; from then on delays are timers in the log. When the run is over, its driver puts
the result into the result backend, under the id that the sender of the message knows.
"""

from __future__ import annotations

import inspect
from typing import Any

from taskiq.message import TaskiqMessage

from taskiq_flow.adopted import ADOPTED, ADOPTED_OUTPUT
from taskiq_flow.codec import Codec
from taskiq_flow.graph.model import Graph, Input, InputSpec, Output, TaskNode
from taskiq_flow.machine import events as ev
from taskiq_flow.payloads import Value
from taskiq_flow.store import Letter, RunRecord, RunStore
from taskiq_flow.task_options import options_of
from taskiq_flow.worker.attempts import Single
from taskiq_flow.worker.decorated import FlowTask

__all__ = ["adopt"]


async def adopt(
    store: RunStore,
    pool: str,
    codec: Codec,
    task: FlowTask[Any, Any],
    message: TaskiqMessage,
    execution: Single,
    failed: ev.CellFailed,
    *,
    worker: str,
) -> None:
    """Make a run of a message whose first attempt failed.

    :param failed: The first attempt's failure, with the policy's decision to try again.
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
        options=options_of(task),
    )
    graph = Graph(
        nodes={node.name: node},
        inputs={name: InputSpec() for name in arguments},
        outputs={ADOPTED_OUTPUT: Output(node.name, ADOPTED_OUTPUT)},
        name=task.task_name,
    )
    inputs: dict[str, Value] = {name: codec.encode(value) for name, value in arguments.items()}
    record = RunRecord(
        id=f"adopted-{message.task_id}",
        pool=pool,
        graph=graph,
        inputs=inputs,
        created_at=failed.at,
        labels={ADOPTED: message.task_id},
    )
    if await store.runs.create(record):
        first = ev.CellDispatched(cell=failed.cell, attempt=1, worker=worker, at=failed.at)
        events: list[ev.Event] = [ev.RunStarted(at=failed.at), first, failed]
        await store.inbox.put(pool, [Letter(run=record.id, event=event) for event in events])
