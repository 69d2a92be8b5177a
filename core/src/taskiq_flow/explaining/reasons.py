"""Reasons for waiting, as text: pure functions over the views of schedulers and the states of machines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from taskiq_flow.graph.model import Node, Output
from taskiq_flow.graph.order import find_before, leaves, sources
from taskiq_flow.machine.scope import Cell, Scope
from taskiq_flow.machine.transitions import CellState
from taskiq_flow.pools import FreeCapacity, fits, shortage, total_of
from taskiq_flow.scheduler import ReadyCell, RunningCell, WorkerView

__all__ = ["limit_reason", "missing_inputs", "room_holders", "room_reason", "waiting_items"]

_MOST_NAMED = 5


def limit_reason(
    cell: ReadyCell, limits: Mapping[str, float], running: Sequence[RunningCell]
) -> tuple[str, tuple[RunningCell, ...]]:
    """Name the limit of the pool that a cell exceeds, and the cells that hold it; empty when all have room.

    :param limits: The pool's limits.
    :param running: The cells that occupy capacity.
    """
    used = total_of(each.limits for each in running if each.limits)
    for name, amount in cell.limits.items():
        taken = used.get(name, 0.0)
        if amount and not fits({name: amount + taken}, limits):
            asks = "" if amount == 1 else f", and it takes {amount:.12g}"
            reason = f"limit {name!r} is reached: {taken:.12g} of {limits.get(name, 0.0):.12g} in use{asks}"
            return reason, tuple(each for each in running if each.limits.get(name))
    return "", ()


def room_reason(cell: ReadyCell, workers: Sequence[WorkerView], running: Sequence[RunningCell]) -> str:
    """Name the resource of which the workers have too little for a cell.

    :param workers: The pool's live workers.
    :param running: The cells that occupy capacity.
    """
    if not workers:
        return "no worker of the pool is known"
    never = shortage(cell.resources, cell.queue, workers)
    if never:
        return f"it {never}"
    free_capacity = FreeCapacity(workers, running)
    there = next((worker.id for worker in workers if free_capacity.fits_now(cell, worker)), None)
    if there is not None:
        return (
            f"there is room for it on worker {there!r}, unless a cell that is ahead of it has that reserved"
        )
    worker, lacking = _nearest(cell, free_capacity)
    free = free_capacity.free[worker.id] or {}
    name = lacking[0]
    among = f"worker {worker.id!r}" if len(workers) == 1 else f"the nearest to that, {worker.id!r},"
    return (
        f"it needs {cell.resources[name]:.12g} of {name!r}, and {among} has {max(0.0, free.get(name, 0.0)):.12g} "
        f"of {worker.capacity.get(name, 0.0):.12g} free"
    )


def room_holders(
    cell: ReadyCell, workers: Sequence[WorkerView], running: Sequence[RunningCell]
) -> tuple[RunningCell, ...]:
    """Return the cells that occupy the resources a cell lacks, on all workers that could hold it; none if it fits.

    :param workers: The pool's live workers.
    :param running: The cells that occupy capacity.
    """
    free_capacity = FreeCapacity(workers, running)
    lacking = {
        worker.id: _lacking(cell, free_capacity, worker)
        for worker in workers
        if free_capacity.fits_when_empty(cell, worker)
    }
    if not all(lacking.values()):
        return ()
    return tuple(
        each for each in running if any(each.resources.get(name) for name in lacking.get(each.worker, ()))
    )


def _lacking(cell: ReadyCell, free_capacity: FreeCapacity, worker: WorkerView) -> list[str]:
    free = free_capacity.free[worker.id]
    if free is None:
        return []
    return [name for name, amount in cell.resources.items() if not fits({name: amount}, free)]


def _nearest(cell: ReadyCell, free_capacity: FreeCapacity) -> tuple[WorkerView, list[str]]:
    """Return the worker that lacks the fewest resources, and of the first one the smallest part."""

    def distance(found: tuple[WorkerView, list[str]]) -> tuple[int, float, str]:
        worker, lacking = found
        free = (free_capacity.free[worker.id] or {}).get(lacking[0], 0.0)
        return len(lacking), (cell.resources[lacking[0]] - free) / cell.resources[lacking[0]], worker.id

    could = [worker for worker in free_capacity.workers if free_capacity.fits_when_empty(cell, worker)]
    return min(((worker, _lacking(cell, free_capacity, worker)) for worker in could), key=distance)


def missing_inputs(node: Node, scope: Scope, active: Mapping[str, Cell]) -> str:
    """List the nodes that a pending cell waits for, with their outputs and their states.

    :param node: Its node.
    :param scope: Its scope.
    :param active: The cells that are neither pending nor final, by path.
    """
    before = find_before(scope.plan.graph, node.name)
    wanted: dict[str, dict[str, None]] = {name: {} for name in sorted(before)}
    for source in sources(node):
        for leaf in leaves(source):
            if isinstance(leaf, Output):
                wanted[leaf.node][leaf.name] = None
    parts = []
    for name, outputs in wanted.items():
        cell = active.get(scope.prefix + name)
        state = CellState(scope.states[scope.plan.index[name]]) if cell is None else cell.state
        if not state.final:
            given = ", ".join(map(repr, outputs))
            parts.append(f"{given} of {name!r} ({state.word})" if given else f"{name!r} ({state.word})")
    more = f" and {len(parts) - _MOST_NAMED} more" if len(parts) > _MOST_NAMED else ""
    return f"waits for {', '.join(parts[:_MOST_NAMED])}{more}" if parts else "is about to be ready"


def waiting_items(cells: Sequence[Cell]) -> Iterator[tuple[Cell, str]]:
    """Yield the maps with items that are not open yet, each with the reason.

    :param cells: The cells that are neither pending nor final.
    """
    maps = [cell for cell in cells if cell.items is not None]
    opened = sum(len(cell.items.open) for cell in maps if cell.items is not None)
    for cell in maps:
        items = cell.items
        assert items is not None
        left = items.count - items.next
        if left <= 0:
            continue
        if items.limit is not None:
            why = f"max_parallel is {items.limit}"
        else:
            why = f"{opened} items of maps are open, which is the flow's window"
        yield cell, f"{left} of {items.count} items are not begun: {why}"
