"""The policy ``standard``: what is tried again, after how long, and what the reasons say."""

from __future__ import annotations

import asyncio
import logging
import math
import re
import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from attrs import fields_dict
from retry_cases import cell, decide, of_kind, raised, story

from taskiq_flow import PayloadError, PluginError, RetryException
from taskiq_flow.payloads import Failure, FailureKind
from taskiq_flow.retry import CellView, FailedAttempt, GiveUp, Retry
from taskiq_flow_retry import StandardRetry

ERROR = raised(ValueError("no"))
USED = "gave up: 3 of 3 retries used"


class Busy(ConnectionError):
    """A subclass of one of ours."""


def retry(**options: Any) -> StandardRetry:
    policy = StandardRetry.from_options(options)
    assert isinstance(policy, StandardRetry)
    return policy


@pytest.mark.parametrize(
    ("options", "waits"),
    [
        ({"max_retries": 3, "delay": 5.0, "backoff": 2.0}, [5, 10, 20]),
        ({"max_retries": 3}, [1, 2, 4]),
        ({"max_attempts": 3, "delay": 1.0, "backoff": 1.5}, [1, 1.5]),
        ({"max_retries": 2, "max_attempts": 3}, [1, 2]),
        ({}, [1, 2, 4]),
        ({"max_retries": None, "delay": None}, [1, 2, 4]),
        ({"max_retries": 5, "max_delay": 6}, [1, 2, 4, 6, 6]),
        ({"max_retries": 3, "delay": 0, "backoff": 10}, [0, 0, 0]),
        ({"max_retries": 3, "delay": 8, "backoff": 0.5}, [8, 4, 2]),
        ({"max_retries": 0}, []),
        ({"max_attempts": 1}, []),
        ({"jitter": False}, [1, 2, 4]),
    ],
)
def test_waits_are_exact_and_attempts_counted(options: dict[str, Any], waits: list[float]) -> None:
    *told, reason = story(retry(**options), ERROR)

    assert told == waits
    count = len(waits)
    assert reason == (
        f"gave up: {count} of {count} retries used" if count else "gave up: retries are switched off"
    )


def test_plain_options_and_arguments_make_the_same_policy() -> None:
    assert retry(max_retries=2, retry_on=["ValueError"]) == StandardRetry(
        max_retries=2, retry_on=("ValueError",)
    )


def test_enormous_numbers_are_bounded_by_a_year() -> None:
    policy = StandardRetry(max_retries=10_000, backoff=10)

    assert decide(policy, ERROR, 500) == Retry(
        delay=365 * 86_400.0, reason="retry 500 of 10000 in 31536000 s"
    )
    assert decide(StandardRetry(delay=1e308, backoff=10), ERROR, 3).delay == 365 * 86_400.0  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("jitter", "drawn", "waits"),
    [
        ("full", 0.0, [0, 0]),
        ("full", 0.5, [2, 4]),
        ("full", 1.0, [4, 8]),
        ("proportional", 0.0, [3, 6]),
        ("proportional", 0.5, [4, 8]),
        # Eight and a quarter more is above the longest wait.
        ("proportional", 1.0, [5, 9]),
    ],
)
def test_jitter(jitter: str, drawn: float, waits: list[float]) -> None:
    policy = StandardRetry(
        max_retries=2, delay=4, jitter=jitter, jitter_fraction=0.25, max_delay=9, random=lambda: drawn
    )

    assert story(policy, ERROR)[:-1] == waits


def test_jitter_is_random_by_itself() -> None:
    policy = StandardRetry(delay=1000, jitter="full")

    assert len({story(policy, ERROR)[0] for _ in range(20)}) > 10


