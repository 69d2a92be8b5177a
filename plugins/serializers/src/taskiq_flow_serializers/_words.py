"""Sentences and errors that several serializers share."""

from __future__ import annotations

import importlib
from decimal import Decimal
from typing import Any

from taskiq_flow.errors import PayloadError, PluginError

__all__ = ["KEY_AT_RISK", "MOST_DIGITS", "MissingPackage", "check_bounds", "import_extra"]

KEY_AT_RISK = "a record ({}) cannot be read back as a key"

#: How many digits a decimal may have, and how large its exponent may be.
MOST_DIGITS = 100_000


class MissingPackage(PluginError, PayloadError):
    """A package is not installed: a flow cannot use what needs it, and a worker cannot read what that wrote."""


def import_extra(module: str, what: str, extra: str) -> Any:
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


def check_bounds(value: Decimal) -> Decimal:
    """Give a decimal that is not out of all measure: as an integer, it would fill the memory, or take minutes.

    :raises ValueError: its exponent is too large, or it has too many digits.
    """
    _, digits, exponent = value.as_tuple()
    if isinstance(exponent, int) and abs(exponent) > MOST_DIGITS:
        raise ValueError(f"a decimal has the exponent {exponent}, and {MOST_DIGITS} is the largest")
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"a decimal has {len(digits)} digits, and {MOST_DIGITS} are the most")
    return value
