"""Made-up pools for checking schedulers, and the rules for their answers."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence

from attrs import frozen

from taskiq_flow.scheduler import Placement, ReadyCell, RunningCell, WorkerView

__all__ = ["Situation", "crowd", "naive_placements", "situations", "violations"]

_CAPACITIES: Sequence[Mapping[str, float]] = (
    {"cpu": 4.0, "ram_mb": 8192.0},
    {"cpu": 2.0, "ram_mb": 4096.0},
    {"cpu": 8.0, "ram_mb": 1024.0, "gpu": 1.0},
    {"cpu": 1.0},
    {},
)
_DEMANDS: Sequence[Mapping[str, float]] = (
    {},
    {"cpu": 1.0},
    {"cpu": 0.5, "ram_mb": 512.0},
    {"cpu": 2.0, "ram_mb": 3072.0},
    {"cpu": 4.0},
    {"cpu": 1.0, "gpu": 1.0},
)
# Sums of halves and quarters are exact, and other fractions are off by less.
_TOLERANCE = 1e-9


@frozen(kw_only=True)
class Situation:
    """The arguments of one question to a scheduler."""

    ready: tuple[ReadyCell, ...]
    workers: tuple[WorkerView, ...]
    running: tuple[RunningCell, ...]


def situations(count: int, *, feasible: bool = False) -> Iterator[Situation]:
    """Yield made-up situations, the same ones each time.

    :param count: The number of situations.
    :param feasible: Whether there are workers, all cells fit some of them, and nothing runs.
    """
    for seed in range(count):
        choice = random.Random(seed)
        workers = tuple(
            WorkerView(id=f"w{number}", capacity=dict(choice.choice(_CAPACITIES)))
            for number in range(choice.randint(1 if feasible else 0, 4))
        )
        ready = [_ready(choice, number) for number in range(choice.randint(1, 24))]
        ready.sort(key=_queue_order)
        if feasible:
            ready = [
                cell for cell in ready if any(fits(cell.resources, worker.capacity) for worker in workers)
            ]
            yield Situation(ready=tuple(ready), workers=workers, running=())
        else:
            yield Situation(ready=tuple(ready), workers=workers, running=tuple(_running(choice, workers)))


def crowd(ready: int, workers: int) -> Situation:
    """Return a large situation: a full lookahead, and a pool of mixed workers that are half busy."""
    choice = random.Random(7)
    pool = tuple(
        WorkerView(id=f"w{number:03d}", capacity=dict(choice.choice(_CAPACITIES[:-1])))
        for number in range(workers)
    )
    cells = sorted((_ready(choice, number) for number in range(ready)), key=_queue_order)
    return Situation(ready=tuple(cells), workers=pool, running=tuple(_running(choice, pool)))


def naive_placements(situation: Situation) -> list[Placement]:
    """Place each cell on the first worker with enough free capacity: the plainest way, for comparison."""
    used = {
        worker.id: [each.resources for each in situation.running if each.worker == worker.id]
        for worker in situation.workers
    }
    totals = {name: _total(amounts) for name, amounts in used.items()}
    placed = []
    for cell in situation.ready:
        for worker in situation.workers:
            if fits(total := _total([totals[worker.id], cell.resources]), worker.capacity):
                totals[worker.id] = total
                placed.append(Placement(run=cell.run, path=cell.path, worker=worker.id))
                break
    return placed


def _queue_order(cell: ReadyCell) -> tuple[int, int]:
    """Return the sort key of the ready queue: higher priority first, then deeper in maps, then older."""
    return -cell.priority, -cell.depth


def fits(demand: Mapping[str, float], capacity: Mapping[str, float]) -> bool:
    """Whether a demand fits into a capacity; an empty capacity is unbounded."""
    return not capacity or all(
        amount <= capacity.get(name, 0.0) + _TOLERANCE for name, amount in demand.items()
    )


def violations(
    placements: Sequence[Placement] | None, situation: Situation, reads_resources: bool
) -> list[str]:
    """Return a sentence for each rule that an answer breaks.

    :param placements: The answer.
    :param situation: The question.
    :param reads_resources: Whether the answer must respect capacity.
    """
    ready = {(cell.run, cell.path): cell for cell in situation.ready}
    workers = {worker.id for worker in situation.workers}
    chosen: list[tuple[ReadyCell, Placement]] = []
    broken: list[str] = []
    seen: set[tuple[str, str]] = set()
    for placement in placements or ():
        key = (placement.run, placement.path)
        if key not in ready:
            broken.append(f"{key} was not ready")
        elif key in seen:
            broken.append(f"{key} is placed twice")
        elif placement.worker and placement.worker not in workers:
            broken.append(f"{key} is placed on the worker {placement.worker!r}, which is not there")
        else:
            chosen.append((ready[key], placement))
        seen.add(key)
    if reads_resources:
        broken += _find_overbooked(chosen, situation)
    return broken


def _find_overbooked(chosen: Sequence[tuple[ReadyCell, Placement]], situation: Situation) -> Iterator[str]:
    for worker in situation.workers:
        mine = [cell.resources for cell, placement in chosen if placement.worker == worker.id]
        used = [cell.resources for cell in situation.running if cell.worker == worker.id]
        if mine and not fits(total := _total([*mine, *used]), worker.capacity):
            yield f"the worker {worker.id!r} would have to carry {total} with {dict(worker.capacity)}"
    anywhere = [cell.resources for cell, placement in chosen if not placement.worker]
    bounded = bool(situation.workers) and all(worker.capacity for worker in situation.workers)
    if anywhere and bounded:
        placed = [cell.resources for cell, placement in chosen if placement.worker]
        total = _total([*anywhere, *placed, *(cell.resources for cell in situation.running)])
        capacity = _total([worker.capacity for worker in situation.workers])
        if not fits(total, capacity):
            yield f"the pool would have to carry {total} with {capacity}"


def _total(amounts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    total: dict[str, float] = {}
    for each in amounts:
        for name, amount in each.items():
            total[name] = total.get(name, 0.0) + amount
    return total


def _ready(choice: random.Random, number: int) -> ReadyCell:
    return ReadyCell(
        # Two runs of one pipeline: the same paths in both.
        run=f"run{1 + number % 2}",
        path=f"items[{number // 2}]/work",
        node="work",
        task=choice.choice(("load", "train")),
        attempt=choice.randint(1, 3),
        resources=dict(choice.choice(_DEMANDS)),
        priority=choice.choice((0, 0, 0, 5, -5)),
        queue=choice.choice(("", "", "slow")),
        labels=choice.choice(({"tenant": "a"}, {"tenant": "b"}, {})),
        ready_at=float(number),
        rank=float(choice.randint(0, 5)),
        depth=choice.choice((0, 0, 1)),
    )


def _running(choice: random.Random, workers: Sequence[WorkerView]) -> Iterator[RunningCell]:
    paths = (f"items[{number}]/work" for number in itertools.count())
    for worker in workers:
        used: list[Mapping[str, float]] = []
        for _ in range(choice.randint(0, 3)):
            demand = dict(choice.choice(_DEMANDS))
            if fits(_total([*used, demand]), worker.capacity):
                used.append(demand)
                yield RunningCell(
                    run="earlier",
                    path=next(paths),
                    task="load",
                    worker=worker.id,
                    resources=demand,
                )
    if choice.random() < 0.2:
        # Left over from a lost worker, whose attempt was given up but may still run.
        yield RunningCell(run="earlier", path="gone", task="load", worker="gone", resources={"cpu": 1.0})