@pytest.mark.parametrize(
    ("options", "failed", "reason"),
    [
        ({"retry_on": [ValueError]}, ERROR, ""),
        ({"retry_on": ValueError}, ERROR, ""),
        ({"retry_on": "ValueError"}, ERROR, ""),
        ({"retry_on": ["builtins:ValueError"]}, ERROR, ""),
        ({"retry_on": ["builtins.ValueError"]}, ERROR, ""),
        ({"retry_on": ["exception"]}, ERROR, ""),
        ({"retry_on": [KeyError]}, ERROR, "gave up: ValueError is not in retry_on"),
        ({"retry_on": ["No"]}, ERROR, "gave up: ValueError is not in retry_on"),
        ({"never_on": [ValueError]}, ERROR, "gave up: ValueError is in never_on"),
        ({"never_on": ["builtins:ValueError"]}, ERROR, "gave up: ValueError is in never_on"),
        ({"retry_on": [ValueError], "never_on": [ValueError]}, ERROR, "gave up: ValueError is in never_on"),
        ({"never_on": [Exception]}, ERROR, "gave up: ValueError is in never_on, by Exception"),
        # Subclasses count, by class, by name, and by another name that the class is known by.
        ({"retry_on": [OSError]}, raised(Busy()), ""),
        ({"retry_on": ["ConnectionError"]}, raised(Busy()), ""),
        ({"retry_on": ["builtins:OSError"]}, raised(Busy()), ""),
        ({"retry_on": ["asyncio:TimeoutError"]}, raised(asyncio.TimeoutError()), ""),
        ({"never_on": ["OSError"]}, raised(Busy()), "gave up: Busy is in never_on, by OSError"),
        # A class that is not loaded here has its name, and no bases that anybody knows.
        ({"retry_on": ["Odd"]}, of_kind("exception", cls="elsewhere:Odd"), ""),
        ({"retry_on": ["elsewhere.Odd"]}, of_kind("exception", cls="elsewhere:Odd"), ""),
        (
            {"never_on": ["elsewhere:Odd"]},
            of_kind("exception", cls="elsewhere:Odd"),
            "gave up: Odd is in never_on",
        ),
        # What failed without an exception.
        ({}, of_kind("timeout"), ""),
        ({"retry_on": ["timeout"]}, of_kind("timeout"), ""),
        ({"retry_on": [TimeoutError]}, of_kind("timeout"), ""),
        ({"retry_on": ["asyncio.TimeoutError"]}, of_kind("timeout"), ""),
        ({"retry_on": [Exception]}, of_kind("timeout"), ""),
        ({"retry_on": [KeyError]}, of_kind("timeout"), "gave up: a timeout is not in retry_on"),
        ({"never_on": ["timeout"]}, of_kind("timeout"), "gave up: a timeout is in never_on, by timeout"),
        ({}, of_kind("worker_lost"), ""),
        ({"retry_on": [KeyError]}, of_kind("worker_lost"), ""),
        (
            {"never_on": ["worker_lost"]},
            of_kind("worker_lost"),
            "gave up: a lost worker is in never_on, by worker_lost",
        ),
        ({}, of_kind("rejected"), "gave up: a rejected value would be rejected again every time"),
        (
            {"retry_on": [Exception]},
            of_kind("rejected"),
            "gave up: a rejected value would be rejected again every time",
        ),
        ({"retry_on": ["rejected"]}, of_kind("rejected"), ""),
        ({}, of_kind("cancelled"), "gave up: the attempt was cancelled"),
        ({"retry_on": [BaseException]}, of_kind("cancelled"), "gave up: the attempt was cancelled"),
        ({"retry_on": ["cancelled"]}, of_kind("cancelled"), ""),
        ({"retry_if": lambda error: str(error) == "no"}, ERROR, ""),
        ({"retry_if": lambda error: str(error) != "no"}, ERROR, "gave up: retry_if says no to ValueError"),
        ({"retry_if": lambda error: False}, of_kind("timeout"), ""),
        # Nothing stands above a task that asks for itself, but the attempts.
        ({"never_on": [Exception], "retry_if": lambda error: False}, raised(RetryException("again")), ""),
        ({"max_retries": 0}, raised(RetryException("again")), "gave up: retries are switched off"),
    ],
)
def test_what_is_tried_again(options: dict[str, Any], failed: FailedAttempt, reason: str) -> None:
    decision = decide(StandardRetry(**options), failed)

    assert decision == (GiveUp(reason=reason) if reason else Retry(delay=1, reason="retry 1 of 3 in 1 s"))


def test_the_exception_that_stands_for_a_lost_process_is_not_the_tasks() -> None:
    lost = FailedAttempt(
        failure=Failure(kind=FailureKind.WORKER_LOST, message="gone"),
        exception=RuntimeError("the process is gone"),
    )
    policy = StandardRetry(never_on=[RuntimeError], retry_if=lambda error: False)

    assert isinstance(decide(policy, lost), Retry)


