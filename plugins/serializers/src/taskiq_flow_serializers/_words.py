"""Sentences and errors that several serializers share."""

from __future__ import annotations

import importlib
from decimal import Decimal
from typing import Any

from taskiq_flow.errors import PayloadError, PluginError

__all__ = ["KEY_AT_RISK", "MissingPackage", "bounded", "needed"]

KEY_AT_RISK = "a record ({}) cannot be read back as a key"

_LARGEST_EXPONENT = 100_000


class MissingPackage(PluginError, PayloadError):
    """A package is not installed: a flow cannot use what needs it, and a worker cannot read what that wrote."""


def needed(module: str, what: str, extra: str) -> Any:
    """Give a module that an extra of this distribution installs.

    :param what: What needs it, for people.
    :raises MissingPackage: it is not installed, or cannot be imported.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingPackage(
            f"{what} needs {module.partition('.')[0]}, which cannot be imported ({error}); "
            f'install "taskiq-flow-serializers[{extra}]"'
        ) from error


def bounded(value: Decimal) -> Decimal:
    """Give a decimal whose exponent is not out of all measure: as an integer, it would fill the memory.

    :raises ValueError: it is.
    """
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and abs(exponent) > _LARGEST_EXPONENT:
        raise ValueError(f"a decimal has the exponent {exponent}, and {_LARGEST_EXPONENT} is the largest")
    return value
