"""The common base of the kits."""

from __future__ import annotations

import functools
import inspect
import unittest
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from threading import Thread
from types import MappingProxyType
from typing import Any, ClassVar

__all__ = ["Kit", "answer_within", "check_name", "expect", "not_awaited", "raises"]


class Kit(ABC):
    """Base of the kits: classes with ``test_…`` methods, which pytest collects from a subclass named ``Test…``.

    A subclass makes the tested object in :meth:`make`, and declares its limits by the kit's class variables. It may add
    tests. It cannot override one, so that passing a kit means the same everywhere. A promise that the implementation
    breaks on purpose is waived, with the reason, and reported as skipped::

        class TestAcme(SerializerKit):
            waived = {"typed_values": "carries tables only"}

    :cvar waived: The reason for each test that is skipped, by its name without ``test_``.
    """

    waived: ClassVar[Mapping[str, str]] = MappingProxyType({})

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        kits = [base for base in cls.__mro__[1:] if issubclass(base, Kit)]
        tests = {name for base in kits for name in vars(base) if name.startswith("test_")}
        # Also those of another base class beside the kit.
        others = {name for base in cls.__mro__ if base not in kits for name in vars(base)}
        problems = []
        if overridden := sorted(tests & others):
            problems.append(f"overrides {', '.join(overridden)}")
        if unknown := sorted(name for name in cls.waived if f"test_{name}" not in tests):
            problems.append(f"waives {', '.join(unknown)}, which the kit does not have")
        if silent := sorted(
            name for name, why in cls.waived.items() if not (isinstance(why, str) and why.strip())
        ):
            problems.append(f"waives {', '.join(silent)} without a reason")
        if problems:
            raise TypeError(
                f"{cls.__qualname__} {' and '.join(problems)}; the tests of a kit are the contract, so give another "
                "name to further tests, and list in `waived` what the implementation does not keep, with a reason for "
                "each"
            )
        for name in vars(cls).get("waived", ()):
            setattr(cls, f"test_{name}", _skipping(getattr(cls, f"test_{name}"), cls.waived[name]))

    @abstractmethod
    def make(self) -> Any:
        """Return a new object of the implementation."""


def _skipping(test: Callable[..., Any], reason: str) -> Callable[[Any], None]:
    @functools.wraps(test)
    def skip(self: Any) -> None:
        raise unittest.SkipTest(f"waived: {reason}")

    return skip


def expect(condition: object, sentence: str) -> None:
    """Raise an :class:`AssertionError` with a sentence unless a condition holds; also under ``python -O``."""
    if not condition:
        raise AssertionError(sentence)


def raises(expected: type[Exception], sentence: str, function: Any, *arguments: Any) -> Exception:
    """Call a function that must raise.

    :param expected: The class of the exception.
    :param sentence: The message of the failure when it does not.
    :returns: The exception.
    """
    try:
        result = function(*arguments)
    except expected as error:
        return error
    except Exception as error:
        raise AssertionError(f"{sentence}; found {type(error).__name__}: {error}") from error
    shown = repr(result)
    raise AssertionError(f"{sentence}; found {shown if len(shown) <= 100 else shown[:99] + '…'}")


def check_name(implementation: Any, base: type[Any]) -> None:
    """Check that an object is of the right class, and that it has a name that can be selected."""
    expect(isinstance(implementation, base), f"{implementation!r} must be a {base.__name__}")
    name = getattr(implementation, "name", None)
    expect(
        isinstance(name, str) and name and name == name.strip(),
        f"the name must be a text that is not empty, without spaces around it, found {name!r}",
    )


def not_awaited(method: str, answer: Any) -> Any:
    """Return an answer, unless it is a coroutine."""
    if inspect.iscoroutine(answer):
        answer.close()
    elif not inspect.isasyncgen(answer):
        return answer
    raise AssertionError(f"{method}() must answer at once, found a coroutine; make it a plain function")


def answer_within(seconds: float, method: str, function: Callable[[], Any]) -> Any:
    """Call a function that may never return, and return its result.

    :param seconds: The time limit; a function that does not return stays behind in a thread.
    :param method: The function's name in errors.
    :raises AssertionError: it did not answer in time, or tried to exit the interpreter.
    """
    answers: list[Any] = []
    errors: list[BaseException] = []

    def ask() -> None:
        try:
            answers.append(function())
        except BaseException as error:  # noqa: BLE001 - raised again in the waiting thread
            errors.append(error)

    thread = Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors and isinstance(errors[0], SystemExit):
        raise AssertionError(f"{method}() must answer, and it left the interpreter") from errors[0]
    if errors:
        raise errors[0]
    expect(
        answers, f"{method}() gave no answer within {seconds:.3g} s; it must neither wait nor search for long"
    )
    return answers[0]