def test_a_rejected_value_is_not_tried_again_because_its_error_is_an_exception() -> None:
    failed = FailedAttempt(
        failure=Failure(kind=FailureKind.REJECTED, message="", type="taskiq_flow.errors:PayloadError"),
        exception=PayloadError("cannot encode"),
    )

    assert isinstance(decide(StandardRetry(retry_on=[Exception]), failed), GiveUp)


def test_nothing_is_imported_because_an_option_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    lazy = types.ModuleType("lazy")
    lazy.__getattr__ = lambda name: pytest.fail(f"{name} was asked for")  # type: ignore[method-assign]
    monkeypatch.setitem(sys.modules, "lazy", lazy)
    policy = StandardRetry(retry_on=["lazy:Odd", "lazy.Odd.Inner", "antigravity:Odd", "ValueError"])

    assert isinstance(decide(policy, ERROR), Retry)
    assert "antigravity" not in sys.modules


def test_every_option_stands_in_the_documentation() -> None:
    page = Path(__file__).resolve().parents[3] / "docs" / "retry.md"
    table = [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    documented = {name for line in table for name in re.findall(r"`(\w+)`", line)}

    assert {name for name in fields_dict(StandardRetry) if name != "random"} <= documented


@pytest.mark.parametrize(
    ("elapsed", "attempt", "decision"),
    [
        (0, 1, Retry(delay=10, reason="retry 1 of 9 in 10 s")),
        (50, 1, Retry(delay=10, reason="retry 1 of 9 in 10 s")),
        (
            50.25,
            1,
            GiveUp(
                reason="gave up: the next attempt would start 60.25 s after the first, over the budget of 60 s"
            ),
        ),
        (
            30,
            3,
            GiveUp(
                reason="gave up: the next attempt would start 70 s after the first, over the budget of 60 s"
            ),
        ),
    ],
)
def test_the_budget_is_counted_from_the_first_start(
    elapsed: float, attempt: int, decision: Retry | GiveUp
) -> None:
    assert decide(StandardRetry(max_retries=9, delay=10, budget=60), ERROR, attempt, elapsed) == decision


def test_before_anything_started_nothing_of_the_budget_is_used() -> None:
    view = CellView(run="r", path="a", task="t", now=5e9)

    assert isinstance(StandardRetry(budget=2).decide(of_kind("worker_lost"), 1, view), Retry)


@pytest.mark.parametrize(
    ("scaling", "limits", "amounts"),
    [
        ({"ram_mb": "attempt"}, {}, [512, 1024, 1536, 2048]),
        ({"ram_mb": 1.5}, {}, [512, 768, 1152, 1728]),
        ({"ram_mb": "attempt"}, {"ram_mb": 1200}, [512, 1024, 1200, 1200]),
        ({"ram_mb": 2}, {"ram_mb": 100}, [512, 512, 512, 512]),
        ({"gpu": "attempt"}, {}, [512, 512, 512, 512]),
        (lambda attempt, had: {"ram_mb": 100.0 * attempt}, {}, [512, 200, 300, 400]),
    ],
)
def test_resources_grow(scaling: Any, limits: dict[str, float], amounts: list[float]) -> None:
    policy = StandardRetry(resources=scaling, max_resources=limits)
    had: dict[str, float] = {"cpu": 1.0, "ram_mb": 512.0}
    seen = [had["ram_mb"]]
    for attempt in (1, 2, 3):
        decision = policy.decide(ERROR, attempt, cell(resources=had))
        assert isinstance(decision, Retry)
        had = dict(decision.resources or had)
        assert had["cpu"] == 1.0
        seen.append(had["ram_mb"])

    assert seen == amounts


def test_a_task_that_says_nothing_of_cores_had_one() -> None:
    policy = StandardRetry(resources={"cpu": "attempt", "gpu": 2})
    decision = policy.decide(ERROR, 1, cell(resources={}))
    assert isinstance(decision, Retry)
    assert decision.resources == {"cpu": 2.0}
    decision = policy.decide(ERROR, 2, cell(resources=decision.resources))
    assert isinstance(decision, Retry)
    assert decision.resources == {"cpu": 3.0}


def test_resources_never_grow_beyond_what_a_number_can_be() -> None:
    decision = StandardRetry(resources={"ram_mb": 1e308}).decide(ERROR, 1, cell(resources={"ram_mb": 512}))
    assert isinstance(decision, Retry)
    assert decision.resources == {"ram_mb": sys.float_info.max}


async def later(attempt: int, had: Mapping[str, float]) -> Mapping[str, float]:
    return had


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (lambda attempt, had: None, "the answer of the function resources is None; give numbers by name"),
        (
            lambda attempt, had: {"ram_mb": "2g"},
            "'ram_mb' of the answer .* is '2g'; give a number, 0 or more",
        ),
        (lambda attempt, had: {"ram_mb": math.nan}, "'ram_mb' of the answer .* is nan; give a number"),
        (later, "resources is asynchronous"),
    ],
)
def test_a_function_of_resources_gives_amounts(answer: Any, problem: str) -> None:
    with pytest.raises(PluginError, match=problem):
        StandardRetry(resources=answer).decide(ERROR, 1, cell(resources={"cpu": 1.0}))


