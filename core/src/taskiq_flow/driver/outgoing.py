"""From dispatched cells to the messages for their workers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskiq_flow._logs import open_log
from taskiq_flow._runtime import Runtime
from taskiq_flow.driver.active import ActiveRun
from taskiq_flow.driver.sender import Outgoing
from taskiq_flow.driver.watch import WorkerWatch
from taskiq_flow.errors import PayloadError, StoreError
from taskiq_flow.graph.model import DEFAULT_OPTIONS
from taskiq_flow.machine import instructions as do
from taskiq_flow.machine.makers import makers_of
from taskiq_flow.messages.envelope import Envelope
from taskiq_flow.payloads import Chosen, ClaimCheck, ListedValue, Payload, Value, bare, size_of_value
from taskiq_flow.tasks.labels import refuses_retries
from taskiq_flow.values.sizes import describe_size
from taskiq_flow.worker.adoption import ADOPTED
from taskiq_flow.worker.functions import task_function_of
from taskiq_flow.worker.requeueing import REQUEUE

__all__ = ["MessageWriter"]

logger = open_log("taskiq_flow")

_NO_EXTRAS: Mapping[str, Any] = {}


class MessageWriter:
    """Writes messages.

    :param runtime: The parts of the flow.
    :param watch: The worker watch.
    """

    def __init__(self, runtime: Runtime, watch: WorkerWatch) -> None:
        self._pool = runtime.pool
        self._codec = runtime.codec
        self._checks = runtime.claim_checks
        self._plugins = runtime.plugins
        self._watch = watch
        self._broker = runtime.broker
        self._doubtful: dict[str, frozenset[str]] = {}

    def usual_envelope(self, run: ActiveRun, instruction: do.Dispatch) -> Envelope | None:
        """Return the envelope of an attempt whose arguments are small and at hand; otherwise ``None``.

        Lists that are kept as their elements are joined.
        """
        threshold = self._checks.threshold
        params: Mapping[str, Value] = instruction.params
        for name, value in params.items():
            if type(value) is Chosen:
                value = bare(value)
                params = {**params, name: value}
            if type(value) is ListedValue:
                try:
                    joined = self._codec.join_usual(value)
                except PayloadError:
                    return None  # envelope() raises it again, with the reason
                if joined is None:
                    return None
                value = joined
                params = {**params, name: joined}
            if type(value) is not Payload or (threshold is not None and len(value.data) > threshold):
                return None
        extras = self._with_makers(run, instruction, self._extras(run, instruction))
        return Envelope(
            self._pool,
            run.id,
            instruction.cell,
            instruction.attempt,
            params,
            instruction.node.outputs,
            extras,
        )

    async def envelope(self, run: ActiveRun, instruction: do.Dispatch) -> Envelope:
        """Return the envelope of an attempt.

        Large arguments become claim checks, once for all cells that get them.

        :raises PayloadError: its arguments cannot be joined.
        """
        arguments = {}
        for name, value in instruction.params.items():
            value = bare(value)
            if type(value) is ListedValue or self._checks.is_large(value):
                value = await self._light(run, name, value)
            arguments[name] = value
        extras = self._with_makers(run, instruction, self._extras(run, instruction))
        return Envelope(
            self._pool,
            run.id,
            instruction.cell,
            instruction.attempt,
            arguments,
            instruction.node.outputs,
            extras,
        )

    async def message(self, run: ActiveRun, instruction: do.Dispatch) -> Outgoing:
        """Return the message of an attempt.

        :raises PayloadError: its arguments cannot be joined.
        """
        node = instruction.node
        labels: Mapping[str, Any] = node.options.labels
        if instruction.queue or instruction.worker:
            worker = self._watch.info_of(instruction.worker)
            routed = self._plugins.route_cell(run.id, instruction.cell, node.task, worker, instruction.queue)
            labels = {**labels, **routed}
        envelope = await self.envelope(run, instruction)
        if (requeues := envelope.extras.get("requeues")) is not None:
            labels = {**labels, REQUEUE: str(requeues)}
        return Outgoing(node.task, envelope, labels, run.awaits)

    def _with_makers(
        self, run: ActiveRun, instruction: do.Dispatch, extras: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Add who made the arguments whose parameters allow several classes."""
        task = instruction.node.task
        doubtful = self._doubtful.get(task)
        if doubtful is None:
            found = self._broker.find_task(task)
            if found is None:
                return extras
            doubtful = self._doubtful[task] = task_function_of(found).doubtful
        if not doubtful:
            return extras
        cell = run.machine.cells.in_flight[instruction.cell]
        makers = makers_of(cell, doubtful, instruction.params)
        return {**extras, "makers": makers} if makers else extras

    def _extras(self, run: ActiveRun, instruction: do.Dispatch) -> Mapping[str, Any]:
        options = instruction.node.options
        adopted = run.record.labels.get(ADOPTED) if run.record.labels else None
        # Only a retry gives a cell resources that its node does not ask for.
        if (
            options is DEFAULT_OPTIONS
            and adopted is None
            and instruction.attempt == 1
            and not run.record.nesting
        ):
            return _NO_EXTRAS
        cell = run.machine.cells.in_flight[instruction.cell]
        extras: dict[str, Any] = {}
        if options.serializer is not None:
            extras["serializer"] = options.serializer
        if options.retry is not None:
            extras["retry"] = options.retry
        if options.labels and refuses_retries(options.labels):
            extras["retry_on_error"] = False
        if cell.requeues:
            extras["requeues"] = cell.requeues
        if cell.resources:
            extras["resources"] = cell.resources
        if cell.first_started_at is not None:
            extras["first_started_at"] = cell.first_started_at
        if adopted is not None:
            extras["sender"] = adopted
        if run.record.nesting:
            extras["nesting"] = run.record.nesting
        return extras

    async def _light(self, run: ActiveRun, name: str, value: Value) -> Value:
        """Return a large or joined argument as it is sent, if possible as a claim check.

        :raises PayloadError: it cannot be joined, or is too large.
        """
        if (known := run.lightened.get(id(value))) is not None:
            return known[1]
        size, limit = size_of_value(value), self._codec.max_value_bytes
        if limit is not None and size > limit:
            raise PayloadError(
                f"parameter {name!r}: the value has {describe_size(size)}, more than the {describe_size(limit)} that "
                "a value may have; collect less, or raise max_value_bytes"
            )
        flat = self._codec.flat(value)
        try:
            light = await self._checks.check_in(run.id, "arguments", flat)
        except StoreError as error:
            logger.warning("%s; it is sent as it is", error)
            return flat
        if isinstance(light, ClaimCheck):
            # The value is kept as well, so that no other value gets its identity.
            run.lightened[id(value)] = (value, light)
            await self._checks.drop_orphans(run.id)
        return light
