"""Jobs and their results: an attempt as a process gets it, and its outcome."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Union

from attrs import field, frozen

from taskiq_flow.errors import PayloadError
from taskiq_flow.payloads import Failure, FailureKind, Payload, Value
from taskiq_flow.tasks.signatures import read_signature
from taskiq_flow.values.codec import CodecRecipe, make_codec
from taskiq_flow.values.failures import failure_of, find_retry_after
from taskiq_flow.values.readings import Reading
from taskiq_flow.worker.arguments import decode_arguments, encode_outputs
from taskiq_flow.worker.carried_context import CarriedVariable, enter_variables
from taskiq_flow.worker.current import enter_cell
from taskiq_flow.worker.references import Reference, find_function
from taskiq_flow.worker.seats import carry

__all__ = ["Job", "JobResult", "run_job"]


@frozen(kw_only=True)
class Job:
    """An attempt as a process gets it; the process decodes the arguments itself.

    :param reference: Where the process finds the task's function.
    :param key: The run, the cell and the attempt.
    :param task: The task's name, for errors.
    :param arguments: Encoded, by parameter name.
    :param given: What was injected besides them, by parameter name.
    :param reports_to: The parameter that takes a callback for progress; ``None`` where none does.
    :param outputs: The names of the outputs to unpack the result into.
    :param serializer: The id of the serializer of the outputs.
    :param codec: The recipe by which the process makes its codec.
    :param context: The context variables of the attempt.
    :param made_by: How those arguments are read whose makers are known, by parameter.
    """

    reference: Reference
    key: tuple[str, str, int]
    task: str
    arguments: Mapping[str, Value]
    given: Mapping[str, Any] = field(factory=dict)
    reports_to: Union[str, None] = None
    outputs: tuple[str, ...]
    serializer: str
    codec: CodecRecipe
    context: tuple[CarriedVariable, ...] = ()
    made_by: Mapping[str, Reading] = field(factory=dict)


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


def run_job(job: Job, report: Callable[[float], None]) -> JobResult:
    """Run a job in this process: decode, call, encode. Never raises an exception of the task.

    :param report: Reports a fraction of progress.
    """
    began = time.perf_counter()
    try:
        function = find_function(job.reference)
        codec = make_codec(job.codec)
        signature = read_signature(function)
        arguments = decode_arguments(signature.accepts, job.task, job.arguments, codec, job.made_by)
        if job.reports_to is not None:
            arguments.setdefault(job.reports_to, report)
        context = contextvars.Context()
        context.run(enter_variables, job.context)
        context.run(enter_cell, job.key)
        began = time.perf_counter()
        value, error = context.run(carry, functools.partial(_call, function, {**job.given, **arguments}))
        seconds = time.perf_counter() - began
        if error is not None:
            return JobResult(outcome=failure_of(error), seconds=seconds, attributes=find_retry_after(error))
        returns = signature.find_returns(job.outputs)
        outcome = encode_outputs(value, job.outputs, codec, job.serializer, task=job.task, returns=returns)
        return JobResult(outcome=outcome, seconds=seconds)
    except PayloadError as error:
        return JobResult(outcome=failure_of(error, FailureKind.REJECTED))
    except BaseException as error:  # noqa: BLE001 - whatever values and codecs raise is the outcome of the attempt
        seconds = time.perf_counter() - began
        return JobResult(outcome=failure_of(error), seconds=seconds, attributes=find_retry_after(error))


def _call(function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    value = function(**arguments)
    return asyncio.run(_await(value)) if inspect.isawaitable(value) else value


async def _await(value: Awaitable[Any]) -> Any:
    return await value
