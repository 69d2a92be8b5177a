"""Reads the tasks in the object that an entry point names."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

from attrs import frozen
from taskiq import AsyncTaskiqDecoratedTask

from taskiq_flow.errors import FlowError
from taskiq_flow.tasks.annotations import RENAMED, is_annotated, name_of, signature_of, spec_of
from taskiq_flow.wiring.options import find_registered_name
from taskiq_flow.wiring.places import TaskPlace
from taskiq_flow.wiring.registry import DataflowRegistry

__all__ = ["Offer", "Offers", "function_of", "read_offers"]

_FORMS = (
    "a module, a task, a list of tasks, a DataflowRegistry, or a function without arguments that gives one"
)
_HOW = "decorate functions with @pipeline_task(output=...), or with @async_shared_broker.task"


@frozen
class Offer:
    """A task in a source.

    :param name: The task's name: the author's choice, or taskiq's default.
    :param place: Its outputs and needs; its task is a decorated one, or a function without a broker.
    """

    name: str
    place: TaskPlace


@frozen
class Offers:
    """The content of a source.

    :param tasks: The tasks, in order.
    :param problems: A sentence for each object that cannot be used.
    """

    tasks: tuple[Offer, ...] = ()
    problems: tuple[str, ...] = ()


def read_offers(found: Any) -> Offers:
    """Return the tasks in the object that an entry point names.

    :param found: A module, with the tasks in its ``__all__``, or else those defined in it or in its submodules; a task;
        any iterable of tasks; a registry; or a function without arguments that returns one of these.
    """
    tasks: dict[str, Offer] = {}
    problems: list[str] = []
    try:
        for candidate in _candidates(found, called=False):
            try:
                offer = _offer(candidate)
            except FlowError as error:
                problems.append(str(error))
                continue
            other = tasks.setdefault(offer.name, offer)
            if function_of(other.place.task) is not function_of(offer.place.task):
                problems.append(
                    f"two functions would be the task {offer.name!r}; give one of them a name of its own"
                )
            elif other.place != offer.place:
                problems.append(
                    f"task {offer.name!r} stands at several nodes; only {other.place.name!r} is taken"
                )
    except FlowError as error:
        problems.append(str(error))
    if not tasks and not problems:
        problems.append(f"there is no task in it; {_HOW}")
    return Offers(tuple(tasks.values()), tuple(problems))


def function_of(task: Any) -> Any:
    """Return the user's function of a task; a plain function is returned as it is."""
    if isinstance(task, AsyncTaskiqDecoratedTask):
        # A flow wraps the original function of its tasks, and keeps the user's own as ``func``.
        return getattr(task, "func", task.original_func)
    return task


def _candidates(found: Any, *, called: bool) -> Iterator[Any]:
    if isinstance(found, ModuleType):
        yield from _members(found)
    elif isinstance(found, DataflowRegistry):
        yield from found.places
    elif _is_task(found):
        yield found
    elif isinstance(found, Iterable) and not isinstance(found, (str, bytes)):
        yield from found
    elif callable(found) and not called:
        yield from _candidates(_call(found), called=True)
    else:
        raise FlowError(f"expected {_FORMS}, found {'it to give ' * called}{type(found).__name__}")


def _members(module: ModuleType) -> Iterator[Any]:
    names = getattr(module, "__all__", None)
    if names is not None:
        yield from (each for each in (getattr(module, name, None) for name in names) if _is_task(each))
        return
    for name, value in list(vars(module).items()):
        # A task that was imported from elsewhere belongs to another module.
        own = _is_task(value) and f"{value.__module__}.".startswith(f"{module.__name__}.")
        if own and not name.startswith("_") and not name.endswith(RENAMED):
            yield value


def _is_task(value: Any) -> bool:
    try:
        return isinstance(value, AsyncTaskiqDecoratedTask) or (
            inspect.isroutine(value) and is_annotated(value)
        )
    except Exception:  # noqa: BLE001 - a lazy proxy may raise anything
        return False


def _call(function: Any) -> Any:
    try:
        inspect.signature(function).bind()
    except TypeError as error:
        raise FlowError(f"it is called without arguments: {error}") from error
    except ValueError:
        # Some callables written in C have no signature; the call itself shows whether it works.
        pass
    result = function()
    if inspect.iscoroutine(result):
        result.close()
        raise FlowError("it is an async function, and nobody awaits it; make it a plain one, or a task")
    return result


def _offer(candidate: Any) -> Offer:
    if isinstance(candidate, TaskPlace):
        return Offer(find_registered_name(candidate.task), candidate)
    if not _is_task(candidate):
        name = getattr(candidate, "name", None) or getattr(candidate, "__name__", None)
        subject = repr(name) if isinstance(name, str) else "an element"
        raise FlowError(f"{subject} is of type {type(candidate).__name__}, which is no task; {_HOW}")
    spec, node = spec_of(candidate), name_of(candidate)
    default = () if signature_of(candidate).returns is type(None) else (node,)
    place = TaskPlace.of(
        candidate,
        name=node,
        outputs=spec.outputs or default,
        inputs=spec.inputs,
        description=spec.description,
    )
    if isinstance(candidate, AsyncTaskiqDecoratedTask):
        return Offer(find_registered_name(candidate), place)
    return Offer(f"{candidate.__module__}:{node}", place)
