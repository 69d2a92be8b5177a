"""References to tasks' functions: where another process finds them, or why it cannot."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from typing import Any, Union

from attrs import frozen

__all__ = ["Reference", "find_function", "own_name", "reference_of"]

_RENAMED = "__taskiq_original"


@frozen
class Reference:
    """Where a process finds a function.

    :param module: The name of its module.
    :param qualname: Its qualified name there.
    :param mark: What tells it from others that a process may find under that name; ``None`` where nothing does.
    """

    module: str
    qualname: str
    mark: Union[tuple[str, str, int], None]

    @property
    def in_script(self) -> bool:
        """Whether the function belongs to the script that Python was started with."""
        return self.module == "__main__"


def own_name(name: str) -> str:
    """Return the name that a function had before it was decorated: taskiq renames it."""
    while name.endswith(_RENAMED):
        name = name[: -len(_RENAMED)]
    return name


def reference_of(function: Any) -> Reference | str:
    """Return where another process finds a task's function; a sentence that says why none does."""
    module_name = getattr(function, "__module__", None)
    qualname = own_name(getattr(function, "__qualname__", ""))
    module = sys.modules.get(module_name or "")
    if module is None or not qualname:
        return "it belongs to no module"
    if "<" in qualname:
        return f"no other process finds {qualname!r}; define it on the level of its module"
    if getattr(sys, "frozen", False):
        return "a frozen program cannot start processes that import its modules"
    if module_name == "__main__" and not os.path.isfile(getattr(module, "__file__", None) or ""):
        return "it belongs to a program without a file, which no other process can import"
    if _search(module, qualname) is not function:
        return f"module {module_name!r} has something else under the name {qualname!r}"
    return Reference(str(module_name), qualname, _mark_of(function))


def find_function(reference: Reference) -> Any:
    """Return the function that a reference names; imports its module.

    :raises LookupError: it is not there; the text says why.
    """
    try:
        module = importlib.import_module(reference.module)
    except BaseException as error:
        problem = f"{type(error).__name__}: {error}"
        raise LookupError(f"a process cannot import module {reference.module!r}: {problem}") from error
    function = _search(module, reference.qualname)
    if not callable(function):
        raise LookupError(
            f"a process that imports module {reference.module!r} finds no {reference.qualname!r} in it; is it defined "
            "below a main guard, or only under some condition?"
        )
    mark = _mark_of(function)
    if mark != reference.mark:
        raise LookupError(
            f"a process that imports module {reference.module!r} finds something else under the name "
            f"{reference.qualname!r}"
        )
    return function


def _search(module: Any, qualname: str) -> Any:
    found = module
    for part in qualname.split("."):
        found = getattr(found, part, None)
    while True:
        inner = getattr(found, "func", None) or getattr(found, "original_func", None)
        if inner is None:
            return found
        found = inner


def _mark_of(function: Any) -> tuple[str, str, int] | None:
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:
        return None
    return os.path.basename(code.co_filename), code.co_name, code.co_firstlineno
