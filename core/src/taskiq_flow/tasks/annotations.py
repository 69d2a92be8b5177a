"""Decorators for tasks: their outputs, their inputs, and the resources they occupy.

They stand above or below ``@broker.task``, in any order. Each stores its data on the function
or on the task, and returns the same object::

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
"""The suffix that taskiq adds to the name of a function that it decorates; the module has the function under it."""


@frozen(kw_only=True)
class TaskSpec:
    """Everything that decorators declared of a task.

    :param outputs: Names of its outputs; empty if none were declared.
    :param inputs: Names of the data it needs, instead of those in its signature; ``None`` if none were declared.
    :param description: For people.
    :param resources: The resources that an attempt occupies: ``cpu`` in cores, ``ram_mb`` in mebibytes.
    :param info: Further documentation.
    """

    outputs: tuple[str, ...] = ()
    inputs: tuple[str, ...] | None = None
    description: str = ""
    resources: Mapping[str, float] = field(factory=dict)
    info: TaskInfo | None = None


_NO_SPEC = TaskSpec()


@frozen(kw_only=True)
class TaskInfo:
    """Documentation of a task; a record to read from, or a decorator that attaches it.

    It documents only: the outputs that other tasks receive are declared with :func:`pipeline_task`.

    :param name: The task's name for people.
    :param description: A text about the task.
    :param parameters: Facts about each parameter, such as its type and default.
    :param outputs: Names of its outputs.
    """

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(factory=dict, converter=dict)
    outputs: tuple[str, ...] = field(default=(), converter=tuple)

    def __call__(self, task: _T) -> _T:
        """Attach this to a function or a task."""
        return _annotate(task, TaskSpec(info=self, description=self.description))


@frozen
class CPUProfile:
    """How many cores an attempt occupies.

    :param cpu_units: Cores, more than 0; ``0.5`` is half of one.
    :raises GraphError: it is no such number.
    """

    cpu_units: float = 1

    def __attrs_post_init__(self) -> None:
        if not _is_number(self.cpu_units) or self.cpu_units <= 0:
            raise GraphError(
                f"cpu_units is {self.cpu_units!r}; give a number of cores above 0, such as 0.5 or 2"
            )

    def __call__(self, task: _T) -> _T:
        """Attach this to a function or a task."""
        return _annotate(task, TaskSpec(resources={"cpu": self.cpu_units}))


@frozen
class RAMProfile:
    """How much memory an attempt occupies.

    :param ram_mb: Mebibytes, 0 or more.
    :raises GraphError: it is no such number.
    """

    ram_mb: float = 0

    def __attrs_post_init__(self) -> None:
        if not _is_number(self.ram_mb) or self.ram_mb < 0:
            raise GraphError(
                f"ram_mb is {self.ram_mb!r}; give a number of mebibytes, 0 or more, such as 2048"
            )

    def __call__(self, task: _T) -> _T:
        """Attach this to a function or a task."""
        return _annotate(task, TaskSpec(resources={"ram_mb": self.ram_mb}))


# A resource under a second name would be counted separately, and no worker offers it.
_USUAL_RESOURCES = {
    "cpu_units": "cpu",
    "cpu_cores": "cpu",
    "cores": "cpu",
    "ram_gb": "ram_mb",
    "memory_mb": "ram_mb",
}


@frozen(init=False)
class ResourceProfile:
    """The amounts of any resources that an attempt occupies, of its worker or of a limit of the pool.

    ::

        @broker.task
        @ResourceProfile(gpu=1, licence=2)
        def train(data: list[float]) -> float: ...

    :param resources: Amounts, 0 or more. ``cpu`` and ``ram_mb`` are those of :class:`CPUProfile` and
        :class:`RAMProfile`; here ``cpu`` may be 0, for a task that only waits.
    :raises GraphError: there are none, or some are no such numbers.
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
        return _annotate(task, TaskSpec(resources=self.resources))


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
    """Declare the outputs of a task, and optionally its inputs.

    :param output: The name of its output; parameters of that name receive it.
    :param outputs: Several names; the task's result is unpacked into them.
    :param inputs: Names of the data it needs, instead of those in its signature.
    :param description: For people.
    :raises GraphError: the names are not usable; every problem is listed.
    """
    if callable(output):
        raise GraphError("pipeline_task stands there without its options; write @pipeline_task(output=...)")
    spec = TaskSpec(
        **check_declared_names(output=output, outputs=outputs, inputs=inputs), description=description or ""
    )
    return lambda task: _annotate(task, spec)


