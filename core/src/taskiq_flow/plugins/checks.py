"""Checks of an object that is meant to be a plugin."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from taskiq_flow import hookspecs
from taskiq_flow.hookspecs import API_VERSION, PREFIX, PROJECT

__all__ = ["HOOKS", "problems_of"]

_REGISTRATION = f"{PREFIX}register_"

#: The specified hooks by name, with their arguments in order.
HOOKS: dict[str, tuple[str, ...]] = {
    name: tuple(inspect.signature(spec).parameters)
    for name, spec in vars(hookspecs).items()
    if name.startswith(PREFIX) and callable(spec)
}


def problems_of(plugin: Any) -> list[str]:
    """Return the reasons why an object cannot be a plugin, as sentences."""
    if isinstance(plugin, type):
        return [
            f"a plugin is a module or an object, found the class {plugin.__qualname__}; give an instance of it"
        ]
    if api := _api_problem(plugin):
        return [api]
    problems: list[str] = []
    marked = 0
    for name, function, options in _candidates(plugin):
        if options is None:
            problems.append(
                f"{name}() is not marked with @hookimpl, and the prefix {PREFIX!r} is reserved for hooks"
            )
        else:
            marked += 1
            problems.extend(_function_problems(name, function, options))
    if not marked and not problems:
        problems.append("it implements no hook; mark its functions with @hookimpl")
    return problems


def _candidates(plugin: Any) -> Iterator[tuple[str, Callable[..., Any], dict[str, Any] | None]]:
    for name in dir(plugin):
        function = getattr(plugin, name, None)
        if not callable(function) or hasattr(function, f"{PROJECT}_spec"):
            continue
        options = getattr(function, f"{PROJECT}_impl", None)
        if isinstance(options, dict):
            yield name, function, options
        elif name.startswith(PREFIX):
            yield name, function, None


def _function_problems(name: str, function: Callable[..., Any], options: dict[str, Any]) -> Iterator[str]:
    # An implementation may name its hook with `specname`.
    hook = options.get("specname") or name
    if hook not in HOOKS:
        if not options.get("optionalhook"):
            # Imported late: it brings the whole package of graphs, and names are seldom wrong.
            from taskiq_flow._words import Suggestions, quote

            hint = Suggestions(HOOKS).hint(hook) or f"; there are {quote(sorted(HOOKS))}"
            yield f"there is no hook {hook!r}{hint}"
        return
    if not inspect.isroutine(function):
        yield f"{name} must be a function, found {type(function).__name__}; make it a plain function"
        return
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        yield f"{name}() is async, and hooks are called without awaiting them; make it a plain function"
    elif options.get("wrapper") or options.get("hookwrapper"):
        yield f"{name}() is a wrapper, and hooks are called one by one; make it a plain implementation"
    elif inspect.isgeneratorfunction(function) and not hook.startswith(_REGISTRATION):
        yield f"{name}() is a generator, which would never run; make it a plain function"
    positional, by_keyword = _list_required(function)
    if unknown := [each for each in positional if each not in HOOKS[hook]]:
        yield f"{name}() wants {_quote(unknown)}, and the hook has {_quote(HOOKS[hook]) or 'no arguments'}"
    if by_keyword:
        yield f"{name}() takes {_quote(by_keyword)} by keyword only, and hooks are called by position"


def _quote(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))


def _list_required(function: Callable[..., Any]) -> tuple[list[str], list[str]]:
    positional, by_keyword = [], []
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.default is not inspect.Parameter.empty:
            continue
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            positional.append(name)
        elif parameter.kind is parameter.KEYWORD_ONLY:
            by_keyword.append(name)
    return positional, by_keyword


def _api_problem(plugin: Any) -> str:
    api = getattr(plugin, f"{PROJECT}_api", None)
    if api is None:
        return ""
    if not (isinstance(api, tuple) and len(api) == 2 and all(type(number) is int for number in api)):
        return f"its {PROJECT}_api must be two numbers, the lowest and the highest version of the hooks, found {api!r}"
    lowest, highest = api
    if lowest <= API_VERSION <= highest:
        return ""
    made_for = f"version {lowest}" if lowest == highest else f"versions {lowest} to {highest}"
    older = "upgrade taskiq-flow-core" if lowest > API_VERSION else "upgrade the plugin"
    return f"it is made for {made_for} of the hooks, and this taskiq-flow-core has version {API_VERSION}; {older}"
