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


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_every_run_comes_to_its_fault_free_result(chunk: int, scaled: Callable[[int], int]) -> None:
    size = scaled(WORLDS // CHUNKS)
    totals: Counter[str] = Counter()
    for seed in range(chunk * 100_000, chunk * 100_000 + size):
        report = simulate(seed)
        assert not report.problems, str(report)
        totals.update(report.counts)
    if size >= 100:
        rare = [what for what in FAULTS if not totals[what]]
        assert not rare, f"this many worlds without any {rare} prove nothing"


FAULTS = ("blip", "lost reply", "latency", "pause", "death", "gone", "refused")


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
