"""The workers of a pool, as far as its driver knows them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from taskiq_flow.driver.surroundings import Surroundings
from taskiq_flow.messages.envelope import address_of
from taskiq_flow.scheduler import WorkerView
from taskiq_flow.store import RunStore, WorkerInfo

__all__ = ["WorkerWatch"]

_SECONDS_BETWEEN_LOOKS = 1.0
# A worker that comes back after a long pause may claim an attempt before it announces itself again.
_SECONDS_UNKNOWN = 20.0
# A lost worker may come back, so its capacity is remembered.
_MOST_SIZES = 100


class WorkerWatch:
    """Looks at the store's worker table now and then.

    A worker stays in the table until the driver has logged that it was lost: if the driver dies before that, the next
    one finds it there.

    :param pool: The pool's name.
    :param here: The driver's process and event loop. Workers of this process are alive exactly as long as their event
        loops run, even if these are too busy for a heartbeat.
    :param declared: The workers that the pool was declared with.
    :param embedded: Whether there are no others, and this process executes the cells of all of them.

    :ivar infos: The live workers by id.
    :ivar views: The workers as schedulers see them.
    :ivar next_look: When it will look again, in seconds since the epoch.
    :ivar shrunk: Whether a worker is not there any more that was there at the look before.
    :ivar gone: Workers that are gone, and whose notices are still to be cleared.
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
        self.shrunk = False
        self.gone: list[str] = []
        self._pool = pool
        self._store = store
        self._here = Surroundings() if here is None else here
        self._unknown_since: dict[str, float] = {}
        self._addressed: set[str] = set()
        self.next_look = float("-inf")
        self._excused_until = float("-inf")

    async def find_lost(self, now: float, holders: Iterable[str]) -> Sequence[str]:
        """Return the workers that were not heard of in time.

        :param now: Seconds since the epoch.
        :param holders: The workers that hold attempts. One that is not in the table is lost as well, after a while:
            it has claimed an attempt after it was given up, or its entry has vanished.
        """
        self.next_look = now + _SECONDS_BETWEEN_LOOKS
        found = await self._store.workers.list(self._pool)
        here, listed, before = self._here, {worker.id for worker in found}, self.infos
        self.infos = {
            worker.id: worker
            for worker in found
            if worker.expires_at > now
            or here.is_here(worker.id)
            or (now < self._excused_until and worker.id in before)
        }
        self.shrunk = not before.keys() <= self.infos.keys()
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
        # A worker that has left in good order leaves only notices that came too late.
        departed = {worker for worker in self._addressed - listed if not here.is_here(worker)}
        self._addressed -= departed
        self.gone += (worker for worker in [*lost, *sorted(departed)] if worker not in self.gone)
        return lost

    def move(self, seconds: float, now: float) -> None:
        """Move what it waits for, as the clock was set; no worker is lost until all have announced themselves anew.

        :param now: Seconds since the epoch.
        """
        self.next_look += seconds
        self._unknown_since = {worker: since + seconds for worker, since in self._unknown_since.items()}
        self._excused_until = now + _SECONDS_UNKNOWN

    @property
    def known(self) -> Sequence[WorkerView]:
        """All possible workers: the declared ones, and one for each capacity that was ever seen."""
        return (*self._declared.values(), *self._seen.values())

    def info_of(self, worker: str) -> WorkerInfo | None:
        """Return a worker that cells may be placed on; ``None`` when there is none of that id."""
        declared = self._declared.get(worker)
        if declared is None:
            return self.infos.get(worker)
        return WorkerInfo(id=worker, pool=self._pool, capacity=declared.capacity, queue=declared.queue)

    def place_of(self, placed: str, worker: str) -> str:
        """Return the worker that an attempt's resources are counted for.

        :param placed: The worker that it was placed on.
        :param worker: The worker that has claimed it. Schedulers do not see the live worker behind a declared one; and
            where workers share a queue, another one may have claimed it.
        """
        return worker if worker and worker in self._visible else placed

    def _views(self, live: Sequence[WorkerView]) -> Sequence[WorkerView]:
        if self._embedded:
            views = tuple(self._declared.values())
        else:
            # A declared worker with a queue stands for the live workers that read that queue.
            routed = [worker for worker in self._declared.values() if worker.queue]
            queues = {worker.queue for worker in routed}
            others = [
                worker for worker in live if worker.queue not in queues and (worker.queue or not routed)
            ]
            views = (*routed, *others)
            for worker in others:
                if len(self._seen) < _MOST_SIZES:
                    self._seen.setdefault((frozenset(worker.capacity.items()), worker.queue), worker)
        self._visible = {worker.id for worker in views}
        return views

    def lacks(self, task: str, *, here: bool) -> bool:
        """Whether no live worker has a task, so that a message about it would be lost.

        :param here: Whether this process has the task; its own worker may not be announced yet.
        """
        if not self.infos:
            return not here
        return not any(worker.tasks is None or task in worker.tasks for worker in self.infos.values())

    def write_to(self, worker: str) -> str:
        """Return the address for a notice to a worker, whose inbox is then cleared when the worker is gone."""
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
        """Clear notices to workers that are gone: the driver that took over may have cleared their inboxes before."""
        listed = {worker.id for worker in await self._store.workers.list(self._pool)}
        for worker in sorted(self._addressed - listed):
            if not self._here.is_here(worker):
                await self._clear(worker)

    async def _clear(self, worker: str) -> None:
        address = address_of(worker)
        while taken := await self._store.inbox.take(address):
            await self._store.inbox.acknowledge(address, [token for token, _ in taken])
