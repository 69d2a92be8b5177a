"""Classes for values that every cell makes: frozen for type checkers, and fast at run time.

A frozen class of attrs takes twice as long to make, because it goes around itself to set each field. Nobody refers to
one weakly, and of what there is a million of, the place for that would take as much as a field.
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
