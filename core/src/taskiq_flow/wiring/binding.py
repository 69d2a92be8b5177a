"""Binds data to the parameters of a task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from attrs import evolve, frozen

from taskiq_flow._words import quote
from taskiq_flow.errors import GraphError
from taskiq_flow.tasks.signatures import TaskSignature

__all__ = ["Need", "bind_inputs", "needs_of", "rename_needs"]


@frozen
class Need:
    """A parameter and the data that it takes.

    :param parameter: The parameter's name.
    :param data: The name of the data.
    :param required: Whether the parameter has no default.
    :param declared: Whether the user named the data, which is then an input even if the parameter has a default.
    """

    parameter: str
    data: str
    required: bool = True
    declared: bool = False


def needs_of(
    name: str,
    signature: TaskSignature,
    inputs: Sequence[str] | None = None,
    given: Mapping[str, str] | None = None,
) -> tuple[Need, ...]:
    """Return the needs of a task at a node.

    :param name: The node's name, for errors.
    :param inputs: Data that the user declared; ``None`` takes the names in the signature.
    :param given: Data for some of the parameters, by parameter.
    :raises GraphError: the declared inputs do not fit the parameters; every problem is listed.
    """
    if signature.positional_only:
        raise GraphError(
            f"node {name!r} takes {quote(signature.positional_only)} by position only, but data is handed over "
            "by name; remove the '/' from the task's parameters"
        )
    given = given or {}
    if inputs is None:
        bound = {**{parameter: parameter for parameter in signature.names}, **given}
    else:
        bound = {**bind_inputs(name, signature, inputs, taken=given), **given}
    declared = set(given.values()) | set(inputs or ())
    parameters = signature.by_name
    return tuple(
        Need(
            parameter,
            data,
            not (parameter in parameters and parameters[parameter].has_default),
            data in declared,
        )
        for parameter, data in bound.items()
    )


def rename_needs(needs: Iterable[Need], names: Mapping[str, str]) -> tuple[Need, ...]:
    """Return needs whose data has other names.

    :param names: New names by the old ones.
    """
    return tuple(evolve(need, data=names.get(need.data, need.data)) for need in needs)


def bind_inputs(
    name: str, signature: TaskSignature, inputs: Sequence[str], taken: Iterable[str] = ()
) -> dict[str, str]:
    """Bind declared inputs to parameters: by name first, the rest by position if that is unambiguous.

    :param taken: Parameters that have their data already.
    :returns: The name of the data, by parameter.
    :raises GraphError: an input has no parameter, a required parameter no input, or there are several ways.
    """
    parameters = [each for each in signature.parameters if each.name not in set(taken)]
    by_name = {each.name for each in parameters}
    bound = {data: data for data in inputs if data in by_name}
    rest = [data for data in inputs if data not in by_name]
    free = [each for each in parameters if each.name not in bound]
    positional = [each for each in free if not each.keyword_only]
    required = [each for each in positional if not each.has_default]
    if len(rest) == len(required):
        bound.update(zip((each.name for each in required), rest, strict=True))
    elif len(rest) == len(positional):
        bound.update(zip((each.name for each in positional), rest, strict=True))
    elif rest and not required and signature.extra_keywords:
        bound.update((data, data) for data in rest)
    elif rest:
        raise GraphError(
            f"inputs {quote(rest)} of node {name!r} cannot be told apart by position among its parameters "
            f"{quote(each.name for each in free) or '(none)'}; name the parameters like the data they take"
        )
    unfed = [each.name for each in free if not each.has_default and each.name not in bound]
    if unfed:
        raise GraphError(
            f"node {name!r} requires {quote(unfed)}, which inputs={list(inputs)!r} leaves out; "
            "add it there, or give the parameter a default"
        )
    return bound
