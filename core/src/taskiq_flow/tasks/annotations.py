"""What a task's author says of a task: what it produces, what it needs, what it occupies.

All of these stand above or below ``@broker.task``, in any order. They keep what they are told
on the function or on the task, and give back the very object that they were given::

    @broker.task
    @pipeline_task(output="features")
    @CPUProfile(cpu_units=2)
    def extract(data: list[str]) -> dict[str, int]: ...
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from attrs import evolve, field, frozen
from taskiq import AsyncTaskiqDecoratedTask
from taskiq.kicker import AsyncKicker

from taskiq_flow.errors import GraphError
from taskiq_flow.tasks.names import check_declared_names
from taskiq_flow.tasks.options import task_options
from taskiq_flow.tasks.signatures import TaskSignature, read_signature

__all__ = [
    "RENAMED",
    "CPUProfile",
    "RAMProfile",
    "ResourceProfile",
    "TaskInfo",
    "TaskSpec",
    "is_annotated",
    "name_of",
    "pipeline_task",
    "pipeline_task_multi_output",
    "signature_of",
    "spec_of",
    "task_of",
]

_T = TypeVar("_T")
_ATTRIBUTE = "__taskiq_flow__"
RENAMED = "__taskiq_original"
"""What taskiq puts behind the name of a function that it decorates; under it, the function is in its module too."""


@frozen(kw_only=True)
class TaskSpec:
    """All that was said of a task.

    :param outputs: Names of what it produces; empty where nothing was said.
    :param inputs: Names of the data it needs, instead of what its signature says; ``None`` where nothing was said.
    :param description: For people.
    :param resources: What an attempt occupies: ``cpu`` in cores, ``ram_mb`` in mebibytes.
    :param info: Further documentation.
    """

    outputs: tuple[str, ...] = ()
    inputs: tuple[str, ...] | None = None
    description: str = ""
    resources: Mapping[str, float] = field(factory=dict)
    info: TaskInfo | None = None


_NOTHING_SAID = TaskSpec()


@frozen(kw_only=True)
class TaskInfo:
    """Documentation of a task; a record to read from, or a decorator that attaches it.

    It documents only: what a task produces for others is said by :func:`pipeline_task`.

    :param name: The task's name for people.
    :param description: What it does.
    :param parameters: For each parameter whatever is worth knowing, such as its type and default.
    :param outputs: Names of what it gives.
    """

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(factory=dict, converter=dict)
    outputs: tuple[str, ...] = field(default=(), converter=tuple)

    def __call__(self, task: _T) -> _T:
        """Attach this to a function or a task."""
        return _say(task, TaskSpec(info=self, description=self.description))


@frozen
class CPUProfile:
    """How many cores an attempt occupies.

    :param cpu_units: Cores, more than 0; ``0.5`` is half of one.
    :raises GraphError: that is no such number.
    """

    cpu_units: float = 1

    def __attrs_post_init__(self) -> None:
        if not _is_number(self.cpu_units) or self.cpu_units <= 0:
            raise GraphError(
                f"cpu_units is {self.cpu_units!r}; give a number of cores above 0, such as 0.5 or 2"
            )

    def __call__(self, task: _T) -> _T:
        """Attach this to a function or a task."""
        return _say(task, TaskSpec(resources={"cpu": self.cpu_units}))


@frozen
class RAMProfile:
    """How much memory an attempt occupies.

    :param ram_mb: Mebibytes, 0 or more.
    :raises GraphError: that is no such number.
    """

    ram_mb: float = 0

    def __attrs_post_init__(self) -> None:
        if not _is_number(self.ram_mb) or self.ram_mb < 0:
            raise GraphError(
                f"ram_mb is {self.ram_mb!r}; give a number of mebibytes, 0 or more, such as 2048"
            )

    def __call__(self, task: _T) -> _T:
        """Attach this to a function or a task."""
        return _say(task, TaskSpec(resources={"ram_mb": self.ram_mb}))


# The same thing under another name would be counted beside it, and by nobody.
_USUAL_RESOURCES = {
    "cpu_units": "cpu",
    "cpu_cores": "cpu",
    "cores": "cpu",
    "ram_gb": "ram_mb",
    "memory_mb": "ram_mb",
}


@frozen(init=False)
class ResourceProfile:
    """How much of any resources, by name, an attempt occupies: of its worker, or of a limit of the pool.

    ::

        @broker.task
        @ResourceProfile(gpu=1, licence=2)
        def train(data: list[float]) -> float: ...

    :param resources: Amounts, 0 or more. ``cpu`` and ``ram_mb`` are those of :class:`CPUProfile` and
        :class:`RAMProfile`; here ``cpu`` may be 0, for what only waits.
    :raises GraphError: there are none, or not all of them are such numbers.
    """

    resources: Mapping[str, float] = field(hash=False)

    def __init__(self, **resources: float) -> None:
        problems = [
            f"{name} is {amount!r}; give a number, 0 or more"
            for name, amount in resources.items()
            if not _is_number(amount) or amount < 0
        ]
        problems += [
            f"{name} is counted as {_USUAL_RESOURCES[name]!r}; give {_USUAL_RESOURCES[name]} instead"
            for name in resources
            if name in _USUAL_RESOURCES
        ]
        if not resources:
            problems.append("ResourceProfile stands there without resources; write @ResourceProfile(gpu=1)")
        if problems:
            raise GraphError(problems)
        self.__attrs_init__(resources)

    def __call__(self, task: _T) -> _T:
        """Attach this to a function or a task."""
        return _say(task, TaskSpec(resources=self.resources))


def _is_number(value: object) -> bool:
    # Not by math.isfinite(), which raises where a whole number is too large.
    return (
        isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
    )


def pipeline_task(
    output: str | None = None,
    *,
    outputs: Iterable[str] | None = None,
    inputs: Iterable[str] | None = None,
    description: str = "",
) -> Callable[[_T], _T]:
    """Say what a task produces, and if need be what it needs.

    :param output: The name of what it produces; parameters of that name receive it.
    :param outputs: Several names; what the task returns is unpacked into them.
    :param inputs: Names of the data it needs, instead of what its signature says.
    :param description: For people.
    :raises GraphError: the names are not usable; every problem is listed.
    """
    if callable(output):
        raise GraphError("pipeline_task stands there without its options; write @pipeline_task(output=...)")
    said = TaskSpec(
        **check_declared_names(output=output, outputs=outputs, inputs=inputs), description=description or ""
    )
    return lambda task: _say(task, said)


def pipeline_task_multi_output(
    outputs: Iterable[str],
    *,
    inputs: Iterable[str] | None = None,
    description: str = "",
) -> Callable[[_T], _T]:
    """Say that a task produces several things; the same as :func:`pipeline_task` with ``outputs``.

    :param outputs: Their names; what the task returns is unpacked into them.
    :param inputs: Names of the data it needs, instead of what its signature says.
    :param description: For people.
    :raises GraphError: the names are not usable; every problem is listed.
    """
    return pipeline_task(outputs=outputs, inputs=inputs, description=description)


def task_of(obj: object) -> AsyncTaskiqDecoratedTask[Any, Any]:
    """Give the decorated task that a task or a kicker stands for.

    :raises GraphError: it is neither, or the kicker's broker knows no task of that name.
    """
    if isinstance(obj, AsyncTaskiqDecoratedTask):
        return obj
    if isinstance(obj, AsyncKicker):
        task = obj.broker.find_task(obj.task_name) or _find_renamed(obj)
        if task is None:
            raise GraphError(
                f"task {obj.task_name!r} is not known to its broker; import the module that has it"
            )
        return task
    name = getattr(obj, "__name__", None)
    if callable(obj) and name:
        raise GraphError(f"{name!r} is a plain function; decorate it with @broker.task first")
    raise GraphError(f"expected a task, found {type(obj).__name__}")


def _find_renamed(kicker: AsyncKicker[Any, Any]) -> AsyncTaskiqDecoratedTask[Any, Any] | None:
    """Find the task of a kicker that was made before a flow gave the task the name that its decorator says."""
    tasks = kicker.broker.get_all_tasks().values()
    found = [task for task in tasks if task_options(task).former == kicker.task_name]
    return found[0] if len(found) == 1 else None


def name_of(obj: object) -> str:
    """Give the name that a task's author wrote: taskiq renames the function that it decorates."""
    if isinstance(obj, AsyncKicker):
        obj = task_of(obj)
    name = getattr(obj, "__name__", None) or getattr(obj, "task_name", None) or type(obj).__name__
    while name.endswith(RENAMED):
        name = name[: -len(RENAMED)]
    return str(name)


