"""The wire form of notices, runs, outcomes and workers, for stores that hold text.

Like the events of :mod:`taskiq_flow.machine.wire`, each is a versioned JSON object with the fields of its
class, without those at their default.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from taskiq_flow._wire_forms import WireForm, wire_form
from taskiq_flow.errors import GraphError, StoreError
from taskiq_flow.graph.model import Graph
from taskiq_flow.graph.wire import from_json, to_data
from taskiq_flow.machine.wire import KNOWN, read_document, write_document
from taskiq_flow.store import Notice, RunOutcome, RunRecord, WorkerInfo

__all__ = [
    "decode_notice",
    "decode_outcome",
    "decode_record",
    "decode_worker",
    "encode_notice",
    "encode_outcome",
    "encode_record",
    "encode_worker",
]


def _read_graph(data: Any) -> Graph:
    try:
        return from_json(json.dumps(data))
    except GraphError as error:
        raise StoreError(f"cannot read a run's graph: {error}") from error


@cache
def _form(kind: Any) -> WireForm:
    return wire_form(kind, (*KNOWN, (Graph, WireForm(to_data, _read_graph))))


def encode_notice(notice: Notice) -> str:
    """Write a notice.

    :raises StoreError: it contains a value that is not JSON data.
    """
    return write_document("a notice", _form(Notice).write, notice)


def decode_notice(text: str | bytes) -> Notice:
    """Read a notice.

    :raises StoreError: the text is not one.
    """
    notice: Notice = read_document("a notice", _form(Notice).read, text)
    return notice


def encode_outcome(outcome: RunOutcome) -> str:
    """Write an outcome.

    :raises StoreError: it contains a value that is not JSON data.
    """
    return write_document("an outcome", _form(RunOutcome).write, outcome)


def decode_outcome(text: str | bytes) -> RunOutcome:
    """Read an outcome.

    :raises StoreError: the text is not one.
    """
    outcome: RunOutcome = read_document("an outcome", _form(RunOutcome).read, text)
    return outcome


def encode_record(record: RunRecord) -> str:
    """Write a run with its graph, inputs and outcome.

    :raises StoreError: it contains a value that is not JSON data.
    """
    return write_document("a run", _form(RunRecord).write, record)


def decode_record(text: str | bytes) -> RunRecord:
    """Read a run.

    :raises StoreError: the text is not one.
    """
    record: RunRecord = read_document("a run", _form(RunRecord).read, text)
    return record


def encode_worker(worker: WorkerInfo) -> str:
    """Write a worker's announcement.

    :raises StoreError: it contains a value that is not JSON data.
    """
    return write_document("a worker", _form(WorkerInfo).write, worker)


def decode_worker(text: str | bytes) -> WorkerInfo:
    """Read a worker's announcement.

    :raises StoreError: the text is not one.
    """
    worker: WorkerInfo = read_document("a worker", _form(WorkerInfo).read, text)
    return worker
