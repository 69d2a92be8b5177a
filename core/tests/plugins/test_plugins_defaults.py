"""What the core does by itself: first come first served, no retry, JSON, entry points."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fake_distributions import Site, site
from taskiq_flow.discoverers.entry_points import EntryPointDiscoverer
from taskiq_flow.errors import PluginError, RetryException
from taskiq_flow.payloads import Failure, FailureKind
from taskiq_flow.retries.none import NoRetry
from taskiq_flow.retry import CellView, FailedAttempt, GiveUp, Retry, RetryDecision, RetryPolicy
from taskiq_flow.scheduler import Placement, ReadyCell, RunningCell
from taskiq_flow.schedulers.fifo import FifoScheduler

pytestmark = pytest.mark.usefixtures("alone")

CELL = CellView(run="r", path="a", task="t")


def ready(*priorities: int) -> list[ReadyCell]:
    return [
        ReadyCell(run="r", path=f"c{number}", node="n", task="t", priority=priority)
        for number, priority in enumerate(priorities)
    ]


def running(count: int) -> list[RunningCell]:
    return [RunningCell(run="r", path=f"busy{number}", task="t") for number in range(count)]


@pytest.mark.parametrize(
    ("bound", "busy", "priorities", "placed"),
    [
        (256, 0, [0, 0, 0], ["c0", "c1", "c2"]),
        (2, 0, [0, 0, 0], ["c0", "c1"]),
        (2, 1, [0, 0, 0], ["c0"]),
        (2, 2, [0, 0, 0], []),
        (2, 5, [0], []),
        # The core shows cells by priority already.
        (9, 0, [5, 5, 0, -1], ["c0", "c1", "c2", "c3"]),
        (1, 0, [5, 0], ["c0"]),
    ],
)
def test_fifo_places_in_order_as_many_as_there_is_room_for(
    bound: int, busy: int, priorities: list[int], placed: list[str]
) -> None:
    found = FifoScheduler(bound).place(ready(*priorities), [], running(busy))

    assert list(found or ()) == [Placement(run="r", path=path) for path in placed]


@pytest.mark.parametrize("bound", [0, -1, 2.5, True, None])
def test_fifo_needs_room_for_one(bound: Any) -> None:
    with pytest.raises(
        PluginError, match=f"max_in_flight must be a whole number of at least 1, found {bound}"
    ):
        FifoScheduler(bound)


def decision(kind: FailureKind, attempt: int, exception: BaseException | None = None) -> RetryDecision:
    failed = FailedAttempt(failure=Failure(kind=kind, message=""), exception=exception)
    return NoRetry().decide(failed, attempt, CELL)


@pytest.mark.parametrize("kind", [kind for kind in FailureKind if kind is not FailureKind.WORKER_LOST])
def test_without_a_plugin_a_failure_is_final(kind: FailureKind) -> None:
    assert decision(kind, 1, ValueError("x")) == GiveUp()


def test_a_lost_worker_is_not_the_fault_of_the_task() -> None:
    assert [decision(FailureKind.WORKER_LOST, attempt) for attempt in (1, 2, 3)] == [
        Retry(delay=0.0, reason="the worker was lost"),
        Retry(delay=0.0, reason="the worker was lost"),
        GiveUp(reason="the worker of attempt 3 was lost too"),
    ]


def test_a_task_that_asks_for_a_retry_is_told_what_to_install() -> None:
    found = decision(FailureKind.EXCEPTION, 1, RetryException("again", delay=5))

    assert found == GiveUp(
        reason="the task asks for a retry, which needs a plugin; install taskiq-flow-retry, or select its policy "
        "'standard'"
    )


def test_options_for_retries_need_a_plugin() -> None:
    assert isinstance(NoRetry.from_options({}), NoRetry)
    with pytest.raises(PluginError) as caught:
        NoRetry.from_options({"max_retries": 3, "delay": 5.0})
    assert str(caught.value) == (
        "the retry options 'delay', 'max_retries' need a plugin for retries; install taskiq-flow-retry, or select "
        "its policy 'standard'"
    )


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as folder:
        yield folder


def test_task_modules_are_listed_by_name_and_imported_when_they_are_loaded(installed: Site) -> None:
    installed.install(
        "acme-tasks",
        "1.2",
        {"sound": "acme_sound", "image": "acme_image:tasks"},
        group="taskiq_flow.tasks",
        acme_sound="raise ImportError('no sound card')",
        acme_image="tasks = ['a task']",
    )
    installed.install("other", "3", {"image": "other_image"}, group="taskiq_flow.tasks", other_image="")

    found = EntryPointDiscoverer().find()

    assert [(source.name, str(source.origin)) for source in found] == [
        ("image", "acme-tasks 1.2 (acme_image:tasks)"),
        ("image", "other 3 (other_image)"),
        ("sound", "acme-tasks 1.2 (acme_sound)"),
    ]
    assert not {"acme_sound", "acme_image", "other_image"} & set(sys.modules)
    assert found[0].load() == ["a task"]
    with pytest.raises(ImportError, match="no sound card"):
        found[2].load()


class Stubborn(RetryPolicy):
    """Knows the two small methods only."""

    name = "stubborn"

    def should_retry(self, attempt: int, exception: BaseException | None) -> bool:
        return attempt < 3

    def get_delay(self, attempt: int) -> float:
        return 2.0 * attempt


@pytest.mark.parametrize("kind", list(FailureKind))
def test_simple_policies_give_up_on_what_fails_again_every_time(kind: FailureKind) -> None:
    failed = FailedAttempt(failure=Failure(kind=kind, message=""))
    found = Stubborn().decide(failed, 2, CELL)

    if kind in (FailureKind.REJECTED, FailureKind.CANCELLED):
        assert found == GiveUp(reason=f"gave up: the attempt was {kind.value}")
    else:
        assert found == Retry(delay=4.0)
        assert Stubborn().decide(failed, 3, CELL) == GiveUp()


def test_a_cell_knows_how_long_it_has_been_tried() -> None:
    assert CellView(run="r", path="a", task="t", now=50.0).elapsed == 0.0
    assert CellView(run="r", path="a", task="t", first_started_at=40.0, now=50.0).elapsed == 10.0
    # Clocks of two machines differ.
    assert CellView(run="r", path="a", task="t", first_started_at=60.0, now=50.0).elapsed == 0.0