def test_a_function_of_resources_cannot_change_what_the_attempt_had() -> None:
    def careless(attempt: int, had: Any) -> Mapping[str, float]:
        had.clear()
        return {}

    had = {"ram_mb": 512.0}
    StandardRetry(resources=careless).decide(ERROR, 1, cell(resources=had))
    assert had == {"ram_mb": 512.0}


def test_queue_and_priority_of_further_attempts() -> None:
    decision = decide(StandardRetry(queue="slow", priority=-5), ERROR)

    assert decision == Retry(delay=1, reason="retry 1 of 3 in 1 s", queue="slow", priority=-5)


@pytest.mark.parametrize("error", [RuntimeError, asyncio.CancelledError])
def test_on_retry_is_told_of_retries_and_may_fail(
    caplog: pytest.LogCaptureFixture, error: type[BaseException]
) -> None:
    told: list[Any] = []

    def on_retry(failed: FailedAttempt, attempt: int, view: CellView, decision: Retry) -> None:
        told.append((failed.exception, attempt, view.path, decision.delay))
        raise error("the pager is broken")

    policy = StandardRetry(max_retries=2, on_retry=on_retry)
    assert story(policy, ERROR) == [1, 2, "gave up: 2 of 2 retries used"]

    assert told == [
        (ERROR.exception, 1, "tracks[3]/features", 1),
        (ERROR.exception, 2, "tracks[3]/features", 2),
    ]
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2
    assert "the pager is broken" in caplog.text


def test_where_nobody_asked_only_the_task_itself_and_a_loss_get_further_attempts() -> None:
    policy = StandardRetry()

    assert decide(policy, ERROR, asked=False) == GiveUp()
    assert decide(policy, of_kind("timeout"), asked=False) == GiveUp()
    assert story(policy, raised(RetryException("again")), asked=False) == [1, 2, 4, USED]
    assert story(policy, raised(RetryException("later", delay=7)), asked=False) == [7, 7, 7, USED]
    assert story(policy, of_kind("exception", cls="taskiq_flow.errors:RetryException"), asked=False) == [
        1,
        2,
        4,
        USED,
    ]
    assert story(policy, of_kind("worker_lost"), asked=False) == [
        0,
        0,
        "gave up: the worker of attempt 3 was lost too",
    ]


@pytest.mark.parametrize(
    ("attempt", "exception", "wanted"),
    [
        (1, ValueError(), True),
        (3, None, True),
        (4, ValueError(), False),
        (1, KeyError(), False),
        (1, RetryException(), True),
    ],
)
def test_the_small_methods_say_the_same(attempt: int, exception: BaseException | None, wanted: bool) -> None:
    policy = StandardRetry(never_on=[KeyError], delay=5)

    assert policy.should_retry(attempt, exception) is wanted
    assert [policy.get_delay(number) for number in (1, 2, 3)] == [5, 10, 20]


