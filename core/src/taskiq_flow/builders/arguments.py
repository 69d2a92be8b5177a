"""The arguments that the steps of a hand-chained pipeline pass to their tasks."""

from __future__ import annotations

from typing import Any

from taskiq_flow._words import Suggestions, name_class, quote
from taskiq_flow.builders.steps import CallStep
from taskiq_flow.builders.uses import TaskUse
from taskiq_flow.graph.model import Source

__all__ = ["arguments", "check_arguments", "check_predicate"]


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
            problems.append(
                f"task {use.name!r} has no parameter {name!r}; {has}{Suggestions(names).hint(name)}"
            )


def check_predicate(name: str, returned: Any, problems: list[str]) -> None:
    """Check that a task can decide a branch.

    :param name: The task's name.
    :param returned: The annotation of its result.
    :param problems: A list that problems are added to.
    """
    # Any is a class, from Python 3.11 on.
    open_ended = returned is object or returned is Any
    if isinstance(returned, type) and not open_ended and not issubclass(returned, int):
        problems.append(
            f"task {name!r} decides a branch but returns {name_class(returned)}; let it return a bool"
        )
