"""Decoding the arguments of a task and encoding its outputs, with errors that name the place."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from taskiq.message import TaskiqMessage

from taskiq_flow.errors import PayloadError, StoreError
from taskiq_flow.messages.envelope import Envelope
from taskiq_flow.payloads import Payload, Value, size_of_value
from taskiq_flow.values.claim_checks import ClaimChecks
from taskiq_flow.values.codec import Codec
from taskiq_flow.values.readings import Reading, read_made
from taskiq_flow.values.sizes import describe_size

__all__ = ["decode_arguments", "encode_outputs", "fetch_argument", "is_given"]


_NOBODY: Mapping[str, Reading] = {}


async def fetch_argument(
    name: str, value: Value, task: str, envelope: Envelope, checks: ClaimChecks, codec: Codec
) -> Value:
    """Return an argument with its blobs in place of claim checks.

    :param name: The parameter's name, for errors.
    :param task: The task's name, for errors.
    :param envelope: The envelope of its attempt.
    :raises PayloadError: it is too large, all in all, or a blob was changed.
    :raises StoreError: a blob cannot be read.
    """
    size = size_of_value(value)
    place = f"parameter {name!r} of task {task!r} in cell {envelope.cell!r}"
    if codec.max_value_bytes is not None and size > codec.max_value_bytes:
        raise PayloadError(
            f"{place}: the value has {describe_size(size)}, more than the {describe_size(codec.max_value_bytes)} that "
            "a value may have; collect less, or raise max_value_bytes"
        )
    try:
        return await checks.redeem(envelope.run, value)
    except (PayloadError, StoreError) as error:
        error.args = (f"{place}: {error}",)
        raise


def decode_arguments(
    accepts: Mapping[str, Any],
    task: str,
    arguments: Mapping[str, Value],
    codec: Codec,
    made_by: Mapping[str, Reading] = _NOBODY,
) -> dict[str, Any]:
    """Decode arguments by the annotations of a function's parameters.

    :param accepts: The annotations.
    :param task: The task's name, for errors.
    :param made_by: How those arguments are read whose makers are known, by parameter.
    :raises PayloadError: some do not fit; all of them are named.
    """
    decoded: dict[str, Any] = {}
    problems: list[str] = []
    for name, payload in arguments.items():
        try:
            decoded[name] = read_made(payload, made_by.get(name), accepts.get(name, Any), codec)
        except PayloadError as error:
            problems.append(f"parameter {name!r} of task {task!r}: {error}")
    if problems:
        raise PayloadError("\n".join(problems))
    return decoded


def is_given(name: str, function: Callable[..., Any], message: TaskiqMessage) -> bool:
    """Whether the sender of a message has given an argument, by name or by position."""
    positions = {each: number for number, each in enumerate(inspect.signature(function).parameters)}
    return name in message.kwargs or positions[name] < len(message.args)


def encode_outputs(
    value: Any,
    outputs: Sequence[str],
    codec: Codec,
    serializer: str | None,
    *,
    task: str,
    returns: Sequence[Any] = (),
) -> tuple[Payload, ...]:
    """Encode the return value of a task, one payload for each output.

    :param task: The task's name, for errors.
    :param returns: The annotation of each output; empty if unknown.
    :raises PayloadError: a value cannot be encoded, does not fit its annotation, or there are too many or too few.
    """
    if len(outputs) == 1:
        try:
            return (codec.encode(value, serializer, returns[0] if returns else Any),)
        except PayloadError as error:
            raise _about(outputs[0], task, error) from error
    if not outputs:
        return ()
    if isinstance(value, (str, bytes, bytearray)) or not isinstance(value, Sequence):
        raise PayloadError(
            f"the task returned {type(value).__name__}, expected a sequence of {len(outputs)} values "
            f"for its outputs {_join_names(outputs)}"
        )
    if len(value) != len(outputs):
        raise PayloadError(
            f"the task returned {len(value)} values, expected {len(outputs)} for its outputs {_join_names(outputs)}"
        )
    fields = getattr(type(value), "_fields", ())
    if isinstance(fields, tuple) and fields != outputs and set(fields) == set(outputs):
        # A named tuple says by name which value is which.
        value = [getattr(value, name) for name in outputs]
    encoded: list[Payload] = []
    for name, part, type_ in zip(outputs, value, returns or [Any] * len(outputs), strict=True):
        try:
            encoded.append(codec.encode(part, serializer, type_))
        except PayloadError as error:
            raise _about(name, task, error) from error
    return tuple(encoded)


def _about(output: str, task: str, error: PayloadError) -> PayloadError:
    return PayloadError(f"output {output!r} of task {task!r}: {error}")


def _join_names(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)