def test_a_subclass_can_change_the_waits() -> None:
    class Linear(StandardRetry):
        name = "linear"

        def get_delay(self, attempt: int) -> float:
            return 3.0 * attempt

    assert story(Linear(max_retries=3), ERROR) == [3, 6, 9, USED]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"max_retry": 3}, ["there is no option 'max_retry' (did you mean 'max_retries'?)"]),
        ({"max_elapsed": 60}, ["there is no option 'max_elapsed' (did you mean 'budget'?)"]),
        ({"zzz": 1}, ["there is no option 'zzz'; there are 'max_retries', 'max_attempts', 'delay', "]),
        ({1: 2}, ["there is no option 1; there are "]),
        ({"random": 1}, ["there is no option 'random'"]),
        ({"max_retries": -1}, ["max_retries is -1; give a whole number, 0 or more"]),
        ({"max_retries": True}, ["max_retries is True; give a whole number, 0 or more"]),
        ({"max_retries": 2.5}, ["max_retries is 2.5; give a whole number"]),
        ({"max_attempts": 0}, ["max_attempts is 0; give a whole number, 1 or more"]),
        (
            {"max_retries": 3, "max_attempts": 3},
            ["max_retries 3 means 4 attempts, and max_attempts is 3; give one of them"],
        ),
        ({"delay": float("nan")}, ["delay is nan; give a number of seconds, 0 or more"]),
        ({"delay": float("inf")}, ["delay is inf"]),
        ({"delay": "5"}, ["delay is '5'; give a number of seconds"]),
        ({"delay": True}, ["delay is True"]),
        ({"backoff": 0}, ["backoff is 0; give a factor above 0, such as 2"]),
        ({"max_delay": -1}, ["max_delay is -1"]),
        (
            {"jitter": "some"},
            ["jitter is 'some'; give one of 'full', 'proportional', or leave it out for none"],
        ),
        ({"jitter": True}, ["jitter is True"]),
        ({"jitter": ["full"]}, ["jitter is ['full']"]),
        ({"jitter_fraction": 2}, ["jitter_fraction is 2; give a fraction above 0 and up to 1"]),
        ({"budget": 0}, ["budget is 0; give a number of seconds above 0"]),
        (
            {"retry_on": 5},
            ["retry_on is 5; give a list of exception classes, their names, or kinds of failure"],
        ),
        ({"retry_on": [int]}, ["retry_on has <class 'int'>; give exception classes"]),
        (
            {"never_on": ["not a name"]},
            ["never_on has 'not a name'; give exception classes, their names such as"],
        ),
        ({"retry_on": ["time_out"]}, ["retry_on has 'time_out'; did you mean 'timeout'?"]),
        ({"retry_if": "yes"}, ["retry_if is 'yes'; give a plain function of the exception"]),
        ({"respect_retry_after": 1}, ["respect_retry_after is 1; give True or False"]),
        (
            {"resources": {"ram_mb": "x2"}},
            ["resources has 'ram_mb': 'x2'; give 'attempt' for amount x attempt"],
        ),
        (
            {"resources": ["ram_mb"]},
            ["resources is ['ram_mb']; give a mapping such as {'ram_mb': 'attempt'}"],
        ),
        (
            {"resources": {"ram_mb": 10**309}},
            ["give 'attempt' for amount x attempt, or a factor above 0 such as 1.5"],
        ),
        ({"max_resources": {"ram_mb": -1}}, ["max_resources has 'ram_mb': -1; give an amount above 0"]),
        ({"queue": ""}, ["queue is ''; give the name of a queue"]),
        ({"priority": 1.5}, ["priority is 1.5; give a whole number"]),
        ({"on_retry": 1}, ["on_retry is 1; give a plain function of failure, attempt, cell and decision"]),
        (
            {"dealy": 1, "max_retries": -1, "retry_on": [5]},
            [
                "'dealy' (did you mean 'delay'?); max_retries is -1; give a whole number, 0 or more; retry_on has 5;"
            ],
        ),
    ],
)
def test_impossible_options_are_told_all_at_once(options: dict[Any, Any], said: list[str]) -> None:
    with pytest.raises(PluginError) as caught:
        StandardRetry.from_options(options)

    text = str(caught.value)
    assert text.startswith("the retry options cannot be used: ")
    assert all(each in text for each in said), text
    assert "\n" not in text


def test_arguments_are_checked_like_options() -> None:
    async def asynchronous(error: BaseException) -> bool:
        return True

    with pytest.raises(
        PluginError, match=r"delay is -1; .*; retry_if is <function .*; give a plain function"
    ):
        StandardRetry(delay=-1, retry_if=asynchronous)
    with pytest.raises(PluginError, match=r"delay is None; .*; resources is None; give a mapping"):
        StandardRetry(delay=None, resources=None)  # type: ignore[arg-type]
    with pytest.raises(PluginError, match=r"delay is 1000.*; give a number of seconds"):
        StandardRetry(delay=10**400)
