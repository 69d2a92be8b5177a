"""What every scheduler must do, as functions that raise :class:`AssertionError` with a sentence."""

from __future__ import annotations

import copy
import inspect
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

from taskiq_flow.scheduler import Placement, ReadyCell, RunningCell, Scheduler, WorkerView
from taskiq_flow.testing._pools import Situation, broken_rules, situations
from taskiq_flow.testing.kit import Kit, expect

__all__ = [
    "SchedulerKit",
    "check_description",
    "check_nothing_ready",
    "check_patience",
    "check_progress",
    "check_purity",
    "check_rules",
    "check_scheduler",
]

_ROUNDS = 400


class SchedulerKit(Kit):
    """Tests of a scheduler, for pytest.

    ::

        class TestAcme(SchedulerKit):
            def make(self):
                return AcmeScheduler()
    """

    #: Declare ``True`` where a large cell may wait for ever while small ones keep coming.
    may_starve = False

    @abstractmethod
    def make(self) -> Scheduler:
        """Give a new scheduler."""

    def test_description(self) -> None:
        """It has a name, and its class variables have the right types."""
        check_description(self.make())

    def test_nothing_ready(self) -> None:
        """Without ready cells it places nothing."""
        check_nothing_ready(self.make())

    def test_rules(self) -> None:
        """What it places was ready, once each, on workers that are there and have room."""
        check_rules(self.make())

    def test_purity(self) -> None:
        """It answers the same question the same way, and changes nothing that it is shown."""
        check_purity(self.make())

    def test_progress(self) -> None:
        """All that fits somewhere is placed in the end."""
        check_progress(self.make())

    def test_patience(self) -> None:
        """A large cell is not passed over for ever."""
        if not self.may_starve:
            check_patience(self.make())


def check_scheduler(scheduler: Scheduler, *, may_starve: bool = False) -> None:
    """Make all checks.

    :param scheduler: The scheduler.
    :param may_starve: Whether a large cell may wait for ever while small ones keep coming.
    :raises AssertionError: it does not do what the core relies on.
    """
    check_description(scheduler)
    check_nothing_ready(scheduler)
    # First, while the object is new: what counts may have come to an end of its counting later.
    check_purity(scheduler)
    check_rules(scheduler)
    check_progress(scheduler)
    if not may_starve:
        check_patience(scheduler)


def check_description(scheduler: Scheduler) -> None:
    """Check that it has a name, and that its class variables have the right types."""
    expect(isinstance(scheduler, Scheduler), f"{scheduler!r} must be a Scheduler")
    name = getattr(scheduler, "name", None)
    expect(isinstance(name, str) and name, f"the name must be a text that is not empty, found {name!r}")
    lookahead: Any = scheduler.lookahead
    expect(
        type(lookahead) is int and lookahead > 0, f"lookahead must be a positive number, found {lookahead!r}"
    )
    reads: Any = scheduler.reads_resources
    expect(isinstance(reads, bool), f"reads_resources must be True or False, found {reads!r}")


def check_nothing_ready(scheduler: Scheduler) -> None:
    """Check that it places nothing when nothing is ready."""
    worker = WorkerView(id="w1", capacity={"cpu": 2.0})
    for workers in ([], [worker]):
        found = _answer(scheduler, Situation(ready=(), workers=tuple(workers), running=()))
        expect(not found, f"nothing was ready, and it placed {found}")


def check_rules(scheduler: Scheduler) -> None:
    """Check many answers: only ready cells, once each, only workers that are there, and never above their capacity."""
    for situation in situations(120):
        broken = broken_rules(_answer(scheduler, situation), situation, scheduler.reads_resources)
        expect(not broken, f"it broke the rules: {'; '.join(broken)}; asked about {situation}")


