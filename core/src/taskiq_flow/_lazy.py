"""Lazy imports: a package imports a name at its first use, so that the start stays fast."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["lazy_names"]


def lazy_names(
    package: str, homes: Mapping[str, str], *, elsewhere: Mapping[str, Callable[[], object]] | None = None
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the ``__getattr__`` and the ``__dir__`` of a package; type checkers need the imports as well.

    ::

        if TYPE_CHECKING:
            from acme.heavy import Heavy

        __all__ = ["Heavy"]
        __getattr__, __dir__ = lazy_names(__name__, {"Heavy": ".heavy"})

    :param package: Its name.
    :param homes: The module of each name; a leading dot means a module of the package.
    :param elsewhere: Names from optional distributions: a function returns each, or raises ``ImportError``. ``dir()``
        does not list them, because they may be missing.
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
        # Set on the package, so that the next access does not come here.
        setattr(sys.modules[package], name, found)
        return found

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes})

    return find, names
