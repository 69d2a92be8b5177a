"""The option ``skip_errors`` of maps: what becomes of items that fail."""

from __future__ import annotations

from typing import Any, Union
from typing import Literal as OneOf

from attrs import frozen

from taskiq_flow._words import Suggestions
from taskiq_flow.errors import GraphError

__all__ = ["SkipErrors", "Skipping"]

SkipErrors = Union[bool, OneOf["none", "failure"]]
"""``True`` leaves failed items out, ``"none"`` puts ``None`` in their place, ``"failure"`` their ``Failure``."""


@frozen
class Skipping:
    """What becomes of failed items.

    :param skip_errors: Whether the map goes on without them.
    :param fills: What stands in their place; empty for nothing.
    """

    skip_errors: bool = False
    fills: OneOf["", "none", "failure"] = ""

    @classmethod
    def read(cls, given: Any, *, keeps_values: bool = True) -> Skipping:
        """Read the option as a user gave it.

        :param keeps_values: Whether the map collects values, which have places; a filter does not.
        :raises GraphError: it is something else.
        """
        if isinstance(given, bool):
            return cls(given)
        if given in ("none", "failure") and isinstance(given, str):
            if not keeps_values:
                raise GraphError(
                    f"a filter has no places to fill, found skip_errors={given!r}; give True or False, or use a map"
                )
            return cls(True, given)  # type: ignore[arg-type]  # one of the two words
        words = ("none", "failure")
        hint = Suggestions(words).hint(given) if isinstance(given, str) else ""
        raise GraphError(f"skip_errors is {given!r}; give True, False, 'none' or 'failure'{hint}")
