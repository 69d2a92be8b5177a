"""Checks of schedulers, as functions that raise :class:`AssertionError` with a sentence."""

from __future__ import annotations

import copy
import time
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

from taskiq_flow.scheduler import Placement, ReadyCell, RunningCell, Scheduler, WorkerView
from taskiq_flow.testing._pools import Situation, crowd, naive_placements, situations, violations
from taskiq_flow.testing.kit import Kit, answer_within, check_name, expect, not_awaited

__all__ = [
    "SchedulerKit",
    "check_construction",
    "check_description",
    "check_explanation",
    "check_lines",
    "check_nothing_ready",
    "check_patience",
    "check_progress",
    "check_promptness",
    "check_purity",
    "check_rules",
    "check_scheduler",
]

_ROUNDS = 400
_MOST_WORKERS = 32
# The allowed time is a factor of that of the plainest way, but at least so many seconds: a driver waits for the answer.
_TIMES_THE_PLAINEST = 50
_LEAST_SECONDS = 2.0
# A demand that no worker of the pool fits any more.
_HOPELESS = ReadyCell(
    run="lost", path="all", node="all", task="t", resources={"cpu": 1e6}, priority=9, depth=1, rank=9.0
)


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
        """Return a new scheduler."""

    def test_description(self) -> None:
        """It has a name, and its class variables have the right types."""
        check_description(self.make())

    def test_construction(self) -> None:
        """Its class can be called without arguments, as the core does."""
        check_construction(self.make())

    def test_promptness(self) -> None:
        """It answers at once, about few cells and about many."""
        check_promptness(self.make())

    def test_nothing_ready(self) -> None:
        """Without ready cells it places nothing."""
        check_nothing_ready(self.make())

    def test_rules(self) -> None:
        """It places only ready cells, once each, on existing workers with enough free capacity."""
        check_rules(self.make())

    def test_purity(self) -> None:
        """It gives equal answers to equal questions, and does not change its arguments."""
        check_purity(self.make())

    def test_explanation(self) -> None:
        """It explains in a sentence why a cell waits, and changes nothing by that."""
        check_explanation(self.make())

    def test_lines(self) -> None:
        """Each cell has a lane, and always the same one."""
        check_lines(self.make())

    def test_progress(self) -> None:
        """All cells that fit some worker are placed in the end."""
        check_progress(self.make())

    def test_patience(self) -> None:
        """A large cell is not passed over for ever."""
        if not self.may_starve:
            check_patience(self.make())


def check_scheduler(scheduler: Scheduler, *, may_starve: bool = False) -> None:
    """Make all checks.

    :param scheduler: The scheduler.
    :param may_starve: Whether a large cell may wait for ever while small ones keep coming.
    :raises AssertionError: the scheduler breaks a promise that the core relies on.
    """
    check_description(scheduler)
    # Before the checks that would wait for ever with a scheduler that does.
    check_promptness(scheduler)
    check_nothing_ready(scheduler)
    # First, while the object is new: a scheduler that counts its calls may have stopped changing later.
    check_purity(scheduler)
    check_rules(scheduler)
    check_explanation(scheduler)
    check_lines(scheduler)
    check_progress(scheduler)
    if not may_starve:
        check_patience(scheduler)
    check_construction(scheduler)


def check_description(scheduler: Scheduler) -> None:
    """Check that it has a name, and that its class variables have the right types."""
    check_name(scheduler, Scheduler)
    lookahead: Any = scheduler.lookahead
    expect(
        type(lookahead) is int and lookahead > 0, f"lookahead must be a positive number, found {lookahead!r}"
    )
    for attribute in ("reads_resources", "uses_rank"):
        declared: Any = getattr(scheduler, attribute)
        expect(isinstance(declared, bool), f"{attribute} must be True or False, found {declared!r}")


def check_construction(scheduler: Scheduler) -> None:
    """Check that the class can be called without arguments."""
    cls = type(scheduler)
    try:
        cls()
    except Exception as error:
        raise AssertionError(
            f"{cls.__name__} must be made without arguments, because configuration gives none; "
            f"found {type(error).__name__}: {error}"
        ) from error


def check_promptness(scheduler: Scheduler, *, least: float = _LEAST_SECONDS) -> None:
    """Check that it answers at once: the driver of a pool does nothing else in the meantime.

    The allowed time grows with the time of the plainest way of placing on this machine.

    :param least: The smallest allowed time in seconds.
    """
    # Another object, so that a scheduler that counts its calls is still new when purity is checked.
    try:
        another = type(scheduler)()
    except Exception:  # noqa: BLE001 - check_construction reports it
        another = scheduler
    few = list(situations(20))
    many = crowd(min(scheduler.lookahead, 1000), _MOST_WORKERS)
    for questions, asked in ((few, "20 times about a few cells"), ([many], f"about {len(many.ready)} cells")):
        began = time.perf_counter()
        for question in questions:
            naive_placements(question)
        allowed = max(least, _TIMES_THE_PLAINEST * (time.perf_counter() - began))

        def ask(questions: Sequence[Situation] = questions) -> bool:
            for question in questions:
                _answer(another, question)
            return True

        answer_within(allowed, f"asked {asked}, place", ask)


