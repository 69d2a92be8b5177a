"""The machine under chance: random nested graphs, orders, faults, duplicates, takeovers and cancellations."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph_strategies import graphs
from machine_compare import compare
from machine_graphs import random_graph
from machine_sim import Chaos, Simulation, replay
from taskiq_flow.graph import Graph
from taskiq_flow.machine.transitions import RunStatus

seeds = st.integers(0, 2**32)
# Runs for each seed that Hypothesis draws: drawing is slower than simulating.
ROUNDS = 2

STORM = Chaos(
    failing=0.1,
    retried=0.3,
    hanging=0.1,
    losses=0.03,
    duplicates=0.3,
    early_timers=0.1,
    takeovers=0.05,
    strange_cancels=0.03,
)


def simulate(graph: Graph, seed: int, chaos: Chaos) -> Simulation:
    random = Random(seed)
    simulation = Simulation(graph, random, chaos, window=random.randrange(1, 5))
    simulation.run()
    return simulation


def simulations(seed: int, chaos: Chaos) -> list[Simulation]:
    return [simulate(random_graph(Random(seed + each)), seed + each, chaos) for each in range(ROUNDS)]


@given(seeds)
def test_without_faults_the_order_of_completion_changes_nothing(seed: int) -> None:
    for first in simulations(seed, Chaos()):
        compare(first)
        second = Simulation(first.graph, Random(seed + 1), window=1)
        second.inputs = first.inputs
        second.run()
        assert second.machine.status == first.machine.status
        # A map over what is no list fails its run, and how far the others have come by then is a matter of order.
        if first.machine.status is RunStatus.SUCCEEDED:
            assert second.machine.outputs() == first.machine.outputs()


@given(seeds)
def test_retries_and_duplicates_do_not_show_in_the_result(seed: int) -> None:
    for simulation in simulations(seed, Chaos(retried=0.5, duplicates=0.4)):
        compare(simulation)


@given(seeds)
def test_a_failed_run_names_its_cells_and_keeps_what_it_has(seed: int) -> None:
    for simulation in simulations(seed, Chaos(failing=0.2, retried=0.2, duplicates=0.1)):
        compare(simulation)


@given(seeds)
def test_everything_at_once(seed: int) -> None:
    for simulation in simulations(seed, STORM):
        compare(simulation)
        replay(simulation, len(simulation.log))


@given(seeds)
def test_a_run_can_be_cancelled_at_any_moment(seed: int) -> None:
    chaos = Chaos(
        failing=0.05,
        retried=0.3,
        hanging=0.1,
        losses=0.03,
        duplicates=0.2,
        cancelling=0.05,
        early_timers=0.1,
        takeovers=0.03,
    )
    for simulation in simulations(seed, chaos):
        compare(simulation)
        replay(simulation, len(simulation.log))


@settings(max_examples=max(5, settings().max_examples // 4))
@given(graphs(), seeds)
def test_everything_at_once_on_graphs_that_shrink(graph: Graph, seed: int) -> None:
    for each in range(ROUNDS):
        simulation = simulate(graph, seed + each, STORM)
        compare(simulation)
        replay(simulation, len(simulation.log))


@settings(max_examples=max(5, settings().max_examples // 8))
@given(seeds)
def test_from_any_prefix_of_a_log_another_driver_reaches_the_same_end(seed: int) -> None:
    graph = random_graph(Random(seed), depth=1, most=6)
    first = simulate(graph, seed, Chaos(failing=0.1, retried=0.3))
    for length in range(1, len(first.log) + 1):
        second = Simulation(graph, Random(seed + length), first.chaos, first.window)
        second.resume(first, length)
        second.drain()
        compare(second)
        assert second.machine.status is first.machine.status


@pytest.mark.parametrize("seed", range(3))
def test_a_simulation_is_repeated_by_its_seed(seed: int) -> None:
    graph = random_graph(Random(seed))
    assert simulate(graph, seed, STORM).log == simulate(graph, seed, STORM).log
