"""References to tasks' functions: the names under which another process finds them."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["own_name", "reference_of"]

_RENAMED = "__taskiq_original"


def own_name(name: str) -> str:
    """Return the name that a function had before it was decorated: taskiq renames it."""
    while name.endswith(_RENAMED):
        name = name[: -len(_RENAMED)]
    return name


def reference_of(function: Any) -> tuple[str, str] | None:
    """Return the module and the name under which a new process finds a task's function; ``None`` if it cannot."""
    module_name, qualname = function.__module__, own_name(function.__qualname__)
    module = sys.modules.get(module_name)
    if module is None or (module_name == "__main__" and not getattr(module, "__file__", None)):
        return None
    return (module_name, qualname) if _find(module, qualname) is function else None


def _find(module: Any, qualname: str) -> Any:
    found = module
    for part in qualname.split("."):
        found = getattr(found, part, None)
    while True:
        inner = getattr(found, "func", None) or getattr(found, "original_func", None)
        if inner is None:
            return found
        found = inner
