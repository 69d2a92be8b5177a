"""Loggers whose handlers and filters may raise: what is logged stops nothing."""

from __future__ import annotations

import contextlib
import logging
import sys
import traceback
from typing import TYPE_CHECKING, Any

__all__ = ["Log", "open_log"]

if TYPE_CHECKING:
    _Adapter = logging.LoggerAdapter[logging.Logger]
else:
    _Adapter = logging.LoggerAdapter


class Log(_Adapter):
    """A logger; what its handlers and filters raise is shown on the standard error, as Python's own handlers do."""

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Log a message, where anybody wants the level."""
        if not self.logger.isEnabledFor(level):
            return
        # The line that is named is that of the caller, above this method and the one for its level.
        kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1
        try:
            self.logger.log(level, msg, *args, **kwargs)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # noqa: BLE001 - a handler or a filter may raise anything
            # Nothing is awaited here, so even a CancelledError is the handler's own.
            if logging.raiseExceptions:
                with contextlib.suppress(Exception):
                    sys.stderr.write(f"--- Logging error ---\n{traceback.format_exc()}")


def open_log(name: str) -> Log:
    """Return the logger of a name."""
    return Log(logging.getLogger(name), {})
