"""The wait that an exception requests."""

from __future__ import annotations

import datetime
import sys
from typing import Any

from taskiq_flow.errors import RetryException
from taskiq_flow.retry import FailedAttempt

__all__ = ["delay_asked_for", "longest_delay", "retry_after"]


def longest_delay(failed: FailedAttempt, now: float, *, respect_retry_after: bool) -> float | None:
    """Return the seconds that an exception requests, or the longest wait that one of a group requests.

    :param now: Seconds since the epoch.
    :param respect_retry_after: Whether the requests of other exceptions than ``RetryException`` count.
    :returns: ``None`` where there is no valid request.
    """
    delays = (
        delay_asked_for(each.exception, now, respect_retry_after=respect_retry_after)
        for each in failed.leaves()
    )
    return max((each for each in delays if each is not None), default=None)


def delay_asked_for(
    exception: BaseException | None, now: float, *, respect_retry_after: bool
) -> float | None:
    """Return the seconds that an exception requests; ``None`` when it has no valid request.

    :param exception: The exception; a :class:`~taskiq_flow.RetryException` requests its ``delay``.
    :param now: Seconds since the epoch.
    :param respect_retry_after: Whether the requests of other exceptions count.
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
    """Return the seconds in an exception's ``retry_after``, or in the header ``Retry-After`` of its response.

    The header has seconds or an HTTP date (RFC 9110, section 10.2.3). HTTP clients keep it in ``exception.headers`` or
    ``exception.response.headers``. A time in the past is 0.
    """
    for requested in (
        getattr(exception, "retry_after", None),
        _header(getattr(exception, "headers", None)),
        _header(getattr(getattr(exception, "response", None), "headers", None)),
    ):
        seconds = _read(requested, now)
        if seconds is not None:
            return max(0.0, seconds)
    return None


def _header(headers: Any) -> Any:
    get = getattr(headers, "get", None)
    if get is None:
        return None
    # The mappings of HTTP clients ignore case; plain dictionaries do not.
    found = get("Retry-After")
    return get("retry-after") if found is None else found


def _read(requested: Any, now: float) -> float | None:
    if isinstance(requested, datetime.timedelta):
        return requested.total_seconds()
    if isinstance(requested, datetime.datetime):
        return requested.timestamp() - now
    if isinstance(requested, bytes):
        requested = requested.decode("latin-1")
    if not isinstance(requested, str):
        return _seconds(requested)
    try:
        return _seconds(float(requested))
    except ValueError:
        pass
    from email.utils import parsedate_to_datetime  # imports much of the package, so only for dates

    try:
        date = parsedate_to_datetime(requested)
    except (TypeError, ValueError, IndexError):
        return None
    # HTTP dates are in GMT, so a date without a zone is too.
    return (date if date.tzinfo else date.replace(tzinfo=datetime.timezone.utc)).timestamp() - now


def _seconds(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    # Not math.isfinite(), which raises for an integer that is too large. A NaN fails every comparison.
    return float(value) if abs(value) <= sys.float_info.max else None
