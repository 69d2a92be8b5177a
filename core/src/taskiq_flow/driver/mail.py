"""From dispatched cells to the messages that their workers get."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskiq_flow.codec import Codec
from taskiq_flow.driver.active import ActiveRun
from taskiq_flow.driver.sender import Outgoing
from taskiq_flow.driver.watch import WorkerWatch
from taskiq_flow.envelope import Envelope
from taskiq_flow.machine import instructions as do
from taskiq_flow.plugins import Plugins

__all__ = ["Mail"]


class Mail:
    """Writes messages.

    :param pool: The pool whose driver wants the outcomes.
    """

    def __init__(self, pool: str, codec: Codec, plugins: Plugins, watch: WorkerWatch) -> None:
        self._pool = pool
        self._codec = codec
        self._plugins = plugins
        self._watch = watch

    def message(self, run: ActiveRun, order: do.Dispatch) -> Outgoing:
        """Give the message of an attempt.

        :raises PayloadError: its arguments cannot be put together.
        """
        node, options = order.node, order.node.options
        cell = run.machine.cells.in_flight[order.cell]
        extras: dict[str, Any] = {}
        if options.serializer is not None:
            extras["serializer"] = options.serializer
        if options.retry is not None:
            extras["retry"] = options.retry
        if cell.resources:
            extras["resources"] = cell.resources
        if cell.first_started_at is not None:
            extras["first_started_at"] = cell.first_started_at
        arguments = {name: self._codec.flat(value) for name, value in order.params.items()}
        envelope = Envelope(self._pool, run.id, order.cell, order.attempt, arguments, node.outputs, extras)
        labels: Mapping[str, Any] = options.labels
        if order.queue or order.worker:
            worker = self._watch.infos.get(order.worker)
            routed = self._plugins.route_cell(run.id, order.cell, node.task, worker, order.queue)
            labels = {**labels, **routed}
        return Outgoing(node.task, envelope, labels, run.awaits)
