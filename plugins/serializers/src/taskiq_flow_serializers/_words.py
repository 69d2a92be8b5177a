"""Errors and checks that several serializers share."""

from __future__ import annotations

import importlib
from decimal import Decimal
from typing import Any

from taskiq_flow.errors import PayloadError, PluginError

__all__ = ["KEY_AT_RISK", "MOST_DIGITS", "MissingPackage", "check_bounds", "import_extra"]

KEY_AT_RISK = "a record ({}) cannot be read back as a key"

#: The most digits of a decimal, and its largest exponent.
MOST_DIGITS = 100_000


class MissingPackage(PluginError, PayloadError):
    """A package is not installed, so a flow cannot select its serializer, and a worker cannot read its payloads."""


def import_extra(module: str, user: str, extra: str) -> Any:
    """Import a module that an extra of this distribution installs.

    :param user: The serializer or codec that needs it, for people.
    :raises MissingPackage: it is not installed, or cannot be imported.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingPackage(
            f"{user} needs {module.partition('.')[0]}, which cannot be imported ({error}); "
            f'install "taskiq-flow-serializers[{extra}]"'
        ) from error


def check_bounds(value: Decimal) -> Decimal:
    """Return a decimal of a reasonable size: a larger one would fill the memory as an integer, or take minutes.

    :raises ValueError: its exponent is too large, or it has too many digits.
    """
    _, digits, exponent = value.as_tuple()
    if isinstance(exponent, int) and abs(exponent) > MOST_DIGITS:
        raise ValueError(f"a decimal has the exponent {exponent}, and {MOST_DIGITS} is the largest")
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"a decimal has {len(digits)} digits, and {MOST_DIGITS} are the most")
    return value
