"""What a start of a pipeline may say beside its inputs: an own id, labels, a name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Generic, TypeVar

from attrs import evolve, field, frozen
from typing_extensions import ParamSpec

from taskiq_flow.errors import GraphError

if TYPE_CHECKING:
    from typing_extensions import Self

    from taskiq_flow.builders.builder import Builder
    from taskiq_flow.handle import RunHandle

__all__ = ["RunKicker", "StartOptions"]

_P = ParamSpec("_P")
_R = TypeVar("_R")

# The id becomes a part of message ids and of keys of blobs; "~" is that of resumptions.
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_OURS = "taskiq_flow."


@frozen(kw_only=True)
class StartOptions:
    """What a start says beside its inputs.

    :param run_id: The run's id; ``None`` for a new one.
    :param labels: The run's labels.
    :param name: The run's name, for people.
    """

    run_id: str | None = None
    labels: Mapping[str, str] = field(factory=dict)
    name: str = ""


@frozen(eq=False)
class RunKicker(Generic[_P, _R]):
    """Starts a pipeline with an id, labels and a name; like taskiq's kicker of a task.

    Each method returns a new kicker, so that one can be kept and used again::

        kicker = pipeline.kicker().with_labels(tenant="acme")
        handle = await kicker.with_task_id("order-4711").kiq("/orders/4711")

    :param builder: The pipeline.
    :param options: What the start says.
    """

    builder: Builder
    options: StartOptions = StartOptions()

    def with_task_id(self, task_id: str) -> Self:
        """Choose the run's id. If there is a run with that id, no other one is started: the handle is that of the run.

        :param task_id: From 1 to 128 letters, digits, dots, colons, hyphens and underscores, the first of them a letter
            or a digit; unique in the store.
        :raises GraphError: it is something else.
        """
        if not isinstance(task_id, str) or not _ID.fullmatch(task_id):
            raise GraphError(
                f"the run's id is {task_id!r}; give 1 to 128 letters, digits, '.', ':', '-' and '_', the first one a "
                "letter or a digit"
            )
        return evolve(self, options=evolve(self.options, run_id=task_id))

    def with_labels(self, **labels: str | float | bool) -> Self:
        """Add labels to the run, which observers, schedulers and people see. Numbers become text.

        :raises GraphError: a label is neither text nor a number, or its name begins with ``taskiq_flow.``.
        """
        problems = [
            f"label {name!r} is {value!r}; give text or a number"
            for name, value in labels.items()
            if not isinstance(value, (str, int, float))
        ]
        problems += [
            f"label {name!r} begins with {_OURS!r}, which is kept for this library; choose another name"
            for name in labels
            if name.startswith(_OURS)
        ]
        if problems:
            raise GraphError(problems)
        texts = {name: value if type(value) is str else str(value) for name, value in labels.items()}
        return evolve(self, options=evolve(self.options, labels={**self.options.labels, **texts}))

    def with_name(self, name: str) -> Self:
        """Name the run, for people.

        :raises GraphError: it is no text.
        """
        if not isinstance(name, str):
            raise GraphError(f"the run's name is {name!r}; give a text")
        return evolve(self, options=evolve(self.options, name=name))

    async def kiq(self, /, *args: _P.args, **kwargs: _P.kwargs) -> RunHandle[_R]:
        """Start a run, like the pipeline's own ``kiq``.

        :raises GraphError: the graph has problems, inputs are missing or unknown, or the id is that of a run of another
            pipeline.
        """
        handle: RunHandle[_R] = await self.builder.start(args, kwargs, self.options)
        return handle

    def run(self, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Run the pipeline and return its value, like the pipeline's own ``run``."""
        from taskiq_flow.builders.script import run_to_the_end

        value: _R = run_to_the_end(self.builder, args, kwargs, self.options)
        return value
