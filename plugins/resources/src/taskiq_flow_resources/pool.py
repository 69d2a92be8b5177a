"""Pools with the capacity of their workers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from attrs import frozen

from taskiq_flow.errors import PluginError
from taskiq_flow.pools import WorkerPool, amounts, is_amount
from taskiq_flow.scheduler import WorkerView

__all__ = ["ResourceAwareWorkerPool"]

_KEYS = ("cpu_cores", "ram_gb", "queue", "name")
# Names that people write by mistake; as resources of their own they would match no task's demand.
_MEANT = {
    "cpu": "cpu_cores",
    "cpus": "cpu_cores",
    "cores": "cpu_cores",
    "cpu_units": "cpu_cores",
    "ram": "ram_gb",
    "ram_mb": "ram_gb",
    "memory": "ram_gb",
    "memory_gb": "ram_gb",
    "memory_mb": "ram_gb",
    "mem_gb": "ram_gb",
    "queue_name": "queue",
    "id": "name",
}


@frozen(kw_only=True, init=False)
class ResourceAwareWorkerPool(WorkerPool):
    """A pool of workers with capacities; a cell goes only to a worker with enough free capacity for its task.

    ::

        pool = ResourceAwareWorkerPool(
            workers=[
                {"cpu_cores": 4, "ram_gb": 8, "gpu": 1},
                {"cpu_cores": 2, "ram_gb": 4},
            ],
            limits={"db": 5},
        )
        flow = Flow(broker, pool=pool)

    :param workers: For each worker ``cpu_cores``; ``ram_gb``, 0 by default; ``queue``, the broker's queue that it
        reads; ``name``, by default ``worker-1`` and so on; and amounts of other resources by name, such as ``gpu``.
    :param limits: The amounts, by name, that all runs of the pool together may occupy at once.
    :param name: The pool's name.
    :param scheduler: The name of the scheduler, unless the configuration selects one.
    :raises PluginError: arguments are invalid; all problems are listed.
    """

    def __init__(
        self,
        workers: Iterable[Mapping[str, Any]] = (),
        *,
        limits: Mapping[str, float] | None = None,
        name: str = "default",
        scheduler: str = "best-fit",
    ) -> None:
        if isinstance(workers, (str, Mapping)) or not isinstance(workers, Iterable):
            raise PluginError(
                "workers is a list with a mapping for each worker, such as "
                f"[{{'cpu_cores': 4, 'ram_gb': 8}}], found {workers!r}"
            )
        problems: list[str] = []
        views = [_view(number, worker, problems) for number, worker in enumerate(workers, start=1)]
        if problems:
            raise PluginError("\n".join(problems))
        self.__attrs_init__(
            name=name,
            workers=tuple(views),
            limits=amounts("limits", {} if limits is None else limits),
            scheduler=scheduler,
        )


def _view(number: int, worker: object, problems: list[str]) -> WorkerView:
    usual = f"worker-{number}"
    if not isinstance(worker, Mapping):
        problems.append(
            f"worker {number} is {worker!r}; give a mapping such as {{'cpu_cores': 4, 'ram_gb': 8}}"
        )
        return WorkerView(id=usual)
    named = worker.get("name", usual)
    problems.extend(
        f"worker {number}{f' ({named!r})' if named != usual else ''}: {each}" for each in _problems(worker)
    )
    capacity: dict[str, float] = {}
    for key, amount in worker.items():
        if not is_amount(amount):
            continue
        if key == "cpu_cores":
            capacity["cpu"] = amount
        elif key == "ram_gb":
            capacity["ram_mb"] = amount * 1024
        elif key not in ("queue", "name"):
            capacity[key] = amount
    return WorkerView(id=str(named), capacity=capacity, queue=str(worker.get("queue") or ""))


def _problems(worker: Mapping[Any, Any]) -> Iterator[str]:
    if "cpu_cores" not in worker and not any(
        isinstance(key, str) and _suggest(key) == "cpu_cores" for key in worker
    ):
        yield "cpu_cores is missing; say how many cores it has"
    for key, value in worker.items():
        if not isinstance(key, str) or not key:
            yield f"{key!r} is no name of a resource"
        elif key in ("queue", "name"):
            if not isinstance(value, str) or not value:
                yield f"{key} is {value!r}; give a name, or leave it out"
        elif key not in _KEYS and (meant := _suggest(key)):
            yield f"{key!r} is not known (did you mean {meant!r}?)"
        elif not is_amount(value) or (key == "cpu_cores" and value == 0):
            yield f"{key} is {value!r}; give a number, {'above 0' if key == 'cpu_cores' else '0 or more'}"


def _suggest(key: str) -> str | None:
    plain = key.lower().replace("-", "_")
    if plain in _KEYS:
        return plain
    # A similar name may be another resource, such as vram_gb; a typing error usually keeps the first letter.
    close = [each for each in get_close_matches(plain, _KEYS, n=3, cutoff=0.8) if each[0] == plain[0]]
    return _MEANT.get(plain) or (close[0] if close else None)
