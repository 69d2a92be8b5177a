"""Runs that stand for a message which somebody sent on its own, and that its policy wants to be tried again."""

from __future__ import annotations

from typing import Any

from taskiq import AsyncBroker
from taskiq.result import TaskiqResult

from taskiq_flow.claim_checks import ClaimChecks
from taskiq_flow.codec import Codec
from taskiq_flow.errors import BlobNotFound, PayloadError, RunError
from taskiq_flow.failures import revive
from taskiq_flow.machine.transitions import RunStatus
from taskiq_flow.store import RunOutcome, RunRecord

__all__ = ["ADOPTED", "ADOPTED_OUTPUT", "store_result"]

ADOPTED = "taskiq_flow.adopted"
"""The label of such a run; its value is the message's id."""

ADOPTED_OUTPUT = "result"
"""The name of its one output."""


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
    result: TaskiqResult[Any] = TaskiqResult(
        is_err=error is not None,
        return_value=found,
        execution_time=round(outcome.at - record.created_at, 2),
        labels=dict(next(iter(record.graph.nodes.values())).options.labels),
        error=error,
    )
    await broker.result_backend.set_result(task_id, result)
