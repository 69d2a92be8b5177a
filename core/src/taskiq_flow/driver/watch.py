"""The workers of a pool, as far as its driver knows them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from taskiq_flow.driver.surroundings import Surroundings
from taskiq_flow.messages.envelope import address_of
from taskiq_flow.scheduler import WorkerView
from taskiq_flow.store import RunStore, WorkerInfo

__all__ = ["WorkerWatch"]

_SECONDS_BETWEEN_LOOKS = 1.0
# A worker that comes back after a long pause may claim before it is heard of again.
_SECONDS_UNKNOWN = 20.0
# A worker that was lost may come back, so what it could hold is remembered.
_MOST_SIZES = 100


class WorkerWatch:
    """Looks at the store's table of workers now and then.

    A worker stays in the table until the driver has logged that it was lost: a driver that dies before that leaves
    the news to the next one.

    :param pool: The pool's name.
    :param here: Knows the workers in the driver's own process. They are alive as long as their event loops run, even
        where these are too busy to say so, and lost as soon as these do not.
    :param declared: The workers that the pool was declared with.
    :param embedded: Whether these are all there are, and this process executes what is placed on any of them.

    :ivar infos: The live workers by id.
    :ivar views: The workers as schedulers see them.
    :ivar next_look: When it will look again, in seconds since the epoch.
    :ivar gone: The lost workers that are still to be cleaned up after.
    """

    def __init__(
        self,
        pool: str,
        store: RunStore,
        here: Surroundings | None = None,
        *,
        declared: Sequence[WorkerView] = (),
        embedded: bool = False,
    ) -> None:
        self.infos: dict[str, WorkerInfo] = {}
        self._declared = {worker.id: worker for worker in declared}
        self._embedded = embedded
        self._seen: dict[object, WorkerView] = {}
        self.views: Sequence[WorkerView] = self._views(())
        self.gone: list[str] = []
        self._pool = pool
        self._store = store
        self._here = Surroundings() if here is None else here
        self._unknown_since: dict[str, float] = {}
        self._addressed: set[str] = set()
        self.next_look = float("-inf")

    async def find_lost(self, now: float, holders: Iterable[str]) -> Sequence[str]:
        """Give the workers that were not heard of in time.

        :param now: Seconds since the epoch.
        :param holders: The workers that hold attempts. One that is not in the table is lost as well, after a while:
            it has claimed something after it was given up, or its table entry went without a trace.
        """
        self.next_look = now + _SECONDS_BETWEEN_LOOKS
        found = await self._store.workers.list(self._pool)
        here, listed = self._here, {worker.id for worker in found}
        self.infos = {
            worker.id: worker for worker in found if worker.expires_at > now or here.is_here(worker.id)
        }
        self.views = self._views(
            [
                WorkerView(id=worker.id, capacity=worker.capacity, queue=worker.queue)
                for worker in self.infos.values()
            ]
        )
        lost = [worker.id for worker in found if worker.id not in self.infos]
        unknown = [
            worker
            for worker in sorted({*holders} - listed - self._declared.keys())
            if not here.is_here(worker)
        ]
        self._unknown_since = {worker: self._unknown_since.get(worker, now) for worker in unknown}
        lost += [
            worker
            for worker, since in self._unknown_since.items()
            if now - since >= _SECONDS_UNKNOWN or here.is_dead_incarnation(worker)
        ]
        # One that said goodbye leaves no trace but the notices that came too late.
        departed = {worker for worker in self._addressed - listed if not here.is_here(worker)}
        self._addressed -= departed
        self.gone += (worker for worker in [*lost, *sorted(departed)] if worker not in self.gone)
        return lost

    @property
    def known(self) -> Sequence[WorkerView]:
        """All workers that there can be: those declared, and one for each size that was ever seen."""
        return (*self._declared.values(), *self._seen.values())

    def info_of(self, worker: str) -> WorkerInfo | None:
        """Give a worker that cells may be placed on; ``None`` when there is none of that id."""
        declared = self._declared.get(worker)
        if declared is None:
            return self.infos.get(worker)
        return WorkerInfo(id=worker, pool=self._pool, capacity=declared.capacity, queue=declared.queue)

    def place_of(self, placed: str, worker: str) -> str:
        """Give the worker that an attempt's resources are counted for.

        :param placed: The worker that it was placed on.
        :param worker: The worker that has claimed it. Behind a declared worker this is somebody whom schedulers do not
            see; and where workers share a queue, it need not be the one that was meant.
        """
        return worker if worker and worker in self._shown else placed

    def _views(self, live: Sequence[WorkerView]) -> Sequence[WorkerView]:
        if self._embedded:
            views = tuple(self._declared.values())
        else:
            # A declared worker with a queue stands for whoever reads that queue.
            routed = [worker for worker in self._declared.values() if worker.queue]
            queues = {worker.queue for worker in routed}
            others = [
                worker for worker in live if worker.queue not in queues and (worker.queue or not routed)
            ]
            views = (*routed, *others)
            for worker in others:
                if len(self._seen) < _MOST_SIZES:
                    self._seen.setdefault((frozenset(worker.capacity.items()), worker.queue), worker)
        self._shown = {worker.id for worker in views}
        return views

    def lacks(self, task: str, *, here: bool) -> bool:
        """Whether no live worker has a task, so that a message about it would be lost.

        :param here: Whether this process has it, whose own worker is perhaps not heard of yet.
        """
        if not self.infos:
            return not here
        return not any(worker.tasks is None or task in worker.tasks for worker in self.infos.values())

    def write_to(self, worker: str) -> str:
        """Give the address for a notice to a worker, and remember to clear it when the worker is gone."""
        self._addressed.add(worker)
        return address_of(worker)

    async def clean_up_lost(self) -> None:
        """Forget the lost workers, and the notices that they will never read."""
        while self.gone:
            worker = self.gone[0]
            await self._clear(worker)
            await self._store.workers.remove(worker)
            del self.gone[0]

    async def leave(self) -> None:
        """Clear the notices to workers that were lost to the driver that took over; they were written too late."""
        there = {worker.id for worker in await self._store.workers.list(self._pool)}
        for worker in sorted(self._addressed - there):
            if not self._here.is_here(worker):
                await self._clear(worker)

    async def _clear(self, worker: str) -> None:
        address = address_of(worker)
        while taken := await self._store.inbox.take(address):
            await self._store.inbox.acknowledge(address, [token for token, _ in taken])
