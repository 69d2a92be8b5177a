"""The workers of a pool, as far as its driver knows them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from taskiq_flow.envelope import address_of
from taskiq_flow.scheduler import WorkerView
from taskiq_flow.store import RunStore, WorkerInfo

__all__ = ["WorkerWatch"]

_SECONDS_BETWEEN_LOOKS = 1.0
# A worker that comes back after a long pause may claim before it is heard of again.
_SECONDS_UNKNOWN = 20.0


class WorkerWatch:
    """Looks at the store's table of workers now and then.

    A worker stays in the table until the driver has logged that it was lost: a driver that dies before that leaves
    the news to the next one.

    :param pool: The pool's name.
    :param own: The worker in the driver's own process. It is alive as long as the driver is, even where a busy event
        loop has kept it from saying so.

    :ivar infos: The live workers by id.
    :ivar views: The same as schedulers see them.
    :ivar next_look: When it will look again, in seconds since the epoch.
    :ivar gone: The lost workers that are still to be buried.
    """

    def __init__(self, pool: str, store: RunStore, own: str) -> None:
        self.infos: dict[str, WorkerInfo] = {}
        self.views: Sequence[WorkerView] = ()
        self.gone: list[str] = []
        self._pool = pool
        self._store = store
        self._own = own
        self._unknown_since: dict[str, float] = {}
        self._addressed: set[str] = set()
        self.next_look = float("-inf")

    async def lost(self, now: float, holders: Iterable[str]) -> Sequence[str]:
        """Give the workers that were not heard of in time.

        :param now: Seconds since the epoch.
        :param holders: The workers that hold attempts. One that is not in the table is lost as well, after a while:
            it has claimed something after it was given up, or its table entry went without a trace.
        """
        self.next_look = now + _SECONDS_BETWEEN_LOOKS
        found = await self._store.workers.list(self._pool)
        self.infos = {
            worker.id: worker for worker in found if worker.expires_at > now or worker.id == self._own
        }
        self.views = tuple(
            WorkerView(id=worker.id, capacity=worker.capacity, queue=worker.queue)
            for worker in self.infos.values()
        )
        lost = [worker.id for worker in found if worker.id not in self.infos]
        unknown = {*holders} - {worker.id for worker in found} - {self._own}
        self._unknown_since = {worker: self._unknown_since.get(worker, now) for worker in sorted(unknown)}
        lost += [worker for worker, since in self._unknown_since.items() if now - since >= _SECONDS_UNKNOWN]
        # One that said goodbye leaves no trace but the letters that came too late.
        departed = self._addressed - {worker.id for worker in found} - {self._own}
        self._addressed -= departed
        self.gone += (worker for worker in [*lost, *sorted(departed)] if worker not in self.gone)
        return lost

    def write_to(self, worker: str) -> str:
        """Give the address for a letter to a worker, and remember to clear it when the worker is gone."""
        self._addressed.add(worker)
        return address_of(worker)

    async def bury(self) -> None:
        """Forget the lost workers, and the letters that they will never read."""
        while self.gone:
            worker = self.gone[0]
            await self._clear(worker)
            await self._store.workers.remove(worker)
            del self.gone[0]

    async def leave(self) -> None:
        """Clear the letters to workers that were buried by the driver that took over; they were written too late."""
        there = {worker.id for worker in await self._store.workers.list(self._pool)}
        for worker in sorted(self._addressed - there - {self._own}):
            await self._clear(worker)

    async def _clear(self, worker: str) -> None:
        address = address_of(worker)
        while taken := await self._store.inbox.take(address):
            await self._store.inbox.acknowledge(address, [token for token, _ in taken])
