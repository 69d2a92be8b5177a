"""The one place that touches taskiq's own names.

Task authors write ``from taskiq.exceptions import RetryException``, a name that taskiq does not have.
Importing ``taskiq_flow`` adds it there, unless taskiq has its own.
"""

from __future__ import annotations

import taskiq.exceptions

from taskiq_flow.errors import RetryException

__all__ = ["offer_retry_exception"]


def offer_retry_exception() -> None:
    """Make ``taskiq.exceptions.RetryException`` importable."""
    if not hasattr(taskiq.exceptions, "RetryException"):
        taskiq.exceptions.RetryException = RetryException  # type: ignore[attr-defined]
