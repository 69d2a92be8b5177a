"""Jobs and their results: an attempt as a process gets it, and its outcome."""

from __future__ import annotations

import importlib
import time
from collections.abc import Mapping
from typing import Any, Union

from attrs import field, frozen

from taskiq_flow.errors import PayloadError
from taskiq_flow.payloads import Failure, FailureKind, Payload, Value
from taskiq_flow.values.codec import CodecRecipe, make_codec
from taskiq_flow.worker.references import _find

__all__ = ["Job", "JobResult", "run_job"]


@frozen(kw_only=True)
class Job:
    """An attempt as a process gets it; the process decodes the arguments itself.

    :param module: The module of the task's function.
    :param qualname: The function's qualified name in the module.
    :param task: The task's name, for errors.
    :param arguments: Encoded, by parameter name.
    :param outputs: The names of the outputs to unpack the result into.
    :param serializer: The id of the serializer of the outputs.
    :param codec: The recipe by which the process makes its codec.
    """

    module: str
    qualname: str
    task: str
    arguments: Mapping[str, Value]
    outputs: tuple[str, ...]
    serializer: str
    codec: CodecRecipe


@frozen(kw_only=True)
class JobResult:
    """The result of a job.

    :param outcome: The encoded outputs, or the failure.
    :param seconds: How long the function ran.
    :param attributes: What a retry policy needs of the exception besides the failure, if one was raised.
    """

    outcome: Union[tuple[Payload, ...], Failure]
    seconds: float = 0.0
    attributes: Mapping[str, Any] = field(factory=dict)


def run_job(job: Job) -> JobResult:
    """Run a job in this process: decode, call, encode. Never raises an exception of the task."""
    from taskiq_flow.tasks.signatures import read_signature
    from taskiq_flow.values.failures import failure_of, find_retry_after
    from taskiq_flow.worker.arguments import decode_arguments, encode_outputs

    started = time.perf_counter()
    try:
        function = _find(importlib.import_module(job.module), job.qualname)
        codec = make_codec(job.codec)
        accepts = read_signature(function).accepts
        arguments = decode_arguments(accepts, job.task, job.arguments, codec)
        started = time.perf_counter()
        value = function(**arguments)
        seconds = time.perf_counter() - started
        return JobResult(outcome=encode_outputs(value, job.outputs, codec, job.serializer), seconds=seconds)
    except PayloadError as error:
        return JobResult(outcome=failure_of(error, FailureKind.REJECTED))
    except BaseException as error:  # noqa: BLE001 - whatever a task raises is its outcome, SystemExit included
        seconds = time.perf_counter() - started
        return JobResult(outcome=failure_of(error), seconds=seconds, attributes=find_retry_after(error))
