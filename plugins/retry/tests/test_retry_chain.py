"""Chains: the first opinion decides."""

from __future__ import annotations

from typing import Any

import pytest
from retry_cases import decide, of_kind, raised, story

from taskiq_flow import PluginError, RetryException
from taskiq_flow.retry import CellView, FailedAttempt, GiveUp, Retry, RetryDecision
from taskiq_flow_retry import Chain, On, StandardRetry

ERROR = raised(ValueError("no"))
DENIED = GiveUp(reason="nobody may do this")
CHAIN = Chain(
    [
        On(PermissionError, DENIED),
        On(["ConnectionError", "timeout"], StandardRetry(max_retries=1, delay=60)),
        On("worker_lost", Retry(reason="elsewhere", queue="spare")),
        StandardRetry(max_retries=2),
    ]
)


def test_the_first_opinion_decides() -> None:
    assert decide(CHAIN, raised(PermissionError())) == DENIED
    assert story(CHAIN, raised(ConnectionResetError())) == [60, "gave up: 1 of 1 retries used"]
    assert story(CHAIN, of_kind("timeout")) == [60, "gave up: 1 of 1 retries used"]
    assert decide(CHAIN, of_kind("worker_lost"), 5) == Retry(reason="elsewhere", queue="spare")
    assert story(CHAIN, ERROR) == [1, 2, "gave up: 2 of 2 retries used"]


def test_a_link_without_an_opinion_leaves_it_to_the_next_which_are_not_asked_in_vain() -> None:
    asked: list[str] = []

    def rule(name: str, answer: RetryDecision | None) -> Any:
        def decide(failed: FailedAttempt, attempt: int, cell: CellView) -> RetryDecision | None:
            asked.append(f"{name} {attempt} {cell.path}")
            return answer

        return decide

    chain = Chain([rule("a", None), rule("b", Retry(delay=5, reason="b says so")), rule("c", DENIED)])

    assert decide(chain, ERROR, 2) == Retry(delay=5, reason="b says so")
    assert asked == ["a 2 tracks[3]/features", "b 2 tracks[3]/features"]


def test_a_link_is_told_of_a_retry_only_when_it_decides() -> None:
    told: list[int] = []
    policy = StandardRetry(on_retry=lambda failed, attempt, cell, decision: told.append(attempt))

    decide(Chain([On(KeyError, policy), StandardRetry()]), ERROR)
    assert told == []
    decide(Chain([On(ValueError, policy), StandardRetry()]), ERROR)
    assert told == [1]


def test_where_nobody_has_an_opinion_it_is_as_without_a_policy() -> None:
    chain = Chain([On(KeyError, DENIED)])

    assert decide(chain, ERROR) == GiveUp()
    assert isinstance(decide(chain, raised(RetryException())), Retry)
    assert isinstance(decide(chain, of_kind("worker_lost")), Retry)
    assert decide(Chain(), ERROR) == GiveUp()


def test_no_chain_is_endless() -> None:
    chain = Chain([lambda failed, attempt, cell: Retry()], max_attempts=3)

    assert story(chain, ERROR) == [0, 0, "gave up: 3 of 3 attempts used"]


def test_chains_hold_chains() -> None:
    assert decide(Chain(CHAIN), raised(PermissionError())) == decide(CHAIN, raised(PermissionError()))
    assert decide(Chain([On(OSError, CHAIN), On(ValueError, DENIED)]), raised(PermissionError())) == DENIED


def test_impossible_links_are_told_all_at_once() -> None:
    with pytest.raises(PluginError) as caught:
        Chain([StandardRetry, "standard", None], max_attempts=0)  # type: ignore[list-item]

    text = str(caught.value)
    assert "link 1 of the chain is <class" in text
    assert "link 2 of the chain is 'standard'; give a policy object, On(...), or a function" in text
    assert "link 3 of the chain is None" in text
    assert "max_attempts is 0; give a whole number, 1 or more" in text
    with pytest.raises(PluginError, match=r"On has 5; .*; On shall do 'retry'; give a policy, Retry"):
        On(5, "retry")  # type: ignore[arg-type]


def test_a_link_that_answers_nonsense_is_named() -> None:
    with pytest.raises(PluginError, match="answered True; a link answers Retry, GiveUp or None"):
        decide(Chain([lambda failed, attempt, cell: True]), ERROR)  # type: ignore[list-item,return-value]
