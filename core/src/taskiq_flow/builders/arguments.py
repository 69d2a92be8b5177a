"""The arguments that the steps of a hand-chained pipeline pass to their tasks."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, get_origin

from taskiq_flow._earlier_names import ARGUMENTS
from taskiq_flow._words import Suggestions, quote
from taskiq_flow.builders.builder import Builder
from taskiq_flow.builders.steps import CallStep
from taskiq_flow.builders.uses import TaskUse
from taskiq_flow.errors import GraphError
from taskiq_flow.graph.model import Literal, Source
from taskiq_flow.graph.types import comparable_or_any, describe, is_union
from taskiq_flow.tasks.annotations import name_of, signature_of, task_of
from taskiq_flow.tasks.names import normalise
from taskiq_flow.wiring.values import literal

__all__ = [
    "arguments",
    "check_arguments",
    "check_extra",
    "check_predicate",
    "check_task",
    "inputs_by_name",
    "literals_of",
]


def arguments(
    use: TaskUse, step: CallStep, value: Source, problems: list[str]
) -> tuple[dict[str, Source], tuple[str, ...]]:
    """Return the sources of a step's parameters, and the required parameters without a source.

    :param value: The value of the step before.
    :param problems: A list that problems are added to.
    """
    check_arguments(use, step, problems)
    params: dict[str, Source] = dict(step.extra)
    if isinstance(step.param_name, str):
        params[step.param_name] = value
    elif step.param_name is None and not step.aside:
        free = next((name for name in use.signature.names if name not in params), None)
        if free is None:
            problems.append(
                f"task {use.name!r} has no parameter left for the value of the step before; give it one, "
                "or run it without the value (call_after, or param_name=-1)"
            )
        else:
            params[free] = value
    return params, tuple(name for name in use.signature.required if name not in params)


def check_arguments(use: TaskUse, step: CallStep, problems: list[str]) -> None:
    """Check the parameter names that a step uses.

    :param problems: A list that problems are added to.
    """
    names = use.signature.names
    given = list(step.extra)
    if isinstance(step.param_name, str):
        if step.param_name in step.extra:
            problems.append(
                f"parameter {step.param_name!r} of task {use.name!r} is given both the value and an argument; "
                "give it one of them"
            )
        given.append(step.param_name)
    has = f"its parameters are {quote(names)}" if names else "it has no parameters"
    for name in dict.fromkeys(given):
        if name in use.signature.dependencies:
            problems.append(
                f"parameter {name!r} of task {use.name!r} is filled in by its dependency; leave it out"
            )
        elif name not in use.signature.by_name and not use.signature.extra_keywords:
            hint = Suggestions(names).hint(name) or (f"; {ARGUMENTS[name]}" if name in ARGUMENTS else "")
            problems.append(f"task {use.name!r} has no parameter {name!r}; {has}{hint}")


def check_predicate(name: str, returned: Any, problems: list[str]) -> None:
    """Check that a task can decide a branch.

    :param name: The task's name.
    :param returned: The annotation of its result.
    :param problems: A list that problems are added to.
    """
    returned = comparable_or_any(returned)
    kind = get_origin(returned) or returned
    # Any is a class from Python 3.11 on, and a list of something was one before.
    if (
        returned is not Any
        and isinstance(kind, type)
        and not is_union(returned)
        and not issubclass(kind, int)
    ):
        problems.append(
            f"task {name!r} decides a branch but returns {describe(returned)}; let it return a bool"
        )


def literals_of(task: Any, extra: Mapping[str, Any]) -> dict[str, Literal]:
    """Return the extra arguments of a step as sources.

    :raises GraphError: one has no JSON form.
    """
    if not extra:
        return {}
    name = "the pipeline" if isinstance(task, Builder) else name_of(task)
    return {normalise(each): literal(value, parameter=each, task=name) for each, value in extra.items()}


def inputs_by_name(
    positional: tuple[str, ...], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the inputs by name, bound like the arguments of a call.

    :raises GraphError: there are too many by position, or one is given twice.
    """
    if len(args) > len(positional):
        takes = f"{quote(positional)} by position" if positional else "nothing by position"
        raise GraphError(f"the pipeline takes {takes}, found {len(args)} values; give the others by name")
    inputs = dict(zip(positional, args, strict=False))
    twice = [name for name in inputs if name in kwargs]
    if twice:
        raise GraphError(f"{quote(twice)} given by position and by name; give each input once")
    return {**inputs, **kwargs}


def check_extra(task: Any, extra: dict[str, Any], /, **own: Any) -> dict[str, Any]:
    """Return the arguments of a map for its task, and warn of those that the map has kept for itself.

    ``check_interval``, a word of other libraries, is an argument only where the task has such a parameter: nothing is
    polled here.

    :param own: What the map was given by names of its own.
    """
    parameters = () if isinstance(task, Builder) else signature_of(task).by_name
    both = [name for name, value in own.items() if name in parameters and value not in (None, False)]
    if both:
        warnings.warn(
            f"{quote(both)} went to the map, not to task {name_of(task)!r}, which has a parameter of that name too; "
            "give it to the task with bind(), or call the parameter something else",
            stacklevel=3,
        )
    if "check_interval" in extra and "check_interval" not in parameters:
        return {name: value for name, value in extra.items() if name != "check_interval"}
    return extra


def check_task(task: Any) -> Any:
    """Return a task or a kicker.

    :raises GraphError: it is neither.
    """
    task_of(task)
    return task