def is_annotated(obj: object) -> bool:
    """Whether anything was said of a function or a task."""
    return isinstance(getattr(obj, _ATTRIBUTE, None), TaskSpec)


def signature_of(obj: object) -> TaskSignature:
    """Give the signature of a function, a task or a kicker.

    :raises GraphError: it has none that can be read.
    """
    if isinstance(obj, AsyncKicker):
        obj = task_of(obj)
    if isinstance(obj, AsyncTaskiqDecoratedTask):
        return read_signature(obj.original_func)
    if not callable(obj):
        raise GraphError(f"expected a function or a task, found {type(obj).__name__}")
    return read_signature(obj)


def spec_of(obj: object) -> TaskSpec:
    """Give all that was said of a function, a task or a kicker; what stands on the task goes first.

    :raises GraphError: a kicker's broker knows no task of that name.
    """
    if isinstance(obj, AsyncKicker):
        obj = task_of(obj)
    said = getattr(obj, _ATTRIBUTE, _NOTHING_SAID)
    if isinstance(obj, AsyncTaskiqDecoratedTask):
        below = getattr(obj.original_func, _ATTRIBUTE, _NOTHING_SAID)
        if below is not said:
            return TaskSpec(
                outputs=said.outputs or below.outputs,
                inputs=below.inputs if said.inputs is None else said.inputs,
                description=said.description or below.description,
                resources={**below.resources, **said.resources},
                info=said.info or below.info,
            )
    return said


