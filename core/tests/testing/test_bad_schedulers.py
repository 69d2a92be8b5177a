"""Known-bad schedulers, each caught by the kit."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import pytest

from good_scheduler import FirstFit
from taskiq_flow.scheduler import Placement, Scheduler
from taskiq_flow.schedulers.fifo import FifoScheduler
from taskiq_flow.testing import check_scheduler
from taskiq_flow.testing.schedulers import check_construction, check_promptness


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


class Sorting(FifoScheduler):
    """Sorts what it is shown in place."""

    def place(self, ready: Any, workers: Any, running: Any) -> Any:
        ready.sort(key=lambda cell: cell.ready_at)
        return super().place(ready, workers, running)


class Remembering(FirstFit):
    """Places nothing that it has placed before, and forgets that an attempt may come again."""

    def __init__(self) -> None:
        self.placed: set[Any] = set()

    def place(self, ready: Any, workers: Any, running: Any) -> Any:
        new = [cell for cell in ready if (cell.run, cell.path) not in self.placed]
        placements = list(super().place(new, workers, running) or ())
        self.placed.update((each.run, each.path) for each in placements)
        return placements


class LooksAtIdentity(FirstFit):
    """Goes by the objects that it was shown, as a cache by id() would."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def place(self, ready: Any, workers: Any, running: Any) -> Any:
        known = any(ready is each for each in self.seen)
        self.seen.append(ready)
        return super().place(ready, workers, running) if known or len(self.seen) % 2 else []


class Speechless(FifoScheduler):
    def explain(self, cell: Any, workers: Any, running: Any) -> Any:
        return None


class Embarrassed(FifoScheduler):
    def explain(self, cell: Any, workers: Any, running: Any) -> str:
        return f"{workers[0].id} is too small"


class Marking(FifoScheduler):
    """Writes on the cell that it explains."""

    def explain(self, cell: Any, workers: Any, running: Any) -> str:
        cell.resources["asked"] = 1.0
        return "it has been asked about"


class Unbounded(FifoScheduler):
    lookahead: ClassVar[int] = 0


class Vague(FifoScheduler):
    uses_rank: ClassVar[Any] = "sometimes"


class ForgetsResources(FirstFit):
    """Adds up cores and forgets everything else."""

    @staticmethod
    def fits(resources: Any, used: Any, capacity: Any) -> bool:
        return not capacity or resources.get("cpu", 0.0) + used.get("cpu", 0.0) <= capacity.get("cpu", 0.0)


class LooksAtTheSum(FirstFit):
    """Compares with what the pool has in total."""

    def place(self, ready: Any, workers: Any, running: Any) -> Any:
        room = sum(worker.capacity.get("cpu", 99.0) for worker in workers)
        placements = []
        for cell in ready:
            room -= cell.resources.get("cpu", 0.0)
            if room >= 0 and workers:
                placements.append(Placement(run=cell.run, path=cell.path, worker=workers[-1].id))
        return placements


class Unlabelled(FirstFit):
    def lane_of(self, cell: Any) -> Any:
        return cell.labels["project"]


class Numbered(FirstFit):
    def lane_of(self, cell: Any) -> Any:
        return cell.priority


class Shuffling(FirstFit):
    def lane_of(self, cell: Any) -> str:
        return str(id(cell))


class ByPathAlone(FirstFit):
    """Forgets that two runs of one pipeline have the same paths."""

    def place(self, ready: Any, workers: Any, running: Any) -> Any:
        by_path = {cell.path: cell for cell in ready}
        return super().place([by_path[cell.path] for cell in ready], workers, running)


class ByTenant(FirstFit):
    """Counts on a label that not every run has."""

    overtakes = True

    def place(self, ready: Any, workers: Any, running: Any) -> Any:
        return super().place(sorted(ready, key=lambda cell: cell.labels["tenant"]), workers, running)


class StrictlyInOrder(FirstFit):
    """Waits for the first cell, also where no worker could ever take it."""

    def place(self, ready: Any, workers: Any, running: Any) -> Any:
        placements = list(super().place(ready, workers, running) or ())
        placed = {(each.run, each.path) for each in placements}
        kept = list(itertools.takewhile(lambda cell: (cell.run, cell.path) in placed, ready))
        return placements[: len(kept)]


def promising(ready: Any, workers: Any, running: Any) -> Iterator[Placement]:
    yield from everything(ready)[:1]
    raise KeyError("half way")


class Picky(FirstFit):
    """Never takes a cell that has been tried before."""

    def place(self, ready: Any, workers: Any, running: Any) -> Any:
        return super().place([cell for cell in ready if cell.attempt == 1], workers, running)


def randomly(ready: Any, workers: Any, running: Any) -> Any:
    return [placement for placement in everything(ready) if random.random() < 0.5]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (Nameless(), "the name must be a text that is not empty, without spaces around it, found ''"),
        (Unbounded(), "lookahead must be a positive number, found 0"),
        (Vague(), "uses_rank must be True or False, found 'sometimes'"),
        (Answering(coroutine), "found a coroutine"),
        (Answering(lambda ready, *_: ready[99]), "place() must not raise, found IndexError"),
        (Answering(promising), "place() must not raise, found KeyError: 'half way'"),
        (Sorting(), "place() must not raise, found AttributeError: 'tuple' object has no attribute 'sort'"),
        (Remembering(), "it answered the same question with"),
        (LooksAtIdentity(), "it answered the same question with"),
        (ForgetsResources(), "would have to carry"),
        (LooksAtTheSum(), "would have to carry"),
        (Unlabelled(), "lane_of() must not raise, found KeyError: 'project'"),
        (Numbered(), "lane_of() must give a text, found "),
        (Shuffling(), "lane_of() must give the same twice"),
        (ByPathAlone(), "is placed twice"),
        (ByTenant(), "place() must not raise, found KeyError: 'tenant'"),
        (StrictlyInOrder(), "the first cell fits nowhere, and keeps the others waiting"),
        (Picky(), "nothing runs, and it leaves cells waiting that fit"),
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
        (Speechless(), "explain() must give a sentence in one line, or an empty text, found None"),
        (Embarrassed(), "explain() must not raise, found IndexError"),
        (Marking(), "explain() changed its arguments"),
        (Forgetful(), "would have to carry"),
        (Writing(), "it changed its arguments"),
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
    with pytest.raises(AssertionError, match="KeyError: 'tenant'"):
        check_scheduler(ByTenant(), may_starve=True)


@pytest.fixture
def never() -> Iterator[threading.Event]:
    """What is set when the test is over, so that no thread waits for ever."""
    event = threading.Event()
    yield event
    event.set()


def test_one_that_waits_is_caught(never: threading.Event) -> None:
    def waiting(*_: Any) -> None:
        never.wait(60)

    with pytest.raises(
        AssertionError, match=r"asked 20 times about a few cells, place\(\) gave no answer within"
    ):
        check_promptness(Answering(waiting), least=0.05)


def test_one_that_searches_for_long_about_many_cells_is_caught(never: threading.Event) -> None:
    def searching(ready: Any, workers: Any, running: Any) -> None:
        # Every three of them: quick about ten cells, endless about a thousand.
        any(never.is_set() for a in ready for b in ready for c in ready)

    with pytest.raises(AssertionError, match=r"asked about 1000 cells, place\(\) gave no answer within"):
        check_promptness(Answering(searching), least=0.5)


def test_one_that_needs_arguments_is_caught() -> None:
    with pytest.raises(AssertionError, match=r"Answering must be made without arguments.*TypeError"):
        check_construction(Answering(lambda ready, *_: []))
