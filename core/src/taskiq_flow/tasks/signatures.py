"""The signature of a task's function: its parameters and its return annotation.

It is read once for each function. An annotation that cannot be resolved counts as missing; a missing
annotation is :data:`typing.Any`, which passes every check.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable, Iterator, Mapping, Sequence
from types import CoroutineType, GeneratorType
from typing import Annotated, Any, get_args, get_origin
from weakref import WeakKeyDictionary

from attrs import field, frozen
from taskiq_dependencies import graph as _dependencies
from taskiq_dependencies.dependency import Dependency

from taskiq_flow.errors import GraphError
from taskiq_flow.tasks.hints import hints_of_class, hints_of_signature, unpack_keywords

__all__ = ["PROGRESS_PARAMETER", "TaskParameter", "TaskSignature", "read_signature"]

PROGRESS_PARAMETER = "progress_callback"
"""The parameter that the worker fills in; no data is wired to it."""

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_AWAITABLES = (Awaitable, Coroutine, CoroutineType)
_READ_ONCE = (Iterable, Iterator, Generator, GeneratorType)
# Texts and bytes are sequences in Python, but unpacking them into outputs is never intended.
_NEVER_UNPACKED = (bool, int, float, str, bytes, bytearray, dict, set, frozenset, type(None))
# taskiq honours FastAPI's dependency markers if FastAPI is installed.
_DEPENDENCIES: tuple[type, ...] = tuple(
    filter(None, (Dependency, getattr(_dependencies, "FastapiDepends", None)))
)


@frozen
class TaskParameter:
    """A parameter that data can be wired to.

    :param name: Its name.
    :param annotation: Its resolved annotation, with the extras of ``Annotated``; ``Any`` if there is none.
    :param has_default: Whether it may be left out.
    :param keyword_only: Whether it has no position.
    """

    name: str
    annotation: Any = Any
    has_default: bool = False
    keyword_only: bool = False


class _WithOthers(dict[str, Any]):
    """Annotations by name, with one for all other names."""

    def __init__(self, known: Mapping[str, Any], others: Any) -> None:
        super().__init__(known)
        self._others = others

    def get(self, name: str, default: Any = None) -> Any:
        """Return the annotation of a parameter."""
        return super().get(name, self._others)


@frozen(kw_only=True)
class TaskSignature:
    """The parameters and the result of a task's function.

    :param parameters: The parameters that data can be wired to, in order.
    :param dependencies: Parameters that taskiq's dependency injection fills in.
    :param reports_progress: Whether there is a ``progress_callback``.
    :param extra_keywords: Whether any further keyword is taken (``**kwargs``).
    :param extra_annotation: The annotation of each of them.
    :param positional_only: Required parameters that cannot be passed by name.
    :param returns: The annotation of the result, awaitables unwrapped; ``Any`` if unknown.
    """

    parameters: tuple[TaskParameter, ...] = ()
    dependencies: frozenset[str] = frozenset()
    reports_progress: bool = False
    extra_keywords: bool = False
    extra_annotation: Any = Any
    positional_only: tuple[str, ...] = ()
    returns: Any = Any
    by_name: Mapping[str, TaskParameter] = field(init=False, eq=False, repr=False)
    accepts: Mapping[str, Any] = field(init=False, eq=False, repr=False)

    @by_name.default
    def _index(self) -> Mapping[str, TaskParameter]:
        return {parameter.name: parameter for parameter in self.parameters}

    @accepts.default
    def _annotate(self) -> Mapping[str, Any]:
        known = {each.name: each.annotation for each in self.parameters if each.annotation is not Any}
        return known if self.extra_annotation is Any else _WithOthers(known, self.extra_annotation)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the parameters that data can be wired to."""
        return tuple(self.by_name)

    @property
    def required(self) -> tuple[str, ...]:
        """The names of the parameters without a default."""
        return tuple(each.name for each in self.parameters if not each.has_default)

    def returns_for(self, outputs: Sequence[str]) -> tuple[Any, ...]:
        """Return the annotation of each output; empty if unknown.

        A named tuple with fields of just these names is unpacked by name, and everything else by position.

        :param outputs: The names of the outputs.
        :raises ValueError: the result cannot be unpacked into that many outputs; the text describes the result.
        """
        if not outputs or self.returns is Any:
            return ()
        if len(outputs) == 1:
            return (self.returns,)
        return tuple(map(_hand_over, _unpack(self.returns, outputs)))

    def find_returns(self, outputs: Sequence[str]) -> tuple[Any, ...]:
        """Return the annotation of each output; empty if unknown, or if the result has no such parts."""
        try:
            return self.returns_for(outputs)
        except ValueError:
            return ()


