"""The wait that an exception itself asks for."""

from __future__ import annotations

import datetime
import sys
from typing import Any

from taskiq_flow.errors import RetryException

__all__ = ["delay_asked_for", "retry_after"]


def delay_asked_for(
    exception: BaseException | None, now: float, *, respect_retry_after: bool
) -> float | None:
    """Give the seconds that an exception asks to wait; ``None`` when it asks for nothing that makes sense.

    :param exception: The exception; a :class:`~taskiq_flow.RetryException` is asked for its ``delay``.
    :param now: Seconds since the epoch.
    :param respect_retry_after: Whether others are asked as well.
    """
    try:
        if isinstance(exception, RetryException):
            delay = _read(exception.delay, now)
            return None if delay is None or delay < 0 else delay
        if exception is None or not respect_retry_after:
            return None
        return retry_after(exception, now)
    except Exception:  # noqa: BLE001 - attributes of foreign exceptions may be properties that raise anything
        return None


def retry_after(exception: BaseException, now: float) -> float | None:
    """Give the seconds that an exception has in ``retry_after``, or in the header ``Retry-After`` of its response.

    The header has seconds or an HTTP date (RFC 9110, section 10.2.3), and is looked for in ``exception.headers`` and
    ``exception.response.headers``, where HTTP clients keep it. What is over by now is 0.
    """
    for asked in (
        getattr(exception, "retry_after", None),
        _header(getattr(exception, "headers", None)),
        _header(getattr(getattr(exception, "response", None), "headers", None)),
    ):
        seconds = _read(asked, now)
        if seconds is not None:
            return max(0.0, seconds)
    return None


def _header(headers: Any) -> Any:
    get = getattr(headers, "get", None)
    if get is None:
        return None
    # Plain dictionaries are not case-insensitive as the mappings of HTTP clients are.
    found = get("Retry-After")
    return get("retry-after") if found is None else found


def _read(asked: Any, now: float) -> float | None:
    if isinstance(asked, datetime.timedelta):
        return asked.total_seconds()
    if isinstance(asked, datetime.datetime):
        return asked.timestamp() - now
    if isinstance(asked, bytes):
        asked = asked.decode("latin-1")
    if not isinstance(asked, str):
        return _seconds(asked)
    try:
        return _seconds(float(asked))
    except ValueError:
        pass
    from email.utils import parsedate_to_datetime  # with a good part of the package, for dates only

    try:
        date = parsedate_to_datetime(asked)
    except (TypeError, ValueError, IndexError):
        return None
    # HTTP dates are in GMT, and so is one that says no zone.
    return (date if date.tzinfo else date.replace(tzinfo=datetime.timezone.utc)).timestamp() - now


def _seconds(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    # Not by math.isfinite(), which raises where a whole number is too large; NaN is less than nothing.
    return float(value) if abs(value) <= sys.float_info.max else None
