"""Thousands of worlds in which everything goes wrong, each compared with the fault-free result.

A failure names its seed; ``python tests/simulation --seed N --trace`` shows how it came to that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from sim_run import simulate

WORLDS = 3000
CHUNKS = 10


FAULTS = ("blip", "lost reply", "latency", "pause", "death", "gone", "refused")


@pytest.fixture(scope="module")
def totals() -> Counter[str]:
    """How often each thing happened in the worlds so far."""
    return Counter()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_every_run_comes_to_its_fault_free_result(
    chunk: int, scaled: Callable[[int], int], totals: Counter[str]
) -> None:
    for seed in range(chunk * 100_000, chunk * 100_000 + scaled(WORLDS // CHUNKS)):
        report = simulate(seed)
        assert not report.problems, str(report)
        totals.update(report.counts, worlds=1)


def test_the_worlds_had_every_fault(totals: Counter[str]) -> None:
    if totals["worlds"] < WORLDS // 3:
        pytest.skip("the rarest fault is seen in one of some hundred worlds")
    assert [what for what in FAULTS if not totals[what]] == []


@pytest.mark.parametrize("seed", range(10))
def test_a_seed_repeats_a_world_byte_by_byte(seed: int) -> None:
    first, second = (simulate(seed, journal=True) for _ in range(2))
    assert first.journal
    assert first == second


def test_a_failure_says_how_to_see_it_again() -> None:
    from sim_run import Report

    text = str(Report(7, ("run0 did not finish",), "", {}))
    assert "run0 did not finish" in text
    assert "python tests/simulation --seed 7 --trace" in text
