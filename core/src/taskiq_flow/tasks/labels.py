"""Labels as taskiq knows them: the values that a message can carry, and what taskiq's own words among them say."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from typing import Any

from taskiq import AsyncBroker, SimpleRetryMiddleware, SmartRetryMiddleware, TaskiqMessage

__all__ = [
    "MAX_RETRIES",
    "RETRY_ON_ERROR",
    "TYPES_OF_EXCEPTIONS",
    "from_plain",
    "has_retry_middleware",
    "is_kept_from_middlewares",
    "keep_from_middlewares",
    "refuses_retries",
    "to_plain",
]

RETRY_ON_ERROR = "retry_on_error"
"""The label by which taskiq's own retry middlewares, where there are any, send a message again. Only one decides about
retries, so it says no where a policy of a flow does: theirs would execute a cell once more outside of its run."""

MAX_RETRIES = "max_retries"
TYPES_OF_EXCEPTIONS = "types_of_exceptions"

# No user says it like that, so it is not taken for a user's no when the message is sent once more.
_OUR_NO = ""

_BYTES, _FLOAT = "taskiq.bytes", "taskiq.float"


def to_plain(value: Any) -> Any:
    """Return a label's value as it stands in a graph, which is JSON.

    Whatever taskiq would send as text is text already: ``prepare_label`` makes the same text of it.
    """
    kind = type(value)
    if value is None or kind in (str, int, bool):
        return value
    if kind is float:
        return value if math.isfinite(value) else {_FLOAT: str(value)}
    if kind is bytes:
        return {_BYTES: base64.b64encode(value).decode()}
    return str(value)


def from_plain(value: Any) -> Any:
    """Return the label that :func:`to_plain` was given; any other value as it is."""
    if type(value) is dict and len(value) == 1:
        if _BYTES in value:
            return base64.b64decode(value[_BYTES])
        if _FLOAT in value:
            return float(value[_FLOAT])
    return value


def refuses_retries(labels: Mapping[str, Any]) -> bool:
    """Whether a user has said no to retries by ``retry_on_error``, as taskiq's middlewares read it."""
    said = labels.get(RETRY_ON_ERROR)
    if said is None or said == _OUR_NO:
        return False
    return said.lower() != "true" if isinstance(said, str) else not said


def keep_from_middlewares(message: TaskiqMessage) -> None:
    """Say no to taskiq's retry middlewares about a message, because a policy of a flow decides about it."""
    message.labels[RETRY_ON_ERROR] = _OUR_NO
    if message.labels_types is not None:
        message.labels_types.pop(RETRY_ON_ERROR, None)


def is_kept_from_middlewares(message: TaskiqMessage) -> bool:
    """Whether :func:`keep_from_middlewares` was called."""
    return message.labels.get(RETRY_ON_ERROR) == _OUR_NO


def has_retry_middleware(broker: AsyncBroker) -> bool:
    """Whether a broker has a middleware of taskiq that sends failed messages again."""
    return any(isinstance(each, (SimpleRetryMiddleware, SmartRetryMiddleware)) for each in broker.middlewares)
