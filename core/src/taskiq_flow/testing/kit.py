"""What the kits have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

__all__ = ["Kit", "expect", "raises"]


class Kit(ABC):
    """Base of the kits: classes with ``test_…`` methods, which pytest collects from a subclass named ``Test…``.

    A subclass says what it tests by :meth:`make`, and what its implementation cannot do by the kit's class variables.
    It may add tests. It cannot override one, so that passing a kit means the same everywhere.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        inherited = {name for base in cls.__mro__[1:] for name in vars(base) if name.startswith("test_")}
        if overridden := sorted(inherited & set(vars(cls))):
            raise TypeError(
                f"{cls.__qualname__} overrides {', '.join(overridden)}; the tests of a kit are the contract, so give "
                "another name to further tests and declare by class variables what cannot be done"
            )

    @abstractmethod
    def make(self) -> Any:
        """Give a new object of the implementation."""


def expect(condition: object, sentence: str) -> None:
    """Raise an :class:`AssertionError` with a sentence unless a condition holds; also under ``python -O``."""
    if not condition:
        raise AssertionError(sentence)


def raises(expected: type[Exception], sentence: str, function: Any, *arguments: Any) -> Exception:
    """Call a function that must raise.

    :param expected: What it must raise.
    :param sentence: What is wrong when it does not.
    :returns: What it raised.
    """
    try:
        result = function(*arguments)
    except expected as error:
        return error
    except Exception as error:
        raise AssertionError(f"{sentence}; found {type(error).__name__}: {error}") from error
    shown = repr(result)
    raise AssertionError(f"{sentence}; found {shown if len(shown) <= 100 else shown[:99] + '…'}")