def check_purity(scheduler: Scheduler) -> None:
    """Check that it gives equal answers to equal questions, whatever it was asked between, and changes nothing."""
    asked = list(situations(30))
    first = []
    for situation in asked:
        before = copy.deepcopy(situation)
        first.append(_answer(scheduler, situation))
        expect(situation == before, f"it changed what it was shown: {situation}, which was {before}")
    for situation, expected in reversed(list(zip(asked, first, strict=True))):
        found = _answer(scheduler, situation)
        expect(found == expected, f"it answered the same question with {expected}, then with {found}")


def check_progress(scheduler: Scheduler) -> None:
    """Check that it places everything that fits on some worker while attempts come and go."""
    for situation in situations(40, feasible=True):
        waiting = list(situation.ready)
        running: list[RunningCell] = []
        for _ in range(4 * len(situation.ready) + 4):
            placed = _turn(scheduler, waiting, situation.workers, running)
            expect(
                placed or running or not waiting,
                f"nothing runs, and it leaves cells waiting that fit: {waiting} on {situation.workers}",
            )
            waiting = [cell for cell in waiting if (cell.run, cell.path) not in placed]
            running.extend(placed.values())
            del running[: max(1, len(running) // 2)]
            if not waiting:
                break
        expect(not waiting, f"it never placed {waiting} on {situation.workers}")


def check_patience(scheduler: Scheduler) -> None:
    """Check that a cell that needs a whole worker is placed although smaller ones keep coming."""
    workers = (WorkerView(id="w1", capacity={"cpu": 4.0}),)
    large = ReadyCell(run="large", path="all", node="all", task="t", resources={"cpu": 4.0}, ready_at=10.0)
    waiting = [_small(0, number) for number in range(4)] + [large]
    running: list[RunningCell] = []
    for turn in range(1, _ROUNDS + 1):
        placed = _turn(scheduler, waiting, workers, running)
        if ("large", "all") in placed:
            return
        waiting = [cell for cell in waiting if (cell.run, cell.path) not in placed]
        running.extend(placed.values())
        del running[:1]
        # One more small cell than there was room for, so that there is always one that would fit.
        waiting += [_small(turn, number) for number in range(2)]
    raise AssertionError(
        f"a cell that needs a whole worker was passed over {_ROUNDS} times by later, smaller ones"
    )


def _small(turn: int, number: int) -> ReadyCell:
    return ReadyCell(
        run="small",
        path=f"s{turn}-{number}",
        node="s",
        task="t",
        resources={"cpu": 1.0},
        ready_at=10.0 + turn,
    )


def _turn(
    scheduler: Scheduler,
    waiting: Sequence[ReadyCell],
    workers: tuple[WorkerView, ...],
    running: Sequence[RunningCell],
) -> dict[tuple[str, str], RunningCell]:
    shown = tuple(waiting[: scheduler.lookahead])
    situation = Situation(ready=shown, workers=workers, running=tuple(running))
    answer = _answer(scheduler, situation)
    broken = broken_rules(answer, situation, scheduler.reads_resources)
    expect(not broken, f"it broke the rules: {'; '.join(broken)}; asked about {situation}")
    if answer is None:
        # The default is asked instead, and places whatever it sees.
        answer = [Placement(run=cell.run, path=cell.path) for cell in shown]
    by_key = {(cell.run, cell.path): cell for cell in shown}
    placed = {}
    for placement in answer:
        key = (placement.run, placement.path)
        cell = by_key[key]
        placed[key] = RunningCell(
            run=cell.run, path=cell.path, task=cell.task, worker=placement.worker, resources=cell.resources
        )
    return placed


def _answer(scheduler: Scheduler, situation: Situation) -> list[Placement] | None:
    answer: Iterable[Placement] | Any | None = scheduler.place(
        situation.ready, situation.workers, situation.running
    )
    if answer is None:
        return None
    if inspect.iscoroutine(answer):
        answer.close()
        raise AssertionError("place() must answer at once, found a coroutine; make it a plain function")
    try:
        placements = list(answer)
    except TypeError:
        raise AssertionError(f"place() must give placements or None, found {answer!r}") from None
    wrong = [each for each in placements if not isinstance(each, Placement)]
    expect(not wrong, f"place() must give objects of Placement, found {wrong!r}")
    return placements