def _unpack(returns: Any, outputs: Sequence[str]) -> tuple[Any, ...]:
    count = len(outputs)
    while get_origin(returns) is Annotated:
        returns = get_args(returns)[0]
    origin, arguments = get_origin(returns), get_args(returns)
    if origin is tuple:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return (arguments[0],) * count
        if len(arguments) != count:
            raise ValueError(f"{returns}, which has {len(arguments)} elements")
        return arguments
    if isinstance(origin, type) and issubclass(origin, Sequence) and len(arguments) == 1:
        return (arguments[0],) * count
    if (origin or returns) in _NEVER_UNPACKED:
        raise ValueError(f"{getattr(returns, '__name__', returns)}, which is no sequence")
    fields = getattr(returns, "_fields", None)
    if isinstance(returns, type) and issubclass(returns, tuple) and isinstance(fields, tuple):
        if len(fields) != count:
            raise ValueError(f"{returns.__name__}, which has {len(fields)} elements")
        hints = hints_of_class(returns)
        return tuple(hints.get(name, Any) for name in (outputs if set(outputs) == set(fields) else fields))
    return ()


_signatures: WeakKeyDictionary[Callable[..., Any], TaskSignature] = WeakKeyDictionary()


def read_signature(function: Callable[..., Any]) -> TaskSignature:
    """Read a function's signature, and cache it for the function's lifetime.

    :raises GraphError: Python cannot read the function's parameters.
    """
    try:
        known = _signatures.get(function)
    except TypeError:  # an object that can be called, and has no hash or takes no weak reference
        return _read(function)
    if known is None:
        known = _signatures[function] = _read(function)
    return known


def _read(function: Callable[..., Any]) -> TaskSignature:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError) as error:
        name = getattr(function, "__name__", repr(function))
        raise GraphError(f"cannot read the parameters of {name!r}: {error}; wrap it in a function") from error
    hints = hints_of_signature(function, signature)
    parameters: list[TaskParameter] = []
    dependencies: set[str] = set()
    positional_only: list[str] = []
    extra_keywords = reports_progress = False
    extra_annotation: Any = Any
    for name, parameter in signature.parameters.items():
        annotation = hints.get(name, Any)
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            keywords = unpack_keywords(annotation)
            if keywords is None:
                extra_keywords, extra_annotation = True, annotation
            else:
                parameters += [TaskParameter(key, *each, True) for key, each in keywords.items()]
        elif parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            continue
        elif _is_dependency(parameter, annotation):
            dependencies.add(name)
        elif name == PROGRESS_PARAMETER:
            reports_progress = True
        elif parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
            if parameter.default is inspect.Parameter.empty:
                positional_only.append(name)
        else:
            has_default = parameter.default is not inspect.Parameter.empty
            keyword_only = parameter.kind not in _POSITIONAL
            parameters.append(TaskParameter(name, annotation, has_default, keyword_only))
    return TaskSignature(
        parameters=tuple(parameters),
        dependencies=frozenset(dependencies),
        reports_progress=reports_progress,
        extra_keywords=extra_keywords,
        extra_annotation=extra_annotation,
        positional_only=tuple(positional_only),
        returns=_hand_over(_unwrap_awaitable(hints.get("return", Any))),
    )


def _is_dependency(parameter: inspect.Parameter, annotation: Any) -> bool:
    if isinstance(parameter.default, _DEPENDENCIES):
        return True
    return any(isinstance(extra, _DEPENDENCIES) for extra in getattr(annotation, "__metadata__", ()))


def _unwrap_awaitable(annotation: Any) -> Any:
    while get_origin(annotation) in _AWAITABLES:
        arguments = get_args(annotation)
        annotation = arguments[-1] if arguments else Any
    return annotation


def _hand_over(annotation: Any) -> Any:
    """Return the annotation of what the next task gets: what can be read only once is handed over as a list."""
    kind = get_origin(annotation) or annotation
    if kind not in _READ_ONCE:
        return annotation
    arguments = get_args(annotation)
    return list[arguments[0]] if arguments else list  # type: ignore[valid-type]
