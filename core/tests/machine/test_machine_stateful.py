"""The machine beside the naive model, one step at a time: Hypothesis looks for the shortest way to break it."""

from __future__ import annotations

from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from machine_compare import compare
from machine_graphs import random_graph
from machine_sim import Chaos, Simulation, replay
from taskiq_flow.machine import events as ev

numbers = st.integers(0, 1000)


class Runs(RuleBasedStateMachine):
    """One run; every rule is something that may happen, whatever the order."""

    simulation: Simulation

    @initialize(graph=st.integers(0, 500), window=st.integers(1, 4), faults=st.booleans())
    def begin(self, graph: int, window: int, faults: bool) -> None:
        chaos = Chaos(failing=0.2, retried=0.3, hanging=0.1) if faults else Chaos()
        self.simulation = Simulation(random_graph(Random(graph)), Random(graph), chaos, window)
        self.simulation.start()

    @property
    def going_on(self) -> bool:
        return not self.simulation.machine.status.final

    @precondition(lambda self: self.simulation.moves(early_timers=True))
    @rule(number=numbers)
    def go_on(self, number: int) -> None:
        moves = self.simulation.moves(early_timers=True)
        moves[number % len(moves)]()

    @precondition(lambda self: self.simulation.delivered)
    @rule(number=numbers)
    def deliver_again(self, number: int) -> None:
        self.simulation.apply(self.simulation.delivered[number % len(self.simulation.delivered)])

    @precondition(lambda self: self.going_on)
    @rule(number=st.integers(0, 2))
    def lose_a_worker(self, number: int) -> None:
        self.simulation.lose(f"w{number}")

    @rule()
    def cancel_an_attempt_unasked(self) -> None:
        self.simulation.cancel_unasked()

    @rule()
    def take_over(self) -> None:
        self.simulation.take_over()

    @precondition(lambda self: self.going_on)
    @rule()
    def cancel(self) -> None:
        self.simulation.cancelled = True
        self.simulation.apply(ev.CancelRequested(reason="enough"))

    def teardown(self) -> None:
        if hasattr(self, "simulation"):
            self.simulation.drain()
            compare(self.simulation)
            replay(self.simulation, len(self.simulation.log))


TestRuns = Runs.TestCase
TestRuns.settings = settings(max_examples=max(10, settings().max_examples // 2), stateful_step_count=40)
