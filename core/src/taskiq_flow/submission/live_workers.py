"""Checks that the live workers of a pool have the tasks of a run, in the right version."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from taskiq import AsyncBroker

from taskiq_flow._logs import open_log
from taskiq_flow._runtime import Runtime
from taskiq_flow.discoverer import Origin
from taskiq_flow.errors import UnschedulableError
from taskiq_flow.store import WorkerInfo
from taskiq_flow.tasks.options import origin_of

__all__ = ["LiveWorkers", "origins_of"]

logger = open_log("taskiq_flow")

_MOST_NAMES = 5


class LiveWorkers:
    """Compares the tasks of a graph with those that the workers of a pool announce.

    A pool without any live worker is accepted: workers may start later. A task that only some workers have is accepted
    too, because the others may read other queues; but a message may reach one of the others, and then its attempt
    fails, so a warning says it once. A worker with another version is refused: it would run different code for the
    message, and nobody would notice.

    :param runtime: The parts of the flow of that pool.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._pool = runtime.pool
        self._store = runtime.store
        self._clock = runtime.clock
        self._warned_of: set[str] = set()

    async def check(self, tasks: Mapping[str, str], origins: Mapping[str, Origin]) -> Sequence[WorkerInfo]:
        """Refuse tasks that no live worker has.

        :param tasks: The path of a node that applies each task, by the task's name.
        :param origins: The origins of tasks that were discovered in this process, by the task's name.
        :returns: The live workers.
        :raises UnschedulableError: no live worker has some of the tasks, or one has them in another version.
        """
        now = self._clock.now()
        live = [each for each in await self._store.workers.list(self._pool) if each.expires_at > now]
        if not live:
            self._warn("", f"pool {self._pool!r} has no live worker; runs wait until one starts")
            return ()
        self._warned_of.discard("")
        problems = [
            f"node {path!r} applies task {task!r}{problem}"
            for task, path in tasks.items()
            for problem in self._problems(task, origins.get(task), live)
        ]
        if problems:
            raise UnschedulableError("\n".join(problems))
        return live

    def _problems(self, task: str, origin: Origin | None, live: Sequence[WorkerInfo]) -> Iterator[str]:
        having = [each for each in live if each.tasks is None or task in each.tasks]
        count = "the only live worker" if len(live) == 1 else f"any of the {len(live)} live workers"
        if not having:
            step = "import the module that has it where they start"
            if origin is not None:
                step = f"install {origin.release} there, and make their flow with discover=True and the same settings"
            yield f"{f' of {origin.release}' if origin else ''}, unknown to {count} of pool {self._pool!r}; {step}"
            return
        others = [
            each for each in having if origin is not None and not _fits(each.versions.get(task), origin)
        ]
        if others:
            assert origin is not None, "without an origin every worker that has the task fits"
            versions = " and ".join(sorted({each.versions[task] for each in others}))
            whom = (
                f"{_join_names(others)} of pool {self._pool!r}, which {'has' if len(others) == 1 else 'have'}"
            )
            if len(others) == len(live):
                whom = f"the live workers of pool {self._pool!r}, which have"
            yield (
                f" of {origin.release}, and a message may reach {whom} it of {versions}; install the same version on "
                "both sides"
            )
        elif len(having) < len(live):
            lacking = [each for each in live if each not in having]
            self._warn(
                task,
                f"task {task!r} is unknown to some workers of pool {self._pool!r}: {_join_names(lacking)}",
            )

    def _warn(self, key: str, text: str) -> None:
        if key not in self._warned_of:
            self._warned_of.add(key)
            logger.warning("%s", text)


def _join_names(workers: Sequence[WorkerInfo]) -> str:
    names = sorted(each.id for each in workers)
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more


def origins_of(broker: AsyncBroker, tasks: Iterable[str]) -> dict[str, Origin]:
    """Return the origins of those tasks that were discovered, by the task's name."""
    found = {name: origin_of(broker.find_task(name)) for name in tasks}
    return {name: origin for name, origin in found.items() if origin is not None}


def _fits(announced: str | None, origin: Origin) -> bool:
    """Whether a worker has this process's version of a task; without a version, the application itself has the task."""
    return announced is None or announced == origin.release