def pipeline_task_multi_output(
    outputs: Iterable[str],
    *,
    inputs: Iterable[str] | None = None,
    description: str = "",
) -> Callable[[_T], _T]:
    """Declare several outputs of a task; the same as :func:`pipeline_task` with ``outputs``.

    :param outputs: Their names; the task's result is unpacked into them.
    :param inputs: Names of the data it needs, instead of those in its signature.
    :param description: For people.
    :raises GraphError: the names are not usable; every problem is listed.
    """
    return pipeline_task(outputs=outputs, inputs=inputs, description=description)


def task_of(obj: object) -> AsyncTaskiqDecoratedTask[Any, Any]:
    """Return the decorated task behind a task or a kicker.

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
    raise GraphError(f"expected a task, found {_describe_stranger(obj)}")


def _describe_stranger(obj: object) -> str:
    """Return what was found where a task should be; a class may say what to do with its objects instead."""
    advice = getattr(type(obj), "INSTEAD_OF_A_TASK", "")
    return f"{type(obj).__name__}{advice and '; '}{advice}"


def _find_renamed(kicker: AsyncKicker[Any, Any]) -> AsyncTaskiqDecoratedTask[Any, Any] | None:
    """Find the task of a kicker that was made before a flow renamed the task to the name in its decorator."""
    tasks = kicker.broker.get_all_tasks().values()
    found = [task for task in tasks if task_options(task).former == kicker.task_name]
    return found[0] if len(found) == 1 else None


def name_of(obj: object) -> str:
    """Return the name that a task's author wrote, without the suffix that taskiq adds."""
    if isinstance(obj, AsyncKicker):
        obj = task_of(obj)
    name = getattr(obj, "__name__", None) or getattr(obj, "task_name", None) or type(obj).__name__
    while name.endswith(RENAMED):
        name = name[: -len(RENAMED)]
    return str(name)


def is_annotated(obj: object) -> bool:
    """Whether a function or a task has any of the decorators."""
    return isinstance(getattr(obj, _ATTRIBUTE, None), TaskSpec)


def signature_of(obj: object) -> TaskSignature:
    """Return the signature of a function, a task or a kicker.

    :raises GraphError: it has no readable signature.
    """
    if isinstance(obj, AsyncKicker):
        obj = task_of(obj)
    if isinstance(obj, AsyncTaskiqDecoratedTask):
        return read_signature(obj.original_func)
    if not callable(obj):
        raise GraphError(f"expected a function or a task, found {_describe_stranger(obj)}")
    return read_signature(obj)


def spec_of(obj: object) -> TaskSpec:
    """Return the declarations of a function, a task or a kicker; those on the task take precedence.

    :raises GraphError: a kicker's broker knows no task of that name.
    """
    if isinstance(obj, AsyncKicker):
        obj = task_of(obj)
    spec = getattr(obj, _ATTRIBUTE, _NO_SPEC)
    if isinstance(obj, AsyncTaskiqDecoratedTask):
        below = getattr(obj.original_func, _ATTRIBUTE, _NO_SPEC)
        if below is not spec:
            return TaskSpec(
                outputs=spec.outputs or below.outputs,
                inputs=below.inputs if spec.inputs is None else spec.inputs,
                description=spec.description or below.description,
                resources={**below.resources, **spec.resources},
                info=spec.info or below.info,
            )
    return spec


def _annotate(task: _T, more: TaskSpec) -> _T:
    """Add declarations to those that a task has; a contradiction is an error."""
    name = name_of(task)
    if isinstance(task, (type, AsyncKicker)) or not callable(task):
        raise GraphError(f"only a function or a task can be annotated, found {name!r}")
    present = spec_of(task)
    problems = [
        f"{subject} of {name!r} is declared twice, as {old!r} and as {new!r}; keep one of them"
        for subject, old, new in _list_declarations(present, more)
        if old != new
    ]
    if problems:
        raise GraphError(problems)
    spec = evolve(
        present,
        outputs=present.outputs or more.outputs,
        inputs=more.inputs if present.inputs is None else present.inputs,
        # A description given to pipeline_task is about this use, so it wins over the one of a TaskInfo.
        description=present.description
        if more.info and present.description
        else more.description or present.description,
        resources={**present.resources, **more.resources},
        info=more.info or present.info,
    )
    try:
        setattr(task, _ATTRIBUTE, spec)
    except AttributeError:
        raise GraphError(f"{name!r} cannot be annotated; wrap it in a function of its own") from None
    return task


def _list_declarations(present: TaskSpec, more: TaskSpec) -> Iterable[tuple[str, object, object]]:
    if present.outputs and more.outputs:
        yield "the output", list(present.outputs), list(more.outputs)
    if present.inputs is not None and more.inputs is not None:
        yield "the input", list(present.inputs), list(more.inputs)
    for resource in sorted(present.resources.keys() & more.resources.keys()):
        yield f"the resource {resource!r}", present.resources[resource], more.resources[resource]
