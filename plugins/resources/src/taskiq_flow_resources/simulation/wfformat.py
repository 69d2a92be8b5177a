"""Published workflow traces: instances of WfCommons' WfFormat (https://wfcommons.org), versions 1.5 and 1.6."""

from __future__ import annotations

import gzip
import json
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from taskiq_flow.errors import GraphError, UsageError
from taskiq_flow.graph import Graph, NodeOptions, TaskNode, build_graph
from taskiq_flow_resources.simulation.durations import Durations, is_number

__all__ = ["Trace", "read_document", "read_trace", "trace_of"]

_VERSIONS = ("1.5", "1.6")
_MEBIBYTE = 2.0**20
_MOST_PROBLEMS = 10
# Separators of a cell's path, which may occur in ids of tasks.
_UNFIT = str.maketrans("/[]", "_()")


@frozen(kw_only=True)
class Trace:
    """The trace of a workflow's execution.

    :param graph: The graph with one node for each task, whose task is the program's name; ``cpu`` is the number of
        cores, ``ram_mb`` the memory where it was measured.
    :param durations: The duration of each task.
    """

    graph: Graph
    durations: Durations


def read_trace(path: Path) -> Trace:
    """Read an instance from a file, ``.json`` or ``.json.gz``.

    :raises UsageError: the file cannot be read, or is not an instance of a known version.
    """
    return trace_of(read_document(path), str(path))


def read_document(path: Path) -> Any:
    """Read a JSON file, compressed or not.

    :raises UsageError: it cannot be read, or is not JSON.
    """
    try:
        data = path.read_bytes()
        return json.loads(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(f"cannot read {str(path)!r}: {error}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{str(path)!r} is no JSON: {error}") from error


def trace_of(document: Any, name: str = "") -> Trace:
    """Make a graph from an instance.

    :param document: The instance, as parsed JSON.
    :param name: The name of its source, for errors.
    :raises UsageError: it is not an instance of a known version, or its parts do not fit together.
    """
    version = str(document.get("schemaVersion", "")) if isinstance(document, dict) else ""
    workflow = document.get("workflow") if isinstance(document, dict) else None
    if not version or not isinstance(workflow, dict):
        raise UsageError(
            f"{name!r} is no WfFormat instance; expected an object with schemaVersion and workflow"
        )
    if version not in _VERSIONS:
        raise UsageError(
            f"{name!r} is of WfFormat {version}; expected one of {', '.join(_VERSIONS)}, "
            "to which `wfcommons` converts older ones"
        )
    declared = _tasks(workflow, "specification")
    measured = _tasks(workflow, "execution")
    if not declared:
        raise UsageError(f"{name!r} has no tasks in workflow.specification.tasks")
    problems = list(_problems(declared, measured))
    if problems:
        more = len(problems) - _MOST_PROBLEMS
        shown = problems[:_MOST_PROBLEMS] + ([f"and {more} more"] if more > 0 else [])
        raise UsageError(f"{name!r} cannot be used:\n" + "\n".join(shown))
    by_id = {task["id"]: task for task in measured}
    parents: dict[str, dict[str, None]] = {task["id"]: {} for task in declared}
    for task in declared:
        parents[task["id"]].update(dict.fromkeys(task.get("parents") or ()))
        for child in task.get("children") or ():
            parents[child][task["id"]] = None
    nodes = [
        TaskNode(
            name=task["id"].translate(_UNFIT),
            task=str(task.get("name") or task["id"]),
            after=tuple(each.translate(_UNFIT) for each in parents[task["id"]]),
            options=NodeOptions(resources=_resources(by_id[task["id"]])),
        )
        for task in declared
    ]
    try:
        graph = build_graph(nodes, name=str(document.get("name") or ""))
    except GraphError as error:
        raise UsageError(f"{name!r} cannot be used:\n{error}") from error
    seconds = {
        task["id"].translate(_UNFIT): float(by_id[task["id"]]["runtimeInSeconds"]) for task in declared
    }
    return Trace(graph=graph, durations=Durations(seconds))


def _tasks(workflow: Mapping[str, Any], part: str) -> Sequence[dict[str, Any]]:
    section = workflow.get(part)
    tasks = section.get("tasks") if isinstance(section, dict) else None
    if not isinstance(tasks, list) or not all(isinstance(each, dict) for each in tasks):
        return ()
    return tasks


def _problems(declared: Sequence[dict[str, Any]], measured: Sequence[dict[str, Any]]) -> Iterator[str]:
    specified, executed = Counter(map(_id, declared)), Counter(map(_id, measured))
    for part, counts in (("specification", specified), ("execution", executed)):
        for name, count in counts.items():
            if not name:
                yield f"workflow.{part}.tasks has {count} without an id; expected a text that is not empty"
            elif count > 1:
                yield f"task {name!r} is {count} times in workflow.{part}.tasks; expected it once"
    for task in declared:
        name = _id(task)
        for relation in ("parents", "children"):
            others = task.get(relation) or []
            if not isinstance(others, list):
                yield f"task {name!r} has {others!r} for its {relation}; expected a list of ids"
                continue
            for other in others:
                if not isinstance(other, str) or other not in specified:
                    yield f"task {name!r} has {other!r} among its {relation}, which is not specified"
        if name and name not in executed:
            yield f"task {name!r} is not in workflow.execution.tasks, so its duration is unknown"
    for task in measured:
        name = _id(task)
        if not is_number(task.get("runtimeInSeconds")):
            yield f"task {name!r} has runtimeInSeconds {task.get('runtimeInSeconds')!r}; expected seconds, 0 or more"
        for key in ("coreCount", "memoryInBytes"):
            if key in task and not is_number(task[key]):
                yield f"task {name!r} has {key} {task[key]!r}; expected a number, 0 or more"


def _id(task: Mapping[str, Any]) -> str:
    name = task.get("id")
    return name if isinstance(name, str) else ""


def _resources(task: Mapping[str, Any]) -> dict[str, float]:
    resources = {"cpu": float(task.get("coreCount") or 1)}
    if task.get("memoryInBytes"):
        resources["ram_mb"] = task["memoryInBytes"] / _MEBIBYTE
    return resources
