"""The kits: our own implementations pass them, and known-bad ones do not."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import pytest

from fake_distributions import alone  # noqa: F401 - a fixture
from taskiq_flow.discoverer import Discoverer
from taskiq_flow.discoverers.entry_points import EntryPointDiscoverer
from taskiq_flow.retries.none import NoRetry
from taskiq_flow.retry import RetryPolicy
from taskiq_flow.scheduler import Placement, Scheduler
from taskiq_flow.schedulers.fifo import FifoScheduler
from taskiq_flow.serializer import Serializer
from taskiq_flow.serializers.json import JsonSerializer
from taskiq_flow.testing import (
    DiscovererKit,
    RetryPolicyKit,
    SchedulerKit,
    SerializerKit,
    check_discoverer,
    check_retry_policy,
    check_scheduler,
    check_serializer,
)


class FirstFit(Scheduler):
    """A good one that reads resources: strictly in order, each cell on the first worker with room."""

    name: ClassVar[str] = "first-fit"

    def place(self, ready: Any, workers: Any, running: Any) -> Iterable[Placement] | None:
        used: dict[str, dict[str, float]] = {worker.id: {} for worker in workers}
        for cell in running:
            if cell.worker in used:
                self.add(used[cell.worker], cell.resources)
        placements = []
        for cell in ready:
            possible = [w for w in workers if self.fits(cell.resources, {}, w.capacity)]
            found = next((w for w in possible if self.fits(cell.resources, used[w.id], w.capacity)), None)
            if found is not None:
                self.add(used[found.id], cell.resources)
                placements.append(Placement(run=cell.run, path=cell.path, worker=found.id))
            elif possible and not self.overtakes:
                # What could be placed later is not overtaken.
                break
        return placements

    overtakes: ClassVar[bool] = False

    @staticmethod
    def add(used: dict[str, float], resources: Mapping[str, float]) -> None:
        for name, amount in resources.items():
            used[name] = used.get(name, 0.0) + amount

    @staticmethod
    def fits(
        resources: Mapping[str, float], used: Mapping[str, float], capacity: Mapping[str, float]
    ) -> bool:
        return not capacity or all(
            amount + used.get(name, 0.0) <= capacity.get(name, 0.0) for name, amount in resources.items()
        )


class TestFifo(SchedulerKit):
    def make(self) -> Scheduler:
        return FifoScheduler()


class TestFirstFit(SchedulerKit):
    def make(self) -> Scheduler:
        return FirstFit()


class TestJson(SerializerKit):
    def make(self) -> Serializer:
        return JsonSerializer()


class TestNoRetry(RetryPolicyKit):
    def make(self) -> RetryPolicy:
        return NoRetry()


class TestEntryPoints(DiscovererKit):
    def make(self) -> Discoverer:
        return EntryPointDiscoverer()


def test_the_functions_check_the_same() -> None:
    check_scheduler(FifoScheduler())
    check_scheduler(FirstFit())
    check_serializer(JsonSerializer())
    check_retry_policy(NoRetry())
    check_discoverer(EntryPointDiscoverer())


def test_a_check_of_a_kit_cannot_be_overridden() -> None:
    with pytest.raises(TypeError, match="Lenient overrides test_rules; the tests of a kit are the contract"):

        class Lenient(SchedulerKit):
            def test_rules(self) -> None: ...


# Known-bad schedulers


class Answering(Scheduler):
    name: ClassVar[str] = "answering"

    def __init__(self, answer: Callable[..., Any]) -> None:
        self.answer = answer

    def place(self, ready: Any, workers: Any, running: Any) -> Any:
        return self.answer(ready, workers, running)


def everything(ready: Sequence[Any], **where: str) -> list[Placement]:
    return [Placement(run=cell.run, path=cell.path, **where) for cell in ready]


async def coroutine(*arguments: Any) -> None: ...


class Overtaking(FirstFit):
    overtakes = True


class Nameless(FifoScheduler):
    name: ClassVar[str] = ""


class Forgetful(FirstFit):
    """Does not count what is running."""

    def place(self, ready: Any, workers: Any, running: Any) -> Any:
        return super().place(ready, workers, ())


class Counting(FifoScheduler):
    """Keeps a count of its own, so that it leaks."""

    def __init__(self) -> None:
        super().__init__()
        self.left = 500

    def place(self, ready: Any, workers: Any, running: Any) -> Any:
        placements = everything(ready)[: max(0, self.left)]
        self.left -= len(placements)
        return placements


class Writing(FifoScheduler):
    """Writes on what it is shown."""

    def place(self, ready: Any, workers: Any, running: Any) -> Any:
        for cell in ready:
            cell.resources["seen"] = 1.0
        return super().place(ready, workers, running)


def randomly(ready: Any, workers: Any, running: Any) -> Any:
    return [placement for placement in everything(ready) if random.random() < 0.5]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (Nameless(), "the name must be a text that is not empty, found ''"),
        (Answering(coroutine), "found a coroutine"),
        (Answering(lambda ready, *_: 5), "must give placements or None, found 5"),
        (Answering(lambda ready, *_: [cell.path for cell in ready]), "must give objects of Placement"),
        (Answering(lambda *_: [Placement(run="r", path="made up")]), "nothing was ready, and it placed"),
        (
            Answering(lambda ready, *_: [Placement(run="r", path="x") for _ in ready]),
            "('r', 'x') was not ready",
        ),
        (Answering(lambda ready, *_: everything(ready) * 2), "is placed twice"),
        (Answering(lambda ready, *_: everything(ready, worker="w9")), "the worker 'w9', which is not there"),
        (Answering(lambda ready, *_: everything(ready)), "the pool would have to carry"),
        (
            Answering(lambda ready, workers, _: everything(ready, worker=workers[0].id) if workers else []),
            "the worker 'w0' would have to carry",
        ),
        (Forgetful(), "would have to carry"),
        (Writing(), "it changed what it was shown"),
        (Counting(), "it answered the same question with"),
        (Answering(randomly), "it answered the same question with"),
        (Answering(lambda *_: []), "nothing runs, and it leaves cells waiting that fit"),
        (Overtaking(), "was passed over 400 times by later, smaller ones"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_a_bad_scheduler_is_caught(bad: Scheduler, said: str) -> None:
    with pytest.raises(AssertionError) as caught:
        check_scheduler(bad)
    assert said in str(caught.value)


def test_a_scheduler_may_declare_that_large_cells_starve() -> None:
    check_scheduler(Overtaking(), may_starve=True)
