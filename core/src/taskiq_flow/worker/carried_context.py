"""Context variables that go with an attempt into another process, which finds them by name."""

from __future__ import annotations

import contextvars
import pickle
import sys
from typing import Any

__all__ = ["CarriedVariable", "Homes", "carry_context", "enter_variables"]

Homes = tuple[tuple[str, str], ...]
CarriedVariable = tuple[Homes, bytes]
"""Modules and the names in them, and the pickled value."""

_OWN = __name__.partition(".")[0] + "."


def carry_context(known: dict[Any, Homes]) -> tuple[CarriedVariable, ...]:
    """Return the variables of the current context that another process can be given.

    :param known: Where variables were found before; it is added to.
    """
    carried: list[CarriedVariable] = []
    for variable, value in contextvars.copy_context().items():
        homes = known.get(variable)
        if homes is None:
            homes = known[variable] = _find_homes(variable)
        if not homes:
            continue
        try:
            carried.append((homes, pickle.dumps(value)))
        except Exception:  # noqa: BLE001 - connections, locks and the like stay where they are
            continue
    return tuple(carried)


def enter_variables(carried: tuple[CarriedVariable, ...]) -> None:
    """Set variables in the current context."""
    for homes, pickled in carried:
        # A task that has imported none of the modules has no variable to look at.
        home = next((each for each in homes if each[0] in sys.modules), None)
        if home is None:
            continue
        try:
            variable = getattr(sys.modules[home[0]], home[1])
            variable.set(pickle.loads(pickled))
        except Exception:  # noqa: BLE001 - what this process does not have is not to fail the task
            continue


def _find_homes(variable: Any) -> Homes:
    """Return the global names of a variable; slow, so it is done once for each."""
    return tuple(
        (module_name, name)
        for module_name, module in [*sys.modules.items()]
        if not module_name.startswith(_OWN)
        for name, value in [*getattr(module, "__dict__", {}).items()]
        if value is variable
    )