def _say(task: _T, more: TaskSpec) -> _T:
    """Add to what was said of a task so far; to contradict it is an error."""
    name = name_of(task)
    if isinstance(task, (type, AsyncKicker)) or not callable(task):
        raise GraphError(f"only a function or a task can be annotated, found {name!r}")
    said = spec_of(task)
    problems = [
        f"{what} of {name!r} is declared twice, as {old!r} and as {new!r}; keep one of them"
        for what, old, new in _list_declarations(said, more)
        if old != new
    ]
    if problems:
        raise GraphError(problems)
    spec = evolve(
        said,
        outputs=said.outputs or more.outputs,
        inputs=more.inputs if said.inputs is None else said.inputs,
        # A description given to pipeline_task says more of this use than the one of a TaskInfo.
        description=said.description
        if more.info and said.description
        else more.description or said.description,
        resources={**said.resources, **more.resources},
        info=more.info or said.info,
    )
    try:
        setattr(task, _ATTRIBUTE, spec)
    except AttributeError:
        raise GraphError(f"{name!r} cannot be annotated; wrap it in a function of its own") from None
    return task


def _list_declarations(said: TaskSpec, more: TaskSpec) -> Iterable[tuple[str, object, object]]:
    if said.outputs and more.outputs:
        yield "the output", list(said.outputs), list(more.outputs)
    if said.inputs is not None and more.inputs is not None:
        yield "the input", list(said.inputs), list(more.inputs)
    for resource in sorted(said.resources.keys() & more.resources.keys()):
        yield f"the resource {resource!r}", said.resources[resource], more.resources[resource]