def check_nothing_ready(scheduler: Scheduler) -> None:
    """Check that it places nothing when nothing is ready."""
    worker = WorkerView(id="w1", capacity={"cpu": 2.0})
    for workers in ([], [worker]):
        found = _answer(scheduler, Situation(ready=(), workers=tuple(workers), running=()))
        expect(not found, f"nothing was ready, and it placed {found}")


def check_rules(scheduler: Scheduler) -> None:
    """Check many answers: only ready cells, once each, on existing workers, and never above their capacity."""
    for situation in situations(120):
        broken = violations(_answer(scheduler, situation), situation, scheduler.reads_resources)
        expect(not broken, f"it broke the rules: {'; '.join(broken)}; asked about {situation}")


def check_purity(scheduler: Scheduler) -> None:
    """Check that it gives equal answers to equal questions, with others in between, and changes nothing."""
    asked = list(situations(30))
    first = []
    for situation in asked:
        before = copy.deepcopy(situation)
        first.append(_answer(scheduler, situation))
        expect(situation == before, f"it changed its arguments: {situation}, which was {before}")
    for situation, expected in reversed(list(zip(asked, first, strict=True))):
        # Equal objects, not the same ones.
        found = _answer(scheduler, copy.deepcopy(situation))
        expect(found == expected, f"it answered the same question with {expected}, then with {found}")


def check_explanation(scheduler: Scheduler) -> None:
    """Check that it explains in one line, or not at all, why any cell waits, and changes nothing by that."""
    for situation in situations(40):
        before = copy.deepcopy(situation)
        for cell in situation.ready:
            try:
                found = scheduler.explain(cell, situation.workers, situation.running)
            except Exception as error:
                raise AssertionError(
                    f"explain() must not raise, found {type(error).__name__}: {error}; asked about {cell}"
                ) from error
            said = not_awaited("explain", found)
            expect(
                isinstance(said, str) and "\n" not in said,
                f"explain() must give a sentence in one line, or an empty text, found {said!r}; asked about {cell}",
            )
        expect(situation == before, f"explain() changed its arguments: {situation}, which was {before}")


def check_lines(scheduler: Scheduler) -> None:
    """Check that each cell has a lane, and always the same one."""
    for situation in situations(10):
        for cell in situation.ready:
            try:
                line: Any = scheduler.lane_of(cell)
            except Exception as error:
                raise AssertionError(
                    f"lane_of() must not raise, found {type(error).__name__}: {error}; asked about {cell}"
                ) from error
            expect(isinstance(line, str), f"lane_of() must give a text, found {line!r}")
            again = scheduler.lane_of(copy.deepcopy(cell))
            expect(line == again, f"lane_of() must give the same twice, found {line!r} and then {again!r}")


def check_progress(scheduler: Scheduler) -> None:
    """Check that it places all cells that fit some worker while attempts come and go.

    A cell that fits no worker, because the one that could take it has gone, must not block others.
    """
    for number, situation in enumerate(situations(80, feasible=True)):
        bounded = all(worker.capacity for worker in situation.workers)
        front = [_HOPELESS] if bounded and number % 2 else []
        waiting = list(situation.ready)
        running: list[RunningCell] = []
        for _ in range(4 * len(situation.ready) + 4):
            placed = _turn(scheduler, [*front, *waiting], situation.workers, running)
            expect(
                placed or running or not waiting,
                f"nothing runs, and it leaves cells waiting that fit: {waiting} on {situation.workers}"
                f"{'; the first cell fits nowhere, and keeps the others waiting' if front else ''}",
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
        # One small cell more than fits, so that there is always one that would fit.
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
    broken = violations(answer, situation, scheduler.reads_resources)
    expect(not broken, f"it broke the rules: {'; '.join(broken)}; asked about {situation}")
    if answer is None:
        # None asks for the default, which places any cell that fits.
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
    try:
        answer: Iterable[Placement] | Any | None = not_awaited(
            "place", scheduler.place(situation.ready, situation.workers, situation.running)
        )
        if answer is None:
            return None
        if not hasattr(type(answer), "__iter__"):
            raise AssertionError(f"place() must give placements or None, found {answer!r}")
        placements = list(answer)
    except AssertionError:
        raise
    except Exception as error:
        raise AssertionError(
            f"place() must not raise, found {type(error).__name__}: {error}; asked about {situation}"
        ) from error
    wrong = [each for each in placements if not isinstance(each, Placement)]
    expect(not wrong, f"place() must give objects of Placement, found {wrong!r}")
    return placements
