"""``taskiq flow tasks``: the query, and the answer as plain data."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

from attrs import frozen

from taskiq_flow.discoverer import Discoverer, Origin, TaskSource
from taskiq_flow.discovery import Catalogue, InstalledTask, find_sources
from taskiq_flow.errors import PluginError, UsageError
from taskiq_flow.plugins import Plugins
from taskiq_flow.targets import find_flow
from taskiq_flow.terminal import reserve_stdout
from taskiq_flow_discovery.patterns import fits_source

__all__ = ["Query", "list_tasks"]


@frozen(kw_only=True)
class Query:
    """The arguments of the command.

    :param task: A task's name, or its function's; ``None`` for all tasks.
    :param distribution: A pattern of distributions or sources.
    :param output: The name of an output of the tasks.
    :param load: Whether sources may be imported.
    :param flow: ``MODULE:NAME`` of the flow with the discoverer.
    :param app_dir: A folder to search for its module.
    """

    task: str | None = None
    distribution: str | None = None
    output: str | None = None
    load: bool = True
    flow: str | None = None
    app_dir: str | None = None


def list_tasks(query: Query, *, as_json: bool) -> int:
    """List the installed tasks.

    :param as_json: Write one JSON object.
    :returns: The exit code: 1 when something cannot be used.
    :raises UsageError: the configuration cannot be used, or there is no such flow or task.
    """
    if not query.load and (query.task is not None or query.output is not None):
        raise UsageError("--no-load imports nothing, so it knows no tasks and outputs; leave one of them out")
    # Output of imported modules is not part of the answer.
    with reserve_stdout(True):
        sources = _sources(query)
        fitting = [each for each in sources if fits_source(query.distribution or "*", each)]
        catalogue = Catalogue.load(fitting if query.load else ())
        answer = _list_loaded(query, catalogue) if query.load else _list_sources(fitting)
    if as_json:
        sys.stdout.write(f"{json.dumps(answer)}\n")
    else:
        from taskiq_flow_discovery.tables import write_details, write_sources, write_tasks

        if not answer["tasks" if query.load else "sources"]:
            sys.stdout.write(f"{_nothing(query, sources, catalogue)}\n")
        write = write_sources if not query.load else write_tasks if query.task is None else write_details
        write(answer)
    return int(bool(answer["problems"]))


def _sources(query: Query) -> Sequence[TaskSource]:
    try:
        discoverer: Discoverer
        if query.flow is not None:
            discoverer = find_flow(query.flow, query.app_dir).discoverer
        else:
            discoverer = Plugins.load().make_discoverer()
        return find_sources(discoverer)
    except PluginError as error:
        raise UsageError(str(error)) from error


def _list_sources(sources: Sequence[TaskSource]) -> dict[str, Any]:
    return {
        "sources": [{"source": source.name, **_origin(source.origin)} for source in sources],
        "problems": [
            {"source": source.name, **_origin(source.origin), "error": f"there is no module {module!r}"}
            for source in sources
            if not _is_there(module := source.origin.target.partition(":")[0].partition(".")[0].strip())
        ],
    }


def _is_there(module: str) -> bool:
    """Whether a module could be imported; for a submodule only its package is searched, so nothing is imported."""
    try:
        return module in sys.modules or importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _nothing(query: Query, sources: Sequence[TaskSource], catalogue: Catalogue) -> str:
    """Explain why there is nothing to show."""
    if not sources:
        return "no distribution offers tasks, or none of them is let in"
    if query.distribution is not None and not catalogue.sources:
        known = dict.fromkeys(name for each in sources for name in (each.origin.distribution, each.name))
        return f"nothing that offers tasks is named {query.distribution!r}{_hint(query.distribution, known)}"
    looked = f"looked at {', '.join(catalogue.releases)}"
    if query.output is None:
        return f"no tasks were found; {looked}"
    if query.task is not None:
        return f"task {query.task!r} does not produce {query.output!r}; {looked}"
    produced = dict.fromkeys(name for task in catalogue.tasks.values() for name in task.outputs)
    return f"no task produces {query.output!r}{_hint(query.output, produced)}; {looked}"


def _hint(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, list(known), n=3)
    return f" (did you mean {' or '.join(map(repr, close))}?)" if close else ""


def _list_loaded(query: Query, catalogue: Catalogue) -> dict[str, Any]:
    tasks = list(catalogue.tasks.values())
    if query.task is not None:
        tasks = _find_named(query.task, catalogue)
    if query.output is not None:
        tasks = [task for task in tasks if query.output in task.outputs]
    problems = [
        {"source": problem.source, **_origin(problem.origin), "error": problem.error}
        for problem in catalogue.problems
    ]
    problems += [
        {"source": task.source, **_origin(task.origin), "error": catalogue.clash(name)}
        for name, clashing in catalogue.clashes.items()
        for task in clashing[:1]
    ]
    return {"tasks": [_task(each) for each in tasks], "problems": problems}


def _find_named(name: str, catalogue: Catalogue) -> list[InstalledTask]:
    found = [task for task in catalogue.tasks.values() if name in (task.name, task.function)]
    if found:
        return found
    if name in catalogue.clashes:
        raise UsageError(catalogue.clash(name))
    known = dict.fromkeys(key for task in catalogue.tasks.values() for key in (task.name, task.function))
    looked = (
        ", ".join(catalogue.releases) or "nothing, because nothing that offers tasks is let in or asked for"
    )
    sentence = f"there is no task {name!r}{_hint(name, known)}; looked at {looked}"
    raise UsageError("\n".join([sentence, *map(str, catalogue.problems)]))


def _task(task: InstalledTask) -> dict[str, Any]:
    return {
        "name": task.name,
        "description": task.description,
        "outputs": [{"name": name, "type": kind} for name, kind in task.output_types.items()],
        "inputs": [{"name": each.name, "type": each.type, "required": each.required} for each in task.inputs],
        "resources": dict(task.resources),
        "source": task.source,
        "distribution": task.origin.distribution,
        "version": task.origin.version,
        "module": task.module,
        "function": task.function,
    }


def _origin(origin: Origin) -> dict[str, str]:
    return {"distribution": origin.distribution, "version": origin.version, "target": origin.target}
