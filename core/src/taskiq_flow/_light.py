"""Classes for values that every cell makes: frozen for type checkers, and fast at run time.

An object of a frozen attrs class takes twice as long to make, because it sets each field past its own guard. It has no
place for weak references: there may be millions of these objects, and the place would take as much as a field.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["light"]

if TYPE_CHECKING:
    from attrs import frozen as light
else:
    from functools import partial

    from attrs import define

    light = partial(define, unsafe_hash=True, weakref_slot=False)
