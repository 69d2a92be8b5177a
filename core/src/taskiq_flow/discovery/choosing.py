"""Chooses the smallest set of installed tasks that produces the wanted outputs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from taskiq_flow._words import Suggestions, quote
from taskiq_flow.discovery.catalogue import Catalogue
from taskiq_flow.discovery.installed import InstalledTask
from taskiq_flow.errors import GraphError

__all__ = ["choose"]


def choose(
    catalogue: Catalogue, outputs: Iterable[str], prefer: Mapping[str, str] | None = None
) -> list[InstalledTask]:
    """Return the tasks that are needed for some outputs; the producers of these outputs come last.

    Data that a task needs and no task produces is an input of the graph. A parameter with a default adds no task.

    :param prefer: The distribution or the task that produces a name with several producers, by the produced name.
    :raises GraphError: an output has no producer, or several and none is preferred; all problems are listed.
    """
    prefer = {} if prefer is None else prefer
    if not isinstance(prefer, Mapping) or not all(isinstance(each, str) for each in prefer.values()):
        raise GraphError(
            f"prefer is {prefer!r}; say by the name of an output which distribution or task shall produce it, such as "
            "{'report': 'acme-text'}"
        )
    producers = _producers(catalogue)
    problems = list(_unknown_preferences(producers, prefer))
    if unknown := [name for name in outputs if name not in producers]:
        problems.append(_nobody_produces(catalogue, producers, unknown))
    chosen: dict[str, InstalledTask] = {}
    todo = list(reversed(list(outputs)))
    seen: set[str] = set()
    while todo:
        data = todo.pop()
        if data in seen or data not in producers:
            continue
        seen.add(data)
        task = _pick_preferred(data, producers[data], prefer.get(data), problems)
        if task is None or task.name in chosen:
            continue
        if task.name in catalogue.clashes:
            problems.append(f"{data!r}: {catalogue.clash(task.name)}")
            continue
        chosen[task.name] = task
        todo += reversed([need.data for need in task.place.needs if need.required or need.declared])
    if problems:
        raise GraphError(problems)
    return list(reversed(chosen.values()))


def _producers(catalogue: Catalogue) -> dict[str, list[InstalledTask]]:
    producers: dict[str, list[InstalledTask]] = {}
    clashing = (task for tasks in catalogue.clashes.values() for task in tasks)
    for task in (*catalogue.tasks.values(), *clashing):
        for output in task.outputs:
            producers.setdefault(output, []).append(task)
    return producers


def _pick_preferred(
    data: str, tasks: list[InstalledTask], preferred: str | None, problems: list[str]
) -> InstalledTask | None:
    fitting = [each for each in tasks if preferred is None or _has_name(each, preferred)]
    # Tasks that share a name count as one here; the caller reports the clash.
    if len({each.name for each in fitting}) == 1:
        return fitting[0]
    producers = " and by ".join(f"task {each.name!r} of {each.origin.release}" for each in tasks)
    if preferred is None:
        step = f"choose one with prefer={{{data!r}: {tasks[0].origin.distribution!r}}}, or deny the other"
        if len({each.origin.distribution for each in tasks}) < len(tasks):
            step = f"choose one by its name with prefer={{{data!r}: {tasks[0].name!r}}}, or deny the other"
    else:
        step = f"prefer says {preferred!r}, which fits {len(fitting)} of them; give the name of a task"
        if not fitting:
            known = dict.fromkeys(name for each in tasks for name in (each.origin.distribution, each.name))
            hint = (
                Suggestions(known).hint(preferred) or "; give the name of one of these, task or distribution"
            )
            step = f"prefer says {preferred!r}, which is none of them{hint}"
    problems.append(f"{data!r} is produced by {producers}; {step}")
    return None


def _has_name(task: InstalledTask, name: str) -> bool:
    return name == task.name or _normal(name) == _normal(task.origin.distribution)


def _normal(distribution: str) -> str:
    # A distribution has many spellings, such as acme-text, acme_text and Acme.Text.
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _unknown_preferences(
    producers: Mapping[str, list[InstalledTask]], prefer: Mapping[str, str]
) -> Iterator[str]:
    for data in prefer:
        if data not in producers:
            hint = Suggestions(producers).hint(data)
            yield f"prefer names {data!r}, which no installed task produces{hint}"


def _nobody_produces(
    catalogue: Catalogue, producers: Mapping[str, list[InstalledTask]], unknown: list[str]
) -> str:
    suggestions = Suggestions(producers)
    names = ", ".join(f"{name!r}{suggestions.hint(name)}" for name in unknown)
    text = f"no installed task produces {names}"
    if not catalogue.sources:
        return f"{text}; no distribution offers tasks, or none of them is let in: install one that does, or allow it"
    text += f"; looked at {', '.join(catalogue.releases)}, whose tasks produce {quote(sorted(producers)) or 'nothing'}"
    return "\n".join([text, *map(str, catalogue.problems)])
