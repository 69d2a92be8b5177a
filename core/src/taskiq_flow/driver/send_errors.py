"""Whether a message that could not be sent may be sent later: each broker's driver has exceptions of its own."""

from __future__ import annotations

import asyncio
import re

from taskiq_flow.errors import FlowError

__all__ = ["may_pass"]

# What clients of servers call, and say of, what passes: no connection, no time, no room, not yet.
_PASSING = re.compile(
    r"connect|timeout|timed.?out|closed?\b|channel|network|socket|server|unavailable|unreachable|refused|reset"
    r"|not.?ready|start|loading|shut|temporar|again|busy|overload|throttl|limit|quorum|leader|stale|lost",
    re.IGNORECASE,
)


def may_pass(error: BaseException) -> bool:
    """Whether an error of a broker is about the way to it, so that it may pass, and not about the very message.

    It counts whatever caused the error, because many clients wrap what they get.
    """
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        if isinstance(current, (OSError, TimeoutError, asyncio.TimeoutError, EOFError, FlowError)):
            return True
        if any(_PASSING.search(each.__name__) for each in type(current).__mro__):
            return True
        if _PASSING.search(_text_of(current)):
            return True
        current = current.__cause__ or current.__context__
    return False


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # noqa: BLE001 - the text of somebody else's exception
        return ""
