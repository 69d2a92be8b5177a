"""Names of a package that are imported when somebody asks for them, so that starting up stays quick."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["lazy_names"]


def lazy_names(
    package: str, homes: Mapping[str, str], *, elsewhere: Mapping[str, Callable[[], object]] | None = None
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Give a package's ``__getattr__`` and ``__dir__``; type checkers need its imports beside that.

    ::

        if TYPE_CHECKING:
            from acme.heavy import Heavy

        __all__ = ["Heavy"]
        __getattr__, __dir__ = lazy_names(__name__, {"Heavy": ".heavy"})

    :param package: Its name.
    :param homes: The module that each name is in; one that begins with a dot is in the package.
    :param elsewhere: Names that somebody else may have: a function gives each, or raises ``ImportError``. They are not
        listed, because a list must not promise them.
    """
    makers = elsewhere or {}

    def find(name: str) -> Any:
        if name in homes:
            found: object = getattr(importlib.import_module(homes[name], package), name)
        elif name in makers:
            found = makers[name]()
        else:
            raise AttributeError(
                f"module {package!r} has no attribute {name!r}", name=name, obj=sys.modules[package]
            )
        # Kept, so that the next one finds it without coming here.
        setattr(sys.modules[package], name, found)
        return found

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes})

    return find, names
